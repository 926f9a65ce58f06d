"""Measure beats, bars and chords of accompaniments that nothing was fitted on; --fit fits the network and templates.

Accompaniments are rendered from POP909 with FluidSynth: its piano, a band with drums, and waltzes on its chords.
Baselines: librosa's beat tracker; binary chord templates on librosa's chroma at the true beats.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
from rich.progress import track

from bench.songs.band_songs import KINDS, SAMPLE_RATE, Accompaniment, make, root_and_minor, songs
from hf_model.band.activations import FOLDER, rhythm_features
from hf_model.band.beats import track_beats
from hf_model.band.chords import beat_chroma, recognize_chords
from hf_model.band.spectrum import BandSpectra, SpectrumStream
from hf_model.evaluation.metrics import bootstrap_mean
from hf_model.evaluation.report import format_interval, markdown_table
from hf_model.music.chords import Chord
from hf_model.weights import write_tensors

NEAR = 0.07
"""Seconds within which an estimated beat matches a beat."""

SAME_TEMPO = 0.04


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--mirror", required=True, type=Path, help="folder with the layout of the public sources")
    parser.add_argument("--every", type=int, default=2, help="use every n-th song")
    parser.add_argument("--fit", action="store_true", help="fit the weights that ship instead of measuring")
    parser.add_argument("--steps", type=int, default=1200, help="of the training")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes that render")


def run(options: argparse.Namespace) -> None:
    """Measure or fit."""
    if options.fit:
        fit(options)
        return
    rows: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS}
    for song in _accompaniments(options, held_out=True):
        rows[song.name.split()[1]].append(scores(song))
    names = list(next(row for found in rows.values() for row in found))
    table = []
    for name in names:
        cells = []
        for kind in KINDS:
            mean, low, high = bootstrap_mean([row[name] for row in rows[kind]], 1000)
            cells.append(format_interval({"mean": mean, "low": low, "high": high}, 3))
        table.append([name, *cells])
    print("\n".join(markdown_table(" | " + " | ".join(f"{kind} ({len(rows[kind])})" for kind in KINDS), table)))


def _accompaniments(options: argparse.Namespace, *, held_out: bool) -> Iterator[Accompaniment]:
    """Render the songs, the kinds in turn."""
    folders = songs(options.mirror, held_out=held_out)[:: options.every]
    kinds = [KINDS[k % len(KINDS)] for k in range(len(folders))]
    with ProcessPoolExecutor(options.jobs) as pool:
        yield from track(pool.map(make, folders, kinds), "rendering", total=len(folders))


def spectra_of(song: Accompaniment) -> BandSpectra:
    """Compute the spectra of an accompaniment."""
    stream = SpectrumStream(SAMPLE_RATE)
    stream.push(song.audio)
    return stream.finish()


def scores(song: Accompaniment) -> dict[str, float]:
    """Measure one accompaniment: shares of 1."""
    import librosa

    spectra = spectra_of(song)
    beats = track_beats(spectra)
    _, peer = librosa.beat.beat_track(y=song.audio, sr=SAMPLE_RATE, units="time")
    found = np.array(beats.beats) if beats else np.zeros(0)
    result = _beat_scores(song, found, "") | _beat_scores(song, np.asarray(peer), ", librosa")
    result |= {"downbeats, F": 0.0, "metre": 0.0, "chords (majmin)": 0.0}
    if beats is not None:
        downbeats = found[beats.downbeat :: beats.meter[0]]
        result["downbeats, F"] = _f_measure(song.beats[song.downbeats], downbeats)
        result["metre"] = float(beats.meter[0] == song.beats_per_bar)
        tempo = beats.to_tempo(spectra.duration)
        result["chords (majmin)"] = _chord_score(song, recognize_chords(spectra, tempo))
    result["chords (majmin), templates on true beats"] = _chord_score(song, _template_chords(song))
    return result


def _beat_scores(song: Accompaniment, found: np.ndarray, suffix: str) -> dict[str, float]:
    bpm = 60.0 / float(np.median(np.diff(found))) if len(found) > 1 else 1.0
    true = 60.0 / float(np.median(np.diff(song.beats)))
    folded = min(abs(bpm * factor / true - 1) for factor in (0.5, 1, 2, 1 / 3, 3, 2 / 3, 1.5))
    return {
        f"beats, F{suffix}": _f_measure(song.beats, found),
        f"tempo{suffix}": float(abs(bpm / true - 1) <= SAME_TEMPO),
        f"tempo, folded{suffix}": float(folded <= SAME_TEMPO),
    }


def _f_measure(reference: np.ndarray, estimate: np.ndarray) -> float:
    import mir_eval

    inside = estimate[(estimate > reference[0] - NEAR) & (estimate < reference[-1] + NEAR)]
    return float(mir_eval.beat.f_measure(reference, inside, NEAR)) if len(inside) else 0.0


def _chord_score(song: Accompaniment, chords: list[Chord]) -> float:
    """Weighted overlap of major and minor triads, over the chords that are one."""
    right = total = 0.0
    for span in song.chords:
        true = root_and_minor(span.name)
        onset, offset = max(span.onset, 0.0), min(span.offset, len(song.audio) / SAMPLE_RATE)
        if true is None or offset <= onset:
            continue
        total += offset - onset
        right += sum(
            max(0.0, min(offset, chord.offset) - max(onset, chord.onset))
            for chord in chords
            if (chord.root, chord.is_minor) == true
        )
    return right / total if total else float("nan")


def _template_chords(song: Accompaniment) -> list[Chord]:
    """Choose the triad nearest to the mean chroma of each true beat."""
    import librosa

    chroma = librosa.feature.chroma_stft(y=song.audio, sr=SAMPLE_RATE, n_fft=4096, hop_length=1024)
    chords = []
    for start, stop in pairwise(song.beats):
        a, b = int(start * SAMPLE_RATE / 1024), max(int(stop * SAMPLE_RATE / 1024), int(start * SAMPLE_RATE / 1024) + 1)
        mean = chroma[:, a:b].mean(axis=1)
        triads = {
            (root, minor): mean[root] + mean[(root + 4 - minor) % 12] + mean[(root + 7) % 12]
            for root in range(12)
            for minor in (False, True)
        }
        chords.append(Chord(float(start), float(stop), *max(triads, key=lambda triad: triads[triad])))
    return chords


def chord_numbers(song: Accompaniment) -> np.ndarray:
    """Give the chord of each beat: twice the root and one more if minor, or -1."""
    middles = (song.beats[1:] + song.beats[:-1]) / 2
    numbers = np.full(len(middles), -1)
    for span in song.chords:
        found = root_and_minor(span.name)
        if found is not None:
            numbers[(middles >= span.onset) & (middles < span.offset)] = 2 * found[0] + found[1]
    return numbers


def fit(options: argparse.Namespace) -> None:
    """Fit the network, the templates and the confidences on the songs for tuning, and write them."""
    from hf_model.training.band_fitting import BeatExample, fit_band_chords, fit_beat_network, fit_confidences

    examples, harmony, rest = [], [], []
    for number, song in enumerate(_accompaniments(options, held_out=False)):
        if song.downbeats.sum() < 2:
            continue
        spectra = spectra_of(song)
        places = (np.arange(len(song.beats) - 1) - int(np.argmax(song.downbeats))) % song.beats_per_bar
        harmony.append((beat_chroma(spectra, song.beats), places, chord_numbers(song)))
        if number % 5:
            examples.append(BeatExample(rhythm_features(spectra), song.beats, song.downbeats))
        else:
            rest.append((spectra, song.beats, song.downbeats))
    network = fit_beat_network(examples, options.steps)
    weights = {name: table.numpy().astype(np.float32) for name, table in network.state_dict().items()}
    weights |= fit_band_chords(harmony)
    weights["confidence.weight"] = fit_confidences(rest, weights)
    settings = {
        "kind": "band",
        "licence": "MIT",
        "steps": options.steps,
        "trained_on": f"POP909 (MIT): {len(harmony)} songs whose number is no multiple of 5, rendered with FluidSynth",
    }
    write_tensors(FOLDER, weights, settings)
