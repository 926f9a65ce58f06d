"""Streaming transcription: blocks of any size give the notes of the whole recording."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import pairwise

import numpy as np
import pytest

import hf_model
from hf_model.audio.reader import AudioError
from hf_model.config import ConfigError
from hf_model.inference import Models, default_models
from hf_model.notes.note import Note
from hf_model.singer.composition import compose
from hf_model.singer.synthesis import sing
from hf_model.transcriber.posteriors import PosteriorStream
from hf_model.transcriber.transcriber import Transcriber
from tests.fakes import ToneTranscriber

RATE = 16000


@cache
def song() -> np.ndarray:
    """Sing for 47 s, then softly; (sample,) at 16 kHz, and no whole number of frames."""
    parts = [sing(compose(seed, 12.0), seed).audio for seed in (3, 4, 5, 6, 7)]
    audio = np.concatenate([*parts[:-1], 0.02 * parts[-1]])
    assert audio.size > 47 * RATE
    return audio[: 47 * RATE + 77]


@cache
def notes_of_the_whole() -> list[Note]:
    notes = default_models().transcriber.transcribe(song())
    assert len(notes) > 30
    return notes


def transcribe_in_blocks(sizes: Iterator[int], audio: np.ndarray, **options: float) -> list[Note]:
    stream, notes, at = hf_model.listen(RATE, **options), [], 0
    while at < audio.size:
        size = next(sizes)
        notes += stream.push(audio[at : at + size])
        at += size
    return notes + stream.finish()


def random_sizes(seed: int, longest: int) -> Iterator[int]:
    rng = np.random.default_rng(seed)
    while True:
        yield int(rng.integers(0, 1 + rng.integers(1, longest)))


@pytest.mark.parametrize(("seed", "longest"), [(0, 4000), (1, 100_000), (2, 700_000)])
def test_blocks_of_any_size_give_the_notes_of_the_whole(seed, longest):
    assert transcribe_in_blocks(random_sizes(seed, longest), song()) == notes_of_the_whole()


def test_single_samples_give_the_notes_of_the_whole():
    audio = song()[: 12 * RATE]
    assert transcribe_in_blocks(iter(lambda: 1, 0), audio) == default_models().transcriber.transcribe(audio)


def test_notes_arrive_within_the_latency_and_never_change():
    stream = hf_model.listen(RATE)
    assert 20 < stream.latency < 25
    notes: list[Note] = []
    for at in range(0, song().size, RATE // 2):
        notes += stream.push(song()[at : at + RATE // 2])
        now = min(at + RATE // 2, song().size) / RATE
        due = [note for note in notes_of_the_whole() if note.offset < now - stream.latency]
        assert notes[: len(due)] == due
    assert len(notes) < len(notes_of_the_whole()), "the last notes are final at the end"
    assert notes + stream.finish() == notes_of_the_whole()


@pytest.mark.parametrize("chunk_seconds", [1.0, 17.0])
def test_other_chunks_give_the_same_notes_up_to_rounding(chunk_seconds):
    found = transcribe_in_blocks(iter(lambda: 8000, 0), song(), chunk_seconds=chunk_seconds)
    assert_same(found, notes_of_the_whole())


def assert_same(found: list[Note], expected: list[Note]) -> None:
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.onset == pytest.approx(other.onset, abs=1e-4)
        assert one.offset == pytest.approx(other.offset, abs=1e-4)
        assert one.pitch == pytest.approx(other.pitch, abs=1e-3)
        assert one.confidence == pytest.approx(other.confidence, abs=1e-3)


def test_overlapping_parts_give_the_notes_of_the_whole():
    """Parts of 25 s that begin on the grid of the level (50 ms); notes in the outer 8 s are dropped."""
    parts: list[Note] = []
    edges = [0, 9, 18, 27, 36, 60]
    for start, stop in pairwise(edges):
        first = max(0, start - 8)
        notes = default_models().transcriber.transcribe(song()[first * RATE : (stop + 8) * RATE])
        parts += [
            Note(note.onset + first, note.offset + first, note.pitch, confidence=note.confidence)
            for note in notes
            if start <= note.onset + first < stop
        ]
    assert_same(parts, notes_of_the_whole())


def test_another_sample_rate():
    audio = np.repeat(song()[: 13 * RATE], 3).astype(np.float64)
    results = []
    for size in (777, 48000, audio.size):
        stream, notes = hf_model.listen(48000), []
        for at in range(0, audio.size, size):
            notes += stream.push(audio[at : at + size])
        results.append(notes + stream.finish())
    assert len(results[0]) > 5
    assert results[0] == results[1] == results[2]


def test_posteriors_do_not_depend_on_blocks():
    model = default_models().transcriber
    assert isinstance(model, Transcriber)
    audio = song()[: 20 * RATE]
    stream = PosteriorStream(model, 300)
    chunks = [chunk for at in range(0, audio.size, 7001) for chunk in stream.push(audio[at : at + 7001])]
    chunks += stream.finish()
    assert [len(chunk[0]) for chunk in chunks] == [300] * 6 + [201]
    for ours, whole in zip(zip(*chunks, strict=True), model.posteriors(audio, 300), strict=True):
        assert np.array_equal(np.concatenate(ours), whole)
    assert not any(True for _ in PosteriorStream(model).finish()), "no audio, no posteriors"


def test_memory_does_not_grow():
    model = default_models().transcriber
    assert isinstance(model, Transcriber)
    stream = PosteriorStream(model, 1000)
    samples = stream._local._kept.nbytes
    for _ in range(3):
        assert all(len(chunk[0]) == 1000 for chunk in stream.push(song()))
        assert len(stream._context._kept) == 1
    assert stream._local._kept.nbytes == samples < 2e6


@pytest.mark.parametrize("block", [np.zeros((2, 100)), np.zeros(100, dtype=np.int16), np.array([0.0, np.nan])])
def test_blocks_that_are_no_audio_are_refused(block):
    with pytest.raises(ValueError, match=r"audio must be|sample 1 "):
        hf_model.listen(RATE).push(block)


def test_settings_and_order_are_checked():
    stream = hf_model.listen(RATE)
    assert stream.finish() == stream.finish() == []
    with pytest.raises(ValueError, match="finished"):
        stream.push(np.zeros(10))
    with pytest.raises(ConfigError, match="chunk_seconds"):
        hf_model.listen(RATE, chunk_seconds=0.0)
    with pytest.raises(AudioError, match="rate"):
        hf_model.listen(10)
    with pytest.raises(TypeError, match="a ToneTranscriber only takes whole recordings"):
        hf_model.listen(models=Models(transcriber=ToneTranscriber()))
