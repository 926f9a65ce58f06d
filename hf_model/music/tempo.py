"""Tempo, beat and metre estimation for unaccompanied singing."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hf_model.config import check_choice, check_range
from hf_model.music.beat_tracking import fit_beats, follow
from hf_model.music.fitted import load_fitted, logistic
from hf_model.music.meter import (
    ESTIMATED,
    HALVES,
    METERS,
    Meter,
    default_meter_model,
    list_readings,
    score_readings,
)
from hf_model.notes.note import Note
from hf_model.notes.pitch import estimate_tuning

SLOWEST, FASTEST = 30.0, 300.0
"""Beats per minute: range of the tempo that a user may set."""

MIN_ONSETS = 5
"""With fewer onsets no tempo is estimated."""

MIN_TEMPO, MAX_TEMPO = 45.0, 200.0
"""Beats per minute: range of the estimates."""

TEMPO_STEP = 0.015
N_PHASES = 5
MIN_BEAT = 0.1
"""Seconds; if beats become shorter, tracking has failed and a constant tempo is used."""

SAME_TEMPO = 0.04
"""Share by which a tempo may differ from another that counts as the same."""


OTHER_METER = 0.15
"""Probability from which another metre is named."""

FREE_TEMPO = 60.0
"""Beats per minute of plain seconds, where there is no steady beat."""


@dataclass(frozen=True)
class Tempo:
    """Tempo, beats and metre of a recording.

    Attributes
    ----------
    bpm : float
        Beats per minute (quarters; dotted quarters in 6/8): the median over the recording.
    confidence : float
        0-1: probability that the tempo is right; 1 for a tempo that the user has set.
    beats : tuple of float
        Seconds, increasing, at least two: from at or before the first onset to the end of the recording.
    downbeat : int
        Index in ``beats`` of the first beat of the first complete bar; the beats before it are the pick-up.
    meter : (int, int)
        Time signature, for instance (4, 4) or (6, 8).
    meter_confidence : float
        0-1: probability that the metre's family (duple, triple, compound) is right; 1 if the user has set it.
    other_meters : tuple of str
        Metres that may be meant as well, the most probable first.
    is_free : bool
        Whether the onsets follow no steady beat: then ``beats`` are plain seconds.
    """

    bpm: float
    confidence: float
    beats: tuple[float, ...]
    downbeat: int = 0
    meter: tuple[int, int] = (4, 4)
    meter_confidence: float = 0.0
    other_meters: tuple[str, ...] = ()
    is_free: bool = False

    @property
    def is_compound(self) -> bool:
        """Whether a beat has three parts (6/8)."""
        return self.meter[1] == 8

    @property
    def beats_per_bar(self) -> int:
        """Beats in a bar: 2 in 6/8."""
        return self.meter[0] // 3 if self.is_compound else self.meter[0]

    @property
    def meter_name(self) -> str:
        """The time signature as text, "4/4"."""
        return f"{self.meter[0]}/{self.meter[1]}"

    def to_beats(self, seconds: ArrayLike) -> NDArray[np.float64]:
        """Convert seconds to beats: 0 at ``beats[0]``, interpolated between beats, extrapolated outside."""
        return _extended(np.asarray(seconds, dtype=np.float64), np.array(self.beats), self._numbers)

    def to_seconds(self, positions: ArrayLike) -> NDArray[np.float64]:
        """Convert positions in beats to seconds: the inverse of :meth:`to_beats`."""
        return _extended(np.asarray(positions, dtype=np.float64), self._numbers, np.array(self.beats))

    def with_settings(self, bpm: float | None, meter: str | None) -> Tempo | None:
        """Adapt to a tempo and a metre that a user has set.

        Returns
        -------
        Tempo or None
            With twice or half as many beats, if that gives the tempo; None if the beats contradict the settings.
        """
        adapted: Tempo | None = self
        if bpm is not None:
            adapted = next((found for found in self._at_other_speeds() if abs(found.bpm / bpm - 1) <= SAME_TEMPO), None)
        if adapted is None:
            return None
        if meter is not None and METERS[meter].signature != adapted.meter:
            if METERS[meter].is_compound != adapted.is_compound:
                return None
            adapted = replace(adapted, meter=METERS[meter].signature, meter_confidence=1.0)
            adapted = replace(adapted, downbeat=adapted.downbeat % adapted.beats_per_bar)
        return replace(adapted, confidence=1.0) if bpm is not None else adapted

    def with_downbeat(self, seconds: float) -> Tempo:
        """Move the bar lines, and the beats if necessary, so that a bar begins at this time."""
        place = float(self.to_beats(seconds))
        nearest = round(place)
        late = place - nearest
        numbers = np.arange(-1 if late > 0 else 0, len(self.beats)) + late
        beats = self.to_seconds(numbers) if abs(late) > 1e-6 else np.array(self.beats)
        downbeat = (nearest + len(beats) - len(self.beats)) % self.beats_per_bar
        return replace(self, beats=tuple(beats.tolist()), downbeat=downbeat)

    def _at_other_speeds(self) -> list[Tempo]:
        """Return these beats, every second one, and twice as many."""
        if self.is_compound:
            return [self]
        numbers, last = self._numbers, len(self.beats) - 1
        half = self.to_seconds(np.arange(self.downbeat % 2, last + 2, 2.0))
        double = self.to_seconds(np.arange(0.0, last + 0.25, 0.5))
        slower = replace(self, bpm=self.bpm / 2, beats=tuple(half.tolist()), downbeat=self.downbeat // 2)
        faster = replace(self, bpm=self.bpm * 2, beats=tuple(double.tolist()), downbeat=self.downbeat * 2)
        faster = replace(faster, downbeat=faster.downbeat % faster.beats_per_bar)
        return [self, slower, faster] if len(numbers) > 2 else [self, faster]

    @property
    def _numbers(self) -> NDArray[np.float64]:
        return np.arange(len(self.beats), dtype=np.float64)


def _extended(x: NDArray[np.float64], xs: NDArray[np.float64], ys: NDArray[np.float64]) -> NDArray[np.float64]:
    """Interpolate, and extrapolate with the first and the last slope."""
    inside = np.interp(x, xs, ys)
    before = ys[0] + (x - xs[0]) * (ys[1] - ys[0]) / (xs[1] - xs[0])
    after = ys[-1] + (x - xs[-1]) * (ys[-1] - ys[-2]) / (xs[-1] - xs[-2])
    return np.asarray(np.where(x < xs[0], before, np.where(x > xs[-1], after, inside)), dtype=np.float64)


def estimate_tempo(
    notes: Sequence[Note], duration: float | None = None, *, bpm: float | None = None, meter: str | None = None
) -> Tempo:
    """Estimate tempo, beats and metre of a melody.

    Onsets that no steady beat explains, as in free rhythm, get plain seconds for beats, unless tempo or metre is given.

    Parameters
    ----------
    notes : sequence of Note
        One voice, as performed.
    duration : float, optional
        Length of the recording in seconds: beats go on to its end; by default to the last offset.
    bpm : float, optional
        Beats per minute if known, 30 to 300; then only the phase of the beats is estimated.
    meter : {"2/4", "3/4", "4/4", "6/8", "9/8", "12/8"}, optional
        Time signature if known.

    Raises
    ------
    ConfigError
        For a tempo or metre outside its range.
    """
    if bpm is not None:
        check_range("tempo", bpm, SLOWEST, FASTEST)
    if meter is not None:
        check_choice("meter", meter, METERS)
    end = max([duration or 0.0, *(note.offset for note in notes)])
    onsets = np.array(sorted(note.onset for note in notes))
    if len(onsets) < MIN_ONSETS:
        return _default_tempo(float(onsets[0]) if len(onsets) else 0.0, end, bpm, METERS[meter or "4/4"])
    best = find_reading(notes, [METERS[name] for name in ((meter,) if meter else ESTIMATED)], bpm)
    if best.is_free and bpm is None and meter is None:
        return replace(_default_tempo(float(onsets[0]), end, FREE_TEMPO, METERS["4/4"]), confidence=0.0, is_free=True)
    beats, first = fit_beats(onsets, best.steps, best.meter.steps_per_beat)
    if bpm is not None or np.any(np.diff(beats) < MIN_BEAT):
        beats, first = _constant_beats(onsets, best, 60.0 / (bpm or best.bpm))
    beats = _extend(beats, end)
    return Tempo(
        float(bpm or 60.0 / np.median(np.diff(beats))),
        1.0 if bpm else best.confidence,
        tuple(beats.tolist()),
        -first % (best.meter.n_places // best.meter.steps_per_beat),
        best.meter.signature,
        1.0 if meter else best.meter_confidence,
        () if meter else best.other_meters,
    )


@dataclass(frozen=True, eq=False)
class Reading:
    """An interpretation of the onsets.

    Attributes
    ----------
    steps : ndarray of int, shape (note,)
        Step of each onset; step 0 begins a bar.
    meter : Meter
    bpm : float
        Beats per minute.
    tempo_share, meter_share : float
        0-1: share of all readings' probability that those with this tempo, and with this metre, have.
    evidence : ndarray, shape (2,)
        Mean log-likelihood of an onset's rhythm and of its timing.
    other_meters : tuple of str
        Metres that may be meant as well.
    """

    steps: NDArray[np.int64]
    meter: Meter
    bpm: float
    tempo_share: float
    meter_share: float
    evidence: NDArray[np.float64]
    other_meters: tuple[str, ...]

    @property
    def confidence(self) -> float:
        """0-1: probability that the tempo is right."""
        return _confidence("tempo", self.tempo_share, self.evidence)

    @property
    def meter_confidence(self) -> float:
        """0-1: probability that the metre's family is right."""
        return _confidence("meter", self.meter_share, self.evidence)

    @property
    def is_free(self) -> bool:
        """Whether the onsets follow no steady beat."""
        return _confidence("steady", 0.5, self.evidence) < 0.5


def find_reading(notes: Sequence[Note], meters: Sequence[Meter], bpm: float | None = None) -> Reading:
    """Score all rhythms, tempi and bar lines, and choose the metre and the tempo with the highest probability.

    Parameters
    ----------
    notes : sequence of Note
        One voice, at least ``MIN_ONSETS`` notes.
    meters : sequence of Meter
        Candidates.
    bpm : float, optional
        Beats per minute if known.
    """
    line = sorted(notes)
    onsets = np.array([note.onset for note in line])
    pitches, durations = np.array([note.pitch for note in line]), np.array([note.duration for note in line])
    pitches -= estimate_tuning(pitches, durations)
    if bpm is None:
        # All metres share the grids: a step is a sixteenth in one and an eighth in another.
        shortest, longest = 60.0 / (MAX_TEMPO * 4), 60.0 / (MIN_TEMPO * 4)
        periods = shortest * np.exp(np.arange(0.0, np.log(longest / shortest), TEMPO_STEP))
    else:
        periods = np.array(sorted({60.0 / bpm / meter.steps_per_beat for meter in meters}))
    grids = follow(onsets, periods, N_PHASES, constant=bpm is not None)
    model = default_meter_model()
    rhythms = model.rhythms_of(meters)
    table = list_readings(grids, N_PHASES, rhythms, pitches, durations)
    scores = score_readings(table, model, rhythms, is_tempo_known=bpm is not None)
    if bpm is not None:
        scores[np.abs(np.log(table.bpm / bpm)) > 1e-6] = -np.inf
    share = np.exp(scores - np.logaddexp.reduce(scores))
    meter_of = np.array([meters.index(rhythm.meter) for rhythm in rhythms])[table.rhythms]
    of_meter = np.bincount(meter_of, share, len(meters)).astype(np.float64)
    chosen = int(of_meter.argmax())
    inside = np.where(meter_of == chosen, share, 0.0)
    tempo = _most_probable_tempo(table.bpm, inside)
    is_near = np.abs(np.log(table.bpm / tempo)) < SAME_TEMPO
    best = int(np.argmax(np.where(is_near, inside, -1.0)))
    steps = grids.steps[:, table.grids[best]] - grids.steps[0, table.grids[best]] + table.places[best]
    evidence = table.features[best, :2] / (len(onsets) - 1)
    return Reading(
        steps,
        meters[chosen],
        float(table.bpm[best]),
        float(share[is_near].sum()),
        float(of_meter[chosen]),
        evidence,
        _others(meters, of_meter),
    )


def _confidence(name: str, share: float, evidence: NDArray[np.float64]) -> float:
    """Compute the probability that an estimate is right."""
    return logistic(load_fitted("tempo")[name], confidence_features(share, evidence))


def confidence_features(share: float, evidence: NDArray[np.float64]) -> list[float]:
    """Give what a confidence depends on: log-odds of the share of the readings, and how well the onsets fit."""
    return [math.log((share + 1e-3) / (1.0 - share + 1e-3)), *map(float, evidence)]


def _others(meters: Sequence[Meter], shares: NDArray[np.float64]) -> tuple[str, ...]:
    """Name the other metres: that with bars of half or twice the length, as probable, and the next likely ones."""
    first, *others = np.argsort(-shares)
    pairs = HALVES | {half: whole for whole, half in HALVES.items()}
    alike = [pairs[meters[first].name]] if meters[first].name in pairs else []
    return (*alike, *(meters[k].name for k in others if shares[k] >= OTHER_METER))


def _most_probable_tempo(bpm: NDArray[np.float64], share: NDArray[np.float64]) -> float:
    """Choose the tempo around which most probability lies."""
    order = np.argsort(bpm)
    logs, total = np.log(bpm[order]), np.concatenate([[0.0], np.cumsum(share[order])])
    near = total[np.searchsorted(logs, logs + SAME_TEMPO / 2)] - total[np.searchsorted(logs, logs - SAME_TEMPO / 2)]
    return float(bpm[order][int(near.argmax())])


def _constant_beats(onsets: NDArray[np.float64], reading: Reading, beat: float) -> tuple[NDArray[np.float64], int]:
    """Place beats of one length, with the phase of the onsets."""
    places = reading.steps / reading.meter.steps_per_beat
    start = float(np.median(onsets - places * beat))
    first = int(np.floor((onsets[0] - start) / beat + 1e-9))
    last = int(np.ceil((onsets[-1] - start) / beat)) + 1
    return np.asarray(start + beat * np.arange(first, last + 1), dtype=np.float64), first


def _extend(beats: NDArray[np.float64], end: float) -> NDArray[np.float64]:
    """Add beats up to the end of the recording, in the tempo of the last ones."""
    beat = float(np.median(np.diff(beats[-5:])))
    missing = max(0, int(np.ceil((end - beats[-1]) / beat)))
    return np.concatenate([beats, beats[-1] + beat * np.arange(1, missing + 1)])


def _default_tempo(start: float, end: float, bpm: float | None, meter: Meter) -> Tempo:
    """Return beats for too few onsets: 120 a minute by default, with a downbeat on the first onset."""
    beat = 60.0 / (bpm or 120.0)
    beats = start + beat * np.arange(2 + max(0, int(np.ceil((end - start) / beat))))
    return Tempo(60.0 / beat, 1.0 if bpm else 0.0, tuple(beats.tolist()), 0, meter.signature, 0.0)
