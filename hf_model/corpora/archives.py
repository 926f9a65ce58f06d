"""Unpack untrusted zip and tar archives: all wanted files or none, and never outside the folder."""

from __future__ import annotations

import lzma
import re
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO

MAX_RATIO = 100
"""Unpacked bytes per packed byte; MIDI and text compress to a tenth at best, audio hardly at all."""

MIN_LIMIT = 64 * 2**20
"""Bytes that an archive of any size may unpack to."""

_BROKEN = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
    RuntimeError,
)


class ArchiveError(ValueError):
    """A broken or malicious archive; the message names it and the member."""


def unpack(
    archive: Path,
    folder: Path,
    *,
    strip: int = 0,
    wanted: Callable[[str], bool] = lambda path: True,  # noqa: ARG005
    max_bytes: int | None = None,
) -> list[str]:
    """Unpack the wanted files of an archive.

    Parameters
    ----------
    archive : Path
        zip, tar, tar.gz, tar.bz2 or tar.xz, detected by content.
    folder : Path
        Target; existing files of the same name are replaced.
    strip : int
        Leading folders to drop from each name; members with fewer folders are skipped.
    wanted : callable
        Called with each stripped name.
    max_bytes : int, optional
        Maximum number of bytes to write; by default ``MAX_RATIO`` times the archive, at least ``MIN_LIMIT``.

    Returns
    -------
    list of str
        Names written, below ``folder``, sorted.

    Raises
    ------
    ArchiveError
        For a broken archive; an absolute name or one with ``..``, wanted or not; a wanted link or device; too many
        bytes. Then no file of it remains in ``folder``.
    """
    limit = max(MIN_LIMIT, MAX_RATIO * archive.stat().st_size) if max_bytes is None else max_bytes
    folder.mkdir(parents=True, exist_ok=True)
    names: list[str] = []
    written = 0
    staging = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=folder))
    try:
        for name, kind, source in _members(archive):
            target = _stripped(_safe(archive, name), strip)
            if target is None or kind == "folder" or not wanted(target):
                continue
            if kind != "file":
                raise ArchiveError(f"{archive}: refused, {name!r} is a {kind}")
            with source() as stream:
                written += _write(stream, staging / target, limit - written, archive)
            names.append(target)
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (staging / name).replace(folder / name)
    except _BROKEN as error:
        raise ArchiveError(f"{archive}: broken archive ({error})") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return sorted(set(names))


def _members(archive: Path) -> Iterator[tuple[str, str, Callable[[], IO[bytes]]]]:
    """Yield name, kind ("file", "folder", "link", ...) and opener of each member, in the archive's order."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            for info in packed.infolist():
                mode = info.external_attr >> 16
                kind = "link" if stat.S_ISLNK(mode) else "folder" if info.is_dir() else "file"
                yield info.filename, kind, lambda info=info: packed.open(info)  # type: ignore[misc]
        return
    with tarfile.open(archive, "r|*") as tape:  # one pass: an archive may have a hundred gigabytes
        for member in tape:
            kind = "file" if member.isreg() else "folder" if member.isdir() else "link or device"
            yield member.name, kind, lambda member=member: _tar_stream(tape, member)  # type: ignore[misc]


def _tar_stream(tape: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    stream = tape.extractfile(member)
    if stream is None:
        raise tarfile.ReadError(f"{member.name} has no content")
    return stream


def _safe(archive: Path, name: str) -> PurePosixPath:
    """Refuse a name that leads outside the folder on any operating system."""
    parts = re.split(r"[/\\]", name)
    if not name or name.startswith(("/", "\\")) or ".." in parts or re.match(r"[A-Za-z]:", name) or "\0" in name:
        raise ArchiveError(f"{archive}: refused, the name {name!r} leads outside the folder")
    return PurePosixPath(name)


def _stripped(path: PurePosixPath, strip: int) -> str | None:
    parts = path.parts[strip:]
    return str(PurePosixPath(*parts)) if parts else None


def _write(stream: IO[bytes], target: Path, budget: int, archive: Path) -> int:
    target.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with target.open("wb") as file:
        while block := stream.read(1 << 20):
            written += len(block)
            if written > budget:
                raise ArchiveError(
                    f"{archive}: refused, it unpacks to far more than its size allows (an archive bomb?)"
                )
            file.write(block)
    return written
