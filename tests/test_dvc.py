"""dvc.yaml: every file that a stage imports is a dependency, and every dependency is needed."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent

NOT_RESULTS = {
    "stages/__init__.py": "empty",
    "stages/cluster": "where a stage runs changes no output",
    "stages/tracking": "what MLflow records changes no output",
    "hf_model/__init__.py": "lazy names and the version; every stage imports modules by name",
}
"""Files and folders that are no dependencies, and why."""

READ_BY = {
    "hf_model/piano/sampled.py": ["hf_model/weights/piano"],
    "hf_model/synthesizer/partials.py": ["hf_model/weights/partials"],
    "hf_model/corpora/catalogue.py": ["hf_model/corpora/registry.toml"],
    "hf_model/corpora/download.py": ["hf_model/corpora/hashes"],
    "hf_model/band/activations.py": ["hf_model/weights/band"],
    "hf_model/instruments/identifier.py": ["hf_model/weights/instruments"],
    "hf_model/music/chords.py": ["hf_model/weights/harmony"],
    "hf_model/music/ensemble/rhythms.py": ["hf_model/weights/rhythms"],
    "hf_model/music/fitted.py": ["hf_model/weights/music"],
    "hf_model/separator/choice.py": ["hf_model/weights/separator"],
    "hf_model/separator/source.py": ["hf_model/weights/source"],
    "hf_model/training/tasks.py": ["hf_model/weights/transcriber_made"],  # "start" in params.yaml
}
"""Data files that a module reads."""

READERS = tuple(f"hf_model/corpora/readers/{path.name}" for path in (ROOT / "hf_model/corpora/readers").glob("*.py"))
"""Modules that hf_model.corpora.catalogue imports by name; the download stage does not use them."""

MODELS = ("transcriber", "synthesizer", "direct")


@cache
def imports(path):
    """Return the files of this repository that a file imports, also in functions, but not for type checking only."""
    found = set(READERS) if path == "hf_model/corpora/catalogue.py" else set()
    for node in _nodes(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} has a relative import"
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            for file in (f"{name.replace('.', '/')}.py", f"{name.replace('.', '/')}/__init__.py"):
                if name.split(".")[0] in ("hf_model", "stages") and (ROOT / file).is_file():
                    found.add(file)
    return frozenset(found)


def _nodes(node):
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        return
    yield node
    for child in ast.iter_child_nodes(node):
        yield from _nodes(child)


def is_in(path, paths):
    """Whether a file is one of the paths, or in one of them."""
    return any(path == one or path.startswith(f"{one}/") for one in paths)


def reached(start, closed=()):
    """Return all files that ``start`` imports, directly or not, without those in ``closed`` and their imports."""
    seen, waiting = set(), [start]
    while waiting:
        path = waiting.pop()
        if path in seen or is_in(path, closed) or is_in(path, NOT_RESULTS):
            continue
        seen.add(path)
        seen.update(READ_BY.get(path, ()))
        waiting += imports(path)
    return {path for path in seen if not path.endswith("/__init__.py") or (ROOT / path).stat().st_size}


def stages():
    """Return name, module file and resolved entry of every stage."""
    pipeline = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    found = []
    for name, stage in pipeline.items():
        for item in stage.get("foreach", [None]):
            body = stage["do"] if item else stage
            text = yaml.safe_dump(body).replace("${item}", item or "")
            body = yaml.safe_load(text)
            file = f"stages/{body['cmd'].split()[2].removeprefix('stages.')}.py"
            found.append((f"{name}@{item}" if item else name, file, body))
    return found


def code(body):
    return {dep for dep in body["deps"] if not dep.startswith("data/")}


def needed(name, file):
    """Return the files that a stage imports, without those of the readers or of the other models."""
    if name == "download":
        return reached(file, closed=READERS)
    if not name.startswith("train@"):
        return reached(file)
    others = [f"hf_model/{kind}" for kind in MODELS if kind != name.removeprefix("train@")]
    return reached(file, closed=others)


@pytest.mark.parametrize(("name", "file", "body"), stages(), ids=[name for name, *_ in stages()])
def test_every_import_is_a_dependency(name, file, body):
    missing = sorted(path for path in needed(name, file) if not is_in(path, code(body)))
    assert not missing, f"add to the deps of {name} in dvc.yaml: {', '.join(missing)}"


@pytest.mark.parametrize(("name", "file", "body"), stages(), ids=[name for name, *_ in stages()])
def test_every_dependency_is_needed(name, file, body):
    wanted = reached(file) if name.startswith("train@") else needed(name, file)
    stale = sorted(dep for dep in code(body) if not any(is_in(path, [dep]) for path in wanted))
    assert not stale, f"remove from the deps of {name} in dvc.yaml: {', '.join(stale)}"
    assert all((ROOT / dep).exists() for dep in code(body))


def test_weights_that_a_module_loads_are_known():
    for path in (ROOT / "hf_model").rglob("*.py"):
        for name in re.findall(r"def load\(.*WEIGHTS / \"(\w+)\"", path.read_text(encoding="utf-8")):
            assert f"hf_model/weights/{name}" in READ_BY.get(str(path.relative_to(ROOT)), ())


def test_train_stages_are_independent():
    for name, _, body in stages():
        if name.startswith("train@"):
            own = name.removeprefix("train@")
            assert code(body) & {f"hf_model/{kind}" for kind in MODELS} == {f"hf_model/{own}"}


@pytest.mark.parametrize(("name", "file", "body"), stages(), ids=[name for name, *_ in stages()])
def test_params_are_those_of_the_stage(name, file, body):
    section = name.replace("@", ".")
    assert body["params"] == [section, f"profiles.${{profile}}.{section}"]
    section_name = "train." if name.startswith("train@") else f'"{section}"'
    assert section_name in (ROOT / file).read_text(encoding="utf-8")


def test_every_profile_has_every_section():
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    sections = [name.replace("@", ".") for name, *_ in stages()]
    for profile, overrides in params["profiles"].items():
        for section in sections:
            part = overrides
            for key in section.split("."):
                assert key in part, f"profiles.{profile} lacks {section}; DVC needs the key, {{}} will do"
                part = part[key]


def test_outputs_of_one_stage_are_inputs_of_the_next():
    made = {out for _, _, body in stages() for out in body.get("outs", []) if isinstance(out, str)}
    for name, _, body in stages():
        for dep in body["deps"]:
            if dep.startswith("data/") and dep != "data/corpora.toml":  # the user's corpora, in git
                assert dep in made, f"{name} needs {dep}, which is no output of a stage"


def test_imports_include_lazy_ones_but_not_types(tmp_path, monkeypatch):
    package = tmp_path / "hf_model"
    package.mkdir()
    for name in ("a", "b", "c", "d"):
        (package / f"{name}.py").touch()
    (package / "a.py").write_text(
        "from typing import TYPE_CHECKING\nfrom hf_model import b\nif TYPE_CHECKING:\n    import hf_model.d\n"
        "def f():\n    from hf_model.c import x\n",
        encoding="utf-8",
    )
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    imports.cache_clear()
    assert reached("hf_model/a.py") == {"hf_model/a.py", "hf_model/b.py", "hf_model/c.py"}
    imports.cache_clear()


def test_dvc_has_no_analytics_and_ignores_byte_code():
    config = (ROOT / ".dvc" / "config").read_text(encoding="utf-8")
    assert "analytics = false" in config
    assert "check_update = false" in config
    ignored = (ROOT / ".dvcignore").read_text(encoding="utf-8")
    assert "__pycache__/" in ignored


def test_metrics_and_plots_stay_in_git():
    evaluate = next(body for name, _, body in stages() if name == "evaluate")
    for kind in ("metrics", "plots"):
        for entry in evaluate[kind]:
            assert all(options == {"cache": False} for options in entry.values())


@pytest.mark.parametrize(
    ("setting", "changed"),
    [
        ("train.transcriber.fit.steps=100", "      steps: 100"),
        ("profile=full", "profile: full"),
        ("profiles.full.evaluate.baseline_files=3", "      baseline_files: 3"),
        ("train.direct.fit.learning_rate=1.0e-4", "      learning_rate: 0.0001"),
    ],
)
def test_dvc_changes_one_line_of_the_parameters(setting, changed, tmp_path):
    """As ``dvc exp run -S`` does it."""
    hydra = pytest.importorskip("dvc.utils.hydra")
    before = (ROOT / "params.yaml").read_text(encoding="utf-8")
    (tmp_path / "params.yaml").write_text(before, encoding="utf-8")
    hydra.apply_overrides(tmp_path / "params.yaml", [setting])
    after = (tmp_path / "params.yaml").read_text(encoding="utf-8").splitlines()
    assert len(after) == len(before.splitlines())
    assert [new for new, old in zip(after, before.splitlines(), strict=True) if new != old] == [changed]


def test_plots_are_tables_of_the_pipeline():
    pipeline = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    files = set()
    for entry in pipeline["plots"]:
        ((name, options),) = entry.items()
        files |= set(options["y"]) if isinstance(options["y"], dict) else {name}
    evaluate = next(body for name, _, body in stages() if name == "evaluate")
    own = {path for kind in ("plots",) for entry in evaluate[kind] for path in entry}
    assert files == own | {f"data/model/{kind}/curve.csv" for kind in MODELS}


@pytest.mark.slow
@pytest.mark.parametrize("profile", ["default", "full"])
def test_dvc_understands_the_pipeline(profile, tmp_path):
    """DVC resolves every stage of both profiles in the right order (a dry run with empty files)."""
    (tmp_path / ".dvc").mkdir()
    config = (ROOT / ".dvc" / "config").read_text(encoding="utf-8").replace("[core]", "[core]\n    no_scm = true")
    (tmp_path / ".dvc" / "config").write_text(config, encoding="utf-8")
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8")) | {"profile": profile}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    (tmp_path / "dvc.yaml").write_text((ROOT / "dvc.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    for _, _, body in stages():
        for dep in body["deps"]:
            path = tmp_path / dep if Path(dep).suffix else tmp_path / dep / "file"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    program = Path(sys.executable).with_name("dvc")
    if not program.exists():
        pytest.skip("DVC is not installed for this Python")
    done = subprocess.run([program, "repro", "--dry"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    ran = [line.split("'")[1] for line in done.stdout.splitlines() if line.startswith("Running stage")]
    assert sorted(ran) == sorted(name for name, *_ in stages())
    main = [name for name in ran if name not in ("instruments", "analysis")]  # only need data/raw
    assert main[:3] == ["download", "align", "stft"]
    assert main[-2:] == ["render", "evaluate"]
