"""The training of ``python -m bench finetune``: a folder of songs goes through the commands of docs/train.md."""

from __future__ import annotations

import resource
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.training.tree import run_stages, write_params
from bench.transcription.recordings import Recording
from hf_model.audio.io import read_audio
from hf_model.notes.note_files import write_csv
from hf_model.training.tasks import interpolate_weights
from hf_model.transcriber.network import TranscriberNetwork

PROFILE = "mine"

STEPS = (
    ("stages.corpus", "add", "songs", "--labels", "csv"),
    ("stages.download",),
    ("stages.align",),
    ("stages.stft",),
    ("stages.train", "transcriber"),
)
"""Modules and arguments, in the order in which ``dvc exp run`` runs them."""


def divide(names: Sequence[str], n_parts: int) -> list[list[str]]:
    """Divide songs into parts whose sizes differ by one at most; neighbours by name go to different parts."""
    ordered = sorted(names)
    if not 2 <= n_parts <= len(ordered):
        msg = f"--parts is {n_parts}, allowed is 2 to the number of songs, {len(ordered)}"
        raise SystemExit(msg)
    return [ordered[first::n_parts] for first in range(n_parts)]


def choose_songs(songs: Sequence[Recording], seconds: float, seed: int) -> list[tuple[Recording, float]]:
    """Choose songs in random order until they last so many seconds together; with the duration of each."""
    chosen: list[tuple[Recording, float]] = []
    for index in np.random.default_rng(seed).permutation(len(songs)):
        audio, sample_rate = read_audio(songs[index].path)
        duration = audio.shape[-1] / sample_rate
        if sum(length for _, length in chosen) + duration <= seconds:
            chosen.append((songs[index], duration))
    return chosen


def fine_tune(root: Path, songs: Sequence[tuple[Recording, float]], start: Path, mirror: str) -> dict[str, Any]:
    """Train the profile on songs with their published labels, in a tree of its own; nothing of ``start`` is mixed in.

    Returns
    -------
    dict
        ``songs``, ``seconds`` of them, and ``cpu_seconds`` of all commands.
    """
    folder = root / "songs"
    folder.mkdir(parents=True, exist_ok=True)
    for song, _ in songs:
        shutil.copy(song.path, folder / song.path.name)
        write_csv(folder / f"{song.path.stem}.csv", song.published, song.published)
    write_params(root, PROFILE, "transcriber", {"start": str(start), "start_share": 0.0})
    began = _cpu_seconds()
    run_stages(root, STEPS, mirror)
    seconds = sum(length for _, length in songs)
    return {
        "songs": [song.name for song, _ in songs],
        "seconds": round(seconds, 1),
        "cpu_seconds": round(_cpu_seconds() - began, 1),
    }


def blend(root: Path, start: Path, share: float, folder: Path) -> None:
    """Write a model whose weights are the fine-tuned ones of a tree, moved by a share of the way back to the start."""
    model = TranscriberNetwork.from_pretrained(root / "data/model/transcriber")
    interpolate_weights(model, TranscriberNetwork.from_pretrained(start).state_dict(), share)
    model.save_pretrained(folder)


def _cpu_seconds() -> float:
    """Processor time of the commands that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
