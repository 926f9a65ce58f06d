"""Training tasks: their columns, losses and validation figures; augmentation and excerpts follow from the step."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from hf_model.audio.stft import stft
from hf_model.augmentation.augment import AugmentConfig
from hf_model.config import ConfigError
from hf_model.evaluation.note_matching import Matches
from hf_model.training import tasks
from hf_model.training.dataset import to_complex, valid_loader
from hf_model.training.fit_config import FitConfig, learning_rate_share
from hf_model.training.piano_excerpts import ExcerptConfig, PianoExcerpts
from hf_model.training.tasks import TASKS, Task, voice_waveform
from hf_model.transcriber.decoding import DecoderConfig
from tests.tiny_shards import NOTES, sing, tiny_task


@pytest.fixture(scope="module")
def batches(shards):
    """For each kind: its task, and its first validation batch."""

    def of(kind: str):
        task = tiny_task(kind)
        return task, to_complex(next(iter(valid_loader(shards, task.columns, task.fit, 0))))

    return of


@pytest.mark.parametrize("kind", TASKS)
def test_gradients_are_finite_on_the_columns_of_each_task(kind, batches):
    task, batch = batches(kind)
    losses = task.losses(task.model, batch, 0)
    losses["loss"].backward()
    gradients = [parameter.grad for parameter in task.model.parameters() if parameter.grad is not None]
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert any(gradient.any() for gradient in gradients)
    with torch.no_grad():
        figures = task.summarize([task.validation_step(task.model.eval(), batch)] * 2)
    assert task.metric in figures


def test_the_metric_of_each_task():
    assert {kind: (task.metric, task.higher_is_better) for kind, (_, task) in TASKS.items()} == {
        "transcriber": ("conpoff", True),
        "synthesizer": ("loss", False),
        "direct": ("loss", False),
    }
    with pytest.raises(TypeError, match="abstract"):
        Task(tiny_task("direct").settings)


def test_augmentation_follows_from_the_step(batches):
    task, batch = batches("transcriber")
    model = task.model.eval()
    first, again, other = (float(task.losses(model, batch, step)["loss"].detach()) for step in (1, 1, 2))
    assert first == again != other


def test_the_voice_is_recovered_from_its_spectra():
    audio = torch.from_numpy(sing(NOTES, 1.0, 16000))[None]
    batch = {"voice_stft": stft(audio, tasks.VOICE_STFT)}
    torch.testing.assert_close(voice_waveform(batch), audio, atol=1e-4, rtol=0)


def test_reference_notes_are_cut_at_the_ends_of_a_segment(batches, monkeypatch):
    task, batch = batches("transcriber")
    batch["notes"] = torch.tensor([[[-0.5, 0.4, 60.0, 80], [0.4, 9.0, 62, 80], [1.275, 3.0, 64, 80], [0, 0, 0, 0]]])
    matched = []
    monkeypatch.setattr(tasks, "match_notes", lambda notes, _: matched.append(notes) or Matches(1, 1, 1, 1, 1))
    with torch.no_grad():
        task.validation_step(task.model.eval(), batch)
    assert [[(note.onset, round(note.offset, 3), note.pitch) for note in notes] for notes in matched] == [
        [(0.0, 0.4, 60.0), (pytest.approx(0.4), 1.28, 62.0)]
    ], "what is left of the last note is too short"


def test_matches_are_added_before_scores_are_computed():
    parts = [(Matches(10, 10, 10, 10, 9), 1.0), (Matches(2, 2, 0, 0, 0), 3.0)]
    figures = tiny_task("transcriber").summarize(parts)
    assert figures == pytest.approx({"con": 20 / 24, "conp": 20 / 24, "conpoff": 18 / 24, "loss": 2.0})


def test_validation_losses_are_averaged():
    parts = [{"loss": 1.0, "complex": 0.5}, {"loss": 3.0, "complex": 0.5}]
    assert tiny_task("synthesizer").summarize(parts) == {"loss": 2.0, "complex": 0.5}


def test_the_decoder_is_fitted_to_augmented_recordings(batches, monkeypatch):
    task, batch = batches("transcriber")
    task.settings = replace(task.settings, augment=AugmentConfig(stretch=1.0, voiceless=0.0, noise=1.0))
    onsets = []

    def fit(recordings, start, rounds, seed):
        assert (start, rounds, seed) == (DecoderConfig(), 2, 0)
        assert len(recordings) == 3
        decode, notes = recordings[0]
        assert [round(note.pitch) for note in notes] == [63, 65]
        assert isinstance(decode(DecoderConfig()), list)
        onsets.append([decode.__self__.onset for decode, _ in recordings])
        return DecoderConfig(note_cost=1.5), {"conpoff": 0.25}

    monkeypatch.setattr(tasks, "fit_decoder", fit)
    with torch.inference_mode():
        figures, settings = task.finish(task.model.eval(), [batch] * 3)
        task.finish(task.model.eval(), [batch] * 3)
    first, again = onsets
    assert not np.allclose(first[0], first[1])
    assert all(map(np.array_equal, first, again)), "the augmentation is the same every time"
    assert figures == {"fitted_conpoff": 0.25}
    assert settings["decoder"]["note_cost"] == 1.5


def test_the_learning_rate_warms_up_and_decays():
    fit = FitConfig(steps=100, warmup_steps=10)
    shares = [learning_rate_share(step, fit) for step in range(101)]
    assert shares[0] == pytest.approx(0.1)
    assert shares[9] == shares[10] == 1.0
    assert shares[55] == pytest.approx(0.505)
    assert shares[100] == pytest.approx(0.01)
    assert sorted(shares[10:], reverse=True) == shares[10:]
    assert learning_rate_share(0, FitConfig(warmup_steps=0)) == 1.0
    assert learning_rate_share(400, FitConfig(steps=400, floor=0.5)) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("name", "value"),
    [("steps", 0), ("clip", 0.0), ("ema", 1.0), ("precision", "fp8"), ("seed", -1), ("crop_frames", 8)],
)
def test_settings_out_of_range_are_rejected(name, value):
    with pytest.raises(ValueError, match=f"{name} is '?{value}'?, allowed is"):
        FitConfig(**{name: value})


def test_excerpts_replace_their_share_of_a_batch_of_all_ranks(batches, monkeypatch):
    _, batch = batches("synthesizer")
    batch = {name: torch.cat([value] * 4)[:4] for name, value in batch.items()}
    settings = replace(tiny_task("synthesizer").settings, chords=ExcerptConfig(share=0.5, excerpts=100))
    task = tasks.SynthesizerTask(settings)
    numbers: list[int] = []

    def excerpt(_: PianoExcerpts, number: int) -> tuple[torch.Tensor, torch.Tensor]:
        numbers.append(number)
        return batch["notes"][0], batch["piano_stft"][0]

    monkeypatch.setattr(PianoExcerpts, "excerpt", excerpt)
    task.losses(task.model, batch, 3)
    assert numbers == [6, 7]
    monkeypatch.setattr(tasks, "n_processes", lambda: 2)
    for rows, expected in ((slice(0, 4), []), (slice(4, 8), [12, 13, 14, 15])):
        numbers.clear()
        monkeypatch.setattr(tasks, "local_rows", lambda _, rows=rows: rows)
        task.losses(task.model, batch, 3)
        assert numbers == expected
    numbers.clear()
    with torch.no_grad():
        figures = task.summarize([task.validation_step(task.model, batch)])
    assert figures["loss"] > 0
    assert numbers == [0, 1]


def test_a_transcriber_is_fine_tuned_from_another(tmp_path):
    task = tiny_task("transcriber")
    with torch.no_grad():
        for parameter in task.model.parameters():
            parameter.add_(0.01)
    task.model.save_pretrained(tmp_path / "trained", decoder={"note_cost": 1.25})
    tuned = type(task)(replace(task.settings, start=str(tmp_path / "trained")))
    for name, value in tuned.model.state_dict().items():
        assert torch.equal(value, task.model.state_dict()[name]), name
    assert tuned.decoder == DecoderConfig(note_cost=1.25)
    other = replace(task.settings, start=str(tmp_path / "trained"), model=replace(task.settings.model, width=24))
    with pytest.raises(ConfigError, match="another shape"):
        type(task)(other)


def test_final_weights_lie_between_those_before_and_after(tmp_path, batches):
    task, batch = batches("transcriber")
    task.model.save_pretrained(tmp_path / "trained")
    settings = replace(task.settings, start=str(tmp_path / "trained"), start_share=0.25, decoder_rounds=0)
    tuned = type(task)(replace(settings, fit_confidence=True))
    before = {name: value.clone() for name, value in tuned.model.state_dict().items()}
    with torch.no_grad():
        for parameter in tuned.model.parameters():
            parameter.add_(0.4)
    with torch.inference_mode():
        _, added = tuned.finish(tuned.model.eval(), [batch])
    for name, _ in tuned.model.named_parameters():
        torch.testing.assert_close(tuned.model.state_dict()[name], before[name] + 0.3)
    assert added["decoder"]["note_cost"] == DecoderConfig().note_cost


def test_a_share_of_first_weights_needs_these(batches):
    task, _ = batches("transcriber")
    with pytest.raises(ConfigError, match="start_share"):
        replace(task.settings, start_share=0.3)
