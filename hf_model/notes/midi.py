"""MIDI files: reading and writing notes, and extracting a melody (a named track, or the skyline)."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hf_model.notes.note import Note, fold_to_keyboard

MELODY_NAME = re.compile(r"(?<![a-z])(melod(y|ie|ia)|vocals?|voice|lead vox|vox|singer|gesang|chant|canto)(?![a-z])")
"""Lower-case names of melody tracks."""

SAME_ONSET = 0.03
"""Maximum onset difference, in seconds, of notes of a chord."""


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


class MidiFileError(ValueError):
    """A MIDI file that cannot be read."""


@contextmanager
def midi_errors(path: Path | str) -> Iterator[None]:
    """Turn all exceptions that pretty_midi and mido raise for invalid files into one.

    Raises
    ------
    MidiFileError
        With the path and a reason in one line.
    """
    from mido.midifiles.meta import KeySignatureError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # tempo events outside the first track: common, harmless
            yield
    except (OSError, EOFError, ValueError, LookupError, TypeError, ArithmeticError, KeySignatureError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise MidiFileError(f"{path}: not a readable MIDI file ({reason})") from error


def read_midi_tracks(path: Path) -> MidiContent:
    """Read the pitched tracks, beats and key of a MIDI file.

    Raises
    ------
    MidiFileError
        If the file is not a readable MIDI file.
    """
    import pretty_midi

    with midi_errors(path):
        midi = pretty_midi.PrettyMIDI(str(path))
        beats = np.asarray(midi.get_beats(), dtype=np.float64)
    pitched = (instrument for instrument in midi.instruments if not instrument.is_drum)
    tracks = [MidiTrack(instrument.name.strip(), sorted(instrument_notes(instrument))) for instrument in pitched]
    keys = midi.key_signature_changes
    key = pretty_midi.key_number_to_key_name(keys[0].key_number) if keys else None
    return MidiContent([track for track in tracks if track.notes], beats, key)


def instrument_notes(instrument: Any) -> list[Note]:
    """Convert the notes of a ``pretty_midi.Instrument``, without those of zero duration."""
    return [
        Note(float(note.start), float(note.end), float(note.pitch), note.velocity)
        for note in instrument.notes
        if note.end > note.start
    ]


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


def read_midi(path: Path | str) -> list[Note]:
    """Read all pitched notes of a MIDI file, sorted by onset.

    Raises
    ------
    MidiFileError
        If the file is not a readable MIDI file.
    """
    import pretty_midi

    with midi_errors(path):
        midi = pretty_midi.PrettyMIDI(str(path))
    pitched = (instrument for instrument in midi.instruments if not instrument.is_drum)
    return sorted(note for instrument in pitched for note in instrument_notes(instrument))
