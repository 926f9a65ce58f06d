"""A mono voice recording and its pitch track, kept in a scratch file so that it is decoded and tracked only once."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.grid import VOICE_STFT
from hf_model.audio.io import read_audio, to_mono
from hf_model.audio.pitch_tracking import Track, track
from hf_model.audio.resampling import resample


@dataclass(frozen=True)
class TrackedVoice:
    """A voice recording, tracked when its track is first used.

    Attributes
    ----------
    audio : ndarray, shape (sample,)
    sample_rate : int
        Hz.
    """

    audio: NDArray[np.float32]
    sample_rate: int

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self.audio) / self.sample_rate

    @cached_property
    def track(self) -> Track:
        """Pitch, clarity, level and onset strength."""
        return track(resample(self.audio, self.sample_rate, VOICE_STFT.sample_rate))

    @classmethod
    def read(cls, path: Path) -> TrackedVoice:
        """Decode a recording and mix it down to mono.

        Raises
        ------
        hf_model.audio.reader.AudioError
            If the file cannot be read to its end.
        """
        audio, sample_rate = read_audio(path)
        return cls(to_mono(audio), sample_rate)

    def save(self, path: Path) -> None:
        """Write the audio and its track without loss. The file is whole or absent, also if a worker dies."""
        partial = path.with_name(f"{path.name}.{uuid4().hex}.part")
        try:
            with partial.open("wb") as file:
                np.savez(file, audio=self.audio, sample_rate=self.sample_rate, **asdict(self.track))
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: Path) -> TrackedVoice:
        """Read back what :meth:`save` wrote."""
        with np.load(path) as arrays:
            fields = dict(arrays)
        voice = cls(fields.pop("audio"), int(fields.pop("sample_rate")))
        voice.__dict__["track"] = Track(**fields)  # the cached property
        return voice
