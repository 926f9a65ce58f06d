"""The correction of one recording's labels, as the manifest stores it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Correction:
    """Errors of one recording's labels that were corrected.

    Attributes
    ----------
    onset_lag, offset_lag : float
        Seconds by which the labelled onsets and offsets were late; subtracted.
    tuning : float
        The singer's offset from 440 Hz tuning in semitones; kept in the pitches, subtracted for the piano's keys.
    octave : int
        Octaves by which the labels were too high; subtracted.
    pitch_bias_hz : float
        Hz by which the labels were too high; subtracted.
    residual : float
        Median distance between the corrected labels and the voice, in semitones.
    """

    onset_lag: float = 0.0
    offset_lag: float = 0.0
    tuning: float = 0.0
    octave: int = 0
    pitch_bias_hz: float = 0.0
    residual: float = 0.0
