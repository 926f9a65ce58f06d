"""Transcribers at work on recordings, clean or worse; what one of them heard is remembered within a run."""

from __future__ import annotations

import hashlib
import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import track
from transcriber_recordings import CSD, SSVD, Recording, pitch_bias_hz

from hf_model.audio.grid import VOICE_STFT
from hf_model.audio.io import read_audio, to_mono
from hf_model.audio.resampling import resample
from hf_model.evaluation.degradations import CONDITIONS
from hf_model.notes.note import Note
from hf_model.pretrained import read_config
from hf_model.transcriber.network import Transcriber

CLEAN = "clean"
MADE, FOLDS, SHIPS_CSD, MADE_CSD = "made", "folds", "csd, what ships", "csd, made voices only"


@dataclass(frozen=True)
class System:
    """A transcriber, or several that share recordings out, on the recordings that they may be measured on.

    Attributes
    ----------
    name : str
    recordings : list of Recording
    folder_of : mapping of str to Path
        The model's folder, by singer.
    bias_of : mapping of str to float
        Hz by which labels as published are sharp, by singer: measured without looking at what the model is measured on
        where the model learned from the same corpus.
    """

    name: str
    recordings: list[Recording]
    folder_of: Mapping[str, Path]
    bias_of: Mapping[str, float]

    def models(self) -> list[dict[str, Any]]:
        """Say which models these are."""
        return [describe(folder) for folder in sorted(set(self.folder_of.values()))]


class Ears:
    """Hear recordings; each at most once for a model and a condition.

    What was made of the recordings under one condition is kept until another is asked for: ask for all systems under a
    condition before the next.
    """

    def __init__(self) -> None:
        self._condition = CLEAN
        self._voices: dict[Path, NDArray[np.float32]] = {}
        self._heard: dict[tuple[Path, str, str, str], list[Note]] = {}

    def hear(self, system: System, condition: str = CLEAN) -> list[list[Note]]:
        """Transcribe every recording of a system."""
        if condition != self._condition:
            self._condition, self._voices = condition, {}
        missing = [one for one in system.recordings if self._key(system, one, condition) not in self._heard]
        for one in track(missing, f"{system.name}, {condition}", disable=not missing):
            found = model_at(system.folder_of[one.singer]).transcribe(self._voice(one))
            self._heard[self._key(system, one, condition)] = found
        return [self._heard[self._key(system, one, condition)] for one in system.recordings]

    def _voice(self, recording: Recording) -> NDArray[np.float32]:
        if recording.path not in self._voices:
            self._voices[recording.path] = voice(recording, self._condition)
        return self._voices[recording.path]

    @staticmethod
    def _key(system: System, recording: Recording, condition: str) -> tuple[Path, str, str, str]:
        return system.folder_of[recording.singer], recording.corpus, recording.name, condition


@lru_cache(maxsize=8)
def model_at(folder: Path) -> Transcriber:
    """Load a model once."""
    return Transcriber.from_pretrained(folder)


def voice(recording: Recording, condition: str = CLEAN) -> NDArray[np.float32]:
    """Read a recording as the transcriber takes it, mono at 16 kHz; made worse first, at its own rate."""
    audio, sample_rate = read_audio(recording.path)
    mono = to_mono(audio)
    if condition != CLEAN:
        mono = CONDITIONS[condition](mono, sample_rate, zlib.crc32(recording.name.encode()))
    return resample(mono, sample_rate, VOICE_STFT.sample_rate)


def onset_curves(system: System) -> Iterator[NDArray[np.float32]]:
    """Compute the onset probabilities of each of a system's recordings, (frame,), clean."""
    for one in track(system.recordings, f"{system.name}, onset curves"):
        yield model_at(system.folder_of[one.singer]).posteriors(voice(one))[0]


def describe(folder: Path) -> dict[str, Any]:
    """Say which model a folder holds: what it learned from, whom it never met, and a fingerprint of its weights."""
    facts = read_config(folder)
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()[:12]
    return {"weights": digest, "trained_on": facts.get("trained_on", ""), "held_out": facts.get("held_out", [])}


def made_system(folder: Path, recordings: Sequence[Recording]) -> System:
    """Measure a model that saw no recording on every recording of SSVD."""
    ssvd = [one for one in recordings if one.corpus == SSVD]
    return _one_model(MADE, folder, ssvd, pitch_bias_hz(ssvd))


def csd_system(name: str, folder: Path, recordings: Sequence[Recording]) -> System:
    """Measure a model on the clip of CSD, whose pitches are whole and need no constant removed."""
    return _one_model(name, folder, [one for one in recordings if one.corpus == CSD], 0.0)


def _one_model(name: str, folder: Path, recordings: list[Recording], bias_hz: float) -> System:
    singers = {one.singer for one in recordings}
    return System(name, recordings, dict.fromkeys(singers, folder), dict.fromkeys(singers, bias_hz))


def folds_system(folder: Path, recordings: Sequence[Recording]) -> System:
    """Measure each fold's model on the singers that it never met, and on no others.

    Raises
    ------
    SystemExit
        If two models hold out the same singer: which one is to be measured is not for this program to choose.
    """
    ssvd = [one for one in recordings if one.corpus == SSVD]
    folder_of: dict[str, Path] = {}
    bias_of: dict[str, float] = {}
    for path in sorted(folder.glob("*/config.json")):
        held_out = set(read_config(path.parent).get("held_out", []))
        twice = sorted(held_out & set(folder_of))
        if twice:
            raise SystemExit(f"{path.parent} holds out {', '.join(twice)}, and so does {folder_of[twice[0]]}")
        learned_from = [one for one in ssvd if one.singer not in held_out]
        folder_of |= dict.fromkeys(held_out, path.parent)
        bias_of |= dict.fromkeys(held_out, pitch_bias_hz(learned_from) if learned_from else 0.0)
    left_out = sorted({one.singer for one in ssvd} - set(folder_of))
    if left_out:
        sys.stderr.write(f"folds: no model holds out {', '.join(left_out)}: not measured\n")
    return System(FOLDS, [one for one in ssvd if one.singer in folder_of], folder_of, bias_of)
