"""Readers of the corpora with scores: pop909, lakh_midi, lakh_pianoroll and vgmidi."""

from __future__ import annotations

import csv
import json
import logging
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hf_model.corpora.catalogue import get
from hf_model.corpora.records import CorpusError, ScoreRecord, Span, find_files
from hf_model.notes.midi import find_melody_track, read_midi_tracks, skyline
from hf_model.notes.midi_file import MidiFileError
from hf_model.notes.note import Note

POP909_TRACKS = ("MELODY", "BRIDGE", "PIANO")
PIANO_TEST_EVERY = 45
LPD_TRACKS = ("Drums", "Piano", "Guitar", "Bass", "Strings")

_LOG = logging.getLogger(__name__)


# ------------------------------------------------------------------------------------------------------------- pop909
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
        Songs with an empty track are skipped. Times of beats and chords are those of the MIDI file; the key is that of
        the original recording.
    """
    if track not in POP909_TRACKS:
        raise CorpusError(f"track is {track!r}, allowed is one of {', '.join(POP909_TRACKS)}")
    for path in find_files(raw / "pop909" / "POP909", "*/*.mid"):
        record = load_pop909_song(path, track)
        if record is not None:
            yield record


def load_pop909_song(path: Path, track: str = "MELODY") -> ScoreRecord | None:
    """Load one song as :func:`read_pop909` does, from its MIDI file and the tables next to it; None without notes."""
    notes = [note for found in read_midi_tracks(path).tracks if found.name == track for note in found.notes]
    if not notes:
        return None
    folder = path.parent
    keys = load_pop909_spans(folder / "key_audio.txt")
    name = path.stem if track == "MELODY" else f"{path.stem}-{track.lower()}"
    beats, chords = _beats(folder / "beat_midi.txt"), load_pop909_spans(folder / "chord_midi.txt")
    licence = get("pop909").licence
    return ScoreRecord("pop909", name, licence, sorted(notes), beats, chords, keys[0].name if keys else None)


def is_piano_test_song(name: str) -> bool:
    """Whether a song of pop909 is for measuring the pianos, and never sung for training: every 45th (20 songs).

    The musical rules have a test set of their own: :func:`hf_model.corpora.pop909_excerpts.is_rule_test_song`.
    """
    number = name.split("-")[0]
    return number.isdecimal() and int(number) % PIANO_TEST_EVERY == 0


def load_pop909_table(path: Path) -> list[list[str]]:
    """Load the cells of a table of pop909; empty if the file is missing."""
    if not path.is_file():
        return []
    return [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def load_pop909_spans(path: Path) -> list[Span]:
    """Load the chords or keys of a song of pop909; empty if the file is missing."""
    try:
        return [Span(float(row[0]), float(row[1]), row[2]) for row in load_pop909_table(path)]
    except (ValueError, IndexError) as error:
        raise CorpusError(f"{path}: {error}") from error


def _beats(path: Path) -> NDArray[np.float64] | None:
    try:
        rows = load_pop909_table(path)
        return np.array([float(row[0]) for row in rows], dtype=np.float64) if rows else None
    except ValueError as error:
        raise CorpusError(f"{path}: {error}") from error


# --------------------------------------------------------------------------------------------------------------- lakh
def read_lakh_midi(raw: Path) -> Iterator[ScoreRecord]:
    """Read ``lakh_midi/lmd_full/<hex digit>/<md5>.mid``: the track that is named as the melody.

    Yields
    ------
    ScoreRecord
        Files without such a track and unreadable files, which the collection contains, are skipped.
    """
    licence = get("lakh_midi").licence
    for path in find_files(raw / "lakh_midi" / "lmd_full", "*/*.mid"):
        try:
            content = read_midi_tracks(path)
        except MidiFileError as error:
            _LOG.info("left out: %s", error)
            continue
        track = find_melody_track(content.tracks)
        if track:
            notes = skyline(track.notes)
            yield ScoreRecord("lakh_midi", path.stem, licence, notes, content.beats, key=content.key)


def read_lakh_pianoroll(raw: Path, track: str = "Piano") -> Iterator[ScoreRecord]:
    """Read one track of every song of ``lakh_pianoroll/lpd_5/lpd_5_cleansed/?/?/?/<song>/<md5>.npz``.

    Parameters
    ----------
    raw : Path
        The folder that holds all corpora.
    track : str
        "Drums", "Piano", "Guitar", "Bass" or "Strings". Of the pitched ones the upper line is returned.

    Yields
    ------
    ScoreRecord
        Notes on a grid of 24 steps per beat, in seconds by the tempo of each step. Repeated notes without a silent
        step between them are one note.

    References
    ----------
    The layout is that of pypianoroll 0.3 (and 1.0): sparse columns ``pianoroll_<k>_csc_*`` and ``info.json``.
    """
    if track not in LPD_TRACKS:
        raise CorpusError(f"track is {track!r}, allowed is one of {', '.join(LPD_TRACKS)}")
    licence = get("lakh_pianoroll").licence
    for path in find_files(raw / "lakh_pianoroll", "**/*.npz"):
        try:
            with np.load(path) as arrays:
                notes, beats = _pianoroll_notes(arrays, track)
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise CorpusError(f"{path}: not a piano roll of the Lakh Pianoroll Dataset ({error})") from error
        if notes:
            line = notes if track == "Drums" else skyline(notes)
            yield ScoreRecord("lakh_pianoroll", path.stem, licence, line, beats)


def _pianoroll_notes(arrays: Mapping[str, Any], track: str) -> tuple[list[Note], NDArray[np.float64]]:
    from scipy.sparse import csc_matrix

    info = json.loads(bytes(arrays["info.json"]))
    steps_per_beat = info.get("resolution") or info["beat_resolution"]
    number = next((key for key in info if key.isdigit() and info[key]["name"] == track), None)
    tempo = np.asarray(arrays["tempo"], dtype=np.float64).reshape(-1)  # beats per minute, one value or one per step
    if number is None:
        return [], np.zeros(0)
    prefix = f"pianoroll_{number}_csc_"
    parts = tuple(arrays[prefix + part] for part in ("data", "indices", "indptr"))
    roll = csc_matrix(parts, shape=tuple(arrays[prefix + "shape"])).toarray().astype(np.int64)  # (step, pitch)
    tempo = np.full(len(roll), tempo[0]) if len(tempo) < len(roll) else tempo[: len(roll)]
    times = np.concatenate([[0.0], np.cumsum(60.0 / (tempo * steps_per_beat))])
    sounding = np.pad(roll > 0, ((1, 1), (0, 0)))
    changes = np.diff(sounding.astype(np.int8), axis=0).T
    notes = []
    for pitch in np.flatnonzero(changes.any(axis=1)):
        starts, ends = np.flatnonzero(changes[pitch] == 1), np.flatnonzero(changes[pitch] == -1)
        notes += [
            Note(float(times[start]), float(times[end]), float(pitch), int(min(127, roll[start, pitch])))
            for start, end in zip(starts, ends, strict=True)
        ]
    return sorted(notes), times[: len(roll) : steps_per_beat]


# ------------------------------------------------------------------------------------------------------------- vgmidi
def read_vgmidi(raw: Path) -> Iterator[ScoreRecord]:
    """Read ``vgmidi/labelled/midi/*.mid``, ``vgmidi/unlabelled/*.mid`` and ``vgmidi_labelled.csv``: the upper line.

    The columns of the table are ``id,series,console,game,piece,midi,valence,arousal``; ``midi`` names the file or a
    phrase of it (``..._3.mid``).
    """
    licence, folder = get("vgmidi").licence, raw / "vgmidi"
    labels = _vgmidi_labels(folder / "vgmidi_labelled.csv")
    for path in find_files(folder, "**/*.mid"):
        is_labelled = path.parent.name == "midi"
        if not is_labelled and path.parent.name != "unlabelled":
            continue
        content = read_midi_tracks(path)
        notes = skyline([note for track in content.tracks for note in track.notes])
        if notes:
            found = labels.get(path.stem, {}) if is_labelled else {}
            yield ScoreRecord("vgmidi", path.stem, licence, notes, content.beats, key=content.key, labels=found)


def _vgmidi_labels(path: Path) -> dict[str, dict[str, float]]:
    if not path.is_file():
        return {}
    labels = {}
    with path.open(newline="", encoding="utf-8-sig") as file:
        for number, row in enumerate(csv.DictReader(file), start=2):
            try:
                values = {"valence": float(row["valence"]), "arousal": float(row["arousal"])}
                stem = Path(row["midi"]).stem
            except (KeyError, TypeError, ValueError) as error:
                raise CorpusError(f"{path}, line {number}: {error}") from error
            head, _, phrase = stem.rpartition("_")
            labels[head if phrase.isdigit() and "phrases" in row["midi"] else stem] = values
    return labels
