"""The pianos that are compared, and how one rendering is laid beside another."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hf_model.notes.note import Note
from hf_model.piano.fluidsynth import FluidPiano, to_block
from hf_model.piano.rendering import SAMPLE_RATE, Renderer
from hf_model.piano.sampled import SampledPiano
from hf_model.synthesizer.network import Synthesizer, SynthesizerConfig

Audio = NDArray[np.float32]

OTHER_FONT = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")
"""A yardstick: how far another good sound font is (``apt-get install fluid-soundfont-gm``)."""

NEURAL, UNTRAINED = "neural", "table alone"


def load_reference() -> tuple[Renderer, str]:
    """Load FluidSynth with the reference's sound font, or the sampled piano where that is not installed."""
    try:
        return FluidPiano(), "FluidSynth"
    except OSError:
        return SampledPiano.load(), "the sampled piano (FluidSynth or the sound font is not installed)"


def load_pianos(model: Path) -> dict[str, Renderer]:
    """Load the pianos; the untrained network plays the table of partials as it was fitted."""
    pianos: dict[str, Renderer] = {"sampled": SampledPiano.load()}
    if model.is_dir():
        pianos[NEURAL] = Synthesizer.from_pretrained(model)
    pianos[UNTRAINED] = Synthesizer(SynthesizerConfig()).eval()
    return pianos


def on_blocks(note: Note) -> Note:
    """Move a note to FluidSynth's grid, so that all pianos play it at the same sample."""
    onset = to_block(note.onset) / SAMPLE_RATE
    return Note(onset, max(onset + 0.02, to_block(note.offset) / SAMPLE_RATE), note.pitch, note.velocity)


def mixed_down(measure: Callable[[Audio, Audio], float], reference: Audio, estimate: Audio) -> float:
    """Measure the mean of the channels."""
    return measure(reference.mean(axis=0), estimate.mean(axis=0))


def per_channel(measure: Callable[[Audio, Audio], float], reference: Audio, estimate: Audio) -> float:
    """Measure each channel of the reference and average; a mono rendering is heard on both sides."""
    heard = np.broadcast_to(estimate, reference.shape) if len(estimate) == 1 else estimate
    return float(np.mean([measure(*pair) for pair in zip(reference, heard, strict=True)]))
