"""Notes, and the files they are kept in: MIDI and CSV."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hf_model.pitch import estimate_tuning

LOWEST_KEY, HIGHEST_KEY = 21, 108
"""MIDI numbers of the 88 keys."""

CSV_COLUMNS = ("onset", "offset", "pitch", "note", "velocity", "confidence")


@dataclass(frozen=True, order=True)
class Note:
    """One note.

    Attributes
    ----------
    onset, offset : float
        Seconds from the start of the recording; offset after onset.
    pitch : float
        MIDI number, 69 = 440 Hz; a float as sung, an integer once it is a key.
    velocity : int
        0-127.
    confidence : float
        0-1.

    Raises
    ------
    ValueError
        For a value outside its range.
    """

    onset: float
    offset: float
    pitch: float
    velocity: int = 80
    confidence: float = 1.0

    def __post_init__(self) -> None:
        """Refuse impossible notes."""
        if not (math.isfinite(self.onset) and math.isfinite(self.offset) and self.offset > self.onset):
            msg = f"note must have offset > onset, got onset {self.onset} s, offset {self.offset} s"
            raise ValueError(msg)
        if not 0 <= self.pitch <= 127:
            msg = f"pitch is {self.pitch}, allowed is 0 to 127 (MIDI number)"
            raise ValueError(msg)
        if not 0 <= self.velocity <= 127:
            msg = f"velocity is {self.velocity}, allowed is 0 to 127"
            raise ValueError(msg)
        if not 0 <= self.confidence <= 1:
            msg = f"confidence is {self.confidence}, allowed is 0 to 1"
            raise ValueError(msg)

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.offset - self.onset


def to_arrays(notes: Sequence[Note]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Split notes into intervals (note, 2) in seconds and pitches (note,), as mir_eval takes them."""
    intervals = np.array([(note.onset, note.offset) for note in notes], dtype=np.float64).reshape(-1, 2)
    return intervals, np.array([note.pitch for note in notes], dtype=np.float64)


def to_keys(notes: Sequence[Note], tuning: float | None = None, transpose: int = 0) -> list[Note]:
    """Move sung notes to the keys of a piano.

    Parameters
    ----------
    notes : sequence of Note
        Pitches as sung.
    tuning : float, optional
        The singer's offset from 440 Hz in semitones; estimated from the notes when not given.
    transpose : int
        Semitones.

    Returns
    -------
    list of Note
        Integer pitches 21-108; notes beyond the keyboard are folded in by octaves.
    """
    if tuning is None:
        tuning = estimate_tuning([note.pitch for note in notes], [note.duration for note in notes])
    return [replace(note, pitch=fold_to_keyboard(math.floor(note.pitch - tuning + 0.5) + transpose)) for note in notes]


def fold_to_keyboard(key: int) -> int:
    """Move a key by octaves until it lies on the keyboard (21-108)."""
    if key < LOWEST_KEY:
        key += 12 * math.ceil((LOWEST_KEY - key) / 12)
    if key > HIGHEST_KEY:
        key -= 12 * math.ceil((key - HIGHEST_KEY) / 12)
    return key


def write_midi(
    path: Path | str,
    notes: Iterable[Note],
    tempo: float = 120.0,
    *,
    end: float | None = None,
) -> None:
    """Write notes with integer pitch as a MIDI file: one piano track, times to half a millisecond.

    Parameters
    ----------
    path : path
    notes : iterable of Note
    tempo : float
        Beats a minute.
    end : float, optional
        Seconds; the file lasts at least so long.
    """
    import pretty_midi

    midi = pretty_midi.PrettyMIDI(resolution=960, initial_tempo=tempo)
    piano = pretty_midi.Instrument(program=0, name="HummingFace")
    for note in notes:
        key = fold_to_keyboard(math.floor(note.pitch + 0.5))
        piano.notes.append(pretty_midi.Note(max(1, note.velocity), key, note.onset, note.offset))
    if end is not None:
        piano.control_changes.append(pretty_midi.ControlChange(64, 0, end))
    midi.instruments.append(piano)
    midi.write(str(path))


def read_midi(path: Path | str) -> list[Note]:
    """Read all pitched notes of a MIDI file, sorted by onset.

    Raises
    ------
    ValueError
        If the file is no MIDI file; the message names it.
    """
    import pretty_midi
    from mido import KeySignatureError

    try:
        midi = pretty_midi.PrettyMIDI(str(path))
    except (OSError, EOFError, ValueError, KeyError, IndexError, KeySignatureError) as error:
        msg = f"{path}: not a readable MIDI file ({error})"
        raise ValueError(msg) from error
    found = (
        Note(note.start, note.end, float(note.pitch), note.velocity)
        for instrument in midi.instruments
        if not instrument.is_drum
        for note in instrument.notes
        if note.end > note.start
    )
    return sorted(found)


def write_csv(path: Path | str, notes: Sequence[Note], keys: Sequence[Note]) -> None:
    """Write the pitches as sung beside the keys that the piano plays (columns ``CSV_COLUMNS``; seconds, MIDI numbers).

    Onsets and offsets are those of the keys: as sung too, unless they were put on a grid.
    """
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(CSV_COLUMNS)
        for note, key in zip(notes, keys, strict=True):
            writer.writerow(
                [
                    f"{key.onset:.4f}",
                    f"{key.offset:.4f}",
                    f"{note.pitch:.3f}",
                    int(key.pitch),
                    key.velocity,
                    f"{note.confidence:.3f}",
                ]
            )


def read_csv(path: Path | str) -> tuple[list[Note], list[Note]]:
    """Read what :func:`write_csv` wrote: notes as sung, and keys.

    Raises
    ------
    ValueError
        Naming the file and the line that cannot be read.
    """
    notes, keys = [], []
    with Path(path).open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        missing = set(CSV_COLUMNS) - set(reader.fieldnames or ())
        if missing:
            msg = f"{path}: column {sorted(missing)[0]!r} is missing; expected {','.join(CSV_COLUMNS)}"
            raise ValueError(msg)
        for row in reader:
            try:
                onset, offset = float(row["onset"]), float(row["offset"])
                velocity, confidence = int(row["velocity"]), float(row["confidence"])
                notes.append(Note(onset, offset, float(row["pitch"]), velocity, confidence))
                keys.append(Note(onset, offset, float(int(row["note"])), velocity, confidence))
            except (TypeError, ValueError) as error:
                msg = f"{path}, line {reader.line_num}: {error}"
                raise ValueError(msg) from error
    return notes, keys
