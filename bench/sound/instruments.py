"""Which instrument is this? Accuracy, macro F1 and calibration on sounds that the network was never trained on.

A sound font of another family, recorded songs' stems, a real piano and real voices. ``--fit`` renders the training
clips with FluidSynth, trains the network and writes ``hf_model/weights/instruments``.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from bench.songs.source_clips import TEST_STEMS, read_mono, recorded_voices
from hf_model.alignment.band_audio import TEST_FONT, find_font
from hf_model.audio.grid import PIANO_SAMPLE_RATE
from hf_model.audio.resampling import resample
from hf_model.instruments.classes import CLASSES, INSTRUMENTS, VOICE, VOICES
from hf_model.instruments.identifier import InstrumentIdentifier
from hf_model.instruments.spectrogram import RATE, log_scaled
from hf_model.piano.sampled import SampledPiano
from hf_model.singer.composition import compose
from hf_model.training.instruments.clips import (
    TRAIN_FONTS,
    InstrumentClip,
    audio_clip,
    font_clips,
    made_voice_clips,
)
from hf_model.weights import WEIGHTS

SECONDS = 5.0

TRAINED_ON = (
    "phrases played by sound fonts (MuseScore General, FluidR3, csound's GM bank, OPL3; chords, melodies, drums), "
    "synthetic voices, and 44 recordings that SSVD v2.0 shares with HUST_Solfege (MIT)"
)


class Scores(NamedTuple):
    """Results on clips of one instrument each."""

    accuracy: float
    macro_f1: float
    calibration_error: float
    confusions: list[tuple[str, str, int]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("mirror", type=Path, help="folder of the corpora")
    parser.add_argument("--fit", action="store_true", help="train the network and write its weights")
    parser.add_argument("--clips", type=int, default=40, help="with --fit: clips a class and sound font")
    parser.add_argument("--steps", type=int, default=3000, help="with --fit: steps of the training")
    parser.add_argument("--piano", type=Path, help="folder with recorded notes of a piano (Salamander, ogg)")


def run(arguments: argparse.Namespace) -> None:
    """Print the tables."""
    if arguments.fit:
        fit(arguments.mirror, arguments.clips, arguments.steps)
    identifier = InstrumentIdentifier.load()
    clips = test_clips()
    found, other_half = scores(identifier, clips), scores(identifier, clips[1::2])
    print(f"{TEST_FONT}, {len(clips)} clips: accuracy {found.accuracy:.3f}, macro F1 {found.macro_f1:.3f}")
    print(f"  expected calibration error of the half not used for calibration {other_half.calibration_error:.3f}")
    for name, other, count in found.confusions:
        print(f"  {name} taken for {other}: {count}")
    for title, audios, wanted in real_sounds(arguments.mirror, arguments.piano):
        spans = [identifier.identify(audio) for audio in audios]
        tops = [top_instrument(span.probabilities) for span in spans]
        share = float(np.mean([top == wanted for top in tops])) if tops else float("nan")
        wrong = sorted({top for top in tops if top != wanted})
        print(f"{title}, {len(tops)} clips: called {wanted} {share:.3f}{', else ' + ', '.join(wrong) if wrong else ''}")
    print_time(identifier)


def fit(mirror: Path, n_clips: int, n_steps: int) -> None:
    """Train on all but the test sounds and write the weights."""
    from rich.progress import Progress

    from hf_model.training.instruments.fitting import Schedule, fit_instruments

    clips = [clip for font in TRAIN_FONTS for clip in font_clips(find_font(font), n_clips, 0)]
    clips += [*made_voice_clips(20 * n_clips, 0), *recorded_clips(mirror)]
    with Progress() as bars:
        bar = bars.add_task("training", total=n_steps)
        network = fit_instruments(clips, Schedule(n_steps), progress=lambda _step, _loss: bars.advance(bar))
    network.facts = {"licence": "MIT", "trained_on": TRAINED_ON, "clips": n_clips, "steps": n_steps}
    folder = WEIGHTS / "instruments"
    network.save_pretrained(folder)
    slope, shift = calibrate(InstrumentIdentifier.from_pretrained(folder), test_clips()[::2])
    network.save_pretrained(folder, calibration={"slope": slope, "shift": shift})


def test_clips() -> list[InstrumentClip]:
    """Render the clips of the held-out sound font, and whistle."""
    clips = list(font_clips(find_font(TEST_FONT), 16, 0))
    return clips + [clip for clip in made_voice_clips(60, 9) if "whistling" in clip.names]


def calibrate(identifier: InstrumentIdentifier, clips: Sequence[InstrumentClip]) -> tuple[float, float]:
    """Fit slope and shift of all logits: mixtures, which the network is trained on, are less clear than these clips."""
    logits = clip_logits(identifier, clips)
    targets = np.array([[name in clip.names for name in CLASSES] for clip in clips], dtype=np.float64)

    def loss(weights: NDArray[np.float64]) -> float:
        scaled = weights[0] * logits + weights[1]
        return float(np.mean(np.logaddexp(0.0, scaled) - targets * scaled))

    slope, shift = minimize(loss, [1.0, 0.0]).x
    return round(float(slope), 3), round(float(shift), 3)


def clip_logits(identifier: InstrumentIdentifier, clips: Sequence[InstrumentClip]) -> NDArray[np.float64]:
    """Compute the logits (clip, class) of clips of equal length."""
    powers = np.stack([clip.power for clip in clips])
    parts = np.array_split(powers, len(clips) // 32 + 1)
    return np.concatenate([identifier.logits(log_scaled(part)) for part in parts])


def recorded_clips(mirror: Path) -> Iterator[InstrumentClip]:
    """Cut recordings of training singers into clips."""
    for path in recorded_voices(mirror, test=False):
        for part in windows(read_mono(path), 12):
            clip = audio_clip(part, {VOICE}, "recorded voices")
            if clip is not None:
                yield clip


def windows(audio: NDArray[np.float32], most: int) -> list[NDArray[np.float32]]:
    """Cut a recording into windows of ``SECONDS``, at most so many, leaving out those in which little sounds."""
    size = round(SECONDS * RATE)
    parts = [audio[start : start + size] for start in range(0, max(1, len(audio) - size + 1), size)]
    loud = max(float(np.mean(np.square(part))) for part in parts)
    sounding = [part for part in parts if np.mean(np.square(part)) > 0.05 * loud and len(part) >= RATE]
    return sounding[:: max(1, len(sounding) // most)][:most]


def top_instrument(probabilities: dict[str, float] | object) -> str:
    """Name the most probable of the instruments, without the kinds of voices."""
    assert isinstance(probabilities, dict)
    return max((name for name in probabilities if name not in VOICES), key=probabilities.__getitem__, default="silence")


def scores(identifier: InstrumentIdentifier, clips: Sequence[InstrumentClip]) -> Scores:
    """Compare clips with one instrument each."""
    logits = clip_logits(identifier, clips)
    chances = 1.0 / (1.0 + np.exp(-logits))
    columns = [CLASSES.index(name) for name in INSTRUMENTS]
    wanted = np.array([next(i for i, name in enumerate(INSTRUMENTS) if name in clip.names) for clip in clips])
    chosen = chances[:, columns].argmax(axis=1)
    f1 = []
    for index in np.unique(wanted):
        right = float(np.sum((chosen == index) & (wanted == index)))
        f1.append(2.0 * right / (np.sum(chosen == index) + np.sum(wanted == index)))
    top = chances[:, columns].max(axis=1)
    error = calibration_error(top, chosen == wanted)
    pairs = [(INSTRUMENTS[a], INSTRUMENTS[b]) for a, b in zip(wanted, chosen, strict=True) if a != b]
    counted = sorted(((*pair, pairs.count(pair)) for pair in set(pairs)), key=lambda item: -item[2])
    return Scores(float(np.mean(chosen == wanted)), float(np.mean(f1)), error, counted[:12])


def calibration_error(chances: NDArray[np.float64], right: NDArray[np.bool_], n_bins: int = 10) -> float:
    """Compute the mean distance of probability and share of right answers in equal bins."""
    bins = np.minimum((chances * n_bins).astype(int), n_bins - 1)
    gaps = [np.sum(bins == i) * abs(chances[bins == i].mean() - right[bins == i].mean()) for i in np.unique(bins)]
    return float(np.sum(gaps) / len(chances))


def real_sounds(mirror: Path, piano: Path | None) -> Iterator[tuple[str, list[NDArray[np.float32]], str]]:
    """Yield the name, clips and instrument of each collection of recorded sounds."""
    trained_on = recorded_voices(mirror, test=False)
    held_out = [path for path in sorted((mirror / "ssvd" / "train&valid").glob("*.flac")) if path not in trained_on]
    yield "SSVD, other singers", [part for path in held_out for part in windows(read_mono(path), 4)], VOICE
    for name in ("csd", "vocadito"):
        paths = sorted(path for path in (mirror / name).rglob("*") if path.suffix in {".wav", ".ogg", ".flac", ".mp3"})
        yield name, [part for path in paths for part in windows(read_mono(path), 8)], VOICE
    leads = [mirror / "everythingisfree" / name / "lead.ogg" for name in TEST_STEMS]
    yield "everythingisfree, vocals", [part for path in leads for part in windows(read_mono(path), 40)], VOICE
    yield "concert grand, melodies", [piano_melody(seed) for seed in range(40)], "piano"
    if piano is not None:
        notes = [read_mono(path) for path in sorted(piano.rglob("*.ogg"))]
        yield "Salamander, notes", [note[: round(SECONDS * RATE)] for note in notes if len(note) >= RATE], "piano"


def piano_melody(seed: int) -> NDArray[np.float32]:
    """Play a melody on the recorded grand, which is in no sound font."""
    grand = SampledPiano.load(WEIGHTS / "piano_concert", channels=1)
    notes = [replace(note, pitch=float(round(note.pitch))) for note in compose(7000 + seed, SECONDS)]
    return resample(grand.render(notes, round(SECONDS * PIANO_SAMPLE_RATE))[0], PIANO_SAMPLE_RATE, RATE)


def print_time(identifier: InstrumentIdentifier) -> None:
    """Print the median time of a clip."""
    clip = np.random.default_rng(0).standard_normal(round(SECONDS * RATE)).astype(np.float32)
    times = []
    for _ in range(9):
        begin = time.perf_counter()
        identifier.identify(clip)
        times.append(time.perf_counter() - begin)
    print(f"time of a clip of {SECONDS:g} s: {1000 * np.median(times):.1f} ms")
