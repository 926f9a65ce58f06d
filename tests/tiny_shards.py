"""Shards of synthetic tones, and models small enough to train on them in a second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hf_model.alignment import manifest
from hf_model.alignment.manifest import Pair
from hf_model.audio.io import write_audio
from hf_model.notes.note import Note
from hf_model.shards.writer import StftSettings, write_shards

SINGERS = ("ada", "ben", "cleo", "kim")  # by the hashes of these names, kim is in the valid split
NOTES = (Note(0.2, 0.7, 60.0), Note(0.7, 1.1, 62.0), Note(1.3, 1.9, 59.0), Note(2.0, 2.4, 59.0))
TINY_FIT = {
    "steps": 10,
    "warmup_steps": 2,
    "batch_size": 2,
    "crop_frames": 48,
    "validate_every": 4,
    "valid_segments": 2,
    "precision": "float32",
}
TINY_MODELS: dict[str, dict[str, Any]] = {
    "transcriber": {"lowest_hz": 200.0, "pitch_bands": 30, "channels": 4, "width": 8, "dilations": [1, 2]},
    "synthesizer": {"channels": 8, "layers": 1},
    "direct": {"channels": 4, "depth": 1, "phase_iterations": 1},
}


def sing(notes: tuple[Note, ...], seconds: float, rate: int) -> NDArray[np.float32]:
    """Synthesize notes as sines with a few harmonics and short fades, (sample,)."""
    times = np.arange(round(seconds * rate)) / rate
    audio = 1e-3 * np.random.default_rng(0).standard_normal(len(times))
    for note in notes:
        envelope = np.clip(np.minimum(times - note.onset, note.offset - times) / 0.01, 0, 1)
        hz = 440.0 * 2.0 ** ((note.pitch - 69.0) / 12.0)
        audio += envelope * sum(0.2 / k * np.sin(2 * np.pi * k * hz * times) for k in (1, 2, 3))
    return audio.astype(np.float32)


def write_tiny_shards(folder: Path) -> Path:
    """Write shards of four singers, 2.5 s each, one in the valid split, with segments of 128 frames."""
    aligned, shards = folder / "aligned", folder / "stft"
    shards.mkdir(parents=True)
    pairs = []
    for number, singer in enumerate(SINGERS):
        notes = tuple(Note(n.onset, n.offset, n.pitch + number, 80) for n in NOTES)
        pair = Pair(f"p{number}", "tiny", singer, "CC0-1.0", "train", 40000, 16000, notes=notes)
        for path, rate in ((manifest.voice_path, 16000), (manifest.piano_path, 44100)):
            target = path(aligned, "tiny", pair.pair_id)
            target.parent.mkdir(parents=True, exist_ok=True)
            write_audio(target, sing(notes, 2.5, rate), rate)
        pairs.append(pair)
    manifest.write_manifest(aligned / "tiny" / "manifest.parquet", pairs)
    write_shards(aligned, shards, StftSettings(segment_frames=128, valid_fraction=0.25, test_fraction=0.0))
    return shards


def tiny_task(kind: str, **fit: Any) -> Any:
    """Create the training task of a tiny model."""
    from hf_model.config import from_mapping
    from hf_model.training.tasks import TASKS

    settings_class, task_class = TASKS[kind]
    settings: dict[str, Any] = {"model": TINY_MODELS[kind], "fit": {**TINY_FIT, **fit}}
    if kind == "transcriber":
        settings["decoder_rounds"] = 2
    return task_class(from_mapping(settings_class, settings))
