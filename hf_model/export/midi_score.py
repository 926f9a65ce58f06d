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
        Tick, numerator and denominator. A first bar with silence or a pick-up is shorter.
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


def tempo_map(tempo: Tempo) -> TempoMap:
    """Map beats to ticks so that tick 0 is the start of the recording.

    Recordings do not begin on a beat: the time before the first beat is filled with sixteenths (eighths in 6/8), at a
    separate tempo.

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
        microseconds = min(max(round((time - seconds[-1]) * 1e6 / quarters), 1), _MAX_TEMPO)
        if not tempi or abs(seconds[-1] + tempi[-1][1] * quarters / 1e6 - time) > _MAX_DEVIATION:
            tempi.append((ticks[-1], microseconds))
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
        Seconds; length of the file.
    pedals : sequence of Pedal
        For both hands.
    """
    import mido

    ticks_of = tempo_map(arranged.tempo)
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
