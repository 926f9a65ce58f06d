"""The sound of a band: with FluidSynth, without it, and how blocks are added."""

from __future__ import annotations

import numpy as np
import pytest

from hf_model.inference import Models
from hf_model.notes.note import Note
from hf_model.notes.part import Part
from hf_model.piano import band as module
from hf_model.piano.band import MISSING, as_piano_notes, band_blocks, describe_missing, find_band_font
from hf_model.piano.performance import Performance, add_blocks, perform

RATE = 44100
BAND = (
    Part("bass", 33, (Note(0.5, 1.0, 36.0, 90),)),
    Part("drums", 0, (Note(1.5, 1.6, 38.0, 100),), is_drum=True),
)


class Silence:
    """A piano without sound that keeps its notes."""

    def __init__(self) -> None:
        self.notes = []

    def render(self, notes, n_samples):
        self.notes = [*self.notes, *notes]
        return np.zeros((1, n_samples), dtype=np.float32)


@pytest.fixture
def without_fluidsynth(monkeypatch):
    monkeypatch.setattr(module.shutil, "which", lambda _: None)


@pytest.mark.skipif(find_band_font() is None, reason="FluidSynth or a sound font is not installed")
def test_each_part_sounds_in_its_time():
    audio = np.concatenate(list(band_blocks(BAND, 2 * RATE, find_band_font())), axis=1)
    assert audio.shape == (2, 2 * RATE)
    spans = ((0, 0.45), (0.55, 1), (1.5, 2))
    loud = [float(np.abs(audio[:, round(start * RATE) : round(end * RATE)]).max()) for start, end in spans]
    assert loud[0] < 1e-4 < 0.01 < min(loud[1:])
    spectrum = np.abs(np.fft.rfft(audio[0, round(0.55 * RATE) : round(0.95 * RATE)]))
    lowest = np.flatnonzero(spectrum > 0.3 * spectrum.max())[0] / 0.4
    assert lowest == pytest.approx(65.4, abs=4.0), "C2 on the bass"


@pytest.mark.skipif(find_band_font() is None, reason="FluidSynth or a sound font is not installed")
def test_a_performance_has_piano_and_band():
    piano = Silence()
    with perform(
        [Note(0.0, 1.0, 60.0)], 2 * RATE, Performance(), Models(renderers={"sampled": piano}), band=BAND
    ) as take:
        audio = np.concatenate(list(take.blocks()), axis=1)
    assert [note.pitch for note in piano.notes] == [60.0]
    assert audio.shape == (2, 2 * RATE)
    assert np.abs(audio[:, RATE // 2 :]).max() > 0.1
    assert describe_missing(BAND) == ()


@pytest.mark.usefixtures("without_fluidsynth")
def test_without_fluidsynth_the_piano_plays_all_but_drums():
    piano = Silence()
    with perform([Note(0.0, 1.0, 60.0)], RATE, Performance(), Models(renderers={"sampled": piano}), band=BAND) as take:
        assert take.n_samples == RATE
    assert [note.pitch for note in piano.notes] == [60.0, 36.0]
    assert describe_missing(BAND) == (MISSING,)
    assert describe_missing(()) == ()


def test_notes_for_the_piano_lie_on_its_keys():
    low = Part("bass", 33, (Note(0.0, 1.0, 16.0),))
    assert [note.pitch for note in as_piano_notes([low])] == [28.0]


def test_blocks_of_other_lengths_are_added():
    first = [np.full((1, n), 1.0, dtype=np.float32) for n in (5, 3, 4)]
    second = [np.full((2, n), 2.0, dtype=np.float32) for n in (2, 7)]
    added = list(add_blocks(iter(first), iter(second)))
    assert [block.shape[1] for block in added] == [5, 3, 4]
    whole = np.concatenate([block[:1] for block in added], axis=1)
    assert whole[0].tolist() == [3.0] * 9 + [1.0] * 3
