"""The synthesizer's excitation: notes to audio from the table of partials.

For training, :mod:`hf_model.synthesizer.trainable_excitation` computes the same in torch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from hf_model.audio.grid import PIANO_SAMPLE_RATE, PIANO_STFT
from hf_model.notes.note import HIGHEST_KEY, LOWEST_KEY
from hf_model.piano.mdct_codec import POWER
from hf_model.synthesizer.partials import (
    BODY_REACH,
    BODY_SAMPLES,
    BODY_STEP,
    HAMMER_SAMPLES,
    KNOTS,
    LAST_SOFT,
    N_BANDS,
    PartialTable,
    body_kernel,
    decode_gain,
    gain_positions,
    interpolation,
    knot_weights,
)

N_KEYS = HIGHEST_KEY - LOWEST_KEY + 1
HOP = PIANO_STFT.hop_length
MARGIN = PIANO_STFT.n_fft // 2
"""Samples before the first and after the last frame's centre that lie in the frames' windows."""

SILENCE_DB = 64.0
"""Damping after which a released note is cut."""

RISE_SAMPLES = 24
"""Fade-in of half a millisecond: between the velocity layers, hammer and partials do not quite cancel at the onset."""

SILENT = 1e-4
"""Amplitude of the sum of a key's partials below which they end (80 dB under a loud note)."""

FACTOR_KNOTS = np.array([0, 2, 4, 8, 16, 30, 50, 80, 140, 260, 500, 1000])
"""Blocks after the onset at which the trainable factors of envelopes are defined."""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class SoundingNote:
    """A note that sounds within the rendered frames; times in samples of the audio, which has ``MARGIN`` in front.

    ``key`` counts from the lowest one; ``release`` is in dB a second; ``layers`` are the two velocity layers and
    ``mix`` their gains; ``row`` is that of the table; ``silent`` the samples after the onset when it has died away.
    """

    start: int
    held: int
    key: int
    velocity: int
    release: float
    layers: NDArray[np.int64]
    mix: Floats

    @property
    def row(self) -> int:
        """Row of the table."""
        return self.key + N_KEYS * (self.velocity > LAST_SOFT)

    @property
    def silent(self) -> int:
        """Samples after the onset at which the note is damped by ``SILENCE_DB``."""
        return self.held + int(SILENCE_DB / self.release * PIANO_SAMPLE_RATE)

    def damping(self, since: NDArray[np.int64]) -> Floats:
        """Compute the damper's gain, ``since`` samples after the onset."""
        late = np.maximum(since - self.held, 0) / PIANO_SAMPLE_RATE
        return db_to_amplitude(-self.release * late)


class Excitation:
    """Renders notes from the table of partials.

    Parameters
    ----------
    table : PartialTable
    factor : ndarray, shape (partial, len(FACTOR_KNOTS), 2), optional
        Trained factors of the envelopes less one, real and imaginary part.
    """

    def __init__(self, table: PartialTable, factor: Floats | None = None) -> None:
        self.table = table
        self._level, self._phase = decode_gain(table.gain)
        self._below, self._share = gain_positions()
        self._body_matrix = body_matrix()
        self._knot_weights = knot_weights(int(KNOTS[-1]) + 2)
        self._last_block = last_blocks(table)
        envelope = table.envelope.astype(np.float32)
        self._envelope = envelope[..., 0] + 1j * envelope[..., 1]  # (partial, knot)
        if factor is not None:
            trained = interpolation(KNOTS, FACTOR_KNOTS) @ factor
            self._envelope *= 1.0 + trained[..., 0] + 1j * trained[..., 1]

    def select_notes(self, notes: NDArray[np.float64], n_frames: int) -> list[SoundingNote]:
        """Select the notes (note, 4) that sound within ``n_frames`` frames.

        Their columns are onset and offset in seconds from the first frame's centre, MIDI number and velocity.
        """
        selected = []
        for onset, offset, pitch, level in notes:
            start, end = (math.floor(time * PIANO_SAMPLE_RATE + 0.5) + MARGIN for time in (onset, offset))
            key, velocity = round(pitch) - LOWEST_KEY, min(max(round(level), 1), 127)
            below = max(int(np.searchsorted(self.table.velocities, velocity, side="right")) - 1, 0)
            layers = np.array([below, min(below + 1, len(self.table.velocities) - 1)])
            release, mix = float(self.table.release[key, velocity]), self.table.mix[key, velocity]
            note = SoundingNote(start, max(end - start, HOP), key, velocity, release, layers, mix)
            silent = end + int(SILENCE_DB / release * PIANO_SAMPLE_RATE)
            if start < (n_frames - 1) * HOP + 2 * MARGIN and silent > 0:
                selected.append(note)
        return selected

    def render(self, sounding: list[SoundingNote], n_frames: int) -> Floats:
        """Render all but the noise: (sample,), ``MARGIN`` samples before and after the frames' centres."""
        n_samples = (n_frames - 1) * HOP + 2 * MARGIN
        audio = np.zeros(n_samples + 2 * HAMMER_SAMPLES, dtype=np.float32)
        rise = (0.5 - 0.5 * np.cos(np.arange(RISE_SAMPLES) * (math.pi / RISE_SAMPLES))).astype(np.float32)
        for note in sounding:
            for delay, sound in (self._hammer(note), self._body(note, n_samples), self._partials(note, n_samples)):
                begin = note.start + delay + HAMMER_SAMPLES
                if delay == 0:
                    sound[:RISE_SAMPLES] *= rise[: len(sound)]
                if len(sound):
                    audio[begin : begin + len(sound)] += sound
        return audio[HAMMER_SAMPLES : HAMMER_SAMPLES + n_samples]

    def _hammer(self, note: SoundingNote) -> tuple[int, Floats]:
        """Render the attack: samples after the onset, and the audio from there on."""
        if note.start <= -HAMMER_SAMPLES:
            return 0, np.zeros(0, dtype=np.float32)
        peak = self.table.hammer_peak[note.key, note.layers] * note.mix
        sound = waveform(self.table.hammer[note.key, note.layers], peak).sum(axis=0)
        return 0, sound * note.damping(np.arange(HAMMER_SAMPLES))

    def _body(self, note: SoundingNote, n_samples: int) -> tuple[int, Floats]:
        """Render the body, from its first to its last audible block."""
        stop = min(max(min(note.silent, n_samples - note.start), 0), BODY_SAMPLES * BODY_STEP)
        first, last = max(0, -note.start) // BODY_STEP, -(-stop // BODY_STEP)
        if last <= first:
            return 0, np.zeros(0, dtype=np.float32)
        begin, end = max(0, first - BODY_REACH), min(BODY_SAMPLES, last + BODY_REACH)
        gain = (self.table.body_gain[note.key, note.layers] * note.mix).sum()
        level = waveform(self.table.body[note.row, begin:end], self.table.body_peak[note.row] * gain)
        level = np.pad(level, (begin - first + BODY_REACH, last + BODY_REACH - end))
        sound = (sliding_window_view(level, 2 * BODY_REACH + 1) @ self._body_matrix).reshape(-1)
        return first * BODY_STEP, sound * note.damping(np.arange(len(sound)) + first * BODY_STEP)

    def _partials(self, note: SoundingNote, n_samples: int) -> tuple[int, Floats]:
        """Render the partials, from their first to their last audible block.

        Within a block each partial is a line between two envelope values times a rotation that all blocks share, so
        that one matrix product computes all blocks.
        """
        stop = max(min(note.silent, n_samples - note.start), 0)
        last = min(-(-stop // HOP), int(self._last_block[note.row]))
        first = min(max(-note.start, 0) // HOP, last)
        if last <= first:
            return 0, np.zeros(0, dtype=np.float32)
        own = slice(self.table.first[note.row], self.table.first[note.row + 1])
        turn = 2.0 * math.pi / PIANO_SAMPLE_RATE * self.table.frequency[own]
        edges = np.arange(first, last + 1)
        line = (self._knot_weights[first : last + 1] @ self._envelope[own].T) * phasor(edges[:, None] * HOP * turn)
        below, share = self._below[note.velocity], self._share[note.velocity]
        level, phase = (lerp(part[own, below], part[own, below + 1], share) for part in (self._level, self._phase))
        damped = line * note.damping(edges * HOP)[:, None] * (db_to_amplitude(level) * phase)
        points = np.concatenate([damped[:-1], damped[1:] * phasor(-HOP * turn)], axis=1)
        rotation, rise = phasor(turn[:, None] * np.arange(HOP)), np.arange(HOP, dtype=np.float32) / HOP
        basis = np.concatenate([rotation * (1 - rise), rotation * rise])
        blocks = points.real @ basis.real - points.imag @ basis.imag
        return first * HOP, blocks.reshape(-1)

    def noise_level(self, sounding: list[SoundingNote], n_frames: int) -> Floats:
        """Compute the noise magnitude of all notes together, (frame, band)."""
        centre = np.arange(n_frames) * HOP + MARGIN
        power = np.zeros((n_frames, N_BANDS), dtype=np.float32)
        for note in sounding:
            since = ((centre - note.start) / HOP).astype(np.float32)
            after = np.maximum(since, 0)
            upper = np.minimum(np.searchsorted(KNOTS, after, side="right"), len(KNOTS) - 1)
            share = np.minimum((after - KNOTS[upper - 1]) / (KNOTS[upper] - KNOTS[upper - 1]), 1.0)[:, None]
            noise = self.table.noise[note.row].astype(np.float32)
            late = np.maximum(centre - note.start - note.held, 0) / PIANO_SAMPLE_RATE
            # 20 dB less for each frame before the onset, whose window only reaches into it.
            level = lerp(noise[upper - 1], noise[upper], share) + (20.0 * np.minimum(since, 0))[:, None]
            below, nearness = self._below[note.velocity], self._share[note.velocity]
            gain = self.table.noise_gain[note.row, below : below + 2].astype(np.float32)
            power += db_to_amplitude(level - (late * note.release)[:, None] + lerp(gain[0], gain[1], nearness)) ** 2
        return np.asarray(np.sqrt(power + np.float32(1e-12)))


def body_matrix() -> Floats:
    """Build the body's interpolation (neighbour, sample): from its samples to the ``BODY_STEP`` that follow one."""
    half = BODY_REACH * BODY_STEP
    kernel = np.pad(body_kernel(), (0, BODY_STEP))
    distance = BODY_STEP * np.arange(BODY_REACH, -BODY_REACH - 1, -1)[:, None] + np.arange(BODY_STEP)
    return np.asarray(kernel[distance + half], dtype=np.float32)


def last_blocks(table: PartialTable) -> NDArray[np.int64]:
    """Find the block from which on the partials of a row stay below ``SILENT`` together, (row,)."""
    size = np.abs(table.envelope.astype(np.float32)).sum(axis=2)
    per_row = np.add.reduceat(size, table.first[:-1], axis=0)
    loud = np.where(per_row > SILENT, np.arange(len(KNOTS)), 0).max(axis=1)
    return np.asarray(KNOTS[np.minimum(loud + 1, len(KNOTS) - 1)])


def phasor(angle: NDArray[np.float64]) -> NDArray[np.complex64]:
    """Compute exp(i angle) of angles in radians, reduced in float64: float32 is too coarse for late samples."""
    reduced = np.remainder(angle, 2.0 * math.pi).astype(np.float32)
    result = np.empty(angle.shape, dtype=np.complex64)
    np.cos(reduced, out=result.real)
    np.sin(reduced, out=result.imag)
    return result


def waveform(levels: NDArray[np.int8], peak: NDArray[np.float32] | np.float32) -> Floats:
    """Convert 8-bit levels (..., sample) to a waveform whose level 127 is ``peak`` (...)."""
    share = levels.astype(np.float32) / np.float32(127.0)
    return np.asarray(np.sign(share) * np.abs(share) ** np.float32(POWER) * np.asarray(peak)[..., None], np.float32)


def db_to_amplitude(level: NDArray[np.floating]) -> Floats:
    """Convert dB to amplitude."""
    return np.asarray(np.exp(np.asarray(level, dtype=np.float32) * np.float32(math.log(10.0) / 20.0)))


def lerp(start: NDArray[Any], end: NDArray[Any], share: NDArray[np.floating] | np.floating) -> NDArray[Any]:
    """Interpolate linearly."""
    return np.asarray(start + (end - start) * share)
