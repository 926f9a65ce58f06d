"""Train the direct baseline in earnest, and compare it with notes as the bottleneck: reports/direct.md.

The project's first idea was one network from the spectrogram of a voice to that of a piano. Three of them are trained
here, on the same pairs of voice and piano: with the 60 steps of the default profile, with those of the profile
``direct_long``, and the same with the adversarial loss. Beside them, on recordings of voices that none was trained on:
the transcriber of synthetic voices, which never saw these singers either, and the sampled piano.

What is finished is kept in --out; an interrupted training resumes. --only trains some variants and stops, so that two
can run at a time.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from bench.training.tree import run_stages, write_params
from hf_model import inference
from hf_model.alignment.manifest import Pair, piano_path, voice_path
from hf_model.audio.grid import PIANO_SAMPLE_RATE, VOICE_STFT
from hf_model.audio.io import read_audio
from hf_model.audio.recording import read_recording
from hf_model.audio.resampling import resample
from hf_model.direct.network import Direct
from hf_model.evaluation.audio_metrics import log_mel_distance, spectral_convergence
from hf_model.evaluation.metrics import bootstrap_mean, note_scores
from hf_model.evaluation.plots import save_small
from hf_model.evaluation.render_test_set import MEASURED, pairs_of_test_split, spread
from hf_model.evaluation.report import format_interval, markdown_table
from hf_model.notes.note import to_keys
from hf_model.piano.performance import Performance
from hf_model.piano.transcription import piano_to_notes
from hf_model.plotting import BACKGROUND, RANGE_DB, SPECTROGRAM_COLOURS, TEXT, pitch_spectrogram, style_axes
from hf_model.transcriber.transcriber import Transcriber
from hf_model.weights import WEIGHTS, read_config

Audio = NDArray[np.float32]

PROFILE = "direct_long"
SHORT, LONG, ADVERSARIAL = "short", "long", "adversarial"
ADVERSARIAL_WEIGHT = 0.1
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    SHORT: ("default", {}),
    LONG: (PROFILE, {}),
    ADVERSARIAL: (PROFILE, {"model": {"adversarial": ADVERSARIAL_WEIGHT}}),
}
"""Profile of each training, and what is changed in it."""

BOTTLENECK, REFERENCE = "notes, then the sampled piano", "the reference itself"
ITERATIONS = (0, 64)
"""Griffin-Lim iterations that are compared with those of the settings, on the long training."""

FIGURES = ("con", "conp", "log_mel", "convergence")
N_RESAMPLES = 2000
PICTURE_SECONDS, LOWEST, HIGHEST = 6.0, 45, 93
"""Of the pictures; MIDI numbers."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--mirror", required=True, help="folder or URL with the layout of the public sources")
    parser.add_argument("--out", type=Path, default=Path("data/direct"), help="work folder (default: %(default)s)")
    parser.add_argument("--only", nargs="+", choices=VARIANTS, help="train these and stop, without the report")
    parser.add_argument("--as-is", action="store_true", help="train nothing more: report the models that there are")
    parser.add_argument("--files", type=int, default=8, help="recordings of each corpus (%(default)s)")
    parser.add_argument("--report", type=Path, default=Path("reports/direct.md"))


def run(options: argparse.Namespace) -> None:
    """Prepare the pairs, train what is missing, and write the report."""
    out = options.out.resolve()
    if not (out / "data/stft/manifest.json").is_file():
        write_params(out, PROFILE)
        run_stages(out, [("stages.download",), ("stages.align",), ("stages.stft",)], options.mirror)
    for name in () if options.as_is else options.only or VARIANTS:
        train(out, name, options.mirror)
    if options.only:
        return
    aligned = out / "data/aligned"
    pairs = pairs_of_test_split(aligned, out / "data/stft")
    corpora = sorted({pair.corpus for pair in pairs}, reverse=True)
    pictures = options.report.with_suffix("")
    pictures.mkdir(parents=True, exist_ok=True)
    systems = Systems(out / "models")
    tables = {}
    for corpus in corpora:
        chosen = spread([pair for pair in pairs if pair.corpus == corpus], options.files)
        tables[corpus] = [measure(systems, aligned, pair) for pair in track(chosen, corpus)]
        draw(pictures / f"{corpus}.png", systems, aligned, chosen[len(chosen) // 2])
    text = report(tables, {name: read_config(out / "models" / name) for name in systems.direct}, pictures.name)
    options.report.write_text(text, encoding="utf-8")
    print(text)


def train(out: Path, name: str, mirror: str) -> None:
    """Train a variant on the pairs of the work folder, unless its model is there."""
    if (out / "models" / name / "config.json").is_file():
        return
    folder = out / name
    write_params(folder, VARIANTS[name][0], "direct", VARIANTS[name][1])
    shards = folder / "data/stft"
    if not shards.is_symlink():
        shards.symlink_to(out / "data/stft", target_is_directory=True)
    run_stages(folder, [("stages.train", "direct")], mirror)
    (out / "models").mkdir(exist_ok=True)
    shutil.move(folder / "data/model/direct", out / "models" / name)


class Systems:
    """What turns a voice into a piano: the trained variants, and notes with the sampled piano."""

    def __init__(self, folder: Path) -> None:
        there = [name for name in VARIANTS if (folder / name / "config.json").is_file()]
        self.direct = {name: Direct.from_pretrained(folder / name) for name in there}
        self.transcriber = Transcriber.from_pretrained(WEIGHTS / "transcriber_made")

    def render(self, voice: Audio, n_samples: int, more: bool = False) -> dict[str, Audio]:
        """Render a voice (sample,) at 16 kHz with each system; ``more``: also with other numbers of iterations."""
        sounds = {name: model.render(voice, n_samples) for name, model in self.direct.items()}
        for iterations in ITERATIONS if more and LONG in self.direct else ():
            changed = with_iterations(self.direct[LONG], iterations)
            sounds[f"{LONG}, {iterations} Griffin-Lim iterations"] = changed.render(voice, n_samples)
        keys = to_keys(self.transcriber.transcribe(voice))
        return sounds | {BOTTLENECK: inference.render(keys, n_samples, Performance("sampled", **MEASURED))}


def with_iterations(model: Direct, iterations: int) -> Direct:
    """Copy a model with another number of Griffin-Lim iterations."""
    copied = Direct(replace(model.config, phase_iterations=iterations))
    copied.load_state_dict(model.state_dict())
    return copied.eval()


def measure(systems: Systems, aligned: Path, pair: Pair) -> dict[str, dict[str, float]]:
    """Measure the sounds of a recording: notes transcribed from them against the labels, and the distance in sound."""
    voice = read_recording(voice_path(aligned, pair.corpus, pair.pair_id)).voice
    reference = read_audio(piano_path(aligned, pair.corpus, pair.pair_id))[0]
    keys = to_keys(pair.notes, pair.correction.tuning)
    sounds = systems.render(voice, reference.shape[1], more=True) | {REFERENCE: reference}
    rows = {}
    for name, audio in sounds.items():
        scores = note_scores(keys, piano_to_notes(audio, PIANO_SAMPLE_RATE))
        rows[name] = {
            "con": scores["con"],
            "conp": scores["conp"],
            "log_mel": log_mel_distance(reference, audio),
            "convergence": spectral_convergence(reference, audio),
        }
    return rows


def report(
    tables: Mapping[str, Sequence[Mapping[str, Mapping[str, float]]]], configs: Mapping[str, Any], pictures: str
) -> str:
    """Write the page."""
    lines = ["# From spectrogram to spectrogram", "", *(__doc__ or "").strip().splitlines(), ""]
    lines += ["`python -m bench direct --mirror FOLDER` makes this page.", ""]
    trained = [
        [name, str(int(valid["step"])), *(f"{valid[key]:.3f}" for key in ("log_magnitude", "convergence"))]
        for name, valid in ((name, config["valid"]) for name, config in configs.items())
    ]
    head = "training | step of the best validation | log magnitude there (dB / 10) | convergence there"
    lines += markdown_table(head, trained)
    head = "sound | COn re-transcribed | COnP re-transcribed | log-mel distance, dB | spectral convergence"
    for corpus, rows in tables.items():
        lines += ["", f"## {corpus}, {len(rows)} recordings of voices that no training used", ""]
        lines += markdown_table(head, [[name, *cells(rows, name)] for name in rows[0]])
        lines += ["", f"![spectrograms of {corpus}]({pictures}/{corpus}.png)"]
    return "\n".join([*lines, "", *TEACHES.strip().splitlines(), ""])


def cells(rows: Sequence[Mapping[str, Mapping[str, float]]], name: str) -> list[str]:
    """Write the mean of each figure with its interval over recordings."""
    texts = []
    for figure in FIGURES:
        values = bootstrap_mean([row[name][figure] for row in rows], N_RESAMPLES)
        known = dict(zip(("mean", "low", "high"), values, strict=True))
        texts.append(format_interval(known, 2 if figure == "log_mel" else 3))
    return texts


def draw(path: Path, systems: Systems, aligned: Path, pair: Pair) -> None:
    """Draw the spectrograms of a voice, of its reference, and of every system, as PNG."""
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure

    voice = read_recording(voice_path(aligned, pair.corpus, pair.pair_id)).voice
    reference = read_audio(piano_path(aligned, pair.corpus, pair.pair_id))[0]
    sounds = {"voice": voice, "reference": _at_voice_rate(reference)}
    sounds |= {name: _at_voice_rate(audio) for name, audio in systems.render(voice, reference.shape[1]).items()}
    figure = Figure(figsize=(11, 1.6 * len(sounds)), facecolor=BACKGROUND, layout="constrained")
    colours = LinearSegmentedColormap.from_list("spectrogram", SPECTROGRAM_COLOURS)
    for axes, (name, audio) in zip(figure.subplots(len(sounds), 1, sharex=True), sounds.items(), strict=True):
        part = audio[: int(PICTURE_SECONDS * VOICE_STFT.sample_rate)]
        image = np.clip(pitch_spectrogram(part, LOWEST, HIGHEST), -RANGE_DB, 0)
        extent = (0, len(part) / VOICE_STFT.sample_rate, LOWEST, HIGHEST)
        style_axes(axes)
        axes.imshow(image, origin="lower", aspect="auto", cmap=colours, extent=extent)
        axes.set_title(name, color=TEXT, loc="left", fontsize=10)
    save_small(figure, path)


def _at_voice_rate(audio: Audio) -> Audio:
    return resample(audio.mean(axis=0), PIANO_SAMPLE_RATE, VOICE_STFT.sample_rate)


TEACHES = """
## What it teaches

- A loss on spectra counts bins. Most of them are decay or silence; the moments in which notes begin, on which COn and
  COnP depend, are a small share. The columns show how near a sound can come to the reference without its notes.
- One network has to learn from the same pairs which pitch is sung, where a note begins, and what a piano sounds like.
  With notes in between, the transcriber learns the first two from labels, which voices without a piano have as well,
  and the piano needs no training at all.
- Griffin-Lim iterations change the phase alone: the rows with other numbers of them separate errors of the phase from
  errors of the magnitudes.
- There are no notes to write as MIDI, to correct, or to simplify.
"""
