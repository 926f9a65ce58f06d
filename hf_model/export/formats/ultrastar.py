"""Songs for UltraStar and other karaoke programs: notes on a grid of beats, in a text file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from hf_model.notes.note import Note

MIN_BPM = 600.0
"""UltraStar has four steps a beat: at 600 bpm a step is 25 ms."""

MIDDLE_C = 60
"""MIDI number of UltraStar's pitch 0."""

LINE_REST = 0.8
"""Seconds of rest at which a line of the song ends."""

LINE_NOTES = 16
"""Most notes of a line, after which the next rest ends it."""

SYLLABLE = "la"


def write_ultrastar(path: Path | str, keys: Sequence[Note], bpm: float, *, title: str, audio: str) -> None:
    """Write a song with "la" as the text of every note.

    Parameters
    ----------
    path : path
    keys : sequence of Note
        One voice: integer pitch, sorted, without overlaps.
    bpm : float
        Tempo; the file has a multiple of it, for a fine grid.
    title : str
    audio : str
        File name of the recording.
    """
    speed = bpm * max(1, math.ceil(MIN_BPM / bpm))
    step = 60.0 / (4.0 * speed)
    gap = keys[0].onset if keys else 0.0
    header = {
        "TITLE": _one_line(title) or "Melody",
        "ARTIST": "unknown",
        "CREATOR": "HummingFace",
        "AUDIO": _one_line(audio),
        "MP3": _one_line(audio),  # the name of AUDIO in older programs
        "BPM": f"{speed:.4f}",
        "GAP": f"{1000 * gap:.0f}",
    }
    lines = [f"#{name}:{value}" for name, value in header.items()]
    n_in_line, end, last_offset = 0, 0, gap
    for key in keys:
        start = max(end, round((key.onset - gap) / step))
        rest = key.onset - last_offset
        if n_in_line and (rest >= LINE_REST or (n_in_line >= LINE_NOTES and rest > step)):
            lines.append(f"- {end}")
            n_in_line = 0
        end = max(start + 1, round((key.offset - gap) / step))
        space = " " if n_in_line else ""
        lines.append(f": {start} {end - start} {int(key.pitch) - MIDDLE_C} {space}{SYLLABLE}")
        n_in_line += 1
        last_offset = key.offset
    Path(path).write_text("\n".join([*lines, "E", ""]), encoding="utf-8", newline="\n")


def _one_line(text: str) -> str:
    return " ".join(text.split())
