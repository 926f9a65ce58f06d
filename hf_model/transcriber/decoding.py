"""Posteriors to notes: the best segmentation of a recording into notes and silences, by dynamic programming."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hf_model.config import check_range
from hf_model.notes.note import Note
from hf_model.transcriber.boundaries import (
    ONSET_REACH,
    Float,
    find_boundaries,
    hold,
    nearby,
    place_boundaries,
    place_offsets,
)
from hf_model.transcriber.confidence import ConfidenceFeatures, estimate_confidence
from hf_model.transcriber.pitch_curve import trimmed_mean
from hf_model.transcriber.slurs import find_slurs

UNSEEN_ONSET = 0.8
"""Probability of the onset of a note that sounds as the recording begins: that of an ordinary correct note."""

_TINY = 1e-6


@dataclass(frozen=True)
class DecoderConfig:
    """Weights of the score of a segmentation, in nats; fitted on validation recordings, never on a test set.

    Attributes
    ----------
    onset_weight, offset_weight, voicing_weight, pitch_weight : float
        Weights of the four posteriors.
    note_cost : float
        Cost of every note.
    missed_onset_weight : float
        Weight of the log odds of likely onsets inside a note, as a cost.
    min_duration : float
        Seconds; shorter notes are not considered.
    max_duration : float
        Seconds; a longer tone is divided at a candidate boundary.
    candidate : float
        Probability from which a local maximum is a candidate boundary.
    slur : float
        Probability of an onset and an offset where only the pitch changes (:mod:`hf_model.transcriber.slurs`); 0: none.
    confidence : tuple of float, length 5
        Weights of the confidence, fitted on held-out recordings (:mod:`hf_model.transcriber.confidence`).
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
    slur: float = 0.2
    confidence: tuple[float, ...] = (0.0, 0.5, 0.5, 0.5, 0.0)

    def __post_init__(self) -> None:
        """Check all ranges."""
        check_range("min_duration", self.min_duration, 0.01, 1.0)
        check_range("max_duration", self.max_duration, self.min_duration, 60.0)
        check_range("candidate", self.candidate, 0.001, 0.9)
        check_range("slur", self.slur, 0.0, 0.9)
        check_range("the length of confidence", len(self.confidence), 5, 5)


class PitchAxis(NamedTuple):
    """The pitch axis of the posteriors: MIDI number of the first bin and semitones per bin."""

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
    """Decode posteriors into notes.

    Parameters
    ----------
    onset, offset, voicing : ndarray, shape (frame,)
        Probabilities.
    pitch : ndarray, shape (frame, pitch_bin)
        Probabilities; every frame sums to 1.
    axis : PitchAxis
    frame_rate : float
        Frames a second.

    Returns
    -------
    list of Note
        Sorted, without overlaps; float pitch.
    """
    config = config or DecoderConfig()
    return Evidence(onset, offset, voicing, pitch, axis, frame_rate, config).decode(config)


class Evidence:
    """The terms of the score of every span of a recording that may be a note, independent of their weights.

    Parameters
    ----------
    onset, offset, voicing, pitch, axis, frame_rate
        As for :func:`decode`.
    config : DecoderConfig
        Selects the spans: ``candidate``, ``slur``, ``min_duration`` and ``max_duration``.
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
        slurs, self.slur = np.zeros(0, dtype=np.int64), np.zeros_like(onset)
        if config.slur:
            pitch, slurs = find_slurs(onset, voicing, pitch, axis.lowest, axis.step)
            self.slur[slurs] = config.slur
        self.onset, self.offset, self.voicing, self.pitch = onset, offset, voicing, pitch
        self.axis, self.frame_rate, self.span_settings = axis, frame_rate, _span_settings(config)
        self.near_onset = nearby(onset, 2)
        self.boundaries = np.union1d(find_boundaries(onset, offset, voicing, config.candidate), slurs)
        self._pitches: dict[tuple[int, int], tuple[float, float]] = {}
        if len(onset) > 1:
            self._compute_terms(config)

    def _compute_terms(self, config: DecoderConfig) -> None:
        """Compute the terms of every span between two candidates that is not too long."""
        boundaries, frame_rate = self.boundaries, self.frame_rate
        ends = np.arange(1, len(boundaries))
        firsts = np.searchsorted(boundaries, boundaries[1:] - config.max_duration * frame_rate)
        firsts = np.minimum(firsts, ends - 1)
        self.begins = _cumulative(ends - firsts)  # first span of each end, from the second boundary on
        self.starts = np.concatenate([np.arange(first, end) for first, end in zip(firsts, ends, strict=True)])
        stops = np.repeat(ends, ends - firsts)

        voiced = np.clip(self.voicing.astype(np.float64), 0.002, 0.998)
        sung = _cumulative(np.log(voiced))[boundaries]
        quiet = _cumulative(np.log1p(-voiced))[boundaries]
        missed = _cumulative(np.maximum(_log_odds(self.onset[boundaries].astype(np.float64)), 0.0))
        self.agreement, self.centres = self._sum_agreement(voiced)
        agreements = [
            (self.agreement[end] - self.agreement[first:end]).max(axis=1)
            for first, end in zip(firsts, ends, strict=True)
        ]
        self.silence = quiet[stops] - quiet[self.starts]
        near_slur = nearby(self.slur, 2)
        self.terms = np.stack(
            [
                _log_odds(np.maximum(self.near_onset, near_slur)[boundaries])[self.starts],
                _log_odds(np.maximum(nearby(self.offset, 2), near_slur)[boundaries])[stops],
                sung[stops] - sung[self.starts],
                np.concatenate(agreements),
                missed[self.starts + 1] - missed[stops],
            ]
        )
        self.too_short = boundaries[stops] - boundaries[self.starts] < config.min_duration * frame_rate

    def _sum_agreement(self, voiced: Float) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Sum up to each boundary the log mass within half a semitone of each pitch, weighted by voicing.

        Returns
        -------
        sums : ndarray, shape (boundary, centre)
        centres : ndarray, shape (centre,)
            Pitch bins, a quarter of a semitone apart.
        """
        half, step = max(1, round(0.5 / self.axis.step)), max(1, round(0.25 / self.axis.step))
        centres = np.arange(half, self.pitch.shape[1] - half, step)
        near = np.zeros((len(self.pitch), len(centres)), dtype=np.float32)
        columns = [np.ascontiguousarray(self.pitch[:, first::step]) for first in range(step)]
        for first in range(2 * half + 1):  # faster than differences of a cumulative sum
            near += columns[first % step][:, first // step :][:, : len(centres)]
        np.clip(near, np.float32(0.02), np.float32(1.0), out=near)
        weighted = np.log(near, out=near)
        weighted *= voiced[:, None].astype(np.float32)
        between = np.add.reduceat(weighted[: self.boundaries[-1]], self.boundaries[:-1], axis=0)
        return _cumulative(between.astype(np.float64)).astype(np.float32), centres

    def decode(self, config: DecoderConfig) -> list[Note]:
        """Decode with some weights; see :func:`decode`."""
        return [note for note, _ in self.decode_with_features(config)]

    def decode_with_features(self, config: DecoderConfig) -> list[tuple[Note, ConfidenceFeatures]]:
        """Decode into notes, each with the features of its confidence.

        Raises
        ------
        ValueError
            If the settings select other spans than those of the constructor.
        """
        if self.span_settings != _span_settings(config):
            msg = "candidate, slur, min_duration and max_duration select the spans: they cannot change later"
            raise ValueError(msg)
        return self._to_notes(self._find_spans(config), config) if len(self.onset) > 1 else []

    def _find_spans(self, config: DecoderConfig) -> list[tuple[int, int]]:
        """Find the best segmentation: for each note, the indices of its boundaries."""
        weights = [
            config.onset_weight,
            config.offset_weight,
            config.voicing_weight,
            config.pitch_weight,
            config.missed_onset_weight,
        ]
        as_note = np.where(self.too_short, -np.inf, np.asarray(weights) @ self.terms - config.note_cost)
        as_silence = config.voicing_weight * self.silence
        best = np.zeros(len(self.boundaries))
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

    def _to_notes(self, spans: list[tuple[int, int]], config: DecoderConfig) -> list[tuple[Note, ConfidenceFeatures]]:
        """Refine the boundaries of spans to fractions of a frame; notes do not overlap."""
        frame_rate = self.frame_rate
        notes: list[tuple[Note, ConfidenceFeatures]] = []
        chosen = self.boundaries[np.asarray(spans, dtype=np.int64).reshape(-1, 2)]
        begins = place_boundaries(self.onset, chosen[:, 0], ONSET_REACH * frame_rate)
        stops = place_offsets(self.offset, chosen[:, 1], frame_rate)
        limit, following = len(self.onset) - 1.0, np.inf
        previous = [-1, *(int(first) for first in chosen[:, 0])]
        for number in reversed(range(len(spans))):
            start, end = spans[number]
            first, last = int(self.boundaries[start]), int(self.boundaries[end])
            begin = min(max(float(begins[number]), previous[number] + 1.0), last - 1.0, limit - 1.0)
            stop = min(max(float(stops[number]), begin + 1.0), limit)
            stop = hold(begin, stop, following, frame_rate)
            limit = following = begin
            if spans[number] not in self._pitches:
                self._pitches[start, end] = self._pitch_of(start, end)
            pitch, agreement = self._pitches[start, end]
            near_onset, voiced = float(self.near_onset[first]), float(self.voicing[first:last].mean())
            if first == 0:  # the recording may begin within the note: its onset cannot be seen then
                near_onset = max(near_onset, UNSEEN_ONSET * float(self.voicing[0]))
            begin, stop, pitch = begin / frame_rate, stop / frame_rate, min(max(pitch, 0.0), 127.0)
            features = ConfidenceFeatures(near_onset, voiced, agreement, stop - begin)
            confidence = estimate_confidence(features, config.confidence)
            notes.append((Note(begin, stop, pitch, confidence=confidence), features))
        return notes[::-1]

    def _pitch_of(self, start: int, end: int) -> tuple[float, float]:
        """Return the trimmed mean pitch near the best pitch of the span, and the mean probability mass there."""
        first, last = int(self.boundaries[start]), int(self.boundaries[end])
        centre = int(self.centres[np.argmax(self.agreement[end] - self.agreement[start])])
        margin = (last - first) // 5
        inside = slice(first + margin, max(last - margin, first + margin + 1))
        reach = round(1.0 / self.axis.step)
        mean, mass = trimmed_mean(self.pitch[inside], self.voicing[inside], centre, reach)
        return self.axis.lowest + self.axis.step * mean, mass


def _span_settings(config: DecoderConfig) -> tuple[float, ...]:
    return config.candidate, config.slur, config.min_duration, config.max_duration


def _log_odds(probability: Float) -> Float:
    clipped = np.clip(probability, _TINY, 1 - _TINY)
    return np.asarray(np.log(clipped) - np.log1p(-clipped))


def _cumulative(values: NDArray[Any]) -> NDArray[Any]:
    """Sum up over the first axis, from 0: entry ``i`` sums the first ``i`` values."""
    return np.cumsum(np.pad(values, [(1, 0), *[(0, 0)] * (values.ndim - 1)]), axis=0)
