"""Which instrument is this? Accuracy, macro F1 and calibration on sounds that the network was never trained on.

A sound font of another family (phrases, single notes, bands), recorded songs' stems, a real piano and real voices. The
stage ``instruments`` with the profile of that name trains the network.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pretty_midi
from numpy.typing import NDArray

from bench.songs.source_clips import TEST_STEMS, read_mono, recorded_voices
from bench.sound.figure import Figure, mean_interval
from bench.sound.piano_in_band import band_clips
from hf_model.alignment.band_audio import TEST_FONT, find_font
from hf_model.cli.inspection import MIN_SHOWN
from hf_model.instruments.classes import INSTRUMENTS, VOICE, VOICES
from hf_model.instruments.identifier import InstrumentIdentifier
from hf_model.instruments.spectrogram import RATE
from hf_model.piano.sampled import SampledPiano
from hf_model.training.instruments.scoring import score_clips
from hf_model.training.instruments.settings import InstrumentTraining, play_phrase, test_clips
from hf_model.training.instruments.single_notes import note_clips
from hf_model.weights import WEIGHTS

SECONDS = 5.0

REGIONS = ((21, 35), (36, 47), (48, 59), (60, 71), (72, 83), (84, 95), (96, 108))
"""Keys, as MIDI numbers."""

LAYERS = ((1, 1), (2, 4), (5, 8), (9, 16))
"""Velocity layers of the recorded piano."""

TARGETS = {VOICE: "≥ .98", "piano": "≥ .95"}

CLEAR_DB = -8.0
"""Level of a piano that is clearly audible, relative to all other instruments together."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("mirror", type=Path, help="folder of the corpora")
    parser.add_argument("--piano", type=Path, help="folder with recorded notes of a piano (Salamander, ogg)")


def run(arguments: argparse.Namespace) -> list[Figure]:
    """Print the tables."""
    identifier = InstrumentIdentifier.load()
    clips = test_clips(InstrumentTraining(test_font=TEST_FONT))
    found, other_half = score_clips(identifier, clips), score_clips(identifier, clips[1::2])
    print(f"{TEST_FONT}, {len(clips)} clips: accuracy {found.accuracy:.3f}, macro F1 {found.macro_f1:.3f}")
    print(f"  expected calibration error of the half not used for calibration {other_half.calibration_error:.3f}")
    for name, other, count in found.confusions:
        print(f"  {name} taken for {other}: {count}")
    notes = list(note_clips(find_font(TEST_FONT), 12, 9))
    of_notes = score_clips(identifier, notes)
    print(f"{TEST_FONT}, {len(notes)} single notes: accuracy {of_notes.accuracy:.3f}, macro F1 {of_notes.macro_f1:.3f}")
    chance = f"chance {1 / len(INSTRUMENTS):.2f}"
    irmas = "IRMAS, 11 instruments, predominant one: .50 (Han et al. 2017)"
    figures = [
        Figure(
            f"instrument, {TEST_FONT} (held out), {len(clips)} clips, macro F1",
            f"{found.macro_f1:.3f}",
            chance,
            irmas,
            "≥ .80",
        ),
        Figure("the same, expected calibration error", f"{other_half.calibration_error:.3f}"),
    ]
    for title, audios, wanted in real_sounds(arguments.mirror, arguments.piano):
        spans = [identifier.identify(audio) for audio in audios]
        tops = [top_instrument(span.probabilities) for span in spans]
        share = float(np.mean([top == wanted for top in tops])) if tops else float("nan")
        if tops:
            measured = mean_interval([top == wanted for top in tops])
            figures.append(Figure(f"{title}: called {wanted}", measured, chance, "", TARGETS[wanted]))
        wrong = sorted({top for top in tops if top != wanted})
        print(f"{title}, {len(tops)} clips: called {wanted} {share:.3f}{', else ' + ', '.join(wrong) if wrong else ''}")
    if arguments.piano is not None:
        print_notes(identifier, arguments.piano)
    print_bands(identifier, arguments.mirror)
    figures.append(Figure("time of a clip of 5 s", f"{print_time(identifier):.1f} ms", "", "", "< 50 ms"))
    return figures


def print_notes(identifier: InstrumentIdentifier, folder: Path) -> None:
    """Print how often the piano is first, and among the first two, by region and velocity layer of its notes."""
    rows = []
    for path in sorted(folder.rglob("*.ogg")):
        named = re.fullmatch(r"([A-G]#?)(\d)v(\d+)", path.stem)
        if named is None:
            continue
        key, layer = round(pretty_midi.note_name_to_number(named[1] + named[2])), int(named[3])
        note = read_mono(path)
        whole, cut = (identifier.identify(part).probabilities for part in (note, note[: round(SECONDS * RATE)]))
        order = sorted((name for name in cut if name not in VOICES), key=lambda name: -cut[name])
        rows.append((key, layer, order[0] == "piano", "piano" in order[:2], top_instrument(whole) == "piano"))
    table = np.array(rows)
    print(f"Salamander, uncut: called piano {table[:, 4].mean():.3f}")
    for title, column, spans in (("keys", 0, REGIONS), ("velocity layers", 1, LAYERS)):
        for low, high in spans:
            part = table[(table[:, column] >= low) & (table[:, column] <= high)]
            if len(part):
                first, two = part[:, 2].mean(), part[:, 3].mean()
                print(f"  {title} {low}-{high}: piano first {first:.2f}, among the first two {two:.2f} of {len(part)}")


def print_bands(identifier: InstrumentIdentifier, mirror: Path) -> None:
    """Print how often a piano is found in a band, and how often one is that is not there."""
    clips = list(band_clips(mirror, TEST_FONT, 80))
    chances = np.array([identifier.identify(clip.audio).probabilities["piano"] for clip in clips])
    levels = np.array([clip.piano_db for clip in clips])
    for title, chosen in (("with a clear piano", levels > CLEAR_DB), ("without a piano", np.isinf(levels))):
        shown, likely = (float(np.mean(chances[chosen] > least)) for least in (MIN_SHOWN, 0.5))
        print(f"bands {title}, {chosen.sum()}: piano shown {shown:.2f}, more likely than not {likely:.2f}")


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
    grand = SampledPiano.load(WEIGHTS / "piano_concert", channels=1)  # in no sound font
    yield "concert grand, melodies", [play_phrase(grand, 7000 + seed) for seed in range(40)], "piano"
    if piano is not None:
        notes = [read_mono(path) for path in sorted(piano.rglob("*.ogg"))]
        yield "Salamander, notes", [note[: round(SECONDS * RATE)] for note in notes if len(note) >= RATE], "piano"


def print_time(identifier: InstrumentIdentifier) -> float:
    """Print the median time of a clip, in milliseconds."""
    clip = np.random.default_rng(0).standard_normal(round(SECONDS * RATE)).astype(np.float32)
    times = []
    for _ in range(9):
        begin = time.perf_counter()
        identifier.identify(clip)
        times.append(time.perf_counter() - begin)
    milliseconds = 1000 * float(np.median(times))
    print(f"time of a clip of {SECONDS:g} s: {milliseconds:.1f} ms")
    return milliseconds
