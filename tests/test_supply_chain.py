"""What is downloaded, loaded and shipped: no pickles, digests everywhere, a list of all components."""

from __future__ import annotations

import ast
import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench.reliability import sbom
from hf_model.corpora.catalogue import CORPORA
from hf_model.weights import WEIGHTS, read_config

ROOT = Path(__file__).resolve().parents[1]
FORBIDDEN_MODULES = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
UNSAFE_CALLS = {
    "eval": "runs text",
    "exec": "runs text",
    "read_pickle": "reads a pickle",
    "to_pickle": "writes a pickle",
    "load_from_checkpoint": "reads a pickle",
    "unsafe_load": "YAML that makes any object",
    "full_load": "YAML that makes any object",
}


def problems(code: str) -> list[str]:
    """Find what loads or runs foreign objects."""
    found = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names if alias.name.split(".")[0] in FORBIDDEN_MODULES]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in FORBIDDEN_MODULES:
            found.append(str(node.module))
        elif isinstance(node, ast.Call):
            found += _unsafe(node)
    return found


def _unsafe(call: ast.Call) -> list[str]:
    function = ast.unparse(call.func)
    options = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
    name = function.rpartition(".")[2]
    if name in UNSAFE_CALLS and (function == name or name not in {"eval", "exec"}):
        return [f"{function}: {UNSAFE_CALLS[name]}"]
    if function == "torch.load" and options.get("weights_only") != "True":
        return ["torch.load without weights_only=True"]
    if function == "trainer.fit" and "ckpt_path" in options and options.get("weights_only") != "True":
        return ["trainer.fit of a checkpoint without weights_only=True"]
    if options.get("allow_pickle") == "True":
        return [f"{function} with allow_pickle=True"]
    if function == "yaml.load":
        return ["yaml.load: YAML that makes any object"]
    if name == "log_model" and not re.match(r"str\(|'", options.get("python_model", "")):
        return ["log_model of an object, which MLflow pickles, instead of the path of its code"]
    return []


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from cloudpickle import dumps",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "trainer.fit(model, ckpt_path=path)",
        "np.load(path, allow_pickle=True)",
        "yaml.load(text, Loader)",
        "pd.read_pickle(path)",
        "mlflow.pyfunc.log_model(name=kind, python_model=Served())",
        "Model.load_from_checkpoint(path)",
        "exec(text)",
    ],
)
def test_the_scan_finds_pickles(code):
    assert len(problems(code)) == 1
    assert problems("torch.load(path, weights_only=True)\nmodel.eval()\nnp.load(path)\nyaml.safe_load(text)") == []


def test_no_pickle_is_loaded_or_written():
    paths = [path for folder in ("hf_model", "stages", "bench") for path in (ROOT / folder).rglob("*.py")]
    assert len(paths) > 150
    found = {str(path.relative_to(ROOT)): problems(path.read_text(encoding="utf-8")) for path in paths}
    assert {name: what for name, what in found.items() if what} == {}


def test_every_shipped_weight_has_its_digest():
    folders = [path.parent for path in WEIGHTS.glob("*/config.json")]
    assert len(folders) >= 7
    for folder in folders:
        settings = read_config(folder)
        digests = {"model.safetensors": settings.get("weights_sha256"), **settings.get("sha256", {})}
        files = {path.name for path in folder.iterdir()} - {"config.json", "README.md"}
        for name in files:
            content = (folder / name).read_bytes()
            assert digests.get(name) == hashlib.sha256(content).hexdigest(), f"{folder.name}/{name}"


def test_downloads_without_a_hash_are_few_encrypted_and_noted():
    unverified = set()
    for corpus in CORPORA.values():
        for archive in corpus.archives:
            if archive.hash is None and not corpus.listed:
                unverified.add(corpus.name)
                assert "hash" in corpus.note, corpus.name
                assert archive.url.startswith("https://") or not archive.url, archive.url
        if corpus.base_url:
            assert corpus.listed, corpus.name
            assert re.search(r"/[0-9a-f]{40}/$", corpus.base_url), "a branch moves, a commit does not"
    assert unverified == {"csd", "lakh_pianoroll", "musedata", "vgmidi", "nsynth", "spotify_songs", "gtzan", "fma"}


def test_known_sizes_belong_to_known_hashes():
    for corpus in CORPORA.values():
        assert set(corpus.sizes()) <= set(corpus.hashes())
    assert all(len(CORPORA[name].sizes()) == len(CORPORA[name].hashes()) for name in ("ssvd", "pop909", "hust_solfege"))


# --------------------------------------------------------------------------------------------------- list of components
def test_list_of_components_has_packages_and_weights():
    content = sbom.components()
    assert (content["bomFormat"], content["specVersion"]) == ("CycloneDX", "1.6")
    by_name = {component["name"]: component for component in content["components"]}
    for name in ("numpy", "onnxruntime", "safetensors"):
        assert by_name[name]["purl"] == f"pkg:pypi/{name}@{by_name[name]['version'].replace('+', '%2B')}"
    assert "pytest" not in by_name, "only what the program needs"
    weights = by_name["weights/transcriber"]
    assert weights["type"] == "machine-learning-model"
    digest = hashlib.sha256((WEIGHTS / "transcriber" / "model.safetensors").read_bytes()).hexdigest()
    assert weights["hashes"] == [{"alg": "SHA-256", "content": digest}]
    assert weights["licenses"] == [{"license": {"name": "MIT"}}]
    references = [component["bom-ref"] for component in content["components"]]
    assert len(references) == len(set(references))


def test_list_of_components_with_an_extra_has_more():
    few, more = (len(sbom.components(extras)["components"]) for extras in ((), ("train",)))
    assert more > few
    assert sbom.components() == sbom.components(), "the same environment gives the same list"


def test_list_of_components_is_a_command(tmp_path):
    command = [sys.executable, "-m", "bench.reliability.sbom", "--extra", "hub", "--out", str(tmp_path / "sbom.json")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "sbom.json").read_text())["components"]
