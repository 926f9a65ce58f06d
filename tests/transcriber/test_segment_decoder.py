"""Decoding in segments: the notes of the whole, with bounded memory."""

from itertools import pairwise

import numpy as np
import pytest

from hf_model.notes.note import Note
from hf_model.transcriber.decoding import DecoderConfig, PitchAxis, decode
from hf_model.transcriber.note_stream import SegmentDecoder
from hf_model.transcriber.posteriors import PosteriorArrays

RATE = 100.0


def posteriors_of(notes: list[tuple[int, int, int]], n_frames: int) -> PosteriorArrays:
    """Make clear posteriors of notes (first frame, last frame, pitch bin)."""
    onset, offset, voicing = (np.full(n_frames, 0.01, dtype=np.float32) for _ in range(3))
    pitch = np.full((n_frames, 24), 1 / 24, dtype=np.float32)
    for first, last, row in notes:
        onset[first], offset[last], voicing[first:last] = 0.95, 0.95, 0.97
        pitch[first:last] = 0.001
        pitch[first:last, row] = 1 - 23 * 0.001
    return [onset, offset, voicing, pitch]


def decode_in_chunks(posteriors: PosteriorArrays, chunk: int, segment_seconds: float) -> list[Note]:
    chunks = ([part[at : at + chunk] for part in posteriors] for at in range(0, len(posteriors[0]), chunk))
    axis, config = PitchAxis(48.0, 1.0), DecoderConfig()
    decoder = SegmentDecoder(lambda *parts: decode(*parts, axis, RATE, config), RATE, segment_seconds)
    return [note for part in chunks for note in decoder.push(part)] + decoder.finish()


@pytest.mark.parametrize("gap", [0, 1, 5, 20])
def test_segments_give_the_notes_of_the_whole(gap: int) -> None:
    rng = np.random.default_rng(gap)
    written = [(at, at + 50 - gap, int(rng.integers(24))) for at in range(20, 7900, 50)]
    posteriors = posteriors_of(written, 8000)
    whole = decode_in_chunks(posteriors, chunk=8000, segment_seconds=1000.0)
    assert len(whole) == len(written)
    segments = decode_in_chunks(posteriors, chunk=170, segment_seconds=20.0)
    assert len(segments) == len(whole)
    for name in ("onset", "offset", "pitch"):
        found, expected = ([getattr(note, name) for note in notes] for notes in (segments, whole))
        np.testing.assert_allclose(found, expected, atol=0.011)


def test_a_note_across_a_boundary_is_found_once() -> None:
    posteriors = posteriors_of([(500, 1600, 3), (2000, 2300, 5), (4400, 4500, 7)], 5000)
    notes = decode_in_chunks(posteriors, chunk=100, segment_seconds=15.0)
    assert [(round(100 * note.onset), round(100 * note.offset)) for note in notes] == [
        (500, 1600),
        (2000, 2300),
        (4400, 4500),
    ]


def test_at_most_a_segment_is_decoded_at_once() -> None:
    sizes: list[int] = []

    def decode_nothing(onset: np.ndarray, *_: np.ndarray) -> list[Note]:
        sizes.append(len(onset))
        return []

    chunks = ([np.zeros(100, dtype=np.float32)] * 3 + [np.zeros((100, 2), dtype=np.float32)] for _ in range(200))
    decoder = SegmentDecoder(decode_nothing, RATE, 20.0)
    assert not any(decoder.push(part) for part in chunks)
    assert decoder.finish() == []
    assert max(sizes) == 2000


def test_no_posteriors_give_no_notes() -> None:
    assert SegmentDecoder(lambda *_: [Note(0, 1, 60)], RATE, 20.0).finish() == []


def test_an_endless_tone_is_divided() -> None:
    sizes: list[int] = []

    def decode_one_tone(onset: np.ndarray, *_: np.ndarray) -> list[Note]:
        sizes.append(len(onset))
        return [Note(0.0, len(onset) / RATE, 60)]

    decoder = SegmentDecoder(decode_one_tone, RATE, 20.0)
    chunk = [np.zeros(1000, dtype=np.float32)] * 3 + [np.zeros((1000, 2), dtype=np.float32)]
    notes = [note for _ in range(30) for note in decoder.push(chunk)] + decoder.finish()
    assert max(sizes) < 9000
    assert notes[0].onset == 0.0
    assert notes[-1].offset == pytest.approx(300.0)
    for one, other in pairwise(notes):
        assert other.onset == pytest.approx(one.offset)
    assert 3 < len(notes) < 7
