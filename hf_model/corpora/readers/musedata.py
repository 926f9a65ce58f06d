"""Reader of musedata: classical scores as MuseData stage 2 files, part by part, and as MIDI files.

References
----------
W. B. Hewlett, "MuseData: multipurpose representation", in Beyond MIDI, 1997: columns 1-5 pitch, 6-8 duration in
divisions of a quarter (``Q:`` of the ``$`` record), 9 a tie to the next note of that pitch; ``back`` moves back in
time, a note whose line begins with a blank has the onset of the previous note; ``g`` and ``c`` are grace and cue notes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from hf_model.corpora.catalogue import get
from hf_model.corpora.records import CorpusError, ScoreRecord
from hf_model.notes.midi import read_midi_tracks, skyline
from hf_model.notes.note import Note

QUARTER_SECONDS = 0.5
"""Length of a quarter, as MuseData gives the tempo in words only ("Grave"): 120 quarters per minute."""

_PITCH = re.compile(r"([A-G])(##|#|ff|f)?(\d)")
_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_ALTERATIONS = {"": 0, "#": 1, "##": 2, "f": -1, "ff": -2}


def read_musedata(raw: Path) -> Iterator[ScoreRecord]:
    """Read every file below ``musedata/``: ``*.md2``, ``*.msd``, anything in a folder ``stage2``, and MIDI files.

    Yields
    ------
    ScoreRecord
        One for each part with notes (``<file>-<k>``, counted from 1): its upper line.
    """
    licence, folder = get("musedata").licence, raw / "musedata"
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    if not paths:
        raise CorpusError(f"{folder}: no files there; put MuseData or MIDI files into it")
    for path in paths:
        if path.suffix.lower() in (".mid", ".midi"):
            parts = [track.notes for track in read_midi_tracks(path).tracks]
        elif path.suffix.lower() in (".md2", ".msd") or "stage2" in path.relative_to(folder).parts[:-1]:
            parts = parse_musedata(path)
        else:
            continue
        name = "-".join((*path.relative_to(folder).parts[:-1], path.stem))
        for number, notes in enumerate(parts, start=1):
            line = skyline(notes)
            if line:
                yield ScoreRecord("musedata", f"{name}-{number}", licence, line)


def parse_musedata(path: Path) -> list[list[Note]]:
    """Read the parts of a stage 2 file, as notes sorted by onset, at 120 quarters per minute.

    Raises
    ------
    CorpusError
        For a line that cannot be read; the message names file and line.
    """
    parts: list[list[Note]] = []
    part: _Part | None = None
    commented = False
    for number, line in enumerate(path.read_text(encoding="latin-1").splitlines(), start=1):
        if line.startswith("&"):
            commented = not commented
        elif commented or line.startswith("@"):
            continue
        elif line.startswith("/END") or line.startswith("/eof"):
            if part:
                parts.append(part.finished())
            part = None
        elif line.startswith("$"):
            part = part or _Part()
            part.attributes(line)
        elif part:
            try:
                part.record(line)
            except (ValueError, ZeroDivisionError) as error:
                raise CorpusError(f"{path}, line {number}: {error}") from error
    if part:
        parts.append(part.finished())
    return parts


class _Part:
    """Time and notes of one part while it is parsed."""

    def __init__(self) -> None:
        self.notes: list[Note] = []
        self.ties: dict[int, Note] = {}
        self.divisions = 1
        self.now = 0.0
        self.last_onset = 0.0

    def attributes(self, line: str) -> None:
        """Parse the divisions of a quarter in a ``$`` record."""
        found = re.search(r"\bQ:(\d+)", line)
        if found and int(found[1]) > 0:
            self.divisions = int(found[1])

    def record(self, line: str) -> None:
        """Parse one line between the first ``$`` and ``/END``."""
        key = line[:4].strip()
        if line[:1] in tuple("ABCDEFG") or (line[:1] == " " and _PITCH.match(line[1:5])):
            chord = line[0] == " "
            self._note(line[1:5] if chord else line[:4], self._length(line), tie=line[8:9] == "-", chord=chord)
        elif key in ("rest", "irst", "forw"):
            self.now += self._length(line)
        elif key == "back":
            self.now -= self._length(line)

    def finished(self) -> list[Note]:
        """Return all notes sorted by onset, including those with an unresolved tie."""
        return sorted([*self.notes, *self.ties.values()])

    def _length(self, line: str) -> float:
        return int(line[5:8]) / self.divisions * QUARTER_SECONDS

    def _note(self, text: str, length: float, tie: bool, chord: bool) -> None:
        found = _PITCH.match(text.strip())
        if not found:
            raise ValueError(f"{text.strip()!r} is not a pitch")
        pitch = 12 * (int(found[3]) + 1) + _STEPS[found[1]] + _ALTERATIONS[found[2] or ""]
        if not chord:
            self.last_onset, self.now = self.now, self.now + length
        note = Note(self.last_onset, self.last_onset + length, float(pitch))
        tied = self.ties.pop(pitch, None)
        if tied and abs(tied.offset - note.onset) < 1e-6:
            note = replace(tied, offset=note.offset)
        elif tied:
            self.notes.append(tied)
        if tie:
            self.ties[pitch] = note
        else:
            self.notes.append(note)
