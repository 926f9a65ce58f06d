"""How well tempo, beats and key are found, and notes put in time, on songs that nothing was fitted on.

    python bench/music.py --mirror FOLDER

FOLDER has the layout of the public sources (``pop909/``). Each held-out song gives an excerpt of some 35 s, measured
twice: its true notes played as a person would (onsets err by 30 ms, the tempo drifts by 2 %, the voice is off by
up to half a semitone), and sung by the made singer and heard by the transcriber that ships. Means with 95 % bootstrap
intervals. ``--fit`` prints the tables of ``hf_model/music/meter.py`` and ``hf_model/music/key.py`` anew from the
other songs.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from excerpts import Excerpt, jittered, read_excerpts, read_pieces, sung
from numpy.typing import NDArray

from hf_model.evaluation.metrics import bootstrap_mean
from hf_model.music.arrangement import Arrangement, arrange
from hf_model.music.key import estimate_key, parse_key
from hf_model.music.meter import LONGEST
from hf_model.music.quantization import quantize
from hf_model.music.tempo import Tempo, estimate_tempo
from hf_model.notes.note import Note

Heard = tuple[list[Note], NDArray[np.float64], float]
NEAR = 0.07
"""Seconds within which a note heard counts as the note written, and a beat as the beat."""


def scores(excerpt: Excerpt, heard: Heard) -> dict[str, float]:
    """Measure one excerpt: shares of 1, NaN where there is nothing to measure."""
    import mir_eval

    notes, beats, duration = heard
    tempo = estimate_tempo(notes, duration)
    true_bpm = 60.0 / float(np.median(np.diff(beats)))
    ratio = np.array([0.25, 1 / 3, 0.5, 1.0, 2.0, 3.0, 4.0]) if excerpt.meter == "3/4" else 2.0 ** np.arange(-2, 3)
    within = [beat for beat in beats if notes[0].onset <= beat <= notes[-1].onset]
    found = {
        "tempo, octave folded": float(np.min(np.abs(tempo.bpm * ratio / true_bpm - 1)) <= 0.04),
        "tempo, exact": float(abs(tempo.bpm / true_bpm - 1) <= 0.04),
        "beats, F measure": float(mir_eval.beat.f_measure(np.array(within), _between(tempo, within), NEAR)),
        "metre": float(tempo.meter_name == excerpt.meter),
    }
    key = estimate_key(notes)
    names = [f"{name.split()[0]} {name.split()[1]}" for name in (parse_key(excerpt.key).name, key.name)]
    found["key, MIREX"] = float(mir_eval.key.weighted_score(*names))
    found["key, exact"] = float(names[0] == names[1])
    found["notes on their sixteenth, true beats"] = _on_their_sixteenth(excerpt, notes, beats, _as_tempo(beats))
    is_right = found["tempo, exact"] == 1.0
    found["the same, beats found, where the tempo is exact"] = (
        _on_their_sixteenth(excerpt, notes, beats, tempo) if is_right else np.nan
    )
    start = time.process_time()
    arrange(notes, duration, Arrangement(quantize="1/16", simplify=2, snap_key=True, agree_repeats=True))
    found["arranging, ms of CPU"] = 1e3 * (time.process_time() - start)
    return found


def _between(tempo: Tempo, within: Sequence[float]) -> NDArray[np.float64]:
    """Give the beats found between the first and the last true one, with a margin."""
    beats = np.array(tempo.beats)
    return np.array(beats[(beats > within[0] - NEAR) & (beats < within[-1] + NEAR)])


def _as_tempo(beats: NDArray[np.float64]) -> Tempo:
    return Tempo(60.0 / float(np.median(np.diff(beats))), 1.0, tuple(beats.tolist()))


def _on_their_sixteenth(excerpt: Excerpt, notes: Sequence[Note], beats: NDArray[np.float64], tempo: Tempo) -> float:
    """Share of written notes that were heard and then put on the sixteenth where they are written.

    With beats that were found, positions may differ by a constant: what counts is the rhythm.
    """
    written = np.interp([note.onset for note in excerpt.notes], excerpt.beats, np.arange(len(beats)))
    at = np.interp(written, np.arange(len(beats)), beats)
    placed = quantize(notes, tempo, "1/16")
    onsets = np.array([note.onset for note in notes])
    steps = np.rint(tempo.to_beats([note.onset for note in placed]) * 4)
    pairs = []
    for truth, seconds in zip(np.rint(written * 4), at, strict=True):
        nearest = int(np.argmin(np.abs(onsets - seconds)))
        if abs(onsets[nearest] - seconds) <= 2 * NEAR:
            pairs.append(steps[nearest] - truth)
    if not pairs:
        return 0.0
    values, counts = np.unique(pairs, return_counts=True)
    is_given = tempo.confidence == 1.0
    return float(np.mean(np.array(pairs) == 0) if is_given else counts.max() / len(values.repeat(counts)))


def measure(excerpts: Sequence[Excerpt], hear: Callable[[Excerpt], Heard]) -> list[dict[str, float]]:
    """Measure all excerpts."""
    return [scores(excerpt, heard) for excerpt in excerpts if len((heard := hear(excerpt))[0]) >= 2]


def played(excerpt: Excerpt) -> Heard:
    """Play the true notes as a person would."""
    notes, beats = jittered(excerpt)
    return notes, beats, notes[-1].offset + 0.5


# -------------------------------------------------------------------------------------------------------------- fitting
def fit(mirror: Path) -> None:
    """Print the tables learned from the songs that are not held out."""
    excerpts = read_excerpts(mirror, held_out=False)
    print("tempo: median", round(float(np.median([excerpt.bpm for excerpt in excerpts])), 1), "beats a minute")
    for meter, steps_per_bar in (("4/4", 16), ("3/4", 12)):
        distances, places = np.zeros(LONGEST + 1), np.zeros(steps_per_bar)
        for excerpt in excerpts:
            if excerpt.meter != meter:
                continue
            written = np.interp([n.onset for n in excerpt.notes], excerpt.beats, np.arange(len(excerpt.beats)))
            steps = np.rint((written - np.flatnonzero(excerpt.downbeats)[0]) * 4).astype(int)
            distances += np.bincount(np.clip(np.diff(steps), 0, LONGEST), minlength=LONGEST + 1)
            places += np.bincount(steps % steps_per_bar, minlength=steps_per_bar)
        print(meter, "distances", np.round(distances[1:17] / distances[1:].sum(), 3).tolist())
        print(meter, "places", np.round(places / places.sum(), 3).tolist())
    _fit_key(mirror)


def _fit_key(mirror: Path) -> None:
    from scipy.optimize import minimize

    from hf_model.music.key import shares

    rows, truth = [], []
    for notes, name in read_pieces(mirror):
        key = parse_key(name)
        counts, times = shares(notes, 0.0)
        degrees = (np.arange(12)[:, None] + np.arange(12)) % 12
        rows.append(np.concatenate([counts[degrees], times[degrees]], axis=1))  # (tonic, feature)
        truth.append(key.tonic + 12 * (key.mode == "minor"))
    table, right = np.stack(rows), np.array(truth)
    everyone = np.arange(len(right))

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        major, minor = weights[:48].reshape(2, 24)
        logits = np.concatenate([table @ major, table @ minor + weights[48]], axis=1)
        share = np.exp(logits - logits.max(axis=1, keepdims=True))
        share /= share.sum(axis=1, keepdims=True)
        value = -np.log(share[everyone, right] + 1e-12).mean() + 6e-5 * (weights**2).sum()
        share[everyone, right] -= 1.0
        share /= len(right)
        slopes = [np.einsum("nt,ntf->f", part, table) for part in (share[:, :12], share[:, 12:])]
        return value, np.concatenate([*slopes, [share[:, 12:].sum()]]) + 12e-5 * weights

    weights = minimize(loss, np.zeros(49), jac=True, method="L-BFGS-B", options={"maxiter": 300}).x
    parts = weights[:48].reshape(2, 2, 12)  # (mode, counts or times, degree)
    bias = weights[48] + parts[1].mean(axis=1).sum() - parts[0].mean(axis=1).sum()
    print(len(right), "pieces; key weights (mode, counts and times, degree), minor bias", round(float(bias), 2))
    print(np.round(parts - parts.mean(axis=2, keepdims=True), 1).tolist())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--mirror", required=True, help="folder with the layout of the public sources")
    parser.add_argument("--train", action="store_true", help="measure on 240 songs that were fitted on instead")
    parser.add_argument("--fit", action="store_true", help="print the tables of the musical rules instead")
    arguments = parser.parse_args()
    if arguments.fit:
        fit(Path(arguments.mirror))
        return
    excerpts = read_excerpts(arguments.mirror, held_out=not arguments.train, limit=240 if arguments.train else None)
    columns = {"true notes, jittered": measure(excerpts, played), "sung and transcribed": measure(excerpts, sung)}
    print(f"{len(excerpts)} excerpts of {'training' if arguments.train else 'held-out'} songs\n")
    print("| | " + " | ".join(columns) + " |\n|---|" + "---|" * len(columns))
    for name in next(iter(columns.values()))[0]:
        cells = []
        for rows in columns.values():
            values = [row[name] for row in rows if np.isfinite(row[name])]
            mean, low, high = bootstrap_mean(values, 1000)
            digits = 1 if name.endswith("CPU") else 3
            cells.append(f"{mean:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]")
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
