"""Melodies out of MIDI files of any origin: one named track, or the upper line of what sounds together."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hf_model.notes.note import Note, fold_to_keyboard

MELODY_NAME = re.compile(r"(?<![a-z])(melod(y|ie|ia)|vocals?|voice|lead vox|vox|singer|gesang|chant|canto)(?![a-z])")
"""Track names, in lower case, that say that the track is a melody to sing."""

SAME_ONSET = 0.03
"""Seconds within which notes begin together."""


@dataclass(frozen=True, eq=False)
class MidiTrack:
    """One pitched track.

    Attributes
    ----------
    name : str
        As in the file, stripped.
    notes : list of Note
        Sorted by onset.
    """

    name: str
    notes: list[Note]


@dataclass(frozen=True, eq=False)
class MidiContent:
    """What a reader needs of a MIDI file.

    Attributes
    ----------
    tracks : list of MidiTrack
        Pitched tracks with at least one note, in the file's order.
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
def parsing(path: Path) -> Iterator[None]:
    """Make one exception, in one line, of all that pretty_midi and mido raise for a file that is no MIDI file.

    Raises
    ------
    MidiFileError
        Naming the file.
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
    """Read a MIDI file track by track.

    Raises
    ------
    MidiFileError
        Naming a file that is no readable MIDI file.
    """
    import pretty_midi

    with parsing(path):
        midi = pretty_midi.PrettyMIDI(str(path))
        beats = np.asarray(midi.get_beats(), dtype=np.float64)
    tracks = [
        MidiTrack(
            instrument.name.strip(),
            sorted(
                Note(float(note.start), float(note.end), float(note.pitch), note.velocity)
                for note in instrument.notes
                if note.end > note.start
            ),
        )
        for instrument in midi.instruments
        if not instrument.is_drum
    ]
    keys = midi.key_signature_changes
    key = pretty_midi.key_number_to_key_name(keys[0].key_number) if keys else None
    return MidiContent([track for track in tracks if track.notes], beats, key)


def melody_track(tracks: Iterable[MidiTrack]) -> MidiTrack | None:
    """Pick the track whose name says melody; of several the one with most notes."""
    named = [track for track in tracks if MELODY_NAME.search(track.name.lower())]
    return max(named, key=lambda track: len(track.notes), default=None)


def upper_line(notes: Sequence[Note]) -> list[Note]:
    """Reduce chords and voices to one line: the highest note at any time.

    Parameters
    ----------
    notes : sequence of Note
        In any order.

    Returns
    -------
    list of Note
        One after the other: a note ends where the next begins; one that begins below a sounding note is left out.
    """
    line: list[Note] = []
    for note in sorted(notes, key=lambda note: (note.onset, -note.pitch)):
        if line and note.onset < line[-1].offset:
            last = line[-1]
            if note.pitch <= last.pitch and not (note.pitch == last.pitch and note.onset - last.onset > SAME_ONSET):
                continue
            if note.onset - last.onset <= SAME_ONSET:
                line.pop()
                note = replace(note, onset=last.onset)
            else:
                line[-1] = replace(last, offset=note.onset)
        line.append(note)
    return line


def write_midi(
    path: Path | str,
    notes: Iterable[Note],
    tempo: float = 120.0,
    *,
    end: float | None = None,
) -> None:
    """Write notes with integer pitch as a MIDI file: one piano track, times to half a millisecond.

    Parameters
    ----------
    path : path
    notes : iterable of Note
    tempo : float
        Beats a minute.
    end : float, optional
        Seconds; the file lasts at least so long.
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
    ValueError
        If the file is no MIDI file; the message names it.
    """
    import pretty_midi
    from mido import KeySignatureError

    try:
        midi = pretty_midi.PrettyMIDI(str(path))
    except (OSError, EOFError, ValueError, KeyError, IndexError, KeySignatureError) as error:
        msg = f"{path}: not a readable MIDI file ({error})"
        raise ValueError(msg) from error
    found = (
        Note(note.start, note.end, float(note.pitch), note.velocity)
        for instrument in midi.instruments
        if not instrument.is_drum
        for note in instrument.notes
        if note.end > note.start
    )
    return sorted(found)
