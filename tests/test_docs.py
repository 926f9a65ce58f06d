"""The documentation builds without warnings and loads nothing from other hosts; its code, names and paths exist."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import pkgutil
import re
import shlex
import subprocess
import sys
import tomllib
from html.parser import HTMLParser
from pathlib import Path

import pytest

from bench.__main__ import COMMANDS, load
from docs import draw_packages, hooks
from hf_model.cli.parser import build_parser

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
CARDS = sorted((ROOT / "hf_model" / "weights").glob("*/README.md"))
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "data/README.md")),
    *sorted(DOCS.rglob("*.md")),
    *CARDS,
]
"""What is written for readers, and names commands, modules and files."""

CODE_FOLDERS = ("hf_model", "stages", "bench", "tests", "notebooks")
TOP_FOLDERS = (*CODE_FOLDERS, "docs", "slurm", "apptainer", "reports", "examples", "space")


def page_id(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


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


class ResourceParser(HTMLParser):
    """Collects the addresses that a browser loads for a page: everything but links."""

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
    parser = ResourceParser()
    parser.feed(page.read_text(encoding="utf-8"))
    return parser.addresses


def test_pages_load_nothing_from_other_hosts(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 6
    for page in pages:
        addresses = loaded(page)
        assert addresses, "at least the style sheet"
        assert not [one for one in addresses if re.match(r"(https?:)?//", one)], page.name


def test_style_sheets_load_nothing_from_other_hosts(site):
    for sheet in site.rglob("*.css"):
        found = re.findall(r"(?:url\(|@import)\s*['\"]?((?:https?:)?//[^'\")\s]+)", sheet.read_text(encoding="utf-8"))
        assert not found, sheet.name


def test_files_that_a_page_loads_exist(site):
    for page in site.rglob("*.html"):
        if page.name == "404.html":  # its addresses are relative to the root of a server
            continue
        for address in loaded(page):
            if not address.startswith("data:"):
                assert (page.parent / address.split("?")[0]).resolve().is_file(), (page.name, address)


def test_command_line_reference_has_every_option(site):
    text = (site / "reference" / "cli.html").read_text(encoding="utf-8")
    for command in build_parser()._actions[-1].choices.values():
        assert f"hummingface-{command.prog.split()[-1]}" in text
        for action in command._actions:
            for option in action.option_strings:
                assert option in text, option


def test_python_reference_has_parameters_and_errors(site):
    text = (site / "reference" / "api.html").read_text(encoding="utf-8")
    for word in ("hf_model.inference.convert", "Raises", "sample_rate", "Rendition"):
        assert word in text


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_commands_on_the_pages_are_accepted(page):
    """The program parses every `hummingface ...` line of a page."""
    blocks = re.findall(r"```bash\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    for line in "\n".join(blocks).splitlines():
        command = line.split("#")[0].strip()
        if command.startswith("hummingface "):
            build_parser().parse_args(_words(command))


def _words(command: str) -> list[str]:
    return shlex.split(command.split("|")[0])[1:]


def test_code_of_the_python_page_runs(tmp_path):
    """In order, as one program, in a folder with the example as hum.wav."""
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


# ------------------------------------------------------------------------------------------- names of the code


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_dotted_names_on_the_pages_exist(page):
    text = page.read_text(encoding="utf-8")
    for name in set(re.findall(r"(?<![\w/.-])(?:hf_model|stages)(?:\.[A-Za-z_]\w*)+", text)):
        try:
            pkgutil.resolve_name(name)
        except (AttributeError, ImportError):
            pytest.fail(f"{page.name} names {name}, which does not exist")


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_paths_on_the_pages_exist(page):
    text = page.read_text(encoding="utf-8")
    for path in set(re.findall(rf"`((?:{'|'.join(TOP_FOLDERS)})/[\w./-]*)", text)):
        assert (ROOT / path).exists(), f"{page.name} names {path}"


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md", ROOT / "reports" / "LOG.md"], ids=page_id)
def test_links_outside_the_site_lead_to_files(page):
    """mkdocs checks the links of its own pages; here they lead to files of the repository."""
    text = page.read_text(encoding="utf-8")
    generated = {"reference/cli.md"} | {f"pictures/{Path(name).name}" for name in hooks.PICTURES}
    links = set(re.findall(r"\]\(([^)#\s]+)", text)) - generated
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert not missing, missing


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_modules_that_the_pages_run_exist(page):
    text = page.read_text(encoding="utf-8")
    for name in set(re.findall(r"python -m ([\w.]+)", text)):
        assert importlib.util.find_spec(name), f"{page.name} runs {name}"


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_benchmarks_on_the_pages_are_accepted(page):
    """The parser of the benchmark accepts the options, if the page gives all that are required."""
    for line in re.findall(r"python -m bench ([a-z][^`#\n]*)", page.read_text(encoding="utf-8")):
        name, *words = shlex.split(line)
        assert name in COMMANDS, line
        parser = argparse.ArgumentParser(exit_on_error=False)
        load(name).add_arguments(parser)
        for action in parser._actions:
            action.required = False
        parser.parse_args(words)


def test_architecture_describes_every_package():
    layers, _ = draw_packages.read_packages()
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    described = set(re.findall(r"^\| `([\w.]+)` \|", text, re.MULTILINE))
    packages = {name for layer in layers for name in layer if name.startswith("hf_model.")}
    assert described == packages | {"hf_model.cli.commands", "stages", "stages.cluster", "stages.tracking"}


def test_architecture_names_the_rows_of_the_import_contract():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    layers = next(one["layers"] for one in contracts if one.get("containers") == ["hf_model"])
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    (rows,) = re.findall(r"The rows,\s+from the top: (.*?)\.\n", text, re.DOTALL)
    described = [set(re.findall(r"`(\w+)`", row)) for row in rows.split(";")]
    assert described == [set(layer.split(" | ")) for layer in layers]


def test_picture_of_the_packages_is_current():
    drawn = draw_packages.draw()
    assert draw_packages.PICTURE.read_text(encoding="utf-8") == drawn, "run: python docs/draw_packages.py"


def test_arrows_of_the_picture_point_down():
    layers, edges = draw_packages.read_packages()
    row = {name: number for number, layer in enumerate(layers) for name in layer}
    assert ("hf_model.training", "hf_model.shards") in edges
    assert all(row[start] < row[end] for start, end in edges)
    reduced = draw_packages.reduce_edges({("m.a", "m.b"), ("m.b", "m.c"), ("m.a", "m.c")})
    assert reduced == [("m.a", "m.b"), ("m.b", "m.c")]
