"""The fitted numbers of the musical rules: files, shapes and ranges."""

from __future__ import annotations

import json

import numpy as np
import pytest

from hf_model.music.fitted import FOLDER, load_fitted, save_fitted
from hf_model.music.key import MODES, key_model
from hf_model.music.meter import MAX_DISTANCE, METERS, default_meter_model, tempo_features
from hf_model.music.repetition_voting import KINDS, Correction

NAMES = ("intended_keys", "key", "meter", "repetition_voting", "tempo")


def test_every_file_is_known_and_described():
    files = {path.name for path in FOLDER.glob("*.json")}
    assert files == {f"{name}.json" for name in NAMES} | {"config.json"}
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert all(f"`{name}.json`" in card for name in NAMES)
    assert "| licence | MIT |" in card
    assert json.loads((FOLDER / "config.json").read_text(encoding="utf-8"))["licence"] == "MIT"


@pytest.mark.parametrize("name", NAMES)
def test_saving_keeps_every_number(name, tmp_path):
    save_fitted(name, load_fitted(name), tmp_path)
    assert (tmp_path / f"{name}.json").read_bytes() == (FOLDER / f"{name}.json").read_bytes()


def test_key_weights_favour_the_degrees_of_the_triad():
    model = key_model()
    assert model.count_weights.shape == model.time_weights.shape == (len(MODES), 12)
    weights = model.count_weights + model.time_weights
    for mode, triad in enumerate(([0, 4, 7], [0, 3, 7])):
        assert set(np.argsort(-weights[mode])[:3]) == set(triad)
    assert 0 < model.scale < 2


def test_rhythms_are_probabilities():
    assert {name: (meter.steps_per_beat, meter.n_places) for name, meter in METERS.items()} == {
        "2/4": (4, 8),
        "3/4": (4, 12),
        "4/4": (4, 16),
        "6/8": (6, 12),
        "9/8": (6, 18),
        "12/8": (6, 24),
    }
    model = default_meter_model()
    assert {rhythm.meter.name for rhythm in model.rhythms} == set(METERS) - {"12/8"}
    for rhythm in model.rhythms:
        assert rhythm.log_transitions.shape == (rhythm.meter.n_places, MAX_DISTANCE + 1)
        np.testing.assert_allclose(np.exp(rhythm.log_transitions).sum(axis=1), 1.0, atol=0.02)


def test_evidence_counts_for_a_reading_and_odd_tempi_against_it():
    model = default_meter_model()
    assert min(model.rhythm, model.fit, model.returns[0], *model.melody[:2]) > 0
    tempi = np.arange(40.0, 200.0)
    for rhythm in model.rhythms:
        prior = np.array(rhythm.tempo) @ tempo_features(tempi, rhythm.meter.steps_per_beat)
        assert 50 <= tempi[int(np.argmax(prior))] <= 130


@pytest.mark.parametrize("name", ["meter", "tempo", "steady"])
def test_confidence_grows_with_evidence(name):
    _, share, rhythm, fit = load_fitted("tempo")[name]
    assert rhythm > 0
    assert fit > 0
    assert share > 0 or name == "steady"


@pytest.mark.parametrize("kind", KINDS)
def test_votes_count_for_and_against_a_correction(kind):
    few, more, opposed = (Correction(kind, 0, 60, 0.5, *votes, 0.0).log_odds for votes in ((1, 0), (2, 0), (2, 1)))
    assert more > few
    assert more > opposed
