import errno
import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from hf_model.audio.io import to_mono, write_audio, write_wav_blocks
from tests.fakes import tones

A4 = tones([69], 44100, duration=0.8)


def test_to_mono_averages() -> None:
    np.testing.assert_array_equal(to_mono(np.array([[1, 0], [0, 0.5]], dtype=np.float32)), [0.5, 0.25])


def test_wav_blocks_are_clipped_and_complete(tmp_path: Path) -> None:
    blocks = [np.full((2, 3), 0.5, dtype=np.float32), np.full((2, 4), 1.5, dtype=np.float32)]
    write_wav_blocks(tmp_path / "a.part", iter(blocks), 44100, 7)
    info = soundfile.info(tmp_path / "a.part")
    assert (info.frames, info.channels, info.samplerate, info.format) == (7, 2, 44100, "WAV")
    assert soundfile.read(tmp_path / "a.part")[0].max() == pytest.approx(1, abs=1e-4)


def test_more_than_4_gb_are_written_as_rf64(tmp_path: Path) -> None:
    write_wav_blocks(tmp_path / "a.wav", [np.zeros((2, 3), dtype=np.float32)], 44100, n_samples=2**30)
    assert soundfile.info(tmp_path / "a.wav").format == "RF64"


def test_write_audio_chooses_the_format_by_suffix(tmp_path: Path) -> None:
    write_audio(tmp_path / "a.flac", A4, 44100)
    assert soundfile.info(tmp_path / "a.flac").format == "FLAC"


class FullDisk(io.BytesIO):
    """A file on a disk with room for some bytes."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room

    def write(self, data: bytes) -> int:  # type: ignore[override]
        if self.tell() + len(data) > self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data)


@pytest.mark.parametrize("room", [0, 30, 5000])
def test_a_full_disk_is_reported_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    monkeypatch.setattr(Path, "open", lambda *_: FullDisk(room))
    with pytest.raises(OSError, match="No space left on device") as error:
        write_wav_blocks(tmp_path / "a.wav", [np.zeros((2, 3000), dtype=np.float32)] * 3, 44100, 9000)
    assert error.value.errno == errno.ENOSPC


@pytest.mark.parametrize("n_channels", [1, 2])
def test_wav_blocks_have_the_bytes_of_libsndfile(tmp_path: Path, n_channels: int) -> None:
    noise = np.random.default_rng(0).uniform(-1.1, 1.1, (40000, n_channels)).astype(np.float32)
    noise[:5] = np.array([[1], [-1], [0], [-1e-12], [1e-12]])
    quiet = 3e-5 * noise
    audio = np.concatenate([noise, quiet]).T  # interleaved, as it is read back from a temporary file
    blocks = [audio[:, :30000], np.ascontiguousarray(audio[:, 30000:])]
    write_wav_blocks(tmp_path / "blocks.wav", blocks, 44100, audio.shape[1])
    soundfile.write(tmp_path / "whole.wav", np.clip(audio.T, -1, 1), 44100, subtype="PCM_16")
    assert (tmp_path / "blocks.wav").read_bytes() == (tmp_path / "whole.wav").read_bytes()
