"""The result of one input, as `--json` prints it."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from hf_model.music.arrangement import Arranged
from hf_model.notes.note import Note
from hf_model.notes.pitch import pitch_to_name
from hf_model.piano.performance import Take
from hf_model.separator.source import Source


@dataclass
class Report:
    """The result of one input: fields as ``--json`` prints them, times in seconds.

    ``notes`` is the right hand, with ``sung``, the float pitch of the voice; ``accompaniment`` is the left hand,
    and ``band`` lists other instruments, each with ``name``, General MIDI ``program``, ``drums`` and ``notes``.
    ``repeats`` lists the onset and offset of each repetition of a phrase. ``gain`` brought the piano to its level;
    ``loudness`` (LUFS) and ``true_peak`` (dB) include it and are missing for silence. ``source`` is what the recording
    is ("voice", "song" or "whistle") and how certain that is (0-1). ``timings`` is how long separation ("separate",
    songs only), transcription ("listen") and rendering ("play") took.
    """

    input: str
    outputs: dict[str, str] = field(default_factory=dict)
    duration: float | None = None
    source: dict[str, Any] | None = None
    n_notes: int | None = None
    tuning_cents: float | None = None
    tempo: dict[str, Any] | None = None
    key: dict[str, Any] | None = None
    notes: list[dict[str, Any]] = field(default_factory=list)
    accompaniment: list[dict[str, Any]] = field(default_factory=list)
    band: list[dict[str, Any]] = field(default_factory=list)
    repeats: list[list[list[float]]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    gain: float | None = None
    loudness: float | None = None
    true_peak: float | None = None
    warnings: list[str] = field(default_factory=list)
    timings: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    error: str | None = None

    def as_mapping(self) -> dict[str, Any]:
        """Give plain values for JSON."""
        return asdict(self)

    def add_source(self, source: Source) -> None:
        """Set what the recording is."""
        self.source = {"kind": source.kind, "confidence": round(source.confidence, 3)}

    def add_level(self, take: Take) -> None:
        """Set gain, loudness and true peak."""
        self.gain = round(take.gain, 4)
        self.loudness, self.true_peak = (
            round(level, 2) if math.isfinite(level) else None for level in (take.loudness, take.true_peak)
        )

    def add_music(self, arranged: Arranged) -> None:
        """Set the notes, tempo, key, tuning, repeats and remarks."""
        tempo, key = arranged.tempo, arranged.key
        self.n_notes = len(arranged.piano_notes)
        self.tuning_cents = round(100 * arranged.tuning, 1)
        self.tempo = {
            "bpm": round(tempo.bpm, 2),
            "confidence": round(tempo.confidence, 3),
            "meter": tempo.meter_name,
            "meter_confidence": round(tempo.meter_confidence, 3),
            "beats": [round(beat, 3) for beat in tempo.beats],
            "downbeat": tempo.downbeat,
        }
        self.key = {"name": key.name, "confidence": round(key.confidence, 3)}
        self.notes = [
            note_fields(played, sung=round(sung.pitch, 3), confidence=round(sung.confidence, 3))
            for sung, played in zip(arranged.notes, arranged.piano_notes, strict=True)
        ]
        self.accompaniment = [note_fields(note) for note in arranged.accompaniment]
        self.band = [
            {
                "name": part.name,
                "program": part.program,
                "drums": part.is_drum,
                "notes": [note_fields(note) for note in part.notes],
            }
            for part in arranged.band
        ]
        self.repeats = [
            [[round(onset, 3), round(offset, 3)] for onset, offset in phrase] for phrase in arranged.repeats
        ]
        self.remarks = list(arranged.remarks)


def note_fields(note: Note, **more: float) -> dict[str, Any]:
    """Give a note as ``--json`` prints it."""
    key = int(note.pitch)
    times = {"onset": round(note.onset, 4), "offset": round(note.offset, 4)}
    return {**times, "pitch": key, "name": pitch_to_name(key), "velocity": note.velocity, **more}
