"""The melody of a file: MusicXML with its words, MIDI, or a table of notes."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from hf_model.lyrics.musicxml_melody import SUFFIXES, WrittenMelody, read_musicxml_melody
from hf_model.notes.midi import find_melody_track, read_midi_tracks
from hf_model.notes.midi_file import MidiFileError
from hf_model.notes.note import Note
from hf_model.notes.note_files import read_score

TABLE_SUFFIXES = (".mid", ".midi", ".rmi", ".kar", ".csv", ".tsv", ".txt")
"""MIDI files and tables; the content decides which of them it is."""

OTHER_VOICE = re.compile(r"(?<![a-z0-9])(second|2nd|third|3rd|backing|background|harmony)(?![a-z0-9])")
"""In lower-case names of tracks that are sung, but not the melody: "second voice" of a band, "backing vocals"."""

TAIL_SECONDS = 0.5
"""Added after the last note of a file without a length."""


def is_melody_file(path: Path) -> bool:
    """Whether a file is one of notes, by its name; otherwise it is a recording."""
    return path.suffix.lower() in {*SUFFIXES, *TABLE_SUFFIXES}


def read_melody_file(path: Path) -> WrittenMelody:
    """Read the melody of a file.

    Of a MIDI file, that is the track named so, or the first one with notes that is no second voice; of a score, the
    first part with words, or the first part.

    Raises
    ------
    OSError, ValueError, ConfigError
        If the file cannot be read; the message names it.
    """
    if path.suffix.lower() in SUFFIXES:
        written = read_musicxml_melody(path)
        return replace(written, duration=written.duration + TAIL_SECONDS)
    score = read_score(path)
    end = max((note.offset for note in score.notes), default=0.0) + TAIL_SECONDS
    return WrittenMelody(_melody_notes(path) or score.notes, "", score.duration or end)


def _melody_notes(path: Path) -> list[Note]:
    """Read the melody of a MIDI file; nothing for a table."""
    try:
        found = [track for track in read_midi_tracks(path).tracks if track.notes]
    except MidiFileError:
        return []
    tracks = [track for track in found if not OTHER_VOICE.search(track.name.lower())] or found
    chosen = find_melody_track(tracks) or next(iter(tracks), None)
    return [] if chosen is None else list(chosen.notes)
