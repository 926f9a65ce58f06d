"""dvc.yaml says the truth: every file that a stage imports is a dependency, and nothing else is."""

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
    "stages/_tracking.py": "what MLflow is told changes no output",
    "stages/_mlflow.py": "nor how it is told",
    "stages/_slurm.py": "where a stage runs changes no output",
    "stages/_crew.py": "nor who does its work",
    "stages/__init__.py": "empty",
    "hf_model/__init__.py": "lazy names and the version; every stage imports modules by name",
}

READ_BY = {
    "hf_model/piano.py": ["hf_model/weights/piano"],
    "hf_model/partials.py": ["hf_model/weights/partials"],
    "hf_model/fetch.py": ["hf_model/hashes"],
    "hf_model/tasks.py": ["hf_model/weights/transcriber_made"],  # where params.yaml says "start"
}
"""Files in the package that a module reads."""

READERS = sorted(
    set(re.findall(r'reader="(hf_model\.\w+):', (ROOT / "hf_model/registry.py").read_text(encoding="utf-8")))
)
"""Modules that hf_model.corpora imports by the names in the registry: for reading, not for downloading."""

MODELS = ("transcriber", "synthesizer", "direct")


@cache
def imports(path):
    """Files of this repository that a file imports, also within functions, but not for type checking alone."""
    found = {f"{name.replace('.', '/')}.py" for name in READERS} if path == "hf_model/corpora.py" else set()
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


def reached(start, closed=()):
    """All files that ``start`` imports, directly or not; the ``closed`` ones are not entered, nor counted."""
    seen, waiting = set(), [start]
    while waiting:
        path = waiting.pop()
        if path in seen or path in closed or path in NOT_RESULTS:
            continue
        seen.add(path)
        seen.update(READ_BY.get(path, ()))
        waiting += imports(path)
    return seen


def stages():
    """Every stage as DVC resolves it: name, the file that it runs, and its dependencies in this repository."""
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
    if name == "download":
        return reached(file, closed=[f"{reader.replace('.', '/')}.py" for reader in READERS])
    if not name.startswith("train@"):
        return reached(file)
    others = [f"hf_model/{kind}.py" for kind in MODELS if kind != name.removeprefix("train@")]
    return reached(file, closed=others)


@pytest.mark.parametrize(("name", "file", "body"), stages(), ids=[name for name, *_ in stages()])
def test_every_import_is_a_dependency(name, file, body):
    missing = needed(name, file) - code(body)
    assert not missing, f"add to the deps of {name} in dvc.yaml: {', '.join(sorted(missing))}"


@pytest.mark.parametrize(("name", "file", "body"), stages(), ids=[name for name, *_ in stages()])
def test_no_dependency_is_stale(name, file, body):
    wanted = reached(file) if name.startswith("train@") else needed(name, file)
    stale = code(body) - wanted
    assert not stale, f"remove from the deps of {name} in dvc.yaml: {', '.join(sorted(stale))}"
    assert all((ROOT / dep).exists() for dep in code(body))


def test_every_folder_of_weights_that_a_module_names_is_known():
    for path in (ROOT / "hf_model").glob("*.py"):
        for name in re.findall(r"def load\(.*WEIGHTS / \"(\w+)\"", path.read_text(encoding="utf-8")):
            assert f"hf_model/weights/{name}" in READ_BY.get(f"hf_model/{path.name}", ())


def test_other_models_do_not_retrain_this_one():
    for name, _, body in stages():
        if name.startswith("train@"):
            own = name.removeprefix("train@")
            assert code(body) & {f"hf_model/{kind}.py" for kind in MODELS} == {f"hf_model/{own}.py"}


@pytest.mark.parametrize(("name", "file", "body"), stages(), ids=[name for name, *_ in stages()])
def test_parameters_are_those_that_the_stage_reads(name, file, body):
    section = name.replace("@", ".")
    assert body["params"] == [section, f"profiles.${{profile}}.{section}"]
    asked = "train." if name.startswith("train@") else f'"{section}"'
    assert asked in (ROOT / file).read_text(encoding="utf-8")


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
            if dep.startswith("data/"):
                assert dep in made, f"{name} needs {dep}, which no stage makes"


def test_the_walker_sees_lazy_imports_and_skips_types(tmp_path, monkeypatch):
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


def test_dvc_stays_quiet_and_offline():
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


@pytest.mark.slow
@pytest.mark.parametrize("profile", ["default", "full"])
def test_dvc_understands_the_pipeline(profile, tmp_path):
    """DVC itself resolves every stage of both profiles, in the right order (a dry run among empty files)."""
    (tmp_path / ".dvc").mkdir()
    config = (ROOT / ".dvc" / "config").read_text(encoding="utf-8").replace("[core]", "[core]\n    no_scm = true")
    (tmp_path / ".dvc" / "config").write_text(config, encoding="utf-8")
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8")) | {"profile": profile}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    (tmp_path / "dvc.yaml").write_text((ROOT / "dvc.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    for _, _, body in stages():
        for dep in body["deps"]:
            (tmp_path / dep).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / dep).touch()
    program = Path(sys.executable).with_name("dvc")
    if not program.exists():
        pytest.skip("DVC is not installed beside this Python")
    done = subprocess.run([program, "repro", "--dry"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    ran = [line.split("'")[1] for line in done.stdout.splitlines() if line.startswith("Running stage")]
    assert sorted(ran) == sorted(name for name, *_ in stages())
    assert ran[:3] == ["download", "align", "stft"]
    assert ran[-2:] == ["render", "evaluate"]
