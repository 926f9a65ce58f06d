"""The genre of a song, by a linear model of its sound."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from hf_model.analysis.features import as_vector
from hf_model.config import ConfigError
from hf_model.files import read_json
from hf_model.weights import WEIGHTS

MODEL_FILE = "config.json"

KIND = "genre"

MOST_DEVIATIONS = 6.0
"""Features further from the mean of the training songs count as this many standard deviations."""


@dataclass(frozen=True, eq=False)
class GenreModel:
    """Multinomial logistic regression on standardised features.

    Attributes
    ----------
    names : tuple of str
        Features, in their order.
    genres : tuple of str
    mean, deviation : ndarray, shape (feature,)
        Of the training songs.
    weights : ndarray, shape (genre, feature + 1)
        The last column is the constant.
    facts : dict
        What it was trained on, and how well it did.
    """

    names: tuple[str, ...]
    genres: tuple[str, ...]
    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]
    weights: NDArray[np.float64]
    facts: Mapping[str, Any]

    @classmethod
    def from_pretrained(cls, folder: Path | str) -> Self:
        """Load a model of :func:`hf_model.training.tables.genre_fitting.save_genre_model`.

        Raises
        ------
        ConfigError
            If there is none, or it is damaged.
        """
        path = Path(folder) / MODEL_FILE
        if not path.is_file():
            msg = f"{folder}: no {MODEL_FILE}; it is not the folder of a genre model"
            raise ConfigError(msg)
        values = read_json(path, "train the model again, or install the package again")
        try:
            if values["kind"] != KIND:
                msg = f"{path}: kind is {values['kind']!r}, a genre model is needed"
                raise ConfigError(msg)
            mean, deviation, weights = (
                np.array(values[name], dtype=np.float64) for name in ("mean", "deviation", "weights")
            )
            names, genres = tuple(map(str, values["names"])), tuple(map(str, values["genres"]))
            facts = dict(values.get("facts", {}))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            msg = f"{path}: damaged ({error}); train the model again, or install the package again"
            raise ConfigError(msg) from error
        shapes = [(len(names),), (len(names),), (len(genres), len(names) + 1)]
        arrays = mean, deviation, weights
        are_numbers = all(np.isfinite(array).all() for array in arrays)
        if [array.shape for array in arrays] != shapes or not genres or not are_numbers or not np.all(deviation > 0):
            msg = f"{path}: damaged (its arrays do not fit its names); train the model again"
            raise ConfigError(msg)
        return cls(names, genres, mean, deviation, weights, facts)

    def probabilities(self, features: Mapping[str, float]) -> dict[str, float]:
        """Give the probability of each genre, the most probable first."""
        standard = (as_vector(features, self.names) - self.mean) / self.deviation
        standard = np.clip(standard, -MOST_DEVIATIONS, MOST_DEVIATIONS)
        scores = self.weights[:, :-1] @ standard + self.weights[:, -1]
        chances = np.exp(scores - scores.max())
        chances /= chances.sum()
        pairs = zip(self.genres, map(float, chances), strict=True)
        return dict(sorted(pairs, key=lambda item: -item[1]))


@cache
def default_genre_model() -> GenreModel:
    """Return the model that ships, loaded once per process."""
    return GenreModel.from_pretrained(WEIGHTS / "genre")
