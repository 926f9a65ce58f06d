"""Excerpts of POP909 with beats, chords and keys, on which the musical rules are fitted and measured.

Songs whose number is a multiple of 5 are held out: no musical rule may be fitted on them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hf_model.corpora.pop909_songs import as_one_voice
from hf_model.corpora.readers.scores import load_pop909_song, load_pop909_spans, load_pop909_table
from hf_model.corpora.records import Span
from hf_model.music.tempo import Tempo
from hf_model.notes.note import Note
from hf_model.notes.pitch import LETTERS, NAMES

SECONDS, MAX_REST = 35.0, 3.0
"""Length of an excerpt, and its longest rest if possible."""

RULE_TEST_EVERY = 5
MIN_NOTES = 20
"""Excerpts with fewer notes are left out."""


@dataclass(frozen=True, eq=False)
class Excerpt:
    """About 35 s of a song's melody.

    Attributes
    ----------
    song : str
        "001" to "909".
    notes : list of Note
        As written, the first at 0 s; one voice, transposed into a singer's range.
    beats : ndarray, shape (beat,)
        Seconds on the notes' clock, from before the first note to after the last.
    downbeats : ndarray of bool, shape (beat,)
        Whether a beat begins a bar.
    meter : str
        "4/4", or "3/4" for a bar of three or six beats.
    key : str
        "A minor", of the transposed notes.
    chords : list of Span
        On the notes' clock, transposed ("A:min7", "N").
    """

    song: str
    notes: list[Note]
    beats: NDArray[np.float64]
    downbeats: NDArray[np.bool_]
    meter: str
    key: str
    chords: list[Span]

    @property
    def tempo(self) -> Tempo:
        """The annotated beats and metre."""
        bpm, meter = 60.0 / float(np.median(np.diff(self.beats))), (3, 4) if self.meter == "3/4" else (4, 4)
        return Tempo(bpm, 1.0, tuple(map(float, self.beats)), int(np.argmax(self.downbeats)), meter, 1.0)


def is_rule_test_song(song: str) -> bool:
    """Whether a song is for measuring the musical rules, and never for fitting them: multiples of 5.

    The pianos have a test set of their own: :func:`hf_model.corpora.readers.scores.is_piano_test_song`.
    """
    return int(song) % RULE_TEST_EVERY == 0


def is_development_song(song: str) -> bool:
    """Whether a song is for choosing and calibrating rules of metre and tempo, whose tables are fitted to others."""
    return int(song) % (2 * RULE_TEST_EVERY) == 3


def read_excerpts(mirror: Path, *, held_out: bool, limit: int | None = None) -> list[Excerpt]:
    """Read one excerpt a song, the same ones each time."""
    chosen = [folder for folder in _folders(mirror) if is_rule_test_song(folder.name) == held_out]
    return [excerpt for folder in chosen[:limit] if (excerpt := _read(folder))]


def read_segments(mirror: Path) -> Iterator[tuple[list[Note], str]]:
    """Yield every 35 s of the training songs, half overlapping, as written, with their key ("A minor")."""
    for folder in _folders(mirror):
        if is_rule_test_song(folder.name):
            continue
        record, keys = load_pop909_song(folder / f"{folder.name}.mid"), load_pop909_spans(folder / "key_audio.txt")
        melody = as_one_voice(record.notes) if record else []
        if not melody:
            continue
        for start in np.arange(melody[0].onset, melody[-1].offset - SECONDS / 2, SECONDS / 2):
            segment = [note for note in melody if start <= note.onset and note.offset <= start + SECONDS]
            if len(segment) >= MIN_NOTES:
                yield segment, _key_at(keys, start + SECONDS / 2, 0)


def read_downbeats(mirror: Path, song: str) -> NDArray[np.int64]:
    """Read which beats of a song begin a bar, by index."""
    rows = load_pop909_table(mirror / "pop909" / "POP909" / song / "beat_midi.txt")
    return np.flatnonzero([float(row[2]) > 0 for row in rows])


def _folders(mirror: Path) -> list[Path]:
    return sorted(path for path in (mirror / "pop909" / "POP909").iterdir() if path.is_dir())


def _transposed(name: str, semitones: int) -> str:
    """Transpose "Gb:maj" or "A:min7/b3"; "N" stays."""
    root, colon, rest = name.partition(":")
    if root in {"N", "X"}:
        return name
    number = LETTERS[root[0].lower()] + root.count("#") - root[1:].count("b") + semitones
    return NAMES[number % 12] + colon + rest


def _key_at(spans: Sequence[Span], seconds: float, shift: int) -> str:
    """Name the key at a time, transposed; songs change it."""
    span = min(spans, key=lambda span: max(span.onset - seconds, seconds - span.offset, 0.0))
    tonic, _, mode = _transposed(span.name, shift).partition(":")
    return f"{tonic} {'major' if mode == 'maj' else 'minor'}"


def _read(folder: Path) -> Excerpt | None:
    rng = np.random.default_rng([909, int(folder.name)])
    record = load_pop909_song(folder / f"{folder.name}.mid")
    melody = as_one_voice(record.notes) if record else []
    if record is None or not melody:
        return None
    notes = _cut(melody, rng)
    if len(notes) < MIN_NOTES:
        return None
    start, end = notes[0].onset, notes[-1].offset
    shift = round(float(rng.uniform(52, 72)) - float(np.median([note.pitch for note in notes])))
    rows = np.array([[float(cell) for cell in row] for row in load_pop909_table(folder / "beat_midi.txt")])  # (beat, 3)
    beats = rows[:, 0]
    near = slice(max(0, int(np.searchsorted(beats, start)) - 5), int(np.searchsorted(beats, end)) + 5)
    is_six = np.median(np.diff(np.flatnonzero(rows[:, 2]))) == 6
    chords = [
        Span(span.onset - start, span.offset - start, _transposed(span.name, shift))
        for span in record.chords
        if span.offset > start and span.onset < end
    ]
    moved = [
        replace(note, onset=note.onset - start, offset=note.offset - start, pitch=note.pitch + shift) for note in notes
    ]
    key = _key_at(load_pop909_spans(folder / "key_audio.txt"), (start + end) / 2, shift)
    downbeats = rows[near, 1 if is_six else 2] > 0
    return Excerpt(folder.name, moved, beats[near] - start, downbeats, "3/4" if is_six else "4/4", key, chords)


def _cut(melody: Sequence[Note], rng: np.random.Generator) -> list[Note]:
    """Cut 35 s from a random note on, without a long rest if possible."""
    starts = [k for k, note in enumerate(melody) if melody[-1].offset - note.onset >= SECONDS] or [0]
    segments = []
    for k in rng.permutation(starts):
        segment = [note for note in melody[k:] if note.offset <= melody[k].onset + SECONDS]
        rest = max((b.onset - a.offset for a, b in pairwise(segment)), default=99.0)
        if rest <= MAX_REST:
            return segment
        segments.append((rest, segment))
    return min(segments, key=lambda item: item[0])[1]
