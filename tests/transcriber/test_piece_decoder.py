from itertools import pairwise

import numpy as np
import pytest

from hf_model.notes.note import Note
from hf_model.transcriber.decoding import DecoderConfig, PitchAxis, decode
from hf_model.transcriber.note_stream import PieceDecoder
from hf_model.transcriber.posteriors import Curves

RATE = 100.0


def curves_of(notes: list[tuple[int, int, int]], n_frames: int) -> Curves:
    """What a sure network says of notes (first frame, last frame, pitch bin)."""
    onset, offset, voicing = (np.full(n_frames, 0.01, dtype=np.float32) for _ in range(3))
    pitch = np.full((n_frames, 24), 1 / 24, dtype=np.float32)
    for first, last, row in notes:
        onset[first], offset[last], voicing[first:last] = 0.95, 0.95, 0.97
        pitch[first:last] = 0.001
        pitch[first:last, row] = 1 - 23 * 0.001
    return [onset, offset, voicing, pitch]


def hear(curves: Curves, chunk: int, piece_seconds: float) -> list[Note]:
    chunks = ([curve[at : at + chunk] for curve in curves] for at in range(0, len(curves[0]), chunk))
    axis, config = PitchAxis(48.0, 1.0), DecoderConfig()
    decoder = PieceDecoder(lambda *parts: decode(*parts, axis, RATE, config), RATE, piece_seconds)
    return [note for part in chunks for note in decoder.push(part)] + decoder.finish()


@pytest.mark.parametrize("gap", [0, 1, 5, 20])
def test_pieces_hear_what_the_whole_hears(gap: int) -> None:
    rng = np.random.default_rng(gap)
    written = [(at, at + 50 - gap, int(rng.integers(24))) for at in range(20, 7900, 50)]
    curves = curves_of(written, 8000)
    whole = hear(curves, chunk=8000, piece_seconds=1000.0)
    assert len(whole) == len(written)
    pieces = hear(curves, chunk=170, piece_seconds=20.0)
    assert len(pieces) == len(whole)
    for name in ("onset", "offset", "pitch"):
        heard, wanted = ([getattr(note, name) for note in notes] for notes in (pieces, whole))
        np.testing.assert_allclose(heard, wanted, atol=0.011)


def test_a_note_across_a_border_is_heard_once() -> None:
    curves = curves_of([(500, 1600, 3), (2000, 2300, 5), (4400, 4500, 7)], 5000)
    notes = hear(curves, chunk=100, piece_seconds=15.0)
    assert [(round(100 * note.onset), round(100 * note.offset)) for note in notes] == [
        (500, 1600),
        (2000, 2300),
        (4400, 4500),
    ]


def test_no_more_than_a_piece_is_decoded_at_once() -> None:
    sizes: list[int] = []

    def decode_nothing(onset: np.ndarray, *_: np.ndarray) -> list[Note]:
        sizes.append(len(onset))
        return []

    chunks = ([np.zeros(100, dtype=np.float32)] * 3 + [np.zeros((100, 2), dtype=np.float32)] for _ in range(200))
    decoder = PieceDecoder(decode_nothing, RATE, 20.0)
    assert not any(decoder.push(part) for part in chunks)
    assert decoder.finish() == []
    assert max(sizes) == 2000


def test_nothing_is_heard_in_nothing() -> None:
    assert PieceDecoder(lambda *_: [Note(0, 1, 60)], RATE, 20.0).finish() == []


def test_a_tone_without_end_is_divided_and_memory_does_not_grow() -> None:
    sizes: list[int] = []

    def decode_one_tone(onset: np.ndarray, *_: np.ndarray) -> list[Note]:
        sizes.append(len(onset))
        return [Note(0.0, len(onset) / RATE, 60)]

    decoder = PieceDecoder(decode_one_tone, RATE, 20.0)
    chunk = [np.zeros(1000, dtype=np.float32)] * 3 + [np.zeros((1000, 2), dtype=np.float32)]
    notes = [note for _ in range(30) for note in decoder.push(chunk)] + decoder.finish()
    assert max(sizes) < 9000
    assert notes[0].onset == 0.0
    assert notes[-1].offset == pytest.approx(300.0)
    for one, other in pairwise(notes):
        assert other.onset == pytest.approx(one.offset)
    assert 3 < len(notes) < 7
