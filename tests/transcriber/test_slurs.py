"""Slurs, trills and vibrato in paths that are written by hand."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from hf_model.transcriber.config import TranscriberConfig
from hf_model.transcriber.decoding import DecoderConfig, PitchAxis, decode
from hf_model.transcriber.slurs import TRILL_REACH, find_slurs, mark_trills
from hf_model.transcriber.spectra import SHORT_WINDOW, power_spectra

LOWEST, STEP, N_BINS = 48.0, 1 / 6, 144
Float = NDArray[np.float64]


def posteriors(path: Float) -> tuple[NDArray[np.float32], ...]:
    """Make onset, offset, voicing and pitch of a voice that follows a path (frame,), between silences of 0.2 s."""
    path = np.pad(path, 20, mode="edge")
    bins = LOWEST + STEP * np.arange(N_BINS)
    pitch = np.exp(-0.5 * ((bins - path[:, None]) / 0.2) ** 2)
    onset, offset, voicing = (np.full(len(path), 0.001) for _ in range(3))
    voicing[20:-20] = 0.99
    onset[20], offset[-20] = 0.9, 0.9
    arrays = (onset, offset, voicing, pitch / pitch.sum(axis=1, keepdims=True))
    return tuple(array.astype(np.float32) for array in arrays)


def slurs_of(path: Float) -> list[int]:
    """Find slurs, in frames of the path."""
    onset, _, voicing, pitch = posteriors(path)
    return [int(frame) - 20 for frame in find_slurs(onset, voicing, pitch, LOWEST, STEP)[1]]


def glide(first: float, last: float, frames: int) -> Float:
    """Stay 0.4 s on a pitch, glide, and stay 0.4 s on another."""
    return np.concatenate([np.full(40, first), np.linspace(first, last, frames), np.full(40, last)])


@pytest.mark.parametrize("frames", [2, 6, 12, 20])
@pytest.mark.parametrize("interval", [-7, -1, 1, 2])
def test_a_slur_lies_in_the_middle_of_a_glide(frames: int, interval: int) -> None:
    assert slurs_of(glide(60.0, 60.0 + interval, frames)) == [pytest.approx(40 + frames / 2, abs=2)]


def test_steady_pitches_drifts_and_octave_errors_have_none() -> None:
    assert slurs_of(np.full(100, 60.0)) == []
    assert slurs_of(np.linspace(60.0, 61.0, 200)) == []
    assert slurs_of(60.0 + 0.4 * np.sin(2 * np.pi * 5.5 * np.arange(200) / 100)) == []
    assert slurs_of(glide(50.0, 66.0, 4)) == []


def test_a_short_first_pitch_is_a_scoop() -> None:
    path = np.concatenate([np.full(12, 58.0), np.full(80, 60.0)])
    assert slurs_of(path) == []


def test_an_onset_that_the_network_saw_needs_no_slur() -> None:
    onset, _, voicing, pitch = posteriors(glide(60.0, 62.0, 4))
    onset[62] = 0.5
    assert not len(find_slurs(onset, voicing, pitch, LOWEST, STEP)[1])


@pytest.mark.parametrize("extent", [1.0, 1.5, 2.0])
@pytest.mark.parametrize("hz", [4.5, 5.5, 7.0])
def test_wide_vibrato_becomes_its_centre(extent: float, hz: float) -> None:
    onset, _, voicing, pitch = posteriors(60.0 + extent * np.sin(2 * np.pi * hz * np.arange(200) / 100))
    flat, slurs = find_slurs(onset, voicing, pitch, LOWEST, STEP)
    assert not len(slurs)
    assert flat.sum(axis=1) == pytest.approx(np.ones(len(flat)), abs=1e-4)
    middle = round((60.0 - LOWEST) / STEP)
    assert flat[60:-60, middle - 2 : middle + 3].sum(axis=1).min() > 0.8
    assert pitch[60:-60, middle - 2 : middle + 3].sum(axis=1).mean() < 0.4


def test_a_melody_is_no_vibrato() -> None:
    onset, _, voicing, pitch = posteriors(np.repeat([60.0, 62.0, 60.0, 62.0, 60.0], 40))
    assert np.array_equal(find_slurs(onset, voicing, pitch, LOWEST, STEP)[0], pitch)


def test_the_decoder_divides_slurred_notes() -> None:
    arrays = posteriors(np.concatenate([glide(60.0, 61.0, 10), np.full(40, 63.0)]))
    axis = PitchAxis(LOWEST, STEP)
    notes = decode(*arrays, axis, 100.0)
    assert [note.pitch for note in notes] == pytest.approx([60.0, 61.0, 63.0], abs=0.1)
    assert [note.onset for note in notes] == pytest.approx([0.2, 0.65, 1.1], abs=0.06)
    assert len(decode(*arrays, axis, 100.0, DecoderConfig(slur=0.0))) < 3


def test_no_frames_and_one_frame() -> None:
    for count in (0, 1):
        empty = np.zeros(count, dtype=np.float32)
        pitch, slurs = find_slurs(empty, empty, np.full((count, N_BINS), 1 / N_BINS, dtype=np.float32), LOWEST, STEP)
        assert pitch.shape == (count, N_BINS)
        assert not len(slurs)


def sung(path: Float) -> tuple[list[NDArray[np.float32]], NDArray[np.float32]]:
    """Make the posteriors that a long window gives of a path, broad where it swings, and spectra of a short window."""
    rate, hop = 16000, 160
    pitch = np.repeat(path, hop)
    pitch = np.convolve(np.pad(pitch, 160, mode="edge"), np.full(321, 1 / 321), "valid")
    phase = 2 * np.pi * np.cumsum(440 * 2 ** ((pitch - 69) / 12)) / rate
    audio = np.sum([np.sin(k * phase) / k for k in range(1, 9)], axis=0)
    power = power_spectra(audio[: hop * (len(path) - 1)].astype(np.float32), SHORT_WINDOW)
    onset, offset, voicing, sharp = (array[20:-20] for array in posteriors(path))
    broad = sliding_window_view(np.pad(sharp, [(7, 7), (0, 0)], mode="edge"), 15, axis=0).mean(axis=-1)
    return [onset, offset, voicing, broad.astype(np.float32)], power


@pytest.mark.parametrize("step", [1.0, 2.0])
@pytest.mark.parametrize("frames", [8, 12])
def test_a_trill_is_divided_where_its_pitch_changes(step: float, frames: int) -> None:
    path = np.repeat(60.0 + step * (np.arange(16) % 2), frames)
    arrays, power = sung(path)
    onset, offset, _, pitch = mark_trills(arrays, power, LOWEST, STEP)
    changes = np.flatnonzero(onset > 0.5)[1:]
    assert np.array_equal(changes, np.flatnonzero(offset > 0.5))
    assert changes == pytest.approx(frames * np.arange(1, 16), abs=1)
    middles = frames * np.arange(3, 13) + frames // 2
    assert LOWEST + STEP * pitch[middles].argmax(axis=1) == pytest.approx(path[middles], abs=0.2)
    assert pitch.sum(axis=1) == pytest.approx(arrays[3].sum(axis=1), abs=1e-4)


@pytest.mark.parametrize("extent", [0.5, 1.0, 1.5])
@pytest.mark.parametrize("hz", [4.5, 6.0])
def test_a_vibrato_is_no_trill(extent: float, hz: float) -> None:
    arrays, power = sung(60.0 + extent * np.sin(2 * np.pi * hz * np.arange(200) / 100))
    assert mark_trills(arrays, power, LOWEST, STEP)[0] is arrays[0]


def test_a_frame_of_a_trill_depends_on_few_others() -> None:
    path = np.concatenate([np.full(100, 60.0), np.repeat(60.0 + 2.0 * (np.arange(20) % 2), 9), np.full(120, 60.0)])
    arrays, power = sung(path)
    whole = mark_trills(arrays, power, LOWEST, STEP)
    for middle in (105, 150, 210, 280):
        near = slice(middle - TRILL_REACH, middle + TRILL_REACH + 1)
        part = mark_trills([array[near] for array in arrays], power[near], LOWEST, STEP)
        for expected, found in zip(whole, part, strict=True):
            assert found[TRILL_REACH] == pytest.approx(expected[middle], abs=1e-6)
    assert TranscriberConfig().context_reach >= TRILL_REACH
