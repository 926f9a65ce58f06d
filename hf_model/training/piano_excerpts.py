"""Made notes over the whole keyboard, for a piano to learn from: chords, repetitions, short notes and long ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from hf_model.audio.grid import PIANO_STFT
from hf_model.audio.stft import stft
from hf_model.config import check_choice, check_range
from hf_model.notes.note import HIGHEST_KEY, LOWEST_KEY, Note
from hf_model.piano.rendering import SAMPLE_RATE, Renderer, damp_repeated
from hf_model.piano.sampled import SampledPiano

HEAD = 4.0
"""Seconds before the excerpt in which notes may begin, so that it also holds decays far from their onsets."""

MOST_KEYS = 4
"""In a chord."""

DURATIONS = (0.04, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0)
"""Seconds that keys are held, from staccato on."""


GRID = 64
"""Samples: FluidSynth strikes and releases at multiples of this, so that made notes do."""

TAIL_FRAMES = 6
"""Frames rendered beyond an excerpt, which its last frames see."""


@dataclass(frozen=True)
class ChordConfig:
    """Made excerpts among the examples of a training.

    Attributes
    ----------
    share : float
        Of a batch; 0 for none.
    excerpts : int
        So many different ones; each is rendered once and met again and again.
    piano : str
        Who plays what is learned: "sampled", or "reference", which needs FluidSynth and the sound font.
    """

    share: float = 0.0
    excerpts: int = 64
    piano: str = "sampled"

    def __post_init__(self) -> None:
        """Refuse impossible values."""
        check_range("share", self.share, 0.0, 1.0)
        check_range("excerpts", self.excerpts, 1, 4096)
        check_choice("piano", self.piano, ("sampled", "reference"))


class Chords:
    """Excerpts of made chords with the piano that plays them, rendered when they are first asked for.

    Parameters
    ----------
    config : ChordConfig
    n_frames : int
        Length of every excerpt on the piano's grid.
    seed : int
        The first excerpt's; the others follow.
    """

    def __init__(self, config: ChordConfig, n_frames: int, seed: int) -> None:
        self.config, self.n_frames, self.seed = config, n_frames, seed
        self._piano: Renderer | None = None
        self._render = lru_cache(maxsize=None)(self._rendered)

    def excerpt(self, number: int) -> tuple[Tensor, Tensor]:
        """Give excerpt ``number``, counted round the ``excerpts`` there are.

        Returns
        -------
        notes : Tensor, shape (note, 4)
            Onset and offset in seconds from the first frame, key, velocity.
        spectrum : Tensor, complex64, shape (n_frames, bin)
        """
        notes, audio = self._render(number % self.config.excerpts)
        first = round(HEAD * PIANO_STFT.frame_rate)
        spectrum = stft(torch.from_numpy(audio), PIANO_STFT)[first : first + self.n_frames]
        rows = [(note.onset - HEAD, note.offset - HEAD, note.pitch, float(note.velocity)) for note in notes]
        return torch.tensor(rows, dtype=torch.float64), spectrum

    def _rendered(self, number: int) -> tuple[list[Note], NDArray[np.float32]]:
        if self._piano is None:
            self._piano = _load(self.config.piano)
        made = made_chords(self.seed + number, self.n_frames / PIANO_STFT.frame_rate)
        notes = damp_repeated([_on_grid(note) for note in made])
        n_samples = (self.n_frames + TAIL_FRAMES) * PIANO_STFT.hop_length + round(HEAD * SAMPLE_RATE)
        return notes, self._piano.render(notes, n_samples).mean(axis=0)


def with_excerpts(batch: dict[str, Tensor], excerpts: Sequence[tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
    """Put excerpts in the place of the last examples of a batch.

    Parameters
    ----------
    batch : dict of Tensor
        "notes" (batch, note, 4), "piano_stft" (batch, frame, bin), "n_frames" (batch,), and where known "tuning".
    excerpts : sequence of (notes, spectrum)
        As :meth:`Chords.excerpt` gives them; cut at the batch's frames.
    """
    if not excerpts:
        return batch
    kept = len(batch["notes"]) - len(excerpts)
    most = max(batch["notes"].shape[1], *(len(notes) for notes, _ in excerpts))
    n_frames = batch["piano_stft"].shape[1]
    notes = functional.pad(batch["notes"], (0, 0, 0, most - batch["notes"].shape[1])).clone()
    spectrum, valid = batch["piano_stft"].clone(), batch["n_frames"].clone()
    notes[kept:], spectrum[kept:] = 0.0, 0.0
    for row, (made, sound) in enumerate(excerpts, start=kept):
        valid[row] = min(n_frames, len(sound))
        notes[row, : len(made)] = made.to(notes)
        spectrum[row, : len(sound)] = sound[:n_frames].to(spectrum)
    changed = {"notes": notes, "piano_stft": spectrum, "n_frames": valid}
    if "tuning" in batch:
        changed["tuning"] = batch["tuning"].clone()
        changed["tuning"][kept:] = 0.0
    return {**batch, **changed}


def _load(name: str) -> Renderer:
    if name == "sampled":
        return SampledPiano.load()
    from hf_model.piano.fluidsynth import FluidPiano

    return FluidPiano()


def _on_grid(note: Note) -> Note:
    """Move a note to the clock of the rendering, which begins ``HEAD`` seconds before the excerpt, and to its grid."""
    onset, offset = (GRID * round((seconds + HEAD) * SAMPLE_RATE / GRID) for seconds in (note.onset, note.offset))
    return replace(note, onset=onset / SAMPLE_RATE, offset=max(offset, onset + GRID) / SAMPLE_RATE)


def made_chords(seed: int, seconds: float) -> list[Note]:
    """Make what a few hands might play, in no style.

    Parameters
    ----------
    seed : int
        The same seed gives the same notes.
    seconds : float
        Length of the excerpt; notes begin from 4 s before it on.

    Returns
    -------
    list of Note
        Integer pitches 21-108, velocities 1-127, onsets from -4 s on; no key is struck while it is held.
    """
    rng = np.random.default_rng([seed, 0xC402D])
    notes: list[Note] = []
    onset = -float(rng.uniform(0.0, HEAD))
    centre = float(rng.uniform(LOWEST_KEY, HIGHEST_KEY))
    pace = float(rng.choice([0.2, 0.5, 1.0, 2.0]))
    while onset < seconds:
        repeat = bool(notes) and rng.random() < 0.2
        keys = [int(notes[-1].pitch)] if repeat else _keys(centre, rng)
        velocity = rng.uniform(1.0, 128.0)
        held = float(rng.choice(DURATIONS)) * float(rng.uniform(0.7, 1.4))
        for key in keys:
            spread = float(rng.exponential(0.01)) if len(keys) > 1 else 0.0
            loud = int(np.clip(velocity + rng.normal(0.0, 8.0), 1, 127))
            notes.append(Note(onset + spread, onset + spread + held, float(key), loud))
        onset += pace * float(rng.uniform(0.3, 1.7))
        centre += float(rng.normal(0.0, 5.0))
    return notes


def _keys(centre: float, rng: Generator) -> list[int]:
    """Draw one to four keys about a place on the keyboard."""
    count = int(min(rng.integers(1, MOST_KEYS + 1, size=2)))
    drawn = np.round(centre + rng.normal(0.0, 6.0, size=count))
    span = HIGHEST_KEY - LOWEST_KEY
    folded = span - np.abs((drawn - LOWEST_KEY) % (2 * span) - span)  # back from beyond the ends, not piled up there
    return sorted({LOWEST_KEY + int(key) for key in folded})
