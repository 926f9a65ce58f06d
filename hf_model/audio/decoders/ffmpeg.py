"""Decoding with FFmpeg: mp3, m4a, webm and other formats of phones and browsers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.decoders.containers import Sound, open_sound
from hf_model.audio.decoders.opened import BLOCK_SAMPLES, AudioError, Opened, check_length

MAX_JITTER = 0.05
"""Seconds by which the time stamp of a frame may exceed the audio before it without being a gap."""

MAX_SILENCE = 600.0
"""Seconds of missing audio that are replaced by silence; more is taken for wrong time stamps."""

# FFmpeg also opens playlists and file lists, which would make it read other files and URLs: allow only containers.
_CONTAINERS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,eac3,flac,flv,matroska,mov,mp3,mp4,mpc,mpc8,mpeg,mpegts,ogg,oma,tta,voc,w64,"
    "wav,webm,wv"
)


def open_ffmpeg(path: Path, sound: Sound | None = None) -> Opened:
    """Open a file, or a part of it, with FFmpeg.

    Raises
    ------
    AudioError
        If no sound can be read from it.
    """
    import av  # takes 0.2 s, and few files need it

    options = {"format_whitelist": _CONTAINERS, "protocol_whitelist": "file"}
    with ExitStack() as stack:  # closed after an error, or by `close`
        source: Any = f"file:{path}" if sound is None else stack.enter_context(open_sound(path, sound))
        try:
            container = stack.enter_context(av.open(source, options=options, metadata_errors="replace"))
        except PermissionError:
            raise
        except av.FFmpegError as error:
            msg = "no audio can be read from it: another kind of file, or cut off"
            raise AudioError(msg) from error
        return _open_stream(path, container, stack)


def _open_stream(path: Path, container: Any, stack: ExitStack) -> Opened:
    """Open the first stream of sound that can be decoded; what is on ``stack`` is closed after its last block."""
    decodable = (item for item in container.streams.audio if hasattr(item, "rate"))  # absent without a decoder
    stream = next(decodable, None)
    if stream is None:
        msg = "the file holds no sound"
        raise AudioError(msg)
    sample_rate, n_channels = int(stream.rate or 0), int(stream.channels or 0)
    header_duration = _header_duration(path, container, stream)
    n_encoded = None
    if stream.duration and stream.time_base and stream.time_base * sample_rate == 1:
        n_encoded = int(stream.duration) + round(_late_start(container, stream) * sample_rate)
    warnings: list[str] = []

    def blocks() -> Iterator[NDArray[np.float32]]:
        n_samples = n_missing = 0
        with opened:
            for block, is_missing in _without_gaps(container, stream, sample_rate, n_channels):
                n_left = block.shape[1] if n_encoded is None else max(0, n_encoded - n_samples)
                trimmed = block[:, :n_left]  # without encoder padding
                n_samples += trimmed.shape[1]
                n_missing += trimmed.shape[1] if is_missing else 0
                yield trimmed
        check_length(n_samples / sample_rate, header_duration)
        if n_missing:
            seconds = n_missing / sample_rate
            shown = f"{round(seconds, 1 if seconds >= 0.1 else 3):g}"
            warnings.append(f"{shown} s of audio are missing in the file and were replaced by silence")

    opened = stack.pop_all()
    return Opened(_join_frames(blocks()), sample_rate, n_channels, header_duration, warnings, opened.close)


def _without_gaps(
    container: Any, stream: Any, sample_rate: int, n_channels: int
) -> Iterator[tuple[NDArray[np.float32], bool]]:
    """Yield the frames as blocks, and silence where audio is missing, with whether a block is such silence."""
    import av

    max_silence = MAX_SILENCE
    if container.duration:
        max_silence = min(max_silence, (max(0, container.start_time or 0) + container.duration) / 1e6)
    n_samples = n_missing = 0
    interleave = av.AudioResampler(format="flt", rate=sample_rate)  # planar, over 8 channels crash PyAV
    for frame, lost, start in _decode(container, stream):
        if (frame.sample_rate, frame.layout.nb_channels) != (sample_rate, n_channels):
            msg = "the audio is damaged (sample rate or channels change on the way)"
            raise AudioError(msg)
        gap = round(lost * sample_rate)
        late = 0 if start is None else round(start * sample_rate) - n_samples - gap
        gap += late if late > MAX_JITTER * sample_rate else 0
        n_missing += gap
        if n_missing > max_silence * sample_rate:
            msg = f"the time stamps are wrong, or {n_missing / sample_rate:.0f} s of audio are missing"
            raise AudioError(msg)
        n_samples += gap
        for first in range(0, gap, BLOCK_SAMPLES):
            yield np.zeros((n_channels, min(BLOCK_SAMPLES, gap - first)), dtype=np.float32), True
        for part in interleave.resample(frame):
            block = part.to_ndarray().reshape(-1, n_channels).T.astype(np.float32, copy=False)
            n_samples += block.shape[1]
            yield block, False


def _decode(container: Any, stream: Any) -> Iterator[tuple[Any, Fraction, Fraction | None]]:
    """Decode all frames; up to one packet in a hundred may be invalid, as at the start of many mp3 files.

    Yields
    ------
    frame : av.AudioFrame
    lost : Fraction
        Seconds of the invalid packets between this frame and the one before.
    start : Fraction or None
        Seconds from the start of the file by the time stamp; None without one.
    """
    import av

    kinds = set(container.format.name.split(","))
    is_mp3 = "mp3" in kinds  # its time stamps are the number of frames so far
    zero = Fraction(0 if kinds & {"mov", "matroska"} else container.start_time or 0, 1_000_000)
    n_packets = n_bad = n_decoded = n_bytes = end = 0
    lost = Fraction(0)
    try:
        for packet in container.demux(stream):
            n_packets += 1
            duration = (packet.duration or 0) * (packet.time_base or Fraction(0))
            mean_bytes = n_bytes / n_decoded if is_mp3 and n_decoded else None
            position = packet.pos or end
            if mean_bytes and position > end:
                lost += round((position - end) / mean_bytes) * duration
            is_tag, end = position < end, max(end, position + packet.size)
            frames, is_bad = [], False
            try:
                frames = packet.decode()
            except av.error.InvalidDataError:
                is_bad = True
            if is_mp3 and not frames and (n_tag_bytes := _tag_bytes(bytes(packet))):
                is_tag, end = True, max(end, position + n_tag_bytes)
            n_bad += is_bad
            if is_bad and n_decoded and not (is_mp3 and is_tag):
                # An invalid packet of an mp3 file extends to the next frame that is found.
                lost += (max(1, round(packet.size / mean_bytes)) if mean_bytes else 1) * duration
            for frame in frames:
                has_time = frame.pts is not None and frame.time_base and not is_mp3
                yield frame, lost, frame.pts * frame.time_base - zero if has_time else None
                lost = Fraction(0)
            if frames:
                n_decoded += 1
                n_bytes += packet.size
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
        return float(stream.duration * stream.time_base + _late_start(container, stream))
    return float(container.duration / 1e6) if container.duration else 0.0


def _late_start(container: Any, stream: Any) -> Fraction:
    """Seconds before the sound of an MP4 file begins, which the duration of its stream does not include."""
    start = (stream.start_time or 0) * stream.time_base
    return start if "mov" in container.format.name.split(",") and start > MAX_JITTER else Fraction(0)


def _mp3_has_length(path: Path) -> bool:
    """Whether the first frame, after an ID3 tag, is a Xing or Info header with the number of frames."""
    with path.open("rb") as file:
        file.seek(_id3_bytes(file.read(10)))
        frame = file.read(2048)
    return b"Xing" in frame or b"Info" in frame


def _id3_bytes(data: bytes) -> int:
    """Length of the ID3v2 tag that begins with ``data``; 0 if none does."""
    size = sum(byte << shift for byte, shift in zip(data[6:10], (21, 14, 7, 0), strict=False))
    return 10 + size if data.startswith(b"ID3") else 0


def _tag_bytes(data: bytes) -> int:
    """Length of the tags (ID3, APE) that begin with ``data``, also beyond its end; 0 if none do."""
    n_bytes = 0
    while n_bytes < len(data):
        rest = data[n_bytes:]
        ape = 32 + int.from_bytes(rest[12:16], "little") if rest.startswith(b"APETAGEX") else 0
        n_found = _id3_bytes(rest) or ape or 128 * rest.startswith(b"TAG")
        if not n_found:
            break
        n_bytes += n_found
    return n_bytes


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
