"""Audio files of every kind, block by block: libsndfile first, FFmpeg for what telephones and browsers record."""

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
"""Suffixes that count as audio when a folder is searched; any file that is named is tried, whatever its suffix."""

BLOCK_SAMPLES = 1 << 18
"""Samples of a channel held at a time when a file is read or written (6 s at 44.1 kHz)."""

LOWEST_RATE, HIGHEST_RATE = 4000, 768000
"""Sample rates that are accepted, in Hz."""

MOST_CHANNELS = 64

# A playlist or a list of files to join is "media" to FFmpeg too, and would have it open other files and addresses.
_CONTAINERS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,eac3,flac,flv,matroska,mov,mp3,mp4,mpc,mpc8,mpeg,mpegts,ogg,oma,tta,voc,w64,"
    "wav,webm,wv"
)


class AudioError(ValueError):
    """A recording that cannot be used; the message names the file and the reason."""


def check_format(sample_rate: float, n_channels: int) -> None:
    """Refuse sample rates and channel counts that no recording has.

    Raises
    ------
    AudioError
        Naming the value and the allowed range.
    """
    if not LOWEST_RATE <= sample_rate <= HIGHEST_RATE or sample_rate != int(sample_rate):
        msg = f"sample_rate is {sample_rate}, allowed is a whole number from {LOWEST_RATE} to {HIGHEST_RATE} Hz"
        raise AudioError(msg)
    if not 1 <= n_channels <= MOST_CHANNELS:
        msg = f"{n_channels} channels, allowed is 1 to {MOST_CHANNELS}"
        raise AudioError(msg)


class AudioReader:
    """An audio file, read block by block: memory does not grow with its length.

    Parameters
    ----------
    path : path
        wav, flac, ogg, aiff and others through libsndfile; mp3, m4a, webm and whatever else through FFmpeg.

    Attributes
    ----------
    sample_rate : int
        Hz.
    n_channels : int
    promised : float
        Seconds, by the header; 0 where it tells none. What can be read may be shorter or longer.

    Raises
    ------
    AudioError
        If the file is missing, empty, or holds no audio. While iterating: if it ends early or is damaged.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        with self._blame_file():
            _check_file(self.path)
            self._blocks, self.sample_rate, self.n_channels, self.promised = _open(self.path)
            check_format(self.sample_rate, self.n_channels)

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        """Yield blocks of shape (channel, sample), full scale at 1."""
        n_samples = 0
        with self._blame_file():
            for block in self._blocks:
                n_samples += block.shape[1]
                yield block
            if n_samples == 0:
                msg = "the file holds no samples"
                raise AudioError(msg)

    @contextmanager
    def _blame_file(self) -> Iterator[None]:
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
    """Open a file with the decoder that knows it: blocks, sample rate, channels, seconds by the header."""
    # libsndfile's mp3 decoder writes its own warnings to the terminal; FFmpeg's is silent and finds a cut.
    opened = None if path.suffix.lower() == ".mp3" else _open_soundfile(path)
    return opened or _open_ffmpeg(path)


def _open_soundfile(path: Path) -> _Opened | None:
    """Open what libsndfile knows."""
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
    """Open what FFmpeg knows."""
    import av  # a fifth of a second, and few files need it

    try:
        container = av.open(str(path), options={"format_whitelist": _CONTAINERS, "protocol_whitelist": "file"})
    except PermissionError:
        raise
    except av.FFmpegError as error:
        msg = "no audio can be read from it: another kind of file, or cut off"
        raise AudioError(msg) from error
    known = (item for item in container.streams.audio if hasattr(item, "rate"))  # missing where no decoder is known
    stream = next(known, None)
    if stream is None:
        container.close()
        msg = "the file holds no sound"
        raise AudioError(msg)
    sample_rate, n_channels = int(stream.rate or 0), int(stream.channels or 0)
    promised = _promised_seconds(path, container, stream)
    exact = None
    if stream.duration and stream.time_base and stream.time_base * sample_rate == 1:
        exact = int(stream.duration)

    def blocks() -> Iterator[NDArray[np.float32]]:
        n_samples = 0
        plain = av.AudioResampler(format="flt", rate=sample_rate)  # planar arrays of over 8 channels crash PyAV
        with container:
            for frame in _decode(container, stream):
                if (frame.sample_rate, frame.layout.nb_channels) != (sample_rate, n_channels):
                    msg = "the audio is damaged (sample rate or channels change on the way)"
                    raise AudioError(msg)
                for part in plain.resample(frame):
                    block = part.to_ndarray().reshape(-1, n_channels).T.astype(np.float32, copy=False)
                    if exact is not None:
                        block = block[:, : max(0, exact - n_samples)]  # what the encoder padded was never recorded
                    n_samples += block.shape[1]
                    yield block
        _check_length(n_samples / sample_rate, promised)

    return _gather(blocks()), sample_rate, n_channels, promised


def _decode(container: Any, stream: Any) -> Iterator[Any]:
    """Decode all frames; one packet in a hundred may be bad, as at the start of many an mp3."""
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


def _promised_seconds(path: Path, container: Any, stream: Any) -> float:
    """Duration that the header tells; 0 when it tells none and FFmpeg would only guess, by as much as a factor of 3."""
    kinds = set(container.format.name.split(","))
    if not (kinds & {"mov", "matroska"} or ("mp3" in kinds and _mp3_tells_length(path))):
        return 0.0
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return float(container.duration / 1e6) if container.duration else 0.0


def _mp3_tells_length(path: Path) -> bool:
    """Whether the first frame, after a tag of some length, is a header with the number of frames."""
    with path.open("rb") as file:
        start = file.read(10)
        tag = sum(byte << shift for byte, shift in zip(start[6:10], (21, 14, 7, 0), strict=False))
        file.seek(10 + tag if start.startswith(b"ID3") else 0)
        frame = file.read(2048)
    return b"Xing" in frame or b"Info" in frame


def _check_length(seconds: float, promised: float) -> None:
    if seconds < promised - max(0.1, 0.01 * promised):
        msg = f"the file is cut off: {seconds:.2f} s of {promised:.2f} s can be read"
        raise AudioError(msg)


def _gather(blocks: Iterator[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
    """Join a codec's frames of about a thousand samples to blocks worth a call."""
    waiting: list[NDArray[np.float32]] = []
    n_samples = 0
    for block in blocks:
        waiting.append(block)
        n_samples += block.shape[1]
        if n_samples >= BLOCK_SAMPLES:
            yield np.concatenate(waiting, axis=1)
            waiting, n_samples = [], 0
    if n_samples:
        yield np.concatenate(waiting, axis=1)
