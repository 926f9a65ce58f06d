"""The project: wheel, dependencies, start-up, README, structure, and files that must not be here."""

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
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT, GROUPS = PYPROJECT["project"], PYPROJECT["dependency-groups"]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def python(*arguments: str, timeout: float = 60, **options) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=timeout, **options)


@cache
def tracked() -> list[Path]:
    """List the files that git tracks or would track."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [path for name in listed.stdout.split("\0") if name and (path := ROOT / name).is_file()]


# ------------------------------------------------------------------------------------------------------ the wheel


one_wheel = pytest.mark.xdist_group("wheel")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    built = python("-m", "hatchling", "build", "-t", "wheel", "-d", str(folder), cwd=ROOT)
    assert built.returncode == 0, built.stderr
    (path,) = folder.glob("*.whl")
    return path


@one_wheel
def test_wheel_contains_only_the_package(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"hf_model", f"hummingface-{hf_model.__version__}.dist-info"}
    assert not [name for name in names if name.endswith((".pyc", ".partial"))]
    expected = {str(p.relative_to(ROOT)) for p in tracked() if p.is_relative_to(ROOT / "hf_model")}
    assert expected <= set(names), "weights, tables and py.typed are included"
    assert "hf_model/py.typed" in names


@one_wheel
def test_wheel_is_small(wheel):
    assert wheel.stat().st_size < 60e6


@one_wheel
def test_wheel_runs_outside_the_repository(wheel, tmp_path):
    zipfile.ZipFile(wheel).extractall(tmp_path)
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import hf_model.cli.main, hf_model.cli.commands.info;"
        f"assert hf_model.__file__.startswith({str(tmp_path)!r}), hf_model.__file__;"
        "print(hf_model.cli.commands.info.WEIGHTS.is_dir()); hf_model.cli.main.main(['--version'])"
    )
    ran = python("-I", "-c", program, cwd=tmp_path)
    assert ran.stdout.split() == ["True", "hummingface", hf_model.__version__], ran.stderr


@one_wheel
def test_wheel_metadata(wheel):
    files = {name.split("/", 1)[1]: name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" in name}
    metadata = zipfile.ZipFile(wheel).read(files["METADATA"]).decode()
    assert "hummingface = hf_model.cli.main:main" in zipfile.ZipFile(wheel).read(files["entry_points.txt"]).decode()
    assert "License-Expression: MIT" in metadata
    assert "Requires-Python: <3.14,>=3.11" in metadata
    assert "licenses/LICENSE" in files


@one_wheel
def test_the_readme_on_pypi_has_absolute_links(wheel):
    (name,) = [name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".dist-info/METADATA")]
    metadata = zipfile.ZipFile(wheel).read(name).decode()
    links = re.findall(r"\]\(([^)\s]+)\)", metadata)
    relative = re.findall(r"\]\((?!https://)([^)\s]+)\)", README)
    assert len(links) >= len(relative) > 10
    assert not [link for link in links if not link.startswith("https://")]
    assert f"{PROJECT['urls']['Repository']}/raw/HEAD/examples/twinkle_piano.png" in links
    assert f"{PROJECT['urls']['Repository']}/blob/HEAD/docs/program.md" in links


def test_all_addresses_of_the_repository_agree():
    repository = PROJECT["urls"]["Repository"]
    owner = repository.removeprefix("https://github.com/")
    assert all(address.startswith(repository) for address in PROJECT["urls"].values())
    own = [path for path, _ in text_files() if path.suffix in {".toml", ".md", ".ipynb", ".cff", ".yml"}]
    pattern = re.compile(r"github(?:\.com)?/([\w.-]+/hummingface)\b", re.IGNORECASE)
    named = {found for path in own for found in pattern.findall(path.read_text(encoding="utf-8"))}
    assert named == {owner}


# ------------------------------------------------------------------------------------------------- dependencies


def requirements(*extras: str) -> set[str]:
    """Return the names of the declared dependencies with these extras."""
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
    """Return the distributions that these modules import, also inside functions."""
    homes = packages_distributions()
    found = set()
    for module in modules:
        for imported in graph().find_modules_directly_imported_by(module):
            top = imported.split(".")[0]
            if top not in sys.stdlib_module_names and top not in {"hf_model", "stages"}:
                # The module mlflow belongs to three distributions; the declared one has its name.
                found.add(canonicalize_name(min(homes.get(top, [top]), key=len)))
    return found


def reachable(start: str) -> set[str]:
    ours = {m for m in graph().find_upstream_modules(start) if m.split(".")[0] in {"hf_model", "stages"}}
    return ours | {start}


def test_everything_imported_is_declared():
    everything = {m for m in graph().modules if m.split(".")[0] in {"hf_model", "stages"}}
    # pyproject.toml says why not basic-pitch, which `make peers` installs; demucs is up to the user
    undeclarable = {"basic-pitch", "demucs"}
    assert third_party(everything) <= requirements(*PROJECT["optional-dependencies"]) | undeclarable


OPTIONAL = {
    **{"huggingface-hub": "hub", "matplotlib": "plot", "music21": "score"},
    **dict.fromkeys(("pocketsphinx", "scipy"), "lyrics"),
    **dict.fromkeys(("rtmidi2", "sounddevice"), "live"),
    **dict.fromkeys(("h11", "pillow", "starlette", "uvicorn"), "app"),
    **dict.fromkeys(("cairosvg", "pypdf", "verovio"), "engrave"),
}
"""Imported only for some commands, with the extra that has it; an error message names the extra."""


def test_program_imports_only_core_dependencies():
    of_demucs = {"demucs", "torch"}  # another separator, which is up to the user
    assert third_party(reachable("hf_model.cli.main")) <= requirements() | set(OPTIONAL) | of_demucs
    assert set(OPTIONAL) <= requirements(*OPTIONAL.values())


def test_core_dependencies_are_all_used():
    assert requirements() <= third_party({m for m in graph().modules if m.startswith("hf_model")})


def test_training_imports_only_its_extra():
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
    groups = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values(), *GROUPS.values()]
    for text in (text for group in groups for text in group if isinstance(text, str)):
        requirement = Requirement(text)
        name = canonicalize_name(requirement.name)
        if name != "hummingface":
            assert requirement.specifier.contains(pinned[name]), f"{text} against {pinned[name]}"


def test_pins_have_no_local_versions():
    assert not [f"{name}=={version}" for name, version in pins().items() if "+" in version]


# ----------------------------------------------------------------------------------------------------- start-up


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["convert", "--help"], ["info"]])
def test_information_commands_do_not_import_torch(arguments):
    program = (
        "import sys, contextlib\nfrom hf_model.cli.main import main\n"
        f"with contextlib.suppress(SystemExit):\n    main({arguments!r})\n"
        "heavy = {'torch', 'scipy', 'matplotlib', 'numba', 'av'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    ran = python("-c", program, cwd=ROOT)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout


def test_import_is_cheap_and_public_names_exist():
    ran = python("-c", "import sys, hf_model; assert not {'torch', 'numpy'} & set(sys.modules)", cwd=ROOT)
    assert ran.returncode == 0, ran.stderr
    assert all(hasattr(hf_model, name) for name in hf_model.__all__)
    with pytest.raises(AttributeError, match="no attribute 'convrt'"):
        hf_model.convrt  # noqa: B018


# ------------------------------------------------------------------------------------------------------- README


def targets() -> dict[str, str]:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z]+):[^#\n]*##\s*(.+)$", text, re.MULTILINE))


def test_every_make_command_in_the_readme_exists():
    named = set(re.findall(r"\bmake ([a-z]+)\b", "\n".join(code_blocks())))
    assert {"run", "test"} <= named
    assert named <= set(targets())


def test_makefile_has_the_usual_targets():
    assert set(targets()) >= {"setup", "run", "test", "check", "repro", "ui", "format", "clean", "help"}


def code_blocks() -> list[str]:
    return re.findall(r"^```\w*\n(.*?)^```", README, re.MULTILINE | re.DOTALL) + re.findall(r"`([^`\n]+)`", README)


def test_links_in_the_readme_exist():
    links = re.findall(r"\]\(([^)#\s]+)", README) + re.findall(r'(?:src|href)="([^"#]+)"', README)
    missing = [link for link in links if "://" not in link and not (ROOT / link).exists()]
    assert not missing


def test_options_in_the_readme_exist():
    helps = [python("-m", "hf_model.cli.main", *command, "--help", cwd=ROOT) for command in ([], ["convert"])]
    known = " ".join(answer.stdout for answer in helps)
    lines = [line for block in code_blocks() for line in block.splitlines() if "hummingface convert" in line]
    for option in {option for line in lines for option in re.findall(r"(?<= )--[a-z-]+", line)}:
        assert option in known, option


def test_changelog_has_this_version():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## \[?{re.escape(hf_model.__version__)}\]?", changelog, re.MULTILINE)


def test_citations_have_this_version():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"version: {hf_model.__version__}\n" in citation
    assert f"version = {{{hf_model.__version__}}}" in README


# ---------------------------------------------------------------------------------------------------- structure


def modules_in(folder: Path) -> list[Path]:
    return [path for path in folder.glob("*.py") if path.name != "__init__.py"]


def test_hf_model_has_few_modules_at_the_top():
    assert len(modules_in(ROOT / "hf_model")) <= 6


def test_packages_have_at_most_14_modules():
    folders = {path.parent for top in ("hf_model", "stages") for path in (ROOT / top).rglob("*.py")}
    sizes = {str(folder.relative_to(ROOT)): len(modules_in(folder)) for folder in folders}
    assert not {name: size for name, size in sizes.items() if size > 14}


def test_readme_and_pipeline_are_short():
    assert len(README.encode()) <= 9000
    assert len((ROOT / "dvc.yaml").read_text(encoding="utf-8").splitlines()) <= 120


def test_names_of_tests_are_short():
    names = [
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"\bdef (test_\w+)", path.read_text(encoding="utf-8"))
    ]
    assert len(names) > 500
    assert not [name for name in names if len(name) >= 60]


# Words that the code does not use, spelled with hyphens so that they are not found here; the last one only as a key of
# reports/metrics.json.
CODE = ("hf_model", "stages", "bench")
AVOIDED_WORDS = "cre-w surround-ings in_a_wor-ld leave_the_oth-ers draw_ne-ar hea-rd".replace("-", "").split()


def test_code_has_no_private_vocabulary():
    pattern = re.compile(rf"(?<![a-z])(?:{'|'.join(AVOIDED_WORDS)})(?![a-z/\"]|\.<)", re.IGNORECASE)
    code = [path for path, _ in text_files() if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in CODE]
    assert len(code) > 150
    found = {str(path.relative_to(ROOT)): pattern.findall(path.read_text(encoding="utf-8")) for path in code}
    assert not {name: words for name, words in found.items() if words}


# -------------------------------------------------------------------------------------------- unwanted files


def text_files() -> list[tuple[Path, str]]:
    found = []
    for path in tracked():
        try:
            found.append((path, path.read_text(encoding="utf-8")))
        except UnicodeDecodeError:
            continue
    return found


def test_no_absolute_paths():
    # Assembled here, so that this file does not contain the paths.
    folders = [f"/{first}/" for first in ("work", "root", "home", "Users")] + ["/" + "opt/wheels", "/" + "tmp/v3"]
    pattern = re.compile(r"(?<![\w.~$})/-])(?:" + "|".join(re.escape(place) for place in folders) + ")")
    named = [f"{path.relative_to(ROOT)}: {match}" for path, text in text_files() for match in pattern.findall(text)]
    assert not named


def test_no_large_files_and_no_recordings():
    assert not [path for path in tracked() if path.stat().st_size > 20e6]
    allowed = {ROOT / "examples", ROOT / "hf_model" / "app" / "page"}
    sounds = [path for path in tracked() if path.suffix in {".wav", ".flac", ".mp3", ".m4a", ".ogg"}]
    assert not [path for path in sounds if path.parent not in allowed]


def test_weights_are_small_and_have_a_card():
    weights = ROOT / "hf_model" / "weights"
    assert sum(path.stat().st_size for path in weights.rglob("*") if path.is_file()) < 60e6
    for model in weights.rglob("*.safetensors"):
        assert (model.parent / "config.json").is_file()
        assert (model.parent / "README.md").is_file(), f"{model.parent.name} has no model card"


def test_no_catch_all_modules_and_every_module_has_a_docstring():
    modules = [*(ROOT / "hf_model").rglob("*.py"), *(ROOT / "stages").rglob("*.py")]
    assert not [path.name for path in modules if path.stem in {"utils", "util", "helpers", "common", "misc"}]
    for path in modules:
        text = path.read_text(encoding="utf-8")
        assert not text or ast.get_docstring(ast.parse(text)), f"{path.name} has no docstring"


def test_dvc_has_no_analytics():
    config = (ROOT / ".dvc" / "config").read_text(encoding="utf-8")
    assert "analytics = false" in config
    assert "check_update = false" in config
