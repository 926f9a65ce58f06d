"""The part ``keys`` of ``music``: the piano keys that singers meant, against rounding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.music.excerpts import sung
from hf_model.corpora.abc_tunes import Tune, read_collection
from hf_model.corpora.pop909_excerpts import Excerpt, read_segments
from hf_model.corpora.readers.voice import ssvd_singer
from hf_model.music.fitted import load_fitted, save_fitted
from hf_model.music.intended_keys import estimate_intended_keys
from hf_model.music.key import Key, parse_key
from hf_model.notes.note import Note, to_keys
from hf_model.notes.pitch import estimate_tuning
from hf_model.training.music_fitting import fit_intervals

Keys = NDArray[np.int64]
Example = tuple[list[Note], Keys]
"""Sung notes and the keys that were meant; -1 where it is not known."""

N_TUNES, MIN_NOTES, MAX_NOTES = 40, 12, 90
QUARTER = 60 / 110
"""Seconds of a quarter of a folk tune."""

BREATH = 0.2
"""Seconds of a rest at which a singer's tuning may change."""

NEIGHBOURS = 6
MISALIGNED = {"1307", "1344", "408", "410", "366"}
"""Recordings of hust_solfege whose published notes do not match their score, and the second copy of one."""

SLIP = 3.0
"""Semitones from the usual deviation beyond which a published pair is not one note."""

KINDS = ("in tune", "in tune, chromatic", "uneven", "drift", "flat thirds", "small leaps", "rests", "breaths")


def measure(mirror: Path, excerpts: Sequence[Excerpt]) -> None:
    """Print the share of wrong keys of each set and method."""
    sets = {f"hust_solfege, {singer}": found for singer, found in read_hust(mirror).items()}
    for name, melodies in held_out_melodies(excerpts).items():
        sets |= {f"{name}: {kind}": [perform(*one, kind, k) for k, one in enumerate(melodies)] for kind in KINDS}
    sets["POP909, sung and transcribed"] = [found for one in excerpts if (found := aligned(one))]
    print("\nwrong keys, up to one transposition a recording; notes made worse and better by the model")
    print("set: notes, one tuning, running tuning, meant | worse, better")
    for name, examples in sets.items():
        wrong = {
            method: [is_wrong(keys(notes), truth) for notes, truth in examples] for method, keys in METHODS.items()
        }
        parts = {method: np.concatenate(found) for method, found in wrong.items()}
        one, meant = parts["one tuning"], parts["meant"]
        shares = ", ".join(f"{part.mean():.4f}" for part in parts.values())
        print(f"{name}: {len(one)}, {shares} | {np.sum(meant & ~one)}, {np.sum(one & ~meant)}")


def one_tuning(notes: Sequence[Note]) -> Keys:
    """Round in the tuning of the whole recording."""
    return np.array([int(note.pitch) for note in to_keys(notes)])


def running_tuning(notes: Sequence[Note]) -> Keys:
    """Round in the tuning of the notes around, which is continued from note to note."""
    pitches = np.array([note.pitch for note in notes])
    durations = np.array([note.duration for note in notes])
    tuning, keys = estimate_tuning(pitches, durations), []
    for index, pitch in enumerate(pitches):
        around = slice(max(0, index - NEIGHBOURS), index + NEIGHBOURS + 1)
        local = estimate_tuning(pitches[around], durations[around])
        tuning = local + float(np.rint(tuning - local))
        keys.append(int(np.floor(pitch - tuning + 0.5)))
    return np.array(keys)


def intended(notes: Sequence[Note]) -> Keys:
    """Estimate the keys that were meant, as the program does."""
    tuning = estimate_tuning([note.pitch for note in notes], [note.duration for note in notes])
    return estimate_intended_keys(notes, tuning)


METHODS: dict[str, Callable[[Sequence[Note]], Keys]] = {
    "one tuning": one_tuning,
    "running tuning": running_tuning,
    "meant": intended,
}


def is_wrong(keys: Keys, truth: Keys) -> NDArray[np.bool_]:
    """Compare with the truth, up to the transposition that suits most notes."""
    known = truth >= 0
    differences = (keys - truth)[known]
    values, counts = np.unique(differences, return_counts=True)
    return np.asarray(differences != values[counts.argmax()])


def read_hust(mirror: Path) -> dict[str, list[Example]]:
    """Read sung and meant pitches by singer; the times of the notes are those of the published onsets."""
    folder = mirror / "hust_solfege"
    found: dict[str, list[Example]] = {}
    for path in sorted((folder / "alignment").glob("[0-9]*.txt")):
        if path.stem in MISALIGNED:
            continue
        pairs, times = _table(path, 2), _table(folder / "onset&pitch" / path.name, 1)[:, 0]
        n = min(len(pairs), len(times))
        pairs, ends = pairs[:n], np.append(times[1:n], times[n - 1] + 0.5)
        deviation = pairs[:, 0] - pairs[:, 1]
        rows = zip(times, ends, pairs, np.abs(deviation - np.median(deviation)) < SLIP, strict=False)
        kept = [
            (Note(a, b, sung_key + 20), round(meant) + 20) for a, b, (sung_key, meant), fits in rows if fits and b > a
        ]
        found.setdefault(ssvd_singer(path.stem), []).append(([n for n, _ in kept], np.array([k for _, k in kept])))
    return found


def _table(path: Path, columns: int) -> NDArray[np.float64]:
    lines = path.read_text(encoding="utf-8-sig").splitlines()[1:]
    return np.array([[float(cell) for cell in line.split()[:columns]] for line in lines if line.strip()])


def held_out_melodies(excerpts: Sequence[Excerpt]) -> dict[str, list[tuple[list[Note], Key]]]:
    """Give melodies on which nothing was fitted, as written."""
    folk = {name: [one for one in map(with_key, read_collection(name)) if one] for name in ("essen", "ryan")}
    pop = [(one.notes[:MAX_NOTES], parse_key(one.key)) for one in excerpts]
    return {name: tunes[:: max(1, len(tunes) // N_TUNES)][:N_TUNES] for name, tunes in (*folk.items(), ("POP909", pop))}


def with_key(tune: Tune) -> tuple[list[Note], Key] | None:
    """Give a tune's first notes, as written, and its key; None without a key."""
    if tune.key_name is None or len(tune.notes) < MIN_NOTES:
        return None
    notes = [
        Note(float(onset) * QUARTER, float(onset + length) * QUARTER - 0.01, number)
        for onset, length, number in tune.notes[:MAX_NOTES]
        if length > 0
    ]
    return notes, parse_key(tune.key_name)


def perform(notes: Sequence[Note], key: Key, kind: str, seed: int) -> Example:
    """Sing a melody out of tune in one way, with a breath every six to ten notes."""
    rng = np.random.default_rng([KINDS.index(kind), seed])
    truth = np.array([int(note.pitch) for note in notes])
    if kind == "in tune, chromatic":
        truth += rng.choice([-1, 0, 1], len(notes), p=[0.01, 0.98, 0.01])
    breaths = np.cumsum(np.isin(np.arange(len(notes)), np.cumsum(rng.integers(6, 11, len(notes)))))
    onsets = np.array([note.onset for note in notes]) + 0.35 * breaths
    offsets = np.array([note.offset for note in notes]) + 0.35 * breaths
    is_after_rest = np.append(False, onsets[1:] - offsets[:-1] > BREATH)
    error = rng.normal(0, 0.1 if kind.startswith("in tune") else 0.25 if kind == "uneven" else 0.18, len(notes))
    if not kind.startswith("in tune"):
        error += np.cumsum(rng.normal(0, 0.03, len(notes)))
    if kind == "drift":
        error += rng.choice([-1, -1, 1]) * 1.5 * rng.uniform(0.6, 1.1) * (onsets - onsets[0]) / 27
    elif kind == "flat thirds":
        error -= rng.uniform(0.35, 0.6) * ((truth - key.tonic) % 12 == (4 if key.mode == "major" else 3))
    elif kind == "small leaps":
        error += _small_leaps(truth, rng.uniform(0.1, 0.2))
    elif kind == "rests":
        error += np.cumsum(is_after_rest * rng.normal(0, 0.4, len(notes)))
    elif kind == "breaths" and is_after_rest.any():
        error[rng.choice(np.flatnonzero(is_after_rest)) :] += rng.choice([-1, 1]) * rng.uniform(0.5, 1.2)
    pitches = truth + error + rng.uniform(-0.5, 0.5)
    rows = zip(onsets, offsets, pitches, strict=True)
    return [Note(float(on), float(off), float(np.clip(pitch, 0, 127))) for on, off, pitch in rows], truth


def _small_leaps(keys: Keys, share: float) -> NDArray[np.float64]:
    """Sing leaps of more than two semitones too small; the singer finds back within a few notes."""
    errors = np.zeros(len(keys))
    for note in range(1, len(keys)):
        interval = keys[note] - keys[note - 1]
        errors[note] = 0.6 * errors[note - 1] - (share * interval if abs(interval) > 2 else 0.0)
    return errors


def aligned(excerpt: Excerpt) -> Example | None:
    """Pair the notes of a transcribed song with the written ones within 70 ms."""
    notes, beats, _ = sung(excerpt)
    notes = [note for note in notes if note.duration >= 0.05]
    if not notes:
        return None
    written = np.array([note.onset for note in excerpt.notes]) + float(np.median(beats - excerpt.beats))
    onsets = np.array([note.onset for note in notes])
    nearest = np.abs(onsets[:, None] - written).argmin(axis=1)
    truth = np.array([int(excerpt.notes[index].pitch) for index in nearest])
    truth[np.abs(onsets - written[nearest]) > 0.07] = -1
    return ([replace(note) for note in notes], truth) if (truth >= 0).any() else None


def fit(mirror: Path) -> None:
    """Count the intervals of intended_keys.json in the training songs and in folk tunes."""
    melodies = [(notes, parse_key(name)) for notes, name in read_segments(mirror)]
    melodies += [one for name in ("oneill", "aird") for one in map(with_key, read_collection(name)) if one]
    save_fitted("intended_keys", {**load_fitted("intended_keys"), **fit_intervals(melodies)})
