"""Which instruments sound in a recording: probabilities for a clip, and over time for a long one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from hf_model.config import ConfigError
from hf_model.instruments.classes import CLASSES
from hf_model.instruments.config import InstrumentConfig
from hf_model.instruments.spectrogram import FRAME_RATE, RATE, log_scaled, mel_power
from hf_model.onnx.model import OnnxModel
from hf_model.onnx.session import load_session
from hf_model.weights import WEIGHTS

CLIP_SECONDS = 5.0
"""Length of the windows of a longer recording."""

STEP_SECONDS = 2.5

MIN_SECONDS = 1.0

SILENCE = 1e-9
"""Mean power below which nothing sounds: -90 dB."""

BATCH = 32


@dataclass(frozen=True)
class Span:
    """What sounds in a part of a recording.

    Attributes
    ----------
    start, end : float
        Seconds.
    probabilities : mapping of str to float
        Of each class, 0-1, the most probable first. Several may sound at once. Empty for silence.
    level : float
        dB relative to the loudest part.
    """

    start: float
    end: float
    probabilities: Mapping[str, float]
    level: float = 0.0

    @property
    def top(self) -> str:
        """The most probable class, or "silence"."""
        return next(iter(self.probabilities), "silence")


class InstrumentIdentifier(OnnxModel):
    """Tells instruments apart."""

    config_class = InstrumentConfig
    kind = "instrument"

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        super().__init__(folder, settings)
        self._session = load_session(folder, settings=settings)
        scale = settings.get("calibration", {})
        self._slope, self._shift = float(scale.get("slope", 1.0)), float(scale.get("shift", 0.0))
        odds = scale.get("prior", {})
        self._prior = np.log([float(odds.get(name, 1.0)) for name in CLASSES])

    @classmethod
    def load(cls) -> Self:
        """Load the weights that ship."""
        return cls.from_pretrained(WEIGHTS / "instruments")

    def identify(self, audio: NDArray[np.float32]) -> Span:
        """Compute the probabilities of a whole recording: of a long one, the mean over its windows.

        Parameters
        ----------
        audio : ndarray, shape (sample,)
            16 kHz, at least ``MIN_SECONDS``.

        Raises
        ------
        ConfigError
            If it is shorter.
        """
        return summarize(self.timeline(audio))

    def timeline(self, audio: NDArray[np.float32]) -> list[Span]:
        """Compute the probabilities of overlapping windows of ``CLIP_SECONDS``, one every ``STEP_SECONDS``.

        Parameters and errors as for :meth:`identify`.
        """
        seconds = len(audio) / RATE
        if seconds < MIN_SECONDS:
            msg = f"the recording has {seconds:.2f} s; at least {MIN_SECONDS:g} s are needed"
            raise ConfigError(msg)
        power = mel_power(np.asarray(audio, dtype=np.float32))
        length = min(len(power), round(CLIP_SECONDS * FRAME_RATE))
        last = len(power) - length
        starts = sorted({*range(0, last, round(STEP_SECONDS * FRAME_RATE)), last})
        mean_square = np.add.reduceat(np.square(audio, dtype=np.float64), np.arange(0, len(audio), RATE)) / RATE
        loudest = float(mean_square.max())
        energies = np.array([power[start : start + length].sum(dtype=np.float64) for start in starts])
        levels = 10.0 * np.log10(np.maximum(energies, 1e-20) / max(energies.max(), 1e-20))
        spans = []
        for at in range(0, len(starts), BATCH):
            part = starts[at : at + BATCH]
            clips = np.stack([power[start : start + length] for start in part])
            chances = 1.0 / (1.0 + np.exp(-self.logits(log_scaled(clips))))
            for start, clip, row, level in zip(part, clips, chances, levels[at : at + BATCH], strict=True):
                begin, end = start / FRAME_RATE, min(seconds, (start + length) / FRAME_RATE)
                is_silent = loudest < SILENCE or clip.max() < 1e-6 * power.max()
                named = {} if is_silent else dict(zip(CLASSES, map(float, row), strict=True))
                spans.append(Span(begin, end, _sorted(named), float(level)))
        return spans

    def logits(self, spectrograms: NDArray[np.float32]) -> NDArray[np.float64]:
        """Compute calibrated logits (clip, class) of log-mel spectrograms (clip, frame, band)."""
        (logits,) = self._session.run(spectrogram=spectrograms)
        return np.asarray(self._slope * logits.astype(np.float64) + self._shift + self._prior)


def summarize(spans: Sequence[Span]) -> Span:
    """Average the spans of a timeline in which something sounds, weighted by their amplitudes.

    Where a note dies away, little is left to tell what it was; such windows must not outvote the one with its attack.
    """
    sounding = [span for span in spans if span.probabilities]
    weights = [10.0 ** (span.level / 20.0) for span in sounding]
    means = {
        name: float(np.average([span.probabilities[name] for span in sounding], weights=weights))
        for name in (CLASSES if sounding else ())
    }
    return Span(spans[0].start, spans[-1].end, _sorted(means))


def _sorted(probabilities: Mapping[str, float]) -> dict[str, float]:
    return dict(sorted(probabilities.items(), key=lambda item: -item[1]))


@cache
def default_identifier() -> InstrumentIdentifier:
    """Return the identifier that ships, loaded once per process."""
    return InstrumentIdentifier.load()
