"""Beats of long recordings: the same equations, solved by their diagonals."""

from __future__ import annotations

import numpy as np
import pytest

from hf_model.music import beat_tracking
from hf_model.music.beat_tracking import fit_beats, solve_pentadiagonal


def test_beats_of_many_onsets_equal_those_of_few(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    steps = np.cumsum(generator.integers(1, 5, 120))
    onsets = 0.15 * steps + generator.normal(0, 0.02, 120)
    dense, first = fit_beats(onsets, steps, 4)
    monkeypatch.setattr(beat_tracking, "MAX_DENSE_BEATS", 0)
    banded, same = fit_beats(onsets, steps, 4)
    np.testing.assert_allclose(banded, dense, atol=1e-5)
    assert same == first


def test_two_onsets_minutes_apart() -> None:
    beats, _ = fit_beats(np.array([0.0, 300.0]), np.array([0, 1000]), 4)
    np.testing.assert_allclose(np.diff(beats), 1.2, atol=0.01)


def test_an_hour_of_onsets_takes_no_time() -> None:
    steps = 4 * np.arange(10_000)
    beats, first = fit_beats(0.36 * np.arange(10_000), steps, 4)  # by the dense equations: hours, and gigabytes
    assert first == 0
    np.testing.assert_allclose(np.diff(beats), 0.36, atol=1e-6)


def test_pentadiagonal_equations_by_hand() -> None:
    """4 1 1 / 1 4 1 / 1 1 4 times (1, 2, 3) is (9, 12, 15)."""
    bands = np.array([[4.0, 4, 4], [1, 1, 0], [1, 0, 0]])
    np.testing.assert_allclose(solve_pentadiagonal(bands, np.array([9.0, 12, 15])), [1, 2, 3])


@pytest.mark.parametrize("n", [1, 2, 3, 50])
def test_pentadiagonal_equations_of_any_size(n: int) -> None:
    generator = np.random.default_rng(n)
    bands = generator.normal(size=(3, n))
    bands[0] = np.abs(bands[0]) + 6
    matrix = np.diag(bands[0])
    for offset in (1, 2):
        below = np.diag(bands[offset, : max(0, n - offset)], -offset)[:n, :n] if n > offset else 0
        matrix = matrix + below + np.transpose(below)
    right = generator.normal(size=n)
    np.testing.assert_allclose(matrix @ solve_pentadiagonal(bands, right), right, atol=1e-12)
