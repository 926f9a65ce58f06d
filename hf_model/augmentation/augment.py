"""The world around a voice, for training: rooms, noise, microphones, telephones, other voices, tempo and tuning."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hf_model.augmentation.backgrounds import beside
from hf_model.config import check_range
from hf_model.parallel.distributed import before, my_share, n_processes

SHARES = (
    "room", "noise", "colour", "phone", "clip", "neighbour", "background", "voiceless", "codec", "compress"
)  # fmt: skip
"""Settings that are shares of the examples."""

HUM_SHARE = 0.15
"""Of the examples, those that get mains hum."""


@dataclass(frozen=True)
class AugmentConfig:
    """How much of the world is added.

    Attributes
    ----------
    stretch : float
        Recordings are played up to this factor faster or slower, pitch and tempo together (1 is off).
    room, noise, colour, phone, clip, neighbour : float
        Share of the examples that get a room, noise, another microphone, a telephone band, clipping, a second voice.
    background, voiceless : float
        Share that gets a street, rain, talk or music, and share in which that is all: no voice and no notes.
    codec, compress : float
        Share that goes through a coder of a low bit rate, and through a compressor of the loudness.
    snr_low, snr_high : float
        dB, of the noise and of what sounds in the background.
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
        """Refuse impossible shares."""
        check_range("stretch", self.stretch, 1.0, 2.0)
        for name in SHARES:
            check_range(name, getattr(self, name), 0.0, 1.0)
        check_range("snr_low", self.snr_low, -10.0, 60.0)
        check_range("snr_high", self.snr_high, self.snr_low, 80.0)


def augment(
    waveform: Tensor, notes: Tensor, n_frames: Tensor, config: AugmentConfig, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Put each voice of a batch into a world of its own; the time it is heard at stays.

    Parameters
    ----------
    waveform : Tensor, shape (batch, sample)
        16 kHz.
    notes : Tensor, shape (batch, note, 4)
        onset, offset (s), pitch, velocity; padding rows have pitch 0.
    n_frames : Tensor, shape (batch,)
        Real frames of each example (100 a second).
    generator : torch.Generator
        On the CPU; draws all decisions, so that a resumed run continues exactly. Processes that share a step's batch
        out each draw for all of it, so that an example's world does not depend on how many they are.

    Returns
    -------
    tuple
        waveform, notes and n_frames, changed together; the batch's length may differ.
    """
    draw = _Draw(waveform.shape[0] * n_processes(), waveform.device, generator)
    waveform, notes, n_frames = _stretch(waveform, notes, n_frames, config.stretch, draw)
    level = waveform.square().mean(1, keepdim=True).sqrt().clamp_min(1e-5)
    others = before(waveform) * draw.decibels(-30, -14)
    waveform = waveform + others * draw.chosen(config.neighbour)
    singing = 1 - draw.chosen(config.voiceless)
    waveform, notes = waveform * singing, notes * singing[:, :, None]
    waveform = _compressed(waveform, level, config, draw)
    waveform = _filtered(waveform, _room_and_microphone(waveform, config, draw))
    waveform = waveform + _noise(waveform, level, config, draw) + _background(waveform, level, config, draw)
    waveform = _coded(waveform, config, draw)
    waveform = _filtered(waveform, _telephone(waveform, config, draw))
    drive = draw.decibels(0, 24) / waveform.abs().amax(1, keepdim=True).clamp_min(1e-5)
    clipped = (waveform * drive).clamp(-1, 1) / drive
    chosen = draw.chosen(config.clip)
    waveform = clipped * chosen + waveform * (1 - chosen)
    return waveform * draw.decibels(-3, 3), notes, n_frames


class _Draw:
    """Random numbers, one a row of the step's batch, of which this process gets its rows: shape (batch, 1)."""

    def __init__(self, total: int, device: torch.device, generator: torch.Generator) -> None:
        self.total, self.rows, self.device, self.generator = total, my_share(total), device, generator

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
        """Noise made where it is used, (batch, n_samples), from a seed that the generator draws."""
        seed = int(torch.randint(0, 2**62, (1,), generator=self.generator))
        local = torch.Generator(self.device).manual_seed(seed)
        return torch.randn(self.total, n_samples, device=self.device, generator=local)[self.rows]


def _stretch(
    waveform: Tensor, notes: Tensor, n_frames: Tensor, most: float, draw: _Draw
) -> tuple[Tensor, Tensor, Tensor]:
    """Resample the whole batch by one factor in the Fourier domain: pitch and tempo move together."""
    if most == 1.0:
        return waveform, notes, n_frames
    old = waveform.shape[1]
    new = _fast_length(old * most ** (2 * draw.one() - 1))
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
    """Nearest multiple of the 160-sample hop whose Fourier transform is fast (no prime factor above 5)."""
    wanted = max(1, round(n_samples / 160))
    return 160 * next(
        frames
        for distance in range(wanted)
        for frames in (wanted - distance, wanted + distance)
        if (60**20) % frames == 0  # 60 = 2 * 2 * 3 * 5
    )


def _filtered(waveform: Tensor, response: Tensor) -> Tensor:
    """Filter by a frequency response of twice the length: (batch, sample)."""
    n_samples = waveform.shape[1]
    filtered: Tensor = torch.fft.irfft(torch.fft.rfft(waveform, n=2 * n_samples) * response, n=2 * n_samples)
    return filtered[:, :n_samples]


def _curve(knots: Tensor, n_bins: int) -> Tensor:
    """Smooth gain over frequency: knots in dB (batch, knot) on a square-root axis of frequency, to (batch, bin)."""
    position = torch.linspace(0, 1, n_bins, device=knots.device).sqrt() * (knots.shape[1] - 1)
    left = position.floor().long().clamp_max(knots.shape[1] - 2)
    share = position - left
    return torch.pow(10.0, (knots[:, left] * (1 - share) + knots[:, left + 1] * share) / 20)


def _room_and_microphone(waveform: Tensor, config: AugmentConfig, draw: _Draw) -> Tensor:
    """Frequency response of a decaying-noise room behind a coloured microphone: (batch, bin), complex."""
    n_samples = waveform.shape[1]
    length = 16000
    times = torch.arange(length, device=waveform.device) / 16000
    decay = torch.exp(-6.9 * times / draw.uniform(0.1, 0.9))
    tail = draw.gaussian(length) * decay
    tail = tail / tail.square().sum(1, keepdim=True).sqrt() * draw.decibels(-15, 4) * draw.chosen(config.room)
    tail = torch.cat([torch.zeros_like(tail[:, :32]), tail[:, 32:]], dim=1)  # the direct sound comes first, by 2 ms
    tail[:, 0] += 1.0
    response: Tensor = torch.fft.rfft(tail, n=2 * n_samples)
    knots = draw.uniform(-10, 10, 12) * draw.chosen(config.colour)
    return response * _curve(knots, response.shape[1])


def _noise(waveform: Tensor, level: Tensor, config: AugmentConfig, draw: _Draw) -> Tensor:
    """Coloured noise and mains hum, (batch, sample)."""
    n_samples = waveform.shape[1]
    spectrum = torch.fft.rfft(draw.gaussian(n_samples))
    slope = torch.arange(1, spectrum.shape[1] + 1, device=waveform.device) / spectrum.shape[1]
    shaped = spectrum * slope ** -draw.uniform(0.0, 1.2) * _curve(draw.uniform(-10, 10, 6), spectrum.shape[1])
    noise = torch.fft.irfft(shaped, n=n_samples)
    noise = noise / noise.square().mean(1, keepdim=True).sqrt().clamp_min(1e-9)
    times = torch.arange(n_samples, device=waveform.device) / 16000
    mains = torch.where(draw.uniform(0, 1) < 0.5, 50.0, 60.0)
    partials = [torch.sin(2 * torch.pi * mains * k * times + draw.uniform(0, 6.28)) / k for k in (1, 2, 3, 5)]
    hum = torch.stack(partials).sum(0)
    swell = 1 + draw.uniform(0, 0.9) * torch.sin(2 * torch.pi * draw.uniform(0.05, 2) * times + draw.uniform(0, 6.28))
    snr = torch.pow(10.0, -draw.uniform(config.snr_low, config.snr_high) / 20)
    hiss: Tensor = noise * swell * snr * draw.chosen(config.noise)
    return level * (hiss + hum * draw.decibels(-45, -20) * draw.chosen(HUM_SHARE))


def _background(waveform: Tensor, level: Tensor, config: AugmentConfig, draw: _Draw) -> Tensor:
    """Street, rain, talk, music: (batch, sample)."""
    loud = level * draw.decibels(-config.snr_high, -config.snr_low) * draw.chosen(config.background)
    choice, place = draw.uniform(0, 1).cpu()[:, 0], draw.uniform(0, 1).cpu()[:, 0]
    sound = torch.zeros_like(waveform)
    rows = torch.nonzero(loud[:, 0])[:, 0].cpu()
    if len(rows):
        sound[rows] = beside(choice[rows], place[rows], waveform.shape[1]).to(waveform.device)
    return loud * sound


def _compressed(waveform: Tensor, level: Tensor, config: AugmentConfig, draw: _Draw) -> Tensor:
    """Even the loudness out as an automatic gain does: what is louder than the mean is turned down, and back."""
    power = torch.nn.functional.avg_pool1d(waveform[:, None].square(), 801, stride=160, padding=400)
    gain = ((power.sqrt() + 0.03 * level[:, :, None]) / level[:, :, None]).log()
    gain = torch.nn.functional.interpolate(gain, waveform.shape[1], mode="linear", align_corners=True)[:, 0]
    strength = draw.uniform(0.2, 0.7) * draw.chosen(config.compress)
    return waveform * torch.exp(-strength * gain)


def _coded(waveform: Tensor, config: AugmentConfig, draw: _Draw) -> Tensor:
    """Lose what a coder of a low bit rate loses: weak bins beside strong ones, in steps, and the highest band."""
    rows = torch.nonzero(draw.chosen(config.codec)[:, 0])[:, 0]
    depth, top = draw.uniform(6, 24), draw.uniform(3500, 8000)
    if not len(rows):
        return waveform
    window = torch.hann_window(1024, device=waveform.device).sqrt()
    spectrum = torch.stft(waveform[rows], 1024, 512, window=window, return_complex=True)
    size = spectrum.abs()
    peak = torch.nn.functional.max_pool2d(size[:, None], (17, 1), stride=1, padding=(8, 0))[:, 0]
    step = peak * torch.pow(10.0, -depth[rows] / 20)[:, :, None]
    kept = (size / step.clamp_min(1e-9)).round() * step
    hz = torch.linspace(0, 8000, 513, device=waveform.device)
    spectrum = spectrum * (kept / size.clamp_min(1e-9)) * (hz < top[rows])[:, :, None]
    changed = waveform.clone()
    changed[rows] = torch.istft(spectrum, 1024, 512, window=window, length=waveform.shape[1])
    return changed


def _telephone(waveform: Tensor, config: AugmentConfig, draw: _Draw) -> Tensor:
    """Frequency response of a narrow band, (batch, bin): a telephone, a small loudspeaker, a low-rate codec."""
    hz = torch.linspace(0, 8000, waveform.shape[1] + 1, device=waveform.device)
    low, high = draw.uniform(100, 450), draw.uniform(2800, 7000)
    band = torch.sigmoid((hz - low) / 30) * torch.sigmoid((high - hz) / 120)
    chosen = draw.chosen(config.phone)
    return band * chosen + (1 - chosen)
