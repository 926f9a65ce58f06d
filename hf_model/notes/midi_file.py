"""The bytes of MIDI files to events and times, as tolerant as players: what is damaged is left out, and said."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple

MAX_EVENTS = 1_000_000
"""More events are refused: a file of notes has some thousands."""

SYSEX, META = 0xF0, 0xFF
"""Status of :class:`MidiEvent` for system exclusive and meta events."""

TEXT, TRACK_NAME, END_OF_TRACK, SET_TEMPO, TIME_SIGNATURE, KEY_SIGNATURE = 0x01, 0x03, 0x2F, 0x51, 0x58, 0x59
"""Types of meta events."""

DEFAULT_TEMPO = 500_000
"""Microseconds per quarter note of a file that sets none (120 bpm)."""

_DATA_BYTES = {0x80: 2, 0x90: 2, 0xA0: 2, 0xB0: 2, 0xC0: 1, 0xD0: 1, 0xE0: 2}
_SYSTEM_BYTES = {0xF1: 1, 0xF2: 2, 0xF3: 1}
_SMPTE_RATES = {24: 24.0, 25: 25.0, 29: 30_000 / 1001, 30: 30.0}


class MidiFileError(ValueError):
    """A MIDI file that cannot be read."""


class MidiEvent(NamedTuple):
    """One event.

    Attributes
    ----------
    tick : int
        From the start of the file.
    status : int
        Of a channel message (0x80-0xEF, with the channel in the lower four bits), ``SYSEX`` or ``META``.
    first, second : int
        Data bytes of a channel message (0-127); ``first`` is the type of a meta event.
    data : bytes
        Of a system exclusive or meta event.
    """

    tick: int
    status: int
    first: int = 0
    second: int = 0
    data: bytes = b""


@dataclass(frozen=True)
class MidiTrackEvents:
    """Events of a track in order, and the tick of its end."""

    events: list[MidiEvent]
    end: int


@dataclass(frozen=True)
class MidiFile:
    """A parsed file.

    Attributes
    ----------
    tracks : list of MidiTrackEvents
    ticks_per_beat : int
    seconds_per_tick : float, optional
        For a file in SMPTE time, in which tempos have no effect.
    warnings : tuple of str
        What was repaired or left out.
    """

    tracks: list[MidiTrackEvents]
    ticks_per_beat: int
    seconds_per_tick: float | None = None
    warnings: tuple[str, ...] = ()

    def tempo_map(self) -> TempoMap:
        """Collect the tempo changes of all tracks."""
        if self.seconds_per_tick is not None:
            return TempoMap([0], [self.seconds_per_tick])
        by_tick = {0: DEFAULT_TEMPO}
        for event in merged(self.tracks):
            if event.status == META and event.first == SET_TEMPO and any(event.data[:3]):
                by_tick[event.tick] = int.from_bytes(event.data[:3], "big")  # the last one of a tick
        ticks: list[int] = []
        scales: list[float] = []
        for tick, tempo in by_tick.items():
            scale = 60.0 / (6e7 / tempo * self.ticks_per_beat)
            if not scales or scale != scales[-1]:
                ticks.append(tick)
                scales.append(scale)
        return TempoMap(ticks, scales)


class TempoMap:
    """Times of ticks.

    Parameters
    ----------
    ticks : sequence of int
        Rising, from 0.
    scales : sequence of float
        Seconds per tick from each of them on.
    """

    def __init__(self, ticks: Sequence[int], scales: Sequence[float]) -> None:
        self._ticks, self._scales = list(ticks), list(scales)
        self._seconds = [0.0]
        for first, last, scale in zip(self._ticks[:-1], self._ticks[1:], self._scales[:-1], strict=True):
            self._seconds.append(self._seconds[-1] + scale * (last - first))

    def seconds(self, tick: int) -> float:
        """Compute the time of a tick, in seconds."""
        index = bisect_right(self._ticks, tick) - 1
        return self._seconds[index] + self._scales[index] * (tick - self._ticks[index])


@dataclass
class _Problems:
    """Counts of what was repaired."""

    n_events: int = 0
    n_clipped: int = 0
    n_tempos: int = 0
    damaged: list[int] = field(default_factory=list)
    found: list[str] = field(default_factory=list)

    def describe(self) -> tuple[str, ...]:
        numbers = ", ".join(map(str, self.damaged))
        damaged = [f"track {numbers} is damaged or cut off: the rest of it is left out"] if self.damaged else []
        clipped = [f"{self.n_clipped} data bytes over 127 are taken as 127"] if self.n_clipped else []
        tempos = [f"{self.n_tempos} tempos of 0 are left out"] if self.n_tempos else []
        return (*self.found, *damaged, *clipped, *tempos)


def parse_midi(data: bytes) -> MidiFile:
    """Parse a Standard MIDI File, also in a RIFF container (RMID) or after a foreign header.

    Raises
    ------
    MidiFileError
        If nothing of it can be read.
    """
    start = data.find(b"MThd", 0, 4096)
    header = data[start : start + 14]
    if start < 0 or len(header) < 14:
        msg = "the header is missing or cut off"
        raise MidiFileError(msg)
    kind, n_tracks, division = (int.from_bytes(header[at : at + 2], "big") for at in (8, 10, 12))
    ticks_per_beat, seconds_per_tick = _division(division)
    problems = _Problems()
    bodies = list(_track_bodies(data, start + 8 + max(6, int.from_bytes(header[4:8], "big")), problems))
    if n_tracks and not bodies:
        msg = "it has no tracks, or is cut off"
        raise MidiFileError(msg)
    if len(bodies) < n_tracks:
        problems.found.append(f"the file has {len(bodies)} tracks of the {n_tracks} in its header")
    tracks: list[MidiTrackEvents] = []
    for number, body in enumerate(bodies, start=1):
        begin = tracks[-1].end if kind == 2 and tracks else 0
        tracks.append(_Track(body, begin, problems).parse(number))
    if kind == 2 and len(tracks) > 1:
        problems.found.append("the tracks are independent pieces and are played one after another")
    has_notes = any(event.status & 0xF0 == 0x90 for track in tracks for event in track.events)
    if problems.damaged and not has_notes:
        msg = "it is damaged or cut off before the first note"
        raise MidiFileError(msg)
    return MidiFile(tracks, ticks_per_beat, seconds_per_tick, problems.describe())


def _division(division: int) -> tuple[int, float | None]:
    """Give ticks per beat, and seconds per tick for SMPTE time."""
    if not division & 0x8000:
        if division == 0:
            msg = "its time division is 0"
            raise MidiFileError(msg)
        return division, None
    frame_rate, n_ticks = _SMPTE_RATES.get(256 - (division >> 8)), division & 0xFF
    if frame_rate is None or n_ticks == 0:
        msg = f"its time division is {256 - (division >> 8)} frames a second of {n_ticks} ticks"
        raise MidiFileError(msg)
    seconds = 1 / (frame_rate * n_ticks)
    return max(1, round(0.5 / seconds)), seconds


def _track_bodies(data: bytes, position: int, problems: _Problems) -> list[bytes]:
    """Find the chunks of tracks; a wrong length ends at the next track or at the end of the file."""
    bodies = []
    while position + 8 <= len(data):
        name, length = data[position : position + 4], int.from_bytes(data[position + 4 : position + 8], "big")
        first, last = position + 8, position + 8 + length
        if name != b"MTrk" and (not _is_name(name) or last > len(data)):
            position = data.find(b"MTrk", position + 1)
            if position < 0:
                break
            continue
        following = data[last : last + 4]
        if name == b"MTrk" and (last > len(data) or (following.strip(b"\0") and not _is_name(following))):
            after = data.find(b"MTrk", first)
            last = after if after >= 0 else len(data)
            problems.found += ["the length of a track is wrong: it is read to the next one"] if after >= 0 else []
        if name == b"MTrk":
            bodies.append(data[first:last])
        position = last
    return bodies


def _is_name(name: bytes) -> bool:
    return len(name) == 4 and all(32 <= byte < 127 for byte in name)


class _CutOffError(Exception):
    """The track ends within an event, or has one that is not defined."""


class _Track:
    """Parser of the bytes of one track."""

    def __init__(self, data: bytes, begin: int, problems: _Problems) -> None:
        self._data, self._problems = data, problems
        self._at, self._tick = 0, begin
        self._events: list[MidiEvent] = []
        if begin:
            self._events.append(MidiEvent(begin, META, SET_TEMPO, data=DEFAULT_TEMPO.to_bytes(3, "big")))

    def parse(self, number: int) -> MidiTrackEvents:
        """Parse all events; those before damage are kept."""
        running = 0
        try:
            while self._at < len(self._data):
                self._tick += self._variable_length()
                status = self._byte()
                if status < 0x80:
                    self._at -= 1  # a data byte: the status of the event before, also over meta events
                    status = running
                if status < 0xF0:
                    running = status
                if self._is_end(status):
                    break
        except _CutOffError:
            self._problems.damaged.append(number)
        return MidiTrackEvents(self._events, self._tick)

    def _is_end(self, status: int) -> bool:
        """Read the data of an event."""
        self._problems.n_events += 1
        if self._problems.n_events > MAX_EVENTS:
            msg = f"it has more than {MAX_EVENTS} events"
            raise MidiFileError(msg)
        if status < 0x80:
            raise _CutOffError
        if status < 0xF0:
            first, second = self._data_byte(), self._data_byte() if _DATA_BYTES[status & 0xF0] == 2 else 0
            self._events.append(MidiEvent(self._tick, status, first, second))
        elif status == META:
            kind = self._byte()
            data = self._block(self._variable_length())
            if kind == END_OF_TRACK:
                return True
            self._problems.n_tempos += kind == SET_TEMPO and not any(data[:3])
            self._events.append(MidiEvent(self._tick, META, kind, data=data))
        elif status in {0xF0, 0xF7}:
            self._events.append(MidiEvent(self._tick, SYSEX, data=self._block(self._variable_length())))
        else:
            self._block(_SYSTEM_BYTES.get(status, 0))
        return False

    def _byte(self) -> int:
        if self._at >= len(self._data):
            raise _CutOffError
        self._at += 1
        return self._data[self._at - 1]

    def _data_byte(self) -> int:
        value = self._byte()
        self._problems.n_clipped += value > 127
        return min(value, 127)

    def _block(self, n_bytes: int) -> bytes:
        if self._at + n_bytes > len(self._data):
            raise _CutOffError
        self._at += n_bytes
        return self._data[self._at - n_bytes : self._at]

    def _variable_length(self) -> int:
        value = 0
        for _ in range(4):
            byte = self._byte()
            value = value << 7 | byte & 0x7F
            if byte < 0x80:
                return value
        raise _CutOffError


def merged(tracks: Sequence[MidiTrackEvents]) -> list[MidiEvent]:
    """Merge the events of all tracks, sorted by time."""
    return sorted(chain.from_iterable(track.events for track in tracks), key=lambda event: event.tick)
