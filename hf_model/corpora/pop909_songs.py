"""Songs of POP909 with all tracks, from which a band and its singers are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hf_model.corpora.readers.scores import load_pop909_song, load_pop909_table
from hf_model.corpora.records import CorpusError, Span
from hf_model.notes.note import Note
from hf_model.notes.pitch import LETTERS

SHAPES = {
    "maj": (0, 4, 7), "min": (0, 3, 7), "dim": (0, 3, 6), "aug": (0, 4, 8), "sus2": (0, 2, 7), "sus4": (0, 5, 7),
    "maj7": (0, 4, 7, 11), "min7": (0, 3, 7, 10), "7": (0, 4, 7, 10), "hdim7": (0, 3, 6, 10), "maj6": (0, 4, 7, 9),
    "min6": (0, 3, 7, 9), "dim7": (0, 3, 6, 9),
}  # fmt: skip
"""Semitones above the root by the name of a chord; other names count as major or minor."""


@dataclass(frozen=True, eq=False)
class Song:
    """All tracks of a song, or of an excerpt; times in seconds.

    Attributes
    ----------
    name : str
        "001" to "909".
    melody : list of Note
        The vocal line, one note at a time.
    bridge, piano : list of Note
        The second melody and the accompaniment.
    beats : ndarray, shape (beat,)
    downbeats : ndarray of bool, shape (beat,)
        Whether a beat begins a bar.
    chords : list of Span
        As published ("B:maj7", "N").
    shift : int
        Semitones by which the chords' names must be transposed, as the notes already are.
    """

    name: str
    melody: list[Note]
    bridge: list[Note]
    piano: list[Note]
    beats: NDArray[np.float64]
    downbeats: NDArray[np.bool_]
    chords: list[Span]
    shift: int = 0

    def chord_at(self, seconds: float) -> tuple[int, ...]:
        """Return the pitch classes of the chord at a time, the root first; empty where there is none."""
        for span in self.chords:
            if span.onset <= seconds < span.offset:
                return chord_pitch_classes(span.name, self.shift)
        return ()


def read_song(path: Path) -> Song:
    """Read a song from its MIDI file and the tables next to it.

    Raises
    ------
    CorpusError
        If it has no melody or no beats.
    """
    melody = load_pop909_song(path, "MELODY")
    rows = load_pop909_table(path.parent / "beat_midi.txt")
    if melody is None or not rows:
        raise CorpusError(f"{path}: no melody, or no beat_midi.txt with beats next to it")
    others = [load_pop909_song(path, track) for track in ("BRIDGE", "PIANO")]
    bridge, piano = ([] if record is None else record.notes for record in others)
    table = np.array([[float(cell) for cell in row] for row in rows])
    line = as_one_voice(melody.notes)
    return Song(path.stem, line, bridge, piano, table[:, 0], table[:, 2] > 0, melody.chords)


def cut_excerpt(song: Song, start: float, seconds: float, stretch: float = 1.0, shift: int = 0) -> Song:
    """Cut ``seconds`` from a song, slower by a factor and transposed; the excerpt begins at 0.

    Notes of the melody that do not fit whole are left out; those of other tracks are cut.
    """
    end = start + seconds / stretch

    def moved(notes: Sequence[Note], whole: bool) -> list[Note]:
        return [
            replace(
                note,
                onset=max(0.0, note.onset - start) * stretch,
                offset=(min(note.offset, end) - start) * stretch,
                pitch=note.pitch + shift,
            )
            for note in notes
            if (
                start <= note.onset and note.offset <= end if whole else note.offset > start and note.onset < end - 0.02
            )
        ]

    near = (song.beats >= start - 2.0) & (song.beats <= end + 2.0)
    return Song(
        song.name,
        moved(song.melody, whole=True),
        moved(song.bridge, whole=False),
        moved(song.piano, whole=False),
        (song.beats[near] - start) * stretch,
        song.downbeats[near],
        [Span((one.onset - start) * stretch, (one.offset - start) * stretch, one.name) for one in song.chords],
        song.shift + shift,
    )


def chord_pitch_classes(name: str, shift: int = 0) -> tuple[int, ...]:
    """Return the pitch classes of a chord ("B:maj7/3"), transposed, the root first; none for "N" and "X"."""
    root, _, rest = name.partition(":")
    if root[:1].lower() not in LETTERS or root in {"N", "X"}:
        return ()
    number = LETTERS[root[0].lower()] + root.count("#") - root[1:].count("b") + shift
    kind = rest.split("/")[0].split("(")[0]
    shape = SHAPES.get(kind) or SHAPES["min" if kind.startswith("min") else "maj"]
    return tuple((number + step) % 12 for step in shape)


def as_one_voice(line: Sequence[Note]) -> list[Note]:
    """Make a sorted melody one voice: overlaps are cut, and notes that are too short to sing left out."""
    cut = [
        replace(note, offset=min(note.offset, after.onset)) if after.onset > note.onset else None
        for note, after in zip(line, [*line[1:], replace(line[-1], onset=1e9, offset=2e9)], strict=True)
    ]
    return [note for note in cut if note and note.duration >= 0.06]
