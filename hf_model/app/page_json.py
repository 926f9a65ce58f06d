"""The JSON of the page: settings and notes that it sends, which are checked here, and what it is told of a result."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from hf_model.app.limits import Limits, PageError
from hf_model.config import ConfigError, check_range, from_mapping
from hf_model.music.arrangement import Arrangement
from hf_model.music.tempo import Tempo
from hf_model.notes.note import Note
from hf_model.piano.performance import Performance


@dataclass(frozen=True)
class Part:
    """What is converted: a part of a recording, in seconds (the end None is as late as possible), and its source."""

    start: float = 0.0
    end: float | None = None
    source: str = "auto"


@dataclass(frozen=True)
class Singing:
    """What is known about the singing: ``tuning`` is its offset from 440 Hz in semitones, -1 to 1, or None."""

    tuning: float | None = None

    def __post_init__(self) -> None:
        """Check the range."""
        check_range("tuning", self.tuning or 0.0, -1.0, 1.0)


@dataclass(frozen=True)
class Settings:
    """The settings of the page."""

    arrangement: Arrangement = field(default_factory=Arrangement)
    performance: Performance = field(default_factory=Performance)
    singing: Singing = field(default_factory=Singing)


def read_settings(settings: Any) -> Settings:
    """Check the settings of the page, all of which are optional."""
    try:
        return from_mapping(Settings, settings if isinstance(settings, Mapping) else {}, "settings")
    except (ConfigError, ValueError) as error:
        reason = re.sub(r"(settings|arrangement|performance|singing)[.]", "", str(error))
        msg = f"These settings are not valid: {reason}."
        raise PageError(msg) from error


def read_notes(notes: Any, duration: float, limits: Limits) -> list[Note]:
    """Check the notes of the page; those beyond the recording are cut off."""
    if not isinstance(notes, Sequence) or len(notes) > limits.notes:
        msg = f"At most {limits.notes} notes can be rendered."
        raise PageError(msg)
    found = []
    for number, row in enumerate(notes, start=1):
        try:
            onset, offset, pitch, velocity, confidence = (float(value) for value in row)
            if not all(math.isfinite(value) for value in (onset, offset, pitch, velocity, confidence)):
                msg = "every value must be a number"
                raise ValueError(msg)
            if onset < 0:  # a score has bars from there on, however many
                msg = f"onset is {onset:g} s, must not be negative"
                raise ValueError(msg)
            if onset < duration:
                found.append(Note(onset, min(offset, duration), pitch, int(velocity), confidence))
        except (TypeError, ValueError) as error:
            msg = f"Note {number} is not valid: {error}."
            raise PageError(msg) from error
    n_voices = count_voices(found)
    if n_voices > limits.voices:  # each takes as long to render as the recording is, and a melody has one
        msg = f"At most {limits.voices} notes can sound at once, here {n_voices} do."
        raise PageError(msg)
    return sorted(found)


def count_voices(notes: Sequence[Note]) -> int:
    """Count the notes that sound at once, at most; one that ends where another begins makes room for it."""
    changes = sorted([*((note.onset, 1) for note in notes), *((note.offset, -1) for note in notes)])
    return max(accumulate((step for _, step in changes), initial=0))


def known_keys(rows: Sequence[Sequence[float]], keys: Sequence[int | None]) -> dict[float, int]:
    """Give the keys that are known, by the onset of their note."""
    if keys and len(keys) != len(rows):
        msg = f"There are {len(rows)} notes, but {len(keys)} keys."
        raise PageError(msg)
    return {float(row[0]): key for row, key in zip(rows, keys, strict=False) if key is not None}


def as_row(note: Note) -> list[float]:
    """Give a note as [onset, offset, pitch, velocity, confidence]."""
    return [round(note.onset, 4), round(note.offset, 4), round(note.pitch, 3), note.velocity, round(note.confidence, 3)]


def describe_sources(rows: Sequence[Sequence[float]], sources: Sequence[Note]) -> list[int | None]:
    """Give the index of the row that each note was made from; None for one that was added by the arrangement."""
    by_onset = {float(row[0]): index for index, row in enumerate(rows)}
    return [by_onset.get(note.onset) for note in sources]


def as_sentence(text: str) -> str:
    """Begin with a capital and end with a full stop."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."


def describe_tempo(tempo: Tempo, arrangement: Arrangement) -> dict[str, object]:
    """Give tempo and time signature, with confidences of 1 where they were set."""
    return {
        "bpm": tempo.bpm,
        "confidence": tempo.confidence,
        "meter": tempo.meter_name,
        "meterConfidence": min(tempo.meter_confidence, 0.99) if arrangement.meter is None else 1.0,
    }


def describe_beats(tempo: Tempo, duration: float) -> list[list[float]]:
    """Give the beats within the recording: seconds, and 1 for the first of a bar."""
    return [
        [beat, float((index - tempo.downbeat) % tempo.beats_per_bar == 0)]
        for index, beat in enumerate(tempo.beats)
        if 0 <= beat <= duration
    ]


def is_fact(remark: str) -> bool:
    """Whether a remark repeats tempo, key or tuning, which the page shows already."""
    return " bpm" in remark or remark.startswith(("key: ", "tuning: "))
