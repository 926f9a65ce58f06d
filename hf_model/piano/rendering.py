"""What all pianos share: the interface of a renderer, rendering in blocks, damping, clipping gain and fade-out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.grid import PIANO_SAMPLE_RATE, seconds_to_samples
from hf_model.notes.note import HIGHEST_KEY, LOWEST_KEY, Note

BLOCK_SECONDS = 30.0
"""Notes that begin within this time are rendered together."""

TAIL_SECONDS = 4.0
"""Time that a string may sound after its key is released."""

MAX_SOUNDING = 120.0
"""Seconds after which a held string is silent: the slowest decays by 0.74 dB a second after the first ten."""

END_FADE = 0.02
"""Seconds at the end of a rendering over which a sounding note is faded out."""


class Renderer(Protocol):
    """A piano: turns notes into audio."""

    def render(self, notes: Sequence[Note], n_samples: int) -> NDArray[np.float32]:
        """Render notes with integer pitch 21-108 as audio (channel, n_samples) at 44.1 kHz, at absolute level.

        The number of channels is always the same: the attribute ``channels``, or 1 without it.
        """
        ...


def render_blocks(renderer: Renderer, notes: Sequence[Note], n_samples: int) -> Iterator[NDArray[np.float32]]:
    """Render notes block by block: memory does not grow with the length.

    The notes that begin in one block are rendered together, and what sounds on beyond the block is added to the next.
    A renderer with a method ``blocks`` makes its blocks itself.

    Yields
    ------
    ndarray, shape (channel, sample)
        ``n_samples`` together.
    """
    own_blocks = getattr(renderer, "blocks", None)
    if own_blocks is not None and n_samples:
        yield from own_blocks(notes, n_samples)
        return
    size = seconds_to_samples(BLOCK_SECONDS, PIANO_SAMPLE_RATE)
    tail: NDArray[np.float32] | None = None
    by_block: dict[int, list[Note]] = {}
    for note in notes:
        by_block.setdefault(int(max(0.0, note.onset) * PIANO_SAMPLE_RATE // size), []).append(note)
    for start in range(0, max(1, n_samples), size):
        stop = min(start + size, n_samples)
        starting = [_shifted(note, start) for note in by_block.pop(start // size, ())]
        end = max((note.offset for note in starting), default=0.0) + TAIL_SECONDS
        needed = seconds_to_samples(end, PIANO_SAMPLE_RATE) if starting else 0
        length = min(n_samples - start, max(stop - start, needed))
        audio = _padded(renderer.render(starting, length) if starting else _silence(renderer, length), length)
        if tail is not None:
            audio = _padded(audio, max(length, tail.shape[1]))
            audio[:, : tail.shape[1]] += tail
        yield audio[:, : stop - start]
        tail = audio[:, stop - start :].copy()


def damp_repeated(notes: Sequence[Note]) -> list[Note]:
    """Sort notes by onset and end each where its key is struck again.

    Raises
    ------
    ValueError
        For a pitch that is no key of the piano.
    """
    damped: list[Note] = []
    last: dict[int, int] = {}
    for note in sorted(notes):
        if note.pitch != int(note.pitch) or not LOWEST_KEY <= note.pitch <= HIGHEST_KEY:
            msg = f"pitch is {note.pitch}, a piano plays whole MIDI numbers {LOWEST_KEY} to {HIGHEST_KEY}"
            raise ValueError(msg)
        key = int(note.pitch)
        if key in last and note.onset < damped[last[key]].offset:
            previous = damped[last[key]]
            damped[last[key]] = replace(previous, offset=max(note.onset, previous.onset + 1e-3))
        last[key] = len(damped)
        damped.append(note)
    return damped


def gain_for(peak: float) -> float:
    """Compute the gain that keeps a peak magnitude within full scale: 1 where it is already."""
    return 1.0 if peak <= 1.0 else 0.999 / peak


def fade_end(audio: NDArray[np.float32]) -> None:
    """Fade the last ``END_FADE`` seconds of audio (channel, sample) to zero, in place."""
    n_fade = min(seconds_to_samples(END_FADE, PIANO_SAMPLE_RATE), audio.shape[-1])
    audio[..., audio.shape[-1] - n_fade :] *= np.linspace(1.0, 0.0, n_fade, dtype=np.float32)


def _silence(renderer: Renderer, n_samples: int) -> NDArray[np.float32]:
    """Digital silence: a network would render faint noise, and take time."""
    return np.zeros((getattr(renderer, "channels", 1), n_samples), dtype=np.float32)


def _shifted(note: Note, start: int) -> Note:
    seconds = start / PIANO_SAMPLE_RATE
    onset = max(0.0, note.onset - seconds)
    return Note(onset, min(note.offset - seconds, onset + MAX_SOUNDING), note.pitch, note.velocity, note.confidence)


def _padded(audio: NDArray[np.float32], n_samples: int) -> NDArray[np.float32]:
    missing = n_samples - audio.shape[1]
    return np.pad(audio, ((0, 0), (0, missing))) if missing > 0 else audio
