"""Other transcribers to compare with: librosa's pYIN with a plain segmenter, and two peers if they are installed."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.grid import VOICE_STFT
from hf_model.audio.io import to_mono, write_audio
from hf_model.audio.resampling import resample
from hf_model.notes.note import Note
from hf_model.notes.pitch import hz_to_pitch

PYIN_FRAME, PYIN_HOP = 1024, 256
"""Samples: 64 ms, every 16 ms."""

MIN_HZ, MAX_HZ = 65.4, 1046.5
"""C2 to C6: pYIN's time grows with the range."""

MIN_NOTE = 0.1
"""Seconds."""

SPLIT_SEMITONES, SPLIT_FRAMES = 0.7, 4
"""A new note begins where the pitch differs from the note's median by more than this for so many frames."""


def pyin_notes(audio: NDArray[np.float32], sample_rate: int) -> list[Note]:
    """Transcribe singing with librosa's pYIN and :func:`segment`.

    Parameters
    ----------
    audio : ndarray, shape (sample,) or (channel, sample)
    sample_rate : int
        Hz.

    References
    ----------
    M. Mauch and S. Dixon, "pYIN: a fundamental frequency estimator using probabilistic threshold distributions",
    ICASSP 2014.
    """
    import librosa

    voice = resample(to_mono(audio), sample_rate, VOICE_STFT.sample_rate)
    if voice.size < PYIN_FRAME or not np.any(voice):
        return []
    f0, _, _ = librosa.pyin(
        voice,
        fmin=MIN_HZ,
        fmax=MAX_HZ,
        sr=VOICE_STFT.sample_rate,
        frame_length=PYIN_FRAME,
        hop_length=PYIN_HOP,
        fill_na=0.0,
    )
    return segment(np.asarray(f0, dtype=np.float64), VOICE_STFT.sample_rate / PYIN_HOP)


def segment(f0: NDArray[np.float64], frame_rate: float) -> list[Note]:
    """Divide a melody into notes where it is unvoiced, or stays at another pitch.

    Parameters
    ----------
    f0 : ndarray, shape (frame,)
        Hz, 0 where unvoiced; frame ``m`` lies at ``m / frame_rate`` seconds.
    frame_rate : float
        Frames a second.
    """
    notes: list[Note] = []
    start = 0
    pitches: list[float] = []
    for frame, value in enumerate([*f0.tolist(), 0.0]):
        voiced = value > 0
        if voiced:
            pitches.append(float(hz_to_pitch(value)))
        away = len(pitches) > 2 * SPLIT_FRAMES and all(
            abs(pitch - np.median(pitches[:-SPLIT_FRAMES])) > SPLIT_SEMITONES for pitch in pitches[-SPLIT_FRAMES:]
        )
        if (away or not voiced) and pitches:
            kept = pitches[:-SPLIT_FRAMES] if away else pitches
            stop = start + len(kept)
            if len(kept) / frame_rate >= MIN_NOTE:
                notes.append(Note(start / frame_rate, stop / frame_rate, float(np.median(kept))))
            pitches = pitches[-SPLIT_FRAMES:] if away else []
            start = stop if away else frame + 1
        elif not voiced:
            start = frame + 1
    return notes


def swift_f0_notes(audio: NDArray[np.float32], sample_rate: int) -> list[Note]:
    """Transcribe singing with swift-f0's ``segment_notes`` (``pip install hummingface[peers]``)."""
    import swift_f0

    voice = resample(to_mono(audio), sample_rate, swift_f0.SAMPLE_RATE)
    if voice.size < swift_f0.SAMPLE_RATE // 10:
        return []
    segments = swift_f0.segment_notes(swift_f0.SwiftF0(threads=1).detect(voice, swift_f0.SAMPLE_RATE))
    return [
        Note(max(0.0, float(note.start)), float(note.end), float(hz_to_pitch(note.pitch_hz)))
        for note in segments
        if note.end > max(0.0, note.start)
    ]


def basic_pitch_notes(audio: NDArray[np.float32], sample_rate: int) -> list[Note]:
    """Transcribe singing with basic-pitch on onnxruntime, with its own settings."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "voice.wav"
        write_audio(path, to_mono(audio), sample_rate)
        events = load_basic_pitch()(path)
    return sorted(Note(float(start), float(end), float(pitch)) for start, end, pitch, *_ in events if end > start)


def load_basic_pitch() -> Callable[[Path], list[Any]]:
    """Load basic-pitch's model for onnxruntime: a function from a file to start, end, pitch, ... of each note."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # the import warns of every backend that is missing
    try:
        from basic_pitch import FilenameSuffix, build_icassp_2022_model_path
        from basic_pitch.inference import Model, predict
    finally:
        root.setLevel(level)
    model = Model(build_icassp_2022_model_path(FilenameSuffix.onnx))

    def transcribe(path: Path) -> list[Any]:
        with contextlib.redirect_stdout(io.StringIO()):
            return list(predict(path, model)[2])

    return transcribe


BASELINES: dict[str, tuple[Sequence[str], Callable[[NDArray[np.float32], int], list[Note]]]] = {
    "pyin": (("librosa",), pyin_notes),
    "swift_f0": (("swift_f0",), swift_f0_notes),
    "basic_pitch": (("basic_pitch", "onnxruntime", "resampy"), basic_pitch_notes),
}
"""The packages that each baseline needs, and its function."""


def installed(names: Sequence[str]) -> list[str]:
    """Keep the baselines whose packages are installed."""
    return [name for name in names if all(importlib.util.find_spec(package) for package in BASELINES[name][0])]
