"""Training tasks of the three models: settings, data columns, loss, and validation figures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from hf_model.audio.grid import VOICE_STFT
from hf_model.audio.stft import istft
from hf_model.augmentation.augment import AugmentConfig, augment
from hf_model.config import ConfigError, check_range, to_mapping
from hf_model.direct.network import Direct, DirectConfig
from hf_model.evaluation.note_matching import Matches, add_matches, match_notes
from hf_model.notes.note import Note
from hf_model.parallel.distributed import local_rows, n_processes
from hf_model.pretrained import Pretrained
from hf_model.synthesizer.config import SynthesizerConfig
from hf_model.synthesizer.network import SynthesizerNetwork
from hf_model.training.dataset import hash_seed
from hf_model.training.decoder_tuning import fit_confidence, fit_decoder
from hf_model.training.fit_config import FitConfig
from hf_model.training.losses import direct_loss, synthesizer_loss, transcriber_loss
from hf_model.training.piano_excerpts import ExcerptConfig, PianoExcerpts, with_excerpts
from hf_model.transcriber.config import TranscriberConfig
from hf_model.transcriber.decoding import DecoderConfig, Evidence
from hf_model.transcriber.features import set_level
from hf_model.transcriber.network import Posteriors, TranscriberNetwork
from hf_model.weights import part_of_config

Figures = dict[str, float]

N_VALID_EXCERPTS = 64
"""Number of random excerpts for validation."""


class Task(ABC):
    """A model with its loss and validation.

    Parameters
    ----------
    settings : TranscriberTraining, SynthesizerTraining or DirectTraining
        The initial weights follow from ``settings.fit.seed`` alone.
    """

    model_class: type[Pretrained]
    columns: tuple[str, ...]
    metric: str
    """Name of the validation figure by which the best weights are selected."""
    higher_is_better: bool

    def __init__(self, settings: Any) -> None:
        self.settings = settings
        self.fit: FitConfig = settings.fit
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.fit.seed)
            self.model = self.model_class(settings.model)

    @abstractmethod
    def losses(self, model: Pretrained, batch: dict[str, Tensor], step: int) -> dict[str, Tensor]:
        """Compute the loss (``loss``) and its parts on a training batch."""

    @abstractmethod
    def validation_step(self, model: Pretrained, batch: dict[str, Tensor]) -> Any:
        """Validate one batch."""

    @abstractmethod
    def summarize(self, parts: Sequence[Any]) -> Figures:
        """Compute figures, among them :attr:`metric`, from the results of :meth:`validation_step`."""

    def finish(
        self,
        model: Pretrained,  # noqa: ARG002 - an optional hook
        batches: Iterable[dict[str, Tensor]],  # noqa: ARG002
    ) -> tuple[Figures, dict[str, Any]]:
        """Fit what follows the network to the validation batches: more figures, and values for ``config.json``."""
        return {}, {}


@dataclass(frozen=True)
class TranscriberTraining:
    """Settings of the transcriber's training (params.yaml: train.transcriber).

    ``start`` is the folder of a transcriber of the same shape to fine-tune, with its decoder settings; by default the
    initial weights are random. ``start_share`` is the share of these weights in the final ones, which are interpolated:
    what was learnt before is forgotten less. ``fit_confidence`` fits the confidence of notes to the validation
    recordings, as ``decoder_rounds`` fits the decoder's other settings (0 keeps them).
    """

    model: TranscriberConfig = field(default_factory=TranscriberConfig)
    fit: FitConfig = field(default_factory=FitConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    decoder: DecoderConfig = field(default_factory=DecoderConfig)
    decoder_rounds: int = 60
    fit_confidence: bool = False
    start: str = ""
    start_share: float = 0.0

    def __post_init__(self) -> None:
        """Check the share."""
        check_range("start_share", self.start_share, 0.0, 0.0 if not self.start else 1.0)


class TranscriberTask(Task):
    """Voice to notes, selected by COnPOff."""

    model_class = TranscriberNetwork
    columns = ("voice_stft", "notes")
    metric = "conpoff"
    higher_is_better = True
    settings: TranscriberTraining

    def __init__(self, settings: TranscriberTraining) -> None:
        super().__init__(settings)
        self.decoder, self._start = settings.decoder, dict[str, Tensor]()
        if settings.start:
            trained = TranscriberNetwork.from_pretrained(settings.start)
            if trained.config != settings.model:
                msg = f"start is {settings.start}, whose model has another shape than train.transcriber.model asks for"
                raise ConfigError(msg)
            self.model.load_state_dict(trained.state_dict())
            self.decoder = part_of_config(DecoderConfig, settings.start, trained.facts, "decoder")
            self._start = trained.state_dict()

    def losses(self, model: Pretrained, batch: dict[str, Tensor], step: int) -> dict[str, Tensor]:
        """Cross entropies on voices with the augmentation of the step."""
        waveform, notes, n_frames = self._augmented(batch, hash_seed(self.fit.seed, step))
        posteriors: Posteriors = model(waveform)
        with torch.autocast(waveform.device.type, enabled=False):
            return transcriber_loss(posteriors, notes, n_frames, self.settings.model, VOICE_STFT.frame_rate)

    def validation_step(self, model: Pretrained, batch: dict[str, Tensor]) -> tuple[Matches, float]:
        """Match the decoded notes, and compute the loss."""
        posteriors: Posteriors = model(set_level(voice_waveform(batch)))
        config = self.settings.model
        loss = transcriber_loss(posteriors, batch["notes"], batch["n_frames"], config, VOICE_STFT.frame_rate)
        recordings = self._decoder_inputs(posteriors, batch)
        matches = add_matches([match_notes(notes, evidence.decode(self.decoder)) for evidence, notes in recordings])
        return matches, float(loss["loss"])

    def summarize(self, parts: Sequence[Any]) -> Figures:
        """Compute the note scores over all recordings, and the mean loss."""
        figures = add_matches([matches for matches, _ in parts]).f_measures()
        return {**figures, "loss": sum(loss for _, loss in parts) / max(1, len(parts))}

    def finish(self, model: Pretrained, batches: Iterable[dict[str, Tensor]]) -> tuple[Figures, dict[str, Any]]:
        """Fit the decoder to the final network, on augmented voices as in training: clean ones would bias it."""
        if self.settings.start_share:
            interpolate_weights(model, self._start, self.settings.start_share)
        recordings = []
        for number, batch in enumerate(batches):
            waveform, notes, n_frames = self._augmented(batch, hash_seed(self.fit.seed, number))
            recordings += self._decoder_inputs(model(waveform), {"notes": notes, "n_frames": n_frames})
        pairs = [(evidence.decode, reference) for evidence, reference in recordings]
        decoder, figures = fit_decoder(pairs, self.decoder, self.settings.decoder_rounds, self.fit.seed)
        if self.settings.fit_confidence:
            decoder = fit_confidence(recordings, decoder)
        return {f"fitted_{name}": value for name, value in figures.items()}, {"decoder": to_mapping(decoder)}

    def _augmented(self, batch: dict[str, Tensor], seed: int) -> tuple[Tensor, Tensor, Tensor]:
        """Augment a batch's voices and normalise their level: waveform, notes and n_frames."""
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad(), torch.autocast(batch["notes"].device.type, enabled=False):
            waveform, notes, n_frames = augment(
                voice_waveform(batch), batch["notes"], batch["n_frames"], self.settings.augment, generator
            )
            return set_level(waveform), notes, n_frames

    def _decoder_inputs(self, posteriors: Posteriors, batch: dict[str, Tensor]) -> list[tuple[Evidence, list[Note]]]:
        """Pair each example's evidence with its reference notes."""
        probabilities = [torch.sigmoid(item).cpu().numpy() for item in posteriors[:3]]
        pitch = posteriors.pitch.softmax(-1).cpu().numpy()
        pairs: list[tuple[Evidence, list[Note]]] = []
        for row, (notes, n_frames) in enumerate(zip(batch["notes"].cpu(), batch["n_frames"].tolist(), strict=True)):
            onset, offset, voicing = (item[row, :n_frames] for item in probabilities)
            evidence = self.settings.model.evidence(onset, offset, voicing, pitch[row, :n_frames], self.decoder)
            pairs.append((evidence, _reference_notes(notes, n_frames / VOICE_STFT.frame_rate)))
        return pairs


@dataclass(frozen=True)
class SynthesizerTraining:
    """Settings of the synthesizer's training (params.yaml: train.synthesizer)."""

    model: SynthesizerConfig = field(default_factory=SynthesizerConfig)
    fit: FitConfig = field(default_factory=FitConfig)
    chords: ExcerptConfig = field(default_factory=ExcerptConfig)


@dataclass(frozen=True)
class DirectTraining:
    """Settings of the direct baseline's training (params.yaml: train.direct)."""

    model: DirectConfig = field(default_factory=DirectConfig)
    fit: FitConfig = field(default_factory=FitConfig)


class _SpectrumTask(Task):
    """A model that predicts spectra, validated by its loss."""

    metric = "loss"
    higher_is_better = False
    loss: Callable[[Pretrained, dict[str, Tensor]], dict[str, Tensor]]

    def losses(self, model: Pretrained, batch: dict[str, Tensor], step: int) -> dict[str, Tensor]:  # noqa: ARG002
        """Compare spectra, independently of the step."""
        return type(self).loss(model, batch)

    def validation_step(self, model: Pretrained, batch: dict[str, Tensor]) -> Figures:
        """Compute the losses."""
        return {name: float(value) for name, value in self.losses(model, batch, 0).items()}

    def summarize(self, parts: Sequence[Any]) -> Figures:
        """Compute the mean losses."""
        return {name: sum(part[name] for part in parts) / len(parts) for name in parts[0]}


class SynthesizerTask(_SpectrumTask):
    """Notes to piano; random excerpts replace some examples, since voices cover only a fifth of the keyboard."""

    model_class = SynthesizerNetwork
    columns = ("piano_stft", "notes")
    loss = staticmethod(synthesizer_loss)
    settings: SynthesizerTraining

    def __init__(self, settings: SynthesizerTraining) -> None:
        super().__init__(settings)
        seed = hash_seed(self.fit.seed) // 2
        self._train_excerpts = PianoExcerpts(settings.chords, self.fit.crop_frames, seed + 2 * N_VALID_EXCERPTS)
        self._valid_excerpts = PianoExcerpts(
            replace(settings.chords, excerpts=N_VALID_EXCERPTS), self.fit.crop_frames, seed
        )

    def losses(self, model: Pretrained, batch: dict[str, Tensor], step: int) -> dict[str, Tensor]:
        """Compare spectra of the batch, its last examples replaced by the excerpts of the step."""
        size = n_processes() * len(batch["notes"])
        first = size - round(self.settings.chords.share * size)
        numbers = [slot - first for slot in range(size)[local_rows(size)] if slot >= first]
        excerpts = [self._train_excerpts.excerpt(step * (size - first) + number) for number in numbers]
        return super().losses(model, with_excerpts(batch, excerpts), step)

    def validation_step(self, model: Pretrained, batch: dict[str, Tensor]) -> Figures:
        """Compute the losses, with the share of excerpts that training does not use."""
        count = round(self.settings.chords.share * len(batch["notes"]))
        excerpts = [self._valid_excerpts.excerpt(number) for number in range(count)]
        losses = super().losses(model, with_excerpts(batch, excerpts), 0)
        return {name: float(value) for name, value in losses.items()}


class DirectTask(_SpectrumTask):
    """Voice to piano without notes between them, the baseline."""

    model_class = Direct
    columns = ("voice_stft", "piano_stft", "notes")
    loss = staticmethod(direct_loss)


TASKS: dict[str, tuple[type[Any], type[Any]]] = {
    "transcriber": (TranscriberTraining, TranscriberTask),
    "synthesizer": (SynthesizerTraining, SynthesizerTask),
    "direct": (DirectTraining, DirectTask),
}
"""For each model: the class of its settings, and its task."""


def voice_waveform(batch: dict[str, Tensor]) -> Tensor:
    """Convert a batch's voice spectra back to audio (batch, sample) at 16 kHz, for augmentation."""
    spectrum = batch["voice_stft"]
    return istft(spectrum, VOICE_STFT, (spectrum.shape[1] - 1) * VOICE_STFT.hop_length)


def interpolate_weights(model: Pretrained, other: Mapping[str, Tensor], share: float) -> None:
    """Move the weights of a model towards others by a share of the way; integers stay.

    References
    ----------
    Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022: weights between those before and after
    fine-tuning keep most of the gain, and lose less on other data.
    """
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if value.dtype.is_floating_point:
                value.lerp_(other[name].to(value), share)


def _reference_notes(rows: Tensor, duration: float) -> list[Note]:
    """Convert the rows (note, 4) of one example to notes, cut at its ends."""
    notes = []
    for onset, offset, pitch, _ in rows.tolist():
        begin, end = max(0.0, onset), min(duration, offset)
        if pitch > 0 and end - begin > 0.02:
            notes.append(Note(begin, end, pitch))
    return notes
