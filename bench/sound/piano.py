"""Measure the distance of the pianos from the reference, and what they cost.

The reference is FluidSynth (apt-get install fluidsynth musescore-general-soundfont), a fresh synth for every file, with
the sound font, the gain and the settings of hf_model/piano/fluidsynth.py; a test compares the first two with
hf_model/weights/piano/config.json. --scores is a folder of POP909; played are the first 20 s of songs that no training
uses. Tables are printed, and with --out kept. Rows and parts that are not measured stay as they are.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import track

from bench.sound.piano_notes import Audio, compare_keyboard, compare_notes
from bench.sound.piano_report import SECONDS, markdown
from hf_model.audio.grid import PIANO_SAMPLE_RATE, PIANO_STFT
from hf_model.audio.griffin_lim import griffin_lim
from hf_model.audio.stft import stft
from hf_model.corpora.readers.scores import is_piano_test_song
from hf_model.evaluation.audio_metrics import complex_convergence, log_mel_distance, si_sdr, spectral_convergence
from hf_model.evaluation.baselines import BASELINES, installed
from hf_model.evaluation.metrics import bootstrap_mean, note_scores
from hf_model.notes.midi import read_midi_tracks
from hf_model.notes.note import Note
from hf_model.piano.fluidsynth import FluidSynthLibrary, to_tick
from hf_model.piano.rendering import Renderer
from hf_model.piano.sampled import SampledPiano
from hf_model.piano.transcription import piano_to_notes
from hf_model.synthesizer.config import SynthesizerConfig
from hf_model.synthesizer.network import SynthesizerNetwork
from hf_model.synthesizer.synthesizer import Synthesizer
from hf_model.weights import WEIGHTS

PARTS = ("melodies", "notes", "keyboard", "cost")
DISTANCES: dict[str, Callable[[Audio, Audio], float]] = {
    "log_mel": log_mel_distance,
    "convergence": spectral_convergence,
    "complex": complex_convergence,
    "si_sdr": si_sdr,
}
NEURAL, UNTRAINED, REFERENCE = "neural", "table alone", "reference"
LOUDER, GRIFFIN_LIM = "10 velocity steps louder", "Griffin-Lim, true magnitude"
RETRANSCRIBED = ("sampled", NEURAL)
N_RESAMPLES = 2000
TEN_MINUTES = 600
FOLDERS = {"sampled": ("piano",), NEURAL: ("synthesizer", "partials")}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--scores", type=Path, required=True, help="POP909, or a folder above it")
    parser.add_argument("--melodies", type=int, default=20, help="of the held-out songs")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--model", type=Path, default=WEIGHTS / "synthesizer", help="folder of the neural piano")
    parser.add_argument("--out", type=Path, help="folder of figures.json and table.md (reports/piano)")


def run(options: argparse.Namespace) -> None:
    """Measure the chosen parts, and print one table for each."""
    scores = read_scores(options.scores, options.melodies)
    reference, pianos = FluidSynthLibrary(), load_pianos(options.model)
    report: dict[str, Any] = {"reference": "FluidSynth", "songs": list(scores)}
    path = options.out / "figures.json" if options.out else Path()
    if path.is_file():
        earlier = json.loads(path.read_text(encoding="utf-8"))
        report = earlier if earlier.get("songs") == report["songs"] else report
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "melodies": lambda: compare_melodies(reference, pianos, scores),
        "notes": lambda: compare_notes(reference, pianos),
        "keyboard": lambda: compare_keyboard(reference, pianos),
        "cost": lambda: measure_cost({REFERENCE: reference, **pianos}, next(iter(scores.values()))),
    }
    for part in options.parts:
        report[part] = {**report.get(part, {}), **parts[part]()}
    text = markdown(report)
    print(text)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        (options.out / "table.md").write_text(text, encoding="utf-8")


def load_pianos(model: Path) -> dict[str, Renderer]:
    """Load the pianos; the untrained network plays the table of partials as it was fitted."""
    with tempfile.TemporaryDirectory() as folder:
        SynthesizerNetwork(SynthesizerConfig()).save_pretrained(folder)
        untrained = Synthesizer.from_pretrained(folder)
    return {"sampled": SampledPiano.load(), NEURAL: Synthesizer.from_pretrained(model), UNTRAINED: untrained}


def read_scores(folder: Path, n_scores: int) -> dict[str, list[Note]]:
    """Read the first 20 s of the held-out songs of POP909, on FluidSynth's grid: all pianos play in time."""
    paths = sorted(
        path for path in folder.rglob("*.mid") if is_piano_test_song(path.stem) and path.stem == path.parent.name
    )
    scores = {}
    for path in paths[:n_scores]:
        notes = [note for one in read_midi_tracks(path).tracks if one.name == "MELODY" for note in one.notes]
        start = min(note.onset for note in notes) - 0.3
        moved = [Note(n.onset - start, n.offset - start, n.pitch, n.velocity) for n in notes]
        played = [on_ticks(note) for note in moved if note.onset < SECONDS]
        # Some songs hold a note twice; a key of FluidSynth struck twice at once is released with the first of the two.
        scores[path.stem] = list({(note.onset, note.pitch): note for note in played}.values())
    if not scores:
        raise SystemExit(f"{folder} holds no held-out song of POP909 (POP909/045/045.mid, POP909/090/090.mid, ...)")
    return scores


def on_ticks(note: Note) -> Note:
    """Move a note to FluidSynth's grid."""
    onset = to_tick(note.onset) / PIANO_SAMPLE_RATE
    return Note(onset, max(onset + 0.02, to_tick(note.offset) / PIANO_SAMPLE_RATE), note.pitch, note.velocity)


def compare_melodies(
    reference: Renderer, pianos: Mapping[str, Renderer], scores: Mapping[str, list[Note]]
) -> dict[str, Any]:
    """Measure every piano, and two yardsticks, on every melody: for each a mean, a 95 % interval and the extremes."""
    n_samples = SECONDS * PIANO_SAMPLE_RATE
    rows: dict[str, list[dict[str, float]]] = {}
    for notes in track(scores.values(), "melodies"):
        wanted = reference.render(notes, n_samples)
        louder = [Note(n.onset, n.offset, n.pitch, min(127, n.velocity + 10)) for n in notes]
        played = {name: piano.render(notes, n_samples) for name, piano in pianos.items()}
        played[LOUDER] = reference.render(louder, n_samples)
        played[GRIFFIN_LIM] = through_griffin_lim(wanted.mean(axis=0))[None]
        for name, sound in played.items():
            row = {key: measure(wanted.mean(axis=0), sound.mean(axis=0)) for key, measure in DISTANCES.items()}
            for key in ("log_mel", "convergence"):
                sides = zip(wanted, np.broadcast_to(sound, wanted.shape), strict=True)
                row[f"{key}_channels"] = float(np.mean([DISTANCES[key](*side) for side in sides]))
            if name in RETRANSCRIBED:
                row |= retranscribe(wanted, sound, notes)
            row["channels"] = len(sound)
            rows.setdefault(name, []).append(row)
    return {name: {key: _summary([one[key] for one in found]) for key in found[0]} for name, found in rows.items()}


def retranscribe(wanted: Audio, sound: Audio, notes: Sequence[Note]) -> dict[str, float]:
    """Transcribe a rendering and the reference's: COnP of the first, and minus COnP of the second."""
    transcribers: dict[str, Callable[[Audio, int], list[Note]]] = {"own": piano_to_notes}
    if installed(["basic_pitch"]):
        transcribers["basic_pitch"] = BASELINES["basic_pitch"][1]
    meant = [note for note in notes if note.onset < SECONDS - 0.1]
    row: dict[str, float] = {}
    for name, transcribe in transcribers.items():
        here, there = (note_scores(meant, transcribe(audio, PIANO_SAMPLE_RATE))["conp"] for audio in (sound, wanted))
        row |= {f"conp_{name}": here, f"conp_{name}_difference": here - there}
    return row


def _summary(values: list[float]) -> dict[str, float]:
    mean, low, high = bootstrap_mean(values, N_RESAMPLES)
    figures = {"mean": mean, "low": low, "high": high, "least": min(values), "most": max(values)}
    return {key: round(value, 4) for key, value in figures.items()}


def through_griffin_lim(audio: Audio, iterations: int = 32) -> Audio:
    """Estimate the phase from the magnitude."""
    rebuilt = griffin_lim(stft(torch.from_numpy(audio), PIANO_STFT).abs(), iterations).numpy()
    return np.pad(rebuilt, (0, len(audio) - len(rebuilt)))


def measure_cost(pianos: Mapping[str, Renderer], notes: Sequence[Note]) -> dict[str, dict[str, float]]:
    """Time ten minutes of a melody, and add up the weights."""
    times = np.arange(TEN_MINUTES // SECONDS) * float(SECONDS)
    many = [Note(n.onset + start, n.offset + start, n.pitch, n.velocity) for start in times.tolist() for n in notes]
    figures: dict[str, dict[str, float]] = {}
    for name, piano in pianos.items():
        start, spent = time.perf_counter(), sum(os.times()[:4])
        piano.render(many, TEN_MINUTES * PIANO_SAMPLE_RATE)
        figures[name] = {
            "times_real_time": round(TEN_MINUTES / (time.perf_counter() - start), 1),
            "seconds_per_cpu_second": round(TEN_MINUTES / (sum(os.times()[:4]) - spent), 1),
        }
    for name, folders in FOLDERS.items():
        size = sum(path.stat().st_size for folder in folders for path in (WEIGHTS / folder).rglob("*.safetensors"))
        figures[name]["weights_mb"] = round(size / 1e6, 2)
    return figures
