"""How sure a note is: the chance that it is right, as far as what was seen of it tells."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_model.transcriber.confidence import Clues, chance, fit_weights

shares = st.floats(0.0, 1.0)
seen = st.builds(Clues, shares, shares, shares, st.floats(0.0, 60.0))


def test_fifty_fifty_clues_say_nothing_but_what_the_first_weight_says():
    nothing = Clues(0.5, 0.5, 0.5, 0.3)
    assert chance(nothing, (0.0, 1.0, 1.0, 1.0, 1.0)) == pytest.approx(0.5)
    assert chance(nothing, (np.log(3.0), 1.0, 1.0, 1.0, 1.0)) == pytest.approx(0.75)
    assert chance(Clues(0.75, 0.5, 0.5, 0.3), (0.0, 1.0, 1.0, 1.0, 1.0)) == pytest.approx(0.75)


@given(seen)
def test_a_chance_is_a_probability_and_grows_with_each_clue(clues):
    weights = (0.1, 0.7, 0.5, 0.3, 0.2)
    likely = chance(clues, weights)
    assert 0.0 < likely < 1.0
    for name, more in (("onset", 1.0), ("voicing", 1.0), ("agreement", 1.0), ("duration", 60.0)):
        assert chance(clues._replace(**{name: more}), weights) >= likely


def test_fitted_chances_are_shares_of_right_notes():
    rng = np.random.default_rng(0)
    clues = [Clues(*rng.beta(4, 1, 3), rng.uniform(0.05, 1.5)) for _ in range(6000)]
    truth = (-0.4, 0.9, 0.2, 0.6, 0.5)
    right = [bool(rng.random() < chance(one, truth)) for one in clues]
    found = fit_weights(clues, right)
    assert np.allclose(found, truth, atol=0.15)
    chances = np.array([chance(one, found) for one in clues])
    for low, high in ((0.2, 0.5), (0.5, 0.7), (0.7, 0.9), (0.9, 1.0)):
        inside = (chances >= low) & (chances < high)
        assert np.mean(np.array(right)[inside]) == pytest.approx(chances[inside].mean(), abs=0.05)


def test_notes_that_are_all_right_do_not_run_away():
    weights = fit_weights([Clues(0.9, 0.9, 0.9, 0.3), Clues(0.6, 0.7, 0.8, 0.1)], [True, True])
    assert np.isfinite(weights).all()


@pytest.mark.parametrize(("clues", "right"), [([], []), ([Clues(0.5, 0.5, 0.5, 0.5)], [True, False])])
def test_what_cannot_be_fitted_is_refused(clues, right):
    with pytest.raises(ValueError, match="at least one"):
        fit_weights(clues, right)
