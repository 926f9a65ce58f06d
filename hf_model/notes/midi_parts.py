"""Beginnings and ends of MIDI notes to notes, part by part, as players do: with resets, and notes that nothing ends."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from hf_model.notes.midi_file import META, SYSEX, TEXT, TRACK_NAME, MidiEvent, MidiFile, TempoMap, merged, parse_midi
from hf_model.notes.note import Note

NOTE_OFF, NOTE_ON, CONTROL, PROGRAM = 0x80, 0x90, 0xB0, 0xC0
"""Kinds of channel messages: the upper four bits of their status."""

DRUM_CHANNEL = 9

SOUND_OFF, RESET_CONTROLLERS = 120, 121
"""Controllers that end all sound of a channel, and that lift its pedals."""

_ALL_NOTES_OFF = frozenset((SOUND_OFF, *range(123, 128)))  # the changes of mode, 124-127, end all notes too
_RESETS = (b"\x7e\x7f\x09\x01", b"\x7e\x7f\x09\x03", b"\x42\x12\x40\x00\x7f\x00", b"\x4c\x00\x00\x7e\x00")


@dataclass(frozen=True, eq=False)
class MidiPart:
    """What one program plays on one channel in one track.

    Attributes
    ----------
    name : str
        Of the track.
    channel : int
        0-15.
    notes : list of Note
        Sorted by onset.
    """

    name: str
    channel: int
    notes: list[Note]

    @property
    def is_drum(self) -> bool:
        """Whether it is on the channel of drums."""
        return self.channel == DRUM_CHANNEL


class ControlChange(NamedTuple):
    """A change of a controller (number, value 0-127) at a time in seconds."""

    number: int
    value: int
    time: float


@dataclass(frozen=True, eq=False)
class MidiParts:
    """All that a MIDI file plays.

    Attributes
    ----------
    parts : list of MidiPart
        With at least one note, in file order.
    controls : dict
        The changes of controllers of each channel, by time; a reset of the system is one of ``RESET_CONTROLLERS``.
    end : float
        Seconds: the last event.
    warnings : tuple of str
        What was repaired or left out.
    texts : tuple of str
        Text events, in order.
    """

    parts: list[MidiPart]
    controls: dict[int, list[ControlChange]]
    end: float
    warnings: tuple[str, ...]
    texts: tuple[str, ...] = ()


def read_parts(data: bytes) -> MidiParts:
    """Read the notes and controllers of the bytes of a MIDI file, as players do.

    A note without an end sounds until all notes of its channel are ended, or to the end of its track.

    Raises
    ------
    MidiFileError
        If they cannot be read.
    """
    file = parse_midi(data)
    tempo_map, events = file.tempo_map(), merged(file.tracks)
    parts, n_open = pair_notes(file, events, tempo_map)
    controls: dict[int, list[ControlChange]] = {}
    for event in events:
        time = tempo_map.seconds(event.tick)
        if event.status & 0xF0 == CONTROL:
            controls.setdefault(event.status & 0x0F, []).append(ControlChange(event.first, event.second, time))
        elif _is_reset(event):
            for changes in controls.values():
                changes.append(ControlChange(RESET_CONTROLLERS, 0, time))
    added = (f"{n_open} notes have no end in the file and sound to the end of their track",) if n_open else ()
    end = tempo_map.seconds(max((track.end for track in file.tracks), default=0))
    texts = tuple(event.data.decode("latin-1") for event in events if event.status == META and event.first == TEXT)
    return MidiParts(parts, controls, end, (*file.warnings, *added), texts)


def pair_notes(file: MidiFile, events: Sequence[MidiEvent], tempo_map: TempoMap) -> tuple[list[MidiPart], int]:
    """Pair beginnings and ends of notes within each track.

    Returns
    -------
    parts : list of MidiPart
    n_open : int
        Notes that nothing ends.
    """
    ends_of_all = _ends_of_all_notes(events)
    parts: list[MidiPart] = []
    n_open = 0
    for track in file.tracks:
        pairing = _Pairing(tempo_map, ends_of_all)
        for event in track.events:
            pairing.add(event)
        pairing.finish(track.end, file.ticks_per_beat)
        parts += [MidiPart(part.name, part.channel, sorted(part.notes)) for part in pairing.parts.values()]
        n_open += pairing.n_open
    return parts, n_open


def _ends_of_all_notes(events: Iterable[MidiEvent]) -> list[list[int]]:
    """List for each channel the ticks at which all of its notes end."""
    ticks: list[list[int]] = [[] for _ in range(16)]
    for event in events:
        if event.status & 0xF0 == CONTROL and event.first in _ALL_NOTES_OFF:
            ticks[event.status & 0x0F].append(event.tick)
        elif _is_reset(event):
            for channel in ticks:
                channel.append(event.tick)
    return ticks


def _is_reset(event: MidiEvent) -> bool:
    """Whether an event resets the system: the real-time message, or that of General MIDI, GS or XG."""
    return event.status == SYSEX and (event.data == b"\xff" or any(reset in event.data for reset in _RESETS))


class _Pairing:
    """The notes of a track."""

    def __init__(self, tempo_map: TempoMap, ends_of_all: Sequence[Sequence[int]]) -> None:
        self._tempo_map, self._ends_of_all = tempo_map, ends_of_all
        self._name, self._programs = "", [0] * 16
        self._sounding: dict[tuple[int, int], list[tuple[int, int, int]]] = {}  # tick, velocity, program
        self.parts: dict[tuple[int, int], MidiPart] = {}
        self.n_open = 0

    def add(self, event: MidiEvent) -> None:
        """Take the next event."""
        kind, channel = event.status & 0xF0, event.status & 0x0F
        if event.status == META and event.first == TRACK_NAME:
            self._name = event.data.decode("latin-1")
        elif kind == PROGRAM:
            self._programs[channel] = event.first
        elif kind == NOTE_ON and event.second > 0:
            begun = self._sounding.setdefault((channel, event.first), [])
            begun.append((event.tick, event.second, self._programs[channel]))
        elif kind in {NOTE_ON, NOTE_OFF}:
            self._end((channel, event.first), event.tick)

    def _end(self, key: tuple[int, int], tick: int) -> None:
        """End all notes of a key; one that begins at this tick goes on if another one ends."""
        begun = self._sounding.pop(key, [])
        ending = [note for note in begun if note[0] != tick]
        for note in ending:
            self._append(key, note, self._first_end(key[0], note[0], tick))
        if ending and len(ending) < len(begun):
            self._sounding[key] = [note for note in begun if note[0] == tick]

    def _first_end(self, channel: int, begin: int, end: int) -> int:
        """Find what ends a note first: its own end, or that of all notes."""
        ticks = self._ends_of_all[channel]
        index = bisect_right(ticks, begin)
        return min(end, ticks[index]) if index < len(ticks) else end

    def finish(self, end: int, ticks_per_beat: int) -> None:
        """End the notes that still sound at the end of the track; one that begins there lasts a beat."""
        for key, begun in self._sounding.items():
            for note in begun:
                last = end if end > note[0] else note[0] + ticks_per_beat
                stop = self._first_end(key[0], note[0], last)
                self.n_open += stop == last
                self._append(key, note, stop)

    def _append(self, key: tuple[int, int], note: tuple[int, int, int], end: int) -> None:
        channel, pitch = key
        begin, velocity, program = note
        part = self.parts.setdefault((program, channel), MidiPart(self._name, channel, []))
        onset, offset = self._tempo_map.seconds(begin), self._tempo_map.seconds(end)
        if offset > onset:
            part.notes.append(Note(onset, offset, float(pitch), velocity))
