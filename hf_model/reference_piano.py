"""The reference piano: FluidSynth, a program of its own, with the sound font that the other pianos were made from."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hf_model.config import PIANO_STFT
from hf_model.notes import Note, write_midi
from hf_model.piano import damp_repeated, fade_end
from hf_model.pretrained import WEIGHTS, read_config

PROGRAM = "fluidsynth"

FOLDERS = (
    "/usr/share/sounds/sf3",
    "/usr/share/sounds/sf2",
    "/usr/share/soundfonts",
    "/usr/local/share/soundfonts",
    "/opt/homebrew/share/soundfonts",
)
"""Where systems keep sound fonts; ~/.local/share/sounds and sub-folders sf2 and sf3 are searched too."""

BLOCK_SAMPLES = 1 << 20

LOADING = {"synth.dynamic-sample-loading": 1, "synth.reverb.active": 0, "synth.chorus.active": 0}


class ReferencePiano:
    """FluidSynth without reverb and chorus, at the level of the sampled piano, stereo.

    Parameters
    ----------
    sound_font : path, optional
        The one that ``weights/piano/config.json`` names when not given.

    Raises
    ------
    FileNotFoundError
        If FluidSynth or the sound font is not installed; the message says what to do.
    """

    channels = 2

    def __init__(self, sound_font: Path | str | None = None) -> None:
        settings = read_config(WEIGHTS / "piano")
        self._gain = float(settings["gain"])
        self._program = shutil.which(PROGRAM)
        if self._program is None:
            msg = (
                "--sound reference needs FluidSynth, which is not installed "
                "(apt-get install fluidsynth, brew install fluid-synth); --sound sampled needs nothing"
            )
            raise FileNotFoundError(msg)
        self.sound_font = find_sound_font(settings["sound_font"]) if sound_font is None else Path(sound_font)
        if not self.sound_font.is_file():
            msg = f"{self.sound_font}: no such sound font"
            raise FileNotFoundError(msg)

    def render(self, notes: Sequence[Note], n_samples: int) -> NDArray[np.float32]:
        """Play notes as :meth:`hf_model.piano.SampledPiano.render` does; onsets are within 2 ms."""
        audio = np.concatenate([np.zeros((2, 0), dtype=np.float32), *self.blocks(notes, n_samples)], axis=1)
        fade_end(audio)
        return audio

    def blocks(self, notes: Sequence[Note], n_samples: int) -> Iterator[NDArray[np.float32]]:
        """Play notes, the whole at once since loading the sound font takes seconds; give it block by block.

        Raises
        ------
        OSError
            If FluidSynth fails; with what it said.
        """
        import soundfile

        with tempfile.TemporaryDirectory(prefix="hummingface-") as folder:
            midi, wav = Path(folder) / "notes.mid", Path(folder) / "piano.wav"
            write_midi(midi, damp_repeated(notes), end=n_samples / PIANO_STFT.sample_rate)
            self._run(midi, wav)
            missing = n_samples
            with soundfile.SoundFile(wav) as file:
                while missing:
                    block = file.read(min(BLOCK_SAMPLES, missing), dtype="float32", always_2d=True).T
                    if not block.shape[1]:
                        block = np.zeros((2, min(BLOCK_SAMPLES, missing)), dtype=np.float32)
                    missing -= block.shape[1]
                    yield block

    def _run(self, midi: Path, wav: Path) -> None:
        options = ["-q", "-n", "-i", "-r", str(PIANO_STFT.sample_rate), "-g", str(self._gain), "-O", "float"]
        for name, value in LOADING.items():
            options += ["-o", f"{name}={value}"]
        command = [str(self._program), *options, "-T", "wav", "-F", str(wav), str(self.sound_font.resolve()), str(midi)]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode or not wav.is_file():
            said = " ".join(done.stderr.split())[-300:] or f"exit code {done.returncode}"
            msg = f"FluidSynth could not play with {self.sound_font}: {said}"
            raise OSError(msg)


def find_sound_font(name: str) -> Path:
    """Look a sound font up by file name.

    Raises
    ------
    FileNotFoundError
        If it lies in none of the usual folders.
    """
    own = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "sounds"
    places = [own, own / "sf2", own / "sf3", *map(Path, FOLDERS)]
    for folder in places:
        if (folder / name).is_file():
            return folder / name
    msg = (
        f"--sound reference needs the sound font {name}, which is in none of the usual folders "
        "(apt-get install musescore-general-soundfont); name another with --sound-font"
    )
    raise FileNotFoundError(msg)
