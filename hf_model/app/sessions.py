"""Recordings on the server: a folder for each, deleted when the user leaves or after a time without use."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import stat
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from hf_model.app.limits import BusyError, Limits, PageError
from hf_model.app.stems import StoredStem
from hf_model.audio.recording import Recording
from hf_model.band.listener import Band
from hf_model.files import lock_file
from hf_model.live.known_notes import KnownNotes
from hf_model.music.arrangement import Arranged
from hf_model.notes.note import Note

PREFIX = "hummingface-page-"
"""Prefix of a server's folder in the system's folder for temporary files."""

FULL = "The server is full. Please try again in a minute."
TOO_MANY = "Too many recordings of yours are open. Please try again in a minute."
GONE = "This recording is no longer on the server. Please load it again."

CHANGED = "The notes have changed meanwhile. Please try again."

_LOCK = "in-use"
_ID = re.compile(r"[0-9a-f]{32}")


@dataclass
class Session:
    """One recording of one user.

    Attributes
    ----------
    id : str
        Random, so that it cannot be guessed.
    folder : path
        Folder of all its files.
    client : str
        Whose it is: the number of recordings of one client is limited.
    n_bytes : int
        Size of its files.
    whole, part : Recording, optional
        The decoded recording, and the voice of the part that was transcribed.
    known : KnownNotes, optional
        The notes of the whole recording, if it was transcribed while it arrived.
    tuning : float
        The singer's offset from 440 Hz in semitones.
    transcribed : list of Note
        The notes of the part before any edit.
    band : Band
        What plays beside the voice of a song.
    stems : mapping of {"voice", "backing", "piano"} to StoredStem
        Of a song.
    arranged : Arranged, optional
        The last arrangement that was rendered.
    version : int
        Number of renderings.
    title : str
        Name of the file: the title of the score.
    words : list of str
        What was sung on each note of the last rendering; "_" holds the syllable before.
    touched : float
        Time of the last request, on the monotonic clock.
    lock : Lock
        Held while the score, the cover or a rendering is written.
    """

    id: str
    folder: Path
    client: str = ""
    n_bytes: int = 0
    whole: Recording | None = None
    part: Recording | None = None
    known: KnownNotes | None = None
    tuning: float = 0.0
    transcribed: list[Note] = field(default_factory=list)
    band: Band = field(default_factory=Band)
    stems: dict[str, StoredStem] = field(default_factory=dict)
    arranged: Arranged | None = None
    version: int = 0
    title: str = ""
    words: list[str] = field(default_factory=list)
    touched: float = field(default_factory=time.monotonic)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def upload(self) -> Path:
        """The uploaded file: a song is decoded from it in stereo when its voice is separated."""
        return self.folder / "upload"

    @property
    def voice(self) -> Path:
        """The whole recording, mono at 16 kHz."""
        return self.folder / "voice.npy"


class Sessions:
    """All recordings on the server, and their folder."""

    def __init__(self, limits: Limits, parent: Path | None = None) -> None:
        self.limits = limits
        parent = parent or Path(tempfile.gettempdir())
        _remove_abandoned(parent)
        self.folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
        self._lock_file = _locked(self.folder)
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._sessions)

    def __contains__(self, name: str) -> bool:
        return name in self._sessions

    def open(self, client: str = "") -> Session:
        """Add a recording; if there is no space, delete the longest unused ones.

        Raises
        ------
        BusyError
            If the server is full, or the client has too many recordings, and every one was used lately.
        """
        with self._lock:
            most = self.limits.sessions_per_client
            if not self._make_room(lambda: len(self._of(client)) < most, lambda session: session.client == client):
                raise BusyError(TOO_MANY)
            if not self._make_room(lambda: len(self) < self.limits.sessions and self._holds(self.limits.upload_bytes)):
                raise BusyError(FULL)
            name = secrets.token_hex(16)
            folder = self.folder / name
            folder.mkdir(mode=0o700)
            self._sessions[name] = Session(name, folder, client)
            return self._sessions[name]

    def add_bytes(self, session: Session, n_bytes: int) -> None:
        """Count bytes before they are written to a recording.

        Raises
        ------
        BusyError
            If there is no space for them.
        """
        with self._lock:
            session.touched = time.monotonic()
            if not self._make_room(lambda: self._holds(n_bytes)):
                raise BusyError(FULL)
            session.n_bytes += n_bytes

    def measure(self, session: Session) -> None:
        """Count the files of a recording anew, after a job wrote some."""
        n_bytes = sum(_sizes(session.folder))
        with self._lock:
            session.n_bytes, session.touched = n_bytes, time.monotonic()

    def find(self, name: object) -> Session:
        """Get a recording by its id.

        Raises
        ------
        PageError
            If there is none with this id.
        """
        with self._lock:
            session = self._sessions.get(name) if isinstance(name, str) and _ID.fullmatch(name) else None
            if session is None:
                raise PageError(GONE)
            session.touched = time.monotonic()
            return session

    def delete(self, name: str) -> None:
        """Delete a recording and its files, if it exists."""
        with self._lock:
            self._remove(name)

    def delete_idle(self) -> None:
        """Delete recordings that were not used for ``limits.idle_seconds``."""
        with self._lock:
            now = time.monotonic()
            for session in list(self._sessions.values()):
                if now - session.touched > self.limits.idle_seconds:
                    self._remove(session.id)

    def close(self) -> None:
        """Delete everything."""
        with self._lock:
            self._sessions.clear()
            shutil.rmtree(self.folder, ignore_errors=True)
            self._lock_file.close()

    def _make_room(
        self, is_enough: Callable[[], bool], may_go: Callable[[Session], bool] = lambda _session: True
    ) -> bool:
        """Delete recordings that were not used lately, the longest unused first, until there is enough room."""
        now = time.monotonic()
        unused = [s for s in self._sessions.values() if now - s.touched > self.limits.spare_seconds and may_go(s)]
        for session in sorted(unused, key=lambda session: session.touched):
            if is_enough():
                return True
            self._remove(session.id)
        return is_enough()

    def _holds(self, n_bytes: int) -> bool:
        """Whether so many more bytes fit into the space of all recordings."""
        return sum(session.n_bytes for session in self._sessions.values()) + n_bytes <= self.limits.disk_bytes

    def _of(self, client: str) -> list[Session]:
        return [session for session in self._sessions.values() if session.client == client]

    def _remove(self, name: str) -> None:
        session = self._sessions.pop(name, None)
        if session is not None:
            shutil.rmtree(session.folder, ignore_errors=True)


def _sizes(folder: Path) -> Iterator[int]:
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):
            if path.is_file():
                yield path.stat().st_size


def _locked(folder: Path) -> IO[bytes]:
    """Lock a folder; the lock ends with this process, also when it is killed."""
    file = (folder / _LOCK).open("wb")
    lock_file(file.fileno())
    return file


def _remove_abandoned(parent: Path) -> None:
    """Delete folders of servers that no longer run."""
    for folder in parent.glob(f"{PREFIX}*"):
        is_abandoned = False
        with suppress(OSError), _open_lock(folder) as lock:  # of another user, or not a server's
            is_abandoned = lock_file(lock)
        if is_abandoned:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _open_lock(folder: Path) -> Iterator[int]:
    """Open the lock of a server's folder: follow no link, wait for no pipe, read nothing of another user."""
    if not hasattr(os, "O_DIRECTORY"):  # on Windows, where the folder of temporary files is the user's own
        with (folder / _LOCK).open("rb+") as file:
            yield file.fileno()
        return
    place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        lock = os.open(_LOCK, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=place)
        try:
            if not stat.S_ISREG(os.fstat(lock).st_mode) or os.fstat(place).st_uid != os.geteuid():
                msg = "not a server's folder"
                raise PermissionError(msg)
            yield lock
        finally:
            os.close(lock)
    finally:
        os.close(place)
