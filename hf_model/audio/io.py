"""Audio files to and from arrays: read, mix to mono, write."""

from __future__ import annotations

import io
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import IO
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.reader import AudioReader


def read_audio(path: Path | str) -> tuple[NDArray[np.float32], int]:
    """Read a whole audio file.

    Returns
    -------
    audio : ndarray, shape (channel, sample)
        Full scale at 1.
    sample_rate : int
        Hz.

    Raises
    ------
    AudioError
        If the file cannot be read to its end.
    """
    reader = AudioReader(path)
    return np.concatenate(list(reader), axis=1), reader.sample_rate


def to_mono(audio: NDArray[np.float32]) -> NDArray[np.float32]:
    """Average the channels: (channel, sample) or (sample,) becomes (sample,)."""
    return audio if audio.ndim == 1 else np.asarray(audio.mean(axis=0), dtype=np.float32)


def write_audio(path: Path | str, audio: NDArray[np.float32], sample_rate: int) -> None:
    """Write audio (channel, sample) or (sample,) as 16-bit wav or flac, by the file's suffix.

    The write is atomic: the file is complete or absent, even if the process dies or two processes write it.

    Raises
    ------
    OSError
        For example if the disk is full. The audio is encoded in memory first, because libsndfile reports a full disk
        as a format error or not at all.
    """
    import soundfile

    encoded = io.BytesIO()
    kind = Path(path).suffix.removeprefix(".").upper()
    soundfile.write(encoded, np.clip(audio, -1.0, 1.0).T, sample_rate, subtype="PCM_16", format=kind)
    partial = Path(path).with_name(f".{Path(path).name}.{uuid4().hex}.part")
    try:
        partial.write_bytes(encoded.getbuffer())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_wav_blocks(
    path: Path | str, blocks: Iterable[NDArray[np.float32]], sample_rate: int, n_samples: int
) -> float:
    """Write blocks of shape (channel, sample), ``n_samples`` in total, as a 16-bit wav file, whatever its suffix.

    Returns
    -------
    float
        Largest magnitude before clipping; above 1 the file is clipped.

    Raises
    ------
    OSError
        For example if the disk is full.
    """
    import soundfile

    peak = 0.0
    source = iter(blocks)
    first = next(source)
    # A wav header holds sizes up to 4 GB (six hours in stereo).
    kind = "WAV" if 2 * first.shape[0] * n_samples < 2**32 - 2**16 else "RF64"
    with Path(path).open("wb") as target:
        output = _Output(target)
        try:
            with soundfile.SoundFile(output, "w", sample_rate, first.shape[0], "PCM_16", format=kind) as file:
                for block in chain((first,), source):
                    peak = max(peak, float(np.abs(block).max(initial=0.0)))
                    file.write(np.clip(block, -1.0, 1.0).T)
        except (soundfile.SoundFileError, AssertionError):
            if output.error is None:
                raise
        if output.error is not None:
            raise output.error
    return peak


class _Output:
    """A file for soundfile to write to, which keeps the error that libsndfile would not report."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.error: OSError | None = None
        self.tell = file.tell

    def write(self, data: bytes) -> int:
        try:
            return self._file.write(data)
        except OSError as error:
            self.error = self.error or error
            return 0

    def seek(self, offset: int, whence: int = 0) -> int:
        try:
            return self._file.seek(offset, whence)
        except OSError as error:  # it flushes what was written
            self.error = self.error or error
            return -1
