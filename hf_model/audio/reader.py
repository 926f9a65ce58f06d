"""Decoding of audio files, block by block: libsndfile, or FFmpeg for the formats of phones and browsers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# fmt: off
SUFFIXES = frozenset((
    ".aac", ".aif", ".aifc", ".aiff", ".amr", ".au", ".caf", ".flac", ".m4a", ".mka", ".mp3",
    ".mp4", ".oga", ".ogg", ".opus", ".rf64", ".w64", ".wav", ".wave", ".webm", ".wma",
))
# fmt: on
"""Suffixes that a search of a folder takes for audio; a file named explicitly is read whatever its suffix."""

BLOCK_SAMPLES = 1 << 18
"""Samples per channel of a block (6 s at 44.1 kHz)."""

MIN_SAMPLE_RATE, MAX_SAMPLE_RATE = 4000, 768000
"""Hz."""

MAX_CHANNELS = 64

# FFmpeg also opens playlists and file lists, which would make it read other files and URLs: allow only containers.
_CONTAINERS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,eac3,flac,flv,matroska,mov,mp3,mp4,mpc,mpc8,mpeg,mpegts,ogg,oma,tta,voc,w64,"
    "wav,webm,wv"
)


class AudioError(ValueError):
    """A recording that cannot be used; the message contains the file and the reason."""


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
    promised : float
        Seconds according to the header, 0 if unknown; the decoded audio may be shorter or longer.

    Raises
    ------
    AudioError
        If the file is missing, empty or has no audio; while iterating, if it is cut off or damaged.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        with self._errors_with_path():
            _check_file(self.path)
            self._blocks, self.sample_rate, self.n_channels, self.header_duration = _open(self.path)
            check_format(self.sample_rate, self.n_channels)

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        """Yield blocks of shape (channel, sample), full scale at 1."""
        n_samples = 0
        with self._errors_with_path():
            for block in self._blocks:
                n_samples += block.shape[1]
                yield block
            if n_samples == 0:
                msg = "the file holds no samples"
                raise AudioError(msg)

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


_Opened = tuple[Iterator[NDArray[np.float32]], int, int, float]


def _open(path: Path) -> _Opened:
    """Return blocks, sample rate, number of channels and duration by the header (seconds)."""
    # libsndfile's mp3 decoder prints warnings; FFmpeg's does not, and detects truncated files.
    opened = None if path.suffix.lower() == ".mp3" else _open_soundfile(path)
    return opened or _open_ffmpeg(path)


def _open_soundfile(path: Path) -> _Opened | None:
    """Open a file with libsndfile, or return None if it does not support the format."""
    import soundfile

    try:
        file = soundfile.SoundFile(str(path))
    except soundfile.SoundFileError:
        return None

    def blocks() -> Iterator[NDArray[np.float32]]:
        n_samples = 0
        with file:
            while True:
                try:
                    block = file.read(BLOCK_SAMPLES, dtype="float32", always_2d=True)
                except soundfile.SoundFileError as error:
                    msg = f"the audio is damaged or cut off ({error})"
                    raise AudioError(msg) from error
                if not block.shape[0]:
                    break
                n_samples += block.shape[0]
                yield np.ascontiguousarray(block.T)
        _check_length(n_samples / file.samplerate, file.frames / file.samplerate)

    return blocks(), int(file.samplerate), int(file.channels), file.frames / file.samplerate


def _open_ffmpeg(path: Path) -> _Opened:
    """Open a file with FFmpeg."""
    import av  # takes 0.2 s, and few files need it

    try:
        container = av.open(str(path), options={"format_whitelist": _CONTAINERS, "protocol_whitelist": "file"})
    except PermissionError:
        raise
    except av.FFmpegError as error:
        msg = "no audio can be read from it: another kind of file, or cut off"
        raise AudioError(msg) from error
    decodable = (item for item in container.streams.audio if hasattr(item, "rate"))  # absent without a decoder
    stream = next(decodable, None)
    if stream is None:
        container.close()
        msg = "the file holds no sound"
        raise AudioError(msg)
    sample_rate, n_channels = int(stream.rate or 0), int(stream.channels or 0)
    header_duration = _header_duration(path, container, stream)
    n_encoded = None
    if stream.duration and stream.time_base and stream.time_base * sample_rate == 1:
        n_encoded = int(stream.duration)

    def blocks() -> Iterator[NDArray[np.float32]]:
        n_samples = 0
        interleave = av.AudioResampler(format="flt", rate=sample_rate)  # planar, over 8 channels crash PyAV
        with container:
            for frame in _decode(container, stream):
                if (frame.sample_rate, frame.layout.nb_channels) != (sample_rate, n_channels):
                    msg = "the audio is damaged (sample rate or channels change on the way)"
                    raise AudioError(msg)
                for part in interleave.resample(frame):
                    block = part.to_ndarray().reshape(-1, n_channels).T.astype(np.float32, copy=False)
                    if n_encoded is not None:
                        block = block[:, : max(0, n_encoded - n_samples)]  # without encoder padding
                    n_samples += block.shape[1]
                    yield block
        _check_length(n_samples / sample_rate, header_duration)

    return _join_frames(blocks()), sample_rate, n_channels, header_duration


def _decode(container: Any, stream: Any) -> Iterator[Any]:
    """Decode all frames; up to one packet in a hundred may be invalid, as at the start of many mp3 files."""
    import av

    n_packets = n_bad = 0
    try:
        for packet in container.demux(stream):
            n_packets += 1
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:
                n_bad += 1
                continue
            yield from frames
    except av.FFmpegError as error:
        msg = "the audio is damaged"
        raise AudioError(msg) from error
    if n_bad > max(1, n_packets // 100):
        msg = f"the audio is damaged ({n_bad} of {n_packets} packets cannot be decoded)"
        raise AudioError(msg)


def _header_duration(path: Path, container: Any, stream: Any) -> float:
    """Duration in seconds by the header; 0 if it has none, where FFmpeg's estimate can be wrong by a factor of 3."""
    kinds = set(container.format.name.split(","))
    if not (kinds & {"mov", "matroska"} or ("mp3" in kinds and _mp3_has_length(path))):
        return 0.0
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return float(container.duration / 1e6) if container.duration else 0.0


def _mp3_has_length(path: Path) -> bool:
    """Whether the first frame, after an ID3 tag, is a Xing or Info header with the number of frames."""
    with path.open("rb") as file:
        start = file.read(10)
        tag = sum(byte << shift for byte, shift in zip(start[6:10], (21, 14, 7, 0), strict=False))
        file.seek(10 + tag if start.startswith(b"ID3") else 0)
        frame = file.read(2048)
    return b"Xing" in frame or b"Info" in frame


def _check_length(seconds: float, header_duration: float) -> None:
    if seconds < header_duration - max(0.1, 0.01 * header_duration):
        msg = f"the file is cut off: {seconds:.2f} s of {header_duration:.2f} s can be read"
        raise AudioError(msg)


def _join_frames(blocks: Iterator[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
    """Join the frames of a codec, of about a thousand samples, to blocks of ``BLOCK_SAMPLES`` or more."""
    pending: list[NDArray[np.float32]] = []
    n_samples = 0
    for block in blocks:
        pending.append(block)
        n_samples += block.shape[1]
        if n_samples >= BLOCK_SAMPLES:
            yield np.concatenate(pending, axis=1)
            pending, n_samples = [], 0
    if n_samples:
        yield np.concatenate(pending, axis=1)
