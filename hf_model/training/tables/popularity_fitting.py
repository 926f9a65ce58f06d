"""Fitting the estimate of popularity to a table of songs, and measuring what it is worth: artists are never split."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hf_model.analysis.model_file import MODEL_FILE
from hf_model.analysis.popularity import AUDIO_COLUMNS, KIND
from hf_model.corpora.records import SongRecord
from hf_model.files import write_json

if TYPE_CHECKING:
    import pandas as pd

METADATA = ("genre",)

N_FOLDS = 5

N_RESAMPLES = 500

RATE = 0.08

SYNTHETIC = "synthetic"


def song_table(records: Iterable[SongRecord]) -> pd.DataFrame:
    """Put songs with a popularity into a table: ``artist``, ``genre``, ``popularity``, and their values."""
    import pandas as pd

    rows = [
        {"artist": record.artist or record.pair_id, "genre": record.genre, "popularity": record.popularity}
        | record.values
        for record in records
        if record.popularity is not None
    ]
    return pd.DataFrame(rows)


def synthetic_table(n_songs: int = 1500, seed: int = 0) -> pd.DataFrame:
    """Make a table in which loudness and genre explain a tenth of the popularity, and the artist most of the rest.

    It stands in where no table was downloaded, so that the stage runs everywhere; its figures say nothing about music.
    """
    import pandas as pd

    rng = np.random.default_rng(seed)
    artist = rng.integers(0, max(1, n_songs // 5), n_songs)
    fame = rng.normal(0.0, 18.0, artist.max() + 1)
    genre = rng.integers(0, 4, n_songs)
    loudness = rng.normal(-8.0, 3.0, n_songs)
    popularity = 45.0 + fame[artist] + 2.5 * (loudness + 8.0) + 3.0 * genre + rng.normal(0.0, 10.0, n_songs)
    return pd.DataFrame(
        {
            "artist": [f"artist {number}" for number in artist],
            "genre": [("pop", "rock", "rap", "latin")[number] for number in genre],
            "popularity": np.clip(popularity, 0.0, 100.0),
            "duration": rng.normal(210.0, 45.0, n_songs),
            "tempo": rng.normal(120.0, 27.0, n_songs),
            "loudness": loudness,
            "key": rng.integers(0, 12, n_songs).astype(float),
            "is_minor": (rng.random(n_songs) < 0.4).astype(float),
        }
    )


def columns_of(table: pd.DataFrame) -> dict[str, list[str]]:
    """Name the sets of columns that are compared: what audio gives, metadata, both, and all of the table."""
    audio = [name for name in AUDIO_COLUMNS if name in table]
    genres = [name for name in table if str(name).startswith("genre=")]
    numbers = [name for name in table.columns if name not in ("artist", "genre", "popularity")]
    return {"audio": audio, "metadata": genres, "audio and metadata": [*audio, *genres], "all columns": numbers}


def measure(table: pd.DataFrame, n_trees: int = 120, seed: int = 0) -> tuple[dict[str, Any], NDArray[np.float64]]:
    """Cross-validate by artist.

    Parameters
    ----------
    table : DataFrame
        Of :func:`song_table`.
    n_trees : int
    seed : int
        Of folds, trees and resamples.

    Returns
    -------
    dict
        For each set of columns, and for the mean of the training songs: ``explained``, the share of the variance that
        is explained, and ``error``, the mean absolute error, each with a 95 % bootstrap interval over artists.
    ndarray, shape (song,)
        Popularity minus the estimate from audio, of songs whose artists were not fitted to.
    """
    expanded = _with_genres(table)
    wanted = expanded["popularity"].to_numpy(dtype=np.float64)
    artists, artist = np.unique(expanded["artist"].to_numpy(dtype=str), return_inverse=True)
    rng = np.random.default_rng(seed)
    fold = (rng.permutation(len(artists)) % N_FOLDS)[artist]
    drawn = [rng.integers(0, len(artists), len(artists)) for _ in range(N_RESAMPLES)]
    base = np.empty(len(wanted))
    for number in range(N_FOLDS):
        base[fold == number] = wanted[fold != number].mean()
    report = {"mean": _figures(wanted, base, base, artist, drawn)}
    rests = np.zeros(len(wanted))
    for name, columns in columns_of(expanded).items():
        if not columns:
            continue
        values, estimate = expanded[columns].to_numpy(dtype=np.float64), np.empty(len(wanted))
        for number in range(N_FOLDS):
            train, test = fold != number, fold == number
            estimate[test] = _trees(n_trees, seed).fit(values[train], wanted[train]).predict(values[test])
        report[name] = _figures(wanted, estimate, base, artist, drawn)
        if name == "audio":
            rests = wanted - estimate
    return report, rests


def fit_popularity(table: pd.DataFrame, facts: dict[str, Any], folder: Path, n_trees: int = 120, seed: int = 0) -> None:
    """Measure, fit to all songs, and write the model of what audio gives as JSON.

    Raises
    ------
    ValueError
        If the table has none of the columns that audio gives.
    """
    names = columns_of(table)["audio"]
    if not names:
        msg = f"the table has none of the columns {', '.join(AUDIO_COLUMNS)}"
        raise ValueError(msg)
    report, rests = measure(table, n_trees, seed)
    fitted = _trees(n_trees, seed).fit(table[names].to_numpy(dtype=np.float64), table["popularity"].to_numpy())
    low, high = np.quantile(rests, [0.1, 0.9])
    values = {
        "kind": KIND,
        "names": names,
        "start": float(np.ravel(fitted.init_.constant_)[0]),
        "rate": RATE,
        "margins": [float(low), float(high)],
        "trees": [_as_lists(one.tree_) for one in fitted.estimators_[:, 0]],
        "facts": {**facts, "songs": len(table), "explained": report["audio"]["explained"][0], "scores": report},
    }
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / MODEL_FILE, values)


def _with_genres(table: pd.DataFrame) -> pd.DataFrame:
    """Add a column of 0 and 1 for each genre."""
    found = table.copy()
    for genre in sorted(set(table["genre"]) - {""}) if "genre" in table else []:
        found[f"genre={genre}"] = (table["genre"] == genre).astype(float)
    return found


def _trees(n_trees: int, seed: int) -> Any:
    from sklearn.ensemble import GradientBoostingRegressor

    return GradientBoostingRegressor(
        n_estimators=n_trees, learning_rate=RATE, max_depth=3, min_samples_leaf=20, subsample=0.7, random_state=seed
    )


def _figures(
    wanted: NDArray[np.float64],
    estimate: NDArray[np.float64],
    base: NDArray[np.float64],
    artist: NDArray[np.int64],
    drawn: Sequence[NDArray[np.int64]],
) -> dict[str, list[float]]:
    """Compute figures and intervals from sums by artist."""
    sums = [
        np.bincount(artist, values)
        for values in ((wanted - estimate) ** 2, (wanted - base) ** 2, np.abs(wanted - estimate), np.ones(len(wanted)))
    ]

    def both(picked: NDArray[np.int64] | slice) -> tuple[float, float]:
        squares, base_squares, distances, count = (float(part[picked].sum()) for part in sums)
        return 1.0 - squares / base_squares, distances / count

    found, resampled = both(slice(None)), np.array([both(picked) for picked in drawn])
    names = ("explained", "error")
    bounds = np.quantile(resampled, [0.025, 0.975], axis=0)
    return {
        name: [round(float(value), 4) for value in (found[index], *bounds[:, index])]
        for index, name in enumerate(names)
    }


def _as_lists(tree: Any) -> list[list[float]]:
    """Give children, features, thresholds and values of a tree."""
    value = tree.value[:, 0, 0]
    arrays = (tree.children_left, tree.children_right, tree.feature, tree.threshold, value)
    return [np.round(array, 6).tolist() for array in arrays]
