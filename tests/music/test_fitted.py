"""The fitted numbers of the musical rules: files, shapes and ranges."""

from __future__ import annotations

import json

import numpy as np
import pytest

from hf_model.music.fitted import FOLDER, load_fitted, save_fitted
from hf_model.music.key import MODES, key_model
from hf_model.music.meter import METERS
from hf_model.music.repetition_voting import KINDS, Correction

NAMES = ("key", "meter", "repetition_voting", "tempo")


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
    assert 0 < model.scale <= 1


def test_meter_tables_are_shares():
    assert {name: (meter.steps_per_beat, meter.n_places) for name, meter in METERS.items()} == {
        "2/4": (4, 8),
        "3/4": (4, 12),
        "4/4": (4, 16),
        "6/8": (3, 6),
    }
    for meter in METERS.values():
        assert sum(meter.places) == pytest.approx(1.0, abs=0.01)
        assert sum(meter.distances) == pytest.approx(1.0, abs=0.04), "distances beyond the table have the rest"
        assert min(*meter.places, *meter.distances) >= 0
        assert meter.log_prior <= 0


def test_tempo_confidence_rises_with_lead_and_likelihood():
    fitted = load_fitted("tempo")
    assert 40 < fitted["median_bpm"] < 200
    assert len(fitted["confidence_weights"]) == 3
    assert min(fitted["confidence_weights"][1:]) > 0


@pytest.mark.parametrize("kind", KINDS)
def test_votes_count_for_and_against_a_correction(kind):
    few, more, opposed = (Correction(kind, 0, 60, 0.5, *votes, 0.0).log_odds for votes in ((1, 0), (2, 0), (2, 1)))
    assert more > few
    assert more > opposed
