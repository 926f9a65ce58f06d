"""Production of a song: the voice's equaliser, compressor and room, its level over the band, mastering, mp3.

Nothing here delays the voice by more than a sample, so that the times of its notes stay exact.
"""

from __future__ import annotations

import io

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft
from scipy.signal import fftconvolve

from hf_model.alignment.band_audio import BAND_SAMPLE_RATE

Audio = NDArray[np.float32]

BLOCK = BAND_SAMPLE_RATE // 100
"""Samples of the envelopes of compressors: 10 ms."""

QUIET_DB = 25.0
"""Blocks that are so much softer than the loud ones do not count for a level."""

MP3_BITS = (64_000, 96_000, 128_000, 192_000, 320_000)


def active_level(audio: Audio) -> float:
    """Root of the mean power of the parts of audio (channel, sample) in which something sounds; 0 for silence."""
    length = 5 * BLOCK
    mono = np.square(audio, dtype=np.float64).mean(axis=0)
    power = mono[: len(mono) // length * length].reshape(-1, length).mean(axis=1)
    if not power.size or not power.max():
        return 0.0
    return float(np.sqrt(power[power >= np.percentile(power, 95) / 10.0 ** (QUIET_DB / 10.0)].mean()))


def produce_voice(voice: Audio, rng: Generator, wetter: float = 0.0) -> Audio:
    """Filter and compress a voice (sample,), and put it into a stereo room.

    Parameters
    ----------
    voice : ndarray, shape (sample,)
        44.1 kHz.
    rng : Generator
    wetter : float
        dB by which the room is louder (backing vocals).

    Returns
    -------
    ndarray, shape (2, sample)
    """
    knots = rng.uniform(-5.0, 5.0, 8) * (rng.random() < 0.7)
    knots[0] -= 6.0 * rng.random()
    dry = _equalized(voice[None], knots)
    dry = _compressed(dry, float(rng.uniform(0.0, 0.7)))
    if rng.random() < 0.15:  # the same take twice
        dry = dry + 10.0 ** (rng.uniform(-9.0, -3.0) / 20.0) * _detuned(dry, rng)
    level = active_level(dry)
    wet = fftconvolve(dry, _room(rng), axes=1)[:, : voice.shape[-1]]
    wet *= level / max(active_level(wet), 1e-9) * 10.0 ** ((rng.uniform(-30.0, -8.0) + wetter) / 20.0)
    if rng.random() < 0.2:
        wet = wet + _echo(dry, rng)
    return np.asarray(dry + wet, dtype=np.float32)


def master(mix: Audio, rng: Generator) -> Audio:
    """Compress, equalise and limit a mix (2, sample) as on a record, and code it as mp3 half of the time."""
    mix = mix / max(active_level(mix), 1e-9) * 0.12
    mix = _equalized(mix, rng.uniform(-3.0, 3.0, 8))
    mix = _compressed(mix, float(rng.uniform(0.0, 0.5)))
    drive = 10.0 ** (rng.uniform(-6.0, 10.0) / 20.0)
    mix = np.tanh(mix * drive) / max(drive, 1.0)
    mix = mix / max(float(np.abs(mix).max()), 1e-9) * 10.0 ** (rng.uniform(-6.0, -0.1) / 20.0)
    mix = np.asarray(mix, dtype=np.float32)
    return through_mp3(mix, int(rng.choice(MP3_BITS))) if rng.random() < 0.5 else mix


def through_mp3(mix: Audio, bits: int) -> Audio:
    """Encode (2, sample) as mp3 and decode again; the decoder removes the delay, which is in the file's header."""
    import av
    import soundfile

    samples = np.round(np.clip(mix, -1.0, 1.0) * 32767.0).astype(np.int16)
    encoded = io.BytesIO()
    with av.open(encoded, "w", format="mp3") as container:
        stream = container.add_stream("libmp3lame", rate=BAND_SAMPLE_RATE)
        stream.bit_rate, stream.layout, stream.format = bits, "stereo", "s16p"
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="s16p", layout="stereo")
        frame.sample_rate = BAND_SAMPLE_RATE
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    decoded, _ = soundfile.read(io.BytesIO(encoded.getvalue()), dtype="float32", always_2d=True)
    fitted = np.zeros_like(mix)
    fitted[:, : len(decoded)] = decoded.T[:, : mix.shape[1]]
    return fitted


def _equalized(audio: Audio, knots: NDArray[np.float64]) -> Audio:
    """Filter by gains in dB at points that are even on a logarithmic axis from 60 Hz to 16 kHz; zero phase."""
    n_samples = audio.shape[-1]
    n_fft = next_fast_len(n_samples + BAND_SAMPLE_RATE // 4, real=True)
    hz = np.maximum(np.fft.rfftfreq(n_fft, 1.0 / BAND_SAMPLE_RATE), 1.0)
    gain = np.interp(np.log(hz), np.linspace(np.log(60.0), np.log(16000.0), len(knots)), knots)
    filtered = irfft(rfft(audio, n_fft) * 10.0 ** (gain / 20.0), n_fft)
    return np.asarray(filtered[..., :n_samples], dtype=np.float32)


def _compressed(audio: Audio, strength: float) -> Audio:
    """Reduce differences of level by a share: envelopes over 50 ms, the same gain for all channels."""
    n_samples, level = audio.shape[-1], active_level(audio)
    if not level:
        return audio
    n_blocks = -(-n_samples // BLOCK)
    padded = np.pad(np.square(audio).mean(axis=0), (0, n_blocks * BLOCK - n_samples))
    power = np.convolve(padded.reshape(n_blocks, BLOCK).mean(axis=1), np.full(5, 0.2), mode="same")
    gain = ((np.sqrt(power) + 0.1 * level) / level) ** -strength
    centres = (np.arange(n_blocks) + 0.5) * BLOCK
    return np.asarray(audio * np.interp(np.arange(n_samples), centres, gain), dtype=np.float32)


def _room(rng: Generator) -> NDArray[np.float64]:
    """Impulse response (2, sample) of a reverberation without the direct sound."""
    seconds = float(rng.choice([rng.uniform(0.25, 0.8), rng.uniform(0.8, 2.8)]))
    times = np.arange(int(seconds * BAND_SAMPLE_RATE)) / BAND_SAMPLE_RATE
    tail = rng.standard_normal((2, len(times))) * 10.0 ** (-3.0 * times / seconds)
    width = rng.uniform(0.2, 1.0)
    tail[1] = width * tail[1] + (1.0 - width) * tail[0]
    tail = np.diff(tail, axis=1, append=0.0) * rng.uniform(0.0, 0.8) + tail * rng.uniform(0.2, 1.0)
    return np.pad(tail, ((0, 0), (int(rng.uniform(0.002, 0.05) * BAND_SAMPLE_RATE), 0)))


def _detuned(dry: Audio, rng: Generator) -> Audio:
    """Play the voice once more, a little later and out of tune by a slow modulation of the delay."""
    times = np.arange(dry.shape[-1]) / BAND_SAMPLE_RATE
    rate, depth = rng.uniform(0.3, 1.2), rng.uniform(0.0005, 0.0025)
    delay = rng.uniform(0.012, 0.03) + depth * np.sin(2 * np.pi * (rate * times + rng.random()))
    return np.asarray(np.interp(times - delay, times, dry[0], left=0.0)[None], dtype=np.float32)


def _echo(dry: Audio, rng: Generator) -> Audio:
    """Repeat the voice twice, softer."""
    step, gain = int(rng.uniform(0.15, 0.6) * BAND_SAMPLE_RATE), 10.0 ** (rng.uniform(-22.0, -11.0) / 20.0)
    echoed = np.zeros_like(dry)
    for number in (1, 2):
        if number * step < dry.shape[-1]:
            echoed[..., number * step :] += gain**number * dry[..., : -number * step]
    return echoed
