"""Performances of notes: piano, pedal, loudness, reverb and channels, rendered in constant memory."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Protocol

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.grid import PIANO_SAMPLE_RATE, seconds_to_samples
from hf_model.audio.loudness import SILENCE_LUFS, LoudnessMeter
from hf_model.audio.reverb import Reverb
from hf_model.config import check_choice, check_range
from hf_model.notes.note import Note
from hf_model.notes.part import Part
from hf_model.notes.pedal import Pedal, apply_pedals, place_pedals
from hf_model.piano.band import as_piano_notes, band_blocks, find_band_font
from hf_model.piano.rendering import Renderer, gain_for, render_blocks

SOUNDS = ("sampled", "concert", "neural", "reference", "voice")
"""Two sampled grand pianos, the synthesizer network, FluidSynth with the sound font of the first one, and a singer."""

LOUDNESS = -16.0
"""LUFS of a normalized performance, unless its peaks would exceed ``TRUE_PEAK``."""

TRUE_PEAK = -1.0
"""dB of full scale that no peak of a normalized performance exceeds."""

MIN_FADE, MAX_FADE = 0.05, 0.5
"""Seconds of the fade-out; within this range it begins at the last release."""

MAX_BYTES_IN_MEMORY = 16_000_000
"""A longer performance is kept in an unnamed temporary file until its level is known."""

SPOOL_SAMPLES = 1 << 20
"""Samples that are written to it, and read from it, at a time."""


@dataclass(frozen=True)
class Performance:
    """How notes are played.

    Attributes
    ----------
    sound : {"sampled", "concert", "neural", "reference", "voice"}
    pedal : bool
        Add light sustain pedal in legato phrases.
    normalize : bool
        Normalize to ``LOUDNESS`` with peaks below ``TRUE_PEAK``; otherwise the piano keeps its own level, reduced only
        where it would clip.
    reverb : float
        Amount of room reverb, 0-1.
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
        """Check the values."""
        check_choice("sound", self.sound, SOUNDS)
        check_range("reverb", self.reverb, 0.0, 1.0)

    def pedals(self, notes: Sequence[Note]) -> list[Pedal]:
        """Compute the pedals that this performance adds to notes: none without ``pedal``."""
        return place_pedals(notes) if self.pedal else []


class RendererSource(Protocol):
    """Provider of pianos: :class:`hf_model.inference.Models`."""

    def renderer(self, sound: str) -> Renderer:
        """Return the piano of a name (one of ``SOUNDS``)."""
        ...


@dataclass(frozen=True)
class Take:
    """A rendered performance and its measurements.

    Attributes
    ----------
    n_samples, n_channels : int
    gain : float
        Factor from the piano's own level to the level of the performance.
    loudness : float
        LUFS after the gain; minus infinity for silence.
    true_peak : float
        dB of full scale after the gain; minus infinity for silence.
    """

    n_samples: int
    n_channels: int
    gain: float
    loudness: float
    true_peak: float
    _file: IO[bytes]
    _lengths: list[int]

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Yield the audio in blocks (channel, sample), ``n_samples`` together; may be called repeatedly."""
        self._file.seek(0)
        for length in self._lengths:
            raw = np.frombuffer(self._file.read(4 * self.n_channels * length), dtype=np.float32)
            yield np.float32(self.gain) * raw.reshape(self.n_channels, length)


@contextmanager
def perform(
    notes: Sequence[Note],
    n_samples: int,
    performance: Performance,
    models: RendererSource,
    *,
    pedals: Sequence[Pedal] | None = None,
    band: Sequence[Part] = (),
    progress: Callable[[float], object] = lambda _: None,
) -> Iterator[Take]:
    """Render notes and measure the level; memory does not grow with the length.

    Parameters
    ----------
    notes : sequence of Note
        Integer pitches 21-108.
    n_samples : int
        Length at 44.1 kHz.
    performance : Performance
    models : Models
        Provides the piano.
    pedals : sequence of Pedal, optional
        Replace those of the performance.
    band : sequence of Part, optional
        What other instruments play: with FluidSynth and a General MIDI sound font, or else, without the drums, on the
        piano.
    progress : callable
        Called with the share that is rendered, 0 to 1.

    Yields
    ------
    Take
        Valid within the context.

    Raises
    ------
    OSError
        If the folder of temporary files is full; the message names it.
    """
    played = apply_pedals(notes, performance.pedals(notes) if pedals is None else pedals)
    font = find_band_font() if band else None
    if font is None:
        played = sorted([*played, *as_piano_notes(band)])
    beside = band_blocks(band, n_samples, font) if font else iter(())
    meter = LoudnessMeter(PIANO_SAMPLE_RATE)
    lengths: list[int] = []
    n_channels = 1
    with tempfile.SpooledTemporaryFile(max_size=MAX_BYTES_IN_MEMORY) as file:
        for block in _render(played, n_samples, performance, models.renderer(performance.sound), beside):
            meter.add(block)
            n_channels = block.shape[0]
            lengths += _keep(block, file)
            progress(sum(lengths) / max(n_samples, 1))
        gain = normalizing_gain(meter) if performance.normalize else gain_for(meter.peak)
        with np.errstate(divide="ignore"):
            gain_db = float(20.0 * np.log10(gain))
            peak = float(20.0 * np.log10(meter.true_peak)) + gain_db
        yield Take(n_samples, n_channels, gain, meter.loudness + gain_db, peak, file, lengths)


def _keep(block: NDArray[np.float32], file: IO[bytes]) -> list[int]:
    """Write a block to the temporary file, channel after channel, in parts of these lengths."""
    parts = [block[:, first : first + SPOOL_SAMPLES] for first in range(0, max(block.shape[1], 1), SPOOL_SAMPLES)]
    try:
        for part in parts:
            file.write(np.ascontiguousarray(part).data)
    except OSError as error:
        reason = f"{error.strerror} in the folder of temporary files, {tempfile.gettempdir()} (TMPDIR names another)"
        raise OSError(error.errno, reason) from error
    return [part.shape[1] for part in parts]


def play(
    notes: Sequence[Note],
    n_samples: int,
    performance: Performance,
    models: RendererSource,
    *,
    pedals: Sequence[Pedal] | None = None,
) -> NDArray[np.float32]:
    """Render notes: parameters as for :func:`perform`.

    Returns
    -------
    ndarray, shape (channel, n_samples)
        float32 in [-1, 1] at 44.1 kHz.
    """
    with perform(notes, n_samples, performance, models, pedals=pedals) as take:
        return np.concatenate(list(take.blocks()), axis=1)


def _render(
    notes: Sequence[Note],
    n_samples: int,
    performance: Performance,
    renderer: Renderer,
    beside: Iterator[NDArray[np.float32]],
) -> Iterator[NDArray[np.float32]]:
    """Render at the piano's own level, add other instruments and reverb, and fade out the end."""
    reverb: Reverb | None = None
    fade = fade_out(notes, n_samples)
    position = 0
    for raw in add_blocks(render_blocks(renderer, notes, n_samples), beside):
        block = raw.mean(axis=0, keepdims=True) if performance.mono else raw
        if performance.reverb > 0:
            reverb = reverb or Reverb(performance.reverb, block.shape[0], PIANO_SAMPLE_RATE)
            block = reverb.add(block)
        begin = max(0, n_samples - len(fade) - position)
        if begin < block.shape[1]:
            first = position + begin - (n_samples - len(fade))
            block = block.copy()
            block[:, begin:] *= fade[first : first + block.shape[1] - begin]
        position += block.shape[1]
        yield block


def add_blocks(
    blocks: Iterator[NDArray[np.float32]], others: Iterator[NDArray[np.float32]]
) -> Iterator[NDArray[np.float32]]:
    """Add audio in blocks (channel, sample) of any lengths to other blocks; as many samples as the first."""
    left = np.zeros((1, 0), dtype=np.float32)
    for block in blocks:
        parts, missing = [], block.shape[1]
        while missing:
            if not left.shape[1]:
                following = next(others, None)
                if following is None:
                    break
                left = following
            parts.append(left[:, :missing])
            missing -= parts[-1].shape[1]
            left = left[:, parts[-1].shape[1] :]
        if not parts:
            yield block
            continue
        added = np.concatenate(parts, axis=1)
        total = np.zeros((max(block.shape[0], added.shape[0]), block.shape[1]), dtype=np.float32)
        total += block
        total[:, : added.shape[1]] += added
        yield total


def fade_out(notes: Sequence[Note], n_samples: int) -> NDArray[np.float32]:
    """Compute the gains (sample,) of the fade-out from the last release to the end: smooth, the last one zero."""
    end = n_samples / PIANO_SAMPLE_RATE
    released = max((note.offset for note in notes), default=0.0)
    seconds = min(max(end - released, MIN_FADE), MAX_FADE)
    n_fade = min(seconds_to_samples(seconds, PIANO_SAMPLE_RATE), n_samples)
    fade = np.cos(0.5 * np.pi * np.arange(1, n_fade + 1) / max(n_fade, 1)) ** 2
    fade[-1:] = 0.0
    return np.asarray(fade, dtype=np.float32)


def normalizing_gain(meter: LoudnessMeter) -> float:
    """Compute the gain to ``LOUDNESS``, limited by ``TRUE_PEAK`` less a margin for rounding to 16 bits."""
    if meter.loudness <= SILENCE_LUFS or meter.true_peak == 0.0:
        return 1.0
    return min(float(10.0 ** ((LOUDNESS - meter.loudness) / 20.0)), peak_gain(meter))


def peak_gain(meter: LoudnessMeter) -> float:
    """Compute the gain that brings the largest peak to ``TRUE_PEAK``, less a margin for rounding to 16 bits."""
    return float(10.0 ** ((TRUE_PEAK - 0.05) / 20.0) / max(meter.true_peak, 1e-9))
