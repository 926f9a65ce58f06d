"""MIDI files with bars: the performed seconds to the millisecond, under the beats, metre and key that were found."""

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
"""A quarter: at 60 beats a minute a tick is half a millisecond."""

_LONGEST_QUARTER = 2**24 - 1
"""Microseconds; a MIDI tempo has three bytes."""

_DEAF = 2e-5
"""Seconds by which a beat may be off before the file names a new tempo."""


@dataclass(frozen=True, eq=False)
class TempoMap:
    """How ticks and seconds correspond.

    Attributes
    ----------
    ticks : ndarray of int, shape (corner,)
        From 0; straight lines between.
    seconds : ndarray, shape (corner,)
        Where MIDI's whole microseconds put these ticks.
    tempi : tuple of (int, int)
        Tick from which a tempo holds, and microseconds a quarter.
    signatures : tuple of (int, int, int)
        Tick, beats and note value. A first bar that holds silence or a pick-up is shorter than the others.
    """

    ticks: NDArray[np.int64]
    seconds: NDArray[np.float64]
    tempi: tuple[tuple[int, int], ...]
    signatures: tuple[tuple[int, int, int], ...]

    def to_tick(self, seconds: float) -> int:
        """Give the tick nearest to a time; after the last corner in the last tempo."""
        if seconds > self.seconds[-1]:
            rest = float(seconds - self.seconds[-1]) * 1e6 / self.tempi[-1][1] * TICKS
            return int(self.ticks[-1]) + round(rest)
        return round(float(np.interp(seconds, self.seconds, self.ticks)))


def tempo_map(tempo: Tempo) -> TempoMap:
    """Lay bars over a recording so that its second 0 is the file's tick 0.

    What lies before the first beat fills sixteenths (eighths in 6/8), at a tempo of its own: recordings do not begin on
    a beat.

    Parameters
    ----------
    tempo : Tempo
        Beats in seconds; those before 0 are left out.
    """
    parts = 3 if tempo.is_compound else 4
    beat_ticks = TICKS * parts // (2 if tempo.is_compound else 4)
    beat = tempo.beats[1] - tempo.beats[0]
    missing = max(0, math.ceil(tempo.beats[0] / beat))
    beats = [tempo.beats[0] - beat * k for k in range(missing, 0, -1)] + list(tempo.beats)
    skipped = sum(time < 1e-4 for time in beats)
    beats = beats[skipped:] or [1e-4 + beat]
    lead = max(1, math.ceil(beats[0] / beat * parts - 0.01))
    first_bar = (tempo.downbeat + missing - skipped) % tempo.beats_per_bar * parts + lead
    upbeat = first_bar % (tempo.beats_per_bar * parts)
    signatures = [(0, upbeat, 8 if tempo.is_compound else 16)] if upbeat else []
    signatures.append((upbeat * beat_ticks // parts, *tempo.meter))

    ticks, seconds = [0], [0.0]
    tempi: list[tuple[int, int]] = []
    corners = [lead * beat_ticks // parts + beat_ticks * k for k in range(len(beats))]
    for tick, time in zip(corners, beats, strict=True):
        quarters = (tick - ticks[-1]) / TICKS
        wanted = min(max(round((time - seconds[-1]) * 1e6 / quarters), 1), _LONGEST_QUARTER)
        if not tempi or abs(seconds[-1] + tempi[-1][1] * quarters / 1e6 - time) > _DEAF:
            tempi.append((ticks[-1], wanted))
        seconds.append(seconds[-1] + tempi[-1][1] * quarters / 1e6)
        ticks.append(tick)
    return TempoMap(np.array(ticks), np.array(seconds), tuple(tempi), tuple(signatures))


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
        Length of the recording in seconds; the file is as long.
    pedals : sequence of Pedal
        For both hands.
    """
    import mido

    where = tempo_map(arranged.tempo)
    end = max([duration or 0.0, *(note.offset for note in (*arranged.piano_notes, *arranged.accompaniment))])
    meta = [(tick, mido.MetaMessage("set_tempo", tempo=tempo)) for tick, tempo in where.tempi]
    meta += [
        (tick, mido.MetaMessage("time_signature", numerator=upper, denominator=lower))
        for tick, upper, lower in where.signatures
    ]
    meta.append((0, mido.MetaMessage("key_signature", key=_midi_key(arranged.key))))
    file = mido.MidiFile(type=1, ticks_per_beat=TICKS)
    file.tracks.append(_track("", sorted(meta, key=lambda item: item[0]), 0))
    hands = [("HummingFace", arranged.piano_notes), ("left hand", arranged.accompaniment)]
    for channel, (name, notes) in enumerate(hands):
        if notes or channel == 0:
            events = sorted(
                [*_events(notes, where, channel), *_pedalling(pedals, where, channel)], key=lambda item: item[0]
            )
            file.tracks.append(_track(name, events, where.to_tick(end)))
    file.save(str(path))


def _midi_key(key: Key) -> str:
    tonic, mode = key.name.split()
    return tonic + ("m" if mode == "minor" else "")


def _events(notes: Sequence[Note], where: TempoMap, channel: int) -> list[tuple[int, object]]:
    """Give the messages of a hand with their ticks; a key is released before it is struck again."""
    import mido

    timed: list[tuple[int, int, object]] = []
    for note in notes:
        key = fold_to_keyboard(math.floor(note.pitch + 0.5))
        start = where.to_tick(note.onset)
        stop = max(start + 1, where.to_tick(note.offset))
        velocity = max(1, note.velocity)
        timed.append((start, 1, mido.Message("note_on", channel=channel, note=key, velocity=velocity)))
        timed.append((stop, 0, mido.Message("note_off", channel=channel, note=key)))
    return [(tick, message) for tick, _, message in sorted(timed, key=lambda item: item[:2])]


def _pedalling(pedals: Sequence[Pedal], where: TempoMap, channel: int) -> list[tuple[int, object]]:
    """Give the messages of the sustaining pedal with their ticks."""
    import mido

    return [
        (where.to_tick(time), mido.Message("control_change", channel=channel, control=64, value=value))
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
