"""Measure whistling, the lowest and highest voices, and slurred notes; write reports/voices.md.

All recordings are synthetic. Whistling and slurred notes are made by synthesizers of this package, which no model was
trained on; the voices by register are those of hf_model.singer with other seeds than in training. The settings of
hf_model.preparation.whistle were chosen on whistling with other seeds, those of hf_model.transcriber.slurs partly on
these slurred notes, those for trills on others.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from bench.transcription import whistling
from bench.transcription.slurred import TESTS
from hf_model.audio.grid import VOICE_STFT
from hf_model.audio.resampling import resample
from hf_model.augmentation.noise import BENCH_SEED
from hf_model.evaluation.degradations import CONDITIONS
from hf_model.evaluation.report import markdown_table
from hf_model.inference import transcribe
from hf_model.notes.note import Note, to_keys
from hf_model.preparation.whistle import WHISTLED_SHARE, whistled_share
from hf_model.separator.source import cut_excerpts
from hf_model.singer.composition import compose
from hf_model.singer.synthesis import SingerConfig, sing

Audio = whistling.Audio

RATE = VOICE_STFT.sample_rate
LATE = 0.25
"""Seconds between the onsets of a note and of its transcription, at most: a glide has no exact onset."""

REGISTERS = (34, 40, 46, 52, 58, 64, 70, 76, 82, 88)
"""MIDI numbers of the middle of synthetic melodies: from 58 Hz to 1,319 Hz."""

NOTE = (
    "All recordings are synthetic, and no model was trained on the whistling and the slurred notes. The settings of "
    "the decoder for slurs were chosen partly on these."
)

HEADER = "notes | right key | octave errors | notes transcribed | taken for whistling"


@dataclass
class Tally:
    """Counts of notes and recordings."""

    notes: int = 0
    right: int = 0
    octave: int = 0
    found: int = 0
    recordings: int = 0
    whistled: int = 0

    def add(self, audio: Audio, truth: Sequence[Note]) -> None:
        """Transcribe a recording (sample,) at 16 kHz and count its notes; their pitches may be out of tune."""
        is_whistled = whistled_share(cut_excerpts(audio)) >= WHISTLED_SHARE
        found = to_keys(transcribe(audio, RATE, source="whistle" if is_whistled else "voice"))
        keys = to_keys(truth)
        pairs = [_nearest(key, found) for key in keys]
        self.notes += len(keys)
        self.found += len(found)
        self.right += sum(abs(pitch) < 0.5 for pitch in pairs)
        self.octave += sum(abs(pitch) > 6 and abs(pitch) % 12 < 0.5 for pitch in pairs)
        self.recordings += 1
        self.whistled += is_whistled

    def row(self, name: str) -> list[str]:
        """Give the cells of a table."""
        shares = [f"{100 * count / max(1, self.notes):.1f} %" for count in (self.right, self.octave, self.found)]
        return [name, str(self.notes), *shares, f"{self.whistled} of {self.recordings}"]


def _nearest(key: Note, found: Sequence[Note]) -> float:
    """Give the pitch error of the note with the nearest pitch among those that begin in time; 100 without one."""
    errors = [note.pitch - key.pitch for note in found if abs(note.onset - key.onset) <= LATE]
    return min(errors, key=abs) if errors else 100.0


def whistled_rows(count: int) -> Iterator[list[str]]:
    """Measure whistled scales and tunes, clean and degraded."""
    for kind in (whistling.scale, whistling.tune):
        for condition in ("clean", *CONDITIONS):
            tally = Tally()
            for seed in range(BENCH_SEED, BENCH_SEED + count):
                whistled = whistling.whistle(kind(seed), seed)
                audio = resample(whistled.audio, whistling.RATE, RATE)
                audio = audio if condition == "clean" else CONDITIONS[condition](audio, RATE, seed)
                tally.add(audio, whistled.notes)
            yield tally.row(f"whistled {kind.__name__}s, {condition}")


def register_rows(count: int) -> Iterator[list[str]]:
    """Measure synthetic singers by the middle of their melodies."""
    for middle in REGISTERS:
        tally = Tally()
        for seed in range(BENCH_SEED, BENCH_SEED + count):
            score = compose(seed, 12.0)
            shift = round(middle - float(np.median([note.pitch for note in score])))
            moved = [replace(note, pitch=note.pitch + shift) for note in score]
            song = sing([note for note in moved if 30 <= note.pitch <= 92], seed, SingerConfig(RATE, speech=0.0))
            tally.add(song.audio, song.notes)
        yield tally.row(f"singers, middle {440 * 2 ** ((middle - 69) / 12):.0f} Hz")


def slurred_rows() -> Iterator[list[str]]:
    """Measure notes that only their pitch tells apart, and wide vibrato."""
    for name, recordings in TESTS.items():
        tally = Tally()
        for audio, notes in recordings():
            tally.add(audio, notes)
        yield tally.row(name)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--count", type=int, default=6, help="recordings of each kind")
    parser.add_argument("--out", type=Path, default=Path("reports/voices.md"))


def run(options: argparse.Namespace) -> None:
    """Measure all kinds and write the report."""
    lines = [
        "# Whistling, the lowest and the highest voices, slurred notes",
        "",
        "Written by `python -m bench voices`.",
        "",
    ]
    parts = {
        "Whistling": whistled_rows(options.count),
        "Registers": register_rows(options.count),
        "Slurs, vibrato, trills": slurred_rows(),
    }
    for title, rows in parts.items():
        measured = []
        for row in rows:
            print(" | ".join(row), flush=True)
            measured.append(row)
        lines += [f"## {title}", "", *markdown_table(f"recordings | {HEADER}", measured), ""]
    options.out.write_text("\n".join(lines), encoding="utf-8")
