"""Accompaniments with known beats and chords: POP909's tracks, and bass and drums made from its beats and chords."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import mido
import numpy as np
import soundfile
from numpy.typing import NDArray

from hf_model.corpora.pop909_excerpts import is_rule_test_song
from hf_model.corpora.readers.scores import load_pop909_song, load_pop909_spans, load_pop909_table
from hf_model.corpora.records import Span
from hf_model.notes.pitch import LETTERS
from hf_model.piano.fluidsynth import find_sound_font

SAMPLE_RATE = 22050
SECONDS = 40.0
SOUND_FONTS = ("MuseScore_General_Full.sf3", "FluidR3_GM.sf2")
KINDS = ("piano", "band", "waltz")
KICK, SNARE, STICK, HAT, OPEN_HAT, RIDE = 36, 38, 37, 42, 46, 51

DRUMS = (
    {KICK: (0, 8), SNARE: (4, 12), HAT: tuple(range(0, 16, 2))},
    {KICK: (0, 4, 8, 12), SNARE: (4, 12), OPEN_HAT: (2, 6, 10, 14)},
    {KICK: (0, 6, 8), SNARE: (4, 12), HAT: tuple(range(16))},
    {KICK: (0, 3, 10), SNARE: (4, 12), RIDE: tuple(range(0, 16, 2))},
    {KICK: (0, 10), SNARE: (8,), HAT: tuple(range(0, 16, 4))},
    {KICK: (0, 6, 8, 14), STICK: (0, 6, 12), HAT: tuple(range(0, 16, 2))},
    {HAT: tuple(range(0, 16, 4)), KICK: (0,)},
)
"""Sixteenths of a bar of four on which each drum is hit; the fifth is in half time."""

WALTZ_DRUMS: tuple[dict[int, tuple[int, ...]], ...] = (
    {KICK: (0,), SNARE: (4, 8)},
    {KICK: (0,), HAT: (0, 4, 8), SNARE: (8,)},
    {KICK: (0, 6), HAT: tuple(range(0, 12, 2))},
    {},
)
PROGRAMS = (0, 0, 2, 4, 5, 16, 24, 25, 27, 29, 30, 48, 50, 81, 89)
BASSES = (32, 33, 34, 35, 38)

Notes = list[tuple[float, float, int, int]]
"""Onset and offset in seconds, MIDI number, velocity."""


@dataclass(frozen=True, eq=False)
class Accompaniment:
    """An accompaniment and what it plays.

    Attributes
    ----------
    name : str
        Song and kind.
    audio : ndarray, shape (sample,)
        float32 at ``SAMPLE_RATE``.
    beats : ndarray, shape (beat,)
        Seconds.
    downbeats : ndarray of bool, shape (beat,)
    beats_per_bar : int
    chords : list of Span
    """

    name: str
    audio: NDArray[np.float32]
    beats: NDArray[np.float64]
    downbeats: NDArray[np.bool_]
    beats_per_bar: int
    chords: list[Span]


def songs(mirror: Path, *, held_out: bool) -> list[Path]:
    """List the folders of the songs for tuning, or of those that are held out."""
    folders = sorted(path for path in (mirror / "pop909" / "POP909").iterdir() if path.is_dir())
    return [folder for folder in folders if is_rule_test_song(folder.name) == held_out]


def make(folder: Path, kind: str) -> Accompaniment:
    """Write and render an excerpt of a song, the same each time.

    Parameters
    ----------
    folder : Path
        A song of POP909.
    kind : {"piano", "band", "waltz"}
        The PIANO track alone; with the BRIDGE track, bass and drums; or the song's chords, one a bar, in 3/4.
    """
    rng = np.random.default_rng([KINDS.index(kind), int(folder.name)])
    rows = np.array([[float(cell) for cell in row] for row in load_pop909_table(folder / "beat_midi.txt")])
    is_six = np.median(np.diff(np.flatnonzero(rows[:, 2]))) == 6
    beats, downbeats, n = rows[:, 0], rows[:, 1 if is_six else 2] > 0, 3 if is_six else 4
    chords = load_pop909_spans(folder / "chord_midi.txt")
    parts: list[tuple[int, Notes]] = [(int(rng.choice(PROGRAMS)), _track(folder, "PIANO"))]
    if kind == "waltz":
        beats, downbeats, chords = _in_three(beats, downbeats, chords, 60.0 / rng.uniform(75, 170))
        n = 3
        parts = [(int(rng.choice(PROGRAMS[:10])), _oom_pah(beats, downbeats, chords, rng))]
    if kind != "piano":
        parts.append((int(rng.choice(PROGRAMS)), _track(folder, "BRIDGE") if kind == "band" else []))
        parts.append((int(rng.choice(BASSES)), _bass(beats, downbeats, chords, rng)))
        parts.append((-1, _drums(beats, downbeats, _pattern(n, rng, is_rule_test_song(folder.name)), rng)))
    latest = max(beats[0], beats[-1] - SECONDS - 5.0)
    start = float(rng.uniform(max(0.0, beats[0] - 1.0), latest))
    drift = float(rng.choice([0.0, 0.015]))
    pace, phase = float(rng.uniform(8, 25)), float(rng.uniform(0, 6))

    def clock(times: NDArray[np.float64]) -> NDArray[np.float64]:
        at = np.asarray(times, dtype=np.float64) - start
        return np.asarray(at + drift * pace * (np.sin(at / pace + phase) - np.sin(phase)))

    played = []
    for program, notes in parts:
        inside = [note for note in notes if start <= note[0] < start + SECONDS]
        times = clock(np.array([note[:2] for note in inside]).reshape(-1, 2)) + rng.normal(0, 0.006, (len(inside), 1))
        level = 1.0 if program < 0 else float(rng.uniform(0.6, 1.0))
        played.append(
            (program, [(max(a, 0), b, k, int(v * level)) for (a, b), (_, _, k, v) in zip(times, inside, strict=True)])
        )
    near = (beats >= start) & (beats < start + SECONDS)
    spans = [
        Span(float(clock(np.array(span.onset))), float(clock(np.array(span.offset))), span.name)
        for span in chords
        if span.offset > start and span.onset < start + SECONDS
    ]
    audio = render(played, SOUND_FONTS[int(rng.integers(2))], is_wet=bool(rng.integers(2)))
    return Accompaniment(f"{folder.name} {kind}", audio, clock(beats[near]), downbeats[near], n, spans)


def _track(folder: Path, name: str) -> Notes:
    record = load_pop909_song(folder / f"{folder.name}.mid", name)
    return [(n.onset, n.offset, int(n.pitch), n.velocity) for n in record.notes] if record else []


def root_and_minor(name: str) -> tuple[int, bool] | None:
    """Reduce a published chord to root and mode; None for "N", diminished, augmented and suspended ones."""
    root, _, quality = name.partition(":")
    quality = quality.partition("/")[0]
    if root in {"N", "X"} or quality.startswith(("dim", "aug", "sus", "hdim")):
        return None
    number = LETTERS[root[0].lower()] + root.count("#") - root[1:].count("b")
    return number % 12, quality.startswith("min")


def _chord_at(chords: Sequence[Span], time: float) -> tuple[int, bool] | None:
    return next((root_and_minor(span.name) for span in chords if span.onset <= time < span.offset), None)


def _in_three(
    beats: NDArray[np.float64], downbeats: NDArray[np.bool_], chords: Sequence[Span], beat: float
) -> tuple[NDArray[np.float64], NDArray[np.bool_], list[Span]]:
    """Lay the chord of each bar on a bar of three beats of this length."""
    names = [
        next((span.name for span in chords if span.onset <= time + 0.05 < span.offset), "N")
        for time in beats[np.flatnonzero(downbeats)]
    ]
    names = [name for name in names if root_and_minor(name)] * 2
    placed = np.asarray(0.5 + beat * np.arange(3 * len(names) + 1), dtype=np.float64)
    spans = [Span(float(placed[3 * k]), float(placed[3 * k + 3]), name) for k, name in enumerate(names)]
    return placed, np.asarray(np.arange(len(placed)) % 3 == 0, dtype=np.bool_), spans


def _oom_pah(
    beats: NDArray[np.float64], downbeats: NDArray[np.bool_], chords: Sequence[Span], rng: np.random.Generator
) -> Notes:
    """Play chords on the second and third beat, on all three, or as broken chords in eighths."""
    style, notes = int(rng.integers(3)), []
    for k, (start, stop) in enumerate(pairwise(beats)):
        chord = _chord_at(chords, start + 0.01)
        if chord is None:
            continue
        keys = [48 + chord[0], 48 + (chord[0] + 4 - chord[1]), 48 + chord[0] + 7]
        place = int((k - np.flatnonzero(downbeats)[0]) % 3)
        middle = (start + stop) / 2
        if style == 2:
            order = (keys[0], keys[1], keys[2], keys[0] + 12, keys[2], keys[1])
            notes += [(start, middle, order[2 * place], 85 - 6 * place), (middle, stop, order[2 * place + 1], 72)]
        elif style == 1 or place:
            notes += [(start, start + 0.8 * (stop - start), key, 80 if place else 88) for key in keys]
    return notes


def _bass(
    beats: NDArray[np.float64], downbeats: NDArray[np.bool_], chords: Sequence[Span], rng: np.random.Generator
) -> Notes:
    """Play roots on each beat, in eighths, or on the first beat and at changes."""
    style, notes = int(rng.integers(3)), []
    previous = None
    for k, (start, stop) in enumerate(pairwise(beats)):
        chord = _chord_at(chords, start + 0.01)
        if chord is not None and (style < 2 or downbeats[k] or chord != previous):
            key = 28 + (chord[0] - 28) % 12
            middle = (start + stop) / 2
            notes += [(start, middle, key, 95), (middle, stop, key, 85)] if style == 1 else [(start, stop, key, 95)]
        previous = chord
    return notes


def _pattern(beats_per_bar: int, rng: np.random.Generator, is_held_out: bool) -> dict[int, tuple[float, ...]]:
    """Choose a drum pattern of the lists for held-out songs, and make one up for the others: sixteenths of a bar."""
    patterns = DRUMS if beats_per_bar == 4 else WALTZ_DRUMS
    if is_held_out:
        return dict(patterns[int(rng.integers(len(patterns)))])
    if rng.random() < 0.15:
        return {}
    n, step = 4 * beats_per_bar, float(rng.choice([4.0, 2.0, 2.0, 1.0, 4 / 3, 8 / 3]))
    grid = np.arange(0.0, n, step if step < 2 or rng.random() < 0.5 else 2.0)
    kicks = {0.0, *(float(place) for place in grid if rng.random() < (0.5 if place % 8 == 0 else 0.12))}
    backbeat = [(4.0, 12.0), (8.0,), (4.0, 8.0), (8.0, 14.0)][int(rng.choice(4, p=[0.65, 0.2, 0.1, 0.05]))]
    pattern = {
        KICK: tuple(sorted(kicks)) if rng.random() < 0.9 else (),
        int(rng.choice([SNARE, SNARE, STICK, 39, 40])): tuple(p for p in backbeat if p < n),
        int(rng.choice([HAT, HAT, RIDE, OPEN_HAT, 70, 54])): tuple(np.arange(0.0, n, step)),
    }
    if beats_per_bar == 4 and rng.random() < 0.1:
        pattern[KICK] = (0.0, 4.0, 8.0, 12.0)
    return {drum: places for drum, places in pattern.items() if rng.random() < 0.85}


def _drums(
    beats: NDArray[np.float64],
    downbeats: NDArray[np.bool_],
    pattern: dict[int, tuple[float, ...]],
    rng: np.random.Generator,
) -> Notes:
    """Repeat a pattern from each downbeat."""
    notes, loudness = [], {drum: int(rng.integers(70, 115)) for drum in pattern}
    starts = np.flatnonzero(downbeats)
    for first in starts:
        for drum, steps in pattern.items():
            places = first + np.array(steps) / 4
            times = np.interp(places[places < len(beats) - 1], np.arange(len(beats)), beats)
            notes += [(float(time), float(time) + 0.1, drum, loudness[drum]) for time in times]
    return notes


def render(parts: Sequence[tuple[int, Notes]], sound_font: str, *, is_wet: bool) -> NDArray[np.float32]:
    """Play parts with FluidSynth: program, or -1 for drums, and notes; mono at ``SAMPLE_RATE``."""
    file = mido.MidiFile(type=1, ticks_per_beat=480)
    for channel, (program, notes) in enumerate(parts):
        channel = 9 if program < 0 else channel
        track = mido.MidiTrack([mido.Message("program_change", channel=channel, program=max(program, 0))])
        events = [(a, "note_on", key, velocity) for a, _, key, velocity in notes]
        events += [(max(b, a + 0.02), "note_off", key, 0) for a, b, key, _ in notes]
        now = 0
        for time, kind, key, velocity in sorted(events):
            tick = round(time * 960)
            track.append(mido.Message(kind, channel=channel, note=key, velocity=min(velocity, 127), time=tick - now))
            now = tick
        file.tracks.append(track)
    wet = "1" if is_wet else "0"
    with tempfile.TemporaryDirectory(prefix="hummingface-") as folder:
        midi, wav = Path(folder) / "song.mid", Path(folder) / "song.wav"
        file.save(str(midi))
        command = [
            "fluidsynth",
            "-q",
            "-n",
            "-i",
            "-r",
            str(SAMPLE_RATE),
            "-g",
            "0.5",
            "-R",
            wet,
            "-C",
            wet,
            "-T",
            "wav",
        ]
        command += ["-o", "synth.dynamic-sample-loading=1"]
        subprocess.run([*command, "-F", str(wav), str(find_sound_font(sound_font).resolve()), str(midi)], check=True)
        audio = soundfile.read(wav, dtype="float32", always_2d=True)[0].mean(axis=1)
    audio = audio[: int(SECONDS * SAMPLE_RATE)]
    return np.asarray(0.7 * audio / max(float(np.abs(audio).max(initial=0.0)), 1e-6), dtype=np.float32)
