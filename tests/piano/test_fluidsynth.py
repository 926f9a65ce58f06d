"""The reference piano: what it says when something is missing, and FluidSynth itself where it is installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from hf_model.evaluation.audio_metrics import log_mel_distance
from hf_model.notes.note import Note
from hf_model.piano.fluidsynth import ReferencePiano, find_sound_font
from hf_model.piano.rendering import SAMPLE_RATE
from hf_model.piano.sampled import SampledPiano
from hf_model.pretrained import read_config
from hf_model.weights import WEIGHTS


def is_installed() -> bool:
    try:
        find_sound_font(read_config(WEIGHTS / "piano")["sound_font"])
    except FileNotFoundError:
        return False
    return shutil.which("fluidsynth") is not None


needs_fluidsynth = pytest.mark.skipif(not is_installed(), reason="FluidSynth or MuseScore General is not installed")


def test_without_fluidsynth_the_message_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _name: None)
    with pytest.raises(FileNotFoundError, match="apt-get install fluidsynth"):
        ReferencePiano()


def test_a_sound_font_is_looked_up_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"needs the sound font no\.sf2.*--sound-font"):
        find_sound_font("no.sf2")
    font = tmp_path / "sounds" / "sf2" / "no.sf2"
    font.parent.mkdir(parents=True)
    font.touch()
    assert find_sound_font("no.sf2") == font


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """FluidSynth that writes half a second of ones, and what it was asked."""
    import soundfile

    commands: list[list[str]] = []

    def run(command: list[str], **_options: object) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        soundfile.write(command[command.index("-F") + 1], np.ones((22050, 2)), SAMPLE_RATE, subtype="FLOAT")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}")
    monkeypatch.setattr("subprocess.run", run)
    (tmp_path / "my $(font).sf2").touch()
    return commands


def test_names_reach_fluidsynth_as_they_are_and_the_length_is_exact(tmp_path: Path, fake: list[list[str]]) -> None:
    audio = ReferencePiano(tmp_path / "my $(font).sf2").render([Note(0.0, 0.2, 60)], 30000)
    assert str(tmp_path / "my $(font).sf2") in fake[0]
    assert fake[0][fake[0].index("-g") + 1] == str(read_config(WEIGHTS / "piano")["gain"])
    assert audio.shape == (2, 30000)
    assert audio[:, :22050].all()
    assert not audio[:, 22050:].any()


def test_what_fluidsynth_complains_about_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}")
    failed = subprocess.CompletedProcess([], 1, "", "fluidsynth: error:\n no banana\n")
    monkeypatch.setattr("subprocess.run", lambda *_arguments, **_options: failed)
    (tmp_path / "a.sf2").touch()
    with pytest.raises(OSError, match=r"could not play with .*a\.sf2: fluidsynth: error: no banana"):
        ReferencePiano(tmp_path / "a.sf2").render([], 100)


@needs_fluidsynth
@pytest.mark.slow
def test_the_sampled_piano_is_the_reference_in_level_time_and_stereo() -> None:
    notes = [Note(0.25 * k, 0.25 * k + 0.24, 40 + 4 * k, 60 + 5 * k) for k in range(10)]
    wanted = ReferencePiano().render(notes, 3 * SAMPLE_RATE)
    given = SampledPiano.load().render(notes, 3 * SAMPLE_RATE)
    assert wanted.shape == given.shape
    levels = [10 * np.log10(np.square(audio).mean(axis=1)) for audio in (wanted, given)]
    np.testing.assert_allclose(levels[0], levels[1], atol=0.3)
    assert log_mel_distance(wanted, given) < 2.0
