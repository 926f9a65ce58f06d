from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from hf_model.audio.part import Part
from hf_model.audio.reader import AudioError
from hf_model.audio.recording import as_recording, read_recording

COUNT = np.arange(100, dtype=np.float32)[None]


def blocks(size: int, n_asked: list[int]) -> Iterator[NDArray[np.float32]]:
    for start in range(0, COUNT.shape[1], size):
        n_asked.append(start)
        yield COUNT[:, start : start + size]


@pytest.mark.parametrize("size", [1, 7, 30, 100])
@pytest.mark.parametrize(("start", "end"), [(0.0, 3.0), (2.0, 5.0), (1.25, None), (0.0, None), (9.9, 10.0)])
def test_a_part_is_cut_whatever_the_blocks(size: int, start: float, end: float | None) -> None:
    cut = np.concatenate(list(Part(start, end).cut(blocks(size, []), 10)), axis=1)
    first = {0.0: 0, 2.0: 20, 1.25: 13, 9.9: 99}[start]
    np.testing.assert_array_equal(cut[0], COUNT[0, first : 100 if end is None else round(10 * end)])


def test_nothing_after_the_part_is_read() -> None:
    asked: list[int] = []
    list(Part(1.0, 2.0).cut(blocks(10, asked), 10))
    assert asked == [0, 10]


@pytest.mark.parametrize("start", [10.0, 12.0])
def test_a_part_after_the_end_is_refused(start: float) -> None:
    with pytest.raises(AudioError, match=rf"it ends at 0:10, before the start at 0:{start:.0f}"):
        list(Part(start).cut(blocks(7, []), 10))


@pytest.mark.parametrize(("start", "end"), [(-1.0, None), (2.0, 2.0), (5.0, 1.0), (float("nan"), None)])
def test_parts_without_length_are_refused(start: float, end: float | None) -> None:
    with pytest.raises(AudioError, match=r"(start|end) is"):
        Part(start, end)


def test_a_part_has_the_length_asked_for(tmp_path: Path) -> None:
    audio = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 3 * 22050)).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", audio.T, 22050, subtype="FLOAT")
    part = read_recording(tmp_path / "a.wav", start=0.5, end=1.7)
    assert (part.n_samples, part.sample_rate) == (26460, 22050)
    np.testing.assert_array_equal(part.voice, as_recording(audio[:, 11025:37485], 22050).voice)
    np.testing.assert_array_equal(part.voice, as_recording(audio, 22050, start=0.5, end=1.7).voice)
    assert part.warnings == ()
    assert sum(block.shape[1] for block in part.stereo_blocks(22050)) == 26460, "read again, it is the part, too"


def test_an_early_end_of_the_file_is_a_warning(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.full(24000, 0.1), 8000)
    part = read_recording(tmp_path / "a.wav", start=1.0, end=65.0)
    assert part.n_samples == 16000
    assert part.warnings == ("the recording ends at 0:03, before 1:05",)
    with pytest.raises(AudioError, match=rf"{tmp_path / 'a.wav'}: it ends at 0:03, before the start at 0:04"):
        read_recording(tmp_path / "a.wav", start=4.0)


def test_the_longest_allowed_duration_is_that_of_the_part(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.full(24000, 0.1), 8000)
    assert read_recording(tmp_path / "a.wav", 1.0, start=1.0, end=2.0).duration == 1.0
    with pytest.raises(AudioError, match="longer than 1 seconds"):
        read_recording(tmp_path / "a.wav", 1.0, start=1.0)
