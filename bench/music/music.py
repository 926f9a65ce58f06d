"""Measure the musical rules on songs of POP909 that nothing was fitted on; --fit fits their weights on the others.

Parts: timing (tempo, beats, metre, key, quantizing, on jittered notes and on sung and transcribed ones), folk
(metre, tempo and bar lines of folk tunes), spelling (names of notes, keys given), calibration (whether what is told as
likely is so often right; tempi of librosa, keys of music21), keys (those that singers meant), structure (simplifying,
repetitions), chords. --fit writes hf_model/weights/music and hf_model/weights/harmony.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.music import music_calibration, music_chords, music_folk, music_keys, music_spelling, music_structure
from bench.music.excerpts import Performance, jittered, sing_all, sung
from hf_model.corpora.abc_tunes import read_collection
from hf_model.corpora.pop909_excerpts import Excerpt, is_development_song, read_excerpts, read_segments
from hf_model.evaluation.metrics import bootstrap_mean
from hf_model.evaluation.report import format_interval, markdown_table
from hf_model.music.arrangement import Arrangement, arrange
from hf_model.music.fitted import load_fitted, save_fitted
from hf_model.music.key import estimate_key, parse_key
from hf_model.music.quantization import quantize
from hf_model.music.tempo import Tempo, estimate_tempo
from hf_model.notes.note import Note
from hf_model.training.meter_fitting import fit_meter_model, from_excerpt, from_tune
from hf_model.training.music_fitting import fit_key

PARTS = ("timing", "folk", "spelling", "calibration", "keys", "structure", "chords")
NEAR = 0.07
"""Seconds within which an estimated beat matches a beat."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--mirror", required=True, type=Path, help="folder with the layout of the public sources")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--fit", action="store_true", help="fit the weights that ship instead of measuring")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes that sing")


def run(options: argparse.Namespace) -> None:
    """Measure or fit the chosen parts."""
    if options.fit:
        fits = {
            "timing": fit,
            "calibration": music_calibration.fit,
            "keys": music_keys.fit,
            "structure": music_structure.fit,
            "chords": music_chords.fit,
        }
        for part in options.parts:
            if part in fits:
                fits[part](options.mirror)
        return
    excerpts = read_excerpts(options.mirror, held_out=True)
    print(f"{len(excerpts)} excerpts of held-out songs\n")
    if {"timing", "calibration", "keys"} & set(options.parts):
        sing_all(excerpts, options.jobs)
    if "timing" in options.parts:
        measure(excerpts)
    if "folk" in options.parts:
        music_folk.measure()
    if "spelling" in options.parts:
        music_spelling.measure()
    if "calibration" in options.parts:
        music_calibration.measure(excerpts)
    if "keys" in options.parts:
        music_keys.measure(options.mirror, excerpts)
    if "structure" in options.parts:
        music_structure.measure(options.mirror, excerpts)
    if "chords" in options.parts:
        music_chords.measure(excerpts)


def measure(excerpts: Sequence[Excerpt]) -> None:
    """Print the table of both kinds of performance."""
    kinds: dict[str, Callable[[Excerpt], Performance]] = {
        "true notes, jittered": jittered,
        "sung and transcribed": sung,
    }
    found = [
        [scores(one, notes) for one in excerpts if len((notes := perform(one))[0]) >= 2] for perform in kinds.values()
    ]
    rows = []
    for name in found[0][0]:
        digits, row = 1 if name.endswith("CPU") else 3, [name]
        for column in found:
            mean, low, high = bootstrap_mean([one[name] for one in column], 1000)
            row.append(format_interval({"mean": mean, "low": low, "high": high}, digits))
        rows.append(row)
    print("\n".join(markdown_table(" | " + " | ".join(kinds), rows)))


def scores(excerpt: Excerpt, performance: Performance) -> dict[str, float]:
    """Measure one excerpt: shares of 1, NaN where nothing can be measured."""
    import mir_eval

    notes, beats, duration = performance
    tempo = estimate_tempo(notes, duration)
    true_bpm = 60.0 / float(np.median(np.diff(beats)))
    ratio = np.array([0.25, 1 / 3, 0.5, 1.0, 2.0, 3.0, 4.0]) if excerpt.meter == "3/4" else 2.0 ** np.arange(-2, 3)
    within = np.array([beat for beat in beats if notes[0].onset <= beat <= notes[-1].onset])
    found = np.array([beat for beat in tempo.beats if within[0] - NEAR < beat < within[-1] + NEAR])
    is_right = abs(tempo.bpm / true_bpm - 1) <= 0.04
    names = [" ".join(name.split()[:2]) for name in (parse_key(excerpt.key).name, estimate_key(notes).name)]
    true_tempo = Tempo(true_bpm, 1.0, tuple(beats.tolist()))
    result = {
        "tempo, octave folded": float(np.min(np.abs(tempo.bpm * ratio / true_bpm - 1)) <= 0.04),
        "tempo, exact": float(is_right),
        "beats, F measure": float(mir_eval.beat.f_measure(within, found, NEAR)),
        "metre": float(tempo.meter_name == excerpt.meter),
        "key, MIREX": float(mir_eval.key.weighted_score(*names)),
        "key, exact": float(names[0] == names[1]),
        "notes on their sixteenth, true beats": _on_their_sixteenth(excerpt, notes, beats, true_tempo),
        "the same, beats found, where the tempo is exact": (
            _on_their_sixteenth(excerpt, notes, beats, tempo) if is_right else np.nan
        ),
    }
    start = time.process_time()
    arrange(notes, duration, Arrangement(quantize="1/16", simplify=2, snap_key=True, agree_repeats=True))
    result["arranging, ms of CPU"] = 1e3 * (time.process_time() - start)
    return result


def _on_their_sixteenth(excerpt: Excerpt, notes: Sequence[Note], beats: NDArray[np.float64], tempo: Tempo) -> float:
    """Share of written notes that were transcribed and then quantized to the sixteenth on which they are written.

    With estimated beats, positions may differ by a constant: the rhythm is what counts.
    """
    written = np.interp([note.onset for note in excerpt.notes], excerpt.beats, np.arange(len(beats)))
    at = np.interp(written, np.arange(len(beats)), beats)
    onsets = np.array([note.onset for note in notes])
    steps = np.rint(tempo.to_beats([note.onset for note in quantize(notes, tempo, "1/16")]) * 4)
    differences = []
    for step, seconds in zip(np.rint(written * 4), at, strict=True):
        nearest = int(np.argmin(np.abs(onsets - seconds)))
        if abs(onsets[nearest] - seconds) <= 2 * NEAR:
            differences.append(steps[nearest] - step)
    if not differences:
        return 0.0
    if tempo.confidence == 1.0:
        return float(np.mean(np.array(differences) == 0))
    return float(np.unique(differences, return_counts=True)[1].max() / len(differences))


def fit(mirror: Path) -> None:
    """Fit meter.json to folk tunes and training songs, which count the same, and key.json to the training songs."""
    tunes = [tune for name in ("oneill", "aird") for tune in read_collection(name)]
    folk = [found for tune in tunes if (found := from_tune(tune)) is not None]
    pop = [from_excerpt(one) for one in read_excerpts(mirror, held_out=False) if not is_development_song(one.song)]
    save_fitted("meter", fit_meter_model(folk, pop))
    segments = [(notes, parse_key(name)) for notes, name in read_segments(mirror)]
    save_fitted("key", {**load_fitted("key"), **fit_key(segments)})
