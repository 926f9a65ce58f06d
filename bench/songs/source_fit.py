"""Fitting of the decision between voice and song: logistic regression on the features of made clips."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from bench.songs.source_clips import Clip
from hf_model.files import write_json
from hf_model.separator.choice import SeparatorLike
from hf_model.separator.source import (
    FOLDER,
    MODELS,
    UNSURE,
    LogisticModel,
    measure_instruments,
    measure_separated,
)
from hf_model.separator.source_features import measure_features

FloatArray = NDArray[np.float64]

PENALTY, PENALTY_SEPARATED = 1.0, 10.0
"""Of the squared weights of standardised features; the last model has fewer clips."""

MARGIN = 1.5
"""Logits of the clips that the last model is fitted to: so much beyond ``UNSURE``."""

TRAINED_ON = (
    "made clips: synthetic voices and 44 recordings that SSVD v2.0 shares with HUST_Solfege (MIT), alone, with noises, "
    "in rooms, and over bands of POP909 (MIT); two songs of everythingisfree (CC0)"
)


def fit(clips: Iterable[Clip], separator: SeparatorLike, folder: Path = FOLDER) -> dict[str, LogisticModel]:
    """Fit the models and write them; the last one on the clips that the others are unsure about.

    The logits of these clips are those of models that did not see the clip, else they would be too sure.
    """
    known = list(clips)
    labels = np.array([float(clip.is_song) for clip in known])
    features = np.array([measure_features(clip.audio) for clip in known])
    more = np.c_[features, [measure_instruments(clip.audio) for clip in known]]
    first, second = (held_out_logits(rows, labels, PENALTY) for rows in (features, more))
    rows, row_labels = [], []
    for index in np.flatnonzero(np.maximum(np.abs(first), np.abs(second)) < UNSURE + MARGIN).tolist():
        measured = measure_separated(known[index].audio, float(second[index]), separator)
        if measured is not None:
            rows.append(measured)
            row_labels.append(labels[index])
    models = (
        fit_logistic(features, labels, PENALTY),
        fit_logistic(more, labels, PENALTY),
        fit_logistic(np.array(rows), np.array(row_labels), PENALTY_SEPARATED),
    )
    fitted = dict(zip(MODELS, models, strict=True))
    folder.mkdir(parents=True, exist_ok=True)
    numbers = {name: asdict(model) for name, model in fitted.items()}
    write_json(folder / "config.json", {"kind": "source", "licence": "MIT", "trained_on": TRAINED_ON, **numbers})
    return fitted


def held_out_logits(features: FloatArray, labels: FloatArray, penalty: float, n_folds: int = 5) -> FloatArray:
    """Logits of each row from a model that was fitted without it, (row,)."""
    logits = np.zeros(len(labels))
    for fold in range(n_folds):
        out = np.arange(len(labels)) // 2 % n_folds == fold
        model = fit_logistic(features[~out], labels[~out], penalty)
        logits[out] = [model.logit(row) for row in features[out]]
    return logits


def fit_logistic(features: FloatArray, labels: FloatArray, penalty: float) -> LogisticModel:
    """Fit weights (feature,) and a bias to rows (row, feature) with labels 0 and 1."""
    mean, deviation = features.mean(axis=0), features.std(axis=0) + 1e-3
    rows, signs = np.c_[(features - mean) / deviation, np.ones(len(labels))], 2.0 * labels - 1.0

    def loss(weights: FloatArray) -> tuple[float, FloatArray]:
        margins = signs * (rows @ weights)
        pull = signs / (1.0 + np.exp(np.clip(margins, -50.0, 50.0)))
        shrunk = np.r_[weights[:-1], 0.0]
        return float(
            np.logaddexp(0.0, -margins).sum() + penalty / 2.0 * shrunk @ shrunk
        ), penalty * shrunk - rows.T @ pull

    weights = minimize(loss, np.zeros(rows.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 2000}).x
    rounded = [tuple(round(float(value), 4) for value in part) for part in (mean, deviation, weights)]
    return LogisticModel(rounded[0], rounded[1], rounded[2][:-1], rounded[2][-1])
