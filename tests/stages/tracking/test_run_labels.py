"""Names, tags and data sets of runs."""

from __future__ import annotations

import json
import subprocess

import pytest
import yaml

from stages.tracking import datasets, run_labels

PARAMS = {
    "profile": "clean",
    "profiles": {"clean": {"train": {"direct": {"fit": {"learning_rate": 1.0e-3}}}}},
    "download": {},
    "align": {"made_phrases": 300},
    "stft": {},
    "train": {"direct": {"fit": {"learning_rate": 3.0e-3, "seed": 0, "ema": 0.9}}},
}


@pytest.fixture
def committed(tmp_path, monkeypatch):
    """A repository whose params.yaml is committed."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(PARAMS), encoding="utf-8")
    author = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "-A"], [*author, "commit", "-qm", "all"]):
        subprocess.run(["git", *words], check=True)
    return tmp_path


def change(folder, path, value):
    content = yaml.safe_load((folder / "params.yaml").read_text(encoding="utf-8"))
    part = content
    *keys, last = path.split(".")
    for key in keys:
        part = part[key]
    part[last] = value
    (folder / "params.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")


@pytest.mark.usefixtures("committed")
def test_name_tells_model_profile_and_rate():
    assert run_labels.run_name("direct", {"fit": {"learning_rate": 1.0e-3}}) == "direct · clean · lr 1e-3"


def test_name_tells_what_differs_from_the_commit(committed):
    change(committed, "train.direct.fit.seed", 7)
    change(committed, "align.made_phrases", 50)
    change(committed, "profiles.clean.train.direct.fit.learning_rate", 3.0e-4)
    name = run_labels.run_name("direct", {"fit": {"learning_rate": 3.0e-4}})
    assert name == "direct · clean · lr 3e-4 · phrases 50 · seed 7"


def test_long_lists_of_changes_are_cut(committed):
    for name in ("a", "b", "c", "d", "e"):
        change(committed, f"stft.{name}", 1)
    assert run_labels.run_name("direct", {}).endswith(" · a 1 · b 1 · c 1 · and 2 more")


def test_another_profile_is_no_list_of_changes(committed):
    change(committed, "profiles.wide", {"train": {"direct": {"fit": {"ema": 0.5}}}})
    change(committed, "profile", "wide")
    assert run_labels.run_name("direct", {}) == "direct · wide"


def test_tags_tell_experiment_and_commit(committed, monkeypatch):
    monkeypatch.setenv("DVC_EXP_NAME", "slow-lr")
    monkeypatch.setenv("HUMMINGFACE_SWEEP", "rates/001-a")
    subprocess.run(["git", "remote", "add", "origin", "https://ada:s3cret@example.org/a.git"], check=True)
    tags = run_labels.run_tags("direct", "stages/train.py")
    head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    assert tags["mlflow.source.git.commit"] == head
    assert (tags["profile"], tags["dvc.exp"], tags["sweep"], tags["git.dirty"]) == (
        "clean",
        "slow-lr",
        "rates/001-a",
        "false",
    )
    assert "s3cret" not in str(tags)
    change(committed, "align.made_phrases", 1)
    assert run_labels.run_tags("direct", "stages/train.py")["git.dirty"] == "true"


def test_without_git_and_params_there_is_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "")
    assert run_labels.run_name("direct", {}) == "direct · default"
    assert run_labels.run_tags("direct", "a.py")["model"] == "direct"


@pytest.mark.parametrize(
    ("value", "text"), [(0.001, "1e-3"), (0.00025, "2.5e-4"), (0.97, "0.97"), (3, "3"), (20000.0, "2e4"), (0.0, "0")]
)
def test_numbers_are_short(value, text):
    assert run_labels.short_number(value) == text


def test_data_sets_have_hash_and_counts(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data" / "stft").mkdir(parents=True)
    files = [
        {"split": "train", "corpus": "made", "rows": 3, "bytes": 10, "sha256": "a" * 64},
        {"split": "train", "corpus": "ssvd", "rows": 4, "bytes": 20, "sha256": "b" * 64},
        {"split": "valid", "corpus": "made", "rows": 1, "bytes": 5, "sha256": "c" * 64},
    ]
    manifest = {"files": files, "segment_frames": 512}
    (tmp_path / "data" / "stft" / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    train, valid = datasets.dataset_inputs("transcriber", {"train": "training", "valid": "validation", "test": "x"})
    assert (train.dataset.name, valid.dataset.name) == ("made + ssvd (train)", "made (valid)")
    profile = json.loads(train.dataset.profile)
    assert (profile["num_rows"], profile["rows"], profile["bytes"]) == (7, {"made": 3, "ssvd": 4}, 30)
    assert profile["hours"] == round(7 * 5.12 / 3600, 3)
    assert profile["sha256"].startswith(train.dataset.digest)
    files[0]["sha256"] = "d" * 64
    (tmp_path / "data" / "stft" / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    assert datasets.dataset_inputs("transcriber", {"train": "training"})[0].dataset.digest != train.dataset.digest
