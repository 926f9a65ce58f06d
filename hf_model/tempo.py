"""Tempo, beats and metre of singing without accompaniment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hf_model.config import check_choice, check_range
from hf_model.notes import Note

SLOWEST, FASTEST = 30.0, 300.0
"""Beats a minute that a user may give."""

METERS = {"2/4": (2, 4), "3/4": (3, 4), "4/4": (4, 4), "6/8": (6, 8)}
"""Time signatures by name: (beats, note value); the beat of 6/8 is the dotted quarter."""


@dataclass(frozen=True)
class Tempo:
    """The beats of a recording.

    Attributes
    ----------
    bpm : float
        Beats a minute (quarters; dotted quarters in 6/8): the median over the recording.
    confidence : float
        0-1, how much better this tempo explains the onsets than the others do; 1 when the user gave it.
    beats : tuple of float
        Seconds, rising, at least two: from at or before the first onset to the end of the recording.
    downbeat : int
        Index in ``beats`` of the first beat of the first whole bar; beats before it are the pick-up.
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
        """Whether a beat divides into three (6/8)."""
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
        """Convert seconds to positions in beats: 0 at ``beats[0]``, linear between beats, steady beyond them."""
        return _extended(np.asarray(seconds, dtype=np.float64), np.array(self.beats), self._numbers)

    def to_seconds(self, positions: ArrayLike) -> NDArray[np.float64]:
        """Convert positions in beats to seconds: the inverse of :meth:`to_beats`."""
        return _extended(np.asarray(positions, dtype=np.float64), self._numbers, np.array(self.beats))

    @property
    def _numbers(self) -> NDArray[np.float64]:
        return np.arange(len(self.beats), dtype=np.float64)


def _extended(x: NDArray[np.float64], xs: NDArray[np.float64], ys: NDArray[np.float64]) -> NDArray[np.float64]:
    """Interpolate, and go on with the first and last slope outside."""
    inside = np.interp(x, xs, ys)
    before = ys[0] + (x - xs[0]) * (ys[1] - ys[0]) / (xs[1] - xs[0])
    after = ys[-1] + (x - xs[-1]) * (ys[-1] - ys[-2]) / (xs[-1] - xs[-2])
    return np.asarray(np.where(x < xs[0], before, np.where(x > xs[-1], after, inside)), dtype=np.float64)


def estimate_tempo(
    notes: Sequence[Note], duration: float | None = None, *, bpm: float | None = None, meter: str | None = None
) -> Tempo:
    """Find the beats of a melody.

    Parameters
    ----------
    notes : sequence of Note
        One voice, as performed.
    duration : float, optional
        Length of the recording in seconds, up to which beats are needed; the last offset when not given.
    bpm : float, optional
        Beats a minute if known, 30 to 300; then only where the beats fall is estimated.
    meter : {"2/4", "3/4", "4/4", "6/8"}, optional
        Time signature if known.

    Raises
    ------
    ConfigError
        For a tempo or metre outside what is allowed.
    """
    if bpm is not None:
        check_range("tempo", bpm, SLOWEST, FASTEST)
    if meter is not None:
        check_choice("meter", meter, METERS)
    start = notes[0].onset if notes else 0.0
    end = max([duration or 0.0, *(note.offset for note in notes)])
    beat = 60.0 / (bpm or 120.0)
    beats = tuple(start + beat * k for k in range(2 + max(0, int((end - start) / beat))))
    return Tempo(60.0 / beat, 1.0 if bpm else 0.0, beats, 0, METERS[meter or "4/4"], 1.0 if meter else 0.0)
