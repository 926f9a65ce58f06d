"""MIDI files with bars: performed times to the millisecond, with tempo map, time signature and key signature."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hf_model.music.arrangement import Arranged
from hf_model.music.key import Key
from hf_model.music.tempo import Tempo
from hf_model.notes.note import Note, fold_to_keyboard
from hf_model.notes.pedal import Pedal

if TYPE_CHECKING:
    from mido import MidiTrack

TICKS = 1920
"""Ticks per quarter: at 60 bpm a tick is half a millisecond."""

EARLIEST = 1e-4
"""Seconds; an earlier beat is no corner of the map."""

MAX_SKIPPED, SKIP_COST = 16, 0.05
"""At most so many beats are given up before the first note; each must make the lead-in's tempo 5 % better."""

_MAX_TEMPO = 2**24 - 1
"""Microseconds per quarter; a MIDI tempo has three bytes."""

_MAX_DEVIATION = 2e-5
"""Seconds; a larger deviation of a beat needs a new tempo event."""


@dataclass(frozen=True, eq=False)
class TempoMap:
    """The correspondence of ticks and seconds, piecewise linear.

    Attributes
    ----------
    ticks : ndarray of int, shape (corner,)
        Increasing, from 0.
    seconds : ndarray, shape (corner,)
        Times of these ticks, given that MIDI tempi are whole microseconds.
    tempi : tuple of (int, int)
        Tick of a tempo event, and microseconds per quarter.
    signatures : tuple of (int, int, int)
        Tick, numerator and denominator.
    """

    ticks: NDArray[np.int64]
    seconds: NDArray[np.float64]
    tempi: tuple[tuple[int, int], ...]
    signatures: tuple[tuple[int, int, int], ...]

    def to_tick(self, seconds: float) -> int:
        """Give the tick nearest to a time; the last tempo continues after the last corner."""
        if seconds > self.seconds[-1]:
            rest = float(seconds - self.seconds[-1]) * 1e6 / self.tempi[-1][1] * TICKS
            return int(self.ticks[-1]) + round(rest)
        return round(float(np.interp(seconds, self.seconds, self.ticks)))


def tempo_map(tempo: Tempo, first_onset: float = 0.0) -> TempoMap:
    """Map beats to ticks so that tick 0 is the start of the recording and bars begin on whole bars of ticks.

    Recordings do not begin on a bar line: the time before the first beat is filled with as many beats as the bars need,
    at a separate tempo. Programs that ignore time signatures show the notes on their grid, too.

    Parameters
    ----------
    tempo : Tempo
        Beats in seconds; those before 0 are left out.
    first_onset : float
        Seconds; beats before it may be given up for a tempo of the lead-in that is closer to that of the music.
    """
    beat_ticks = TICKS * 3 // 2 if tempo.is_compound else TICKS
    beat = tempo.beats[1] - tempo.beats[0]
    missing = max(0, math.ceil(tempo.beats[0] / beat))
    beats = [tempo.beats[0] - beat * k for k in range(missing, 0, -1)] + list(tempo.beats)
    skipped = sum(time < EARLIEST for time in beats)
    beats = beats[skipped:] or [EARLIEST + beat]
    upbeat = (skipped - tempo.downbeat - missing) % tempo.beats_per_bar  # place in the bar of the first of these beats
    lead, first = _choose_lead_in(beats, upbeat, tempo.beats_per_bar, first_onset)
    ticks, seconds = [0], [0.0]
    tempi: list[tuple[int, int]] = []
    for number, time in enumerate(beats[first:], start=lead):
        tick = beat_ticks * number
        quarters = (tick - ticks[-1]) / TICKS
        microseconds = min(max(round((time - seconds[-1]) * 1e6 / quarters), 1), _MAX_TEMPO)
        if not tempi or abs(seconds[-1] + tempi[-1][1] * quarters / 1e6 - time) > _MAX_DEVIATION:
            tempi.append((ticks[-1], microseconds))
        seconds.append(seconds[-1] + tempi[-1][1] * quarters / 1e6)
        ticks.append(tick)
    return TempoMap(np.array(ticks), np.array(seconds), tuple(tempi), ((0, *tempo.meter),))


def _choose_lead_in(beats: Sequence[float], place: int, beats_per_bar: int, first_onset: float) -> tuple[int, int]:
    """Choose the beat with which the map begins, and how many beats of lead-in make its bar begin on a whole bar.

    Returns
    -------
    lead : int
        Beats of the lead-in, at least 1.
    first : int
        Index in ``beats``.
    """
    beat = beats[min(1, len(beats) - 1)] - beats[0] or beats[0]
    best, least = (place or beats_per_bar, 0), math.inf
    for first, time in enumerate(beats[: MAX_SKIPPED + 1]):
        if first and time > first_onset:
            break
        natural = time / beat
        whole = (place + first) % beats_per_bar
        for lead in (whole + beats_per_bar * (math.floor(natural / beats_per_bar) + k) for k in (-1, 0, 1)):
            distortion = abs(math.log(lead / natural)) + SKIP_COST * first if lead > 0 else math.inf
            if distortion < least:
                best, least = (lead, first), distortion
    return best


def write_score(
    path: Path | str,
    arranged: Arranged,
    duration: float | None = None,
    *,
    pedals: Sequence[Pedal] = (),
) -> None:
    """Write an arrangement as a MIDI file: tempo map, time and key signature, a track for each hand.

    Parameters
    ----------
    path : path
    arranged : Arranged
    duration : float, optional
        Seconds; length of the file.
    pedals : sequence of Pedal
        For both hands.
    """
    import mido

    first_onset = min((note.onset for note in arranged.both_hands), default=0.0)
    ticks_of = tempo_map(arranged.tempo, first_onset)
    end = max([duration or 0.0, *(note.offset for note in (*arranged.piano_notes, *arranged.accompaniment))])
    meta = [(tick, mido.MetaMessage("set_tempo", tempo=tempo)) for tick, tempo in ticks_of.tempi]
    meta += [
        (tick, mido.MetaMessage("time_signature", numerator=upper, denominator=lower))
        for tick, upper, lower in ticks_of.signatures
    ]
    meta.append((0, mido.MetaMessage("key_signature", key=_midi_key(arranged.key))))
    file = mido.MidiFile(type=1, ticks_per_beat=TICKS)
    file.tracks.append(_track("", sorted(meta, key=lambda item: item[0]), 0))
    hands = [("HummingFace", arranged.piano_notes), ("left hand", arranged.accompaniment)]
    for channel, (name, notes) in enumerate(hands):
        if notes or channel == 0:
            events = sorted(
                [*_note_events(notes, ticks_of, channel), *_pedal_events(pedals, ticks_of, channel)],
                key=lambda item: item[0],
            )
            file.tracks.append(_track(name, events, ticks_of.to_tick(end)))
    file.save(str(path))


def _midi_key(key: Key) -> str:
    tonic, mode = key.name.split()
    return tonic + ("m" if mode == "minor" else "")


def _note_events(notes: Sequence[Note], ticks_of: TempoMap, channel: int) -> list[tuple[int, object]]:
    """Give the note messages of a hand with their ticks; note_off precedes note_on at the same tick."""
    import mido

    timed: list[tuple[int, int, object]] = []
    for note in notes:
        key = fold_to_keyboard(math.floor(note.pitch + 0.5))
        start = ticks_of.to_tick(note.onset)
        stop = max(start + 1, ticks_of.to_tick(note.offset))
        velocity = max(1, note.velocity)
        timed.append((start, 1, mido.Message("note_on", channel=channel, note=key, velocity=velocity)))
        timed.append((stop, 0, mido.Message("note_off", channel=channel, note=key)))
    return [(tick, message) for tick, _, message in sorted(timed, key=lambda item: item[:2])]


def _pedal_events(pedals: Sequence[Pedal], ticks_of: TempoMap, channel: int) -> list[tuple[int, object]]:
    """Give the sustain pedal messages with their ticks."""
    import mido

    return [
        (ticks_of.to_tick(time), mido.Message("control_change", channel=channel, control=64, value=value))
        for pedal in pedals
        for time, value in ((pedal.down, 127), (pedal.up, 0))
    ]


def _track(name: str, events: Sequence[tuple[int, object]], end: int) -> MidiTrack:
    import mido

    track = mido.MidiTrack()
    if name:
        track.append(mido.MetaMessage("track_name", name=name))
        track.append(mido.Message("program_change", channel=int(name != "HummingFace"), program=0))
    now = 0
    for tick, message in [*events, (max([end, *(tick for tick, _ in events)]), mido.MetaMessage("end_of_track"))]:
        track.append(message.copy(time=tick - now))
        now = tick
    return track
