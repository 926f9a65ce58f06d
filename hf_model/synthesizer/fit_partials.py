"""Fit the table of partials: ``python -m hf_model.synthesizer.fit_partials [--source sampled]`` (about ten minutes).

The source is the reference piano, which needs FluidSynth and the sound font, or the sampled piano.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.grid import PIANO_SAMPLE_RATE, PIANO_STFT
from hf_model.audio.spectrogram import magnitude
from hf_model.notes.note import HIGHEST_KEY, LOWEST_KEY, Note
from hf_model.notes.pitch import pitch_to_hz
from hf_model.piano.mdct_codec import POWER
from hf_model.piano.recordings import PianoSet
from hf_model.piano.sampled import SampledPiano
from hf_model.synthesizer.partials import (
    BLOCK,
    BODY_REACH,
    BODY_SAMPLES,
    BODY_STEP,
    GAIN_VELOCITIES,
    HAMMER_SAMPLES,
    KNOTS,
    N_BANDS,
    PartialTable,
    band_weights,
    body_kernel,
    encode_gain,
    knot_weights,
)
from hf_model.weights import WEIGHTS

Audio = NDArray[np.float64]

LOG = logging.getLogger(__name__)

MAX_PARTIALS = 72
FLOOR_DB = 72.0
"""Partials this much weaker than the strongest are left to the noise."""

TOP_HZ = 16000.0

MIN_PARTIALS, PEAK_DISTANCE = 32, 18.0
"""High keys have few harmonic partials: other peaks, at this distance in Hz, are added up to this number."""

STRETCH = (
    np.log2([27.5, 65.4, 131, 262, 523, 1047, 2093, 4186]),
    (3.5e-4, 1.2e-4, 1.1e-4, 3e-4, 1.2e-3, 3e-3, 7e-3, 0.016),
)
"""Initial inharmonicity B over log2 Hz, measured on this instrument; refined for each key."""

SILENT_DB = -120.0

NOISE_BIAS_DB = 2.51
"""Difference between the dB of a noise's mean power and the mean of its dB: ``10 log10(e)`` times Euler's constant."""

LOW_BANDS = int((band_weights()[: int(0.45 * PIANO_STFT.n_fft / BODY_STEP)] > 0).any(axis=0).sum())
"""Bands of noise that reach below the body's upper end."""

MAX_POSITIONS = max(map(len, GAIN_VELOCITIES))


class KeySource(Protocol):
    """A piano whose keys can be recorded one by one."""

    @property
    def piano_set(self) -> PianoSet:
        """Velocity layers, their mix, and the dampers."""
        ...

    def held_key_audio(self, key: int, velocity: int, n_samples: int) -> NDArray[np.float32]:
        """Render a held key as mono (1, sample), at most ``n_samples`` long."""
        ...


class ReferenceKeys:
    """The reference piano, key by key: without the errors of the sampled piano's codec."""

    def __init__(self) -> None:
        from hf_model.piano.fluidsynth import FluidSynthLibrary

        self._piano = FluidSynthLibrary()
        self.piano_set = SampledPiano.load().piano_set

    def held_key_audio(self, key: int, velocity: int, n_samples: int) -> NDArray[np.float32]:
        """Render a held key as mono (1, sample)."""
        held = Note(0.0, n_samples / PIANO_SAMPLE_RATE + 1.0, key, velocity)
        return np.asarray(self._piano.render([held], n_samples).mean(axis=0, keepdims=True), dtype=np.float32)


def find_partials(sound: Audio, f0: float) -> tuple[NDArray[np.float64], float]:
    """Find a key's partials along the inharmonic series ``p f0 sqrt(1 + B p^2)``.

    Returns
    -------
    frequency : ndarray, shape (partial,)
        Hz, strongest first.
    f0 : float
        Hz, fitted.
    """
    n_fft = 1 << 18
    n_used = min(len(sound), n_fft // 2)
    spectrum = np.abs(np.fft.rfft(sound[:n_used] * np.hanning(2 * n_used)[n_used:], n_fft))
    hz = PIANO_SAMPLE_RATE / n_fft
    floor = spectrum.max() * 10 ** (-FLOOR_DB / 20)
    guess_f0, guess_stretch = f0, float(np.interp(np.log2(f0), *STRETCH))
    stretch, found = guess_stretch, []
    for number in range(1, 400):
        guess = number * f0 * np.sqrt(1 + stretch * number**2)
        if guess > TOP_HZ:
            break
        reach = max(0.25 * f0 if number < 4 else min(0.3 * f0, 12 + 0.004 * guess), 3.0)
        low = int((guess - reach) / hz)
        peak = low + int(np.argmax(spectrum[low : int((guess + reach) / hz) + 1]))
        if spectrum[peak] > floor:
            found.append((number, peak * hz, float(spectrum[peak])))
        clear = [item for item in found if item[2] > 14 * floor and item[0] < 60]
        if len(clear) >= 8:
            new_f0, new_stretch = fit_series(clear)
            if abs(new_f0 / guess_f0 - 1) < 0.012 and 0.4 < new_stretch / guess_stretch < 2.5:
                f0, stretch = new_f0, new_stretch
    found.sort(key=lambda item: -item[2])
    frequency = [item[1] for item in found[:MAX_PARTIALS]]
    return np.array(add_peaks(spectrum, hz, floor, frequency)), f0


def fit_series(found: list[tuple[int, float, float]]) -> tuple[float, float]:
    """Fit f0 in Hz and inharmonicity B to (number, Hz, magnitude) of partials: ``(f / p)^2`` is linear in ``p^2``."""
    numbers, peaks = (np.array([item[i] for item in found]) for i in (0, 1))
    slope, squared = np.polyfit(numbers**2, (peaks / numbers) ** 2, 1, w=np.sqrt(numbers))
    return float(np.sqrt(squared)), float(slope / squared)


def add_peaks(spectrum: Audio, hz: float, floor: float, frequency: list[float]) -> list[float]:
    """Add the strongest other peaks up to ``MIN_PARTIALS``: the knock of key and case, mistuned strings."""
    rest = spectrum.copy()
    rest[int(TOP_HZ / hz) :] = 0
    apart = int(PEAK_DISTANCE / hz)
    for known in frequency:
        rest[max(0, int(known / hz) - apart) : int(known / hz) + apart + 1] = 0
    while len(frequency) < MIN_PARTIALS and rest.max() > floor:
        peak = int(np.argmax(rest))
        frequency.append(peak * hz)
        rest[max(0, peak - apart) : peak + apart + 1] = 0
    return frequency


def refine(sound: Audio, frequency: NDArray[np.float64]) -> NDArray[np.float64]:
    """Refine the frequencies (partial,) on 50 to 550 ms, after the attack."""
    part = sound[int(0.05 * PIANO_SAMPLE_RATE) : int(0.55 * PIANO_SAMPLE_RATE)]
    n_fft = 1 << 19
    spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part)), n_fft))
    hz = PIANO_SAMPLE_RATE / n_fft
    reach = int(2.5 / hz)
    starts = (frequency / hz).astype(int) - reach
    return np.array([(start + np.argmax(spectrum[start : start + 2 * reach])) * hz for start in starts])


def fit_envelopes(sound: Audio, frequency: NDArray[np.float64], f0: float) -> NDArray[np.complex128]:
    """Fit complex envelopes (..., partial, knot) to sounds (..., sample): least squares about each knot."""
    sounds = np.atleast_2d(sound)
    n_samples = sounds.shape[1]
    envelope = np.zeros((len(KNOTS), len(sounds), len(frequency)), dtype=complex)
    knots = KNOTS * BLOCK
    angle = 2 * np.pi * np.outer(np.arange(int(0.16 * PIANO_SAMPLE_RATE) + 1) / PIANO_SAMPLE_RATE, frequency)
    rotation = np.concatenate([np.cos(angle), -np.sin(angle)], axis=1)
    for index, knot in enumerate(knots):
        previous, following = knots[max(0, index - 1)], knots[min(index + 1, len(knots) - 1)]
        half = int(min(max((following - previous) // 2, 1.6 / f0 * PIANO_SAMPLE_RATE), 0.08 * PIANO_SAMPLE_RATE))
        begin, end = max(0, knot - half), min(n_samples, knot + half)
        if end - begin < half // 2:
            break
        weight = np.sqrt(np.clip(1 - np.abs(np.arange(begin, end) - knot) / (half + 1), 0, 1))
        basis = rotation[: end - begin] * weight[:, None]
        gram = basis.T @ basis
        gram += 2e-3 * gram[0, 0] * np.eye(len(gram))
        solution = np.linalg.solve(gram, basis.T @ (sounds[:, begin:end] * weight).T).T
        local = solution[:, : len(frequency)] + 1j * solution[:, len(frequency) :]
        envelope[index] = local * np.exp(-2j * np.pi * frequency * begin / PIANO_SAMPLE_RATE)
    return np.moveaxis(envelope, 0, -1).reshape(*np.shape(sound)[:-1], len(frequency), len(KNOTS))


def play_partials(frequency: NDArray[np.float64], envelope: NDArray[np.complex128], n_samples: int) -> Audio:
    """Synthesize audio (sample,) from partials (partial,) with envelopes (partial, knot), as one matrix product."""
    n_blocks = -(-n_samples // BLOCK)
    line = knot_weights(n_blocks + 1) @ envelope.T
    turn = 2j * np.pi * frequency / PIANO_SAMPLE_RATE
    start = np.exp(np.arange(n_blocks)[:, None] * BLOCK * turn)
    rotation = np.exp(turn[:, None] * np.arange(BLOCK))
    rise = np.arange(BLOCK) / BLOCK
    ends = np.concatenate([line[:-1] * start, line[1:] * start], axis=1)
    basis = np.concatenate([rotation * (1 - rise), rotation * rise])
    return np.asarray((ends.real @ basis.real - ends.imag @ basis.imag).reshape(-1)[:n_samples])


def cut_hammer(rest: Audio) -> Audio:
    """Cut the attack (sample,) of the partials' residual, faded out over its second half."""
    fade = np.ones(HAMMER_SAMPLES)
    half = HAMMER_SAMPLES // 2
    fade[half:] = np.cos(np.linspace(0, np.pi / 2, half)) ** 2
    return rest[:HAMMER_SAMPLES] * fade


def cut_body(rest: Audio) -> Audio:
    """Extract the low frequencies (body sample,) of the residual, faded out over the last fifth."""
    half = BODY_REACH * BODY_STEP
    kernel = body_kernel().astype(np.float64) / BODY_STEP
    low = np.convolve(rest, kernel)[half : half + len(rest) : BODY_STEP][:BODY_SAMPLES]
    body = np.pad(low, (0, BODY_SAMPLES - len(low)))
    n_fade = BODY_SAMPLES // 5
    body[-n_fade:] *= np.cos(np.linspace(0, np.pi / 2, n_fade)) ** 2
    return np.asarray(body)


def play_body(body: Audio, n_samples: int) -> Audio:
    """Interpolate a body (body sample,) to audio (sample,)."""
    half = BODY_REACH * BODY_STEP
    used = body[: -(-n_samples // BODY_STEP) + BODY_REACH]
    sparse = np.zeros(len(used) * BODY_STEP)
    sparse[::BODY_STEP] = used
    audio = np.convolve(sparse, body_kernel())[half : half + n_samples]
    return np.pad(audio, (0, n_samples - len(audio)))


def measure_noise(rest: Audio) -> NDArray[np.float64]:
    """Measure the residual's levels in dB (knot, band) on the piano's grid.

    Means of dB over bins and time: they are robust to the residual peaks of partials, and a decay is linear in dB.
    """
    power = magnitude(rest.astype(np.float32), PIANO_STFT.n_fft, BLOCK).astype(np.float64) ** 2
    weights = band_weights()
    bands = (weights / weights.sum(axis=0)).T @ (10 * np.log10(power + 1e-12)) + NOISE_BIAS_DB
    levels = np.full((len(KNOTS), weights.shape[1]), SILENT_DB)
    for index, knot in enumerate(KNOTS):
        reach = max(1, (KNOTS[min(index + 1, len(KNOTS) - 1)] - knot) // 2)
        near = bands[:, max(0, knot - reach + 1) : knot + reach]
        if near.shape[1]:
            levels[index] = np.maximum(SILENT_DB, near.mean(axis=1))
    return levels


def fit_gain(envelope: NDArray[np.complex128], base: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """Fit complex gains (partial,) from base envelopes (partial, knot) to other ones."""
    return np.asarray((envelope * base.conj()).sum(axis=1) / ((np.abs(base) ** 2).sum(axis=1) + 1e-12))


def fit_key(piano: KeySource, key: int, seconds: float) -> dict[str, list[NDArray[Any]]]:
    """Fit both recordings of one key at their loudest velocity, and the gains of the other velocities."""
    layers = {int(v) for v in piano.piano_set.velocities}
    n_samples = int(seconds * PIANO_SAMPLE_RATE)
    result: dict[str, list[NDArray[Any]]] = {"hammer": [], "body_gain": []}
    for velocities in GAIN_VELOCITIES:
        loudest = velocities[-1]
        base = _padded(piano.held_key_audio(key, loudest, n_samples)[0], n_samples)
        frequency, f0 = find_partials(base, float(pitch_to_hz(key)))
        frequency = refine(base, frequency)
        envelope = fit_envelopes(base, frequency, f0)
        gains, noises, body = np.zeros((len(frequency), MAX_POSITIONS), dtype=complex), {}, np.zeros(BODY_SAMPLES)
        layered: dict[int, tuple[Audio, Audio]] = {}
        begin = PIANO_SAMPLE_RATE // 2
        softer = np.array([_padded(piano.held_key_audio(key, v, begin)[0], begin) for v in velocities])
        changed = fit_envelopes(softer, frequency, f0)
        for position, v in reversed(list(enumerate(velocities))):
            n_used, sound = (n_samples, base) if v == loudest else (begin, softer[position])
            gain = fit_gain(changed[position, :, :15], envelope[:, :15])
            gains[:, position] = gain
            rest = sound - play_partials(frequency, envelope * gain[:, None], n_used)
            hammer = cut_hammer(rest)
            rest[:HAMMER_SAMPLES] -= hammer
            low = cut_body(rest)
            body = low if v == loudest else body
            n_body = min(BODY_SAMPLES // 2, n_used // BODY_STEP)
            body_gain = np.array(low[:n_body] @ body[:n_body] / max(float(body[:n_body] @ body[:n_body]), 1e-12))
            layered[v] = hammer, body_gain
            noises[v] = measure_noise(rest - play_body(body * body_gain, n_used))
        noise_gain = np.zeros((MAX_POSITIONS, N_BANDS))
        for position, v in enumerate(velocities):
            noise_gain[position] = (noises[v] - noises[loudest])[:15].mean(axis=0)
            # While the body sounds, almost nothing is left in its bands; the noise after it changes as the body does.
            noise_gain[position, :LOW_BANDS] = 20 * np.log10(abs(float(layered[v][1])) + 1e-6)
        result["hammer"] += [layered[v][0] for v in velocities if v in layers]
        result["body_gain"] += [layered[v][1] for v in velocities if v in layers]
        for name, value in (
            ("frequency", frequency),
            ("envelope", np.stack([envelope.real, envelope.imag], axis=-1)),
            ("gain", encode_gain(gains)),
            ("body", body),
            ("noise", noises[loudest]),
            ("noise_gain", noise_gain),
        ):
            result.setdefault(name, []).append(value)
    return result


def fit_table(piano: KeySource, seconds: float = 10.0) -> PartialTable:
    """Fit all keys."""
    keys = []
    for key in range(LOWEST_KEY, HIGHEST_KEY + 1):
        keys.append(fit_key(piano, key, seconds))
        LOG.info("key %d: %s partials", key, [len(item) for item in keys[-1]["frequency"]])
    names = ("frequency", "envelope", "gain", "body", "noise", "noise_gain")
    rows = {name: [key[name][r] for r in (0, 1) for key in keys] for name in names}
    hammer, hammer_peak = quantise_waveforms(np.array([key["hammer"] for key in keys]))
    body, body_peak = quantise_waveforms(np.array(rows["body"]))
    return PartialTable(
        first=np.cumsum([0, *map(len, rows["frequency"])]).astype(np.int64),
        frequency=np.concatenate(rows["frequency"]),
        envelope=np.concatenate(rows["envelope"]).astype(np.float16),
        gain=np.concatenate(rows["gain"]).astype(np.uint8),
        hammer=hammer,
        hammer_peak=hammer_peak,
        body=body,
        body_peak=body_peak,
        body_gain=np.array([key["body_gain"] for key in keys]).astype(np.float32),
        noise=np.array(rows["noise"]).round().astype(np.int8),
        noise_gain=np.array(rows["noise_gain"]).clip(-127, 127).round().astype(np.int8),
        mix=piano.piano_set.mix,
        release=piano.piano_set.release,
        velocities=piano.piano_set.velocities,
    )


def _padded(sound: NDArray[np.float32], n_samples: int) -> Audio:
    return np.pad(sound.astype(np.float64), (0, n_samples - len(sound)))


def quantise_waveforms(waveforms: Audio) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Round waveforms (..., sample) to 8-bit levels; returns also the peaks (...)."""
    peak = np.abs(waveforms).max(axis=-1, keepdims=True)
    levels = np.sign(waveforms) * np.round(127 * (np.abs(waveforms) / np.maximum(peak, 1e-9)) ** (1 / POWER))
    return levels.astype(np.int8), peak[..., 0].astype(np.float32)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=WEIGHTS / "partials")
    parser.add_argument("--source", choices=("reference", "sampled"), default="reference")
    options = parser.parse_args()
    folder: Path = options.out
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    folder.mkdir(parents=True, exist_ok=True)
    piano: KeySource = ReferenceKeys() if options.source == "reference" else SampledPiano.load(channels=1)
    fit_table(piano).save(folder, options.source)


if __name__ == "__main__":
    main()
