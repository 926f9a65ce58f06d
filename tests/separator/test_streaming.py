"""Separation in blocks: exact length, no seams, no dependence on blocks, constant memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from hf_model.audio.grid import StftConfig
from hf_model.separator import streaming
from hf_model.separator.streaming import separate_blocks

GRID = StftConfig(8000, 64, 64, 16)
CHUNK = streaming.CHUNK_FRAMES * GRID.hop_length
"""Samples between the beginnings of chunks."""


def everything(magnitude: np.ndarray) -> np.ndarray:
    return np.ones_like(magnitude)


def separate(audio: np.ndarray, mask=everything, sizes: tuple[int, ...] = (1000,)) -> np.ndarray:
    return np.concatenate(list(separate_blocks(cut(audio, sizes), GRID, mask)), axis=1)


def cut(audio: np.ndarray, sizes: tuple[int, ...]):
    at, index = 0, 0
    while at < audio.shape[1]:
        yield audio[:, at : at + sizes[index % len(sizes)]]
        at, index = at + sizes[index % len(sizes)], index + 1


def noise(n_samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((2, n_samples)).astype(np.float32) * 0.1


@pytest.mark.parametrize("n_samples", [0, 1, 15, 16, 17, 63, CHUNK - 1, CHUNK, CHUNK + 300, 3 * CHUNK + 5])
def test_a_mask_of_ones_changes_nothing(n_samples):
    audio = noise(n_samples)
    separated = separate(audio)
    assert separated.shape == audio.shape
    np.testing.assert_allclose(separated, audio, atol=1e-6)


@pytest.mark.parametrize("extra", range(0, 2 * streaming.CONTEXT_FRAMES, 7))
def test_the_last_chunk_ends_anywhere(extra):
    """The end lies in the context or in the fade of a chunk."""
    audio = noise(2 * CHUNK + (extra - streaming.CONTEXT_FRAMES) * GRID.hop_length + 3)
    np.testing.assert_allclose(separate(audio), audio, atol=1e-6)


def test_blocks_do_not_change_the_result():
    def mask(magnitude: np.ndarray) -> np.ndarray:
        return magnitude / (magnitude + magnitude.mean())

    audio = noise(2 * CHUNK + 777)
    expected = separate(audio, mask, (audio.shape[1],))
    for sizes in ((1, 4000, 77), (CHUNK,), (12345,)):
        assert np.array_equal(separate(audio, mask, sizes), expected)


def test_chunks_fade_into_each_other(monkeypatch):
    """Chunks whose masks are 0 and 1 in turn: the level ramps over the fade, and is constant elsewhere."""
    count = iter(range(100))

    def mask(magnitude: np.ndarray) -> np.ndarray:
        return np.full_like(magnitude, float(next(count) % 2))

    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # chunks are computed in order
    audio = np.ones((2, 2 * CHUNK), dtype=np.float32)
    audio *= np.cos(np.arange(2 * CHUNK) * 0.5)
    level = np.abs(separate(audio, mask)[0]).reshape(-1, GRID.hop_length).max(axis=1)
    seam, fade = streaming.CHUNK_FRAMES, streaming.FADE_FRAMES
    assert level[: seam - fade - 4].max() == pytest.approx(0.0, abs=1e-6)
    assert level[seam + fade + 1 : -4].min() > 0.95
    ramp = level[seam - fade - 4 : seam + fade]
    assert np.abs(np.diff(ramp)).max() < 0.15
    assert level[seam - 2] == pytest.approx(0.5, abs=0.1)


def test_the_level_does_not_change_the_mask():
    """A soft recording is separated like a loud one, but silence is not amplified without limit."""
    seen: list[float] = []

    def mask(magnitude: np.ndarray) -> np.ndarray:
        seen.append(float(np.sqrt(np.square(magnitude).mean())))
        return np.ones_like(magnitude)

    audio = noise(CHUNK // 2)
    for gain in (1.0, 0.1, 0.0):
        separate(np.float32(gain) * audio, mask)
    assert seen[1] == pytest.approx(seen[0], rel=1e-3)
    assert seen[2] == 0.0


def test_a_long_song_takes_no_more_memory():
    def peak(n_chunks: int) -> int:
        tracemalloc.start()
        for block in separate_blocks((noise(CHUNK, seed) for seed in range(n_chunks)), GRID, everything):
            assert len(block) == 2
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    peak(2)
    assert peak(24) < 2 * peak(6)  # four times as long
