"""The melody of a MusicXML file and its lyrics, read by music21 (``hummingface[score]``)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hf_model.config import ConfigError
from hf_model.lyrics.text import HOLD
from hf_model.notes.note import Note

SUFFIXES = (".musicxml", ".mxl", ".xml")

DEFAULT_BPM = 100.0

MAX_BYTES = 20_000_000


@dataclass(frozen=True)
class WrittenMelody:
    """Notes, the words below them ("" without), and the length in seconds."""

    notes: list[Note]
    lyrics: str
    duration: float


def read_musicxml_melody(path: Path) -> WrittenMelody:
    """Read the first part with lyrics, or the first part.

    Tied notes are one note. Of a chord, the highest note is taken; chord symbols are not notes.

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
    if path.stat().st_size > MAX_BYTES:
        msg = f"{path}: larger than {MAX_BYTES // 1_000_000} MB: not a score"
        raise ValueError(msg)
    try:
        score: Any = music21.converter.parse(path, format="musicxml", forceSource=True)
        parts = list(score.parts) or [score]
        part = next((part for part in parts if part.recurse().notes and part.lyrics()), parts[0])
        return _read_part(part.expandRepeats() if _has_repeats(part) else part)
    except Exception as error:
        msg = f"{path}: not a readable MusicXML file ({' '.join(str(error).split())})"
        raise ValueError(msg) from error


def _has_repeats(part: Any) -> bool:
    return any(part.recurse().getElementsByClass("RepeatMark"))


def _read_part(part: Any) -> WrittenMelody:
    flat = part.stripTies().flatten()
    seconds = _clock(flat)
    notes, words = [], []
    for element in flat.notes:
        is_symbol = "Harmony" in element.classes  # of chords; it has pitches all the same
        if element.isRest or is_symbol or element.duration.isGrace or not getattr(element, "pitches", ()):
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
