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
from hf_model.separator.source import FOLDER, UNSURE, LogisticModel, measure_separated
from hf_model.separator.source_features import measure_features

FloatArray = NDArray[np.float64]

PENALTY, PENALTY_SEPARATED = 1.0, 10.0
"""Of the squared weights of standardised features; the second model has fewer clips."""

MARGIN = 1.5
"""Clips on whose first logit the second model is fitted: so much beyond ``UNSURE``."""

TRAINED_ON = (
    "made clips: synthetic voices and 44 recordings that SSVD v2.0 shares with HUST_Solfege (MIT), alone, with noises, "
    "in rooms, and over bands of POP909 (MIT); two songs of everythingisfree (CC0)"
)


def fit(clips: Iterable[Clip], separator: SeparatorLike, folder: Path = FOLDER) -> tuple[LogisticModel, LogisticModel]:
    """Fit both models and write them; the second one on the clips that the first one is unsure about.

    Their first logits are those of models that did not see the clip, else they would be too sure.
    """
    known = [(clip, measure_features(clip.audio)) for clip in clips]
    features, labels = np.array([item for _, item in known]), np.array([float(clip.is_song) for clip, _ in known])
    alone = fit_logistic(features, labels, PENALTY)
    logits = held_out_logits(features, labels, PENALTY)
    rows, row_labels = [], []
    for (clip, _), logit in zip(known, logits, strict=True):
        if abs(logit) < UNSURE + MARGIN:
            measured = measure_separated(clip.audio, float(logit), separator)
            if measured is not None:
                rows.append(measured)
                row_labels.append(float(clip.is_song))
    separated = fit_logistic(np.array(rows), np.array(row_labels), PENALTY_SEPARATED)
    models = {"alone": asdict(alone), "separated": asdict(separated)}
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "config.json", {"kind": "source", "licence": "MIT", "trained_on": TRAINED_ON, **models})
    return alone, separated


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
