"""What each of the three models learns: its settings, its columns, its loss, and the figure that it is chosen by."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor

from hf_model.augment import AugmentConfig, augment
from hf_model.config import VOICE_STFT, check_choice, check_range, to_mapping
from hf_model.dataset import hash_seed
from hf_model.decoder_fit import Decode, fit_decoder
from hf_model.decoding import DecoderConfig
from hf_model.direct import Direct, DirectConfig, direct_loss
from hf_model.frontend import set_level
from hf_model.losses import transcriber_loss
from hf_model.note_matching import Matches, add_matches, match_notes
from hf_model.notes import Note
from hf_model.pretrained import Pretrained
from hf_model.stft import istft
from hf_model.synthesizer import Synthesizer, SynthesizerConfig, synthesizer_loss
from hf_model.transcriber import Posteriors, Transcriber, TranscriberConfig


@dataclass(frozen=True)
class FitConfig:
    """How a model is trained.

    Attributes
    ----------
    steps, warmup_steps : int
        Optimizer steps; the learning rate rises over the warm-up and falls to 1 % along a cosine.
    batch_size : int
        Crops a step, of all processes together.
    crop_frames : int
        Frames of a crop (100 a second).
    learning_rate, weight_decay, clip : float
        AdamW's, and the largest norm of the gradient.
    ema : float
        Share of the running average of the weights that survives a step; the average is what is validated and kept.
    validate_every : int
        Steps.
    patience : int
        Validations without a better figure before training stops.
    valid_segments : int
        Segments of the valid split that are looked at.
    precision : str
        "bf16" or "float32".
    corpora : tuple of str
        Only these; all when empty.
    seed : int
    """

    steps: int = 400
    warmup_steps: int = 50
    batch_size: int = 16
    crop_frames: int = 400
    learning_rate: float = 2.0e-3
    weight_decay: float = 0.01
    clip: float = 1.0
    ema: float = 0.98
    validate_every: int = 100
    patience: int = 10
    valid_segments: int = 64
    precision: str = "bf16"
    corpora: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse impossible values."""
        for name in ("steps", "batch_size", "validate_every", "patience", "valid_segments"):
            check_range(name, getattr(self, name), 1, 100_000_000)
        check_range("crop_frames", self.crop_frames, 32, 100_000)
        check_range("learning_rate", self.learning_rate, 1e-8, 1.0)
        check_range("ema", self.ema, 0.0, 0.99999)
        check_choice("precision", self.precision, ("bf16", "float32"))


class Task(ABC):
    """One model and how it learns."""

    columns: tuple[str, ...]
    metric: str
    """Name of the figure that models are chosen by; ``higher_is_better`` says which way."""
    higher_is_better: bool
    model: Pretrained
    fit: FitConfig

    @abstractmethod
    def losses(self, model: Pretrained, batch: dict[str, Tensor], step: int) -> dict[str, Tensor]:
        """Compute the loss (``loss``) and its parts on a training batch."""

    @abstractmethod
    def examine(self, model: Pretrained, batch: dict[str, Tensor]) -> Any:
        """Look at a validation batch."""

    @abstractmethod
    def summarize(self, parts: Sequence[Any]) -> dict[str, float]:
        """Turn what :meth:`examine` returned into figures, :attr:`metric` among them."""

    def conclude(self, model: Pretrained, batches: Iterable[dict[str, Tensor]]) -> tuple[dict[str, float], dict[str, Any]]:
        """Finish a trained model on the validation batches: figures, and plain values for its ``config.json``."""
        return {}, {}


@dataclass(frozen=True)
class TranscriberTraining:
    """Settings of the transcriber's training (params.yaml: train.transcriber)."""

    model: TranscriberConfig = field(default_factory=TranscriberConfig)
    fit: FitConfig = field(default_factory=FitConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    decoder: DecoderConfig = field(default_factory=DecoderConfig)
    decoder_rounds: int = 60


class TranscriberTask(Task):
    """Voice to notes; chosen by COnPOff."""

    columns = ("voice_stft", "notes")
    metric = "conpoff"
    higher_is_better = True

    def __init__(self, settings: TranscriberTraining) -> None:
        self.settings, self.fit = settings, settings.fit
        self.model: Pretrained = Transcriber(settings.model)

    def losses(self, model: Pretrained, batch: dict[str, Tensor], step: int) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(hash_seed(self.fit.seed, step))
        with torch.no_grad(), torch.autocast(batch["notes"].device.type, enabled=False):
            waveform, notes, n_frames = augment(
                voice_waveform(batch), batch["notes"], batch["n_frames"], self.settings.augment, generator
            )
            waveform = set_level(waveform)
        posteriors: Posteriors = model(waveform)
        with torch.autocast(waveform.device.type, enabled=False):
            return transcriber_loss(posteriors, notes, n_frames, self.settings.model, VOICE_STFT.frame_rate)

    def examine(self, model: Pretrained, batch: dict[str, Tensor]) -> tuple[Matches, float]:
        posteriors: Posteriors = model(set_level(voice_waveform(batch)))
        config = self.settings.model
        loss = transcriber_loss(posteriors, batch["notes"], batch["n_frames"], config, VOICE_STFT.frame_rate)
        found = [match_notes(notes, decode(self.settings.decoder)) for decode, notes in self._waiting(posteriors, batch)]
        return add_matches(found), float(loss["loss"])

    def summarize(self, parts: Sequence[Any]) -> dict[str, float]:
        figures = add_matches([matches for matches, _ in parts]).f_measures()
        return {**figures, "loss": sum(loss for _, loss in parts) / max(1, len(parts))}

    def conclude(self, model: Pretrained, batches: Iterable[dict[str, Tensor]]) -> tuple[dict[str, float], dict[str, Any]]:
        """Fit the decoder to the trained network."""
        waiting = []
        for batch in batches:
            waiting += self._waiting(model(set_level(voice_waveform(batch))), batch)
        decoder, figures = fit_decoder(waiting, self.settings.decoder, self.settings.decoder_rounds, self.fit.seed)
        return {f"fitted_{name}": value for name, value in figures.items()}, {"decoder": to_mapping(decoder)}

    def _waiting(self, posteriors: Posteriors, batch: dict[str, Tensor]) -> list[tuple[Decode, list[Note]]]:
        """Pair each example's posteriors, waiting for decoder settings, with its true notes."""
        probabilities = [torch.sigmoid(item).cpu().numpy() for item in posteriors[:3]]
        pitch = posteriors.pitch.softmax(-1).cpu().numpy()
        pairs: list[tuple[Decode, list[Note]]] = []
        for row, (notes, n_frames) in enumerate(zip(batch["notes"].cpu(), batch["n_frames"].tolist(), strict=True)):
            onset, offset, voicing = (item[row, :n_frames] for item in probabilities)
            decode = partial(self.settings.model.decode, onset, offset, voicing, pitch[row, :n_frames])
            pairs.append((decode, _whole_notes(notes, n_frames / VOICE_STFT.frame_rate)))
        return pairs


@dataclass(frozen=True)
class SynthesizerTraining:
    """Settings of the synthesizer's training (params.yaml: train.synthesizer)."""

    model: SynthesizerConfig = field(default_factory=SynthesizerConfig)
    fit: FitConfig = field(default_factory=FitConfig)


@dataclass(frozen=True)
class DirectTraining:
    """Settings of the direct baseline's training (params.yaml: train.direct)."""

    model: DirectConfig = field(default_factory=DirectConfig)
    fit: FitConfig = field(default_factory=FitConfig)


class _SpectrumTask(Task):
    """A model whose validation figure is its loss."""

    metric = "loss"
    higher_is_better = False

    def losses(self, model: Pretrained, batch: dict[str, Tensor], step: int) -> dict[str, Tensor]:
        raise NotImplementedError

    def examine(self, model: Pretrained, batch: dict[str, Tensor]) -> dict[str, float]:
        return {name: float(value) for name, value in self.losses(model, batch, 0).items()}

    def summarize(self, parts: Sequence[Any]) -> dict[str, float]:
        return {name: sum(part[name] for part in parts) / len(parts) for name in parts[0]}


class SynthesizerTask(_SpectrumTask):
    """Notes to piano."""

    columns = ("piano_stft", "notes")

    def __init__(self, settings: SynthesizerTraining) -> None:
        self.settings, self.fit = settings, settings.fit
        self.model: Pretrained = Synthesizer(settings.model)

    def losses(self, model: Pretrained, batch: dict[str, Tensor], step: int) -> dict[str, Tensor]:
        return synthesizer_loss(model, batch)


class DirectTask(_SpectrumTask):
    """Voice to piano without notes between them, the baseline."""

    columns = ("voice_stft", "piano_stft", "notes")

    def __init__(self, settings: DirectTraining) -> None:
        self.settings, self.fit = settings, settings.fit
        self.model: Pretrained = Direct(settings.model)

    def losses(self, model: Pretrained, batch: dict[str, Tensor], step: int) -> dict[str, Tensor]:
        return direct_loss(model, batch)


TASKS: dict[str, tuple[type[Any], type[Any]]] = {
    "transcriber": (TranscriberTraining, TranscriberTask),
    "synthesizer": (SynthesizerTraining, SynthesizerTask),
    "direct": (DirectTraining, DirectTask),
}
"""For each model: the class of its settings, and its task."""


def voice_waveform(batch: dict[str, Tensor]) -> Tensor:
    """Turn a batch's voice spectra back into audio, (batch, sample) at 16 kHz."""
    spectrum = batch["voice_stft"]
    return istft(spectrum, VOICE_STFT, (spectrum.shape[1] - 1) * VOICE_STFT.hop_length)


def _whole_notes(rows: Tensor, duration: float) -> list[Note]:
    """Read the notes of one example, cut at its ends: rows (note, 4) of onset, offset, pitch, velocity."""
    notes = []
    for onset, offset, pitch, _ in rows.tolist():
        begin, end = max(0.0, onset), min(duration, offset)
        if pitch > 0 and end - begin > 0.02:
            notes.append(Note(begin, end, pitch))
    return notes
