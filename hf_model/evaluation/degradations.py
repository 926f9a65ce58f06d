"""Degradations of a voice for measuring: street noise, a room, a telephone, a low level, mp3.

Each takes mono audio at any sample rate and returns as many samples without a delay, so that the labels stay valid. The
same seed gives the same recording. Training has augmentations of its own (:mod:`hf_model.augmentation.augment`).
"""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.grid import seconds_to_samples

Audio = NDArray[np.float32]

SNR_DB = 10.0
"""Of the street noise, relative to the level of the singing without rests."""

ROOM_SECONDS = 0.5
"""Time in which the room decays by 60 dB."""

DIRECT_DB = 0.0
"""Energy of the direct sound relative to the reverberation: about two metres from the singer in such a room."""

GAP_SECONDS = 0.003
"""Between the direct sound and the first reflection."""

PHONE_LOW_HZ, PHONE_HIGH_HZ = 300.0, 3400.0

LEVEL_DB = -40.0
"""Gain of the quiet recording, before it is rounded to 16 bits."""

MP3_BITS = 32_000
"""Bits a second."""

_BLOCK_SECONDS = 0.05
_SILENCE_DB = 25.0
"""Blocks this far below the loud ones count as silence."""
_CARS_EVERY = 4.0
"""Seconds between cars, on average."""


def add_street_noise(audio: Audio, sample_rate: int, seed: int = 0, snr_db: float = SNR_DB) -> Audio:
    """Add street noise: steady noise that falls by 4.5 dB an octave, and passing cars.

    Parameters
    ----------
    audio : ndarray, shape (sample,)
    sample_rate : int
        Hz.
    seed : int
    snr_db : float
        Level of the singing (:func:`singing_power`) over the mean level of the noise.
    """
    rng = np.random.default_rng([seed, 0x57])
    n_samples = audio.shape[0]
    noise = _coloured(rng, n_samples, sample_rate, 30.0, 4.5)
    for _ in range(rng.poisson(n_samples / sample_rate / _CARS_EVERY)):
        middle, length = rng.uniform(0.0, n_samples / sample_rate), rng.uniform(0.6, 2.0)
        first = max(0, round((middle - 3 * length) * sample_rate))
        last = min(n_samples, round((middle + 3 * length) * sample_rate))
        swell = np.exp(-0.5 * ((np.arange(first, last) / sample_rate - middle) / length) ** 2)
        car = _coloured(rng, last - first, sample_rate, rng.uniform(60.0, 250.0), 7.0)
        noise[first:last] += rng.uniform(0.5, 1.5) * swell * car
    wanted = singing_power(audio, sample_rate) / 10.0 ** (snr_db / 10.0)
    power = float(np.mean(noise**2)) if n_samples else 0.0
    return np.asarray(audio + noise * np.sqrt(wanted / max(power, 1e-20)), dtype=np.float32)


def singing_power(audio: Audio, sample_rate: int) -> float:
    """Mean power of the singing: of blocks of 50 ms that are at most 25 dB softer than the loud ones."""
    length = seconds_to_samples(_BLOCK_SECONDS, sample_rate)
    blocks = audio[: audio.shape[0] // length * length].reshape(-1, length).astype(np.float64)
    if not blocks.size:
        return float(np.mean(audio.astype(np.float64) ** 2)) if audio.size else 0.0
    power = np.mean(blocks**2, axis=1)
    return float(power[power >= np.percentile(power, 95) / 10.0 ** (_SILENCE_DB / 10.0)].mean())


def put_in_room(audio: Audio, sample_rate: int, seed: int = 0, rt60: float = ROOM_SECONDS) -> Audio:
    """Convolve with a room's impulse response (:func:`room_response`); length and level stay."""
    from scipy.signal import fftconvolve

    wet = fftconvolve(audio.astype(np.float64), room_response(sample_rate, seed, rt60))[: audio.shape[0]]
    power, wet_power = (float(np.mean(np.square(sound, dtype=np.float64))) for sound in (audio, wet))
    return np.asarray(wet * np.sqrt(power / max(wet_power, 1e-20)), dtype=np.float32)


def room_response(sample_rate: int, seed: int = 0, rt60: float = ROOM_SECONDS) -> NDArray[np.float64]:
    """Make an impulse response (sample,): direct sound at sample 0, then noise that decays by 60 dB in ``rt60`` s."""
    n_samples = seconds_to_samples(1.5 * rt60, sample_rate)
    seconds = np.arange(n_samples) / sample_rate
    tail = np.random.default_rng([seed, 0x300]).standard_normal(n_samples) * 10.0 ** (-3.0 * seconds / rt60)
    tail[: seconds_to_samples(GAP_SECONDS, sample_rate)] = 0.0
    tail *= 10.0 ** (-DIRECT_DB / 20.0) / np.sqrt(np.sum(tail**2))
    tail[0] = 1.0
    return np.asarray(tail)


def through_phone(audio: Audio, sample_rate: int, seed: int = 0) -> Audio:  # noqa: ARG001
    """Filter to the band of a telephone, 300-3400 Hz, with edges 100 Hz wide and without a delay."""
    n_fft = _fast(2 * audio.shape[0])
    hz = np.fft.rfftfreq(n_fft, 1.0 / sample_rate)
    rise = np.clip((hz - PHONE_LOW_HZ) / 100.0 + 0.5, 0.0, 1.0)
    fall = np.clip((PHONE_HIGH_HZ - hz) / 100.0 + 0.5, 0.0, 1.0)
    band = np.sin(0.5 * np.pi * np.minimum(rise, fall)) ** 2
    filtered = np.fft.irfft(np.fft.rfft(audio, n_fft) * band, n_fft)[: audio.shape[0]]
    return np.asarray(filtered, dtype=np.float32)


def make_quiet(audio: Audio, sample_rate: int, seed: int = 0, level_db: float = LEVEL_DB) -> Audio:  # noqa: ARG001
    """Lower the level by 40 dB and round to 16 bits, as with a microphone gain that is far too low."""
    return np.asarray(np.round(audio * 10.0 ** (level_db / 20.0) * 32768.0) / 32768.0, dtype=np.float32)


def through_mp3(audio: Audio, sample_rate: int, seed: int = 0, bits: int = MP3_BITS) -> Audio:  # noqa: ARG001
    """Encode as mono mp3 with a constant bit rate and decode again.

    The decoder removes the delay of encoder and decoder, some 1,100 to 1,700 samples, which is in the file's header.
    """
    import av
    import soundfile

    # a coded loud recording overshoots: 16 bits would clip it
    peak = max(1.0, float(np.abs(audio).max(initial=0.0)))
    samples = np.round(audio / peak * 32767.0).astype(np.int16)
    encoded = io.BytesIO()
    with av.open(encoded, "w", format="mp3") as container:
        stream = container.add_stream("libmp3lame", rate=sample_rate)
        stream.bit_rate, stream.layout, stream.format = bits, "mono", "s16p"
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16p", layout="mono")
        frame.sample_rate = sample_rate
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    decoded, _ = soundfile.read(io.BytesIO(encoded.getvalue()), dtype="float32")
    fitted = np.zeros(audio.shape[0], dtype=np.float32)
    fitted[: decoded.shape[0]] = decoded[: audio.shape[0]] * peak
    return fitted


CONDITIONS: dict[str, Callable[[Audio, int, int], Audio]] = {
    "noise": add_street_noise,
    "room": put_in_room,
    "phone": through_phone,
    "quiet": make_quiet,
    "mp3": through_mp3,
}
"""Functions of audio (sample,), its sample rate in Hz, and a seed."""


def _coloured(
    rng: np.random.Generator, n_samples: int, sample_rate: int, corner_hz: float, fall_db: float
) -> NDArray[np.float64]:
    """Make noise (sample,) of unit power, flat up to a corner and falling by so many dB an octave above it."""
    if not n_samples:
        return np.zeros(0)
    n_fft = _fast(n_samples)
    hz = np.fft.rfftfreq(n_fft, 1.0 / sample_rate)
    gain = np.maximum(hz / corner_hz, 1.0) ** (-fall_db / 20.0 / np.log10(2.0))
    gain[0] = 0.0
    noise = np.fft.irfft(np.fft.rfft(rng.standard_normal(n_fft)) * gain, n_fft)[:n_samples]
    return np.asarray(noise / np.sqrt(max(float(np.mean(noise**2)), 1e-20)))


def _fast(n_samples: int) -> int:
    """Next length whose Fourier transform is fast."""
    from scipy.fft import next_fast_len

    return int(next_fast_len(max(n_samples, 1), real=True))
