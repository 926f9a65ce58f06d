"""Rendering in blocks, with any piano."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from hf_model.notes.note import Note
from hf_model.piano.rendering import BLOCK_SECONDS, MAX_SOUNDING, TAIL_SECONDS, gain_for, render_blocks
from hf_model.piano.sampled import SampledPiano
from tests.fakes import TonePiano


def notes_across_blocks() -> list[Note]:
    """Two minutes; some notes sound across the boundaries at 30, 60 and 90 s, one lasts through a whole block."""
    rng = np.random.default_rng(1)
    onsets = np.arange(0, 118, 0.5)
    notes = [Note(t, t + 0.45, float(rng.integers(48, 84)), int(rng.integers(40, 110))) for t in onsets]
    return [*notes, Note(29.9, 31, 40), Note(59.99, 92, 45), Note(119.5, 130, 50)]


@pytest.mark.parametrize("piano", [TonePiano(), pytest.param(None, id="sampled")])
def test_blocks_equal_the_whole_rendering(piano: TonePiano | None) -> None:
    renderer = piano or SampledPiano.load()
    notes, n_samples = notes_across_blocks(), 120 * 44100 + 17
    blocks = list(render_blocks(renderer, notes, n_samples))
    assert [block.shape[1] for block in blocks] == [30 * 44100] * 4 + [17]
    np.testing.assert_allclose(np.concatenate(blocks, axis=1), renderer.render(notes, n_samples), atol=1e-4)


def test_the_gain_prevents_clipping_only() -> None:
    assert [gain_for(peak) for peak in (0.0, 0.5, 1.0)] == [1.0, 1.0, 1.0]
    assert 4.0 * gain_for(4.0) == pytest.approx(0.999)


def test_blocks_without_notes_are_digital_silence() -> None:
    class NoisyPiano(TonePiano):
        channels = 2

        def render(self, notes: Sequence[Note], n_samples: int) -> NDArray[np.float32]:
            return np.full((2, n_samples), 1e-6, dtype=np.float32) + super().render(notes, n_samples)

    first, second, third = render_blocks(NoisyPiano(), [Note(40, 41, 60)], 90 * 44100)
    assert first.shape == second.shape == (2, 30 * 44100)
    assert [block.any() for block in (first, second, third)] == [False, True, False]


class LongestPiano(TonePiano):
    """A piano that remembers the longest audio it was asked for."""

    longest = 0

    def render(self, notes: Sequence[Note], n_samples: int) -> NDArray[np.float32]:
        self.longest = max(self.longest, n_samples)
        return super().render(notes, n_samples)


def test_memory_does_not_grow_with_the_length_of_a_note() -> None:
    piano = LongestPiano()
    n_samples = 1000 * 44100
    blocks = render_blocks(piano, [Note(0.0, 900.0, 40), Note(400.0, 999.0, 60)], n_samples)
    assert sum(block.shape[1] for block in blocks) == n_samples
    assert piano.longest <= (MAX_SOUNDING + BLOCK_SECONDS + 2 * TAIL_SECONDS) * 44100


def test_a_held_string_is_silent_when_it_is_cut() -> None:
    piano = SampledPiano.load()
    held = piano.held_key_audio(36, 127, round((MAX_SOUNDING + 1) * 44100))  # the loop that decays most slowly
    assert np.abs(held[:, -44100:]).max(initial=0.0) < 2**-15
