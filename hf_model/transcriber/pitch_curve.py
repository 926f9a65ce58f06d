"""The pitch of a voice over time, from the posteriors of a transcriber."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.grid import VOICE_STFT
from hf_model.notes.pitch import pitch_to_hz

PEAK_WIDTH = 0.5
"""Semitones on either side of the most probable pitch bin that its pitch is averaged over."""

VOICED = 0.5
"""Voicing from which a frame is sung."""


class PitchAxisLike(Protocol):
    """The pitch axis of a transcriber's posteriors: see ``TranscriberConfig``."""

    @property
    def lowest_pitch(self) -> float:
        """MIDI number of the centre of the first bin."""
        ...

    @property
    def pitch_step(self) -> float:
        """Semitones per bin."""
        ...


class PosteriorSource(Protocol):
    """The part of a transcriber's interface that is used here."""

    @property
    def config(self) -> PitchAxisLike:
        """The settings."""
        ...

    def posterior_chunks(self, audio: NDArray[np.float32], /) -> Iterable[list[NDArray[np.float32]]]:
        """Compute onset, offset, voicing (frame,) and pitch (frame, bin) of audio (sample,) at 16 kHz, in chunks."""
        ...


@dataclass(frozen=True, eq=False)
class PitchCurve:
    """Pitch and voicing every 10 ms.

    Attributes
    ----------
    pitch : ndarray, shape (frame,)
        MIDI number, 69 = 440 Hz; frame ``m`` is centred on ``m / frame_rate`` seconds. Without meaning where nothing is
        sung.
    voicing : ndarray, shape (frame,)
        0-1: probability that the frame is sung.
    frame_rate : float
        Frames per second.
    """

    pitch: NDArray[np.float64]
    voicing: NDArray[np.float64]
    frame_rate: float = VOICE_STFT.frame_rate

    @property
    def times(self) -> NDArray[np.float64]:
        """Seconds of the frames."""
        return np.arange(len(self.pitch)) / self.frame_rate

    @property
    def frequency(self) -> NDArray[np.float64]:
        """Hz."""
        return pitch_to_hz(self.pitch)

    @cached_property
    def filled(self) -> NDArray[np.float64]:
        """The pitch, held from the last sung frame where nothing is sung; before the first one, that one's."""
        sung = np.flatnonzero(self.voicing >= VOICED)
        if not len(sung):
            return self.pitch
        last = np.searchsorted(sung, np.arange(len(self.pitch)), side="right") - 1
        return np.asarray(self.pitch[sung[np.maximum(last, 0)]])


def trace(transcriber: Any, audio: NDArray[np.float32], n_frames: int) -> PitchCurve:
    """Compute the pitch curve of a voice.

    Parameters
    ----------
    transcriber : PosteriorSource
    audio : ndarray, shape (sample,)
        16 kHz.
    n_frames : int
        Frames to keep; the audio may be padded.

    Raises
    ------
    TypeError
        For a transcriber without posteriors.
    """
    if not hasattr(transcriber, "posterior_chunks"):
        msg = f"a {type(transcriber).__name__} has no posteriors: no pitch curve can be made of it"
        raise TypeError(msg)
    source: PosteriorSource = transcriber
    axis = source.config
    pitches, voicings = [], []
    for _, _, voicing, pitch in source.posterior_chunks(audio):
        pitches.append(peak_pitch(pitch, axis.lowest_pitch, axis.pitch_step))
        voicings.append(voicing.astype(np.float64))
    return PitchCurve(np.concatenate(pitches)[:n_frames], np.concatenate(voicings)[:n_frames])


def peak_pitch(posterior: NDArray[np.float32], lowest: float, step: float) -> NDArray[np.float64]:
    """Read the pitch off its distribution: the mean of the bins around the highest one.

    Parameters
    ----------
    posterior : ndarray, shape (frame, bin)
    lowest, step : float
        MIDI number of the first bin, and semitones per bin.
    """
    reach, last = int(PEAK_WIDTH / step + 1e-6), posterior.shape[1] - 1
    around = posterior.argmax(axis=1)[:, np.newaxis] + np.arange(-reach, reach + 1)
    bins = np.clip(around, 0, last)
    near = np.where(around == bins, np.take_along_axis(posterior, bins, axis=1), 0.0).astype(np.float64)
    mean = (near * bins).sum(axis=1) / np.maximum(near.sum(axis=1), 1e-12)
    return np.asarray(lowest + step * mean)


def trimmed_mean(
    posterior: NDArray[np.float32], voicing: NDArray[np.float32], centre: int, reach: int
) -> tuple[float, float]:
    """Average the pitch of a note over its frames, without the lowest fifth and the highest seventh.

    Parameters
    ----------
    posterior : ndarray, shape (frame, bin)
    voicing : ndarray, shape (frame,)
        Weights of the frames.
    centre, reach : int
        The bins that count: ``centre``, and as many on either side.

    Returns
    -------
    mean : float
        Bins; ``centre`` if nothing is near it.
    mass : float
        Mean probability of the bins that count.
    """
    low, high = max(0, centre - reach), min(posterior.shape[1], centre + reach + 1)
    near = posterior[:, low:high].astype(np.float64)
    mass = near.sum(axis=1)
    bins = (near @ np.arange(low, high)) / np.maximum(mass, 1e-6)
    weight = mass * voicing
    if weight.sum() < 1e-6:
        return float(centre), 0.0
    order = np.argsort(bins)
    share = np.cumsum(weight[order]) / weight.sum()
    kept = order[(share >= 0.2) & (share <= 0.85)]
    if len(kept) == 0:
        kept = order
    weight = np.maximum(weight[kept], 1e-6)
    return float(bins[kept] @ weight / weight.sum()), float(mass.mean())
