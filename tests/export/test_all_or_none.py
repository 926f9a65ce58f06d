"""Output files that appear together: all of them or none."""

from __future__ import annotations

from pathlib import Path

import pytest

from hf_model import files
from hf_model.export.all_or_none import DiskError, all_or_none


def test_outputs_are_replaced_together(tmp_path: Path) -> None:
    outputs = {"wav": tmp_path / "a.wav", "csv": tmp_path / "a.csv"}
    outputs["wav"].write_text("old")
    with all_or_none(outputs) as temporary:
        temporary["wav"].write_text("new")
        assert outputs["wav"].read_text() == "old"
        temporary["csv"].write_text("new")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a.wav": "new", "a.csv": "new"}


def test_an_exception_leaves_the_old_outputs(tmp_path: Path) -> None:
    old = tmp_path / "a.wav"
    old.write_text("old")
    outputs = {"wav": old, "csv": tmp_path / "a.csv"}

    def fail_after_writing() -> None:
        with all_or_none(outputs) as temporary:
            temporary["csv"].write_text("new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail_after_writing()
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a.wav": "old"}


def test_a_missing_folder_is_made_only_if_allowed(tmp_path: Path) -> None:
    outputs = {"wav": tmp_path / "new" / "a.wav"}
    with pytest.raises(DiskError, match=r"cannot write to .*new: No such file or directory"), all_or_none(outputs):
        pass
    assert not outputs["wav"].parent.exists()
    with all_or_none(outputs, make_folder=True):
        pass
    assert outputs["wav"].exists()


@pytest.mark.parametrize("has_links", [True, False])
def test_a_failed_rename_brings_the_old_outputs_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_links: bool
) -> None:
    outputs = {kind: tmp_path / f"a.{kind}" for kind in ("wav", "mid", "csv")}
    outputs["wav"].write_text("old")
    outputs["csv"].mkdir()  # a file cannot replace it

    def no_links(*_: object, **__: object) -> None:
        raise OSError("this file system has no links")

    if not has_links:
        monkeypatch.setattr("os.link", no_links)

    def write() -> None:
        with all_or_none(outputs) as temporary:
            for path in temporary.values():
                path.write_text("new")

    with pytest.raises(DiskError, match="cannot write to"):
        write()
    assert {path.name: path.is_file() and path.read_text() for path in tmp_path.iterdir()} == {
        "a.wav": "old",
        "a.csv": False,
    }


def test_a_backup_that_cannot_be_restored_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outputs = {kind: tmp_path / f"a.{kind}" for kind in ("wav", "mid", "csv", "png")}
    for kind in ("wav", "mid", "csv"):
        outputs[kind].write_text(f"old {kind}")
    outputs["png"].mkdir()  # a file cannot replace it
    rename = Path.replace

    def fail_for_one(old: Path, new: Path) -> Path:
        if old.name.startswith(".hummingface.old") and new.name == "a.wav":
            raise OSError("the disk is gone")
        return rename(old, new)

    monkeypatch.setattr(Path, "replace", fail_for_one)

    def write() -> None:
        with all_or_none(outputs) as temporary:
            for path in temporary.values():
                path.write_text("new")

    with pytest.raises(DiskError, match="cannot write to"):
        write()
    contents = {path.name: path.read_text() for path in tmp_path.iterdir() if path.is_file()}
    assert (contents.pop("a.wav"), contents.pop("a.mid"), contents.pop("a.csv")) == ("new", "old mid", "old csv")
    assert list(contents.values()) == ["old wav"]
    monkeypatch.undo()
    monkeypatch.setattr(files, "_START", "0")  # as in another run
    with all_or_none({"wav": outputs["wav"]}):
        pass
    assert "old wav" in [path.read_text() for path in tmp_path.iterdir() if path.is_file()], "it is no leftover"


def test_leftovers_of_a_killed_run_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped = [all_or_none({"wav": tmp_path / f"{number}.wav"}) for number in (1, 2)]
    for one in stopped:
        one.__enter__()["wav"].write_text("half")
    assert len(list(tmp_path.iterdir())) == 2, "both are in use"
    monkeypatch.setattr(files, "_START", "0")  # as in another run
    with all_or_none({"wav": tmp_path / "3.wav"}) as temporary:
        temporary["wav"].write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == ["3.wav"]
