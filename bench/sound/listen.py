"""Write a page on which a listener compares the pianos blindly, or summarize the results of listeners.

``python -m bench listen FOLDER`` writes FOLDER/listen.html and the sounds beside it: it opens from the disk, without a
network. Well-known melodies, or those of MIDI files, are rendered by each piano. As in MUSHRA (ITU-R BS.1534), one item
is the reference itself, hidden, and one an anchor, the reference without anything above 3.5 kHz. The order is random,
all have the same loudness. ``python -m bench listen --results listening_results.csv`` gives the mean ratings.
"""

from __future__ import annotations

import argparse
import base64
import csv
import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.music.tunes import TUNES
from hf_model.audio.grid import PIANO_SAMPLE_RATE
from hf_model.evaluation.metrics import bootstrap_mean
from hf_model.evaluation.report import markdown_table
from hf_model.inference import Models, default_models
from hf_model.notes.midi import read_midi
from hf_model.notes.note import Note
from hf_model.piano.performance import Performance, play

PAGE = Path(__file__).with_name("listen.html")
MELODIES = ("silent night", "greensleeves", "ode to joy")
PIANOS = ("sampled", "concert", "neural", "reference")
ANCHOR, ANCHOR_HZ = "anchor", 3500.0
"""The name of the anchor, and the frequency above which it has nothing."""

TAIL = 1.5
"""Seconds after the last note."""

MIN_REFERENCE, MAX_MISSED = 90.0, 0.15
"""A listener who rates the hidden reference below the first in more than this share of the melodies is left out."""

Audio = NDArray[np.float32]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("folder", nargs="?", type=Path, help="folder that is made for the page and its sounds")
    parser.add_argument("--midi", nargs="+", type=Path, default=[], help="melodies instead of the built-in ones")
    parser.add_argument("--pianos", nargs="+", choices=PIANOS, default=PIANOS, help="those that are compared")
    parser.add_argument("--reference", choices=PIANOS, default="concert", help="the reference (%(default)s)")
    parser.add_argument("--seconds", type=float, default=12.0, help="of each melody (%(default)g)")
    parser.add_argument("--results", nargs="+", type=Path, default=[], help="summarize saved results instead")


def run(options: argparse.Namespace) -> None:
    """Write the page, or print the summary."""
    if options.results:
        print("\n".join(summarize(options.results)))
        return
    if options.folder is None:
        msg = "FOLDER is missing: the folder that is made for the page and its sounds"
        raise SystemExit(msg)
    melodies = {path.stem: read_midi(path) for path in options.midi} or built_in()
    cut = {name: [note for note in notes if note.offset <= options.seconds] for name, notes in melodies.items()}
    page = write_page(options.folder, cut, options.pianos, options.reference, default_models())
    print(f"{page}: open it in a browser")


def built_in() -> dict[str, list[Note]]:
    """Give the melodies that are in this repository."""
    return {
        tune.name: [
            Note(onset + 0.2, 0.95 * (offset - onset) + onset + 0.2, float(key)) for onset, offset, key in tune.notes
        ]
        for tune in TUNES
        if tune.name in MELODIES
    }


def write_page(
    folder: Path, melodies: dict[str, list[Note]], pianos: Sequence[str], reference: str, models: Models
) -> Path:
    """Render melodies by pianos, and write the page; pianos that are not installed are left out.

    Raises
    ------
    FileNotFoundError
        If the reference is not installed.
    FileExistsError
        If the folder has a page already.
    """
    path = folder / "listen.html"
    folder.mkdir(parents=True, exist_ok=True)
    if path.exists():
        msg = f"{path} exists; name another folder"
        raise FileExistsError(msg)
    trials = [_write_trial(folder, name, notes, pianos, reference, models) for name, notes in melodies.items()]
    hidden = base64.b64encode(json.dumps(trials).encode()).decode()  # not readable at a glance
    path.write_text(PAGE.read_text(encoding="utf-8").replace("@TRIALS@", hidden), encoding="utf-8")
    return path


def _write_trial(
    folder: Path, name: str, notes: Sequence[Note], pianos: Sequence[str], reference: str, models: Models
) -> dict[str, Any]:
    n_samples = round((max(note.offset for note in notes) + TAIL) * PIANO_SAMPLE_RATE)
    sounds = {reference: play(notes, n_samples, Performance(reference), models)}
    for piano in pianos:
        try:
            sounds.setdefault(piano, play(notes, n_samples, Performance(piano), models))
        except FileNotFoundError as error:
            print(f"{piano} is left out: {error}")
    sounds[ANCHOR] = low_passed(sounds[reference])
    items = []
    for piano, audio in sounds.items():
        # a name that does not say which piano it is
        file = f"{hashlib.sha256(f'{name} {piano}'.encode()).hexdigest()[:12]}.flac"
        write_flac(folder / file, audio)
        items.append({"piano": f"{piano} (hidden reference)" if piano == reference else piano, "file": file})
    return {"melody": name, "reference": items[0]["file"], "items": items}


def write_flac(path: Path, audio: Audio) -> None:
    """Write audio (channel, sample) as FLAC, 16 bits."""
    import soundfile

    soundfile.write(path, audio.T, PIANO_SAMPLE_RATE, format="FLAC", subtype="PCM_16")


def low_passed(audio: Audio) -> Audio:
    """Remove everything above ``ANCHOR_HZ``; a tenth of an octave of transition."""
    spectrum = np.fft.rfft(audio, axis=-1)
    frequencies = np.fft.rfftfreq(audio.shape[-1], 1.0 / PIANO_SAMPLE_RATE)
    gains = np.clip((np.log2(ANCHOR_HZ) + 0.1 - np.log2(np.maximum(frequencies, 1.0))) / 0.1, 0.0, 1.0)
    return np.fft.irfft(spectrum * gains, audio.shape[-1], axis=-1).astype(np.float32)


def summarize(paths: Sequence[Path]) -> list[str]:
    """Make a table of mean ratings with 95 % intervals over ratings, after leaving out who misses the reference."""
    rows = [row for path in paths for row in _read(path)]
    listeners = sorted({row["listener"] for row in rows})
    kept = [name for name in listeners if _finds_reference([row for row in rows if row["listener"] == name])]
    table = []
    for piano in sorted({row["piano"] for row in rows}):
        ratings = [float(row["rating"]) for row in rows if row["piano"] == piano and row["listener"] in kept]
        if ratings:
            mean, low, high = bootstrap_mean(ratings, 1000)
            table.append((mean, [piano, f"{mean:.0f} [{low:.0f}, {high:.0f}]", str(len(ratings))]))
    left_out = f"{len(listeners) - len(kept)} of {len(listeners)} listeners left out: they do not find the reference"
    return [*markdown_table("piano | rating | ratings", [row for _, row in sorted(table, reverse=True)]), "", left_out]


def _read(path: Path) -> Iterator[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        yield from csv.DictReader(file)


def _finds_reference(rows: Sequence[dict[str, str]]) -> bool:
    missed = [float(row["rating"]) < MIN_REFERENCE for row in rows if row["piano"].endswith("(hidden reference)")]
    return bool(missed) and float(np.mean(missed)) <= MAX_MISSED
