"""Beats, bars and chords of an accompaniment, from its audio: block by block, in memory that hardly grows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hf_model.band.beats import MIN_CONFIDENCE, BandBeats, track_beats
from hf_model.band.chords import recognize_chords
from hf_model.band.spectrum import SpectrumStream
from hf_model.music.chords import Chord
from hf_model.music.tempo import Tempo


@dataclass(frozen=True)
class Band:
    """What an accompaniment plays.

    Attributes
    ----------
    tempo : Tempo or None
        Beats and bars, over the whole recording; None where they are unsure (free rhythm, silence).
    chords : tuple of Chord
        Without gaps over the beats; empty if there is no tempo.
    beats : BandBeats or None
        The beats, sure or not.
    """

    tempo: Tempo | None = None
    chords: tuple[Chord, ...] = ()
    beats: BandBeats | None = None


class BandListener:
    """Find beats and chords of an accompaniment that arrives in blocks.

    Parameters
    ----------
    sample_rate : int
        Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        self._stream = SpectrumStream(sample_rate)

    def push(self, block: NDArray[np.float32]) -> None:
        """Add audio, shape (sample,) or (channel, sample), in [-1, 1]."""
        self._stream.push(block)

    def finish(self) -> Band:
        """Find beats, bars and chords of all that was added."""
        spectra = self._stream.finish()
        beats = track_beats(spectra)
        if beats is None or beats.confidence < MIN_CONFIDENCE:
            return Band(beats=beats)
        tempo = beats.to_tempo(spectra.duration)
        return Band(tempo, tuple(recognize_chords(spectra, tempo)), beats)


def listen_to_band(accompaniment: NDArray[np.float32], sample_rate: int) -> Band:
    """Find beats, bars and chords of an accompaniment, shape (sample,) or (channel, sample)."""
    listener = BandListener(sample_rate)
    listener.push(accompaniment)
    return listener.finish()
