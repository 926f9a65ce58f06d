"""Containers of audio: headers that are wrong about the length, and several recordings one after another in a file."""

from __future__ import annotations

import io
import mmap
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

MIN_GROWN = 0.01
"""Share of the sound by which a file must be longer than its header says for the header to be unfinished."""

MAX_CHUNKS = 10_000
"""Chunks of a file that are looked at."""


@dataclass(frozen=True)
class Sound:
    """Where the sound of one recording lies in a file.

    Attributes
    ----------
    start, stop : int
        First byte of the recording in the file, and the one after its last.
    unfinished : bool
        Whether the header was written before the length was known, and never corrected.
    missing : float
        Share of the sound by the header that is not in the file, 0-1.
    cut : bool
        Whether the file ends within the last piece of the sound.
    patches : mapping of int to bytes
        Corrections of the header, by position in the file.
    """

    start: int
    stop: int
    unfinished: bool = False
    missing: float = 0.0
    cut: bool = False
    patches: Mapping[int, bytes] = field(default_factory=dict)


def find_sounds(path: Path) -> list[Sound]:
    """Find the recordings in a file: one, unless several were joined without an editor, as ``cat`` does."""
    n_bytes = path.stat().st_size
    with path.open("rb") as file:
        magic = file.read(12)
        if magic[:4] == b"OggS":
            starts, end = _ogg_starts(file, n_bytes)
            sounds = _between(starts, n_bytes)
            return [*sounds[:-1], replace(sounds[-1], cut=end > n_bytes)]
        if magic[:4] == b"fLaC":
            return _between(_flac_starts(file), n_bytes)
        if magic[4:8] == b"ftyp":
            return _between(_mp4_starts(file, n_bytes), n_bytes)
        sounds = []
        start = 0
        while start < n_bytes:
            file.seek(start)
            found = _chunked(file, start, n_bytes)
            if found is None:
                break
            sounds.append(found)
            start = found.stop
    return sounds or [Sound(0, n_bytes)]


def open_sound(path: Path, sound: Sound) -> io.BufferedReader:
    """Open a part of a file, with its header corrected, as a file of its own."""
    return io.BufferedReader(_SoundFile(path, sound), 1 << 16)


class _SoundFile(io.RawIOBase):
    """The bytes of one recording."""

    def __init__(self, path: Path, sound: Sound) -> None:
        super().__init__()
        self._file = path.open("rb", buffering=0)
        self._sound, self._at = sound, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        self._file.close()
        super().close()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        origin = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._sound.stop - self._sound.start}[whence]
        self._at = max(0, origin + offset)
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override] # all callers pass a memoryview
        first = self._sound.start + self._at
        self._file.seek(first)
        data = bytearray(self._file.read(max(0, min(len(buffer), self._sound.stop - first))))
        for position, patch in self._sound.patches.items():
            for place, byte in enumerate(patch, start=position - first):
                if 0 <= place < len(data):
                    data[place] = byte
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def _between(starts: list[int], n_bytes: int) -> list[Sound]:
    return [Sound(start, stop) for start, stop in zip(starts, [*starts[1:], n_bytes], strict=True)]


def _ogg_starts(file: io.BufferedReader, n_bytes: int) -> tuple[list[int], int]:
    """Find the pages that begin a stream after pages of another one, and the end of the last page."""
    starts, position, was_first = [0], 0, True
    while position + 27 <= n_bytes:
        file.seek(position)
        page = file.read(27)
        if page[:4] != b"OggS":
            break
        is_first = bool(page[5] & 2)
        if is_first and not was_first:
            starts.append(position)
        was_first = is_first
        position += 27 + page[26] + sum(file.read(page[26]))
    return starts, position


def _flac_starts(file: io.BufferedReader) -> list[int]:
    """Find the beginnings of FLAC streams: the mark and the header of a block that is always 34 bytes long."""
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        starts, position = [0], content.find(b"fLaC\0\0\0\x22", 1)
        while position >= 0:
            starts.append(position)
            position = content.find(b"fLaC\0\0\0\x22", position + 1)
    return starts


def _mp4_starts(file: io.BufferedReader, n_bytes: int) -> list[int]:
    """Find the file types that begin a recording with an index of its own."""
    starts, pending, has_index, position = [0], 0, False, 0
    for _ in range(MAX_CHUNKS):
        file.seek(position)
        box = file.read(16)
        if len(box) < 8:
            break
        size, name = int.from_bytes(box[:4], "big"), box[4:8]
        if name == b"ftyp" and has_index:
            pending, has_index = position, False
        if name == b"moov":
            has_index = True
            if pending:
                starts.append(pending)
                pending = 0
        size = int.from_bytes(box[8:16], "big") if size == 1 else size
        if size < 8 or position + size > n_bytes:
            break
        position += size
    return starts


@dataclass(frozen=True)
class _Chunk:
    """A chunk: its name, where its data begins, its length by the header and where that length is written."""

    name: bytes
    first: int
    n_bytes: int
    size_at: int


def _chunked(file: io.BufferedReader, start: int, n_bytes: int) -> Sound | None:
    """Find the sound of a container of chunks (wav, RF64, W64, AIFF, CAF) or of an au file."""
    magic = file.read(40)
    if magic[:4] in {b"RIFF", b"RIFX", b"RF64", b"BW64"} and magic[8:12] == b"WAVE":
        order, data_name = ("big" if magic[:4] == b"RIFX" else "little"), b"data"
        chunks = _chunks(file, start + 12, n_bytes, order)
    elif magic[:4] == b"FORM" and magic[8:12] in {b"AIFF", b"AIFC"}:
        chunks, data_name = _chunks(file, start + 12, n_bytes, "big"), b"SSND"
    elif magic[:4] == b"riff" and magic[24:28] == b"wave":
        chunks, data_name = _w64_chunks(file, start + 40, n_bytes), b"data"
    elif magic[:4] == b"caff":
        chunks, data_name = _caf_chunks(file, start + 8, n_bytes), b"data"
    elif magic[:4] == b".snd":
        first = start + int.from_bytes(magic[4:8], "big")
        chunks, data_name = iter([_Chunk(b".snd", first, int.from_bytes(magic[8:12], "big"), start + 8)]), b".snd"
    else:
        return None
    long_size = None
    for chunk in chunks:
        if chunk.name == b"ds64":
            long_size = chunk
        if chunk.name == data_name:
            return _sound(file, start, n_bytes, chunk, long_size)
    return None


def _chunks(file: io.BufferedReader, position: int, n_bytes: int, order: str) -> Iterator[_Chunk]:
    for _ in range(MAX_CHUNKS):
        if position + 8 > n_bytes:
            return
        file.seek(position)
        head = file.read(8)
        size = int.from_bytes(head[4:], "big" if order == "big" else "little")
        yield _Chunk(head[:4], position + 8, size, position + 4)
        position += 8 + size + size % 2


def _w64_chunks(file: io.BufferedReader, position: int, n_bytes: int) -> Iterator[_Chunk]:
    for _ in range(MAX_CHUNKS):
        if position + 24 > n_bytes:
            return
        file.seek(position)
        head = file.read(24)
        size = int.from_bytes(head[16:], "little")
        yield _Chunk(head[:4], position + 24, max(0, size - 24), position + 16)
        position += -(-max(24, size) // 8) * 8


def _caf_chunks(file: io.BufferedReader, position: int, n_bytes: int) -> Iterator[_Chunk]:
    for _ in range(MAX_CHUNKS):
        if position + 12 > n_bytes:
            return
        file.seek(position)
        head = file.read(12)
        size = int.from_bytes(head[4:], "big")
        yield _Chunk(head[:4], position + 12, size, position + 4)
        position += 12 + size


def _sound(file: io.BufferedReader, start: int, n_bytes: int, chunk: _Chunk, long_size: _Chunk | None) -> Sound:
    """Compare the length of the sound by the header with that of the file."""
    file.seek(start)
    magic = file.read(4)
    width = 8 if magic in {b"riff", b"caff"} else 4
    size, size_at, unknown = chunk.n_bytes, chunk.size_at, 256**width - 1
    if long_size is not None and size == unknown:
        file.seek(long_size.first + 8)
        size, size_at, width = int.from_bytes(file.read(8), "little"), long_size.first + 8, 8
    elif size == unknown and magic in {b".snd", b"caff"}:
        return Sound(start, n_bytes)  # allowed in these: the sound extends to the end
    there = n_bytes - chunk.first
    end = chunk.first + size + (size % 2 if width == 4 else 0)
    never_written = size == 0 and there > 0 and not _is_chunk(file, chunk.first, n_bytes)
    too_large = size > there and size >= 256**width // 2 - 65536
    grown = size < there and there - size > MIN_GROWN * there and _is_sound(file, end, n_bytes)
    if never_written or too_large or (grown and magic != b".snd"):
        length = min(there + (24 if magic == b"riff" else 0), 256**width - 1)
        is_big = magic in {b"RIFX", b"FORM", b".snd", b"caff"}
        return Sound(start, n_bytes, True, patches={size_at: length.to_bytes(width, "big" if is_big else "little")})
    if size > there:
        return Sound(start, n_bytes, missing=1 - max(0, there) / size, cut=True)
    file.seek(end)
    follows = file.read(4) == magic and end + 40 < n_bytes
    return Sound(start, end if follows else n_bytes)


def _is_chunk(file: io.BufferedReader, position: int, n_bytes: int) -> bool:
    """Whether a chunk begins here: a name of letters and a length that the file has."""
    file.seek(position)
    head = file.read(8)
    fits = min(int.from_bytes(head[4:], "little"), int.from_bytes(head[4:], "big")) <= n_bytes - position
    return len(head) == 8 and all(32 <= byte < 127 for byte in head[:4]) and fits


def _is_sound(file: io.BufferedReader, position: int, n_bytes: int) -> bool:
    """Whether what lies here is neither a chunk or a tag nor padding."""
    file.seek(position)
    data = file.read(4096)
    return position < n_bytes and not all(32 <= byte < 127 for byte in data[:3]) and any(data)
