"""The transcribers that are measured, each with the recordings it may be measured on, and their transcriptions."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from bench.transcription.recordings import CLEAN, CSD, SSVD, Recording, degrade, labels, pitch_bias_hz
from hf_model.audio.grid import VOICE_STFT
from hf_model.audio.io import read_audio, to_mono
from hf_model.audio.resampling import resample
from hf_model.files import file_sha256
from hf_model.notes.note import Note
from hf_model.transcriber.transcriber import Transcriber
from hf_model.weights import read_config

MADE, FOLDS, SHIPS_CSD, MADE_CSD = "made", "folds", "csd, what ships", "csd, made voices only"
"""Keys of figures.json; ``TITLES`` names them in tables."""

TITLES = {
    MADE: "synthetic voices only, SSVD",
    FOLDS: "five folds, SSVD",
    SHIPS_CSD: "what ships, CSD",
    MADE_CSD: "synthetic voices only, CSD",
}


@dataclass(frozen=True)
class System:
    """One transcriber, or several for different recordings.

    Attributes
    ----------
    name : str
    recordings : list of Recording
    folder_of : mapping of str to Path
        Folder of the model, by singer.
    bias_of : mapping of str to float
        Pitch bias of the published labels in Hz, by singer; of a model that was trained on the same corpus it is
        measured on its training recordings.
    """

    name: str
    recordings: list[Recording]
    folder_of: Mapping[str, Path]
    bias_of: Mapping[str, float]

    def models(self) -> list[dict[str, Any]]:
        """Describe the models: training data, singers held out, and a fingerprint of the weights."""
        return [_describe(folder) for folder in sorted(set(self.folder_of.values()))]

    def labels(self, convention: str) -> list[list[Note]]:
        """Give the labels of each recording under a convention."""
        return [labels(one, convention, self.bias_of[one.singer]) for one in self.recordings]

    def model(self, recording: Recording) -> Transcriber:
        """Load the model that transcribes a recording."""
        return _load(self.folder_of[recording.singer])


class Transcriptions:
    """Transcriptions of recordings, each computed at most once for a model and a condition.

    The degraded audio of one condition is kept until another condition is used.
    """

    def __init__(self) -> None:
        self._condition = CLEAN
        self._voices: dict[Path, NDArray[np.float32]] = {}
        self._notes: dict[tuple[Path, str, str, str], list[Note]] = {}

    def of(self, system: System, condition: str = CLEAN) -> list[list[Note]]:
        """Transcribe every recording of a system."""
        if condition != self._condition:
            self._condition, self._voices = condition, {}
        keys = [(system.folder_of[one.singer], one.corpus, one.name, condition) for one in system.recordings]
        missing = [item for item in zip(keys, system.recordings, strict=True) if item[0] not in self._notes]
        for key, one in track(missing, f"{system.name}, {condition}", disable=not missing):
            if one.path not in self._voices:
                self._voices[one.path] = read_voice(one, condition)
            self._notes[key] = system.model(one).transcribe(self._voices[one.path])
        return [self._notes[key] for key in keys]


def read_voice(recording: Recording, condition: str = CLEAN) -> NDArray[np.float32]:
    """Read a recording as the transcriber takes it, mono at 16 kHz; degraded before, at its own rate."""
    audio, sample_rate = read_audio(recording.path)
    mono = degrade(to_mono(audio), sample_rate, condition, recording.name)
    return resample(mono, sample_rate, VOICE_STFT.sample_rate)


def made_system(folder: Path, recordings: Sequence[Recording]) -> System:
    """Measure a model that was not trained on recordings, on every recording of SSVD."""
    ssvd = [one for one in recordings if one.corpus == SSVD]
    return _one_model(MADE, folder, ssvd, pitch_bias_hz(ssvd))


def csd_system(name: str, folder: Path, recordings: Sequence[Recording]) -> System:
    """Measure a model on the clip of CSD; its labels are integer pitches without a bias."""
    return _one_model(name, folder, [one for one in recordings if one.corpus == CSD], 0.0)


def folds_system(folder: Path, recordings: Sequence[Recording]) -> System:
    """Measure each fold's model on the singers that it held out, and on no others.

    Raises
    ------
    SystemExit
        If two models hold out the same singer.
    """
    ssvd = [one for one in recordings if one.corpus == SSVD]
    folder_of: dict[str, Path] = {}
    bias_of: dict[str, float] = {}
    for path in sorted(folder.glob("*/config.json")):
        held_out = set(read_config(path.parent).get("held_out", []))
        twice = sorted(held_out & set(folder_of))
        if twice:
            raise SystemExit(f"{path.parent} holds out {', '.join(twice)}, and so does {folder_of[twice[0]]}")
        trained_on = [one for one in ssvd if one.singer not in held_out]
        folder_of |= dict.fromkeys(held_out, path.parent)
        bias_of |= dict.fromkeys(held_out, pitch_bias_hz(trained_on) if trained_on else 0.0)
    left_out = sorted({one.singer for one in ssvd} - set(folder_of))
    if left_out:
        sys.stderr.write(f"folds: no model holds out {', '.join(left_out)}: not measured\n")
    return System(FOLDS, [one for one in ssvd if one.singer in folder_of], folder_of, bias_of)


def _one_model(name: str, folder: Path, recordings: list[Recording], bias_hz: float) -> System:
    singers = {one.singer for one in recordings}
    return System(name, recordings, dict.fromkeys(singers, folder), dict.fromkeys(singers, bias_hz))


@lru_cache(maxsize=8)
def _load(folder: Path) -> Transcriber:
    return Transcriber.from_pretrained(folder)


def _describe(folder: Path) -> dict[str, Any]:
    facts = read_config(folder)
    digest = file_sha256(folder / "model.safetensors")[:12]
    return {"weights": digest, "trained_on": facts.get("trained_on", ""), "held_out": facts.get("held_out", [])}
