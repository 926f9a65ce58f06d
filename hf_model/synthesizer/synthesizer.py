"""The synthesizer: notes to the complex STFT of a piano, and by the inverse STFT to audio.

The table of partials makes an excitation from the exact onset on, whose STFT has the right phase and sharp attacks; a
network corrects its level and phase per band and adds noise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.grid import PIANO_SAMPLE_RATE, PIANO_STFT, frame_count
from hf_model.audio.spectrogram import frame_spectra, hann, istft
from hf_model.notes.note import Note
from hf_model.onnx.model import OnnxModel
from hf_model.onnx.session import load_session
from hf_model.piano.rendering import damp_repeated, fade_end
from hf_model.synthesizer.config import CHUNK_FRAMES, CONTEXT_FRAMES, SynthesizerConfig
from hf_model.synthesizer.excitation import HOP, MARGIN, N_KEYS, Excitation, SoundingNote
from hf_model.synthesizer.partials import OTHER_TABLE, PartialTable, band_weights
from hf_model.weights import WeightsError, read_tensors

NOISE_FRAMES = 1200
NOISE_SAMPLES = NOISE_FRAMES * HOP
"""Period of the noise: 12 s."""

MAX_TAIL = 60.0
"""Seconds that a released note may still sound."""

TABLE_DIGEST, ENVELOPE_FACTOR = "excitation.table_digest", "excitation.envelope_factor"
"""Names of weights: the checksum of the table that the network was trained with, and the factors of its envelopes."""


class Synthesizer(OnnxModel):
    """Notes to the sound of a piano."""

    config_class = SynthesizerConfig
    kind = "synthesizer"
    config: SynthesizerConfig
    channels = 1

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        super().__init__(folder, settings)
        self._session = load_session(folder, settings=settings)
        table = PartialTable.load()
        self._excitation = Excitation(table, _read_factor(folder, settings, table))
        self._bands = band_weights() / band_weights().sum(axis=0)

    def render(self, notes: Sequence[Note], n_samples: int) -> NDArray[np.float32]:
        """Render notes as :meth:`hf_model.piano.sampled.SampledPiano.render`, in chunks of ``CHUNK_FRAMES``."""
        damped = damp_repeated(notes)
        audio = np.zeros((1, n_samples), dtype=np.float32)
        n_total = frame_count(n_samples, PIANO_STFT)
        for first in range(0, n_total, CHUNK_FRAMES):
            begin = max(0, first - CONTEXT_FRAMES)
            n_frames = min(first + CHUNK_FRAMES, n_total) + CONTEXT_FRAMES - begin
            shift, end = begin * HOP / PIANO_SAMPLE_RATE, (begin + n_frames) * HOP / PIANO_SAMPLE_RATE
            rows = [
                (note.onset - shift, note.offset - shift, note.pitch, note.velocity)
                for note in damped
                if note.onset < end and note.offset + MAX_TAIL > shift
            ]
            sound = istft(self.spectra(np.array(rows).reshape(-1, 4), n_frames, begin), PIANO_STFT, n_frames * HOP)
            chunk = sound[(first - begin) * HOP : (first - begin + CHUNK_FRAMES) * HOP][: n_samples - first * HOP]
            audio[0, first * HOP : first * HOP + len(chunk)] = chunk
        fade_end(audio)
        return audio

    def spectra(self, notes: NDArray[np.float64], n_frames: int, first_frame: int = 0) -> NDArray[np.complex64]:
        """Synthesize spectra.

        Parameters
        ----------
        notes : ndarray, shape (note, 4)
            Onset and offset in seconds from the first frame's centre, MIDI number, velocity.
        n_frames : int
            Length of the result, 100 frames a second.
        first_frame : int
            Position of the first frame in the whole recording; selects the part of the noise.

        Returns
        -------
        ndarray, shape (frame, bin)
        """
        sounding = self._excitation.select_notes(notes, n_frames)
        excitation = frame_spectra(self._excitation.render(sounding, n_frames), PIANO_STFT.n_fft, HOP)
        noise_level = self._excitation.noise_level(sounding, n_frames)
        features = self._features(sounding, excitation, noise_level)
        found = self._session.run(features=features[None], noise_level=noise_level[None])
        real, imaginary, noise = (output[0] for output in found)
        frames = (np.arange(n_frames) + first_frame) % NOISE_FRAMES
        return np.asarray(excitation * (real + 1j * imaginary) + self._hiss[frames] * noise, dtype=np.complex64)

    def _features(
        self, sounding: Sequence[SoundingNote], excitation: NDArray[np.complex64], noise_level: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Compute the network's input (frame, feature): band levels, held keys, keys just struck."""
        n_frames = len(excitation)
        bands = np.sqrt((np.square(excitation.real) + np.square(excitation.imag)) @ self._bands)
        centre = np.arange(n_frames) * HOP + MARGIN
        rolls = np.zeros((N_KEYS, 2, n_frames), dtype=np.float32)
        for note in sounding:
            since = centre - note.start
            rolls[note.key, 0] += ((since >= 0) & (since < note.held)) * (note.velocity / 127.0)
            rolls[note.key, 1] += np.exp(-4.0 / PIANO_SAMPLE_RATE * np.maximum(since, 0)) * (since >= 0)
        levels = np.log10(np.concatenate([bands, noise_level], axis=1) + np.float32(1e-4))
        return np.concatenate([levels, rolls.reshape(2 * N_KEYS, n_frames).T], axis=1)

    @cached_property
    def _hiss(self) -> NDArray[np.complex64]:
        """Spectra of white noise with unit mean magnitude, (NOISE_FRAMES, bin); they repeat."""
        audio = noise_audio()
        return frame_spectra(np.concatenate([audio, audio[: 2 * MARGIN - HOP]]), PIANO_STFT.n_fft, HOP)


def noise_audio() -> NDArray[np.float32]:
    """White noise (NOISE_SAMPLES,), always the same, whose spectra have unit mean magnitude."""
    noise = np.random.default_rng(0).standard_normal(NOISE_SAMPLES, dtype=np.float32)
    return np.asarray(noise / np.sqrt(np.square(hann(PIANO_STFT.n_fft)).sum()), dtype=np.float32)


def _read_factor(folder: Path, settings: Mapping[str, Any], table: PartialTable) -> NDArray[np.float32] | None:
    """Read the trained factors of the envelopes, if there are any, and check that the table is the right one."""
    tensors = read_tensors(folder, settings)
    if TABLE_DIGEST in tensors and int(tensors[TABLE_DIGEST]) != table.digest:
        msg = f"{folder}: {OTHER_TABLE}"
        raise WeightsError(msg)
    return tensors.get(ENVELOPE_FACTOR)
