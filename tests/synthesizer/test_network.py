"""The synthesizer's network: frames on the grid, batches, training and its losses."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from hf_model.audio.grid import PIANO_SAMPLE_RATE, PIANO_STFT
from hf_model.audio.stft import stft
from hf_model.notes.note import Note
from hf_model.piano.sampled import SampledPiano
from hf_model.synthesizer.config import SynthesizerConfig
from hf_model.synthesizer.network import SynthesizerNetwork
from hf_model.training.losses import spectral_loss, synthesizer_loss

MELODY = [Note(0.21, 0.5, 60, 80), Note(0.5, 0.93, 64, 95), Note(0.9501, 1.3, 67, 70), Note(1.3, 1.8, 72, 115)]


@pytest.fixture(scope="module")
def model() -> SynthesizerNetwork:
    torch.manual_seed(0)
    return SynthesizerNetwork(SynthesizerConfig(channels=16, layers=1)).eval()


def rows(notes: list[Note]) -> torch.Tensor:
    return torch.tensor([[(n.onset, n.offset, n.pitch, n.velocity) for n in notes]])


def melody_batch(n_frames: int = 120) -> dict[str, torch.Tensor]:
    audio = SampledPiano.load(channels=1).render(MELODY, 2 * PIANO_SAMPLE_RATE)
    spectrum = stft(torch.from_numpy(audio), PIANO_STFT)[:, :n_frames]
    return {"notes": rows(MELODY), "piano_stft": spectrum, "n_frames": torch.tensor([n_frames])}


def excitation_spectrum(model: SynthesizerNetwork, notes: torch.Tensor, n_frames: int) -> torch.Tensor:
    sounding = model.excitation.select_notes(notes, n_frames)
    return stft(model.excitation(sounding, notes.shape[0], n_frames), PIANO_STFT, center=False)


def test_frames_are_on_the_grid_of_the_target(model: SynthesizerNetwork) -> None:
    batch = melody_batch()
    estimate = model(batch["notes"], 120)
    assert estimate.shape == batch["piano_stft"].shape
    assert torch.linalg.norm(estimate - batch["piano_stft"]) < 0.1 * torch.linalg.norm(batch["piano_stft"])


def test_notes_that_began_before_the_crop_continue(model: SynthesizerNetwork) -> None:
    whole = excitation_spectrum(model, rows(MELODY), 150)
    moved = rows(MELODY)
    moved[..., :2] -= 0.7
    rest = excitation_spectrum(model, moved, 80)
    torch.testing.assert_close(rest, whole[:, 70:150], atol=2e-3, rtol=0)


def test_padding_and_batching_change_nothing(model: SynthesizerNetwork) -> None:
    alone = model(rows(MELODY), 100)
    padded = torch.zeros(2, 6, 4)
    padded[1, :4] = rows(MELODY)[0]
    padded[0, 0] = torch.tensor([0.1, 0.4, 50.0, 90.0])
    torch.testing.assert_close(model(padded, 100)[1], alone[0], atol=1e-3, rtol=0)


def test_training_reduces_the_loss() -> None:
    torch.manual_seed(0)
    model = SynthesizerNetwork(SynthesizerConfig(channels=16, layers=1, train_partials=True)).train()
    batch = melody_batch()
    batch["piano_stft"] = 0.5 * batch["piano_stft"]
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(20):
        parts = synthesizer_loss(model, batch)
        optimizer.zero_grad()
        parts["loss"].backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(float(parts["loss"].detach()))
    assert losses[-1] < 0.9 * losses[0]
    assert model.excitation.envelope_factor is not None
    assert model.excitation.envelope_factor.abs().max() > 0


def test_bf16_autocast_preserves_the_phase(model: SynthesizerNetwork) -> None:
    batch = melody_batch()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        parts = synthesizer_loss(model, batch)
    assert parts["complex"] < 0.1


def test_a_saved_model_is_loaded(model: SynthesizerNetwork, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path)
    again = SynthesizerNetwork.from_pretrained(tmp_path)
    torch.testing.assert_close(again(rows(MELODY), 50), model(rows(MELODY), 50))
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 3e6


def test_weights_with_another_table_are_rejected(model: SynthesizerNetwork) -> None:
    state = model.state_dict()
    state["excitation.table_digest"] = state["excitation.table_digest"] + 1
    with pytest.raises(ValueError, match="another table of partials"):
        SynthesizerNetwork(model.config).load_state_dict(state)


def test_spectral_loss_counts_valid_frames_only() -> None:
    target = torch.randn(2, 10, 8, dtype=torch.complex64)
    parts = spectral_loss(target, target, torch.tensor([10, 10]))
    assert parts["loss"] < 1e-3
    changed = target.clone()
    changed[1, 6:] = 5.0
    assert spectral_loss(target, changed, torch.tensor([10, 6]))["loss"] < 1e-3
    assert spectral_loss(target, changed, torch.tensor([10, 7]))["loss"] > 0.1


def test_spectral_loss_of_twice_the_level() -> None:
    target = torch.ones(1, 4, 8, dtype=torch.complex64)
    parts = spectral_loss(target, 2 * target, torch.tensor([4]))
    assert float(parts["log_magnitude"]) == pytest.approx(0.602, abs=1e-3)  # 6.02 dB
    assert float(parts["convergence"]) == pytest.approx(1.0, abs=1e-3)
    opposite = spectral_loss(target, -target, torch.tensor([4]))
    assert float(opposite["convergence"]) < 1e-3
    assert float(opposite["complex"]) == pytest.approx(2.0, abs=1e-3)


def test_the_loss_rounds_pitches_in_the_tuning_of_the_singer() -> None:
    model = SynthesizerNetwork(SynthesizerConfig(channels=8, layers=1)).eval()
    sung = torch.tensor([[[0.1, 0.6, 60.7, 80.0]]])
    with torch.no_grad():
        target = model(torch.tensor([[[0.1, 0.6, 60.0, 80.0]]]), 100)
        batch = {"notes": sung, "piano_stft": target, "n_frames": torch.tensor([100])}
        right = synthesizer_loss(model, {**batch, "tuning": torch.tensor([0.45])})["loss"]
        wrong = synthesizer_loss(model, batch)["loss"]
    assert float(right) < 0.01 < float(wrong)


def test_a_crop_without_notes_does_not_outweigh_the_others() -> None:
    target = torch.zeros(1, 100, 1025, dtype=torch.complex64)
    faint = torch.full_like(target, 0.003)
    loss = spectral_loss(target, faint, torch.tensor([100]))
    assert 0.0 < float(loss["convergence"]) < 1.0
