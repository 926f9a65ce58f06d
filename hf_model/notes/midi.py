"""Notes of MIDI files: reading and writing them, and extracting a melody (a named track, or the skyline)."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hf_model.notes.midi_file import (
    KEY_SIGNATURE,
    META,
    SET_TEMPO,
    TEXT,
    TIME_SIGNATURE,
    MidiEvent,
    MidiFile,
    MidiFileError,
    TempoMap,
    merged,
    parse_midi,
)
from hf_model.notes.midi_parts import CONTROL, NOTE_OFF, NOTE_ON, pair_notes
from hf_model.notes.note import Note, fold_to_keyboard

MELODY_NAME = re.compile(r"(?<![a-z])(melod(y|ie|ia)|vocals?|voice|lead vox|vox|singer|gesang|chant|canto)(?![a-z])")
"""Lower-case names of melody tracks."""

SAME_ONSET = 0.03
"""Maximum onset difference, in seconds, of notes of a chord."""

MAX_BEATS = 100_000

_LYRICS = 0x05
_TONICS = (
    ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B"),
    ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B"),
)


@dataclass(frozen=True, eq=False)
class MidiTrack:
    """One pitched track.

    Attributes
    ----------
    name : str
        Without surrounding white space.
    notes : list of Note
        Sorted by onset.
    """

    name: str
    notes: list[Note]


@dataclass(frozen=True, eq=False)
class MidiContent:
    """Tracks, beats and key of a MIDI file.

    Attributes
    ----------
    tracks : list of MidiTrack
        Pitched tracks with at least one note, in file order.
    beats : ndarray, shape (beat,)
        Seconds.
    key : str, optional
        The first key signature ("C Major").
    """

    tracks: list[MidiTrack]
    beats: NDArray[np.float64]
    key: str | None


@contextmanager
def midi_errors(path: Path | str) -> Iterator[None]:
    """Add the path to what is raised for a file that cannot be read.

    Raises
    ------
    MidiFileError
        With the path and a reason in one line.
    """
    try:
        yield
    except (OSError, MidiFileError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise MidiFileError(f"{path}: not a readable MIDI file ({reason})") from error


def read_midi_tracks(path: Path) -> MidiContent:
    """Read the pitched tracks, beats and key of a MIDI file.

    Raises
    ------
    MidiFileError
        If the file is not a readable MIDI file.
    """
    with midi_errors(path):
        file = parse_midi(path.read_bytes())
        tempo_map, events = file.tempo_map(), merged(file.tracks)
        beats = _find_beats(file, events, tempo_map)
    parts, _ = pair_notes(file, events, tempo_map)
    tracks = [MidiTrack(part.name.strip(), part.notes) for part in parts if not part.is_drum]
    keys = (_key_name(event.data) for event in events if event.status == META and event.first == KEY_SIGNATURE)
    return MidiContent(tracks, beats, next(filter(None, keys), None))


def read_midi(path: Path | str) -> list[Note]:
    """Read all pitched notes of a MIDI file, sorted by onset.

    Raises
    ------
    MidiFileError
        If the file is not a readable MIDI file.
    """
    with midi_errors(path):
        file = parse_midi(Path(path).read_bytes())
    parts, _ = pair_notes(file, merged(file.tracks), file.tempo_map())
    return sorted(note for part in parts if not part.is_drum for note in part.notes)


def _find_beats(file: MidiFile, events: Sequence[MidiEvent], tempo_map: TempoMap) -> NDArray[np.float64]:
    """Compute the beats by the time signatures, until the last note or change; a signature begins a beat."""
    changes: dict[int, int] = {}
    for event in events:
        if event.status == META and event.first == TIME_SIGNATURE and len(event.data) >= 2 and event.data[0]:
            numerator, denominator = event.data[0], 2 ** min(event.data[1], 6)
            n_units = 3 if numerator > 3 and numerator % 3 == 0 else 1
            changes[event.tick] = max(1, round(n_units * 4 * file.ticks_per_beat / denominator))
    end = max((event.tick for event in events if _is_music(event)), default=0)
    step = next(iter(changes.values()), file.ticks_per_beat)
    begins = [0, *(tick for tick in changes if tick > 0), end]
    ticks: list[int] = []
    for first, last in pairwise(begins):
        step = changes.get(first, step)
        if (last - first) // step > MAX_BEATS:
            msg = f"it has more than {MAX_BEATS} beats"
            raise MidiFileError(msg)
        ticks += range(first, last, step)
    return np.array([tempo_map.seconds(tick) for tick in ticks] or [0.0])


def _is_music(event: MidiEvent) -> bool:
    if event.status == META:
        return event.first in {TEXT, _LYRICS, SET_TEMPO, TIME_SIGNATURE, KEY_SIGNATURE}
    return event.status & 0xF0 in {NOTE_ON, NOTE_OFF, CONTROL, 0xE0}


def _key_name(data: bytes) -> str | None:
    """Give the name of a key signature ("C Major", "C minor"), or None if it is not valid."""
    if len(data) < 2 or data[1] > 1:
        return None
    sharps = data[0] - 256 if data[0] > 127 else data[0]
    if abs(sharps) > 7:
        return None
    tonic = _TONICS[data[1]][(7 * sharps + 9 * data[1]) % 12]
    return f"{tonic} {'minor' if data[1] else 'Major'}"


def find_melody_track(tracks: Iterable[MidiTrack]) -> MidiTrack | None:
    """Find the track with the name of a melody; of several, the one with the most notes."""
    named = [track for track in tracks if MELODY_NAME.search(track.name.lower())]
    return max(named, key=lambda track: len(track.notes), default=None)


def skyline(notes: Sequence[Note]) -> list[Note]:
    """Reduce polyphony to a melody, the highest note at any time (skyline algorithm).

    Parameters
    ----------
    notes : sequence of Note
        In any order.

    Returns
    -------
    list of Note
        Monophonic: a higher note ends a lower one, and notes that begin below a sounding note are dropped.
    """
    melody: list[Note] = []
    for note in sorted(notes, key=lambda note: (note.onset, -note.pitch)):
        if melody and note.onset < melody[-1].offset:
            last = melody[-1]
            if note.pitch <= last.pitch and not (note.pitch == last.pitch and note.onset - last.onset > SAME_ONSET):
                continue
            if note.onset - last.onset <= SAME_ONSET:
                melody.pop()
                note = replace(note, onset=last.onset)
            else:
                melody[-1] = replace(last, offset=note.onset)
        melody.append(note)
    return melody


def write_midi(
    path: Path | str,
    notes: Iterable[Note],
    tempo: float = 120.0,
    *,
    end: float | None = None,
) -> None:
    """Write notes with integer pitch as a MIDI file: one piano track, with a time resolution of 0.5 ms.

    Parameters
    ----------
    path : path
    notes : iterable of Note
    tempo : float
        Beats per minute.
    end : float, optional
        Minimum duration of the file, in seconds.
    """
    import pretty_midi

    midi = pretty_midi.PrettyMIDI(resolution=960, initial_tempo=tempo)
    piano = pretty_midi.Instrument(program=0, name="HummingFace")
    for note in notes:
        key = fold_to_keyboard(math.floor(note.pitch + 0.5))
        piano.notes.append(pretty_midi.Note(max(1, note.velocity), key, note.onset, note.offset))
    if end is not None:
        piano.control_changes.append(pretty_midi.ControlChange(64, 0, end))
    midi.instruments.append(piano)
    midi.write(str(path))
