"""Long pieces played in constant memory, whatever the piano."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.grid import PIANO_STFT, seconds_to_samples
from hf_model.notes.note import HIGHEST_KEY, LOWEST_KEY, Note

PIANO_RATE = PIANO_STFT.sample_rate
"""Hz."""

BLOCK_SECONDS = 30.0
"""Notes that begin within so long are rendered together."""

TAIL_SECONDS = 4.0
"""How long a string may sound after its key is released."""


def render_blocks(renderer: Renderer, notes: Sequence[Note], n_samples: int) -> Iterator[NDArray[np.float32]]:
    """Play notes block by block: memory does not grow with the length.

    The notes that begin in one block are rendered together, and what sounds on beyond the block is added to the
    next: strings do not disturb each other. A piano that gives its sound in blocks by itself (a method ``blocks``) is
    left to do so.

    Yields
    ------
    ndarray, shape (channel, sample)
        ``n_samples`` together.
    """
    own_blocks = getattr(renderer, "blocks", None)
    if own_blocks is not None and n_samples:
        yield from own_blocks(notes, n_samples)
        return
    size = seconds_to_samples(BLOCK_SECONDS, PIANO_RATE)
    ringing: NDArray[np.float32] | None = None
    for start in range(0, max(1, n_samples), size):
        stop = min(start + size, n_samples)
        mine = [_shifted(note, start) for note in notes if start <= max(0.0, note.onset) * PIANO_RATE < start + size]
        end = max((note.offset for note in mine), default=0.0) + TAIL_SECONDS
        length = min(n_samples - start, max(stop - start, seconds_to_samples(end, PIANO_RATE) if mine else 0))
        sounding = _padded(renderer.render(mine, length) if mine else _silence(renderer, length), length)
        if ringing is not None:
            sounding = _padded(sounding, max(length, ringing.shape[1]))
            sounding[:, : ringing.shape[1]] += ringing
        yield sounding[:, : stop - start]
        ringing = sounding[:, stop - start :].copy()


def gain_for(peak: float) -> float:
    """Give the factor that keeps a peak magnitude within full scale: 1 unless it must be less."""
    return 1.0 if peak <= 1.0 else 0.999 / peak


def _silence(renderer: Renderer, n_samples: int) -> NDArray[np.float32]:
    """No notes, no sound: nothing to compute, and not even a network's faintest noise."""
    return np.zeros((getattr(renderer, "channels", 1), n_samples), dtype=np.float32)


def _shifted(note: Note, start: int) -> Note:
    moved = start / PIANO_RATE
    onset = max(0.0, note.onset - moved)
    return Note(onset, note.offset - moved, note.pitch, note.velocity, note.confidence)


def _padded(audio: NDArray[np.float32], n_samples: int) -> NDArray[np.float32]:
    missing = n_samples - audio.shape[1]
    return np.pad(audio, ((0, 0), (0, missing))) if missing > 0 else audio


SAMPLE_RATE = PIANO_STFT.sample_rate
"""Hz, of everything that a piano plays."""


END_FADE = 0.02
"""Seconds at the end of a rendering over which a note that still sounds is faded out."""


class Renderer(Protocol):
    """Anything that plays notes."""

    def render(self, notes: Sequence[Note], n_samples: int) -> NDArray[np.float32]:
        """Play notes with integer pitch 21-108 as audio (channel, n_samples) at 44.1 kHz, at absolute level.

        One channel or two, always the same number; a piano with two says so: ``channels = 2``.
        """
        ...


def damp_repeated(notes: Sequence[Note]) -> list[Note]:
    """Sort notes by onset and end each where its key is struck again.

    Raises
    ------
    ValueError
        For a pitch that is no key of the piano.
    """
    played: list[Note] = []
    last: dict[int, int] = {}
    for note in sorted(notes):
        if note.pitch != int(note.pitch) or not LOWEST_KEY <= note.pitch <= HIGHEST_KEY:
            msg = f"pitch is {note.pitch}, a piano plays whole MIDI numbers {LOWEST_KEY} to {HIGHEST_KEY}"
            raise ValueError(msg)
        key = int(note.pitch)
        if key in last and note.onset < played[last[key]].offset:
            before = played[last[key]]
            played[last[key]] = replace(before, offset=max(note.onset, before.onset + 1e-3))
        last[key] = len(played)
        played.append(note)
    return played


def fade_end(audio: NDArray[np.float32]) -> None:
    """Fade the last moments of audio (channel, sample) to zero, in place."""
    n_fade = min(seconds_to_samples(END_FADE, SAMPLE_RATE), audio.shape[-1])
    audio[..., audio.shape[-1] - n_fade :] *= np.linspace(1.0, 0.0, n_fade, dtype=np.float32)
