"""Scores of classifiers, by examples small enough to compute by hand."""

from __future__ import annotations

import numpy as np
import pytest

from hf_model.training.classification_scores import calibration_error, macro_f1


def test_macro_f1_is_the_mean_over_classes() -> None:
    wanted, chosen = np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1])
    assert macro_f1(wanted, chosen) == pytest.approx((2 * 2 / 5 + 2 * 1 / 3) / 2)


def test_macro_f1_of_a_class_that_is_never_chosen_is_0() -> None:
    assert macro_f1(np.array([0, 1]), np.array([2, 2])) == 0.0


def test_calibration_error_weights_bins_by_examples() -> None:
    confidence = np.array([0.95, 0.95, 0.95, 0.15])
    right = np.array([True, True, False, False])
    assert calibration_error(confidence, right) == pytest.approx((3 * (0.95 - 2 / 3) + 0.15) / 4)


def test_fewer_bins_join_examples() -> None:
    confidence, right = np.array([0.25, 0.35]), np.array([False, True])
    assert calibration_error(confidence, right) == pytest.approx((0.25 + 0.65) / 2)
    assert calibration_error(confidence, right, n_bins=2) == pytest.approx(0.2)


def test_certainty_belongs_to_the_last_bin() -> None:
    assert calibration_error(np.array([1.0]), np.array([True])) == 0.0
