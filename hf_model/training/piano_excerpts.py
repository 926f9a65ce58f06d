"""Random piano notes with their audio as training examples: all keys and velocities, chords, short and long notes."""

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

from hf_model.audio.grid import PIANO_SAMPLE_RATE, PIANO_STFT
from hf_model.audio.stft import stft
from hf_model.config import check_choice, check_range
from hf_model.notes.note import HIGHEST_KEY, LOWEST_KEY, Note
from hf_model.piano.fluidsynth import TICK, FluidSynthLibrary
from hf_model.piano.rendering import Renderer, damp_repeated
from hf_model.piano.sampled import SampledPiano

LEAD_SECONDS = 4.0
"""Seconds before an excerpt in which notes may begin, so that it also contains decays far from their onsets."""

TAIL_FRAMES = 6
"""Frames rendered beyond an excerpt, which lie in the windows of its last frames."""

MAX_CHORD_KEYS = 4

DURATIONS = (0.04, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0)
"""Seconds that keys are held, from staccato on."""


@dataclass(frozen=True)
class ExcerptConfig:
    """Settings of the random excerpts in training batches (params.yaml: train.synthesizer.chords).

    Attributes
    ----------
    share : float
        Share of a batch; 0 for none.
    excerpts : int
        Number of different excerpts; each is rendered once and reused.
    piano : str
        The piano to learn: "sampled", or "reference", which needs FluidSynth and the sound font.
    """

    share: float = 0.0
    excerpts: int = 64
    piano: str = "sampled"

    def __post_init__(self) -> None:
        """Check the values."""
        check_range("share", self.share, 0.0, 1.0)
        check_range("excerpts", self.excerpts, 1, 4096)
        check_choice("piano", self.piano, ("sampled", "reference"))


class PianoExcerpts:
    """Random notes and their spectra, rendered on first use.

    Parameters
    ----------
    config : ExcerptConfig
    n_frames : int
        Length of every excerpt on the piano's grid.
    seed : int
        Seed of the first excerpt; the others follow.
    """

    def __init__(self, config: ExcerptConfig, n_frames: int, seed: int) -> None:
        self.config, self.n_frames, self.seed = config, n_frames, seed
        self._piano: Renderer | None = None
        self._rendered = lru_cache(maxsize=None)(self._render)

    def excerpt(self, number: int) -> tuple[Tensor, Tensor]:
        """Return excerpt ``number`` modulo the number of excerpts.

        Returns
        -------
        notes : Tensor, shape (note, 4)
            Onset and offset in seconds from the first frame, key, velocity.
        spectrum : Tensor, complex64, shape (n_frames, bin)
        """
        notes, audio = self._rendered(number % self.config.excerpts)
        first = round(LEAD_SECONDS * PIANO_STFT.frame_rate)
        spectrum = stft(torch.from_numpy(audio), PIANO_STFT)[first : first + self.n_frames]
        rows = [(n.onset - LEAD_SECONDS, n.offset - LEAD_SECONDS, n.pitch, float(n.velocity)) for n in notes]
        return torch.tensor(rows, dtype=torch.float64), spectrum

    def _render(self, number: int) -> tuple[list[Note], NDArray[np.float32]]:
        if self._piano is None:
            self._piano = _load(self.config.piano)
        drawn = random_notes(self.seed + number, self.n_frames / PIANO_STFT.frame_rate)
        notes = damp_repeated([_on_grid(note) for note in drawn])
        n_samples = (self.n_frames + TAIL_FRAMES) * PIANO_STFT.hop_length + round(LEAD_SECONDS * PIANO_SAMPLE_RATE)
        return notes, self._piano.render(notes, n_samples).mean(axis=0)


def with_excerpts(batch: dict[str, Tensor], excerpts: Sequence[tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
    """Replace the last examples of a batch by excerpts.

    Parameters
    ----------
    batch : dict of Tensor
        "notes" (batch, note, 4), "piano_stft" (batch, frame, bin), "n_frames" (batch,), and optionally "tuning".
    excerpts : sequence of (notes, spectrum)
        Results of :meth:`PianoExcerpts.excerpt`; cut to the batch's frames.
    """
    if not excerpts:
        return batch
    first = len(batch["notes"]) - len(excerpts)
    n_notes = max(batch["notes"].shape[1], *(len(notes) for notes, _ in excerpts))
    n_frames = batch["piano_stft"].shape[1]
    notes = functional.pad(batch["notes"], (0, 0, 0, n_notes - batch["notes"].shape[1])).clone()
    spectrum, valid = batch["piano_stft"].clone(), batch["n_frames"].clone()
    notes[first:], spectrum[first:] = 0.0, 0.0
    for row, (excerpt_notes, excerpt_spectrum) in enumerate(excerpts, start=first):
        valid[row] = min(n_frames, len(excerpt_spectrum))
        notes[row, : len(excerpt_notes)] = excerpt_notes.to(notes)
        spectrum[row, : len(excerpt_spectrum)] = excerpt_spectrum[:n_frames].to(spectrum)
    changed = {"notes": notes, "piano_stft": spectrum, "n_frames": valid}
    if "tuning" in batch:
        changed["tuning"] = batch["tuning"].clone()
        changed["tuning"][first:] = 0.0
    return {**batch, **changed}


def random_notes(seed: int, seconds: float) -> list[Note]:
    """Draw notes without musical style.

    Parameters
    ----------
    seed : int
        The same seed gives the same notes.
    seconds : float
        Length of the excerpt.

    Returns
    -------
    list of Note
        Integer pitches 21-108, velocities 1-127, onsets from -``LEAD_SECONDS`` to ``seconds``.
    """
    rng = np.random.default_rng([seed, 0xC402D])
    notes: list[Note] = []
    onset = -float(rng.uniform(0.0, LEAD_SECONDS))
    centre = float(rng.uniform(LOWEST_KEY, HIGHEST_KEY))
    pace = float(rng.choice([0.2, 0.5, 1.0, 2.0]))
    while onset < seconds:
        repeat = bool(notes) and rng.random() < 0.2
        keys = [int(notes[-1].pitch)] if repeat else _random_keys(centre, rng)
        loudness = rng.uniform(1.0, 128.0)
        held = float(rng.choice(DURATIONS)) * float(rng.uniform(0.7, 1.4))
        for key in keys:
            delay = float(rng.exponential(0.01)) if len(keys) > 1 else 0.0
            velocity = int(np.clip(loudness + rng.normal(0.0, 8.0), 1, 127))
            notes.append(Note(onset + delay, onset + delay + held, float(key), velocity))
        onset += pace * float(rng.uniform(0.3, 1.7))
        centre += float(rng.normal(0.0, 5.0))
    return notes


def _random_keys(centre: float, rng: Generator) -> list[int]:
    """Draw one to four keys around a position on the keyboard."""
    count = int(min(rng.integers(1, MAX_CHORD_KEYS + 1, size=2)))
    drawn = np.round(centre + rng.normal(0.0, 6.0, size=count))
    span = HIGHEST_KEY - LOWEST_KEY
    reflected = span - np.abs((drawn - LOWEST_KEY) % (2 * span) - span)  # clipping would pile up keys at the ends
    return sorted({LOWEST_KEY + int(key) for key in reflected})


def _on_grid(note: Note) -> Note:
    """Shift a note by ``LEAD_SECONDS`` and round its times to FluidSynth's grid."""
    onset, offset = (
        TICK * round((seconds + LEAD_SECONDS) * PIANO_SAMPLE_RATE / TICK) for seconds in (note.onset, note.offset)
    )
    return replace(note, onset=onset / PIANO_SAMPLE_RATE, offset=max(offset, onset + TICK) / PIANO_SAMPLE_RATE)


def _load(name: str) -> Renderer:
    return SampledPiano.load() if name == "sampled" else FluidSynthLibrary()
