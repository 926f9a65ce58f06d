"""The house around the code: what is shipped, what is declared, what the README promises, what must not be here."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import grimp
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import hf_model

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def python(*arguments: str, timeout: float = 60, **options) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=timeout, **options)


@cache
def tracked() -> list[Path]:
    """Every file that git keeps or would keep."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: an unpacked archive has no list of files")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


# ------------------------------------------------------------------------------------------------------ the wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    built = python("-m", "hatchling", "build", "-t", "wheel", "-d", str(folder), cwd=ROOT)
    assert built.returncode == 0, built.stderr
    (path,) = folder.glob("*.whl")
    return path


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"hf_model", f"hummingface-{hf_model.__version__}.dist-info"}
    assert not [name for name in names if name.endswith((".pyc", ".partial"))]
    expected = {str(p.relative_to(ROOT)) for p in tracked() if p.is_relative_to(ROOT / "hf_model")}
    assert expected <= set(names), "weights, tables and py.typed go along"
    assert "hf_model/py.typed" in names


def test_the_wheel_is_small_enough_to_send(wheel):
    assert wheel.stat().st_size < 25e6


def test_the_wheel_runs_outside_the_repository(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path)
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import hf_model.cli.main, hf_model.cli.info;"
        f"assert hf_model.__file__.startswith({str(tmp_path)!r}), hf_model.__file__;"
        "print(hf_model.cli.info.SHIPPED.is_dir()); hf_model.cli.main.main(['--version'])"
    )
    ran = python("-I", "-c", program, cwd=tmp_path)
    assert ran.stdout.split() == ["True", "hummingface", hf_model.__version__], ran.stderr


def test_the_wheel_names_program_licence_and_python(wheel):
    files = {name.split("/", 1)[1]: name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" in name}
    metadata = zipfile.ZipFile(wheel).read(files["METADATA"]).decode()
    assert "hummingface = hf_model.cli.main:main" in zipfile.ZipFile(wheel).read(files["entry_points.txt"]).decode()
    assert "License-Expression: MIT" in metadata
    assert "Requires-Python: <3.14,>=3.11" in metadata
    assert "licenses/LICENSE" in files


# ---------------------------------------------------------------------------------------------- what is declared


def requirements(*extras: str) -> set[str]:
    """Names of the distributions that an installation with these extras asks for by itself."""
    wanted = list(PROJECT["dependencies"])
    for extra in extras:
        wanted += PROJECT["optional-dependencies"][extra]
    return {canonicalize_name(Requirement(text).name) for text in wanted} - {"hummingface"}


@cache
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(
        "hf_model", "stages", include_external_packages=True, exclude_type_checking_imports=True, cache_dir=None
    )


def third_party(modules: set[str]) -> set[str]:
    """Distributions that these modules import, at the top or inside a function."""
    homes = packages_distributions()
    found = set()
    for module in modules:
        for imported in graph().find_modules_directly_imported_by(module):
            top = imported.split(".")[0]
            if top not in sys.stdlib_module_names and top not in {"hf_model", "stages"}:
                # MLflow's module comes from three distributions; the one with its own name is asked for.
                found.add(canonicalize_name(min(homes.get(top, [top]), key=len)))
    return found


def reachable(start: str) -> set[str]:
    ours = {m for m in graph().find_upstream_modules(start) if m.split(".")[0] in {"hf_model", "stages"}}
    return ours | {start}


def test_everything_imported_is_declared():
    everything = {m for m in graph().modules if m.split(".")[0] in {"hf_model", "stages"}}
    undeclarable = {"basic-pitch"}  # pyproject.toml says why; `make peers` installs it
    extras = set(PROJECT["optional-dependencies"]) - {"dev"}
    assert third_party(everything) <= requirements(*extras) | undeclarable


OPTIONAL = {"huggingface-hub": "hub", "music21": "score"} | dict.fromkeys(
    ("fastapi", "gradio", "pillow", "starlette", "uvicorn"), "app"
)
"""What the program imports only when it is asked for something, by the extra that brings it; a sentence tells."""


def test_the_program_imports_only_core_dependencies():
    assert third_party(reachable("hf_model.cli.main")) <= requirements() | set(OPTIONAL)
    assert set(OPTIONAL) <= requirements(*OPTIONAL.values())


def test_core_dependencies_are_all_used():
    # PyAV's distribution and module are named alike; torch is imported everywhere.
    assert requirements() <= third_party({m for m in graph().modules if m.startswith("hf_model")})


def test_training_imports_only_what_a_gpu_node_has():
    assert third_party(reachable("hf_model.training.trainer")) <= requirements("train") | set(OPTIONAL)


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return {
        canonicalize_name(requirement.name): str(next(iter(requirement.specifier)).version)
        for line in lines
        if line and not line.startswith("#")
        for requirement in [Requirement(line)]
    }


def test_every_pin_is_exact_and_in_the_declared_range():
    pinned = pins()
    extras = PROJECT["optional-dependencies"].values()
    for text in [*PROJECT["dependencies"], *(text for extra in extras for text in extra)]:
        requirement = Requirement(text)
        name = canonicalize_name(requirement.name)
        if name != "hummingface":
            assert requirement.specifier.contains(pinned[name]), f"{text} against {pinned[name]}"


def test_no_pin_names_a_build_that_only_one_machine_has():
    assert not [f"{name}=={version}" for name, version in pins().items() if "+" in version]


# ---------------------------------------------------------------------------------------------- fast to start


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["convert", "--help"], ["info"]])
def test_answers_without_torch(arguments):
    program = (
        "import sys, contextlib\nfrom hf_model.cli.main import main\n"
        f"with contextlib.suppress(SystemExit):\n    main({arguments!r})\n"
        "heavy = {'torch', 'scipy', 'matplotlib', 'numba', 'av'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    ran = python("-c", program, cwd=ROOT)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout


def test_importing_the_package_is_cheap_and_its_names_exist():
    ran = python("-c", "import sys, hf_model; assert not {'torch', 'numpy'} & set(sys.modules)", cwd=ROOT)
    assert ran.returncode == 0, ran.stderr
    assert all(hasattr(hf_model, name) for name in hf_model.__all__)
    with pytest.raises(AttributeError, match="no attribute 'convrt'"):
        hf_model.convrt  # noqa: B018


# ---------------------------------------------------------------------------------------- what the README promises


def targets() -> dict[str, str]:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z]+):[^#\n]*##\s*(.+)$", text, re.MULTILINE))


def test_every_make_command_in_the_readme_exists():
    named = set(re.findall(r"\bmake ([a-z]+)\b", "\n".join(code_blocks())))
    assert {"run", "test"} <= named
    assert named <= set(targets())


def test_make_offers_what_the_house_needs():
    assert set(targets()) >= {"setup", "run", "test", "check", "repro", "ui", "format", "clean", "help"}


def code_blocks() -> list[str]:
    return re.findall(r"^```\w*\n(.*?)^```", README, re.MULTILINE | re.DOTALL) + re.findall(r"`([^`\n]+)`", README)


def test_every_link_in_the_readme_leads_somewhere():
    links = re.findall(r"\]\(([^)#\s]+)", README) + re.findall(r'(?:src|href)="([^"#]+)"', README)
    missing = [link for link in links if "://" not in link and not (ROOT / link).exists()]
    assert not missing


def test_every_option_in_the_readme_is_known_to_the_program():
    helps = [python("-m", "hf_model.cli.main", *command, "--help", cwd=ROOT) for command in ([], ["convert"])]
    known = " ".join(answer.stdout for answer in helps)
    lines = [line for block in code_blocks() for line in block.splitlines() if "hummingface convert" in line]
    for option in {option for line in lines for option in re.findall(r"(?<= )--[a-z-]+", line)}:
        assert option in known, option


def test_the_changelog_tells_of_this_version():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## \[?{re.escape(hf_model.__version__)}\]?", changelog, re.MULTILINE)


def test_the_citations_name_this_version():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"version: {hf_model.__version__}\n" in citation
    assert f"version = {{{hf_model.__version__}}}" in README


# -------------------------------------------------------------------------------------------- what must not be here


def text_files() -> list[tuple[Path, str]]:
    found = []
    for path in tracked():
        try:
            found.append((path, path.read_text(encoding="utf-8")))
        except UnicodeDecodeError:
            continue
    return found


def test_no_file_names_a_folder_of_one_machine():
    # The places are put together here, so that this file does not name them itself.
    places = [f"/{first}/" for first in ("work", "root", "home", "Users")] + ["/" + "opt/wheels", "/" + "tmp/v3"]
    pattern = re.compile(r"(?<![\w.~$})/-])(?:" + "|".join(re.escape(place) for place in places) + ")")
    named = [f"{path.relative_to(ROOT)}: {match}" for path, text in text_files() for match in pattern.findall(text)]
    assert not named


def test_no_large_file_and_no_recording_of_a_person():
    assert not [path for path in tracked() if path.stat().st_size > 20e6]
    allowed = {ROOT / "examples", ROOT / "hf_model" / "app" / "page"}
    sounds = [path for path in tracked() if path.suffix in {".wav", ".flac", ".mp3", ".m4a", ".ogg"}]
    assert not [path for path in sounds if path.parent not in allowed]


def test_weights_that_ship_are_small_and_have_a_card():
    weights = ROOT / "hf_model" / "weights"
    assert sum(path.stat().st_size for path in weights.rglob("*") if path.is_file()) < 20e6
    for model in weights.rglob("*.safetensors"):
        assert (model.parent / "config.json").is_file()
        assert (model.parent / "README.md").is_file(), f"{model.parent.name} has no model card"


def test_no_module_is_a_drawer_for_everything():
    modules = [*(ROOT / "hf_model").rglob("*.py"), *(ROOT / "stages").rglob("*.py")]
    assert not [path.name for path in modules if path.stem in {"utils", "util", "helpers", "common", "misc"}]
    for path in modules:
        text = path.read_text(encoding="utf-8")
        assert not text or ast.get_docstring(ast.parse(text)), f"{path.name} does not say what it is"


def test_dvc_does_not_call_home():
    config = (ROOT / ".dvc" / "config").read_text(encoding="utf-8")
    assert "analytics = false" in config
    assert "check_update = false" in config
