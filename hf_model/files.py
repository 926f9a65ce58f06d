"""Files that are whole: replaced atomically, checked when read; locks; removal of what killed processes left."""

from __future__ import annotations

import ctypes
import hashlib
import itertools
import json
import os
import platform
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from hf_model.config import ConfigError

MAX_AGE = 24 * 3600.0
"""Seconds without a change after which a temporary file of another computer, or one without an owner, is left over."""

CONTENT_DIGEST = "content_sha256"
"""Key of a JSON file: the SHA-256 of everything else in it. A file without the key is not compared."""

WINDOWS = os.name == "nt"

_NAME = re.compile(r".*\.(?P<node>[\w-]+)\.(?P<process>\d+)-(?P<start>[0-9a-f]+)-\d+\.part", re.DOTALL)
_START = f"{time.time_ns():x}"
"""Distinguishes this process from an earlier one with the same number: in a container numbers repeat."""

_numbers = itertools.count()


# ------------------------------------------------------------------------------------------------------------ reading
def read_json(path: Path | str, remedy: str) -> dict[str, Any]:
    """Read a JSON object, without its digest.

    Parameters
    ----------
    path : path
    remedy : str
        How to get the file back, for the message: "run dvc repro --force stft".

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ConfigError
        If it is damaged, or its content does not have the digest in it; the message names the file and the remedy.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        msg = f"{path} is not valid JSON ({' '.join(str(error).split())}); {remedy}"
        raise ConfigError(msg) from error
    if not isinstance(content, dict):
        msg = f"{path} must hold a JSON object, got {type(content).__name__}; {remedy}"
        raise ConfigError(msg)
    if CONTENT_DIGEST in content and content.pop(CONTENT_DIGEST) != _content_sha256(content):
        msg = f"{path} is damaged or was edited ({CONTENT_DIGEST} differs); {remedy}, or delete {CONTENT_DIGEST} in it"
        raise ConfigError(msg)
    return content


def _content_sha256(content: Any) -> str:
    """Hash the values, whatever their layout in the file; floats are written as Python does, also when read back."""
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def file_sha256(path: Path | str) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# ------------------------------------------------------------------------------------------------------------ writing
@contextmanager
def replacing(path: Path | str, *, flush: bool = True) -> Iterator[Path]:
    """Give a temporary path in the same folder, which becomes ``path`` at the end, or is removed after an exception.

    Parameters
    ----------
    path : path
    flush : bool
        Wait until the content is on the disk. Without it the file may be empty after a power failure, although it was
        renamed: only for what is made again in any case.
    """
    final = Path(path)
    partial = temporary_path(final)
    try:
        yield partial
        if flush:
            flush_file(partial)
        partial.replace(final)
        if flush:
            flush_file(final.parent)
    finally:
        partial.unlink(missing_ok=True)


def write_json(path: Path | str, content: Mapping[str, Any], *, indent: int = 2, digest: bool = False) -> None:
    """Write JSON with sorted keys, atomically; the same content gives the same bytes.

    Parameters
    ----------
    path : path
        Its folder is made if it is missing.
    content : mapping
    indent : int
    digest : bool
        Add the SHA-256 of the content, which :func:`read_json` compares.

    Raises
    ------
    ValueError
        If a number is NaN or infinite; nothing is written.
    """
    final = Path(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    if digest:
        rest = {name: value for name, value in content.items() if name != CONTENT_DIGEST}
        content = {**rest, CONTENT_DIGEST: _content_sha256(rest)}
    text = json.dumps(content, indent=indent, sort_keys=True, allow_nan=False) + "\n"
    with replacing(final) as partial:
        partial.write_text(text, encoding="utf-8")


def temporary_path(path: Path) -> Path:
    """Return a hidden name in the folder of ``path``, which no other process and no other call uses."""
    name = path.name if len(os.fsencode(path.name)) < 100 else hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]
    return path.with_name(f".{name}.{_node()}.{os.getpid()}-{_START}-{next(_numbers)}.part")


def flush_file(path: Path) -> None:
    """Wait until a file is on the disk, or the names in a folder, which some file systems refuse."""
    if WINDOWS and path.is_dir():
        return  # a folder cannot be opened there
    with _opened(path) as descriptor:
        try:
            os.fsync(descriptor)
        except OSError:
            if not path.is_dir():
                raise


def flush_tree(folder: Path) -> None:
    """Wait until all files of a folder are on the disk: with one call for its whole file system where there is one."""
    if sys.platform == "linux":
        with _opened(folder) as descriptor:
            ctypes.CDLL(None).syncfs(descriptor)
        return
    for path in folder.rglob("*"):
        flush_file(path)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR if WINDOWS else os.O_RDONLY)  # only a file open for writing is flushed there
    try:
        yield descriptor
    finally:
        os.close(descriptor)


# -------------------------------------------------------------------------------------------------------------- locks
def lock_file(descriptor: int) -> bool:
    """Lock an open file for this process, without waiting; the lock ends when it is closed, or the process ends.

    Parameters
    ----------
    descriptor : int
        Of a file that is open for reading; on Windows, for writing too.

    Returns
    -------
    bool
        Whether this process has the lock now: not if another one has it, or where there are no locks.
    """
    try:
        try:
            import fcntl
        except ImportError:
            return _lock_on_windows(descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _lock_on_windows(descriptor: int) -> bool:
    try:
        import msvcrt
    except ImportError:
        return False
    lock: Callable[[int, int, int], None] = getattr(msvcrt, "locking")  # noqa: B009 (unknown to mypy elsewhere)
    lock(descriptor, getattr(msvcrt, "LK_NBLCK"), 1)  # noqa: B009
    return True


# ---------------------------------------------------------------------------------------------------------- leftovers
def remove_leftovers(folder: Path | str, pattern: str = ".*.part") -> int:
    """Remove temporary files that processes left in a folder when they were killed; returns their number.

    A file of :func:`temporary_path` is left over when its process does not run any more. A file of another computer, or
    of another name, is left over when it has not changed for ``MAX_AGE``; so is any file on Windows, where asking for a
    process by ``os.kill`` would end it.
    """
    removed = 0
    for path in Path(folder).glob(pattern):
        if path.is_file() and _is_left_over(path):
            with suppress(OSError):  # another process was faster
                path.unlink()
                removed += 1
    return removed


def _is_left_over(path: Path) -> bool:
    name = _NAME.fullmatch(path.name)
    if name and name["node"] == _node() and not WINDOWS:
        process = int(name["process"])
        return name["start"] != _START if process == os.getpid() else not _runs(process)
    try:
        return time.time() - path.stat().st_mtime > MAX_AGE
    except OSError:
        return False


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True


def _node() -> str:
    """Name this computer, and the space of process numbers in it: containers may share a name but not their numbers."""
    space = Path("/proc/self/ns/pid")
    number = space.stat().st_ino if space.exists() else 0
    return f"{re.sub(r'[^A-Za-z0-9_-]', '-', platform.node()) or 'unnamed'}-{number:x}"
