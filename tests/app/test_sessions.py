"""Recordings on the server, and when they are deleted."""

import dataclasses
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hf_model.app.limits import Limits, PageError, format_duration
from hf_model.app.sessions import FULL, GONE, PREFIX, Sessions

SMALL = Limits(sessions=2, spare_seconds=60.0, idle_seconds=100.0, upload_bytes=1000, disk_bytes=5000)


@pytest.fixture
def sessions(tmp_path: Path):
    made = Sessions(SMALL, tmp_path)
    yield made
    made.close()


def age(session, seconds: float) -> None:
    session.touched -= seconds


def test_every_recording_has_a_private_folder(sessions: Sessions) -> None:
    one, two = sessions.open(), sessions.open()
    assert one.id != two.id
    assert len(one.id) == 32
    assert sessions.find(one.id) is one
    assert one.folder.stat().st_mode & 0o077 == 0
    assert sessions.folder.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("name", ["", "..", "../../etc", "0" * 32, None, 7, "A" * 32])
def test_invalid_ids_find_nothing(sessions: Sessions, name: object) -> None:
    sessions.open()
    with pytest.raises(PageError, match="no longer on the server"):
        sessions.find(name)


def test_a_deleted_recording_leaves_no_file(sessions: Sessions) -> None:
    session = sessions.open()
    session.upload.write_bytes(b"la la la")
    sessions.delete(session.id)
    assert not session.folder.exists()
    with pytest.raises(PageError, match=GONE):
        sessions.find(session.id)
    sessions.delete(session.id)


def test_a_full_server_deletes_the_longest_unused_recording(sessions: Sessions) -> None:
    one, two = sessions.open(), sessions.open()
    with pytest.raises(PageError, match=FULL):
        sessions.open()
    age(one, 61)
    age(two, 70)
    sessions.open()
    assert one.folder.exists()
    assert not two.folder.exists()


def test_disk_space_is_limited(tmp_path: Path) -> None:
    sessions = Sessions(dataclasses.replace(SMALL, sessions=50), tmp_path)
    for _ in range(2):
        sessions.open().upload.write_bytes(bytes(2500))
    with pytest.raises(PageError, match=FULL):
        sessions.open()
    sessions.close()


def test_idle_recordings_are_deleted(sessions: Sessions) -> None:
    one, two = sessions.open(), sessions.open()
    age(one, 101)
    age(two, 101)
    sessions.find(two.id)
    sessions.delete_idle()
    assert not one.folder.exists()
    assert two.folder.exists()


def test_closing_deletes_everything(tmp_path: Path) -> None:
    sessions = Sessions(SMALL, tmp_path)
    sessions.open().upload.write_bytes(b"la")
    sessions.close()
    assert list(tmp_path.iterdir()) == []


def test_folders_of_killed_servers_are_deleted_at_start(tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path\n"
        "from hf_model.app.limits import Limits; from hf_model.app.sessions import Sessions\n"
        "Sessions(Limits(), Path(sys.argv[1])).open().upload.write_bytes(b'la'); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False, timeout=60)
    (left,) = tmp_path.glob(f"{PREFIX}*")
    (tmp_path / f"{PREFIX}foreign").mkdir()
    running, started = Sessions(SMALL, tmp_path), time.monotonic()
    assert not left.exists()
    other = Sessions(SMALL, tmp_path)
    assert running.folder.exists()
    assert (tmp_path / f"{PREFIX}foreign").exists(), "a folder without a lock is not a server's"
    assert time.monotonic() - started < 5
    running.close()
    other.close()


def test_durations_are_formatted() -> None:
    assert [format_duration(s) for s in (60, 600, 90, 45)] == ["a minute", "10 minutes", "1.5 minutes", "45 seconds"]
