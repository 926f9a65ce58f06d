"""The confidence of notes: probabilities, and their fit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_model.transcriber.confidence import ConfidenceFeatures, estimate_confidence, fit_weights

shares = st.floats(0.0, 1.0)
any_features = st.builds(ConfidenceFeatures, shares, shares, shares, st.floats(0.0, 60.0))


def test_without_evidence_the_constant_decides():
    neutral = ConfidenceFeatures(0.5, 0.5, 0.5, 0.3)
    assert estimate_confidence(neutral, (0.0, 1.0, 1.0, 1.0, 1.0)) == pytest.approx(0.5)
    assert estimate_confidence(neutral, (np.log(3.0), 1.0, 1.0, 1.0, 1.0)) == pytest.approx(0.75)
    assert estimate_confidence(ConfidenceFeatures(0.75, 0.5, 0.5, 0.3), (0.0, 1.0, 1.0, 1.0, 1.0)) == pytest.approx(
        0.75
    )


@given(any_features)
def test_confidence_rises_with_each_feature(features):
    weights = (0.1, 0.7, 0.5, 0.3, 0.2)
    confidence = estimate_confidence(features, weights)
    assert 0.0 < confidence < 1.0
    for name, more in (("onset", 1.0), ("voicing", 1.0), ("agreement", 1.0), ("duration", 60.0)):
        assert estimate_confidence(features._replace(**{name: more}), weights) >= confidence


def test_fitted_confidences_are_calibrated():
    rng = np.random.default_rng(0)
    features = [ConfidenceFeatures(*rng.beta(4, 1, 3), rng.uniform(0.05, 1.5)) for _ in range(6000)]
    truth = (-0.4, 0.9, 0.2, 0.6, 0.5)
    correct = [bool(rng.random() < estimate_confidence(one, truth)) for one in features]
    found = fit_weights(features, correct)
    assert np.allclose(found, truth, atol=0.15)
    confidences = np.array([estimate_confidence(one, found) for one in features])
    for low, high in ((0.2, 0.5), (0.5, 0.7), (0.7, 0.9), (0.9, 1.0)):
        inside = (confidences >= low) & (confidences < high)
        assert np.mean(np.array(correct)[inside]) == pytest.approx(confidences[inside].mean(), abs=0.05)


def test_the_fit_is_finite_if_all_notes_are_correct():
    weights = fit_weights(
        [ConfidenceFeatures(0.9, 0.9, 0.9, 0.3), ConfidenceFeatures(0.6, 0.7, 0.8, 0.1)], [True, True]
    )
    assert np.isfinite(weights).all()


@pytest.mark.parametrize(("features", "correct"), [([], []), ([ConfidenceFeatures(0.5, 0.5, 0.5, 0.5)], [True, False])])
def test_fitting_needs_notes_and_equal_lengths(features, correct):
    with pytest.raises(ValueError, match="at least one"):
        fit_weights(features, correct)
