"""The documentation: it builds without a warning, asks no other host for anything, and its code runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from hf_model.cli.main import build_parser

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)},
    )
    assert built.returncode == 0, built.stderr
    return folder


class Loaded(HTMLParser):
    """What a browser loads by itself for a page: everything but links to click on."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag == "link" and values.get("rel") in {"canonical", "next", "prev"}:
            return
        wanted = {"link": "href", "script": "src", "img": "src", "iframe": "src", "source": "src", "audio": "src"}
        if tag in wanted and values.get(wanted[tag]):
            self.addresses.append(str(values[wanted[tag]]))


def loaded(page: Path) -> list[str]:
    parser = Loaded()
    parser.feed(page.read_text(encoding="utf-8"))
    return parser.addresses


def test_no_page_loads_anything_from_elsewhere(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 6
    for page in pages:
        addresses = loaded(page)
        assert addresses, "at least the style sheet"
        assert not [one for one in addresses if re.match(r"(https?:)?//", one)], page.name


def test_style_sheets_load_nothing_from_elsewhere(site):
    for sheet in site.rglob("*.css"):
        found = re.findall(r"(?:url\(|@import)\s*['\"]?((?:https?:)?//[^'\")\s]+)", sheet.read_text(encoding="utf-8"))
        assert not found, sheet.name


def test_everything_that_a_page_loads_is_there(site):
    for page in site.rglob("*.html"):
        if page.name == "404.html":  # its addresses are those of the place where it is served
            continue
        for address in loaded(page):
            if not address.startswith("data:"):
                assert (page.parent / address.split("?")[0]).resolve().is_file(), (page.name, address)


def test_the_reference_of_the_command_line_has_every_option(site):
    text = (site / "reference" / "cli.html").read_text(encoding="utf-8")
    for command in build_parser()._actions[-1].choices.values():
        assert f"hummingface-{command.prog.split()[-1]}" in text
        for action in command._actions:
            for option in action.option_strings:
                assert option in text, option


def test_the_reference_of_the_python_interface_has_parameters_and_errors(site):
    text = (site / "reference" / "api.html").read_text(encoding="utf-8")
    for word in ("hf_model.inference.convert", "Raises", "sample_rate", "Rendition"):
        assert word in text


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.stem)
def test_commands_on_the_pages_exist(page):
    """Every `hummingface ...` line on a page is one that the program would accept."""
    blocks = re.findall(r"```bash\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    for line in "\n".join(blocks).splitlines():
        command = line.split("#")[0].strip()
        if command.startswith("hummingface "):
            build_parser().parse_args(_words(command))


def _words(command: str) -> list[str]:
    import shlex

    return shlex.split(command.split("|")[0])[1:]


def test_the_code_of_the_python_page_runs(tmp_path):
    """In order, in one program, from a folder that holds the example as hum.wav."""
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / "python.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) >= 7
    (tmp_path / "hum.wav").write_bytes((ROOT / "examples" / "twinkle.wav").read_bytes())
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(blocks)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
