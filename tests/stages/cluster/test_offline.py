"""Packages and corpora for nodes without internet: a tiny package and a tiny corpus."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from hf_model.config import ConfigError
from stages import download
from stages.cluster import offline

ROOT = Path(__file__).resolve().parents[3]
# A build backend without dependencies, so that the wheel is built without network.
BACKEND = """
import zipfile
def build_wheel(folder, config_settings=None, metadata_directory=None):
    with zipfile.ZipFile(f"{folder}/tinyproject-1.0-py3-none-any.whl", "w") as wheel:
        info = "tinyproject-1.0.dist-info"
        wheel.writestr("tinyproject.py", "import tinydependency\\nvalue = tinydependency.value + 1\\n")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\\nName: tinyproject\\nVersion: 1.0\\n"
                       "Provides-Extra: more\\nRequires-Dist: tinydependency; extra == 'more'\\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(f"{info}/RECORD", "")
    return "tinyproject-1.0-py3-none-any.whl"
"""
PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "tinyproject"
version = "1.0"
"""


@pytest.fixture
def without_network():
    """`without_network("python", ...)` runs a program without network."""
    words = ["unshare", "--map-root-user", "--net"]
    if not shutil.which("unshare") or subprocess.run([*words, "true"], capture_output=True, check=False).returncode:
        pytest.skip("programs cannot be run without network here (unshare --net)")

    def call(*command, **options):
        return subprocess.run([*words, *command], capture_output=True, text=True, check=False, **options)

    return call


@pytest.fixture
def index(tmp_path, monkeypatch):
    """Two versions of a package in a folder that replaces the index; constraints select the older one."""
    folder = tmp_path / "index"
    folder.mkdir()
    for version in ("1.0", "2.0"):
        with zipfile.ZipFile(folder / f"tinydependency-{version}-py3-none-any.whl", "w") as wheel:
            info = f"tinydependency-{version}.dist-info"
            wheel.writestr("tinydependency.py", f"value = {float(version)}\n")
            wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: tinydependency\nVersion: {version}\n")
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{info}/RECORD", "")
    for name, value in {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder), "PIP_NO_CACHE_DIR": "1"}.items():
        monkeypatch.setenv(name, value)
    return folder


def test_wheels_install_without_network(tmp_path, index, monkeypatch, without_network):
    project = tmp_path / "project"
    project.mkdir()
    (project / "pyproject.toml").write_text(PROJECT, encoding="utf-8")
    (project / "backend.py").write_text(BACKEND, encoding="utf-8")
    (project / "constraints.txt").write_text("tinydependency==1.0\n", encoding="utf-8")
    monkeypatch.chdir(project)
    offline.download_wheels(tmp_path / "wheels", ".[more]", f"{sys.version_info.major}.{sys.version_info.minor}")
    names = sorted(path.name for path in (tmp_path / "wheels").iterdir())
    assert names == ["tinydependency-1.0-py3-none-any.whl", "tinyproject-1.0-py3-none-any.whl"]
    shutil.rmtree(index)
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name)
    python = getattr(sys, "_base_executable", sys.executable)
    words = ["-m", "pip", "install", "-q", "--no-index", "--find-links", str(tmp_path / "wheels"), "--target", "site"]
    done = without_network(python, *words, "-c", "constraints.txt", "tinyproject[more]")
    assert done.returncode == 0, done.stderr
    output = without_network(python, "-c", "import tinyproject; print(tinyproject.value)", env={"PYTHONPATH": "site"})
    assert output.stdout == "2.0\n", output.stderr


@pytest.mark.usefixtures("index")
def test_pip_failure_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").write_text(PROJECT, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="pip wheel failed, see its output above"):
        offline.download_wheels(tmp_path / "wheels", ".", "3.12")


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A repository's parameters, and a mirror with a corpus of two recordings."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["download"] = {"corpora": ["made", "vocadito"], "accept_license": []}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    source = tmp_path / "internet" / "vocadito"
    for name in ("Audio/vocadito_1.wav", "Audio/vocadito_2.wav", "vocadito_metadata.csv"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(name.encode())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HUMMINGFACE_MIRROR", str(tmp_path / "internet"))
    monkeypatch.setattr("hf_model.corpora.corpus._hashes", lambda _: {})
    return tmp_path


def test_download_stage_reads_the_offline_mirror(tree, monkeypatch, capsys):
    offline.main(["offline", "--no-wheels"])
    shutil.rmtree(tree / "internet")
    assert f"export HUMMINGFACE_MIRROR={tree}/offline/mirror" in capsys.readouterr().out
    monkeypatch.setenv("HUMMINGFACE_MIRROR", str(tree / "offline" / "mirror"))
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("the network was used"))
    download.main()
    brought = sorted(
        path.relative_to(tree / "data/raw").as_posix() for path in tree.glob("data/raw/*/**/*") if path.is_file()
    )
    mirrored = sorted(
        p.relative_to(tree / "offline/mirror").as_posix() for p in tree.glob("offline/mirror/**/*") if p.is_file()
    )
    assert brought == mirrored
    assert "vocadito/Audio/vocadito_1.wav" in brought


def test_corpora_option(tree, capsys):
    offline.main(["offline", "--no-wheels", "--corpora", "made"])
    assert not (tree / "offline" / "mirror" / "vocadito").exists()
    assert "pip install --no-index" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="is 'orchestra', allowed is one of made"):
        offline.main(["offline", "--no-wheels", "--corpora", "orchestra"])


@pytest.mark.usefixtures("tree")
def test_extra_and_version_are_checked():
    for words in (["--extra", "all"], ["--python", "3.9"]):
        with pytest.raises(ConfigError, match=words[0]):
            offline.main(["offline", *words])


def test_options_select_the_wheels(tree, monkeypatch):
    calls = []
    monkeypatch.setattr(offline, "download_wheels", lambda *words: calls.append(words))
    offline.main(["offline", "--no-data", "--extra", "train", "--python", "3.12", "--torch", "cu128"])
    assert calls == [(tree / "offline" / "wheels", ".[train]", "3.12", "cu128")]


def test_torch_build_uses_pytorchs_index(tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").write_text(PROJECT, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    calls = []

    def pip(*words):
        calls.append(words)
        (tmp_path / "wheels" / "tinyproject-1.0-py3-none-any.whl").touch()

    monkeypatch.setattr(offline, "_pip", pip)
    offline.download_wheels(tmp_path / "wheels", ".[train]", "3.12", "cu128")
    words = calls[1]
    assert words[words.index("--extra-index-url") + 1] == "https://download.pytorch.org/whl/cu128"
    assert words[words.index("--python-version") + 1] == "3.12"
    assert words[-1] == f"{tmp_path}/wheels/tinyproject-1.0-py3-none-any.whl[train]"
