"""Excerpts of pop909 with their beats, chords and keys: as written, and as the program hears them sung.

    python bench/excerpts.py --mirror FOLDER

sings every excerpt with the made singer and hears it with the transcriber that ships; the notes are kept in
``data/scratch``, so that measuring again takes no time. Songs whose number is a multiple of 5 are held out: nothing may
be fitted on them.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hf_model.corpora.records import Span
from hf_model.notes.midi import read_midi_tracks
from hf_model.notes.note import Note

SCRATCH = Path(__file__).resolve().parents[1] / "data" / "scratch" / "pop909_sung"
SECONDS = 35.0
LONGEST_REST = 3.0
HOLD_OUT = 5
FEWEST = 20


@dataclass(frozen=True, eq=False)
class Excerpt:
    """Some 35 s of a song's melody.

    Attributes
    ----------
    song : str
        "001" to "909".
    notes : list of Note
        As written, the first at 0 s; one voice, transposed into a singer's range.
    beats : ndarray, shape (beat,)
        Seconds on the notes' clock, from before the first note to after the last.
    downbeats : ndarray of bool, shape (beat,)
        Which beats begin a bar.
    meter : str
        "4/4", or "3/4" for a bar of three or six beats.
    key : str
        "A minor", on the transposed notes.
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
    def bpm(self) -> float:
        """Beats a minute."""
        return 60.0 / float(np.median(np.diff(self.beats)))


def is_held_out(song: str) -> bool:
    """Whether a song may only be measured on."""
    return int(song) % HOLD_OUT == 0


def read_excerpts(mirror: Path | str, *, held_out: bool, limit: int | None = None) -> list[Excerpt]:
    """Read one excerpt a song, the same ones each time."""
    folders = sorted(path for path in (Path(mirror) / "pop909" / "POP909").iterdir() if path.is_dir())
    chosen = [folder for folder in folders if is_held_out(folder.name) == held_out]
    found = (_read(folder) for folder in chosen[:limit])
    return [excerpt for excerpt in found if excerpt]


def read_pieces(mirror: Path | str) -> Iterator[tuple[list[Note], str]]:
    """Give every 35 s of the songs that are not held out, half overlapping, with their key ("A minor"), as written."""
    for folder in sorted(path for path in (Path(mirror) / "pop909" / "POP909").iterdir() if path.is_dir()):
        if is_held_out(folder.name):
            continue
        melody, spans = _melody(folder), _keys(folder)
        for start in np.arange(melody[0].onset, melody[-1].offset - SECONDS / 2, SECONDS / 2):
            piece = [note for note in melody if start <= note.onset and note.offset <= start + SECONDS]
            if len(piece) >= FEWEST:
                yield piece, _key_at(spans, start + SECONDS / 2, 0)


_PITCH_CLASS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_NAMES = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")


def _transposed(name: str, semitones: int) -> str:
    """Move "Gb:maj" or "A:min7/b3" by semitones; "N" stays."""
    root, colon, rest = name.partition(":")
    if root in {"N", "X"}:
        return name
    number = _PITCH_CLASS[root[0]] + root.count("#") - root[1:].count("b") + semitones
    return _NAMES[number % 12] + colon + rest


def _rows(path: Path) -> list[list[str]]:
    return [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _read(folder: Path) -> Excerpt | None:
    melody = _melody(folder)
    rng = np.random.default_rng([909, int(folder.name)])
    notes = _cut(melody, rng)
    if len(notes) < FEWEST:
        return None
    start, end = notes[0].onset, notes[-1].offset
    shift = round(float(rng.uniform(52, 72)) - float(np.median([note.pitch for note in notes])))
    beat_rows = np.array([[float(cell) for cell in row] for row in _rows(folder / "beat_midi.txt")])  # (beat, 3)
    beats = beat_rows[:, 0]
    low, high = max(0, np.searchsorted(beats, start) - 5), np.searchsorted(beats, end) + 5
    six = np.median(np.diff(np.flatnonzero(beat_rows[:, 2]))) == 6
    downbeats = beat_rows[:, 1 if six else 2] > 0
    chords = [
        Span(float(a) - start, float(b) - start, _transposed(name, shift))
        for a, b, name in _rows(folder / "chord_midi.txt")
        if float(b) > start and float(a) < end
    ]
    moved = [
        replace(note, onset=note.onset - start, offset=note.offset - start, pitch=note.pitch + shift) for note in notes
    ]
    return Excerpt(
        folder.name,
        moved,
        beats[low:high] - start,
        downbeats[low:high],
        "3/4" if six else "4/4",
        _key_at(_keys(folder), (start + end) / 2, shift),
        chords,
    )


def _melody(folder: Path) -> list[Note]:
    tracks = read_midi_tracks(folder / f"{folder.name}.mid").tracks
    return _one_voice([note for track in tracks if track.name == "MELODY" for note in track.notes])


def _keys(folder: Path) -> list[Span]:
    return [Span(float(start), float(end), name) for start, end, name in _rows(folder / "key_audio.txt")]


def _key_at(spans: Sequence[Span], seconds: float, shift: int) -> str:
    """Name the key at a time, transposed; songs change it."""
    span = min(spans, key=lambda span: max(span.onset - seconds, seconds - span.offset, 0.0))
    tonic, _, mode = _transposed(span.name, shift).partition(":")
    return f"{tonic} {'major' if mode == 'maj' else 'minor'}"


def _one_voice(notes: Sequence[Note]) -> list[Note]:
    """Cut overlaps, and leave out notes that are too short to sing."""
    line = sorted(notes)
    cut = [
        replace(note, offset=min(note.offset, after.onset)) if after.onset > note.onset else None
        for note, after in zip(line, [*line[1:], replace(line[-1], onset=1e9, offset=2e9)], strict=True)
    ]
    return [note for note in cut if note and note.duration >= 0.06]


def _cut(melody: Sequence[Note], rng: np.random.Generator) -> list[Note]:
    """Cut 35 s that begin at a random note, without a long rest if there are such."""
    starts = [k for k, note in enumerate(melody) if melody[-1].offset - note.onset >= SECONDS] or [0]
    pieces = []
    for k in rng.permutation(starts):
        piece = [note for note in melody[k:] if note.offset <= melody[k].onset + SECONDS]
        rest = max((b.onset - a.offset for a, b in pairwise(piece)), default=99.0)
        if rest <= LONGEST_REST:
            return piece
        pieces.append((rest, piece))
    return min(pieces, key=lambda item: item[0])[1]


def jittered(excerpt: Excerpt, seconds: float = 0.03, drift: float = 0.02) -> tuple[list[Note], NDArray[np.float64]]:
    """Play an excerpt as a person would: onsets that err, a tempo that drifts, ends let go early.

    Parameters
    ----------
    excerpt : Excerpt
    seconds : float
        Standard deviation of an onset.
    drift : float
        Standard deviation of the tempo's slow drift (period about 10 s), as a share.

    Returns
    -------
    notes : list of Note
        Pitches with the errors of a voice (30 cents), a tuning between.
    beats : ndarray, shape (beat,)
        Where the beats are now.
    """
    rng = np.random.default_rng([9, int(excerpt.song)])
    knots = np.arange(-10.0, SECONDS + 30.0, 5.0)
    slowness = 1.0 + drift * rng.standard_normal(len(knots))
    times = np.arange(-10.0, SECONDS + 20.0, 0.05)
    clock = np.cumsum(np.interp(times, knots, slowness)) * 0.05
    clock -= np.interp(0.0, times, clock) - 0.5
    onsets = np.interp([note.onset for note in excerpt.notes], times, clock)
    onsets = np.sort(onsets + np.clip(rng.normal(0.0, seconds, len(onsets)), -2.5 * seconds, 2.5 * seconds))
    onsets = np.maximum.accumulate(np.maximum(onsets + 1e-4 * np.arange(len(onsets)), 0.0))
    ends = np.interp([note.offset for note in excerpt.notes], times, clock) - rng.uniform(0.0, 0.1, len(onsets))
    limits = np.append(onsets[1:], np.inf)
    tuning = rng.uniform(-0.5, 0.5)
    notes = [
        Note(
            float(onset),
            float(max(onset + 0.5 * min(limit - onset, 0.1), min(end, limit))),
            note.pitch + tuning + float(rng.normal(0.0, 0.3)),
            note.velocity,
        )
        for note, onset, end, limit in zip(excerpt.notes, onsets, ends, limits, strict=True)
    ]
    return notes, np.interp(excerpt.beats, times, clock)


def sung(excerpt: Excerpt) -> tuple[list[Note], NDArray[np.float64], float]:
    """Give the notes that the transcriber hears when the singer sings the excerpt; kept in ``data/scratch``.

    Returns
    -------
    notes : list of Note
        As heard.
    beats : ndarray, shape (beat,)
        On their clock.
    duration : float
        Of the recording, in seconds.
    """
    path = SCRATCH / f"{excerpt.song}.csv"
    if not path.is_file():
        _sing(excerpt, path)
    with path.open(newline="", encoding="utf-8") as file:
        (lead, duration), *rows = list(csv.reader(file))
    notes = [Note(float(a), float(b), float(p), int(v), float(c)) for a, b, p, v, c in rows]
    return notes, excerpt.beats + float(lead), float(duration)


def _sing(excerpt: Excerpt, path: Path) -> None:
    from hf_model.audio.recording import as_recording
    from hf_model.inference import hear
    from hf_model.singer.synthesis import sing

    song = sing(excerpt.notes, int(excerpt.song))
    written = np.array([note.onset for note in excerpt.notes])
    sung_at = np.array([note.onset for note in song.notes])
    if len(written) == len(sung_at):
        lead = float(np.median(sung_at - written))
    else:  # a note fell silent: the shift that explains most onsets
        shifts = (sung_at[:, None] - written[None, :]).ravel()
        counts, edges = np.histogram(shifts, np.arange(0.0, 5.0, 0.03))
        best = edges[int(np.argmax(counts))]
        lead = float(np.median(shifts[np.abs(shifts - best - 0.015) < 0.05]))
    heard = hear(as_recording(song.audio, song.sample_rate), min_note=0.0)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    with partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([lead, len(song.audio) / song.sample_rate])
        writer.writerows([n.onset, n.offset, n.pitch, n.velocity, n.confidence] for n in heard.notes)
    partial.replace(path)


def main() -> None:
    """Sing and hear all excerpts that are not there yet."""
    from rich.progress import track

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--mirror", required=True, help="folder with the layout of the public sources")
    parser.add_argument("--train", type=int, default=240, help="how many songs to fit on")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    arguments = parser.parse_args()
    held_out = read_excerpts(arguments.mirror, held_out=True)
    excerpts = held_out + read_excerpts(arguments.mirror, held_out=False, limit=arguments.train)
    with ProcessPoolExecutor(arguments.jobs) as pool:
        for _ in track(pool.map(sung, excerpts), "singing", total=len(excerpts)):
            pass


if __name__ == "__main__":
    main()
