from collections.abc import Iterable, Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from hf_model.audio.recording import as_recording
from hf_model.separator.song import Stem, separate_song
from hf_model.separator.voice_part import BACKING_SHARE
from tests.fakes import LeftSeparator, tones

VOICE, BACKING = tones([60, 64, 67], 44100), tones([36, 36, 40], 44100)
SONG = np.stack([VOICE, BACKING])


def test_voice_and_backing_are_taken_apart() -> None:
    heard: list[NDArray[np.float32]] = []
    song = separate_song(
        as_recording(SONG, 44100), LeftSeparator(), keep={"voice", "backing"}, use_backing=heard.append
    )
    np.testing.assert_allclose(song.voice.voice, 0.5 * as_recording(VOICE, 44100).voice, atol=1e-4)
    mix = as_recording(np.stack([VOICE, BACKING_SHARE * BACKING]), 44100)
    np.testing.assert_allclose(song.blended, mix.voice, atol=1e-4)
    assert (song.voice.n_samples, song.voice.sample_rate) == (SONG.shape[1], 44100)
    voice, backing = (np.concatenate(list(song.stems[name].blocks(9000)), axis=1) for name in ("voice", "backing"))
    np.testing.assert_array_equal(voice, [VOICE, 0 * VOICE])
    np.testing.assert_array_equal(backing, [0 * VOICE, BACKING])
    np.testing.assert_array_equal(np.concatenate(heard, axis=1), backing)
    song.close()


@pytest.mark.parametrize(("left", "right"), [(1.0, 0.0), (0.5, 0.5), (0.25, 0.75)])
def test_the_side_is_half_the_difference_of_channels(left: float, right: float) -> None:
    class Everything:
        def separate(self, blocks: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
            yield from blocks

    song = separate_song(as_recording(np.stack([left * VOICE, right * VOICE]), 44100), Everything())
    assert song.side.dtype == np.float16
    np.testing.assert_allclose(song.side, (left - right) * song.voice.voice, atol=2e-4)


def test_stems_are_kept_only_if_wanted() -> None:
    song = separate_song(as_recording(SONG, 44100), LeftSeparator(), keep={"voice"})
    assert set(song.stems) == {"voice"}
    song.close()
    assert separate_song(as_recording(SONG, 44100), LeftSeparator()).stems == {}


@pytest.mark.parametrize("sample_rate", [22050, 48000])
def test_other_rates_give_the_same_length(sample_rate: int) -> None:
    audio = np.stack([tones([60], sample_rate), tones([40], sample_rate)])
    song = separate_song(as_recording(audio, sample_rate), LeftSeparator(), keep={"voice"})
    assert song.stems["voice"].n_samples == 22050
    assert song.voice.voice.shape == (8000,)
    song.close()


def test_progress_reaches_one() -> None:
    shares: list[float] = []
    separate_song(as_recording(SONG, 44100), LeftSeparator(), progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_a_song_without_a_voice_has_no_singing() -> None:
    assert separate_song(as_recording(SONG, 44100), LeftSeparator()).has_singing
    assert not separate_song(as_recording(np.stack([0 * VOICE, BACKING]), 44100), LeftSeparator()).has_singing


def test_limited_songs_do_not_warn_of_clipping() -> None:
    recording = as_recording(np.clip(20 * SONG, -1, 1), 44100)
    assert recording.warnings[0].startswith("clipped")
    assert separate_song(recording, LeftSeparator()).voice.warnings == ()


class FailingSeparator:
    """A separator that fails after the first block."""

    def separate(self, blocks: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
        yield next(iter(blocks))[:, :10]
        raise MemoryError


def test_stems_are_deleted_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[Stem] = []
    monkeypatch.setattr(Stem, "close", lambda stem: (closed.append(stem), stem._file.close()))
    with pytest.raises(MemoryError):
        separate_song(as_recording(SONG, 44100), FailingSeparator(), keep={"voice", "backing"})
    assert len(closed) == 2


def test_a_stem_has_a_loudness() -> None:
    stem, silence = Stem(), Stem()
    seconds = np.arange(44100) / 44100
    stem.add(np.tile(np.sin(2 * np.pi * 997 * seconds), (2, 1)).astype(np.float32))
    silence.add(np.zeros((2, 44100), dtype=np.float32))
    assert stem.loudness == pytest.approx(0.0, abs=0.1), "BS.1770: a sine of 997 Hz at full scale in two channels"
    assert silence.loudness == -np.inf
    for one in (stem, silence):
        one.close()
