"""The melody of a MusicXML file and its lyrics, read by music21 (``hummingface[score]``)."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hf_model.config import ConfigError
from hf_model.lyrics.text import HOLD
from hf_model.notes.note import Note

SUFFIXES = (".musicxml", ".mxl", ".xml")

DEFAULT_BPM = 100.0

MAX_BYTES = 20_000_000
"""Of a file, and of what a compressed one unpacks to."""

MAX_PASSES = 64
"""Most times that a passage is repeated."""


@dataclass(frozen=True)
class WrittenMelody:
    """Notes, the words below them ("" without), and the length in seconds."""

    notes: list[Note]
    lyrics: str
    duration: float


def read_musicxml_melody(path: Path) -> WrittenMelody:
    """Read the first part with lyrics, or the first part.

    Tied notes are one note. Of a chord, the highest note is taken.

    Raises
    ------
    ConfigError
        If music21 is not installed.
    ValueError
        If the file is not readable as MusicXML.
    """
    try:
        import music21
    except ImportError as error:
        msg = "reading MusicXML needs the package music21: pip install 'hummingface[score]'"
        raise ConfigError(msg) from error
    _check_size(path)
    try:
        score: Any = music21.converter.parse(path, format="musicxml", forceSource=True)
        parts = list(score.parts) or [score]
        part = next((part for part in parts if part.recurse().notes and part.lyrics()), parts[0])
        return _read_part(part.expandRepeats() if _has_repeats(part) else part)
    except Exception as error:
        msg = f"{path}: not a readable MusicXML file ({' '.join(str(error).split())})"
        raise ValueError(msg) from error


def _check_size(path: Path) -> None:
    """Refuse what cannot be a score: pipes would wait, devices never end, a small archive can unpack to gigabytes."""
    if path.exists() and not path.is_file() and not path.is_dir():
        msg = f"{path}: this is a pipe or a device, not a file"
        raise ValueError(msg)
    sizes = [path.stat().st_size]
    if path.is_file() and zipfile.is_zipfile(path):
        try:
            with zipfile.ZipFile(path) as archive:
                sizes += [entry.file_size for entry in archive.infolist()]
        except zipfile.BadZipFile as error:
            msg = f"{path}: not a readable MusicXML file ({error})"
            raise ValueError(msg) from error
    if max(sizes) > MAX_BYTES:
        msg = f"{path}: larger than {MAX_BYTES // 1_000_000} MB: not a score"
        raise ValueError(msg)


def _has_repeats(part: Any) -> bool:
    marks = list(part.recurse().getElementsByClass("RepeatMark"))
    passes = max((getattr(mark, "times", None) or 2 for mark in marks), default=0)
    if passes > MAX_PASSES:
        msg = f"a passage is repeated {passes} times, allowed are {MAX_PASSES}"
        raise ValueError(msg)
    return bool(marks)


def _read_part(part: Any) -> WrittenMelody:
    flat = part.stripTies().flatten()
    seconds = _clock(flat)
    notes, words = [], []
    for element in flat.notes:
        if element.isRest or element.duration.isGrace or not getattr(element, "pitches", ()):
            continue
        start = float(element.offset)
        notes.append(
            Note(seconds(start), seconds(start + float(element.quarterLength)), float(max(element.pitches).midi))
        )
        words.append(_word(element.lyrics[0]) if element.lyrics else HOLD)
    lyrics = "".join(words).strip() if any(word != HOLD for word in words) else ""
    return WrittenMelody(notes, lyrics, seconds(float(flat.highestTime)))


def _word(lyric: Any) -> str:
    """Write a syllable so that those of a word are joined by hyphens, and words divided by spaces."""
    text = str(lyric.text or "").replace(HOLD, "").strip().replace(" ", "-")
    if not text:
        return HOLD
    before = " " if lyric.syllabic in {None, "single", "begin"} else "-"
    return f"{before}{text}"


def _clock(flat: Any) -> Any:
    """Return the function from quarter notes to seconds that the tempo marks describe."""
    marks = [
        (float(mark.offset), mark.getQuarterBPM() or DEFAULT_BPM) for mark in flat.getElementsByClass("MetronomeMark")
    ]
    marks = sorted({0.0: DEFAULT_BPM, **dict(marks)}.items())

    def seconds(quarters: float) -> float:
        total = 0.0
        for index, (start, bpm) in enumerate(marks):
            stop = marks[index + 1][0] if index + 1 < len(marks) else quarters
            total += max(0.0, min(quarters, stop) - start) * 60.0 / bpm
        return total

    return seconds
