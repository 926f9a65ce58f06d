import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from hf_model.export.picture import save_picture
from hf_model.export.repetition_picture import save_repeats_picture
from hf_model.notes.note import Note
from hf_model.plotting import STEPS_PER_SEMITONE, PlottingError, pitch_spectrogram
from tests.fakes import tones

GLOW = (255, 184, 77)


def glowing(path: Path) -> np.ndarray:
    """Where the picture has the colour of a played key, (row, column)."""
    pixels = np.round(255 * imread(path, format="png")[:, :, :3]).astype(int)
    return np.argwhere(np.abs(pixels - GLOW).max(axis=2) < 12)


def test_a_tone_is_drawn_at_its_pitch() -> None:
    picture = pitch_spectrogram(tones([69], duration=1.0), 59.5, 79.5)
    assert picture.shape == (20 * STEPS_PER_SEMITONE, 121)
    assert picture.max() == pytest.approx(0, abs=1e-4)
    row, column = np.unravel_index(np.argmax(picture), picture.shape)
    assert 59.5 + (row + 0.5) / STEPS_PER_SEMITONE == pytest.approx(69, abs=0.3)
    assert 10 <= column <= 110


def test_long_spectrograms_are_downsampled_without_seams() -> None:
    voice = 0.3 * np.sin(2 * np.pi * 220 * np.arange(16000 * 61) / 16000).astype(np.float32)
    picture = pitch_spectrogram(voice, 50.5, 62.5)
    assert picture.shape[1] == 2034  # 6101 frames, three to a column
    inside = picture[:, 100:-100]
    assert np.ptp(inside.max(axis=0)) < 0.1


def test_played_notes_are_highlighted(tmp_path: Path) -> None:
    note = Note(0.5, 1.0, 60.0)
    save_picture(tmp_path / "with.part", tones([60] * 4), [note], [note], "a $tune$ 歌 \udcff.wav")
    save_picture(tmp_path / "without.part", tones([60] * 4), [], [])
    assert imread(tmp_path / "with.part", format="png").shape[0] > 500
    assert glowing(tmp_path / "with.part").shape[0] > 300
    assert glowing(tmp_path / "without.part").shape[0] == 0


@pytest.mark.parametrize("n_samples", [1, 800])
def test_very_short_recordings_are_drawn(tmp_path: Path, n_samples: int) -> None:
    save_picture(tmp_path / "a.png", np.zeros(n_samples, dtype=np.float32), [], [])
    assert (tmp_path / "a.png").stat().st_size > 1000


def test_very_low_and_high_notes_are_drawn(tmp_path: Path) -> None:
    notes = [Note(0.1, 0.4, 30.0), Note(0.5, 0.8, 95.0)]
    save_picture(tmp_path / "a.png", tones([40, 80]), notes, notes)
    rows = glowing(tmp_path / "a.png")[:, 0]
    assert np.ptp(rows) > 0.7 * imread(tmp_path / "a.png").shape[0]


@pytest.mark.parametrize(
    "draw", [lambda path: save_picture(path, tones([60]), [], []), lambda path: save_repeats_picture(path, [])]
)
def test_without_matplotlib_the_extra_is_named(draw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(PlottingError, match=r"pip install 'hummingface\[plot\]'"):
        draw(tmp_path / "a.png")
    assert not (tmp_path / "a.png").exists()
