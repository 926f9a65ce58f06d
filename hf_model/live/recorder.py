"""A recording that is written while it goes on."""

from __future__ import annotations

import wave
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray


class Recorder(AbstractContextManager["Recorder"]):
    """A wav file of 16 bits that grows while one sings: what was written is kept, whatever happens.

    Parameters
    ----------
    path : path, optional
        None to write nothing.
    sample_rate : int
        Hz.
    overwrite : bool

    Raises
    ------
    OSError
        If it exists, or cannot be written.
    """

    def __init__(self, path: Path | None, sample_rate: int, *, overwrite: bool) -> None:
        self._file: wave.Wave_write | None = None
        if path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        self._raw = path.open("wb" if overwrite else "xb")
        self._file = wave.open(self._raw, "wb")  # noqa: SIM115 (closed at the end of the context)
        self._file.setnchannels(1)
        self._file.setsampwidth(2)
        self._file.setframerate(sample_rate)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Complete the header, and close the file."""
        if self._file is not None:
            self._file.close()
            self._raw.close()
            self._file = None

    def write(self, block: NDArray[np.float32]) -> NDArray[np.float32]:
        """Write samples (sample,), and return them as they are read again.

        Raises
        ------
        OSError
            If the disk is full.
        """
        if self._file is None:
            return block
        samples = np.clip(np.rint(block * np.float32(32768)), -32768, 32767).astype("<i2")
        self._file.writeframes(samples.tobytes())  # and the header, so that a killed program leaves a whole file
        return np.asarray(samples.astype(np.float32) / np.float32(32768))
