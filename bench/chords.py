"""Chords against the annotations of pop909, and the model's fit: ``python bench/chords.py --mirror FOLDER [--fit]``.

``--fit`` makes ``hf_model/weights/harmony`` from the songs that are not held out. Without it, the 35 s excerpts of the
songs that are held out are measured: weighted chord symbol recall (mir_eval, major and minor) and roots, in the key and
on the beats that were annotated, and in those that the program finds in a performance.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from excerpts import Excerpt, is_held_out, jittered, read_excerpts
from numpy.typing import NDArray

from hf_model.corpora.readers.scores import read_pop909
from hf_model.corpora.records import Span
from hf_model.music.chords import (
    N_CHORDS,
    N_FEATURES,
    WEIGHTS,
    Chord,
    ChordModel,
    estimate_chords,
    features,
    pitch_class_rolls,
)
from hf_model.music.key import MAJOR_SCALE, MINOR_SCALE, MODES, Key, estimate_key, parse_key
from hf_model.music.tempo import Tempo, estimate_tempo
from hf_model.notes.midi import upper_line
from hf_model.notes.note import Note, to_keys

CHECKED = 4
"""Of the songs to fit on, one in so many chooses the settings."""

NAMES = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")
QUALITIES = {"maj": 0, "7": 0, "maj7": 0, "maj6": 0, "min": 1, "min7": 1, "min6": 1, "minmaj7": 1}


# ------------------------------------------------------------------------------------------------------------- the fit
@dataclass(frozen=True, eq=False)
class Song:
    """A song in its own key by beats: pitch classes (beat, 12), chords (beat,) or -1, places in the bar (beat,)."""

    rolls: NDArray[np.float64]
    chords: NDArray[np.int64]
    places: NDArray[np.int64]
    mode: int


def read_songs(mirror: Path) -> list[Song]:
    """Read the songs in 4/4 that are not held out."""
    songs = []
    for record in read_pop909(mirror):
        if is_held_out(record.pair_id) or record.beats is None or record.key is None:
            continue
        rows = (mirror / "pop909" / "POP909" / record.pair_id / "beat_midi.txt").read_text().splitlines()
        downbeats = np.flatnonzero([float(row.split()[2]) > 0 for row in rows if row.strip()])
        if len(downbeats) < 4 or np.median(np.diff(downbeats)) != 4:
            continue
        key = parse_key(record.key)
        beats = record.beats
        middles = (beats[:-1] + beats[1:]) / 2
        chords = np.full(len(middles), -1)
        for span in record.chords:
            number = chord_number(span.name, key)
            chords[(middles >= span.onset) & (middles < span.offset)] = -1 if number is None else number
        last = np.maximum.accumulate(np.where(np.isin(np.arange(len(beats)), downbeats), np.arange(len(beats)), -1))
        places = np.clip(np.arange(len(beats)) - last, 0, 3)[:-1]
        rolls = np.roll(pitch_class_rolls(upper_line(record.notes), beats), -key.tonic, axis=1)
        songs.append(Song(rolls, chords, places, MODES.index(key.mode)))
    return songs


def chord_number(name: str, key: Key) -> int | None:
    """Give a published chord as a number relative to the key; none for what is neither major nor minor."""
    root, _, quality = name.partition(":")
    minor = QUALITIES.get(quality.partition("/")[0])
    return None if minor is None else (parse_key(root).tonic - key.tonic) % 12 * 2 + minor


def fit(songs: list[Song], sharpness: float, fairness: float) -> ChordModel:
    """Fit regression and transitions; how much both count, and how rare chords are helped, is given."""
    import torch

    torch.manual_seed(0)
    emission, transition = np.zeros((2, N_FEATURES, N_CHORDS)), np.zeros((2, N_CHORDS, N_CHORDS))
    change, seen = np.ones(4), np.full(4, 2.0)
    for mode in range(2):
        mine = [song for song in songs if song.mode == mode]
        x = torch.tensor(np.concatenate([features(song.rolls) for song in mine]), dtype=torch.float32)
        y = torch.tensor(np.concatenate([song.chords for song in mine]))
        x, y = x[y >= 0], y[y >= 0]
        weights = torch.zeros(N_FEATURES, N_CHORDS, requires_grad=True)
        optimizer = torch.optim.LBFGS([weights], max_iter=80, line_search_fn="strong_wolfe")

        def loss(optimizer=optimizer, weights=weights, x=x, y=y) -> torch.Tensor:  # type: ignore[no-untyped-def]
            optimizer.zero_grad()
            value = torch.nn.functional.cross_entropy(x @ weights, y) + 1e-4 * weights.square().sum()
            value.backward()
            return value

        optimizer.step(loss)
        share = np.bincount(y, minlength=N_CHORDS) + 5.0
        emission[mode] = sharpness * weights.detach().numpy()
        emission[mode, -1] -= fairness * np.log(share / share.sum())
        counts = np.full((N_CHORDS, N_CHORDS), 0.3)
        for song in mine:
            known = (song.chords[1:] >= 0) & (song.chords[:-1] >= 0)
            before, after, place = song.chords[:-1][known], song.chords[1:][known], song.places[1:][known]
            np.add.at(seen, place, 1)
            np.add.at(change, place[before != after], 1)
            np.add.at(counts, (before[before != after], after[before != after]), 1)
        np.fill_diagonal(counts, 1e-9)
        transition[mode] = np.log(counts / counts.sum(axis=1, keepdims=True))
    return ChordModel(emission, transition, change / seen)


def on_beats(song: Song) -> tuple[list[Note], Tempo]:
    """Give a song as notes of one beat and less, and its beats, a second each."""
    notes = []
    for beat, roll in enumerate(song.rolls):
        now = float(beat)
        for pitch in np.flatnonzero(roll > 0):
            until = min(now + float(roll[pitch]), beat + 1.0)
            if until > now:
                notes.append(Note(now, until, 60.0 + pitch))
            now = until
    downbeat = int(np.argmax(song.places == 0))
    return notes, Tempo(60.0, 1.0, tuple(map(float, range(len(song.rolls) + 1))), downbeat, (4, 4), 1.0)


def check(model: ChordModel, songs: list[Song]) -> float:
    """Give the share of beats with the right chord."""
    right = total = 0
    for song in songs:
        notes, tempo = on_beats(song)
        found = np.full(len(song.chords), -2)
        for chord in estimate_chords(notes, Key(0, MODES[song.mode]), tempo, model):
            found[round(chord.onset) : round(chord.offset)] = 2 * chord.root + chord.is_minor
        known = (song.chords >= 0) & (found >= -1)
        right += int(np.sum((found == song.chords)[known]))
        total += int(known.sum())
    return right / total


def make(mirror: Path) -> None:
    """Choose the settings, fit on all songs that are not held out, and write the model."""
    from safetensors.numpy import save_file

    songs = read_songs(mirror)
    held_back, rest = songs[::CHECKED], [song for k, song in enumerate(songs) if k % CHECKED]
    tried = {}
    for sharpness in (1.0, 1.4, 2.0, 2.8):
        for fairness in (0.0, 0.2, 0.4):
            tried[sharpness, fairness] = check(fit(rest, sharpness, fairness), held_back)
            print(f"sharpness {sharpness}, fairness {fairness}: {tried[sharpness, fairness]:.3f}")
    sharpness, fairness = max(tried, key=lambda setting: tried[setting])
    model = fit(songs, sharpness, fairness)
    WEIGHTS.mkdir(parents=True, exist_ok=True)
    tables = {name: getattr(model, name).astype(np.float32) for name in ("emission", "transition", "change")}
    save_file(tables, WEIGHTS / "model.safetensors")
    settings = {
        "kind": "harmony",
        "sharpness": sharpness,
        "fairness": fairness,
        "trained_on": f"POP909 (MIT): {len(songs)} songs in 4/4 whose number is no multiple of 5",
        "right_beats_in_songs_held_back": round(tried[sharpness, fairness], 3),
        "licence": "MIT",
    }
    (WEIGHTS / "config.json").write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n", encoding="utf-8")


# ---------------------------------------------------------------------------------------------------------- measuring
def always_tonic(notes: list[Note], key: Key, tempo: Tempo) -> list[Chord]:  # noqa: ARG001
    """Hold the chord of the keynote: the first baseline."""
    return [Chord(0.0, notes[-1].offset, key.tonic, key.mode == "minor")]


def by_rules(notes: list[Note], key: Key, tempo: Tempo) -> list[Chord]:
    """Choose for each half bar the triad of the scale that most of the singing belongs to: the second baseline.

    Ties go to the tonic, then dominant, subdominant and the others; where nothing is sung the chord stays.
    """
    order = (0, 4, 3, 5, 1, 2) if key.mode == "major" else (0, 4, 3, 5, 6, 2)
    scale = MAJOR_SCALE if key.mode == "major" else MINOR_SCALE
    triads = [(scale[k], (scale[(k + 2) % 7] - scale[k]) % 12 == 3) for k in order]
    span = tempo.beats_per_bar if tempo.beats_per_bar % 2 else 2
    last = int(np.ceil(tempo.to_beats(notes[-1].offset)))
    first = int(np.floor(tempo.to_beats(notes[0].onset) + 0.1))
    edges = tempo.to_seconds(np.arange(first - (first - tempo.downbeat) % span, last + span, span))
    chords: list[Chord] = []
    for start, stop, roll in zip(edges, edges[1:], pitch_class_rolls(notes, edges), strict=False):
        candidates = [Chord(start, stop, (root + key.tonic) % 12, minor) for root, minor in triads]
        sums = [sum(roll[pitch] for pitch in chord.pitch_classes) for chord in candidates]
        best = int(np.argmax(sums))
        before = chords[-1] if chords else candidates[0]
        chords.append(candidates[best] if sums[best] > 0 else Chord(start, stop, before.root, before.is_minor))
    return chords


Method = Callable[[list[Note], Key, Tempo], list[Chord]]
METHODS: dict[str, Method] = {"always the tonic": always_tonic, "rules": by_rules, "model": estimate_chords}


def recall(excerpt: Excerpt, chords: list[Chord], clock: Callable[[float], float]) -> tuple[float, float]:
    """Compare with the annotation while the melody lasts: majmin and root (mir_eval)."""
    import mir_eval

    start, end = clock(excerpt.notes[0].onset), clock(excerpt.notes[-1].offset)
    wanted = [Span(clock(c.onset), clock(c.offset), c.name) for c in excerpt.chords]
    reference = np.array([(c.onset, c.offset) for c in wanted]), [c.name.replace("sus4(b7)", "sus4") for c in wanted]
    labels = [f"{NAMES[chord.root]}:{'min' if chord.is_minor else 'maj'}" for chord in chords]
    estimate = np.array([(chord.onset, chord.offset) for chord in chords]), labels
    cut = mir_eval.util.adjust_intervals
    ri, rl = cut(*reference, start, end, "X", "X")
    ei, el = cut(*estimate, start, end, "N", "N")
    intervals, rl, el = mir_eval.util.merge_labeled_intervals(ri, rl, ei, el)
    lengths = mir_eval.util.intervals_to_durations(intervals)
    measures = (mir_eval.chord.majmin(rl, el), mir_eval.chord.root(rl, el))
    majmin, root = (mir_eval.chord.weighted_accuracy(measure, lengths) for measure in measures)
    return float(majmin), float(root)


def measure(mirror: Path) -> None:
    """Print means over the excerpts that are held out."""
    excerpts = read_excerpts(mirror, held_out=True)
    results: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for excerpt in excerpts:
        beats = excerpt.beats
        meter = (3, 4) if excerpt.meter == "3/4" else (4, 4)
        downbeat = int(np.argmax(excerpt.downbeats))
        true = Tempo(excerpt.bpm, 1.0, tuple(map(float, beats)), downbeat, meter, 1.0)
        performed, performed_beats = jittered(excerpt)
        found = to_keys(performed)
        tempo = estimate_tempo(performed)
        for name, method in METHODS.items():
            known = method(excerpt.notes, parse_key(excerpt.key), true)
            results.setdefault((name, "as written"), []).append(recall(excerpt, known, float))
            chords = method(found, estimate_key(found, 0.0), tempo)
            clock = lambda t, a=beats, b=performed_beats: float(np.interp(t, a, b))  # noqa: E731
            results.setdefault((name, "performed"), []).append(recall(excerpt, chords, clock))
    print(f"{len(excerpts)} excerpts held out; WCSR majmin, root")
    for (name, what), values in results.items():
        print(f"{what}: {name:18s} {np.nanmean(values, axis=0).round(3)}")


def main() -> None:
    """Fit or measure."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--mirror", required=True, type=Path, help="folder with the layout of the public sources")
    parser.add_argument("--fit", action="store_true", help="make the weights that ship")
    arguments = parser.parse_args()
    (make if arguments.fit else measure)(arguments.mirror)


if __name__ == "__main__":
    main()
