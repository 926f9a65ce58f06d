"""Readers of the corpora with melodies and scores: pop909."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hf_model.corpora import get
from hf_model.notes import Note
from hf_model.records import CorpusError, ScoreRecord, Span

POP909_TRACKS = ("MELODY", "BRIDGE", "PIANO")


def read_pop909(raw: Path, track: str = "MELODY") -> Iterator[ScoreRecord]:
    """Read one track of every song: ``pop909/POP909/<nnn>/<nnn>.mid`` with its beats, chords and key.

    Parameters
    ----------
    raw : Path
        The folder that holds all corpora.
    track : str
        "MELODY" (the vocal line), "BRIDGE" (the second melody) or "PIANO" (the accompaniment).

    Yields
    ------
    ScoreRecord
        A song whose track is empty is left out.
    """
    if track not in POP909_TRACKS:
        raise CorpusError(f"track is {track!r}, allowed is one of {', '.join(POP909_TRACKS)}")
    corpus, folder = get("pop909"), raw / "pop909" / "POP909"
    paths = sorted(folder.glob("*/*.mid"))
    if not paths:
        raise CorpusError(f"{folder}: no */*.mid there; run the download stage, or check the mirror")
    for path in paths:
        notes = read_track(path, track)
        if not notes:
            continue
        home = path.parent
        keys = _spans(home / "key_audio.txt")
        yield ScoreRecord(
            "pop909",
            path.stem if track == "MELODY" else f"{path.stem}-{track.lower()}",
            corpus.licence,
            notes,
            _beats(home / "beat_midi.txt"),
            _spans(home / "chord_midi.txt"),
            keys[0].name if keys else None,
        )


def read_track(path: Path, name: str | None = None) -> list[Note]:
    """Read the notes of one named track of a MIDI file (or of all pitched ones), sorted by onset.

    Raises
    ------
    CorpusError
        Naming a file that is no MIDI file.
    """
    import pretty_midi

    try:
        midi = pretty_midi.PrettyMIDI(str(path))
    except (OSError, EOFError, ValueError, KeyError, IndexError) as error:
        raise CorpusError(f"{path}: not a readable MIDI file ({error})") from error
    return sorted(
        Note(float(note.start), float(note.end), float(note.pitch), note.velocity)
        for instrument in midi.instruments
        if (instrument.name.strip() == name if name else not instrument.is_drum)
        for note in instrument.notes
        if note.end > note.start
    )


def _table(path: Path) -> list[list[str]]:
    if not path.is_file():
        return []
    return [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def _spans(path: Path) -> list[Span]:
    try:
        return [Span(float(row[0]), float(row[1]), row[2]) for row in _table(path)]
    except (ValueError, IndexError) as error:
        raise CorpusError(f"{path}: {error}") from error


def _beats(path: Path) -> NDArray[np.float64] | None:
    try:
        rows = _table(path)
        return np.array([float(row[0]) for row in rows], dtype=np.float64) if rows else None
    except ValueError as error:
        raise CorpusError(f"{path}: {error}") from error
