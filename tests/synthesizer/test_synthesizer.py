"""The synthesizer without torch: equal to the network, close to the sampled piano, exact onsets and lengths."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from hf_model.audio.grid import PIANO_SAMPLE_RATE
from hf_model.evaluation.audio_metrics import log_mel_distance, si_sdr, spectral_convergence
from hf_model.notes.note import Note
from hf_model.piano.sampled import SampledPiano
from hf_model.synthesizer.config import SynthesizerConfig
from hf_model.synthesizer.network import SynthesizerNetwork
from hf_model.synthesizer.synthesizer import TABLE_DIGEST, Synthesizer
from hf_model.weights import WEIGHTS, WeightsError, read_config, read_tensors, write_tensors

MELODY = [Note(0.21, 0.5, 60, 80), Note(0.5, 0.93, 64, 95), Note(0.9501, 1.3, 67, 70), Note(1.3, 1.8, 72, 115)]
SHIPPED = WEIGHTS / "synthesizer"


def random_network(*, train_partials: bool) -> SynthesizerNetwork:
    """A network that corrects level, phase and noise, and envelopes too."""
    torch.manual_seed(0)
    network = SynthesizerNetwork(SynthesizerConfig(channels=16, layers=2, train_partials=train_partials)).eval()
    with torch.no_grad():
        network.head.weight.normal_(0.0, 0.05)
        if network.excitation.envelope_factor is not None:
            network.excitation.envelope_factor.normal_(0.0, 0.2)
    return network


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Synthesizer:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("untrained")
    SynthesizerNetwork(SynthesizerConfig(channels=16, layers=1)).save_pretrained(folder)
    return Synthesizer.from_pretrained(folder)


@pytest.mark.parametrize("train_partials", [False, True])
def test_the_spectra_are_those_of_the_network(train_partials: bool, tmp_path: Path) -> None:
    """All keys and velocities, notes that began before, that end behind, that are released early and late."""
    network = random_network(train_partials=train_partials)
    network.save_pretrained(tmp_path)
    rng = np.random.default_rng(1)
    onsets = rng.uniform(-3.0, 1.4, 40)
    columns = (onsets, onsets + rng.uniform(0.02, 3.0, 40), rng.integers(21, 109, 40), rng.integers(1, 128, 40))
    notes = np.stack(columns, axis=1)
    with torch.no_grad():
        expected = network(torch.from_numpy(notes)[None], 120, 1190)[0].numpy()
    found = Synthesizer.from_pretrained(tmp_path).spectra(notes, 120, 1190)
    assert np.abs(expected).max() > 10.0
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_what_ships_is_what_was_trained() -> None:
    notes = np.array([(note.onset, note.offset, note.pitch, note.velocity) for note in MELODY])
    with torch.no_grad():
        expected = SynthesizerNetwork.from_pretrained(SHIPPED)(torch.from_numpy(notes)[None], 150)[0].numpy()
    found = Synthesizer.from_pretrained(SHIPPED).spectra(notes, 150)
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_the_untrained_network_is_close_to_the_sampled_piano(untrained: Synthesizer) -> None:
    reference = SampledPiano.load(channels=1).render(MELODY, 2 * PIANO_SAMPLE_RATE)
    estimate = untrained.render(MELODY, 2 * PIANO_SAMPLE_RATE)
    assert log_mel_distance(reference, estimate) < 1.2
    assert spectral_convergence(reference, estimate) < 0.08
    assert si_sdr(reference, estimate) > 20


@pytest.mark.parametrize("n_samples", [0, 1, 440, 441, 44100, 50001])
def test_the_length_is_exact(untrained: Synthesizer, n_samples: int) -> None:
    audio = untrained.render([Note(0.0, 5.0, 60)], n_samples)
    assert audio.shape == (1, n_samples)
    assert audio.dtype == np.float32
    assert np.isfinite(audio).all()


def test_without_notes_the_audio_is_almost_silent(untrained: Synthesizer) -> None:
    assert np.abs(untrained.render([], PIANO_SAMPLE_RATE)).max() < 1e-4


def test_chunks_join_without_a_seam(untrained: Synthesizer, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = untrained.render(MELODY, 2 * PIANO_SAMPLE_RATE)
    monkeypatch.setattr("hf_model.synthesizer.synthesizer.CHUNK_FRAMES", 37)
    np.testing.assert_allclose(untrained.render(MELODY, 2 * PIANO_SAMPLE_RATE), whole, atol=1e-4)


def test_weights_with_another_table_are_rejected(tmp_path: Path) -> None:
    shutil.copytree(SHIPPED, tmp_path, dirs_exist_ok=True)
    tensors = read_tensors(tmp_path)
    tensors[TABLE_DIGEST] = np.array(int(tensors[TABLE_DIGEST]) + 1)
    write_tensors(tmp_path, tensors, read_config(tmp_path))
    with pytest.raises(WeightsError, match="another table of partials"):
        Synthesizer.from_pretrained(tmp_path)
