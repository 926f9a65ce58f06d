"""The Parquet shards: their schema, and a map-style dataset of their segments.

The voice spectra are complex, so that they invert to audio. The transcriber's training relies on it: it takes the voice
back to audio by the inverse STFT, augments the audio, and transforms it again.
"""

from __future__ import annotations

import ctypes
import os
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from hf_model.alignment.manifest import NOTES_TYPE
from hf_model.audio.grid import StftConfig
from hf_model.shards.manifest import (
    REBUILD,
    SPLITS,
    ShardError,
    check_digests,
    check_sizes,
    read_shard_manifest,
    stft_config,
)

SCHEMA = pa.schema(
    [
        ("pair_id", pa.string()),
        ("corpus", pa.string()),
        ("singer", pa.string()),
        ("licence", pa.string()),
        ("segment", pa.int32()),
        ("n_frames", pa.int32()),
        ("tuning", pa.float32()),
        ("voice_stft", pa.large_binary()),
        ("piano_stft", pa.large_binary()),
        ("notes", NOTES_TYPE),
    ]
)
"""One row a segment. Spectra are float16 bytes of shape (frame, bin, 2), real and imaginary, zero after ``n_frames``.
Notes are those that sound in the segment, in seconds from its start (an onset may be negative), with float pitch; the
piano plays the key nearest to pitch minus ``tuning`` (semitones)."""

VOICE_AUDIO = "voice_audio"
"""Key of a shard's metadata: how the voice spectra invert to audio (:func:`voice_audio`). Older shards lack it."""

COLUMNS = ("voice_stft", "piano_stft", "notes")
_SMALL = ("pair_id", "corpus", "singer", "licence", "segment", "n_frames", "tuning")
_OPEN_FILES = 16


def voice_audio(config: StftConfig) -> dict[str, Any]:
    """Describe how a segment's voice spectrum (frame, bin) inverts to audio: the value of ``VOICE_AUDIO``.

    Up to the rounding to float16, the audio between the centres of the first and last frame equals the recording.
    """
    return {"inverse": "istft", "window": "hann", "center": True, "normalized": False, **asdict(config)}


def pack_spectrum(spectrum: torch.Tensor, n_frames: int) -> bytes:
    """Convert a complex spectrum (frame, bin) to float16 bytes, padded with zeros to ``n_frames`` frames.

    For audio in [-1, 1] no value exceeds ``win_length / 2``, which float16 can represent. torch converts a hundred
    times faster than NumPy.
    """
    packed = torch.zeros(n_frames, spectrum.shape[1], 2, dtype=torch.float16)
    packed[: len(spectrum)] = torch.view_as_real(spectrum)
    return packed.numpy().astype("<f2", copy=False).tobytes()


def unpack_spectrum(packed: pa.Buffer, n_bins: int) -> NDArray[np.complex64]:
    """Convert the bytes of :func:`pack_spectrum` to a spectrum (frame, bin)."""
    # through ctypes, because torch warns about read-only memory; the conversion to float32 copies it
    memory = (ctypes.c_char * packed.size).from_address(packed.address)
    values = torch.frombuffer(memory, dtype=torch.float16).to(torch.float32)
    return np.asarray(values.numpy()).view(np.complex64).reshape(-1, n_bins)


class ShardIndex:
    """A map-style dataset of the segments of one split: an index is a (file, row group, row).

    Files are opened on first use, and again in every process, so that an index can be pickled or forked into
    data-loading workers. The segments' numbers are enough for exact shuffling and exact resuming.

    Parameters
    ----------
    folder : path
        Output of the stft stage.
    split : str
        "train", "valid" or "test".
    columns : sequence of str
        "voice_stft", "piano_stft" or "notes".
    corpora : sequence of str, optional
        All by default.

    Raises
    ------
    ShardError
        If the folder has no usable shards, or lacks a column.
    ValueError
        For an unknown split or column.
    """

    def __init__(
        self,
        folder: Path | str,
        split: str,
        columns: Sequence[str] = ("voice_stft", "notes"),
        corpora: Sequence[str] | None = None,
    ) -> None:
        if split not in SPLITS:
            msg = f"split is {split!r}, allowed is one of {', '.join(SPLITS)}"
            raise ValueError(msg)
        unknown = sorted(set(columns) - set(COLUMNS))
        if unknown:
            msg = f"columns has {unknown[0]!r}, allowed are {', '.join(COLUMNS)}"
            raise ValueError(msg)
        self.folder, self.split, self.columns = Path(folder), split, tuple(columns)
        self.manifest = read_shard_manifest(folder)
        self.voice_config = stft_config(folder, self.manifest, "voice_stft")
        self.piano_config = stft_config(folder, self.manifest, "piano_stft")
        self.segment_frames: int = self.manifest["segment_frames"]
        if "piano_stft" in columns and not self.manifest["piano"]:
            msg = f"{folder}: written without piano_stft; set stft.piano to true in params.yaml and run dvc repro stft"
            raise ShardError(msg)
        self.files = [
            entry
            for entry in self.manifest["files"]
            if entry["split"] == split and (corpora is None or entry["corpus"] in corpora)
        ]
        check_sizes(self.folder, self.files)
        self._starts = np.cumsum([0, *(entry["rows"] for entry in self.files)])
        self._reset_files()

    def __len__(self) -> int:
        """Return the number of segments."""
        return int(self._starts[-1])

    def __getitem__(self, index: int) -> dict[str, Any]:
        """Read one segment.

        Returns
        -------
        dict
            ``voice_stft``, ``piano_stft``: complex64, shape (frame, bin), zero after ``n_frames``;
            ``notes``: float32, shape (note, 4): onset, offset (seconds from the segment's start), pitch, velocity;
            ``n_frames``, ``segment``: int; ``tuning``: float, semitones;
            ``pair_id``, ``corpus``, ``singer``, ``licence``: str.

        Raises
        ------
        IndexError
            If there is no such segment.
        ShardError
            If the shard is damaged; the message names it.
        """
        number, group, row = self._find(index)
        with self._named(number):
            return self._item(self._group(number, group), row)

    def _item(self, table: Any, row: int) -> dict[str, Any]:
        item: dict[str, Any] = {name: table.column(name)[row].as_py() for name in _SMALL}
        for name, config in (("voice_stft", self.voice_config), ("piano_stft", self.piano_config)):
            if name in self.columns:
                item[name] = unpack_spectrum(table.column(name)[row].as_buffer(), config.n_bins)
        if "notes" in self.columns:
            item["notes"] = _notes_to_array(table.column("notes").chunk(0), row)
        return item

    def singers(self) -> list[str]:
        """Read the singer of every segment."""
        columns = (self._read(number, None, ("singer",)) for number in range(len(self.files)))
        return [singer for table in columns for singer in table.column("singer").to_pylist()]

    def packed(self, index: int) -> dict[str, Any]:
        """Read what training needs of one segment, as stored: a third of the time and half of the memory of ``[]``.

        Returns
        -------
        dict
            ``voice_stft``, ``piano_stft``: float16, shape (frame, bin, 2), read-only; ``notes``, ``n_frames`` and
            ``tuning`` as from ``[]``.

        Raises
        ------
        IndexError, ShardError
            As from ``[]``.
        """
        number, group, row = self._find(index)
        with self._named(number):
            return self._packed(self._read(number, group, ("n_frames", "tuning", *self.columns)), row)

    def _packed(self, table: Any, row: int) -> dict[str, Any]:
        item: dict[str, Any] = {name: table.column(name)[row].as_py() for name in ("n_frames", "tuning")}
        for name, config in (("voice_stft", self.voice_config), ("piano_stft", self.piano_config)):
            if name in self.columns:
                halves = np.frombuffer(table.column(name)[row].as_buffer(), dtype="<f2")
                item[name] = halves.reshape(-1, config.n_bins, 2)
        if "notes" in self.columns:
            item["notes"] = _notes_to_array(table.column("notes").chunk(0), row)
        return item

    def rows(self) -> list[dict[str, Any]]:
        """Read all segments in order, without spectra and notes."""
        return [row for number in range(len(self.files)) for row in self._read(number, None, _SMALL).to_pylist()]

    def verify(self) -> None:
        """Compare every file with its hash in the manifest.

        Raises
        ------
        ShardError
            For the first file that differs.
        """
        check_digests(self.folder, self.files)

    def __getstate__(self) -> dict[str, Any]:
        """Pickle without the open files."""
        return {**self.__dict__, "_open": OrderedDict(), "_last": (-1, -1, None)}

    def _find(self, index: int) -> tuple[int, int, int]:
        """Return a segment's file number, row group and row."""
        if not -len(self) <= index < len(self):
            msg = f"segment is {index}, allowed is 0 to {len(self) - 1}"
            raise IndexError(msg)
        index %= len(self)
        number = int(np.searchsorted(self._starts, index, side="right")) - 1
        return number, *divmod(index - int(self._starts[number]), int(self.manifest["rows_per_group"]))

    def _reset_files(self) -> None:
        self._process = os.getpid()
        self._open: OrderedDict[int, pq.ParquetFile] = OrderedDict()
        self._last: tuple[int, int, Any] = (-1, -1, None)

    def _group(self, number: int, group: int) -> Any:
        if self._process != os.getpid():
            self._reset_files()
        if self._last[:2] != (number, group):
            self._last = (number, group, self._read(number, group, (*_SMALL, *self.columns)))
        return self._last[2]

    def _read(self, number: int, group: int | None, columns: Sequence[str]) -> Any:
        with self._named(number):
            file = self._file(number)
            if group is None:
                return file.read(columns=list(columns), use_threads=False)
            return file.read_row_group(group, columns=list(columns), use_threads=False)

    @contextmanager
    def _named(self, number: int) -> Iterator[None]:
        """Name the shard in errors: damaged, or removed while it was used."""
        try:
            yield
        except ShardError:
            raise
        except (OSError, pa.ArrowException, LookupError, TypeError, ValueError) as error:
            self._open.pop(number, None)
            path = self.folder / self.files[number]["path"]
            found = "is missing" if isinstance(error, FileNotFoundError) else f"damaged ({_one_line(error)})"
            msg = f"{path}: {found}; {REBUILD}"
            raise ShardError(msg) from error

    def _file(self, number: int) -> pq.ParquetFile:
        if number not in self._open:
            path = self.folder / self.files[number]["path"]
            self._open[number] = pq.ParquetFile(path, memory_map=True, page_checksum_verification=True)
            if len(self._open) > _OPEN_FILES:
                self._open.popitem(last=False)[1].close()
        self._open.move_to_end(number)
        return self._open[number]


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


def _notes_to_array(column: Any, row: int) -> NDArray[np.float32]:
    """Read one row of notes as (note, 4): onset, offset, pitch, velocity."""
    start, stop = column.offsets[row].as_py(), column.offsets[row + 1].as_py()
    notes = column.values[start:stop]
    fields = [notes.field(name).to_numpy(zero_copy_only=False) for name in ("onset", "offset", "pitch", "velocity")]
    return np.stack(fields, axis=1).astype(np.float32)
