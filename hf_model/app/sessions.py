"""Recordings on the server: a folder for each, deleted when the user leaves or after a time without use."""

from __future__ import annotations

import fcntl
import re
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from hf_model.app.limits import Limits, PageError
from hf_model.audio.recording import Recording
from hf_model.music.arrangement import Arranged

PREFIX = "hummingface-page-"
"""Prefix of a server's folder in the system's folder for temporary files."""

FULL = "The server is full. Please try again in a minute."
GONE = "This recording is no longer on the server. Please load it again."

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
    whole, part : Recording, optional
        The decoded recording, and the part that was transcribed.
    tuning : float
        The singer's offset from 440 Hz in semitones.
    arranged : Arranged, optional
        The last arrangement that was rendered.
    version : int
        Number of renderings.
    touched : float
        Time of the last request, on the monotonic clock.
    lock : Lock
        Held while the score is written.
    """

    id: str
    folder: Path
    whole: Recording | None = None
    part: Recording | None = None
    tuning: float = 0.0
    arranged: Arranged | None = None
    version: int = 0
    touched: float = field(default_factory=time.monotonic)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def upload(self) -> Path:
        """The uploaded file, until it is decoded."""
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

    def open(self) -> Session:
        """Add a recording; if there is no space, delete the longest unused one.

        Raises
        ------
        PageError
            If the server is full and every recording was used lately.
        """
        with self._lock:
            now = time.monotonic()
            by_age = sorted(self._sessions.values(), key=lambda session: session.touched)
            spare = iter([session for session in by_age if now - session.touched > self.limits.spare_seconds])
            while not self._has_room():
                oldest = next(spare, None)
                if oldest is None:
                    raise PageError(FULL)
                self._remove(oldest.id)
            name = secrets.token_hex(16)
            folder = self.folder / name
            folder.mkdir(mode=0o700)
            self._sessions[name] = Session(name, folder)
            return self._sessions[name]

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

    def _has_room(self) -> bool:
        # the largest upload must still fit
        allowed = self.limits.disk_bytes - self.limits.upload_bytes
        return len(self._sessions) < self.limits.sessions and sum(_sizes(self.folder)) <= allowed

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
    fcntl.flock(file, fcntl.LOCK_EX)
    return file


def _remove_abandoned(parent: Path) -> None:
    """Delete folders of servers that no longer run."""
    for folder in parent.glob(f"{PREFIX}*"):
        try:
            with (folder / _LOCK).open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue  # in use, of another user, or not a server's
