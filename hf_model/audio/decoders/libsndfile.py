"""Decoding with libsndfile: wav, flac, ogg, aiff and other formats of studios."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.decoders.containers import Sound, open_sound
from hf_model.audio.decoders.opened import BLOCK_SAMPLES, AudioError, Opened, check_length

_LENGTH_KNOWN = frozenset(("WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "FLAC", "OGG", "MP3"))


def open_libsndfile(path: Path, sound: Sound | None = None) -> Opened | None:
    """Open a file, or a part of it, with libsndfile; None if it does not support the format."""
    import soundfile

    part = None if sound is None else open_sound(path, sound)
    name = str(path) if os.name == "nt" else os.fsencode(path)  # also names that are not UTF-8
    try:
        file = soundfile.SoundFile(part or name)
    except soundfile.SoundFileError:
        if part:
            part.close()
        return None

    def close() -> None:
        file.close()
        if part:
            part.close()

    def blocks() -> Iterator[NDArray[np.float32]]:
        n_samples = 0
        try:
            while True:
                block = file.read(BLOCK_SAMPLES, dtype="float32", always_2d=True)
                if not block.shape[0]:
                    break
                n_samples += block.shape[0]
                yield np.ascontiguousarray(block.T)
            check_length(n_samples / file.samplerate, file.frames / file.samplerate)
        except soundfile.SoundFileError as error:
            msg = f"the audio is damaged or cut off ({error})"
            raise AudioError(msg) from error
        finally:
            close()

    duration = file.frames / file.samplerate
    return Opened(blocks(), int(file.samplerate), int(file.channels), duration, _warnings(file), close)


def _warnings(file: Any) -> list[str]:
    """Find what libsndfile says of the length of the rarer formats; the others are looked at elsewhere."""
    if file.format in _LENGTH_KNOWN or not any(hint in file.extra_info for hint in ("should be", "truncated")):
        return []
    return ["the length in the header is not that of the sound: the file may be cut off"]
