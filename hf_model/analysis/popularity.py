"""An estimate of popularity by an ensemble of regression trees, with what it is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from hf_model.config import ConfigError
from hf_model.files import read_json

MODEL_FILE = "config.json"

KIND = "popularity"

AUDIO_COLUMNS = ("duration", "tempo", "loudness", "key", "is_minor")
"""Columns of a table of songs that can be computed from audio: seconds, beats a minute, LUFS, pitch class of the tonic,
0 or 1."""


class Tree(NamedTuple):
    """A regression tree: a node goes left where its feature is at most its threshold; leaves have no children (-1)."""

    left: NDArray[np.int64]
    right: NDArray[np.int64]
    feature: NDArray[np.int64]
    threshold: NDArray[np.float64]
    value: NDArray[np.float64]

    def predict(self, row: NDArray[np.float64]) -> float:
        """Give the value of the leaf that a row (feature,) ends in."""
        node = 0
        while self.left[node] >= 0:
            goes_left = row[self.feature[node]] <= self.threshold[node]
            node = int((self.left if goes_left else self.right)[node])
        return float(self.value[node])


@dataclass(frozen=True, eq=False)
class Estimate:
    """A popularity.

    Attributes
    ----------
    value : float
        0-100, as in the table that the model was trained on.
    low, high : float
        Between which lie 80 % of the songs with such an estimate, by other artists.
    explained : float
        Share of the variance of popularity that the model explains for other artists: 0 is no better than the mean.
    """

    value: float
    low: float
    high: float
    explained: float


@dataclass(frozen=True, eq=False)
class PopularityModel:
    """Boosted regression trees on features that can be computed from audio.

    Attributes
    ----------
    names : tuple of str
        Features: :data:`AUDIO_COLUMNS` or some of them.
    start, rate : float
        Popularity before the first tree, and the share of each tree.
    trees : tuple of Tree
    margins : tuple of float
        10th and 90th percentile of popularity minus estimate, for artists that were not trained on.
    facts : dict
        What it was trained on, and how well it did.
    """

    names: tuple[str, ...]
    start: float
    rate: float
    trees: tuple[Tree, ...]
    margins: tuple[float, float]
    facts: Mapping[str, Any]

    @classmethod
    def from_pretrained(cls, folder: Path | str) -> Self:
        """Load a model of the analysis stage.

        Raises
        ------
        ConfigError
            If there is none, or it is damaged.
        """
        path = Path(folder) / MODEL_FILE
        if not path.is_file():
            msg = f"{folder}: no {MODEL_FILE}; `python -m stages.analysis` makes such a folder"
            raise ConfigError(msg)
        values = read_json(path, "run the analysis stage again")
        try:
            if values["kind"] != KIND:
                msg = f"{path}: kind is {values['kind']!r}, a model of popularity is needed"
                raise ConfigError(msg)
            names = tuple(map(str, values["names"]))
            trees = tuple(_tree(item, len(names)) for item in values["trees"])
            low, high = map(float, values["margins"])
            start, rate, facts = float(values["start"]), float(values["rate"]), dict(values["facts"])
            explained = float(facts.get("explained", 0.0))
            if not set(names) <= set(AUDIO_COLUMNS):
                msg = f"features are {', '.join(names)}, allowed are {', '.join(AUDIO_COLUMNS)}"
                raise ValueError(msg)
            if not np.isfinite([low, high, start, rate, explained]).all():
                msg = "every value must be a number"
                raise ValueError(msg)
            return cls(names, start, rate, trees, (low, high), facts)
        except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
            if isinstance(error, ConfigError):
                raise
            msg = f"{path}: damaged ({error}); run the analysis stage again"
            raise ConfigError(msg) from error

    def estimate(self, features: Mapping[str, float]) -> Estimate:
        """Estimate the popularity of a song by its features; all of ``names`` are needed."""
        row = np.array([features[name] for name in self.names], dtype=np.float64)
        value = self.start + self.rate * sum(tree.predict(row) for tree in self.trees)
        low, high = (float(np.clip(value + margin, 0.0, 100.0)) for margin in self.margins)
        explained = float(self.facts.get("explained", 0.0))
        return Estimate(float(np.clip(value, 0.0, 100.0)), low, high, explained)


def _tree(item: Sequence[Sequence[float]], n_features: int) -> Tree:
    """Check a tree, so that following it always ends: children come after their parent."""
    left, right, feature = (np.array(item[index], dtype=np.int64) for index in range(3))
    threshold, value = (np.array(item[index], dtype=np.float64) for index in (3, 4))
    at = np.arange(len(left))
    inner = left >= 0
    is_sound = (
        len({len(part) for part in (left, right, feature, threshold, value)}) == 1
        and len(left) > 0
        and bool(np.all((left[inner] > at[inner]) & (right[inner] > at[inner])))
        and bool(np.all((left < len(left)) & (right < len(left))))
        and bool(np.all((feature[inner] >= 0) & (feature[inner] < n_features)))
        and bool(np.isfinite(value).all() and np.isfinite(threshold).all())
    )
    if not is_sound:
        msg = "a tree is not one"
        raise ValueError(msg)
    return Tree(left, right, feature, threshold, value)
