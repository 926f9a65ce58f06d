"""Audio files to and from arrays: read, mix to mono, write."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.reader import AudioReader

PIECE_SAMPLES = 1 << 14
"""Samples that are converted at a time: they stay in the processor's cache."""


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


def write_wav_blocks(path: Path | str, blocks: Iterable[NDArray[np.float32]], sample_rate: int, n_samples: int) -> None:
    """Write blocks of shape (channel, sample), ``n_samples`` in total, as a 16-bit wav file, whatever its suffix.

    The bytes are those of libsndfile, which takes three times as long; what exceeds full scale is clipped.

    Raises
    ------
    OSError
        For example if the disk is full.
    """
    source = iter(blocks)
    first = next(source)
    with Path(path).open("wb") as file:
        file.write(_wav_header(first.shape[0], sample_rate, n_samples))
        for block in chain((first,), source):
            for begin in range(0, block.shape[1], PIECE_SAMPLES):
                file.write(_to_pcm16(block[:, begin : begin + PIECE_SAMPLES]))


def _wav_header(n_channels: int, sample_rate: int, n_samples: int) -> bytes:
    """Header of a 16-bit file: WAV, whose sizes go up to 4 GB (six hours in stereo), or RF64."""
    frame_bytes = 2 * n_channels
    n_bytes = frame_bytes * n_samples
    layout = struct.pack(
        "<4sIHHIIHH", b"fmt ", 16, 1, n_channels, sample_rate, sample_rate * frame_bytes, frame_bytes, 16
    )
    if n_bytes < 2**32 - 2**16:
        return struct.pack("<4sI4s", b"RIFF", 36 + n_bytes, b"WAVE") + layout + struct.pack("<4sI", b"data", n_bytes)
    unknown = 2**32 - 1  # the sizes are in the chunk ds64
    sizes = struct.pack("<4sIQQQI", b"ds64", 28, 72 + n_bytes, n_bytes, n_samples, 0)
    return struct.pack("<4sI4s", b"RF64", unknown, b"WAVE") + sizes + layout + struct.pack("<4sI", b"data", unknown)


def _to_pcm16(block: NDArray[np.float32]) -> bytes:
    """Interleave (channel, sample) as 16-bit samples, rounded down as libsndfile does."""
    interleaved = np.empty((block.shape[1], block.shape[0]), dtype="<i2")
    for channel, samples in enumerate(block):
        scaled = samples * np.float32(2**31)
        np.clip(scaled, -(2.0**31), 2.0**31 - 128, out=scaled)
        np.rint(scaled, out=scaled)
        interleaved[:, channel] = scaled.astype(np.int32) >> 16
    return interleaved.tobytes()
