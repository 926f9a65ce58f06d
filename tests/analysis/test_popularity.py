"""The estimate of popularity: honest about tables that explain nothing, and the same trees as scikit-learn's."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hf_model.analysis.popularity import AUDIO_COLUMNS, PopularityModel
from hf_model.config import ConfigError
from hf_model.training.tables.popularity_fitting import RATE, fit_popularity, measure, synthetic_table


def test_the_trees_are_those_of_scikit_learn(tmp_path: Path) -> None:
    from sklearn.ensemble import GradientBoostingRegressor

    table = synthetic_table(300)
    fit_popularity(table, {"trained_on": "synthetic"}, tmp_path, n_trees=15)
    model = PopularityModel.from_pretrained(tmp_path)
    values = table[list(AUDIO_COLUMNS)].to_numpy()
    expected = GradientBoostingRegressor(
        n_estimators=15, learning_rate=RATE, max_depth=3, min_samples_leaf=20, subsample=0.7, random_state=0
    ).fit(values, table["popularity"])
    for row, wanted in zip(values[:20], expected.predict(values[:20]), strict=True):
        estimate = model.estimate(dict(zip(AUDIO_COLUMNS, row, strict=True)))
        assert estimate.value == pytest.approx(wanted, abs=1e-3)
        assert estimate.low <= estimate.value <= estimate.high


def test_what_explains_is_found_and_noise_is_not() -> None:
    report, rests = measure(synthetic_table(800), n_trees=40)
    low, high = report["audio"]["explained"][1:]
    assert 0.0 < low < report["audio"]["explained"][0] < high < 0.3
    assert report["audio and metadata"]["explained"][0] > report["audio"]["explained"][0]
    noise = synthetic_table(800)
    noise["popularity"] = np.random.default_rng(5).permutation(noise["popularity"])
    report, _ = measure(noise, n_trees=40)
    assert report["audio"]["explained"][0] < 0.02
    assert report["mean"]["explained"][0] == pytest.approx(0.0)
    assert len(rests) == 800


def test_artists_are_never_split() -> None:
    """Popularity that only the artist decides, and a column that gives the artist away, explain nothing of others."""
    rng = np.random.default_rng(0)
    artist = np.repeat(np.arange(100), 8)
    table = pd.DataFrame(
        {
            "artist": artist.astype(str),
            "genre": "",
            "popularity": rng.uniform(0.0, 100.0, 100)[artist],
            "tempo": rng.permutation(100).astype(float)[artist],
        }
    )
    report, _ = measure(table, n_trees=40)
    assert report["audio"]["explained"][0] < 0.02


@pytest.mark.parametrize(
    "tree",
    [
        [[0, -1], [1, -1], [0, 0], [0.5, 0.0], [1.0, 1.0]],  # a child of itself
        [[1, -1], [5, -1], [0, 0], [0.5, 0.0], [1.0, 1.0]],  # a child beyond the end
        [[1, -1, -1], [2, -1, -1], [99, 0, 0], [0.5, 0.0, 0.0], [1.0, 1.0, 1.0]],  # an unknown feature
        [[], [], [], [], []],
        [[-1], [-1], [0], [0.0], ["nan"]],
    ],
)
def test_a_damaged_tree_is_refused(tmp_path: Path, tree: list[list[float]]) -> None:
    fit_popularity(synthetic_table(120), {}, tmp_path, n_trees=2)
    values = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    values.pop("content_sha256", None)
    values["trees"][0] = tree
    (tmp_path / "config.json").write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(ConfigError, match="damaged"):
        PopularityModel.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"names": ["energy"]},
        {"trees": [[[10**30], [-1], [0], [0.0], [1.0]]]},
        {"start": 1e999},
        {"margins": [float("nan"), 1.0]},
        {"facts": [1]},
        {"facts": {"explained": "much"}},
    ],
)
def test_damaged_values_are_refused(tmp_path: Path, change: dict[str, object]) -> None:
    fit_popularity(synthetic_table(120), {}, tmp_path, n_trees=2)
    values = json.loads((tmp_path / "config.json").read_text(encoding="utf-8")) | change
    values.pop("content_sha256", None)
    (tmp_path / "config.json").write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(ConfigError, match="damaged"):
        PopularityModel.from_pretrained(tmp_path)
