"""What each of the three models learns: its settings, its columns, its loss, and the figure that it is chosen by."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from hf_model.audio.grid import VOICE_STFT
from hf_model.audio.stft import istft
from hf_model.augmentation.augment import AugmentConfig, augment
from hf_model.config import ConfigError, to_mapping
from hf_model.direct.network import Direct, DirectConfig
from hf_model.evaluation.note_matching import Matches, add_matches, match_notes
from hf_model.notes.note import Note
from hf_model.parallel.distributed import my_share, n_processes
from hf_model.pretrained import Pretrained
from hf_model.synthesizer.network import Synthesizer, SynthesizerConfig
from hf_model.training.dataset import hash_seed
from hf_model.training.decoder_tuning import Decode, fit_decoder
from hf_model.training.fit_config import FitConfig
from hf_model.training.losses import direct_loss, synthesizer_loss, transcriber_loss
from hf_model.training.piano_excerpts import ChordConfig, Chords, with_excerpts
from hf_model.transcriber.decoding import DecoderConfig
from hf_model.transcriber.features import set_level
from hf_model.transcriber.network import Posteriors, Transcriber, TranscriberConfig

Figures = dict[str, float]

EXAMINED = 64
"""Made excerpts at most that a validation batch holds."""


class Task(ABC):
    """One model and how it learns.

    Parameters
    ----------
    settings : TranscriberTraining, SynthesizerTraining or DirectTraining
        The model's first weights follow from ``settings.fit.seed`` alone.
    """

    model_class: type[Pretrained]
    columns: tuple[str, ...]
    metric: str
    """Name of the figure that models are chosen by; ``higher_is_better`` says which way."""
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
    def examine(self, model: Pretrained, batch: dict[str, Tensor]) -> Any:
        """Look at a validation batch."""

    @abstractmethod
    def summarize(self, parts: Sequence[Any]) -> Figures:
        """Turn what :meth:`examine` returned into figures, :attr:`metric` among them."""

    def conclude(
        self,
        model: Pretrained,  # noqa: ARG002 - for those that have something to do
        batches: Iterable[dict[str, Tensor]],  # noqa: ARG002
    ) -> tuple[Figures, dict[str, Any]]:
        """Finish a trained model on the validation batches: figures, and plain values for its ``config.json``."""
        return {}, {}


@dataclass(frozen=True)
class TranscriberTraining:
    """Settings of the transcriber's training (params.yaml: train.transcriber).

    ``start`` is the folder of a transcriber of the same shape, whose weights and decoder settings are gone on from;
    without one the weights are random.
    """

    model: TranscriberConfig = field(default_factory=TranscriberConfig)
    fit: FitConfig = field(default_factory=FitConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    decoder: DecoderConfig = field(default_factory=DecoderConfig)
    decoder_rounds: int = 60
    start: str = ""


class TranscriberTask(Task):
    """Voice to notes; chosen by COnPOff."""

    model_class = Transcriber
    columns = ("voice_stft", "notes")
    metric = "conpoff"
    higher_is_better = True
    settings: TranscriberTraining

    def __init__(self, settings: TranscriberTraining) -> None:
        super().__init__(settings)
        self.decoder = settings.decoder
        if settings.start:
            trained = Transcriber.from_pretrained(settings.start)
            if trained.config != settings.model:
                msg = f"start is {settings.start}, whose model has another shape than train.transcriber.model asks for"
                raise ConfigError(msg)
            self.model.load_state_dict(trained.state_dict())
            self.decoder = trained.decoder

    def losses(self, model: Pretrained, batch: dict[str, Tensor], step: int) -> dict[str, Tensor]:
        """Cross entropies on voices in a world that the step decides."""
        waveform, notes, n_frames = self._in_a_world(batch, hash_seed(self.fit.seed, step))
        posteriors: Posteriors = model(waveform)
        with torch.autocast(waveform.device.type, enabled=False):
            return transcriber_loss(posteriors, notes, n_frames, self.settings.model, VOICE_STFT.frame_rate)

    def examine(self, model: Pretrained, batch: dict[str, Tensor]) -> tuple[Matches, float]:
        """Count the notes found, and take the loss."""
        posteriors: Posteriors = model(set_level(voice_waveform(batch)))
        config = self.settings.model
        loss = transcriber_loss(posteriors, batch["notes"], batch["n_frames"], config, VOICE_STFT.frame_rate)
        waiting = self._waiting(posteriors, batch)
        found = add_matches([match_notes(notes, decode(self.decoder)) for decode, notes in waiting])
        return found, float(loss["loss"])

    def summarize(self, parts: Sequence[Any]) -> Figures:
        """Note scores over all recordings, and the mean loss."""
        figures = add_matches([matches for matches, _ in parts]).f_measures()
        return {**figures, "loss": sum(loss for _, loss in parts) / max(1, len(parts))}

    def conclude(self, model: Pretrained, batches: Iterable[dict[str, Tensor]]) -> tuple[Figures, dict[str, Any]]:
        """Fit the decoder to the trained network, on voices in worlds as in training: clean ones mislead it."""
        waiting = []
        for number, batch in enumerate(batches):
            waveform, notes, n_frames = self._in_a_world(batch, hash_seed(self.fit.seed, number))
            waiting += self._waiting(model(waveform), {"notes": notes, "n_frames": n_frames})
        decoder, figures = fit_decoder(waiting, self.decoder, self.settings.decoder_rounds, self.fit.seed)
        return {f"fitted_{name}": value for name, value in figures.items()}, {"decoder": to_mapping(decoder)}

    def _in_a_world(self, batch: dict[str, Tensor], seed: int) -> tuple[Tensor, Tensor, Tensor]:
        """Put a batch's voices into worlds, and bring them to one level: waveform, notes and n_frames."""
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad(), torch.autocast(batch["notes"].device.type, enabled=False):
            waveform, notes, n_frames = augment(
                voice_waveform(batch), batch["notes"], batch["n_frames"], self.settings.augment, generator
            )
            return set_level(waveform), notes, n_frames

    def _waiting(self, posteriors: Posteriors, batch: dict[str, Tensor]) -> list[tuple[Decode, list[Note]]]:
        """Pair each example's posteriors, waiting for decoder settings, with its true notes."""
        probabilities = [torch.sigmoid(item).cpu().numpy() for item in posteriors[:3]]
        pitch = posteriors.pitch.softmax(-1).cpu().numpy()
        pairs: list[tuple[Decode, list[Note]]] = []
        for row, (notes, n_frames) in enumerate(zip(batch["notes"].cpu(), batch["n_frames"].tolist(), strict=True)):
            onset, offset, voicing = (item[row, :n_frames] for item in probabilities)
            evidence = self.settings.model.evidence(onset, offset, voicing, pitch[row, :n_frames], self.decoder)
            pairs.append((evidence.decode, _whole_notes(notes, n_frames / VOICE_STFT.frame_rate)))
        return pairs


@dataclass(frozen=True)
class SynthesizerTraining:
    """Settings of the synthesizer's training (params.yaml: train.synthesizer)."""

    model: SynthesizerConfig = field(default_factory=SynthesizerConfig)
    fit: FitConfig = field(default_factory=FitConfig)
    chords: ChordConfig = field(default_factory=ChordConfig)


@dataclass(frozen=True)
class DirectTraining:
    """Settings of the direct baseline's training (params.yaml: train.direct)."""

    model: DirectConfig = field(default_factory=DirectConfig)
    fit: FitConfig = field(default_factory=FitConfig)


class _SpectrumTask(Task):
    """A model whose validation figure is its loss."""

    metric = "loss"
    higher_is_better = False
    loss: Callable[[Pretrained, dict[str, Tensor]], dict[str, Tensor]]

    def losses(self, model: Pretrained, batch: dict[str, Tensor], step: int) -> dict[str, Tensor]:  # noqa: ARG002
        """Compare spectra; the same at every step."""
        return type(self).loss(model, batch)

    def examine(self, model: Pretrained, batch: dict[str, Tensor]) -> Figures:
        """Take the losses."""
        return {name: float(value) for name, value in self.losses(model, batch, 0).items()}

    def summarize(self, parts: Sequence[Any]) -> Figures:
        """Mean losses."""
        return {name: sum(part[name] for part in parts) / len(parts) for name in parts[0]}


class SynthesizerTask(_SpectrumTask):
    """Notes to piano; voices keep to a fifth of the keyboard, so that made chords take the place of some examples."""

    model_class = Synthesizer
    columns = ("piano_stft", "notes")
    loss = staticmethod(synthesizer_loss)
    settings: SynthesizerTraining

    def __init__(self, settings: SynthesizerTraining) -> None:
        super().__init__(settings)
        seed = hash_seed(self.fit.seed) // 2
        self._chords = Chords(settings.chords, self.fit.crop_frames, seed + 2 * EXAMINED)
        self._other_chords = Chords(replace(settings.chords, excerpts=EXAMINED), self.fit.crop_frames, seed)

    def losses(self, model: Pretrained, batch: dict[str, Tensor], step: int) -> dict[str, Tensor]:
        """Compare spectra of the batch, some of it replaced by excerpts that the step decides."""
        size = n_processes() * len(batch["notes"])
        first = size - round(self.settings.chords.share * size)
        mine = [slot - first for slot in range(size)[my_share(size)] if slot >= first]
        excerpts = [self._chords.excerpt(step * (size - first) + number) for number in mine]
        return super().losses(model, with_excerpts(batch, excerpts), step)

    def examine(self, model: Pretrained, batch: dict[str, Tensor]) -> Figures:
        """Take the losses on the batch's share of excerpts that training does not meet."""
        count = round(self.settings.chords.share * len(batch["notes"]))
        excerpts = [self._other_chords.excerpt(place) for place in range(count)]
        found = super().losses(model, with_excerpts(batch, excerpts), 0)
        return {name: float(value) for name, value in found.items()}


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
