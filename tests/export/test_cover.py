from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from hf_model.audio.loudness import LoudnessMeter
from hf_model.export.cover import piano_gain, write_cover
from hf_model.notes.note import Note
from hf_model.piano.performance import Performance, perform
from hf_model.separator.song import Stem
from tests.fakes import tone_models

RATE = 44100
NOTES = [Note(0.0, 1.9, 69, 100)]
MakeStem = Callable[[NDArray[np.float64]], Stem]


@pytest.mark.parametrize(
    ("voice", "backing", "expected"),
    [
        (-20.0, -22.0, -20.0),  # as the voice was
        (-10.0, -22.0, -16.0),  # at most 6 LU over the accompaniment
        (-40.0, -22.0, -28.0),  # at most 6 LU under it
        (-20.0, -np.inf, -20.0),
        (-np.inf, -22.0, -22.0),
        (-np.inf, -np.inf, -16.0),  # unchanged
    ],
)
def test_the_piano_takes_the_place_of_the_voice(voice: float, backing: float, expected: float) -> None:
    assert -16.0 + 20 * np.log10(piano_gain(-16.0, voice, backing)) == pytest.approx(expected)


def test_a_silent_piano_has_no_gain() -> None:
    assert piano_gain(-np.inf, -20.0, -20.0) == 1.0


@pytest.fixture
def make_stem() -> Iterator[MakeStem]:
    stems: list[Stem] = []

    def make(mono: NDArray[np.float64]) -> Stem:
        stems.append(Stem())
        stems[-1].add(np.tile(mono, (2, 1)).astype(np.float32))
        return stems[-1]

    yield make
    for stem in stems:
        stem.close()


def sine(hz: float, amplitude: float, seconds: float = 2.0) -> NDArray[np.float64]:
    return amplitude * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE)


def level(audio: NDArray[np.float64], hz: float) -> float:
    """Amplitude of a sine in audio (sample,)."""
    seconds = np.arange(len(audio)) / RATE
    return float(2 * np.abs(np.mean(audio * np.exp(-2j * np.pi * hz * seconds))))


def write(path: Path, voice: Stem, backing: Stem, **settings: bool) -> NDArray[np.float64]:
    with perform(NOTES, backing.n_samples, Performance(mono=True), tone_models()) as take:
        write_cover(path, take, voice, backing, **settings)
    audio, rate = soundfile.read(path)
    assert rate == RATE
    return np.asarray(audio.T)


def test_a_cover_is_stereo_as_long_as_the_song_and_normalized(tmp_path: Path, make_stem: MakeStem) -> None:
    cover = write(tmp_path / "a.wav", make_stem(sine(1000, 0.1)), make_stem(sine(500, 0.2)))
    assert cover.shape == (2, 2 * RATE)
    meter = LoudnessMeter(RATE)
    meter.add(cover.astype(np.float32))
    assert meter.loudness == pytest.approx(-16.0, abs=0.2)


def test_a_cover_keeps_the_level_of_the_song_if_wanted(tmp_path: Path, make_stem: MakeStem) -> None:
    soft, loud = make_stem(sine(500, 0.05)), make_stem(sine(500, 0.99))
    voice = make_stem(sine(1000, 0.05))
    assert level(write(tmp_path / "a.wav", voice, soft, normalize=False)[0], 500) == pytest.approx(0.05, rel=0.01)
    turned_down = write(tmp_path / "b.wav", voice, loud, normalize=False)
    assert 0.5 < np.abs(turned_down).max() <= 10 ** (-1 / 20)


def test_a_louder_voice_makes_a_louder_piano(tmp_path: Path, make_stem: MakeStem) -> None:
    backing = make_stem(sine(500, 0.1))
    covers = [
        write(tmp_path / "a.wav", make_stem(sine(1000, amplitude)), backing, normalize=False)
        for amplitude in (0.07, 0.14)
    ]
    soft, loud = (level(cover[0], 440) for cover in covers)
    assert loud == pytest.approx(2 * soft, rel=0.02)
    assert level(covers[0][0], 1000) < 1e-3, "the voice itself is not in it"


def test_a_long_cover_adds_what_sounds_together(tmp_path: Path, make_stem: MakeStem) -> None:
    """The piano has blocks of thirty seconds, the accompaniment others."""
    n_samples = 40 * RATE
    clicks = np.zeros(n_samples)
    clicks[[RATE, 25 * RATE, 31 * RATE, 39 * RATE]] = 0.5
    notes = [Note(second + 0.5, second + 1.5, 69, 100) for second in (24.0, 30.0, 38.0)]
    voice, backing = make_stem(sine(440, 0.1, 40.0)), make_stem(clicks)
    with perform(notes, n_samples, Performance(mono=True), tone_models()) as take:
        gain = write_cover(tmp_path / "cover.wav", take, voice, backing)
        piano = piano_gain(take.loudness, voice.loudness, backing.loudness) * np.concatenate(list(take.blocks()), 1)
    audio, _ = soundfile.read(tmp_path / "cover.wav", always_2d=True)
    np.testing.assert_allclose(audio.T, gain * (clicks + np.tile(piano, (2, 1))), atol=1e-4)
