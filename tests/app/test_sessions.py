"""Recordings on the server, and when they are deleted."""

import dataclasses
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from hf_model.app.limits import BusyError, Limits, PageError, format_duration
from hf_model.app.sessions import FULL, GONE, PREFIX, TOO_MANY, Sessions

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


def write(sessions: Sessions, session, n_bytes: int) -> None:
    sessions.add_bytes(session, n_bytes)
    with session.upload.open("ab") as file:
        file.write(bytes(n_bytes))


def test_disk_space_is_limited_when_a_recording_is_opened(tmp_path: Path) -> None:
    sessions = Sessions(dataclasses.replace(SMALL, sessions=50), tmp_path)
    for _ in range(2):
        write(sessions, sessions.open(), 2500)
    with pytest.raises(BusyError, match=FULL):
        sessions.open()
    sessions.close()


def test_disk_space_is_limited_while_writing(tmp_path: Path) -> None:
    sessions = Sessions(dataclasses.replace(SMALL, sessions=50), tmp_path)
    opened = [sessions.open() for _ in range(20)]
    for session in (opened * 3)[:50]:
        write(sessions, session, 100)
    with pytest.raises(BusyError, match=FULL):
        write(sessions, opened[0], 1)
    assert sum(session.upload.stat().st_size for session in opened) == SMALL.disk_bytes
    sessions.close()


def test_files_that_a_job_wrote_are_counted(tmp_path: Path) -> None:
    sessions = Sessions(dataclasses.replace(SMALL, sessions=50), tmp_path)
    session = sessions.open()
    write(sessions, session, 100)
    session.upload.unlink()
    (session.folder / "voice.npy").write_bytes(bytes(4001))
    sessions.measure(session)
    assert session.n_bytes == 4001
    with pytest.raises(BusyError, match=FULL):
        sessions.open()
    sessions.delete(session.id)
    sessions.open()
    sessions.close()


def test_writing_deletes_unused_recordings_of_others(tmp_path: Path) -> None:
    sessions = Sessions(dataclasses.replace(SMALL, disk_bytes=1500), tmp_path)
    one = sessions.open()
    write(sessions, one, 500)
    two = sessions.open()
    write(sessions, two, 1000)
    age(one, 61)
    age(two, 3600)
    write(sessions, two, 100)
    assert (one.folder.exists(), two.folder.exists()) == (False, True), "a slow upload is not an unused recording"
    sessions.close()


def test_one_client_leaves_places_for_others(tmp_path: Path) -> None:
    limits = dataclasses.replace(SMALL, sessions=5, sessions_per_client=3, disk_bytes=50000)
    sessions = Sessions(limits, tmp_path)
    own = [sessions.open("10.0.0.1") for _ in range(3)]
    for _ in range(100):
        with pytest.raises(BusyError, match=TOO_MANY):
            sessions.open("10.0.0.1")
    other = sessions.open("10.0.0.2")
    age(own[1], 61)
    age(other, 99)
    assert sessions.open("10.0.0.1").folder.exists()
    assert [session.folder.exists() for session in [*own, other]] == [True, False, True, True], (
        "only its own unused one"
    )
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


def test_strange_entries_of_the_temporary_folder_are_left_alone(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "in-use").write_text("a user's own file")
    parent = tmp_path / "tmp"
    parent.mkdir()
    os.mkfifo(parent / f"{PREFIX}pipe")
    for name in ("pipe-as-lock", "link-as-lock", "folder-as-lock", "socket-as-lock", "device-as-lock", "no-access"):
        (parent / f"{PREFIX}{name}").mkdir()
    os.mkfifo(parent / f"{PREFIX}pipe-as-lock" / "in-use")
    (parent / f"{PREFIX}link-as-lock" / "in-use").symlink_to(outside / "in-use")
    (parent / f"{PREFIX}folder-as-lock" / "in-use").mkdir()
    with tempfile.TemporaryDirectory(dir="/tmp") as short, socket.socket(socket.AF_UNIX) as made:
        made.bind(f"{short}/s")  # at most 107 characters
        Path(short, "s").rename(parent / f"{PREFIX}socket-as-lock" / "in-use")
    (parent / f"{PREFIX}device-as-lock" / "in-use").symlink_to("/dev/zero")
    (parent / f"{PREFIX}no-access").chmod(0)
    (parent / f"{PREFIX}link").symlink_to(outside)
    (parent / f"{PREFIX}broken-link").symlink_to(tmp_path / "nowhere")
    (parent / f"{PREFIX}file").write_text("la")
    before = sorted(path.name for path in parent.iterdir())
    began = time.monotonic()
    sessions = Sessions(SMALL, parent)
    assert time.monotonic() - began < 2
    sessions.close()
    assert sorted(path.name for path in parent.iterdir()) == before
    assert (outside / "in-use").read_text() == "a user's own file"


def test_a_folder_of_another_user_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    foreign = tmp_path / f"{PREFIX}foreign"
    foreign.mkdir()
    (foreign / "in-use").touch()
    monkeypatch.setattr("os.geteuid", lambda: foreign.stat().st_uid + 1)
    Sessions(SMALL, tmp_path).close()
    assert foreign.exists()
    monkeypatch.undo()
    Sessions(SMALL, tmp_path).close()
    assert not foreign.exists(), "one's own, of a server that no longer runs"
