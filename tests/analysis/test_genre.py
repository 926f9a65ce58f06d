"""The genre model: what it computes, and that damage is named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from hf_model.analysis.genre import GenreModel, default_genre_model
from hf_model.config import ConfigError
from hf_model.training.tables.genre_fitting import (
    LabelledSong,
    cross_validate,
    fit_genres,
    save_genre_model,
    score_genres,
)


def _songs(n_songs: int = 40, distance: float = 4.0) -> list[LabelledSong]:
    """Make songs of three genres that lie around three points, of as many artists as songs of a genre."""
    rng = np.random.default_rng(0)
    points = {"march": (0.0, 0.0), "rock": (distance, 0.0), "waltz": (0.0, distance)}
    songs = []
    for number in range(n_songs):
        for genre, (x, y) in points.items():
            features = {"x": x + rng.normal(), "y": y + rng.normal(), "noise": rng.normal()}
            songs.append(LabelledSong(features, genre, f"artist {number}"))
    return songs


def test_genres_that_differ_are_told_apart(tmp_path: Path) -> None:
    save_genre_model(fit_genres(_songs(), {"trained_on": "points"}), tmp_path)
    model = GenreModel.from_pretrained(tmp_path)
    found = model.probabilities({"x": 4.0, "y": 0.0, "noise": 0.0})
    assert next(iter(found)) == "rock"
    assert found["rock"] > 0.8
    assert sum(found.values()) == pytest.approx(1.0)
    assert model.facts["trained_on"] == "points"
    assert cross_validate(_songs())["accuracy"] > 0.85


def test_the_same_probabilities_as_scikit_learn() -> None:
    from sklearn.linear_model import LogisticRegression

    songs = _songs(distance=1.0)
    model = fit_genres(songs, {})
    values = (np.array([list(song.features.values()) for song in songs]) - model.mean) / model.deviation
    expected = LogisticRegression(C=0.1, max_iter=2000).fit(values, [song.genre for song in songs])
    for song, row in zip(songs[:10], expected.predict_proba(values[:10]), strict=True):
        found = model.probabilities(song.features)
        np.testing.assert_allclose([found[genre] for genre in expected.classes_], row, atol=1e-6)


def test_two_genres() -> None:
    songs = [song for song in _songs() if song.genre != "waltz"]
    assert score_genres(fit_genres(songs, {}), songs)["accuracy"] > 0.9


def test_genres_without_a_difference_are_guessed() -> None:
    scores = cross_validate(_songs(distance=0.0))
    assert scores["accuracy"] < 0.5
    assert scores["calibration_error"] < 0.2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": [[1.0]]}, "arrays do not fit"),
        ({"kind": "transcriber"}, "kind is 'transcriber'"),
        ({"mean": "x"}, "damaged"),
        ({"facts": 7}, "damaged"),
        ({"mean": [10**400, 0.0, 0.0]}, "damaged"),
        ({"deviation": [1.0, 0.0, 1.0]}, "damaged"),
        ({"genres": [], "weights": []}, "damaged"),
    ],
)
def test_a_damaged_model_is_named(tmp_path: Path, change: dict[str, object], message: str) -> None:
    save_genre_model(fit_genres(_songs(), {}), tmp_path)
    values = json.loads((tmp_path / "config.json").read_text(encoding="utf-8")) | change
    values.pop("content_sha256", None)
    (tmp_path / "config.json").write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        GenreModel.from_pretrained(tmp_path)
    with pytest.raises(ConfigError, match=r"no config\.json"):
        GenreModel.from_pretrained(tmp_path / "nowhere")


def test_the_shipped_model_knows_six_genres() -> None:
    model = default_genre_model()
    assert model.genres == ("ballad", "bossa", "march", "rock", "techno", "waltz")
    assert model.facts["scores"]["accuracy"] > 0.5
