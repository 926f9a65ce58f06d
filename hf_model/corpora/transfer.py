"""One file over HTTP: resumed where it stopped, never larger than expected, verified, whole or not at all."""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from hf_model.config import mask_passwords
from hf_model.files import flush_file

if TYPE_CHECKING:
    import requests
    from rich.progress import Progress, TaskID

RETRIES = 4
"""Retries when a connection fails."""

BACKOFF = 1.0
"""Seconds before the first retry; doubles each time."""

BLOCK = 1 << 16
"""Bytes written at a time: a broken connection loses less than this."""

BLOCKS_PER_CHECK = 256
"""Blocks between two looks at the free disk, where the server does not say how large a file is."""

TIMEOUT = 60
"""Seconds without an answer or a byte before a connection counts as failed."""

RESERVE = 200 * 2**20
"""Bytes of disk to leave free."""

UNKNOWN_FACTOR, UNKNOWN_LEAST = 4, 16 * 2**20
"""A file of unknown size may have as many times the size of its corpus, and at least as many bytes."""


class TransferError(RuntimeError):
    """Why a file was not downloaded, in one line, without passwords."""


def fetch(url: str, target: Path, known_hash: str | None, size: int, limit: int, progress: Progress) -> None:
    """Download a file, unless it is there already.

    Bytes are collected in ``.<hash of the address>.part`` next to the target, also for a later run, and get their name
    when their hash is right and they are on the disk.

    Parameters
    ----------
    url : str
        http or https.
    target : Path
    known_hash : str, optional
        "sha256:..." or "md5:...".
    size : int
        Bytes; 0 if unknown.
    limit : int
        Bytes that a file of unknown size may have.
    progress : Progress

    Raises
    ------
    TransferError
        For a failed connection, a wrong hash, or a file that is larger than expected or than the disk has room for.
    OSError
        If it cannot be written.
    """
    if target.is_file() and (known_hash is None or hash_matches(target, known_hash)):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{hashlib.sha256(url.encode()).hexdigest()[:16]}.part")
    for _ in range(2):  # a part of an earlier run may belong to another version of the file
        _Transfer(url, part, size, size or limit, progress).run()
        if known_hash is None or hash_matches(part, known_hash):
            flush_file(part)
            part.replace(target)
            flush_file(target.parent)
            return
        part.unlink()
    kind = known_hash.partition(":")[0] if known_hash else ""
    raise TransferError(f"{mask_passwords(url)}: its {kind} is not the known one: broken, or another version")


def hash_matches(path: Path, known_hash: str) -> bool:
    """Compare a file with "sha256:..." or "md5:..."."""
    kind, _, expected = known_hash.partition(":")
    with path.open("rb") as file:
        return hashlib.file_digest(file, kind).hexdigest() == expected


class _Transfer:
    def __init__(self, url: str, part: Path, size: int, limit: int, progress: Progress) -> None:
        self.url, self.part, self.size, self.limit, self.progress = url, part, size, limit, progress
        self.shown = mask_passwords(url)

    def run(self) -> None:
        """Complete the part, with retries."""
        import requests

        for attempt in range(RETRIES + 1):
            try:
                self._receive()
            except requests.exceptions.RequestException as error:
                refused = error.response is not None and error.response.status_code < 500  # a retry would fail too
                if refused or attempt == RETRIES:
                    raise TransferError(f"{self.shown}: {_reason(error)}") from None  # its message has the password
            else:
                return
            time.sleep(BACKOFF * 2**attempt)

    def _receive(self) -> None:
        import requests

        done = self.part.stat().st_size if self.part.exists() else 0
        if self.size and done == self.size:
            return
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={done}-"} if done else {})
        with requests.get(self.url, headers=headers, stream=True, timeout=TIMEOUT) as response:
            if response.status_code == requests.codes.requested_range_not_satisfiable:
                self.part.unlink()  # longer than the file itself: start again
                raise requests.exceptions.ConnectionError("the partial download belongs to another file")
            response.raise_for_status()
            if urlsplit(self.url).scheme == "https" and urlsplit(response.url).scheme != "https":
                raise TransferError(f"{self.shown}: leads to an address without encryption")
            if response.status_code != requests.codes.partial_content:
                done = 0  # the server sends all of it again
            elif not response.headers.get("Content-Range", "").startswith(f"bytes {done}-"):
                self.part.unlink()
                raise requests.exceptions.ConnectionError("the server sent another part")
            length = response.headers.get("Content-Length", "")
            total = done + int(length) if length.isdecimal() else None
            if total is not None:
                self._check_size(total)
                self._check_disk(total - done)
            self._write(response, done, total)
        if total is not None and self.part.stat().st_size != total:
            raise requests.exceptions.ConnectionError("the connection ended early")

    def _write(self, response: requests.Response, done: int, total: int | None) -> None:
        with self._shown_progress(done, total) as task, self.part.open("ab" if done else "wb") as file:
            for number, block in enumerate(response.iter_content(BLOCK)):
                done += len(block)
                self._check_size(done)
                if total is None and number % BLOCKS_PER_CHECK == 0:
                    self._check_disk(len(block))
                file.write(block)
                self.progress.advance(task, len(block))

    @contextmanager
    def _shown_progress(self, done: int, total: int | None) -> Iterator[TaskID]:
        task = self.progress.add_task(Path(urlsplit(self.url).path).name, total=total, completed=done)
        try:
            yield task
        finally:
            self.progress.remove_task(task)

    def _check_size(self, size: int) -> None:
        """Refuse a file that is larger than expected; a part of it is useless."""
        if size > self.limit:
            self.part.unlink(missing_ok=True)
            expected = f"{self.size:,} bytes" if self.size else f"at most {self.limit:,} bytes"
            raise TransferError(f"{self.shown}: refused, it is larger than expected ({expected})")

    def _check_disk(self, missing: int) -> None:
        free = shutil.disk_usage(self.part.parent).free
        if missing + RESERVE > free:
            needed = f"{missing / 1e6:,.0f} MB are missing, {free / 1e6:,.0f} MB are free"
            raise TransferError(f"{self.shown}: the disk has no room for it: {needed} in {self.part.parent}")


def _reason(error: requests.exceptions.RequestException) -> str:
    if error.response is not None:
        return f"the server answered {error.response.status_code} {error.response.reason}"
    return f"the connection failed ({type(error).__name__})"
