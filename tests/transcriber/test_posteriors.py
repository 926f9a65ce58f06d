"""Chunks of both steps, with a network of sums: a frame that lacks some of its input has another value."""

from __future__ import annotations

import threading
from itertools import pairwise

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from hf_model.audio.grid import VOICE_STFT, StftConfig
from hf_model.transcriber.posteriors import LocalFeatures, PosteriorArrays, PosteriorStream

HOP = VOICE_STFT.hop_length


class Sums:
    """A first step that sums the last samples before 7 frames, and a second step that sums 19 of those sums."""

    stft_config: StftConfig = VOICE_STFT
    local_reach = 3 + 1
    context_reach = 9

    def __init__(self) -> None:
        self.frames = {"local": 0, "context": 0}
        self.threads: set[int] = set()

    def local(self, waveform: np.ndarray) -> LocalFeatures:
        last = np.append(np.float32(0), waveform[HOP - 1 :: HOP])
        self._count("local", last)
        return LocalFeatures(around(last, 3)[:, None], last[:, None], last[:, None])

    def refine(self, posteriors: PosteriorArrays, power: np.ndarray) -> PosteriorArrays:
        return [*posteriors[:3], posteriors[3] + around(power[:, 0], 9)[:, None]]

    def context(self, features: np.ndarray) -> np.ndarray:
        self._count("context", features)
        return np.tile(around(features[:, 0], self.context_reach), (3, 1))

    def _count(self, step: str, frames: np.ndarray) -> None:
        self.threads.add(threading.get_ident())
        self.frames[step] += len(frames)


def around(values: np.ndarray, reach: int) -> np.ndarray:
    return sliding_window_view(np.pad(values, reach), 2 * reach + 1).sum(axis=1)


@pytest.fixture
def network(monkeypatch) -> Sums:
    monkeypatch.setattr("hf_model.transcriber.posteriors.set_level", lambda waveform, start, stop: waveform[start:stop])
    return Sums()


def voice(n_samples: int) -> np.ndarray:
    """Integers, so that sums are exact."""
    return np.random.default_rng(0).integers(-9, 10, n_samples).astype(np.float32)


@pytest.mark.parametrize("chunk_frames", [1, 5, 18, 50])
@pytest.mark.parametrize("n_samples", [1, 159, 160, 8 * HOP, 50 * HOP - 1, 59 * HOP, 60 * HOP, 1500 * HOP + 7])
def test_blocks_and_chunks_change_no_frame(network, chunk_frames, n_samples):
    audio = voice(n_samples)
    stream = PosteriorStream(network, chunk_frames)
    edges = np.r_[0, np.sort(np.random.default_rng(1).integers(0, n_samples + 1, 7)), n_samples]
    chunks = [chunk for a, b in pairwise(edges) for chunk in stream.push(audio[a:b])]
    chunks += stream.finish()
    n_frames = 1 + n_samples // HOP
    assert [len(chunk[0]) for chunk in chunks[:-1]] == [chunk_frames] * (len(chunks) - 1)
    onset, offset, voicing, pitch = (np.concatenate(parts) for parts in zip(*chunks, strict=True))
    whole = network.local(audio)
    assert np.array_equal(onset, network.context(whole.features)[0])
    assert np.array_equal(onset, offset)
    assert np.array_equal(onset, voicing)
    assert np.array_equal(pitch, whole.pitch + around(whole.power[:, 0], 9)[:, None])
    assert len(onset) == n_frames


def test_little_is_computed_twice(network):
    stream = PosteriorStream(network, 100)
    n_chunks = sum(1 for _ in stream.push(voice(3000 * HOP)))
    assert n_chunks == 23, "7 s are still needed: the reach of the level"
    assert network.frames["local"] == pytest.approx(n_chunks * (100 + 2 * network.local_reach), abs=20)
    assert network.frames["context"] == pytest.approx(n_chunks * (100 + 2 * network.context_reach), abs=20)


def test_both_steps_are_computed_in_other_threads(network, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    assert sum(1 for _ in PosteriorStream(network, 100).push(voice(3000 * HOP))) == 23
    assert network.threads
    assert threading.get_ident() not in network.threads


def test_latency_is_an_upper_bound(network):
    stream, seconds = PosteriorStream(network, 100), 0.0
    while not list(stream.push(voice(HOP))):
        seconds += HOP / VOICE_STFT.sample_rate
    assert stream.latency - 0.06 < seconds <= stream.latency
