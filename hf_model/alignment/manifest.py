"""Pairs of voice and piano on one time axis, and the Parquet manifest that describes them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from hf_model.alignment.correction import Correction
from hf_model.audio.grid import PIANO_SAMPLE_RATE, resampled_length
from hf_model.files import replacing
from hf_model.notes.note import Note

ROLES = ("train", "measure")
"""A pair of role "measure" is never trained on."""

NOTES_TYPE = pa.list_(
    pa.struct(
        [
            ("onset", pa.float64()),
            ("offset", pa.float64()),
            ("pitch", pa.float32()),
            ("velocity", pa.int16()),
            ("confidence", pa.float32()),
        ]
    )
)
"""Notes in Parquet: seconds, MIDI number (float), 0-127, 0-1."""

_CORRECTION_TYPE = pa.struct(
    [
        ("onset_lag", pa.float64()),
        ("offset_lag", pa.float64()),
        ("tuning", pa.float64()),
        ("octave", pa.int16()),
        ("pitch_bias_hz", pa.float64()),
        ("residual", pa.float64()),
    ]
)

SCHEMA = pa.schema(
    [
        ("pair_id", pa.string()),
        ("corpus", pa.string()),
        ("singer", pa.string()),
        ("licence", pa.string()),
        ("role", pa.string()),
        ("duration", pa.float64()),
        ("n_samples", pa.int64()),
        ("voice_sample_rate", pa.int32()),
        ("notes", NOTES_TYPE),
        ("correction", _CORRECTION_TYPE),
        ("quality", pa.float64()),
        ("kept", pa.bool_()),
        ("reason", pa.string()),
    ]
)
"""The manifest: one row a pair."""

_DIGEST = b"rows_sha256"
"""Key of the file's metadata: :func:`_rows_sha256`. Older files lack it."""


class PairError(ValueError):
    """A pair or a manifest that cannot be used; the message names the file."""


@dataclass(frozen=True)
class Pair:
    """One voice recording and its piano.

    Attributes
    ----------
    pair_id, corpus, singer, licence : str
        ``pair_id`` is unique within its corpus; ``singer`` is unique across corpora.
    role : str
        "train", or "measure" for pairs that are never trained on.
    n_samples, voice_sample_rate : int
        Length and rate (Hz) of the voice.
    notes : tuple of Note
        Corrected, with the sung pitches (float).
    quality : float
        0-1: how well the notes match the voice.
    kept, reason
        Whether the pair is used, and if not, why.
    """

    pair_id: str
    corpus: str
    singer: str
    licence: str
    role: str
    n_samples: int
    voice_sample_rate: int
    notes: tuple[Note, ...] = ()
    correction: Correction = field(default_factory=Correction)
    quality: float = 1.0
    kept: bool = True
    reason: str = ""

    def __post_init__(self) -> None:
        """Check the role."""
        if self.role not in ROLES:
            msg = f"{self.corpus}/{self.pair_id}: role is {self.role!r}, allowed is one of {', '.join(ROLES)}"
            raise PairError(msg)

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.n_samples / self.voice_sample_rate

    @property
    def piano_n_samples(self) -> int:
        """Samples of the piano recording, at ``PIANO_SAMPLE_RATE``."""
        return resampled_length(self.n_samples, self.voice_sample_rate, PIANO_SAMPLE_RATE)


def voice_path(aligned: Path, corpus: str, pair_id: str) -> Path:
    """Path of a pair's voice in the folder of aligned data."""
    return aligned / corpus / "voice" / f"{pair_id}.flac"


def piano_path(aligned: Path, corpus: str, pair_id: str) -> Path:
    """Path of a pair's piano in the folder of aligned data."""
    return aligned / corpus / "piano" / f"{pair_id}.flac"


def notes_to_rows(notes: Iterable[Note]) -> list[dict[str, Any]]:
    """Convert notes to rows of ``NOTES_TYPE``."""
    return [asdict(note) for note in notes]


def rows_to_notes(rows: Iterable[Mapping[str, Any]]) -> list[Note]:
    """Convert rows of ``NOTES_TYPE`` to notes."""
    return [Note(**row) for row in rows]


def write_manifest(path: Path | str, pairs: Iterable[Pair]) -> None:
    """Write the pairs of a corpus as Parquet, sorted by id."""
    rows = []
    for pair in sorted(pairs, key=lambda pair: pair.pair_id):
        row = asdict(pair)
        row["notes"] = list(row["notes"])
        rows.append({**row, "duration": pair.duration})
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    table = table.replace_schema_metadata({_DIGEST: _rows_sha256(table.to_pylist())})
    with replacing(path) as partial:
        pq.write_table(table, str(partial), compression="zstd", write_page_checksum=True)


def read_manifest(path: Path | str) -> list[Pair]:
    """Read a manifest written by :func:`write_manifest`.

    Raises
    ------
    PairError
        If the file is missing or damaged; the message names it and how to rebuild it.
    """
    try:
        with pq.ParquetFile(str(path), page_checksum_verification=True) as file:
            digest = (file.schema_arrow.metadata or {}).get(_DIGEST)
            rows = file.read().cast(SCHEMA).to_pylist()
        if digest is not None and digest != _rows_sha256(rows):
            msg = "its digest differs"
            raise ValueError(msg)
        return [_row_to_pair(row) for row in rows]
    except (OSError, pa.ArrowException, LookupError, TypeError, ValueError) as error:
        found = "is missing" if isinstance(error, FileNotFoundError) else f"is damaged ({' '.join(str(error).split())})"
        msg = f"{path}: {found}; rebuild it: dvc repro --force align"
        raise PairError(msg) from error


def _row_to_pair(row: dict[str, Any]) -> Pair:
    del row["duration"]
    row["notes"] = tuple(rows_to_notes(row["notes"]))
    row["correction"] = Correction(**row["correction"])
    return Pair(**row)


def _rows_sha256(rows: list[dict[str, Any]]) -> bytes:
    """Hash the values of all rows: Parquet's own checksums do not cover its headers."""
    return hashlib.sha256(repr([sorted(row.items()) for row in rows]).encode()).hexdigest().encode()


def read_manifests(aligned: Path | str) -> list[Pair]:
    """Read the manifests of all corpora in a folder, sorted by name.

    Raises
    ------
    PairError
        If there is none.
    """
    paths = sorted(Path(aligned).glob("*/manifest.parquet"))
    if not paths:
        msg = f"no manifest.parquet in the folders of {aligned}; build them: dvc repro align"
        raise PairError(msg)
    return [pair for path in paths for pair in read_manifest(path)]
