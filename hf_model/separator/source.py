"""Whether a recording is a voice alone or a song: from features of the sound, and in doubt from more.

The instruments are identified first; if that does not tell either, a voice is separated from the recording.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.grid import PIANO_SAMPLE_RATE, VOICE_STFT
from hf_model.audio.resampling import resample
from hf_model.config import ConfigError, from_mapping
from hf_model.instruments.classes import CLASSES
from hf_model.instruments.identifier import MIN_SECONDS, default_identifier
from hf_model.separator.source_features import NAMES, has_partials, measure_features
from hf_model.weights import WEIGHTS, read_config

if TYPE_CHECKING:
    from hf_model.separator.choice import SeparatorLike

Floats = NDArray[np.float32]

FOLDER = WEIGHTS / "source"

MODELS = ("alone", "instruments", "separated")

EXCERPT_SECONDS, MAX_EXCERPTS, MAX_SEPARATED = 10.0, 6, 2
"""What is looked at, and how many of the excerpts are separated."""

QUIET_DB = 30.0
"""Excerpts that are so much softer than the loudest are left out."""

SILENCE = 1e-5
"""RMS amplitude below which a recording is silent."""

UNSURE = 3.5
"""Instruments are identified if the logarithm of the odds is smaller than this, either way; then, if it still is, the
separator is asked."""

CAUTION = 0.5
"""Subtracted from the logarithm of the odds of a song: most recordings are lone voices, and separation harms them."""

MAX_LOGIT = 8.0
"""Limit of one excerpt's weight in the mean."""


@dataclass(frozen=True)
class Source:
    """What a recording is.

    Attributes
    ----------
    kind : {"voice", "song", "whistle"}
        A voice alone, a recording in which something musical plays beside it, or whistling or a voice as high.
    confidence : float
        Probability that ``kind`` is right, 0.5 to 1; of a whistle, the share of the sounding time that is whistled.
    """

    kind: Literal["voice", "song", "whistle"]
    confidence: float


@dataclass(frozen=True)
class LogisticModel:
    """Logistic regression.

    Attributes
    ----------
    mean, deviation, weights : tuple of float
        Of each feature; weights are those of standardised features.
    bias : float
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    weights: tuple[float, ...]
    bias: float

    def __post_init__(self) -> None:
        """Check that all have one number a feature."""
        if not len(self.mean) == len(self.deviation) == len(self.weights):
            msg = (
                f"mean, deviation and weights have {len(self.mean)}, {len(self.deviation)}, {len(self.weights)} numbers"
            )
            raise ConfigError(msg)

    def logit(self, features: NDArray[np.float64]) -> float:
        """Logarithm of the odds that an excerpt with these features is of a song."""
        standard = (features - np.array(self.mean)) / np.array(self.deviation)
        return float(standard @ np.array(self.weights) + self.bias)


def detect_source(voice: Floats, separator: Callable[[], SeparatorLike]) -> Source:
    """Decide whether something musical plays beside the voice.

    Parameters
    ----------
    voice : ndarray, shape (sample,)
        The whole recording, mono at 16 kHz.
    separator : callable
        Loads the separator; called only in doubt. One that separates nothing is of no help.

    Returns
    -------
    Source
        A recording of silence or noise is a voice, with confidence 0.5. People who sing together are a voice, and so
        is a voice beside noises, speech or a metronome.
    """
    excerpts = [excerpt for excerpt in cut_excerpts(voice) if has_partials(excerpt)]
    if not excerpts:
        return Source("voice", 0.5)
    alone, identified, separated = load_models()
    features = [measure_features(excerpt) for excerpt in excerpts]
    logits = [alone.logit(row) for row in features]
    logit = _mean(logits)
    if abs(logit) < UNSURE:
        both = zip(features, excerpts, strict=True)
        logits = [identified.logit(np.concatenate([row, measure_instruments(part)])) for row, part in both]
        logit = _mean(logits)
    if abs(logit) < UNSURE:
        order = np.argsort(np.abs(np.array(logits) - logit))[:MAX_SEPARATED]
        found = _separated_logits([excerpts[i] for i in order], [logits[i] for i in order], separator(), separated)
        logit = float(np.mean(found)) if found else logit
    logit -= CAUTION
    confidence = 1.0 / (1.0 + np.exp(-abs(logit)))
    return Source("song" if logit > 0 else "voice", float(confidence))


def cut_excerpts(voice: Floats) -> list[Floats]:
    """Cut excerpts of ten seconds that are evenly spread over a recording, without those in which little sounds."""
    length = round(EXCERPT_SECONDS * VOICE_STFT.sample_rate)
    count = max(1, min(MAX_EXCERPTS, len(voice) // length))
    starts = np.linspace(0, max(0, len(voice) - length), count).astype(int)
    excerpts = [voice[start : start + length] for start in starts]
    levels = [float(np.sqrt(np.mean(np.square(part, dtype=np.float64)))) if part.size else 0.0 for part in excerpts]
    least = max(SILENCE, max(levels) * 10.0 ** (-QUIET_DB / 20.0))
    return [part for part, level in zip(excerpts, levels, strict=True) if level >= least]


def measure_instruments(excerpt: Floats) -> NDArray[np.float64]:
    """Measure which instruments sound in an excerpt.

    Parameters
    ----------
    excerpt : ndarray, shape (sample,)
        16 kHz.

    Returns
    -------
    ndarray, shape (class,)
        Logarithm of the odds of each class of instruments, within ``MAX_LOGIT``.
    """
    shortest = round(MIN_SECONDS * VOICE_STFT.sample_rate)
    found = default_identifier().identify(np.pad(excerpt, (0, max(0, shortest - len(excerpt))))).probabilities
    chances = np.clip([found.get(name, 0.0) for name in CLASSES], 1e-6, 1.0 - 1e-6)
    return np.clip(np.log(chances / (1.0 - chances)), -MAX_LOGIT, MAX_LOGIT)


def measure_separated(excerpt: Floats, logit: float, separator: SeparatorLike) -> NDArray[np.float64] | None:
    """Measure what a separator makes of an excerpt.

    Parameters
    ----------
    excerpt : ndarray, shape (sample,)
        16 kHz.
    logit : float
        What its own features say.
    separator : SeparatorLike

    Returns
    -------
    ndarray, shape (feature,), or None
        The logit, the levels of accompaniment and voice in dB of the excerpt, the features of the accompaniment and
        those of the voice. None if nothing was separated.
    """
    song = resample(excerpt, VOICE_STFT.sample_rate, PIANO_SAMPLE_RATE)
    sung = np.concatenate([block[0] for block in separator.separate([np.stack([song, song])])])
    if np.array_equal(sung, song):
        return None
    voice = resample(sung, PIANO_SAMPLE_RATE, VOICE_STFT.sample_rate)[: len(excerpt)]
    rest = excerpt - np.pad(voice, (0, len(excerpt) - len(voice)))
    total = float(np.mean(np.square(excerpt, dtype=np.float64)))
    levels = [10.0 * np.log10(float(np.mean(np.square(part))) / total + 1e-5) for part in (rest, voice)]
    return np.concatenate([[logit], levels, measure_features(rest), measure_features(voice)])


@cache
def load_models() -> tuple[LogisticModel, LogisticModel, LogisticModel]:
    """Read the three models: of an excerpt's features, of these and its instruments, and of those after separation.

    Raises
    ------
    FileNotFoundError, ConfigError
        If ``hf_model/weights/source`` is incomplete.
    """
    settings = read_config(FOLDER)
    models = [from_mapping(LogisticModel, settings.get(name, {}), name) for name in MODELS]
    counts = (len(NAMES), len(NAMES) + len(CLASSES), 3 + 2 * len(NAMES))
    for model, count in zip(models, counts, strict=True):
        if len(model.weights) != count:
            msg = f"a model in {FOLDER} has {len(model.weights)} weights, expected {count}"
            raise ConfigError(msg)
    return models[0], models[1], models[2]


def _mean(logits: Sequence[float]) -> float:
    return float(np.mean(np.clip(logits, -MAX_LOGIT, MAX_LOGIT)))


def _separated_logits(
    excerpts: Sequence[Floats], logits: Sequence[float], separator: SeparatorLike, model: LogisticModel
) -> list[float]:
    measured = [measure_separated(part, logit, separator) for part, logit in zip(excerpts, logits, strict=True)]
    return [float(np.clip(model.logit(item), -MAX_LOGIT, MAX_LOGIT)) for item in measured if item is not None]
