"""FluidSynth with the sound font from which the sampled piano was recorded: the reference piano.

:class:`ReferencePiano` runs the program; :class:`FluidSynthLibrary` calls the library, which starts notes at known
samples and is fast for single notes.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import multiprocessing
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.grid import PIANO_SAMPLE_RATE, seconds_to_samples
from hf_model.notes.midi import write_midi
from hf_model.notes.note import Note
from hf_model.piano.rendering import damp_repeated, fade_end

PROGRAM = "fluidsynth"

SOUND_FONT = "MuseScore_General_Full.sf3"

FOLDERS = (
    "/usr/share/sounds/sf3",
    "/usr/share/sounds/sf2",
    "/usr/share/soundfonts",
    "/usr/local/share/soundfonts",
    "/opt/homebrew/share/soundfonts",
)
"""Where systems keep sound fonts; ~/.local/share/sounds and its sub-folders sf2 and sf3 are searched first."""

GAIN = 3.0
"""FluidSynth's master gain: the loudest single note peaks near 0.75."""

SETTINGS = {"synth.dynamic-sample-loading": 1, "synth.reverb.active": 0, "synth.chorus.active": 0}

TICK = 64
"""FluidSynth's library starts and releases notes at multiples of this many samples."""

BLOCK_SAMPLES = 1 << 20
"""Samples that are read from the program's wav at a time."""


def find_sound_font(name: str = SOUND_FONT) -> Path:
    """Look a sound font up by file name.

    Raises
    ------
    FileNotFoundError
        If it lies in none of the usual folders.
    """
    home = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "sounds"
    for folder in (home, home / "sf2", home / "sf3", *map(Path, FOLDERS)):
        if (folder / name).is_file():
            return folder / name
    msg = (
        f"--sound reference needs the sound font {name}, which is in none of the usual folders "
        "(apt-get install musescore-general-soundfont); name another with --sound-font"
    )
    raise FileNotFoundError(msg)


class ReferencePiano:
    """FluidSynth's program without reverb and chorus, stereo, at the level of the sampled piano.

    Parameters
    ----------
    sound_font : path, optional
        By default :func:`find_sound_font`.

    Raises
    ------
    FileNotFoundError
        If FluidSynth or the sound font is not installed; the message names what to install.
    """

    channels = 2

    def __init__(self, sound_font: Path | str | None = None) -> None:
        if shutil.which(PROGRAM) is None:
            msg = (
                "--sound reference needs FluidSynth, which is not installed "
                "(apt-get install fluidsynth, brew install fluid-synth); --sound sampled needs nothing"
            )
            raise FileNotFoundError(msg)
        self.sound_font = find_sound_font() if sound_font is None else Path(sound_font)
        if not self.sound_font.is_file():
            msg = f"{self.sound_font}: no such sound font"
            raise FileNotFoundError(msg)

    def render(self, notes: Sequence[Note], n_samples: int) -> NDArray[np.float32]:
        """Render notes as :meth:`hf_model.piano.sampled.SampledPiano.render`; onsets are within 2 ms."""
        audio = np.concatenate([np.zeros((2, 0), dtype=np.float32), *self.blocks(notes, n_samples)], axis=1)
        fade_end(audio)
        return audio

    def blocks(self, notes: Sequence[Note], n_samples: int) -> Iterator[NDArray[np.float32]]:
        """Render all notes in one run, since loading the sound font takes seconds, and yield the audio in blocks.

        Raises
        ------
        OSError
            If FluidSynth fails; with its own message.
        """
        with tempfile.TemporaryDirectory(prefix="hummingface-") as folder:
            midi = Path(folder) / "notes.mid"
            write_midi(midi, damp_repeated(notes), end=n_samples / PIANO_SAMPLE_RATE)
            yield from play_file(midi, self.sound_font, n_samples)


def play_file(midi: Path, sound_font: Path, n_samples: int) -> Iterator[NDArray[np.float32]]:
    """Play a MIDI file in one run of FluidSynth's program, and yield the audio in blocks (2, sample).

    Raises
    ------
    OSError
        If FluidSynth fails; with its own message.
    """
    import soundfile

    wav = midi.with_suffix(".wav")
    run_program(midi, wav, sound_font, PIANO_SAMPLE_RATE, GAIN, SETTINGS)
    missing = n_samples
    with soundfile.SoundFile(wav) as file:
        while missing:
            block = file.read(min(BLOCK_SAMPLES, missing), dtype="float32", always_2d=True).T
            if not block.shape[1]:
                block = np.zeros((2, min(BLOCK_SAMPLES, missing)), dtype=np.float32)
            missing -= block.shape[1]
            yield block


def run_program(
    midi: Path, wav: Path, sound_font: Path, sample_rate: int, gain: float, settings: Mapping[str, int], what: str = ""
) -> None:
    """Play a MIDI file into a wav file of 32-bit floats.

    Parameters
    ----------
    settings : mapping of str to int
        Of FluidSynth.
    what : str
        What is played, for the message.

    Raises
    ------
    OSError
        If FluidSynth fails; with its own message.
    """
    options = ["-q", "-n", "-i", "-r", str(sample_rate), "-g", str(gain), "-O", "float"]
    for name, value in settings.items():
        options += ["-o", f"{name}={value}"]
    program = shutil.which(PROGRAM) or PROGRAM
    command = [program, *options, "-T", "wav", "-F", str(wav), str(sound_font.resolve()), str(midi)]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False
    )
    # with a font that it cannot read it plays silence and reports success
    if done.returncode or not wav.is_file() or "not a SoundFont" in done.stderr:
        reason = " ".join(done.stderr.split())[-300:] or f"exit code {done.returncode}"
        msg = f"FluidSynth could not play {what}with {sound_font}: {reason}"
        raise OSError(msg)


class FluidSynthLibrary:
    """FluidSynth's library with the settings of :class:`ReferencePiano`.

    Parameters
    ----------
    sound_font : path, optional
        By default :func:`find_sound_font`.

    Raises
    ------
    OSError
        If the library or the sound font cannot be loaded.
    """

    channels = 2

    def __init__(self, sound_font: Path | str | None = None) -> None:
        path = find_sound_font() if sound_font is None else sound_font
        self._library = ctypes.CDLL(ctypes.util.find_library("fluidsynth") or "libfluidsynth.so.3")
        for name in ("new_fluid_settings", "new_fluid_synth"):
            getattr(self._library, name).restype = ctypes.c_void_p
        pointer = ctypes.c_void_p
        settings = pointer(self._library.new_fluid_settings())
        for key, number in (("synth.gain", GAIN), ("synth.sample-rate", PIANO_SAMPLE_RATE)):
            self._library.fluid_settings_setnum(settings, key.encode(), ctypes.c_double(number))
        for key, flag in SETTINGS.items():
            self._library.fluid_settings_setint(settings, key.encode(), flag)
        self._synth = pointer(self._library.new_fluid_synth(settings))
        font = self._library.fluid_synth_sfload(self._synth, str(path).encode(), 1)
        if font < 0:
            msg = f"{path}: not a sound font that FluidSynth can read"
            raise OSError(msg)
        self._library.fluid_synth_program_select(self._synth, 0, font, 0, 0)

    def render(self, notes: Sequence[Note], n_samples: int) -> NDArray[np.float32]:
        """Render notes as stereo (2, n_samples); onsets and offsets move to the nearest tick (:func:`to_tick`).

        A synth that has played gives other bits than a fresh one, so a fork of the loaded one plays.
        """
        context = multiprocessing.get_context("fork")
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=lambda: sender.send_bytes(self._play(notes, n_samples).tobytes()))
        process.start()
        audio = np.frombuffer(receiver.recv_bytes(), dtype=np.float32).reshape(2, n_samples).copy()
        process.join()
        return audio

    def _play(self, notes: Sequence[Note], n_samples: int) -> NDArray[np.float32]:
        events = []
        for note in damp_repeated(notes):
            for seconds, velocity in ((note.onset, max(1, note.velocity)), (note.offset, 0)):
                events.append((to_tick(seconds), velocity, int(note.pitch)))
        audio, position = [np.zeros((2, 0), dtype=np.float32)], 0
        for sample, velocity, key in sorted(events):
            if sample > position:
                audio.append(self._write(sample - position))
                position = sample
            if velocity:
                self._library.fluid_synth_noteon(self._synth, 0, key, velocity)
            else:
                self._library.fluid_synth_noteoff(self._synth, 0, key)
        audio.append(self._write(max(0, n_samples - position)))
        rendered = np.concatenate(audio, axis=1)[:, :n_samples]
        fade_end(rendered)
        return rendered

    def _write(self, n_samples: int) -> NDArray[np.float32]:
        block = np.zeros((2, n_samples), dtype=np.float32)
        left, right = (ctypes.c_void_p(channel.ctypes.data) for channel in block)
        self._library.fluid_synth_write_float(self._synth, n_samples, left, 0, 1, right, 0, 1)
        return block


def to_tick(seconds: float) -> int:
    """Round a time to FluidSynth's grid, in samples."""
    return TICK * round(seconds_to_samples(seconds, PIANO_SAMPLE_RATE) / TICK)
