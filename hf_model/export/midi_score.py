"""MIDI files with bars: performed times to the millisecond, with tempo map, time signature and key signature."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.grid import PIANO_SAMPLE_RATE
from hf_model.music.arrangement import Arranged
from hf_model.music.key import Key
from hf_model.music.tempo import Tempo
from hf_model.notes import midi_bytes
from hf_model.notes.note import Note, fold_to_keyboard
from hf_model.notes.note_files import describe_length
from hf_model.notes.part import Part, channels
from hf_model.notes.pedal import Pedal

TICKS = 1920
"""Ticks per quarter: at 60 bpm a tick is half a millisecond."""

TEMPO_MAPS = ("performed", "constant")
"""A tempo for each beat, as the singer takes it; or one tempo for the file."""

EARLIEST = 1 / 8
"""Beats; an earlier beat counts as the start of the recording."""

MAX_SKIPPED, SKIP_COST = 16, 0.05
"""At most so many beats are given up before the first note; each must make the lead-in's tempo 5 % better."""

WHOLE_BARS, SHORT_BAR = 1.25, 1.5
"""Largest ratio of the lead-in's tempo to that of the music: of whole bars, else of parts of one."""

UNITS, COMPOUND_UNITS = (1, 2, 4), (1, 3, 6)
"""Parts of a beat of which a lead-in has a whole number, the coarsest first."""

NOTE_OFF, BEND, NOTE_ON, PEDAL = range(4)
"""Order of the events of a tick: a note begins with its bend, which must not bend the one before."""

BEND_RANGE = 2
"""Semitones of a full pitch bend: the default of General MIDI, for synthesizers that ignore the setting."""

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


def tempo_map(tempo: Tempo, first_onset: float = 0.0, kind: str = "performed") -> TempoMap:
    """Map beats to ticks so that tick 0 is the start of the recording and bars begin where they do in the music.

    Recordings do not begin on a bar line: the time before the first beat is filled with whole bars if their tempo is
    near that of the music; else the first bar is shorter and has its own time signature.

    Parameters
    ----------
    tempo : Tempo
        Beats in seconds; those before 0 are left out.
    first_onset : float
        Seconds; beats before it may be given up for a tempo of the lead-in that is closer to that of the music.
    kind : {"performed", "constant"}
        Of ``TEMPO_MAPS``. With one tempo the beats are on the grid as far as the singer keeps it, and the first one
        is within half a sixteenth of it: a first bar of thirty-seconds is none that a musician reads.
    """
    beats, upbeat = _beats_from_start(_steady(tempo) if kind == "constant" else tempo)
    quarters = Fraction(3, 2) if tempo.is_compound else Fraction(1)  # in a beat
    units = COMPOUND_UNITS if tempo.is_compound else UNITS
    if kind == "constant":
        beat = beats[1] - beats[0]
        lead, first = Fraction(round(beats[0] / beat * units[-1]), units[-1]), 0
        tempi = [(0, min(round(beat * 1e6 / float(quarters)), _MAX_TEMPO))]
        ticks, seconds = [0], [0.0]
    else:
        lead, first = _choose_lead_in(beats, upbeat, tempo.beats_per_bar, first_onset, units)
        places = [int((lead + number) * quarters * TICKS) for number in range(len(beats) - first)]
        ticks, seconds, tempi = _corners(places, beats[first:])
    opening = (lead - (upbeat + first)) % tempo.beats_per_bar  # beats of a shorter first bar
    signatures = [(int(opening * quarters * TICKS), *tempo.meter)]
    if opening:
        signatures.insert(0, (0, *_signature(opening * quarters, tempo.meter[1])))
    return TempoMap(np.array(ticks), np.array(seconds), tuple(tempi), tuple(signatures))


def _steady(tempo: Tempo) -> Tempo:
    """Give the beats equal distances."""
    numbers = np.arange(len(tempo.beats))
    beat, start = np.polyfit(numbers, tempo.beats, 1)
    return replace(tempo, beats=tuple((start + beat * numbers).tolist()))


def _beats_from_start(tempo: Tempo) -> tuple[list[float], int]:
    """Continue the beats to the start of the recording.

    Returns
    -------
    beats : list of float
        Seconds, after the start; at least two.
    place : int
        That of the first of them in its bar.
    """
    beat = tempo.beats[1] - tempo.beats[0]
    missing = max(0, math.ceil(tempo.beats[0] / beat))
    beats = [tempo.beats[0] - beat * k for k in range(missing, 0, -1)] + list(tempo.beats)
    skipped = sum(time < EARLIEST * beat for time in beats)
    last = max(beats[-1], 0.0)
    beats = [*beats[skipped:], *(last + beat * k for k in (1, 2))][: max(2, len(beats) - skipped)]
    return beats, (skipped - tempo.downbeat - missing) % tempo.beats_per_bar


def _corners(places: Sequence[int], beats: Sequence[float]) -> tuple[list[int], list[float], list[tuple[int, int]]]:
    """Give the corners of a map from the ticks and seconds of its beats: their ticks, seconds, and tempo events."""
    ticks, seconds = [0], [0.0]
    tempi: list[tuple[int, int]] = []
    for tick, time in zip(places, beats, strict=True):
        quarters = (tick - ticks[-1]) / TICKS
        microseconds = min(max(round((time - seconds[-1]) * 1e6 / quarters), 1), _MAX_TEMPO)
        if not tempi or abs(seconds[-1] + tempi[-1][1] * quarters / 1e6 - time) > _MAX_DEVIATION:
            tempi.append((ticks[-1], microseconds))
        seconds.append(seconds[-1] + tempi[-1][1] * quarters / 1e6)
        ticks.append(tick)
    return ticks, seconds, tempi


def _choose_lead_in(
    beats: Sequence[float], place: int, beats_per_bar: int, first_onset: float, units: Sequence[int]
) -> tuple[Fraction, int]:
    """Choose the beat with which the map begins, and how many beats of lead-in come before it.

    Returns
    -------
    lead : Fraction
        Beats of the lead-in, more than 0.
    first : int
        Index in ``beats``.
    """
    beat = beats[1] - beats[0]
    until = [
        time / beat for time in beats[: min(MAX_SKIPPED + 1, len(beats) - 1)] if time <= max(first_onset, beats[0])
    ]
    whole_bars = []
    for first, natural in enumerate(until):
        whole = (place + first) % beats_per_bar
        near = whole + beats_per_bar * math.floor(natural / beats_per_bar)
        whole_bars += [
            (Fraction(lead), first) for lead in (near - beats_per_bar, near, near + beats_per_bar) if lead > 0
        ]
    choices = [(WHOLE_BARS, whole_bars)]
    for unit in units:
        rounded = [Fraction(max(1, round(natural * unit)), unit) for natural in until]
        choices.append((SHORT_BAR if unit != units[-1] else math.inf, [(lead, k) for k, lead in enumerate(rounded)]))
    for limit, candidates in choices:
        ratios = {candidate: abs(math.log(float(candidate[0]) / until[candidate[1]])) for candidate in candidates}
        near_enough = [candidate for candidate, ratio in ratios.items() if ratio <= math.log(limit)]
        if near_enough:
            return min(near_enough, key=lambda candidate: ratios[candidate] + SKIP_COST * candidate[1])
    return Fraction(1, units[-1]), 0


def _signature(quarters: Fraction, denominator: int) -> tuple[int, int]:
    """Give the time signature of a bar of some length."""
    while (quarters * denominator / 4).denominator > 1:
        denominator *= 2
    return int(quarters * denominator / 4), denominator


def write_score(
    path: Path | str | IO[bytes],
    arranged: Arranged,
    n_samples: int | None = None,
    *,
    pedals: Sequence[Pedal] = (),
    bends: Sequence[tuple[float, int]] = (),
    tempo_kind: str = "performed",
) -> None:
    """Write an arrangement as a MIDI file: tempo map, signatures, a track for each hand and each instrument.

    Parameters
    ----------
    path : path or binary file
    arranged : Arranged
    n_samples : int, optional
        Length of the recording, in samples at 44.1 kHz: the tracks end there, and a text event has the exact number,
        with which :func:`hf_model.notes.note_files.read_score` restores the length.
    pedals : sequence of Pedal
        For both hands.
    bends : sequence of (float, int)
        Time in seconds and value (-8192 to 8191) of the pitch bends of the right hand, of two semitones either way.
    tempo_kind : {"performed", "constant"}
        See :func:`tempo_map`; the notes keep their seconds.
    """
    sounding = [
        *arranged.piano_notes,
        *arranged.accompaniment,
        *(note for part in arranged.band for note in part.notes),
    ]
    first_onset = min((note.onset for note in sounding), default=0.0)
    if arranged.opening is not None:
        others = sounding[len(arranged.piano_notes) :]
        first_onset = min([arranged.opening, *(note.onset for note in others)])
    ticks_of = tempo_map(arranged.tempo, first_onset, tempo_kind)
    duration = (n_samples or 0) / PIANO_SAMPLE_RATE
    end = max([duration, *(note.offset for note in sounding)])
    meta = [(tick, midi_bytes.set_tempo(tempo)) for tick, tempo in ticks_of.tempi]
    meta += [(tick, midi_bytes.time_signature(upper, lower)) for tick, upper, lower in ticks_of.signatures]
    meta.append((0, _key_signature(arranged.key)))
    if n_samples is not None:
        meta.append((0, midi_bytes.text(describe_length(n_samples, PIANO_SAMPLE_RATE))))
    tracks = [midi_bytes.write_track(sorted(meta, key=lambda item: item[0]), 0)]
    hands = [("HummingFace", arranged.piano_notes), ("left hand", arranged.accompaniment)]
    for channel, (name, notes) in enumerate(hands):
        if notes or channel == 0:
            timed = [*_note_events(notes, ticks_of, channel), *_pedal_events(pedals, ticks_of, channel)]
            timed += _bend_events(bends, ticks_of, channel) if channel == 0 and bends else []
            start = [(0, midi_bytes.track_name(name)), (0, midi_bytes.program_change(channel, 0))]
            events = [(tick, message) for tick, _, message in sorted(timed, key=lambda item: item[:2])]
            tracks.append(midi_bytes.write_track([*start, *events], ticks_of.to_tick(end)))
    for part, channel in zip(arranged.band, channels(arranged.band, first=2), strict=True):
        tracks.append(_write_part(part, channel, ticks_of, ticks_of.to_tick(end)))
    content = midi_bytes.join_tracks(tracks, TICKS)
    if isinstance(path, str | Path):
        Path(path).write_bytes(content)
    else:
        path.write(content)


def _write_part(part: Part, channel: int, ticks_of: TempoMap, end: int) -> bytes:
    """Write the track of an instrument of the band."""
    start = [(0, midi_bytes.track_name(part.name)), (0, midi_bytes.program_change(channel, part.program))]
    events = sorted(_note_events(part.notes, ticks_of, channel), key=lambda item: item[:2])
    return midi_bytes.write_track([*start, *((tick, message) for tick, _, message in events)], end)


def _key_signature(key: Key) -> bytes:
    tonic, mode = key.name.split()
    return midi_bytes.key_signature(tonic, is_minor=mode == "minor")


def _note_events(notes: Sequence[Note], ticks_of: TempoMap, channel: int) -> list[tuple[int, int, bytes]]:
    """Give the note messages of a hand with their ticks and their place among the events of a tick."""
    timed: list[tuple[int, int, bytes]] = []
    for note in notes:
        key = fold_to_keyboard(math.floor(note.pitch + 0.5))
        start = ticks_of.to_tick(note.onset)
        stop = max(start + 1, ticks_of.to_tick(note.offset))
        timed.append((start, NOTE_ON, midi_bytes.note_on(channel, key, max(1, note.velocity))))
        timed.append((stop, NOTE_OFF, midi_bytes.note_off(channel, key)))
    return timed


def _pedal_events(pedals: Sequence[Pedal], ticks_of: TempoMap, channel: int) -> list[tuple[int, int, bytes]]:
    """Give the sustain pedal messages as :func:`_note_events` does."""
    return [
        (ticks_of.to_tick(time), PEDAL, midi_bytes.control_change(channel, 64, value))
        for pedal in pedals
        for time, value in ((pedal.down, 127), (pedal.up, 0))
    ]


def _bend_events(bends: Sequence[tuple[float, int]], ticks_of: TempoMap, channel: int) -> list[tuple[int, int, bytes]]:
    """Give the messages that set the range of bends, registered parameter 0, and the bends."""
    setting = [(101, 0), (100, 0), (6, BEND_RANGE), (38, 0), (101, 127), (100, 127)]  # the last two end the setting
    timed = [(0, BEND, midi_bytes.control_change(channel, control, value)) for control, value in setting]
    return timed + [(ticks_of.to_tick(time), BEND, midi_bytes.pitch_wheel(channel, value)) for time, value in bends]
