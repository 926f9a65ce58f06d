"""JAMS documents (JSON Annotated Music Specification): notes, beats, tempo, key and chords of a recording."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hf_model.music.arrangement import Arranged
from hf_model.notes.note import Note

SPECIFICATION = "0.3.5"

_ROOTS = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")


def to_jams(arranged: Arranged, duration: float, title: str = "") -> dict[str, Any]:
    """Describe an arrangement as a JAMS document.

    Parameters
    ----------
    arranged : Arranged
    duration : float
        Seconds, of the recording.
    title : str

    Returns
    -------
    dict
        Plain values. Namespaces: ``note_midi`` (the voice, float pitches; the piano's keys), ``beat`` (the place in the
        bar, from 1), ``tempo``, ``key_mode`` and, if there are chords, ``chord``.
    """
    tempo, key = arranged.tempo, arranged.key
    whole = {"time": 0.0, "duration": duration}
    bar = tempo.beats_per_bar
    beats = [
        {"time": beat, "duration": 0.0, "value": (place - tempo.downbeat) % bar + 1, "confidence": tempo.confidence}
        for place, beat in enumerate(tempo.beats)
        if 0.0 <= beat <= duration
    ]
    chords = [
        {
            "time": chord.onset,
            "duration": chord.offset - chord.onset,
            "value": f"{_ROOTS[chord.root]}:{'min' if chord.is_minor else 'maj'}",
            "confidence": None,
        }
        for chord in arranged.chords
    ]
    found = [
        ("note_midi", "voice", _notes(arranged.notes)),
        ("note_midi", "piano", _notes(arranged.both_hands)),
        *(("note_midi", part.name, _notes(part.notes)) for part in arranged.band),
        ("beat", "voice", beats),
        ("tempo", "voice", [whole | {"value": tempo.bpm, "confidence": tempo.confidence}]),
        ("key_mode", "piano", [whole | {"value": key.name.replace(" ", ":"), "confidence": key.confidence}]),
        *([("chord", "piano", chords)] if chords else []),
    ]
    return {
        "file_metadata": {
            "title": title,
            "artist": "",
            "release": "",
            "duration": duration,
            "identifiers": {},
            "jams_version": SPECIFICATION,
        },
        "annotations": [_annotation(namespace, part, data, duration) for namespace, part, data in found],
        "sandbox": {"tuning": arranged.tuning},
    }


def write_jams(path: Path | str, document: dict[str, Any]) -> None:
    """Write a document of :func:`to_jams`."""
    Path(path).write_text(json.dumps(document, indent=1), encoding="utf-8", newline="\n")


def _notes(notes: Iterable[Note]) -> list[dict[str, Any]]:
    return [
        {"time": note.onset, "duration": note.duration, "value": note.pitch, "confidence": note.confidence}
        for note in notes
    ]


def _annotation(namespace: str, part: str, data: list[dict[str, Any]], duration: float) -> dict[str, Any]:
    metadata = {
        "curator": {"name": "", "email": ""},
        "annotator": {},
        "version": "",
        "corpus": "",
        "annotation_tools": "HummingFace",
        "annotation_rules": "",
        "validation": "",
        "data_source": "program",
    }
    return {
        "annotation_metadata": metadata,
        "namespace": namespace,
        "data": data,
        "sandbox": {"part": part},
        "time": 0.0,
        "duration": duration,
    }
