"""Decoding of audio files, block by block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.decoders.containers import Sound, find_sounds
from hf_model.audio.decoders.libsndfile import open_libsndfile
from hf_model.audio.decoders.opened import BLOCK_SAMPLES as BLOCK_SAMPLES
from hf_model.audio.decoders.opened import AudioError as AudioError
from hf_model.audio.decoders.opened import Opened

# fmt: off
SUFFIXES = frozenset((
    ".3g2", ".3ga", ".3gp", ".3gpp", ".aac", ".ac3", ".aif", ".aifc", ".aiff", ".amr", ".ape", ".asf", ".au", ".avi",
    ".bwf", ".caf", ".eac3", ".f4a", ".flac", ".flv", ".m2ts", ".m4a", ".m4b", ".m4r", ".m4v", ".mka", ".mkv", ".mov",
    ".mp2", ".mp3", ".mp4", ".mpa", ".mpc", ".mpeg", ".mpg", ".mpga", ".mts", ".oga", ".ogg", ".ogv", ".oma", ".opus",
    ".qt", ".qta", ".rf64", ".snd", ".spx", ".ts", ".tta", ".voc", ".w64", ".wav", ".wave", ".weba", ".webm", ".wma",
    ".wmv", ".wv",
))
# fmt: on
"""Suffixes that a search of a folder takes for audio; a file named explicitly is read whatever its suffix."""

MIN_SAMPLE_RATE, MAX_SAMPLE_RATE = 4000, 768000
"""Hz."""

MAX_CHANNELS = 64


def has_audio_suffix(path: Path) -> bool:
    """Whether a search of a folder takes a file for audio: by its suffix, and MPEG-TS not for TypeScript."""
    suffix = path.suffix.lower()
    if suffix != ".ts":
        return suffix in SUFFIXES
    try:
        with path.open("rb") as file:
            return file.read(1) == b"G"
    except OSError:
        return True  # why it cannot be read is said later


def check_format(sample_rate: float, n_channels: int) -> None:
    """Check the sample rate and the number of channels.

    Raises
    ------
    AudioError
        With the value and the allowed range.
    """
    if not MIN_SAMPLE_RATE <= sample_rate <= MAX_SAMPLE_RATE or sample_rate != int(sample_rate):
        msg = f"sample_rate is {sample_rate}, allowed is a whole number from {MIN_SAMPLE_RATE} to {MAX_SAMPLE_RATE} Hz"
        raise AudioError(msg)
    if not 1 <= n_channels <= MAX_CHANNELS:
        msg = f"{n_channels} channels, allowed is 1 to {MAX_CHANNELS}"
        raise AudioError(msg)


class AudioReader:
    """Iterator over the blocks of an audio file, in constant memory.

    Parameters
    ----------
    path : path
        wav, flac, ogg, aiff and others through libsndfile; mp3, m4a, webm and others through FFmpeg.

    Attributes
    ----------
    sample_rate : int
        Hz.
    n_channels : int
    header_duration : float
        Seconds according to the header, 0 if unknown; the decoded audio may be shorter or longer.
    warnings : list of str
        Problems of the file that do not prevent reading; complete after the last block.

    Raises
    ------
    AudioError
        If the file is missing, empty or has no audio; while iterating, if it is cut off or damaged.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        with self._errors_with_path():
            _check_file(self.path)
            self._state = _state(self.path)
            self._sounds = find_sounds(self.path)
            opened = _open(self.path, self._sounds[0], n_sounds=len(self._sounds))
            try:
                check_format(opened.sample_rate, opened.n_channels)
            except AudioError:
                opened.close()
                raise
        self._opened, self.warnings = opened, opened.warnings
        self.sample_rate, self.n_channels = opened.sample_rate, opened.n_channels
        self.header_duration = opened.header_duration if len(self._sounds) == 1 else 0.0

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        """Yield blocks of shape (channel, sample), full scale at 1."""
        n_samples = 0
        with self._errors_with_path():
            for block in self._blocks():
                n_samples += block.shape[1]
                yield block
            if _state(self.path) != self._state:
                self.warnings.append("the file changed while it was read; convert it again when it is complete")
            if n_samples == 0:
                msg = "the file holds no samples"
                raise AudioError(msg)

    def _blocks(self) -> Iterator[NDArray[np.float32]]:
        """Decode the recordings in the file one after another."""
        n_samples = 0
        for block in self._opened.blocks:
            n_samples += block.shape[1]
            yield block
        self.warnings += _length_problems(self._sounds[0], n_samples / self.sample_rate)
        for number, sound in enumerate(self._sounds[1:], start=2):
            opened = _open(self.path, sound, n_sounds=len(self._sounds))
            if (opened.sample_rate, opened.n_channels) != (self.sample_rate, self.n_channels):
                opened.close()
                seconds = opened.header_duration
                self.warnings.append(
                    f"recording {number} in the file has another sample rate or number of channels and is left out"
                    + (f" ({seconds:.2f} s)" if seconds else "")
                )
                continue
            n_samples = 0
            for block in opened.blocks:
                n_samples += block.shape[1]
                yield block
            self.warnings += [*opened.warnings, *_length_problems(sound, n_samples / self.sample_rate)]

    @contextmanager
    def _errors_with_path(self) -> Iterator[None]:
        try:
            yield
        except AudioError as error:
            msg = f"{self.path}: {error}"
            raise AudioError(msg) from error
        except OSError as error:
            msg = f"{self.path}: {error.strerror or error}"
            raise AudioError(msg) from error


def _check_file(path: Path) -> None:
    if not path.exists():
        msg = "no such file"
        raise AudioError(msg)
    if path.is_dir():
        msg = "this is a folder"
        raise AudioError(msg)
    if not path.is_file():
        msg = "this is a pipe or a device, not a file"
        raise AudioError(msg)
    if path.stat().st_size == 0:
        msg = "the file is empty"
        raise AudioError(msg)


def _state(path: Path) -> tuple[int, int]:
    """Size and time of the last change."""
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


def _open(path: Path, sound: Sound, *, n_sounds: int = 1) -> Opened:
    """Open one recording of a file: by name if it is the only one and its header is right."""
    part = sound if sound.patches or n_sounds > 1 else None
    # libsndfile's mp3 decoder prints warnings; FFmpeg's does not, and detects truncated files.
    opened = None if path.suffix.lower() == ".mp3" else open_libsndfile(path, part)
    if opened is None:
        from hf_model.audio.decoders.ffmpeg import open_ffmpeg

        opened = open_ffmpeg(path, part)
    return opened


def _length_problems(sound: Sound, seconds: float) -> list[str]:
    """Describe a recording that is longer or shorter than its header says."""
    if sound.unfinished:
        return ["the length in the header was never written; the sound was read to the end of the file"]
    if 0 < sound.missing < 1:
        return [f"the file is cut off: {seconds:.2f} s of {seconds / (1 - sound.missing):.2f} s are in it"]
    return [f"the file is cut off after {seconds:.2f} s"] if sound.cut else []
