"""The transcriber network: grid and pitch axis, chunks, levels, folders, and a short training."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hf_model.config import ConfigError, from_mapping, to_mapping
from hf_model.evaluation.note_matching import match_notes
from hf_model.notes.note import Note
from hf_model.training.losses import transcriber_loss
from hf_model.transcriber.decoding import DecoderConfig
from hf_model.transcriber.features import set_level
from hf_model.transcriber.network import Transcriber, TranscriberConfig
from tests.tiny_shards import sing

TINY = TranscriberConfig(lowest_hz=200.0, pitch_bands=30, channels=4, width=8, dilations=(1, 4))


@pytest.fixture
def model() -> Transcriber:
    torch.manual_seed(0)
    return Transcriber(TINY).eval()


@pytest.mark.parametrize("n_samples", [160, 1600, 1679, 1680, 16000])
def test_posteriors_lie_on_the_grid(model, n_samples):
    posteriors = model(0.1 * torch.randn(2, n_samples))
    n_frames = 1 + n_samples // 160
    assert posteriors.onset.shape == posteriors.offset.shape == posteriors.voicing.shape == (2, n_frames)
    assert posteriors.pitch.shape == (2, n_frames, TINY.n_pitch_bins)
    assert all(part.dtype == torch.float32 for part in posteriors)
    assert model.stft_config.frame_rate == 100.0


@pytest.mark.parametrize(("lowest_hz", "bins"), [(40.0, 3), (55.0, 1), (110.0, 4)])
def test_the_pitch_axis_is_centred_on_its_bands(lowest_hz, bins):
    config = TranscriberConfig(lowest_hz=lowest_hz, bins_per_band=bins)
    assert config.pitch_step == pytest.approx(0.5 / bins)
    assert config.n_pitch_bins == 124 * bins
    for band in (0, 1, 50):
        hz = lowest_hz * 2 ** (band / 24)
        centre = np.mean([config.lowest_pitch + config.pitch_step * (band * bins + k) for k in range(bins)])
        assert centre == pytest.approx(69 + 12 * np.log2(hz / 440))


def test_frames_depend_on_their_receptive_field_only(model):
    audio = 0.1 * torch.randn(1, 32000, generator=torch.Generator().manual_seed(0))
    changed = audio.clone()
    changed[:, 16000:] = 0.1 * torch.randn(1, 16000, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        one, other = model(audio), model(changed)
    for a, b in zip(one, other, strict=True):
        differs = (a - b).abs().reshape(201, -1).amax(1) > 1e-5
        first = int(differs.int().argmax())
        assert 100 - model.fused().local_reach - model.fused().context_reach <= first < 100


@pytest.mark.parametrize("chunk_frames", [37, 100, 250])
def test_the_length_of_chunks_changes_nothing(model, chunk_frames):
    audio = sing((Note(0.1, 0.9, 62), Note(1.0, 1.9, 65), Note(2.0, 2.9, 59)), 3.0, 16000)[:-77]
    whole = model.posteriors(audio, chunk_frames=10_000)
    for one, other in zip(whole, model.posteriors(audio, chunk_frames), strict=True):
        assert len(one) == 1 + len(audio) // 160
        np.testing.assert_allclose(one, other, atol=2e-2 if torch.backends.mkldnn.is_available() else 1e-5)


def test_posteriors_of_a_recording_are_those_of_the_network(model):
    audio = sing((Note(0.1, 0.9, 62),), 1.0, 16000)
    with torch.inference_mode():
        posteriors = model(set_level(torch.from_numpy(audio)[None]))
    found = model.posteriors(audio)
    assert len(found[0]) == posteriors.onset.shape[1]
    np.testing.assert_allclose(found[0], torch.sigmoid(posteriors.onset[0]).numpy(), atol=2e-2)
    np.testing.assert_allclose(found[3], posteriors.pitch[0].softmax(-1).numpy(), atol=2e-2)
    np.testing.assert_allclose(found[3].sum(1), 1.0, atol=1e-5)


@pytest.mark.parametrize("gain", [0.001, 8.0])
def test_the_level_of_a_recording_does_not_matter(model, gain):
    audio = sing((Note(0.1, 0.9, 62),), 1.0, 16000)
    for one, other in zip(model.posteriors(audio), model.posteriors(gain * audio), strict=True):
        np.testing.assert_allclose(one, other, atol=2e-2)


@pytest.mark.parametrize("n_samples", [1, 159, 160, 800])
def test_very_short_recordings_are_transcribed(model, n_samples):
    assert model.transcribe(np.zeros(n_samples, dtype=np.float32)) == []
    assert len(model.posteriors(np.zeros(n_samples, dtype=np.float32))[0]) == 1 + n_samples // 160


def test_network_and_decoder_are_saved_and_loaded(model, tmp_path):
    model.save_pretrained(tmp_path, decoder=to_mapping(DecoderConfig(note_cost=1.25)))
    again = Transcriber.from_pretrained(tmp_path)
    assert again.config == TINY
    assert again.decoder.note_cost == 1.25
    assert not again.training
    audio = sing((Note(0.1, 0.9, 62),), 1.0, 16000)
    assert all(np.array_equal(a, b) for a, b in zip(model.posteriors(audio), again.posteriors(audio), strict=True))
    model.save_pretrained(tmp_path)
    assert Transcriber.from_pretrained(tmp_path).decoder == DecoderConfig(), "without settings, the default"


def test_a_folder_with_a_wrong_decoder_is_refused(model, tmp_path):
    model.save_pretrained(tmp_path, decoder={"note_price": 1.0})
    with pytest.raises(ConfigError, match=r"decoder\.note_price"):
        Transcriber.from_pretrained(tmp_path)


def test_settings_are_checked():
    with pytest.raises(ConfigError, match=r"lowest_hz is 5\.0, allowed is 20\.0 to 200\.0"):
        TranscriberConfig(lowest_hz=5.0)
    with pytest.raises(ConfigError, match="dilations"):
        from_mapping(TranscriberConfig, {"dilations": "1 2"})


def test_the_default_model_is_small():
    assert sum(parameter.numel() for parameter in Transcriber().parameters()) < 2e6


def test_training_overfits_three_notes():
    """After 60 steps on one recording its notes are transcribed: features, targets, losses and decoder fit together."""
    torch.manual_seed(0)
    melody = (Note(0.2, 0.7, 60), Note(0.7, 1.1, 64), Note(1.3, 1.8, 57))
    audio = sing(melody, 2.0, 16000)
    model = Transcriber(
        TranscriberConfig(lowest_hz=200.0, pitch_bands=30, channels=4, width=16, dilations=(1, 2), dropout=0.0)
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    waveform = set_level(torch.from_numpy(audio)[None])
    rows = torch.tensor([[[note.onset, note.offset, note.pitch, 80.0] for note in melody]])
    for _ in range(60):
        optimizer.zero_grad()
        transcriber_loss(model(waveform), rows, torch.tensor([201]), model.config, 100.0)["loss"].backward()
        optimizer.step()
    found = model.eval().transcribe(audio)
    assert match_notes(melody, found).f_measures() == {"con": 1.0, "conp": 1.0, "conpoff": 1.0}
    assert match_notes(melody, model.transcribe(0.01 * audio)).conpoff == 3
