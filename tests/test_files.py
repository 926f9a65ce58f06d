"""Files that are whole, and the leftovers of killed processes."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hf_model import files
from hf_model.config import ConfigError
from hf_model.files import flush_tree, read_json, remove_leftovers, replacing, temporary_path, write_json


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# ------------------------------------------------------------------------------------------------------------ writing
def test_file_is_replaced_at_the_end(tmp_path: Path) -> None:
    final = tmp_path / "a.txt"
    for text in ("first", "second"):
        with replacing(final) as partial:
            partial.write_text(text)
            assert not final.exists() or final.read_text() == "first"
        assert final.read_text() == text
    assert names(tmp_path) == ["a.txt"]


def test_failed_write_keeps_the_older_file(tmp_path: Path) -> None:
    final = tmp_path / "a.txt"
    final.write_text("old")

    def fail() -> None:
        with replacing(final) as partial:
            partial.write_text("half")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        fail()
    assert names(tmp_path) == ["a.txt"]
    assert final.read_text() == "old"


def test_content_is_on_the_disk_before_it_is_renamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    final, events = tmp_path / "a.txt", []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (events.append(final.exists()), fsync(descriptor)))
    with replacing(final) as partial:
        partial.write_text("x")
    assert events == [False, True], "first the file, then its name in the folder"
    with replacing(final, flush=False) as partial:
        partial.write_text("y")
    assert len(events) == 2


def test_long_names_have_a_temporary_name(tmp_path: Path) -> None:
    with replacing(tmp_path / ("\N{SNOWMAN}" * 80)) as partial:
        partial.write_text("x")
    assert names(tmp_path) == ["\N{SNOWMAN}" * 80]


def test_all_files_of_a_folder_are_flushed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_text("x")
    flush_tree(tmp_path)
    flushed: list[Path] = []
    monkeypatch.setattr(files, "flush_file", flushed.append)
    monkeypatch.setattr(sys, "platform", "darwin")
    flush_tree(tmp_path)
    assert sorted(flushed) == [tmp_path / "a", tmp_path / "a" / "b"]


# --------------------------------------------------------------------------------------------------------------- JSON
def test_json_is_written_atomically(tmp_path: Path) -> None:
    write_json(tmp_path / "a" / "m.json", {"b": 1, "a": 2})
    assert (tmp_path / "a" / "m.json").read_text(encoding="utf-8") == '{\n  "a": 2,\n  "b": 1\n}\n'
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a" / "n.json", {"x": float("nan")})
    assert names(tmp_path / "a") == ["m.json"]


def test_digest_is_compared_and_not_part_of_the_content(tmp_path: Path) -> None:
    path, content = tmp_path / "m.json", {"b": [0.1, 1e300, {"c": None}], "a": "ä"}
    write_json(path, content, digest=True)
    assert read_json(path, "copy it") == content
    write_json(path, read_json(path, "copy it") | {"content_sha256": "0"}, digest=True)
    assert read_json(path, "copy it") == content, "an older digest is replaced"
    path.write_text(path.read_text().replace("0.1", "0.2"))
    with pytest.raises(ConfigError, match=r"m\.json is damaged or was edited .*; copy it, or delete content_sha256"):
        read_json(path, "copy it")
    path.write_text(json.dumps({"b": 3}))
    assert read_json(path, "copy it") == {"b": 3}, "files without a digest are read"


@pytest.mark.parametrize("content", [b"", b"[1]", b"null", b"\xff{}", b'{"a": ', b"[" * 100_000])
def test_damaged_json_is_named_with_the_remedy(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.json"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"m\.json (is not valid JSON|must hold a JSON object)[^\n]*; copy it$"):
        read_json(path, "copy it")


# ---------------------------------------------------------------------------------------------------------- leftovers
KILLED = """
import os, signal, sys
from pathlib import Path
from hf_model.files import replacing

with replacing(Path(sys.argv[1])) as partial:
    partial.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_leftover_of_a_killed_process_is_removed(tmp_path: Path, root: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "a.txt")], cwd=root, check=False)
    assert done.returncode == -9
    assert len(names(tmp_path)) == 1
    assert remove_leftovers(tmp_path) == 1
    assert names(tmp_path) == []


def test_files_in_use_are_not_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine, other = temporary_path(tmp_path / "a"), temporary_path(tmp_path / "b")
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        other = other.with_name(other.name.replace(f".{os.getpid()}-", f".{process.pid}-"))
        mine.touch()
        other.touch()
        assert remove_leftovers(tmp_path) == 0
        process.communicate(b"\n")
    assert remove_leftovers(tmp_path) == 1, "its process has ended"
    assert names(tmp_path) == [mine.name]
    monkeypatch.setattr(files, "_START", "0")  # as after the start of a container, where numbers begin anew
    assert remove_leftovers(tmp_path) == 1


def test_files_of_other_computers_are_removed_after_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (f".a.elsewhere-0.{os.getpid()}-0-0.part", ".b.part"):
        (tmp_path / name).touch()
    (tmp_path / "c.part").touch()
    (tmp_path / ".folder.part").mkdir()
    assert remove_leftovers(tmp_path) == 0
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 30 * 24 * 3600)
    assert remove_leftovers(tmp_path) == 0, "a clock that was set back removes nothing"
    monkeypatch.setattr(time, "time", lambda: now + files.MAX_AGE + 60)
    assert remove_leftovers(tmp_path) == 2
    assert names(tmp_path) == [".folder.part", "c.part"]
