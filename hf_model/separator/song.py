"""A song taken apart: the voice as a recording, and what plays beside it; stereo audio is kept on disk."""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.grid import PIANO_SAMPLE_RATE, VOICE_STFT, resampled_length
from hf_model.audio.loudness import LoudnessMeter
from hf_model.audio.recording import Recording
from hf_model.audio.resampling import StreamResampler
from hf_model.parallel.memory import release_freed_memory
from hf_model.separator.voice_part import blend, has_singing

if TYPE_CHECKING:
    from hf_model.separator.choice import SeparatorLike

STEMS = ("voice", "backing")
"""What can be kept in stereo at 44.1 kHz."""

BLOCK_SAMPLES = 1 << 20
"""Samples of a stem that are read at a time."""

RELEASE_SAMPLES = 15 * PIANO_SAMPLE_RATE
"""After so many samples the memory that the separator has freed is given back; more often takes longer."""


class Stem:
    """Stereo audio at 44.1 kHz in an unnamed temporary file, which :meth:`close` deletes."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 (closed by close)
        self._meter = LoudnessMeter(PIANO_SAMPLE_RATE)
        self.n_samples = 0

    @property
    def loudness(self) -> float:
        """LUFS; minus infinity for silence."""
        return self._meter.loudness

    def add(self, block: NDArray[np.float32]) -> None:
        """Append audio (2, sample)."""
        self._meter.add(block)
        self._file.write(np.ascontiguousarray(block.T, dtype=np.float32).tobytes())
        self.n_samples += block.shape[1]

    def blocks(self, n_samples: int = BLOCK_SAMPLES) -> Iterator[NDArray[np.float32]]:
        """Yield the audio in blocks (2, sample) of ``n_samples``; may be called repeatedly."""
        self._file.seek(0)
        for _ in range(0, max(1, self.n_samples), n_samples):
            yield np.frombuffer(self._file.read(8 * n_samples), dtype=np.float32).reshape(-1, 2).T

    def close(self) -> None:
        """Delete the audio."""
        self._file.close()


@dataclass(frozen=True)
class Song:
    """A song taken apart.

    Attributes
    ----------
    voice : Recording
        The separated voice, as long as the song.
    blended : ndarray, shape (sample,)
        The voice and a little of the accompaniment, mono at 16 kHz, to be transcribed.
    side : ndarray of float16, shape (sample,)
        Half the difference of the separated voice's channels, at 16 kHz: silent for a voice in the middle.
    stems : mapping of {"voice", "backing"} to Stem
        Those that were asked for.
    has_singing : bool
        Whether somebody sings.
    """

    voice: Recording
    blended: NDArray[np.float32]
    side: NDArray[np.float16]
    stems: Mapping[str, Stem] = field(default_factory=dict)
    has_singing: bool = True

    def close(self) -> None:
        """Delete the stems."""
        for stem in self.stems.values():
            stem.close()


def separate_song(
    recording: Recording,
    separator: SeparatorLike,
    *,
    keep: Collection[str] = (),
    use_backing: Callable[[NDArray[np.float32]], object] | None = None,
    progress: Callable[[float], object] | None = None,
) -> Song:
    """Separate the voice of a song; what is asked for in stereo goes to temporary files, block by block.

    Parameters
    ----------
    recording : Recording
        The song; its warning about clipping is left out, because most songs are limited to full scale.
    separator : SeparatorLike
    keep : collection of {"voice", "backing"}
        Stems to keep: close the song when they are no longer needed.
    use_backing : callable, optional
        Called with the accompaniment, the song minus its voice, in blocks (2, sample) at 44.1 kHz.
    progress : callable, optional
        Called with the share of the song that is done, 0 to 1.
    """
    stems = {name: Stem() for name in STEMS if name in keep}
    voice, blended = _Mono(len(recording.voice)), _Mono(len(recording.voice))
    side = _Mono(len(recording.voice), np.float16)
    n_total = resampled_length(recording.n_samples, recording.sample_rate, PIANO_SAMPLE_RATE)
    try:
        mix = _Delay(recording.stereo_blocks())
        n_done = n_kept = 0
        for sung in separator.separate(mix):
            rest = mix.take(sung.shape[1]) - sung
            voice.add(sung.mean(axis=0))
            blended.add(blend(sung, rest).mean(axis=0))
            side.add(0.5 * (sung[0] - sung[1]))
            if use_backing is not None:
                use_backing(rest)
            for name, block in zip(STEMS, (sung, rest), strict=True):
                if name in stems:
                    stems[name].add(block)
            n_done += sung.shape[1]
            n_kept += sung.shape[1]
            if n_kept > RELEASE_SAMPLES:
                release_freed_memory()
                n_kept = 0
            if progress is not None:
                progress(n_done / max(1, n_total))
    except BaseException:
        for stem in stems.values():
            stem.close()
        raise
    release_freed_memory()
    warnings = tuple(warning for warning in recording.warnings if not warning.startswith("clipped"))
    sung = voice.finish()
    is_sung = has_singing(sung, recording.voice)
    return Song(replace(recording, voice=sung, warnings=warnings), blended.finish(), side.finish(), stems, is_sung)


class _Delay:
    """Iterator over blocks (2, sample) that gives the same samples once more, in other blocks."""

    def __init__(self, blocks: Iterable[NDArray[np.float32]]) -> None:
        self._blocks = iter(blocks)
        self._waiting: deque[NDArray[np.float32]] = deque()

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        return self

    def __next__(self) -> NDArray[np.float32]:
        block = next(self._blocks)
        self._waiting.append(block)
        return block

    def take(self, n_samples: int) -> NDArray[np.float32]:
        """Take the next samples of those that were given out."""
        parts = []
        while n_samples > 0:
            block = self._waiting.popleft()
            if block.shape[1] > n_samples:
                self._waiting.appendleft(block[:, n_samples:])
            parts.append(block[:, :n_samples])
            n_samples -= parts[-1].shape[1]
        return np.concatenate(parts, axis=1) if parts else np.zeros((2, 0), dtype=np.float32)


class _Mono:
    """Mono audio that arrives at 44.1 kHz, at 16 kHz in an array of ``n_samples``."""

    def __init__(self, n_samples: int, dtype: type[np.floating] = np.float32) -> None:
        self._audio: NDArray[Any] = np.zeros(n_samples, dtype=dtype)
        self._n_written = 0
        self._resampler = StreamResampler(PIANO_SAMPLE_RATE, VOICE_STFT.sample_rate)

    def add(self, block: NDArray[np.float32]) -> None:
        """Append audio (sample,)."""
        self._write(self._resampler.push(block))

    def finish(self) -> NDArray[Any]:
        """End the audio and return all of it."""
        self._write(self._resampler.finish())
        return self._audio

    def _write(self, audio: NDArray[np.float32]) -> None:
        stop = min(self._n_written + len(audio), len(self._audio))
        self._audio[self._n_written : stop] = audio[: stop - self._n_written]
        self._n_written = stop
