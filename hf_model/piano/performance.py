"""How notes are performed: which piano, pedal, level, room, channels; and the sound of it, in constant memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Protocol

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.grid import seconds_to_samples
from hf_model.audio.loudness import SILENCE_LUFS, Meter
from hf_model.audio.reverb import Room
from hf_model.config import check_choice, check_range
from hf_model.notes.note import Note
from hf_model.notes.pedal import Pedal, gentle_pedals, sustained
from hf_model.piano.rendering import PIANO_RATE, Renderer, gain_for, render_blocks

SOUNDS = ("sampled", "neural", "reference")
"""Pianos to choose from: recorded strings, the synthesizer network, or FluidSynth with the sound font of both."""

LOUDNESS = -16.0
"""LUFS of a normalized performance, where its peaks leave room for it."""

TRUE_PEAK = -1.0
"""dB of full scale that no peak of a normalized performance exceeds; a little is kept for rounding to 16 bits."""

SHORTEST_FADE, LONGEST_FADE = 0.05, 0.5
"""Seconds: what still sounds at the end fades out, from the last release on if that is not too near or far."""

IN_MEMORY = 64_000_000
"""Bytes; a longer performance waits in an unnamed temporary file until its level is known."""

SPOOL_SAMPLES = 1 << 20


@dataclass(frozen=True)
class Performance:
    """How notes are to be played.

    Attributes
    ----------
    sound : {"sampled", "neural", "reference"}
    pedal : bool
        The sustaining pedal, gently, in legato phrases.
    normalize : bool
        Bring the loudness near ``LOUDNESS``, with peaks below ``TRUE_PEAK``; otherwise the piano keeps its own level
        and is turned down only where it would clip.
    reverb : float
        0-1: how much of a light room is heard.
    mono : bool
        One channel instead of two.

    Raises
    ------
    ConfigError
        For a value outside its range.
    """

    sound: str = "sampled"
    pedal: bool = False
    normalize: bool = True
    reverb: float = 0.0
    mono: bool = False

    def __post_init__(self) -> None:
        """Refuse impossible values."""
        check_choice("sound", self.sound, SOUNDS)
        check_range("reverb", self.reverb, 0.0, 1.0)

    def pedals(self, notes: Sequence[Note]) -> list[Pedal]:
        """Give the pedals that this performance adds to notes: none without ``pedal``."""
        return gentle_pedals(notes) if self.pedal else []


class Pianos(Protocol):
    """What gives pianos by name: :class:`hf_model.inference.Models`."""

    def renderer(self, sound: str) -> Renderer:
        """Give the piano of that name (one of ``SOUNDS``)."""
        ...


@dataclass(frozen=True)
class Take:
    """A performance that has been played once and measured.

    Attributes
    ----------
    n_samples, n_channels : int
    gain : float
        Factor that brings it to its level.
    loudness : float
        LUFS at that level; minus infinity for silence.
    true_peak : float
        dB of full scale at that level; minus infinity for silence.
    """

    n_samples: int
    n_channels: int
    gain: float
    loudness: float
    true_peak: float
    _kept: IO[bytes]

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Give the sound (channel, sample) block by block, ``n_samples`` together, as often as asked."""
        self._kept.seek(0)
        if self.n_samples == 0:
            yield np.zeros((self.n_channels, 0), dtype=np.float32)
        for _ in range(0, self.n_samples, SPOOL_SAMPLES):
            raw = np.frombuffer(self._kept.read(4 * self.n_channels * SPOOL_SAMPLES), dtype=np.float32)
            yield np.float32(self.gain) * raw.reshape(-1, self.n_channels).T


@contextmanager
def perform(
    notes: Sequence[Note],
    n_samples: int,
    performance: Performance,
    models: Pianos,
    *,
    pedals: Sequence[Pedal] | None = None,
) -> Iterator[Take]:
    """Play notes once, measure, and keep the sound while the context lasts.

    Parameters
    ----------
    notes : sequence of Note
        Integer pitches 21-108.
    n_samples : int
        Length at 44.1 kHz.
    performance : Performance
        How.
    models : Models
        Where the piano comes from.
    pedals : sequence of Pedal, optional
        Played instead of those that the performance would add.

    Yields
    ------
    Take
        Memory does not grow with the length.
    """
    chosen = performance.pedals(notes) if pedals is None else pedals
    played = sustained(notes, chosen)
    meter = Meter(PIANO_RATE)
    n_channels = 1
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as kept:
        for block in _sound(played, n_samples, performance, models.renderer(performance.sound)):
            meter.add(block)
            n_channels = block.shape[0]
            kept.write(np.ascontiguousarray(block.T).tobytes())
        gain = _level(meter) if performance.normalize else gain_for(meter.peak)
        with np.errstate(divide="ignore"):
            louder = float(20.0 * np.log10(gain))
            peak = float(20.0 * np.log10(meter.true_peak)) + louder
        yield Take(n_samples, n_channels, gain, meter.loudness + louder, peak, kept)


def play(
    notes: Sequence[Note],
    n_samples: int,
    performance: Performance,
    models: Pianos,
    *,
    pedals: Sequence[Pedal] | None = None,
) -> NDArray[np.float32]:
    """Play notes: parameters as for :func:`perform`.

    Returns
    -------
    ndarray, shape (channel, n_samples)
        float32 in [-1, 1] at 44.1 kHz.
    """
    with perform(notes, n_samples, performance, models, pedals=pedals) as take:
        return np.concatenate(list(take.blocks()), axis=1)


def _sound(
    notes: Sequence[Note], n_samples: int, performance: Performance, renderer: Renderer
) -> Iterator[NDArray[np.float32]]:
    """Play, put into the room and fade the end, at the piano's own level."""
    room: Room | None = None
    fade = fade_out(notes, n_samples)
    position = 0
    for raw in render_blocks(renderer, notes, n_samples):
        block = raw.mean(axis=0, keepdims=True) if performance.mono else raw
        if performance.reverb > 0:
            room = room or Room(performance.reverb, block.shape[0], PIANO_RATE)
            block = room.add(block)
        begin = max(0, n_samples - len(fade) - position)
        if begin < block.shape[1]:
            place = position + begin - (n_samples - len(fade))
            block = block.copy()
            block[:, begin:] *= fade[place : place + block.shape[1] - begin]
        position += block.shape[1]
        yield block


def fade_out(notes: Sequence[Note], n_samples: int) -> NDArray[np.float32]:
    """Make the gains (sample,) of the last moments, from the last release to the end: smooth, the last one zero."""
    end = n_samples / PIANO_RATE
    released = max((note.offset for note in notes), default=0.0)
    seconds = min(max(end - released, SHORTEST_FADE), LONGEST_FADE)
    n_fade = min(seconds_to_samples(seconds, PIANO_RATE), n_samples)
    fade = np.cos(0.5 * np.pi * np.arange(1, n_fade + 1) / max(n_fade, 1)) ** 2
    fade[-1:] = 0.0
    return np.asarray(fade, dtype=np.float32)


def _level(meter: Meter) -> float:
    """Give the factor that brings what was measured to its loudness, or as near as its peaks let it."""
    if meter.loudness <= SILENCE_LUFS or meter.true_peak == 0.0:
        return 1.0
    wanted = 10.0 ** ((LOUDNESS - meter.loudness) / 20.0)
    most = 10.0 ** ((TRUE_PEAK - 0.05) / 20.0) / meter.true_peak
    return float(min(wanted, most))
