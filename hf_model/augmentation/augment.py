"""Augmentation of voices for training: room, noise, microphone, telephone, other voices, tempo and pitch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hf_model.audio.grid import VOICE_STFT
from hf_model.augmentation.backgrounds import background_excerpts
from hf_model.config import check_range
from hf_model.parallel.distributed import local_rows, n_processes, previous_in_batch

SHARES = (
    "room", "noise", "colour", "phone", "clip", "neighbour", "background", "voiceless", "codec", "compress"
)  # fmt: skip
"""Settings that are fractions of the examples."""

HUM_SHARE = 0.15
"""Fraction of the examples with mains hum."""


@dataclass(frozen=True)
class AugmentConfig:
    """Strength of the augmentation.

    Attributes
    ----------
    stretch : float
        Maximum factor of speed, faster or slower; pitch and tempo change together (1 is off).
    room, noise, colour, phone, clip, neighbour : float
        Fraction of the examples with a room, noise, another microphone, a telephone band, clipping, a second voice.
    background, voiceless : float
        Fraction with background sound (street, rain, talk, music), and fraction without voice and notes.
    codec, compress : float
        Fraction with the artefacts of a low-bit-rate codec, and with dynamic range compression.
    snr_low, snr_high : float
        Signal-to-noise ratio of noise and background, dB.
    """

    stretch: float = 1.26
    room: float = 0.6
    noise: float = 0.7
    colour: float = 0.7
    phone: float = 0.28
    clip: float = 0.08
    neighbour: float = 0.1
    background: float = 0.35
    voiceless: float = 0.04
    codec: float = 0.12
    compress: float = 0.15
    snr_low: float = 5.0
    snr_high: float = 40.0

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_range("stretch", self.stretch, 1.0, 2.0)
        for name in SHARES:
            check_range(name, getattr(self, name), 0.0, 1.0)
        check_range("snr_low", self.snr_low, -10.0, 60.0)
        check_range("snr_high", self.snr_high, self.snr_low, 80.0)


def augment(
    waveform: Tensor, notes: Tensor, n_frames: Tensor, config: AugmentConfig, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Augment each voice of a batch independently; audio and notes stay aligned.

    Parameters
    ----------
    waveform : Tensor, shape (batch, sample)
        16 kHz.
    notes : Tensor, shape (batch, note, 4)
        onset, offset (s), pitch, velocity; padding rows have pitch 0.
    n_frames : Tensor, shape (batch,)
        Frames of each example without padding (100 per second).
    generator : torch.Generator
        On the CPU; draws all random numbers, so that a resumed run continues exactly. Each process draws for the whole
        batch of a step, so that the augmentation of an example does not depend on the number of processes.

    Returns
    -------
    tuple
        waveform, notes and n_frames; the length of the waveforms may differ.
    """
    draw = _Draw(waveform.shape[0] * n_processes(), waveform.device, generator)
    waveform, notes, n_frames = _stretch(waveform, notes, n_frames, config.stretch, draw)
    level = waveform.square().mean(1, keepdim=True).sqrt().clamp_min(1e-5)
    others = previous_in_batch(waveform) * draw.decibels(-30, -14)
    waveform = waveform + others * draw.chosen(config.neighbour)
    singing = 1 - draw.chosen(config.voiceless)
    waveform, notes = waveform * singing, notes * singing[:, :, None]
    waveform = _compressed(waveform, level, config, draw)
    waveform = _filtered(waveform, _room_and_microphone(waveform, config, draw))
    waveform = waveform + _noise(waveform, level, config, draw) + _background(waveform, level, config, draw)
    waveform = _coded(waveform, config, draw)
    waveform = _filtered(waveform, _telephone(waveform, config, draw))
    gain = draw.decibels(0, 24) / waveform.abs().amax(1, keepdim=True).clamp_min(1e-5)
    clipped = (waveform * gain).clamp(-1, 1) / gain
    chosen = draw.chosen(config.clip)
    waveform = clipped * chosen + waveform * (1 - chosen)
    return waveform * draw.decibels(-3, 3), notes, n_frames


class _Draw:
    """Random numbers for this process' rows of the batch of a step: shape (batch, 1)."""

    def __init__(self, total: int, device: torch.device, generator: torch.Generator) -> None:
        self.total, self.rows, self.device, self.generator = total, local_rows(total), device, generator

    def uniform(self, low: float, high: float, width: int = 1) -> Tensor:
        values = torch.rand(self.total, width, generator=self.generator)[self.rows]
        return (low + (high - low) * values).to(self.device)

    def chosen(self, share: float) -> Tensor:
        return (self.uniform(0, 1) < share).float()

    def decibels(self, low: float, high: float) -> Tensor:
        return torch.pow(10.0, self.uniform(low, high) / 20)

    def one(self) -> float:
        return float(torch.rand(1, generator=self.generator))

    def gaussian(self, n_samples: int) -> Tensor:
        """Gaussian noise (batch, n_samples), generated on the device from a drawn seed."""
        seed = int(torch.randint(0, 2**62, (1,), generator=self.generator))
        local = torch.Generator(self.device).manual_seed(seed)
        return torch.randn(self.total, n_samples, device=self.device, generator=local)[self.rows]


def _stretch(
    waveform: Tensor, notes: Tensor, n_frames: Tensor, max_factor: float, draw: _Draw
) -> tuple[Tensor, Tensor, Tensor]:
    """Resample the whole batch by one factor in the Fourier domain: pitch and tempo change together."""
    if max_factor == 1.0:
        return waveform, notes, n_frames
    old = waveform.shape[1]
    new = _fast_length(old * max_factor ** (2 * draw.one() - 1))
    spectrum = torch.fft.rfft(waveform)
    kept = min(spectrum.shape[1], new // 2 + 1)
    resized = torch.zeros(waveform.shape[0], new // 2 + 1, dtype=spectrum.dtype, device=waveform.device)
    resized[:, :kept] = spectrum[:, :kept]
    factor = new / old
    real = (notes[:, :, 2:3] > 0).float()
    pitch = (notes[:, :, 2:3] - 12 * torch.log2(torch.tensor(factor)).item()) * real
    changed = torch.cat([notes[:, :, :2] * factor, pitch, notes[:, :, 3:]], dim=2)
    frames = (n_frames * factor).round().long().clamp_max(1 + new // 160)
    return torch.fft.irfft(resized, n=new) * factor, changed, frames


def _fast_length(n_samples: float) -> int:
    """Nearest multiple of the 160-sample hop with a fast Fourier transform (no prime factor above 5)."""
    target = max(1, round(n_samples / 160))
    return 160 * next(
        frames
        for distance in range(target)
        for frames in (target - distance, target + distance)
        if (60**20) % frames == 0  # 60 = 2 * 2 * 3 * 5
    )


def _filtered(waveform: Tensor, response: Tensor) -> Tensor:
    """Filter by a frequency response of twice the length: (batch, sample)."""
    n_samples = waveform.shape[1]
    filtered: Tensor = torch.fft.irfft(torch.fft.rfft(waveform, n=2 * n_samples) * response, n=2 * n_samples)
    return filtered[:, :n_samples]


def _equalizer(knots: Tensor, n_bins: int) -> Tensor:
    """Interpolate gains in dB (batch, knot) on a square-root frequency axis to linear gains (batch, bin)."""
    position = torch.linspace(0, 1, n_bins, device=knots.device).sqrt() * (knots.shape[1] - 1)
    left = position.floor().long().clamp_max(knots.shape[1] - 2)
    share = position - left
    return torch.pow(10.0, (knots[:, left] * (1 - share) + knots[:, left + 1] * share) / 20)


def _room_and_microphone(waveform: Tensor, config: AugmentConfig, draw: _Draw) -> Tensor:
    """Complex frequency response (batch, bin) of a room (decaying noise) and a microphone (equaliser)."""
    n_samples = waveform.shape[1]
    length = VOICE_STFT.sample_rate
    times = torch.arange(length, device=waveform.device) / VOICE_STFT.sample_rate
    decay = torch.exp(-6.9 * times / draw.uniform(0.1, 0.9))
    tail = draw.gaussian(length) * decay
    tail = tail / tail.square().sum(1, keepdim=True).sqrt() * draw.decibels(-15, 4) * draw.chosen(config.room)
    tail = torch.cat([torch.zeros_like(tail[:, :32]), tail[:, 32:]], dim=1)  # the direct sound leads by 2 ms
    tail[:, 0] += 1.0
    response: Tensor = torch.fft.rfft(tail, n=2 * n_samples)
    knots = draw.uniform(-10, 10, 12) * draw.chosen(config.colour)
    return response * _equalizer(knots, response.shape[1])


def _noise(waveform: Tensor, level: Tensor, config: AugmentConfig, draw: _Draw) -> Tensor:
    """Coloured noise and mains hum, (batch, sample)."""
    n_samples = waveform.shape[1]
    spectrum = torch.fft.rfft(draw.gaussian(n_samples))
    slope = torch.arange(1, spectrum.shape[1] + 1, device=waveform.device) / spectrum.shape[1]
    shaped = spectrum * slope ** -draw.uniform(0.0, 1.2) * _equalizer(draw.uniform(-10, 10, 6), spectrum.shape[1])
    noise = torch.fft.irfft(shaped, n=n_samples)
    noise = noise / noise.square().mean(1, keepdim=True).sqrt().clamp_min(1e-9)
    times = torch.arange(n_samples, device=waveform.device) / VOICE_STFT.sample_rate
    mains = torch.where(draw.uniform(0, 1) < 0.5, 50.0, 60.0)
    partials = [torch.sin(2 * torch.pi * mains * k * times + draw.uniform(0, 6.28)) / k for k in (1, 2, 3, 5)]
    hum = torch.stack(partials).sum(0)
    swell = 1 + draw.uniform(0, 0.9) * torch.sin(2 * torch.pi * draw.uniform(0.05, 2) * times + draw.uniform(0, 6.28))
    snr = torch.pow(10.0, -draw.uniform(config.snr_low, config.snr_high) / 20)
    scaled: Tensor = noise * swell * snr * draw.chosen(config.noise)
    return level * (scaled + hum * draw.decibels(-45, -20) * draw.chosen(HUM_SHARE))


def _background(waveform: Tensor, level: Tensor, config: AugmentConfig, draw: _Draw) -> Tensor:
    """Background sound (batch, sample)."""
    gain = level * draw.decibels(-config.snr_high, -config.snr_low) * draw.chosen(config.background)
    choice, start = draw.uniform(0, 1).cpu()[:, 0], draw.uniform(0, 1).cpu()[:, 0]
    sound = torch.zeros_like(waveform)
    rows = torch.nonzero(gain[:, 0])[:, 0].cpu()
    if len(rows):
        sound[rows] = background_excerpts(choice[rows], start[rows], waveform.shape[1]).to(waveform.device)
    return gain * sound


def _compressed(waveform: Tensor, level: Tensor, config: AugmentConfig, draw: _Draw) -> Tensor:
    """Compress the dynamic range, as an automatic gain control does."""
    power = torch.nn.functional.avg_pool1d(waveform[:, None].square(), 801, stride=160, padding=400)
    gain = ((power.sqrt() + 0.03 * level[:, :, None]) / level[:, :, None]).log()
    gain = torch.nn.functional.interpolate(gain, waveform.shape[1], mode="linear", align_corners=True)[:, 0]
    strength = draw.uniform(0.2, 0.7) * draw.chosen(config.compress)
    return waveform * torch.exp(-strength * gain)


def _coded(waveform: Tensor, config: AugmentConfig, draw: _Draw) -> Tensor:
    """Simulate a low-bit-rate codec: quantise bins relative to their strongest neighbours, and cut the highest band."""
    rows = torch.nonzero(draw.chosen(config.codec)[:, 0])[:, 0]
    depth, top = draw.uniform(6, 24), draw.uniform(3500, 8000)
    if not len(rows):
        return waveform
    window = torch.hann_window(1024, device=waveform.device).sqrt()
    spectrum = torch.stft(waveform[rows], 1024, 512, window=window, return_complex=True)
    magnitude = spectrum.abs()
    peak = torch.nn.functional.max_pool2d(magnitude[:, None], (17, 1), stride=1, padding=(8, 0))[:, 0]
    step = peak * torch.pow(10.0, -depth[rows] / 20)[:, :, None]
    kept = (magnitude / step.clamp_min(1e-9)).round() * step
    hz = torch.linspace(0, 8000, 513, device=waveform.device)
    spectrum = spectrum * (kept / magnitude.clamp_min(1e-9)) * (hz < top[rows])[:, :, None]
    changed = waveform.clone()
    changed[rows] = torch.istft(spectrum, 1024, 512, window=window, length=waveform.shape[1])
    return changed


def _telephone(waveform: Tensor, config: AugmentConfig, draw: _Draw) -> Tensor:
    """Frequency response (batch, bin) of a telephone or a small loudspeaker."""
    hz = torch.linspace(0, 8000, waveform.shape[1] + 1, device=waveform.device)
    low, high = draw.uniform(100, 450), draw.uniform(2800, 7000)
    band = torch.sigmoid((hz - low) / 30) * torch.sigmoid((high - hz) / 120)
    chosen = draw.chosen(config.phone)
    return band * chosen + (1 - chosen)
