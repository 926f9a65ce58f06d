"""The reference piano: messages when something is missing, and FluidSynth itself where it is installed."""

from __future__ import annotations

import ctypes.util
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from hf_model.audio.grid import PIANO_SAMPLE_RATE
from hf_model.evaluation.audio_metrics import log_mel_distance, si_sdr, spectral_convergence
from hf_model.notes.note import Note
from hf_model.piano.fluidsynth import (
    GAIN,
    SOUND_FONT,
    TICK,
    FluidSynthLibrary,
    ReferencePiano,
    find_sound_font,
    to_tick,
)
from hf_model.piano.sampled import SampledPiano
from hf_model.weights import WEIGHTS, read_config


def is_installed() -> bool:
    try:
        find_sound_font()
    except FileNotFoundError:
        return False
    return shutil.which("fluidsynth") is not None and ctypes.util.find_library("fluidsynth") is not None


needs_fluidsynth = pytest.mark.skipif(not is_installed(), reason="FluidSynth or MuseScore General is not installed")


def test_the_shipped_samples_come_from_this_font_and_gain() -> None:
    settings = read_config(WEIGHTS / "piano")
    assert (settings["sound_font"], settings["gain"]) == (SOUND_FONT, GAIN)


def test_a_missing_program_is_reported_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _name: None)
    with pytest.raises(FileNotFoundError, match="apt-get install fluidsynth"):
        ReferencePiano()


def test_a_sound_font_is_found_by_file_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"needs the sound font no\.sf2.*--sound-font"):
        find_sound_font("no.sf2")
    font = tmp_path / "sounds" / "sf2" / "no.sf2"
    font.parent.mkdir(parents=True)
    font.touch()
    assert find_sound_font("no.sf2") == font


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Replace FluidSynth by a function that writes half a second of ones; gives the list of commands."""
    import soundfile

    commands: list[list[str]] = []

    def run(command: list[str], **_options: object) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        soundfile.write(command[command.index("-F") + 1], np.ones((22050, 2)), PIANO_SAMPLE_RATE, subtype="FLOAT")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}")
    monkeypatch.setattr("subprocess.run", run)
    (tmp_path / "my $(font).sf2").touch()
    return commands


def test_file_names_are_passed_verbatim_and_length_is_exact(tmp_path: Path, fake: list[list[str]]) -> None:
    audio = ReferencePiano(tmp_path / "my $(font).sf2").render([Note(0.0, 0.2, 60)], 30000)
    assert str(tmp_path / "my $(font).sf2") in fake[0]
    assert fake[0][fake[0].index("-g") + 1] == str(read_config(WEIGHTS / "piano")["gain"])
    assert audio.shape == (2, 30000)
    assert audio[:, :22050].all()
    assert not audio[:, 22050:].any()


def test_the_error_message_of_fluidsynth_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}")
    failed = subprocess.CompletedProcess([], 1, "", "fluidsynth: error:\n no banana\n")
    monkeypatch.setattr("subprocess.run", lambda *_arguments, **_options: failed)
    (tmp_path / "a.sf2").touch()
    with pytest.raises(OSError, match=r"could not play with .*a\.sf2: fluidsynth: error: no banana"):
        ReferencePiano(tmp_path / "a.sf2").render([], 100)


@needs_fluidsynth
@pytest.mark.slow
def test_the_sampled_piano_is_close_to_the_program() -> None:
    notes = [Note(0.25 * k, 0.25 * k + 0.24, 40 + 4 * k, 60 + 5 * k) for k in range(10)]
    reference = ReferencePiano().render(notes, 3 * PIANO_SAMPLE_RATE)
    estimate = SampledPiano.load().render(notes, 3 * PIANO_SAMPLE_RATE)
    assert reference.shape == estimate.shape
    levels = [10 * np.log10(np.square(audio).mean(axis=1)) for audio in (reference, estimate)]
    np.testing.assert_allclose(levels[0], levels[1], atol=0.3)
    assert log_mel_distance(reference, estimate) < 2.0


def test_times_are_rounded_to_ticks() -> None:
    assert [to_tick(seconds) for seconds in (0.0, 0.001, 0.5)] == [0, TICK, 344 * TICK + TICK]
    assert to_tick(1.0) % TICK == 0


@needs_fluidsynth
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_the_sampled_piano_is_close_to_the_library() -> None:
    times = [(to_tick(0.3 * i) / PIANO_SAMPLE_RATE, to_tick(0.3 * i + 0.25) / PIANO_SAMPLE_RATE) for i in range(12)]
    notes = [Note(onset, offset, 50 + 3 * i, 60 + 5 * i) for i, (onset, offset) in enumerate(times)]
    reference = FluidSynthLibrary().render(notes, 4 * PIANO_SAMPLE_RATE)
    assert reference.shape == (2, 4 * PIANO_SAMPLE_RATE)
    estimate = SampledPiano.load().render(notes, 4 * PIANO_SAMPLE_RATE)
    for side in (slice(0, 1), slice(1, 2)):
        assert log_mel_distance(reference[side], estimate[side]) < 2.0
    reference, estimate = (audio.mean(axis=0, keepdims=True) for audio in (reference, estimate))
    assert log_mel_distance(reference, estimate) < 1.5
    assert spectral_convergence(reference, estimate) < 0.06
    assert si_sdr(reference, estimate) > 22


@needs_fluidsynth
def test_a_file_that_is_no_sound_font_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "no.sf2"
    path.write_text("no")
    with pytest.raises(OSError, match=r"no\.sf2: not a sound font"):
        FluidSynthLibrary(path)
