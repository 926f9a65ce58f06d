"""The download stage as a program."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest

from hf_model.files import read_json

PARAMS = "profile: default\nprofiles: {{default: {{}}}}\ndownload: {download}\n"


@pytest.fixture
def run(tmp_path, root):
    """`run("{corpora: [made]}", mirror)` runs the stage in an empty folder."""

    def stage(download, mirror=""):
        (tmp_path / "params.yaml").write_text(PARAMS.format(download=download), encoding="utf-8")
        environment = {**os.environ, "PYTHONPATH": str(root), "HUMMINGFACE_MIRROR": str(mirror)}
        command = [sys.executable, "-m", "stages.download"]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    stage.raw = tmp_path / "data/raw"
    return stage


def refused(result):
    assert result.returncode == 1
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert "Traceback" not in result.stderr
    return result.stderr


def test_synthetic_corpus_needs_no_mirror(run):
    result = run("{corpora: [made]}")
    assert result.returncode == 0, result.stderr
    assert [path.name for path in run.raw.iterdir()] == ["corpora.json"]
    assert json.loads((run.raw / "corpora.json").read_text())["made"]["licence"] == "CC0 1.0"


def test_repeated_run_gives_the_same_bytes(run):
    run("{}")
    first = (run.raw / "corpora.json").read_bytes()
    run("{}")
    assert (run.raw / "corpora.json").read_bytes() == first


def test_a_licence_must_be_accepted(run):
    error = refused(run("{corpora: [made, csd]}"))
    assert "the licence of csd, 'CC BY-NC-SA 4.0', is not permissive" in error
    assert "download.accept_license" in error
    assert not run.raw.exists()


def test_missing_mirror_leaves_no_output(run, tmp_path):
    assert "ssvd: " in refused(run("{corpora: [ssvd]}", tmp_path / "nowhere"))
    assert not run.raw.exists()
    assert [path.name for path in tmp_path.glob("data/.*")] == [".raw.lock"]


@pytest.mark.data
def test_real_corpora_from_the_mirror(run, mirror):
    settings = "{corpora: [made, ssvd, hust_solfege, vocadito, csd], accept_license: [CC BY-NC-SA 4.0]}"
    result = run(settings, mirror)
    assert result.returncode == 0, result.stderr
    report = read_json(run.raw / "corpora.json", "")
    assert {name: entry["files"] for name, entry in report.items()} == {
        "made": 0,
        "ssvd": 124,
        "hust_solfege": 131,
        "vocadito": 2,
        "csd": 3,
    }
    assert len(report["ssvd"]["left_out"]) == 8
    assert not (run.raw / "ssvd/train&valid/1252.flac").exists()


@pytest.mark.data
def test_wrong_byte_in_the_mirror_stops_the_stage(run, mirror, tmp_path):
    copy = tmp_path / "mirror"
    shutil.copytree(mirror / "hust_solfege", copy / "hust_solfege", copy_function=shutil.copyfile)
    path = copy / "hust_solfege/alignment/1075.txt"
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(b"39.79", b"39.78", 1))
    error = refused(run("{corpora: [hust_solfege]}", copy))
    assert "alignment/1075.txt has sha256" in error
    assert not run.raw.exists()
