"""The first step of a conversion: decide what a recording is, and separate the voice of a song."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.grid import PIANO_SAMPLE_RATE
from hf_model.audio.recording import Recording
from hf_model.band.listener import Band, BandListener
from hf_model.config import check_choice
from hf_model.preparation.whistle import WHISTLED_SHARE, whistled_share
from hf_model.separator.song import Song, Stem, separate_song
from hf_model.separator.source import Source, cut_excerpts, detect_source

if TYPE_CHECKING:
    from hf_model.separator.choice import SeparatorLike

SOURCES = ("auto", "voice", "song", "whistle")
"""What a recording may be: decided from the audio, a voice alone, a voice with an accompaniment, or whistling."""

_one_song = threading.Lock()
"""Held while a song is separated: it takes all cores, and the memory of several files."""


@dataclass(frozen=True)
class Separated:
    """A recording with its voice found.

    Attributes
    ----------
    voice : Recording
        The recording itself if it is a voice or a whistle alone, otherwise the voice that was separated from it.
    source : Source
    song : Song, optional
        The song that was taken apart; None for a voice alone.
    """

    voice: Recording
    source: Source
    song: Song | None = None
    _band: Future[Band] | None = field(default=None, compare=False, repr=False)

    @property
    def band(self) -> Band:
        """Beats, bars and chords of the accompaniment: empty for a voice alone."""
        return Band() if self._band is None else self._band.result()

    @property
    def stems(self) -> Mapping[str, Stem]:
        """Voice and accompaniment in stereo, if they were kept."""
        return {} if self.song is None else self.song.stems

    def close(self) -> None:
        """Delete the stems that were kept."""
        if self.song is not None:
            self.song.close()


def separate(
    recording: Recording,
    separator: Callable[[], SeparatorLike],
    source: str = "auto",
    *,
    keep: Collection[str] = (),
    progress: Callable[[float], object] | None = None,
) -> Separated:
    """Decide whether a recording is a voice, a whistle or a song, and separate the voice of a song.

    Parameters
    ----------
    recording : Recording
    separator : callable
        Loads the separator, if one is needed.
    source : {"auto", "voice", "song", "whistle"}
        What the recording is; "auto" decides from the audio.
    keep : collection of {"voice", "backing"}
        Stems of a song to keep in stereo: call :meth:`Separated.close` when they are no longer needed.
    progress : callable, optional
        Called with the share of a song that is separated, 0 to 1.

    Raises
    ------
    ConfigError
        For another source.
    """
    check_choice("source", source, SOURCES)
    found = _detect(recording.voice, separator) if source == "auto" else _given(source)
    if found.kind != "song":
        return Separated(recording, found)
    listener = BandListener(PIANO_SAMPLE_RATE)
    with _one_song:
        song = separate_song(recording, separator(), keep=keep, use_backing=listener.push, progress=progress)
    # The beats are found while the voice is transcribed.
    thread = ThreadPoolExecutor(1, "band")
    band = thread.submit(listener.finish)
    thread.shutdown(wait=False)
    return Separated(song.voice, found, song, band)


def _detect(voice: NDArray[np.float32], separator: Callable[[], SeparatorLike]) -> Source:
    whistled = whistled_share(cut_excerpts(voice))
    return Source("whistle", min(whistled, 0.99)) if whistled >= WHISTLED_SHARE else detect_source(voice, separator)


def _given(source: str) -> Source:
    return Source("song" if source == "song" else "whistle" if source == "whistle" else "voice", 1.0)
