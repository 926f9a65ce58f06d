"""Sound of a band: all parts in one run of FluidSynth with a General MIDI sound font."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hf_model.alignment.band import Part
from hf_model.audio.io import read_audio
from hf_model.piano.fluidsynth import PROGRAM, find_sound_font, run_program

BAND_SAMPLE_RATE = 44100

TRAIN_FONTS = ("MuseScore_General_Full.sf3", "FluidR3_GM.sf2")
"""Debian: musescore-general-soundfont, fluid-soundfont-gm."""

TEST_FONT = "TimGM6mb.sf2"
"""Never used for training: of another family than those (Debian: timgm6mb-soundfont)."""

GAIN = 0.5

SETTINGS = {"synth.dynamic-sample-loading": 1, "synth.chorus.active": 0, "synth.cpu-cores": 1}

VOLUME, PAN, REVERB, CHORUS, END = 7, 10, 91, 93, 64
"""Controllers; the last marks the end of the file."""

DRUM_CHANNEL_PARTS = 15
"""Most pitched parts: MIDI has 16 channels, one of them for drums."""


def render_band(parts: Sequence[Part], n_samples: int, font: Path, reverb: int = 40) -> NDArray[np.float32]:
    """Render parts.

    Parameters
    ----------
    parts : sequence of Part
        Onsets are within 2 ms.
    n_samples : int
        Length at ``BAND_SAMPLE_RATE``.
    font : Path
        A General MIDI sound font.
    reverb : int
        0-127, of all parts.

    Returns
    -------
    ndarray, shape (2, n_samples)
        Not normalised: loud bands exceed 1.

    Raises
    ------
    FileNotFoundError
        If FluidSynth is not installed.
    OSError
        If it fails; with its own message.
    """
    if shutil.which(PROGRAM) is None:
        msg = "songs need FluidSynth for their bands (apt-get install fluidsynth, brew install fluid-synth)"
        raise FileNotFoundError(msg)
    with tempfile.TemporaryDirectory(prefix="hummingface-") as folder:
        midi, wav = Path(folder) / "band.mid", Path(folder) / "band.wav"
        _write_parts(midi, parts, n_samples / BAND_SAMPLE_RATE, reverb)
        run_program(midi, wav, font, BAND_SAMPLE_RATE, GAIN, SETTINGS, "a band ")
        played, _ = read_audio(wav)
    audio = np.zeros((2, n_samples), dtype=np.float32)
    kept = min(n_samples, played.shape[1])
    audio[:, :kept] = played[:, :kept]
    return audio


def find_font(name: str) -> Path:
    """Look a sound font up by file name.

    Raises
    ------
    FileNotFoundError
        If it is not installed; the message names the packages.
    """
    try:
        return find_sound_font(name)
    except FileNotFoundError:
        packages = "musescore-general-soundfont fluid-soundfont-gm timgm6mb-soundfont"
        msg = f"songs need the sound font {name} for their bands (apt-get install {packages})"
        raise FileNotFoundError(msg) from None


def _write_parts(path: Path, parts: Sequence[Part], end: float, reverb: int) -> None:
    """Write parts as a MIDI file with a time resolution of 0.5 ms."""
    import pretty_midi

    midi = pretty_midi.PrettyMIDI(resolution=960, initial_tempo=120.0)
    for part in parts[:DRUM_CHANNEL_PARTS]:
        instrument = pretty_midi.Instrument(part.program, is_drum=part.is_drum)
        for number, value in ((VOLUME, part.volume), (PAN, part.pan), (REVERB, reverb), (CHORUS, 0)):
            instrument.control_changes.append(pretty_midi.ControlChange(number, value, 0.0))
        instrument.notes = [
            pretty_midi.Note(max(1, note.velocity), int(np.clip(note.pitch, 0, 127)), note.onset, note.offset)
            for note in part.notes
        ]
        instrument.control_changes.append(pretty_midi.ControlChange(END, 0, end))
        midi.instruments.append(instrument)
    midi.write(str(path))
