"""Tempo, beat and metre estimation for unaccompanied singing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hf_model.config import check_choice, check_range
from hf_model.music.beat_tracking import Grids, fit_beats, follow
from hf_model.music.fitted import load_fitted
from hf_model.music.meter import ESTIMATED, METERS, Meter
from hf_model.notes.note import Note

SLOWEST, FASTEST = 30.0, 300.0
"""Beats per minute: range of the tempo that a user may set."""

MIN_ONSETS = 5
"""With fewer onsets no tempo is estimated."""

MIN_TEMPO, MAX_TEMPO = 45.0, 200.0
"""Beats per minute: range of the estimates."""

TEMPO_STEP = 0.01
N_PHASES = 6
MIN_BEAT = 0.1
"""Seconds; if beats become shorter, tracking has failed and a constant tempo is used."""

OCTAVE_WEIGHT = 0.3
"""Weight of the rhythm against the prior in the choice between a tempo, its half and its double."""


@dataclass(frozen=True)
class Tempo:
    """Tempo, beats and metre of a recording.

    Attributes
    ----------
    bpm : float
        Beats per minute (quarters; dotted quarters in 6/8): the median over the recording.
    confidence : float
        0-1: probability that the tempo, its half or its double is right; 1 for a tempo that the user has set.
    beats : tuple of float
        Seconds, increasing, at least two: from at or before the first onset to the end of the recording.
    downbeat : int
        Index in ``beats`` of the first beat of the first complete bar; the beats before it are the pick-up.
    meter : (int, int)
        Time signature, for instance (4, 4) or (6, 8).
    meter_confidence : float
        0-1.
    """

    bpm: float
    confidence: float
    beats: tuple[float, ...]
    downbeat: int = 0
    meter: tuple[int, int] = (4, 4)
    meter_confidence: float = 0.0

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

    Parameters
    ----------
    notes : sequence of Note
        One voice, as performed.
    duration : float, optional
        Length of the recording in seconds: beats go on to its end; by default to the last offset.
    bpm : float, optional
        Beats per minute if known, 30 to 300; then only the phase of the beats is estimated.
    meter : {"2/4", "3/4", "4/4", "6/8"}, optional
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
    candidates = [METERS[name] for name in ((meter,) if meter else ESTIMATED)]
    best = _find_reading(onsets, candidates, bpm)
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
    )


@dataclass(frozen=True, eq=False)
class _Reading:
    """An interpretation of the onsets: the step of each (step 0 begins a bar), the metre, beats per minute."""

    steps: NDArray[np.int64]
    meter: Meter
    bpm: float
    confidence: float
    meter_confidence: float


def _find_reading(onsets: NDArray[np.float64], meters: Sequence[Meter], bpm: float | None) -> _Reading:
    """Score all tempi and metres; then choose between the best tempo, its half and its double."""
    if bpm is None:
        # All metres share the grids: a step is a sixteenth in one and an eighth in another.
        shortest, longest = 60.0 / (MAX_TEMPO * 4), 60.0 / (MIN_TEMPO * 4)
        periods = shortest * np.exp(np.arange(0.0, np.log(longest / shortest), TEMPO_STEP))
    else:
        periods = np.array(sorted({60.0 / bpm / meter.steps_per_beat for meter in meters}))
    grids = follow(onsets, periods, N_PHASES, constant=bpm is not None)
    tempi = [60.0 / (grids.periods * meter.steps_per_beat) for meter in meters]
    scores = []
    for meter, tempo in zip(meters, tempi, strict=True):
        score = meter.of_counts(grids.steps) + grids.fit + meter.log_prior + _tempo_prior(tempo, 0.36)
        if bpm is not None:
            score = np.where(np.abs(np.log(tempo / bpm)) < 1e-6, score, -np.inf)
        scores.append(score)
    chosen = int(np.argmax([score.max() for score in scores]))
    tempo = tempi[chosen]
    grid = int(np.argmax(scores[chosen].max(axis=0)))
    confidence = _confidence(scores, tempi, float(tempo[grid]), len(onsets))
    alike = [meter for meter in meters if meter.steps_per_beat == meters[chosen].steps_per_beat]
    ratios = np.log(tempo / tempo[grid])
    speeds = np.log([0.5, 1.0, 2.0] if bpm is None else [1.0])
    near = np.flatnonzero(np.min(np.abs(ratios[:, None] - speeds), axis=1) < 2 * TEMPO_STEP)
    return _choose_bar(alike, grids, tempo, near, confidence)


def _choose_bar(
    meters: Sequence[Meter], grids: Grids, tempo: NDArray[np.float64], near: NDArray[np.int64], confidence: float
) -> _Reading:
    """Choose the metre, the bar line, and between the tempo, its half and its double."""
    fits = [meter.of_transitions(grids.steps[:, near]) + grids.fit[near] + meter.log_prior for meter in meters]
    best = np.max([fit.max(axis=0) for fit in fits], axis=0)  # (grid,)
    column = int(np.argmax(OCTAVE_WEIGHT * best + _tempo_prior(tempo[near], 0.15)))
    tops = np.array([float(fit[:, column].max()) for fit in fits])  # (meter,)
    chosen = int(np.argmax(tops))
    shift, grid = int(np.argmax(fits[chosen][:, column])), int(near[column])
    meter_confidence = float(1.0 / np.exp(tops - tops[chosen]).sum())
    return _Reading(grids.steps[:, grid] + shift, meters[chosen], float(tempo[grid]), confidence, meter_confidence)


def _tempo_prior(tempo: NDArray[np.float64], width: float) -> NDArray[np.float64]:
    """Log-prior of tempi (beats per minute): normal around the median, with a deviation of ``width`` octaves."""
    median: float = load_fitted("tempo")["median_bpm"]
    return np.asarray(-0.5 * (np.log2(tempo / median) / width) ** 2)


def _confidence(
    scores: Sequence[NDArray[np.float64]], tempi: Sequence[NDArray[np.float64]], bpm: float, n_notes: int
) -> float:
    """Compute the confidence from the lead over the best tempo at no octave, and the log-likelihood per note."""
    best = max(float(score.max()) for score in scores)
    rivals = [-np.inf]
    for score, tempo in zip(scores, tempi, strict=True):
        octaves = np.log2(tempo / bpm)
        other = np.abs(octaves - np.rint(octaves)) > 0.06  # 4 %
        rivals.append(float(score[:, other].max(initial=-np.inf)))
    lead = min(best - max(rivals), 100.0)
    constant, lead_weight, likelihood_weight = load_fitted("tempo")["confidence_weights"]
    odds = constant + lead_weight * np.log1p(lead) + likelihood_weight * best / n_notes
    return float(1.0 / (1.0 + np.exp(-odds)))


def _constant_beats(onsets: NDArray[np.float64], reading: _Reading, beat: float) -> tuple[NDArray[np.float64], int]:
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
