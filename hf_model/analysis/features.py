"""What a song sounds like, in numbers: timbre, rhythm, instruments, and the melody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hf_model.config import ConfigError
from hf_model.instruments.classes import CLASSES
from hf_model.instruments.identifier import MIN_SECONDS, InstrumentIdentifier, summarize
from hf_model.instruments.spectrogram import FRAME_RATE, N_MELS, RATE, mel_power
from hf_model.notes.note import Note

N_CEPSTRA = 10

PULSES_BPM = tuple(round(float(bpm), 1) for bpm in np.geomspace(40.0, 240.0, 20))
"""Pulses whose strength is measured."""

GROUPS = (2, 3, 4)
"""Multiples of the strongest pulse whose strength is measured: 3 is strong in a waltz."""

FASTEST, SLOWEST = 240.0, 60.0
"""Beats a minute between which the strongest pulse is looked for."""

FLOOR_DB = 60.0
"""Bands are no softer than this below the loudest one."""


def sound_features(audio: NDArray[np.float32], identifier: InstrumentIdentifier) -> dict[str, float]:
    """Describe the sound of a song.

    Parameters
    ----------
    audio : ndarray, shape (sample,)
        16 kHz, at least a second.
    identifier : InstrumentIdentifier

    Returns
    -------
    dict of str to float
        ``instrument/...``: probabilities, 0-1; ``timbre/...``: mean and deviation over time of the first cepstral
        coefficients of the mel spectrum (dB); ``pulse/...``: autocorrelation of the onsets at ``PULSES_BPM`` and at
        multiples of the strongest pulse, -1 to 1; ``rhythm/...``: changes of the spectrum (dB a frame) and their
        deviation. None of them depends on the level.

    Raises
    ------
    ConfigError
        If the audio is shorter than a second, or silent.
    """
    if len(audio) < MIN_SECONDS * RATE:
        msg = f"the recording has {len(audio) / RATE:.2f} s; at least {MIN_SECONDS:g} s are needed"
        raise ConfigError(msg)
    power = mel_power(audio)
    if power.max() < 1e-9:
        msg = "the recording is silent"
        raise ConfigError(msg)
    level = 10.0 * np.log10(np.maximum(power / power.max(), 10.0 ** (-FLOOR_DB / 10.0)))
    probabilities = summarize(identifier.timeline(audio)).probabilities
    features = {f"instrument/{name}": float(probabilities.get(name, 0.0)) for name in CLASSES}
    cepstra = level @ _cosines()
    for index in range(N_CEPSTRA):
        features[f"timbre/{index + 1}_mean"] = float(cepstra[:, index].mean())
        features[f"timbre/{index + 1}_deviation"] = float(cepstra[:, index].std())
    return {**features, **_rhythm(level)}


def _cosines() -> NDArray[np.float64]:
    """Make the basis (band, coefficient) of a cosine transform without its constant."""
    at = (np.arange(N_MELS) + 0.5) / N_MELS
    return np.asarray(np.cos(np.pi * at[:, None] * np.arange(1, N_CEPSTRA + 1)) * np.sqrt(2.0 / N_MELS))


def _rhythm(level: NDArray[np.float64]) -> dict[str, float]:
    """Measure changes of the spectrum (frame, band) in dB, and how regularly they come."""
    rises = np.maximum(np.diff(level, axis=0), 0.0).mean(axis=1)
    correlation = _autocorrelation(rises)
    features = {f"pulse/{bpm:g}": _at_lag(correlation, 60.0 * FRAME_RATE / bpm) for bpm in PULSES_BPM}
    lags = np.arange(60.0 * FRAME_RATE / FASTEST, 60.0 * FRAME_RATE / SLOWEST, 0.5)
    beat = float(lags[int(np.argmax([_at_lag(correlation, lag) for lag in lags]))])
    features |= {f"pulse/times_{group}": _at_lag(correlation, group * beat) for group in GROUPS}
    features["rhythm/beat_seconds"] = beat / FRAME_RATE
    features["rhythm/change"] = float(rises.mean())
    features["rhythm/change_deviation"] = float(rises.std())
    return features


def _autocorrelation(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Correlate a sequence with itself at each lag, 1 at lag 0."""
    centred = values - values.mean()
    size = 1 << (2 * len(values) - 1).bit_length()
    spectrum = np.fft.rfft(centred, size)
    found = np.fft.irfft(np.abs(spectrum) ** 2, size)[: len(values)]
    counts = np.arange(len(values), 0, -1) / len(values)
    return np.asarray(found / max(float(found[0]), 1e-12) / counts)


def _at_lag(correlation: NDArray[np.float64], lag: float) -> float:
    """Read a correlation between frames; 0 beyond half of the recording, where it is mostly noise."""
    if lag > len(correlation) / 2:
        return 0.0
    return float(np.interp(lag, np.arange(len(correlation)), correlation))


def melody_features(notes: Sequence[Note], duration: float) -> dict[str, float]:
    """Describe a melody.

    Parameters
    ----------
    notes : sequence of Note
        Sorted by onset.
    duration : float
        Of the song, seconds.

    Returns
    -------
    dict of str to float
        ``sung_share`` (0-1), and unless there are no notes: ``notes_per_second`` while singing, ``median_pitch`` (MIDI
        number), ``range`` and ``mean_interval`` (semitones), ``repeated_share`` of the notes on the pitch before.
    """
    sung = sum(note.duration for note in notes)
    features = {"sung_share": min(1.0, sung / duration) if duration else 0.0}
    if len(notes) < 2 or not sung:
        return features
    pitches = np.array([note.pitch for note in notes])
    steps = np.abs(np.diff(pitches))
    return features | {
        "notes_per_second": len(notes) / sung,
        "median_pitch": float(np.median(pitches)),
        "range": float(np.ptp(pitches)),
        "mean_interval": float(steps.mean()),
        "repeated_share": float(np.mean(steps < 0.5)),
    }


def as_vector(features: Mapping[str, float], names: Sequence[str]) -> NDArray[np.float64]:
    """Order features by their names: (feature,)."""
    return np.array([features[name] for name in names], dtype=np.float64)
