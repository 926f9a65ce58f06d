"""The audit of note labels on planted faults: how many are found, and how often good labels are called faulty.

Labels: those of SSVD after correction by the align stage, and of made phrases, which are exact. The thresholds were
chosen on half of the recordings of SSVD (alternating by name) and on other phrases; the figures are those of the rest.
*Judged*: trials in which a pitch was tracked in at least half of the labelled time. The program says of the others that
it does not judge them; found and false alarms are shares of those that it judged. Each fault is planted twice in each
recording.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hf_model.alignment.labels.audit import audit_labels
from hf_model.alignment.labels.correction import (
    apply_correction,
    corpus_prior,
    correct_octaves,
    estimate_correction,
    measure_labels,
)
from hf_model.alignment.tracked_voice import TrackedVoice
from hf_model.audio.grid import VOICE_STFT
from hf_model.audio.pitch_tracking import Track, track
from hf_model.audio.resampling import resample
from hf_model.corpora.readers.voice import read_ssvd
from hf_model.evaluation.report import markdown_table
from hf_model.notes.note import Note
from hf_model.singer.composition import compose
from hf_model.singer.synthesis import SingerConfig, sing

N_MADE, MADE_SECONDS, FIRST_SEED = 200, 12.0, 9_100_000
DRAWS = 2
"""Times that each fault is planted in each recording."""

Notes = Sequence[Note]
Generator = np.random.Generator


class Item(NamedTuple):
    """A recording with good labels."""

    name: str
    track: Track
    notes: list[Note]


def transposed(notes: Notes, semitones: int) -> list[Note]:
    """Transpose all notes that stay within the range of MIDI."""
    return [replace(note, pitch=float(np.clip(note.pitch + semitones, 1, 126))) for note in notes]


def shifted(notes: Notes, seconds: float) -> list[Note]:
    """Move all notes in time; what begins before the recording is cut."""
    moved = [(max(0.0, note.onset + seconds), note.offset + seconds, note) for note in notes]
    return [replace(note, onset=onset, offset=offset) for onset, offset, note in moved if offset > onset + 0.02]


def thinned(notes: Notes, share: float, draw: Generator) -> list[Note]:
    """Remove a share of the notes, at least three, but not all."""
    count = min(len(notes) - 2, max(3, round(share * len(notes))))
    gone = set(draw.choice(len(notes), max(count, 0), replace=False).tolist())
    return [note for index, note in enumerate(notes) if index not in gone]


def wrong_pitches(notes: Notes, share: float, draw: Generator) -> list[Note]:
    """Move a share of the notes, at least three, by two to five semitones."""
    count = min(len(notes), max(3, round(share * len(notes))))
    chosen = set(draw.choice(len(notes), count, replace=False).tolist())
    steps = draw.choice([-5, -4, -3, -2, 2, 3, 4, 5], len(notes))
    return [
        replace(note, pitch=note.pitch + float(step)) if index in chosen else note
        for index, (note, step) in enumerate(zip(notes, steps, strict=True))
    ]


def _octave(notes: Notes, draw: Generator) -> list[Note]:
    return transposed(notes, int(draw.choice([-12, 12])))


def _transposition(notes: Notes, draw: Generator) -> list[Note]:
    return transposed(notes, int(draw.choice([-7, -5, -4, -3, -2, 2, 3, 4, 5, 7])))


def _shift(notes: Notes, draw: Generator) -> list[Note]:
    return shifted(notes, float(draw.uniform(0.2, 1.0) * draw.choice([-1, 1])))


def _missing(notes: Notes, draw: Generator) -> list[Note]:
    return thinned(notes, 0.15, draw)


def _disagreement(notes: Notes, draw: Generator) -> list[Note]:
    return wrong_pitches(notes, 0.25, draw)


PLANT: dict[str, Callable[[Notes, Generator], list[Note]]] = {
    "octave": _octave,
    "transposition": _transposition,
    "shift": _shift,
    "missing notes": _missing,
    "disagreement": _disagreement,
}
MIXTURES = (("octave", "shift"), ("transposition", "missing notes"), ("octave", "shift", "missing notes"))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--mirror", type=Path, required=True, help="folder with the layout of the public sources")
    parser.add_argument("--tuning-half", action="store_true", help="measure the half that chose the thresholds")
    parser.add_argument("--report", type=Path, default=Path("reports/audit.md"), help="default: %(default)s")


def run(options: argparse.Namespace) -> None:
    """Measure, print and write the report."""
    sets = {"SSVD": read_items(options.mirror, options.tuning_half), "made": made_items(options.tuning_half)}
    rows = [row for name, items in sets.items() for row in measure(name, items)]
    table = markdown_table("labels | planted | judged | found | false alarms of other kinds", rows)
    print("\n".join(table))
    if not options.tuning_half:
        lines = ["# Audit of labels", "", *(__doc__ or "").strip().splitlines(), "", *table, ""]
        options.report.write_text("\n".join(lines), encoding="utf-8")


def measure(name: str, items: Sequence[Item]) -> list[list[str]]:
    """Plant every fault and mixture; a row each: found, and findings that were not planted."""
    good = [audit_labels(item.track, item.notes) for item in items]
    alarms, not_judged = sum(bool(one.faults) for one in good), sum(not one.is_judged for one in good)
    rows = [[name, "nothing", f"{len(items) - not_judged} of {len(items)}", "", f"{alarms} of {len(items)}"]]
    draw = np.random.default_rng(0)
    for kinds in [(kind,) for kind in PLANT] + list(MIXTURES):
        found = wanted = other = trials = judged = 0
        for item in items:
            for _ in range(DRAWS):
                notes = item.notes
                for kind in kinds:
                    notes = PLANT[kind](notes, draw)
                audit = audit_labels(item.track, notes)
                trials += 1
                if audit.is_judged:
                    judged += 1
                    found += sum(kind in audit.faults for kind in kinds)
                    wanted += len(kinds)
                    other += bool(set(audit.faults) - set(kinds))
        rows.append(
            [name, " + ".join(kinds), f"{judged} of {trials}", f"{found / wanted:.1%}", f"{other / judged:.1%}"]
        )
    return rows


def read_items(mirror: Path, first_half: bool) -> list[Item]:
    """Read one half of SSVD, with labels corrected as the align stage does."""
    records = list(read_ssvd(mirror))[0 if first_half else 1 :: 2]
    voices = [TrackedVoice.read(record.audio_path) for record in records]
    measured = [measure_labels(voice.track, record.notes or []) for voice, record in zip(voices, records, strict=True)]
    prior, items = corpus_prior(measured), []
    for record, voice, one in zip(records, voices, measured, strict=True):
        labels = apply_correction(record.notes or [], estimate_correction(one, prior), voice.duration)
        items.append(Item(record.pair_id, voice.track, correct_octaves(voice.track, labels)[0]))
    return items


def made_items(first_half: bool) -> list[Item]:
    """Sing phrases with exact labels."""
    items = []
    for seed in range(FIRST_SEED, FIRST_SEED + N_MADE):
        number = seed + 1000 * first_half
        song = sing(compose(number, MADE_SECONDS), number, SingerConfig(speech=0.0))  # speech has no labels
        tracked = track(resample(song.audio, song.sample_rate, VOICE_STFT.sample_rate))
        items.append(Item(f"made-{seed}", tracked, list(song.notes)))
    return items
