"""Posteriors to notes: the best division of a recording into notes and silences, by dynamic programming."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hf_model.config import check_range
from hf_model.notes.note import Note
from hf_model.transcriber.boundaries import ONSET_REACH, Float, find_borders, hold, nearby, place_borders, place_offsets
from hf_model.transcriber.confidence import Clues, chance

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
        Weights of what was seen of a note; fitted on recordings held out (:mod:`hf_model.transcriber.confidence`).
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
    config = config or DecoderConfig()
    return Evidence(onset, offset, voicing, pitch, axis, frame_rate, config).decode(config)


class Evidence:
    """What the posteriors of a recording say of every span that may be a note, whatever it is worth.

    Parameters
    ----------
    onset, offset, voicing, pitch, axis, frame_rate
        As for :func:`decode`.
    config : DecoderConfig
        Says which spans are considered: ``candidate``, ``min_duration`` and ``max_duration``.
    """

    def __init__(
        self,
        onset: NDArray[np.float32],
        offset: NDArray[np.float32],
        voicing: NDArray[np.float32],
        pitch: NDArray[np.float32],
        axis: PitchAxis,
        frame_rate: float,
        config: DecoderConfig,
    ) -> None:
        self.onset, self.offset, self.voicing, self.pitch = onset, offset, voicing, pitch
        self.axis, self.frame_rate = axis, frame_rate
        self.considered = (config.candidate, config.min_duration, config.max_duration)
        self.heard = nearby(onset, 2)
        self.borders = find_borders(onset, offset, voicing, config.candidate)
        self._pitches: dict[tuple[int, int], tuple[float, float]] = {}
        if len(onset) > 1:
            self._weigh(config)

    def _weigh(self, config: DecoderConfig) -> None:
        """Look at every span between two borders that is not too long: all that settings give a weight to."""
        borders, frame_rate = self.borders, self.frame_rate
        ends = np.arange(1, len(borders))
        firsts = np.searchsorted(borders, borders[1:] - config.max_duration * frame_rate)
        firsts = np.minimum(firsts, ends - 1)
        self.begins = _cumulative(ends - firsts)  # of each end's spans, from the second border on
        self.starts = np.concatenate([np.arange(first, end) for first, end in zip(firsts, ends, strict=True)])
        stops = np.repeat(ends, ends - firsts)

        voiced = np.clip(self.voicing.astype(np.float64), 0.002, 0.998)
        sung = _cumulative(np.log(voiced))[borders]
        quiet = _cumulative(np.log1p(-voiced))[borders]
        missed = _cumulative(np.maximum(_log_odds(self.onset[borders].astype(np.float64)), 0.0))
        self.agreement, self.centres = self._agreement(voiced)
        agreed = [
            (self.agreement[end] - self.agreement[first:end]).max(axis=1)
            for first, end in zip(firsts, ends, strict=True)
        ]
        self.silence = quiet[stops] - quiet[self.starts]
        self.terms = np.stack(
            [
                _log_odds(self.heard[borders])[self.starts],
                _log_odds(nearby(self.offset, 2)[borders])[stops],
                sung[stops] - sung[self.starts],
                np.concatenate(agreed),
                missed[self.starts + 1] - missed[stops],
            ]
        )
        self.too_short = borders[stops] - borders[self.starts] < config.min_duration * frame_rate

    def _agreement(self, voiced: Float) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Sum up, border by border, how well each pitch explains the frames: mass within half a semitone of it.

        Returns
        -------
        sums : ndarray, shape (border, centre)
        centres : ndarray, shape (centre,)
            Pitch bins, a quarter of a semitone apart.
        """
        half, step = max(1, round(0.5 / self.axis.step)), max(1, round(0.25 / self.axis.step))
        centres = np.arange(half, self.pitch.shape[1] - half, step)
        near = np.zeros((len(self.pitch), len(centres)), dtype=np.float32)
        columns = [np.ascontiguousarray(self.pitch[:, first::step]) for first in range(step)]
        for first in range(2 * half + 1):  # a few sums, which are faster than differences of a cumulative one
            near += columns[first % step][:, first // step :][:, : len(centres)]
        np.clip(near, np.float32(0.02), np.float32(1.0), out=near)
        weighted = np.log(near, out=near)
        weighted *= voiced[:, None].astype(np.float32)
        between = np.add.reduceat(weighted[: self.borders[-1]], self.borders[:-1], axis=0)
        return _cumulative(between.astype(np.float64)).astype(np.float32), centres

    def decode(self, config: DecoderConfig) -> list[Note]:
        """Find the notes under some settings; see :func:`decode`."""
        return [note for note, _ in self.decode_with_clues(config)]

    def decode_with_clues(self, config: DecoderConfig) -> list[tuple[Note, Clues]]:
        """Find the notes, each with what its confidence was weighed from.

        Raises
        ------
        ValueError
            If the settings consider other spans than those that were looked at.
        """
        if self.considered != (config.candidate, config.min_duration, config.max_duration):
            msg = "candidate, min_duration and max_duration decide which spans are looked at: they cannot change later"
            raise ValueError(msg)
        return self._to_notes(self._divide(config), config) if len(self.onset) > 1 else []

    def _divide(self, config: DecoderConfig) -> list[tuple[int, int]]:
        """Find the best division: the borders, by number, between which there are notes."""
        weights = [
            config.onset_weight,
            config.offset_weight,
            config.voicing_weight,
            config.pitch_weight,
            config.missed_onset_weight,
        ]
        as_note = np.where(self.too_short, -np.inf, np.asarray(weights) @ self.terms - config.note_cost)
        as_silence = config.voicing_weight * self.silence
        best = np.zeros(len(self.borders))
        is_note = as_note > as_silence
        worth = np.maximum(as_note, as_silence)
        chosen = np.zeros(len(best), dtype=np.int64)
        for end in range(1, len(best)):
            spans = slice(self.begins[end - 1], self.begins[end])
            total = best[self.starts[spans]] + worth[spans]
            chosen[end] = spans.start + int(np.argmax(total))
            best[end] = total[chosen[end] - spans.start]
        came_from = self.starts[chosen]
        spans_of_notes = []
        end = len(best) - 1
        while end > 0:
            if is_note[chosen[end]]:
                spans_of_notes.append((int(came_from[end]), end))
            end = int(came_from[end])
        return spans_of_notes[::-1]

    def _to_notes(self, spans: list[tuple[int, int]], config: DecoderConfig) -> list[tuple[Note, Clues]]:
        """Place the borders of spans, to parts of a frame; a note ends where the next one begins, at the latest."""
        frame_rate = self.frame_rate
        notes: list[tuple[Note, Clues]] = []
        chosen = self.borders[np.asarray(spans, dtype=np.int64).reshape(-1, 2)]
        begins = place_borders(self.onset, chosen[:, 0], ONSET_REACH * frame_rate)
        stops = place_offsets(self.offset, chosen[:, 1], frame_rate)
        limit, following = len(self.onset) - 1.0, np.inf
        before = [-1, *(int(first) for first in chosen[:, 0])]
        for number in reversed(range(len(spans))):
            start, end = spans[number]
            first, last = int(self.borders[start]), int(self.borders[end])
            begin = min(max(float(begins[number]), before[number] + 1.0), last - 1.0, limit - 1.0)
            stop = min(max(float(stops[number]), begin + 1.0), limit)
            stop = hold(begin, stop, following, frame_rate)
            limit = following = begin
            if spans[number] not in self._pitches:
                self._pitches[start, end] = self._pitch_of(start, end)
            pitch, agreement = self._pitches[start, end]
            heard, voiced = float(self.heard[first]), float(self.voicing[first:last].mean())
            begin, stop, pitch = begin / frame_rate, stop / frame_rate, min(max(pitch, 0.0), 127.0)
            clues = Clues(heard, voiced, agreement, stop - begin)
            notes.append((Note(begin, stop, pitch, confidence=chance(clues, config.confidence)), clues))
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
        weight = np.maximum(weight[kept], _TINY)
        mean = float(bins[kept] @ weight / weight.sum())
        return axis.lowest + axis.step * mean, float(mass.mean())


def _log_odds(probability: Float) -> Float:
    clipped = np.clip(probability, _TINY, 1 - _TINY)
    return np.asarray(np.log(clipped) - np.log1p(-clipped))


def _cumulative(values: NDArray[Any]) -> NDArray[Any]:
    """Sum up over the first axis, from 0: entry ``i`` sums the first ``i`` values."""
    return np.cumsum(np.pad(values, [(1, 0), *[(0, 0)] * (values.ndim - 1)]), axis=0)
