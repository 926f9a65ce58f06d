"""The transcriber's network: the grid, the receptive field, and a short training."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from hf_model.evaluation.note_matching import match_notes
from hf_model.notes.note import Note
from hf_model.training.losses import transcriber_loss
from hf_model.transcriber.config import TranscriberConfig
from hf_model.transcriber.features import set_level
from hf_model.transcriber.network import TranscriberNetwork
from hf_model.transcriber.transcriber import Transcriber
from tests.tiny_shards import sing

TINY = TranscriberConfig(lowest_hz=200.0, pitch_bands=30, channels=4, width=8, dilations=(1, 4))


@pytest.fixture
def model() -> TranscriberNetwork:
    torch.manual_seed(0)
    return TranscriberNetwork(TINY).eval()


@pytest.mark.parametrize("n_samples", [160, 1600, 1679, 1680, 16000])
def test_posteriors_lie_on_the_grid(model: TranscriberNetwork, n_samples: int) -> None:
    posteriors = model(0.1 * torch.randn(2, n_samples))
    n_frames = 1 + n_samples // 160
    assert posteriors.onset.shape == posteriors.offset.shape == posteriors.voicing.shape == (2, n_frames)
    assert posteriors.pitch.shape == (2, n_frames, TINY.n_pitch_bins)
    assert all(part.dtype == torch.float32 for part in posteriors)
    assert model.stft_config.frame_rate == 100.0


def test_frames_depend_on_their_receptive_field_only(model: TranscriberNetwork) -> None:
    audio = 0.1 * torch.randn(1, 32000, generator=torch.Generator().manual_seed(0))
    changed = audio.clone()
    changed[:, 16000:] = 0.1 * torch.randn(1, 16000, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        one, other = model(audio), model(changed)
    for a, b in zip(one, other, strict=True):
        differs = (a - b).abs().reshape(201, -1).amax(1) > 1e-5
        first = int(differs.int().argmax())
        assert 100 - TINY.local_reach - TINY.context_reach <= first < 100


def test_the_default_model_is_small() -> None:
    assert sum(parameter.numel() for parameter in TranscriberNetwork().parameters()) < 2e6


def test_training_overfits_three_notes(tmp_path: Path) -> None:
    """After 60 steps on one recording its notes are transcribed: features, targets, losses and decoder fit together."""
    torch.manual_seed(0)
    melody = (Note(0.2, 0.7, 60), Note(0.7, 1.1, 64), Note(1.3, 1.8, 57))
    audio = sing(melody, 2.0, 16000)
    model = TranscriberNetwork(
        TranscriberConfig(lowest_hz=200.0, pitch_bands=30, channels=4, width=16, dilations=(1, 2), dropout=0.0)
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    waveform = set_level(torch.from_numpy(audio)[None])
    rows = torch.tensor([[[note.onset, note.offset, note.pitch, 80.0] for note in melody]])
    for _ in range(60):
        optimizer.zero_grad()
        transcriber_loss(model(waveform), rows, torch.tensor([201]), model.config, 100.0)["loss"].backward()
        optimizer.step()
    model.save_pretrained(tmp_path)
    assert model.training, "saving changes nothing"
    transcriber = Transcriber.from_pretrained(tmp_path)
    assert match_notes(melody, transcriber.transcribe(audio)).f_measures() == {"con": 1.0, "conp": 1.0, "conpoff": 1.0}
    assert match_notes(melody, transcriber.transcribe(0.01 * audio)).conpoff == 3
