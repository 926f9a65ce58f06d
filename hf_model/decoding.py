"""Posteriors to notes: the best division of a recording into notes and silences, by dynamic programming."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hf_model.confidence import Clues, chance
from hf_model.config import check_range
from hf_model.notes import Note

Float = NDArray[np.float64]

ONSET_REACH = 0.055
OFFSET_REACH = 0.08
"""Seconds within which a border counts as in the right place."""

_TINY = 1e-6


@dataclass(frozen=True)
class DecoderConfig:
    """What a division of the recording is worth, in nats; fitted on validation recordings, never on a test set.

    Attributes
    ----------
    onset_weight, offset_weight, voicing_weight, pitch_weight : float
        Weights of the four posteriors.
    note_cost : float
        Cost of every note: what an onset and an offset must earn to be one.
    missed_onset_weight : float
        Cost of a likely onset inside a note, by its log odds.
    min_duration : float
        Seconds; shorter notes are not considered.
    max_duration : float
        Seconds; a longer tone is divided where a border may be.
    candidate : float
        Probability from which a local maximum may be a border.
    confidence : tuple of float, length 5
        Weights of what was seen of a note; fitted on recordings held out (:mod:`hf_model.confidence`).
    """

    onset_weight: float = 1.5
    offset_weight: float = 1.2
    voicing_weight: float = 0.2
    pitch_weight: float = 0.2
    note_cost: float = 2.5
    missed_onset_weight: float = 0.5
    min_duration: float = 0.06
    max_duration: float = 12.0
    candidate: float = 0.06
    confidence: tuple[float, ...] = (0.0, 0.5, 0.5, 0.5, 0.0)

    def __post_init__(self) -> None:
        """Refuse impossible durations and probabilities."""
        check_range("min_duration", self.min_duration, 0.01, 1.0)
        check_range("max_duration", self.max_duration, self.min_duration, 60.0)
        check_range("candidate", self.candidate, 0.001, 0.9)
        check_range("the length of confidence", len(self.confidence), 5, 5)


class PitchAxis(NamedTuple):
    """The pitch axis of the posteriors: MIDI number of the first bin and semitones a bin."""

    lowest: float
    step: float


def decode(
    onset: NDArray[np.float32],
    offset: NDArray[np.float32],
    voicing: NDArray[np.float32],
    pitch: NDArray[np.float32],
    axis: PitchAxis,
    frame_rate: float,
    config: DecoderConfig | None = None,
) -> list[Note]:
    """Find the notes.

    Parameters
    ----------
    onset, offset, voicing : ndarray, shape (frame,)
        Probabilities.
    pitch : ndarray, shape (frame, pitch_bin)
        Probabilities; every frame sums to 1.
    axis : PitchAxis
        What the pitch bins mean.
    frame_rate : float
        Frames a second.

    Returns
    -------
    list of Note
        Sorted, without overlaps; pitch as sung.
    """
    return [note for note, _ in decode_with_clues(onset, offset, voicing, pitch, axis, frame_rate, config)]


def decode_with_clues(
    onset: NDArray[np.float32],
    offset: NDArray[np.float32],
    voicing: NDArray[np.float32],
    pitch: NDArray[np.float32],
    axis: PitchAxis,
    frame_rate: float,
    config: DecoderConfig | None = None,
) -> list[tuple[Note, Clues]]:
    """Find the notes, each with what its confidence was weighed from; see :func:`decode`."""
    config = config or DecoderConfig()
    if len(onset) < 2:
        return []
    borders = _borders(onset, offset, voicing, config.candidate)
    evidence = _Evidence(onset, offset, voicing, pitch, axis, borders, config)
    shortest, longest = config.min_duration * frame_rate, config.max_duration * frame_rate
    best = np.full(len(borders), -np.inf)
    best[0] = 0.0
    came_from = np.zeros(len(borders), dtype=np.int64)
    is_note = np.zeros(len(borders), dtype=bool)
    for end in range(1, len(borders)):
        first = int(np.searchsorted(borders, borders[end] - longest))
        starts = np.arange(min(first, end - 1), end)
        silence = best[starts] + evidence.silence(starts, end)
        lengths = borders[end] - borders[starts]
        note = best[starts] + evidence.note(starts, end)
        note[lengths < shortest] = -np.inf
        quiet, loud = int(np.argmax(silence)), int(np.argmax(note))
        is_note[end] = note[loud] > silence[quiet]
        chosen = loud if is_note[end] else quiet
        best[end] = max(note[loud], silence[quiet])
        came_from[end] = starts[chosen]
    spans = []
    end = len(borders) - 1
    while end > 0:
        if is_note[end]:
            spans.append((int(came_from[end]), end))
        end = int(came_from[end])
    return evidence.to_notes(spans[::-1], frame_rate)


def _borders(
    onset: NDArray[np.float32], offset: NDArray[np.float32], voicing: NDArray[np.float32], least: float
) -> NDArray[np.int64]:
    """Frames where a note may start or end: local maxima of onset and offset, crossings of voicing, both ends."""
    n_frames = len(onset)
    found = [np.array([0, n_frames - 1])]
    for curve in (onset, offset):
        padded = np.pad(curve, 1, constant_values=-1.0)
        peak = (curve >= padded[:-2]) & (curve > padded[2:]) & (curve >= least)
        found.append(np.flatnonzero(peak))
    found.append(np.flatnonzero(np.diff((voicing > 0.5).astype(np.int8))) + 1)
    return np.unique(np.concatenate(found)).astype(np.int64)


def _log_odds(probability: Float) -> Float:
    clipped = np.clip(probability, _TINY, 1 - _TINY)
    return np.asarray(np.log(clipped) - np.log1p(-clipped))


class _Evidence:
    """Scores of spans between borders, from cumulative sums."""

    def __init__(
        self,
        onset: NDArray[np.float32],
        offset: NDArray[np.float32],
        voicing: NDArray[np.float32],
        pitch: NDArray[np.float32],
        axis: PitchAxis,
        borders: NDArray[np.int64],
        config: DecoderConfig,
    ) -> None:
        self.borders, self.axis, self.config = borders, axis, config
        self.onset, self.offset, self.voicing, self.pitch = onset, offset, voicing, pitch
        self.heard = _nearby(onset, 2)
        self.onset_odds = _log_odds(self.heard[borders])
        self.offset_odds = _log_odds(_nearby(offset, 2)[borders])
        own_odds = _log_odds(onset[borders].astype(np.float64))
        self.missed = _cumulative(np.maximum(own_odds, 0.0))
        voiced = np.clip(voicing.astype(np.float64), 0.002, 0.998)
        self.voiced = _cumulative(np.log(voiced))[borders]
        self.unvoiced = _cumulative(np.log1p(-voiced))[borders]
        # Mass within half a semitone of each quarter-semitone centre: how well one pitch explains a span.
        half = max(1, round(0.5 / axis.step))
        step = max(1, round(0.25 / axis.step))
        centres = np.arange(half, pitch.shape[1] - half, step)
        self.centres = centres
        near = np.zeros((len(pitch), len(centres)), dtype=np.float32)
        for first in range(2 * half + 1):  # a few sums, which are faster than differences of a cumulative one
            near += pitch[:, first::step][:, : len(centres)]
        np.clip(near, np.float32(0.02), np.float32(1.0), out=near)
        weighted = np.log(near, out=near) * voiced[:, None].astype(np.float32)
        between = np.add.reduceat(weighted[: borders[-1]], borders[:-1], axis=0)
        self.agreement = _cumulative(between.astype(np.float64)).astype(np.float32)

    def silence(self, starts: NDArray[np.int64], end: int) -> Float:
        quiet = self.config.voicing_weight * (self.unvoiced[end] - self.unvoiced[starts])
        return np.asarray(quiet)

    def note(self, starts: NDArray[np.int64], end: int) -> Float:
        config = self.config
        score = config.onset_weight * self.onset_odds[starts] + config.offset_weight * self.offset_odds[end]
        score = score + config.voicing_weight * (self.voiced[end] - self.voiced[starts])
        score += config.pitch_weight * (self.agreement[end] - self.agreement[starts]).max(axis=1)
        score -= config.missed_onset_weight * (self.missed[end] - self.missed[starts + 1])
        return np.asarray(score - config.note_cost)

    def to_notes(self, spans: Sequence[tuple[int, int]], frame_rate: float) -> list[tuple[Note, Clues]]:
        """Place the borders of spans, to parts of a frame; a note ends where the next one begins, at the latest."""
        notes: list[tuple[Note, Clues]] = []
        chosen = self.borders[np.asarray(spans, dtype=np.int64).reshape(-1, 2)]
        begins = _placed(self.onset, chosen[:, 0], ONSET_REACH * frame_rate)
        stops = _placed(self.offset, chosen[:, 1], OFFSET_REACH * frame_rate)
        limit = len(self.onset) - 1.0
        before = [-1, *(int(first) for first in chosen[:, 0])]
        for number in reversed(range(len(spans))):
            start, end = spans[number]
            first, last = int(self.borders[start]), int(self.borders[end])
            begin = min(max(float(begins[number]), before[number] + 1.0), last - 1.0, limit - 1.0)
            stop = min(max(float(stops[number]), begin + 1.0), limit)
            limit = begin
            pitch, agreement = self._pitch_of(start, end)
            heard, voiced = float(self.heard[first]), float(self.voicing[first:last].mean())
            begin, stop, pitch = begin / frame_rate, stop / frame_rate, float(np.clip(pitch, 0.0, 127.0))
            clues = Clues(heard, voiced, agreement, stop - begin)
            notes.append((Note(begin, stop, pitch, confidence=chance(clues, self.config.confidence)), clues))
        return notes[::-1]

    def _pitch_of(self, start: int, end: int) -> tuple[float, float]:
        """Trimmed mean of the frames' pitch near the span's best pitch, and the share of mass that lies there."""
        axis = self.axis
        first, last = int(self.borders[start]), int(self.borders[end])
        centre = int(self.centres[np.argmax(self.agreement[end] - self.agreement[start])])
        reach = round(1.0 / axis.step)
        low, high = max(0, centre - reach), min(self.pitch.shape[1], centre + reach + 1)
        margin = (last - first) // 5
        inside = slice(first + margin, max(last - margin, first + margin + 1))
        near = self.pitch[inside, low:high].astype(np.float64)
        mass = near.sum(axis=1)
        bins = (near @ np.arange(low, high)) / np.maximum(mass, _TINY)
        weight = mass * self.voicing[inside]
        if weight.sum() < _TINY:
            return axis.lowest + axis.step * centre, 0.0
        order = np.argsort(bins)
        share = np.cumsum(weight[order]) / weight.sum()
        kept = order[(share >= 0.2) & (share <= 0.85)]
        if len(kept) == 0:
            kept = order
        mean = float(np.average(bins[kept], weights=np.maximum(weight[kept], _TINY)))
        return axis.lowest + axis.step * mean, float(mass.mean())


def _cumulative(values: NDArray[Any]) -> NDArray[Any]:
    """Sum up over the first axis, from 0: entry ``i`` sums the first ``i`` values."""
    return np.cumsum(np.pad(values, [(1, 0), *[(0, 0)] * (values.ndim - 1)]), axis=0)


def _nearby(curve: NDArray[np.float32], reach: int) -> Float:
    """Maximum within ``reach`` frames."""
    padded = np.pad(curve.astype(np.float64), reach)
    return np.asarray(np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).max(axis=1))


def _placed(curve: NDArray[np.float32], frames: NDArray[np.int64], reach: float) -> Float:
    """Move borders to where they are most probably right: where most of the curve lies within ``reach`` frames.

    Of two peaks that are both likely, as at the start and the end of a sonorant consonant, no choice is made if one
    place is near enough to both. What lies nearer to another of the borders counts for that one alone.

    Parameters
    ----------
    curve : ndarray, shape (frame,)
        Probability of a border.
    frames : ndarray, shape (border,)
        Rising.
    reach : float
        Frames.

    Returns
    -------
    ndarray, shape (border,)
        Frames, and parts of them.
    """
    span = int(reach)
    middles = (frames[1:] + frames[:-1]) / 2
    edges = np.concatenate([[0.0], middles, [len(curve) - 1.0]])
    distance = np.abs(np.arange(-2 * span, 2 * span + 1)[:, None] - np.arange(-span, span + 1)[None, :])
    near = np.clip(1 - (distance / reach) ** 4, 0, None)  # (where it may lie, to where it may move)
    placed = frames.astype(np.float64)
    for number, frame in enumerate(frames):
        around = np.arange(frame - 2 * span, frame + 2 * span + 1)
        own = (around >= edges[number]) & (around <= edges[number + 1])
        weight = np.where(own, curve[np.clip(around, 0, len(curve) - 1)], 0.0)
        if weight.max() < 0.1:
            continue
        mass = weight @ near
        best = int(np.argmax(mass))
        placed[number] += best - span
        if 0 < best < 2 * span:
            left, middle, right = mass[best - 1 : best + 2]
            placed[number] += 0.5 * (left - right) / min(left - 2 * middle + right, -_TINY)
    return placed
