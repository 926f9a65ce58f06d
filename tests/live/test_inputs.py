"""Microphones and files in their place, with a fake of sounddevice; and a recording that is written meanwhile."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

from hf_model.audio.reader import AudioError
from hf_model.audio.recording import read_recording
from hf_model.live.inputs import FileInput, InputError, Microphone, list_inputs, open_input
from hf_model.live.recorder import Recorder

RATE = 8000


class FakeStream:
    """A stream of sounddevice whose blocks a test sends."""

    made: list[FakeStream]

    def __init__(self, **settings: Any) -> None:
        self.settings, self.active, self.closed = settings, False, False
        FakeStream.made.append(self)

    def start(self) -> None:
        self.active = True

    def stop(self, **_: bool) -> None:
        self.active = False
        self.settings["finished_callback"]()

    def close(self, **_: bool) -> None:
        self.closed = True

    def arrive(self, *samples: int, overflow: bool = False) -> None:
        data = np.array(samples, dtype=np.int16).tobytes()
        self.settings["callback"](data, len(samples), None, SimpleNamespace(input_overflow=overflow))


@pytest.fixture
def devices(monkeypatch) -> SimpleNamespace:
    found = [
        {"name": "Monitor", "max_input_channels": 0, "default_samplerate": 48000.0},
        {"name": "USB microphone", "max_input_channels": 1, "default_samplerate": 44100.0},
        {"name": "Line", "max_input_channels": 2, "default_samplerate": float(RATE)},
    ]

    class PortAudioError(Exception):
        pass

    def query_devices(device: Any = None, kind: str | None = None) -> Any:
        if kind is None:
            return found
        if device is None:
            return found[1]
        named = [one for number, one in enumerate(found) if device in (number, one["name"])]
        if not named:
            raise ValueError("No input device matching")
        return named[0]

    module = SimpleNamespace(
        query_devices=query_devices,
        default=SimpleNamespace(device=(1, 0)),
        PortAudioError=PortAudioError,
        RawInputStream=FakeStream,
    )
    FakeStream.made = []
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    return module


@pytest.mark.usefixtures("devices")
def test_inputs_are_listed_with_the_default() -> None:
    assert list_inputs() == ["1: USB microphone (44100 Hz, default)", "2: Line (8000 Hz)"]


@pytest.mark.usefixtures("devices")
def test_a_microphone_gives_what_arrives_until_it_is_stopped() -> None:
    with Microphone("2") as microphone:
        (stream,) = FakeStream.made
        assert (stream.settings["samplerate"], stream.settings["device"], stream.settings["channels"]) == (RATE, 2, 1)
        stream.arrive(16384, -32768)
        stream.arrive(0, overflow=True)
        microphone.stop()
        assert [block.tolist() for block in microphone.blocks()] == [[0.5, -1.0], [0.0]]
    assert stream.closed
    assert microphone.lost_seconds == 1 / RATE


@pytest.mark.usefixtures("devices")
def test_an_unplugged_microphone_ends() -> None:
    with Microphone() as microphone:
        FakeStream.made[0].active = False
        assert list(microphone.blocks()) == []


@pytest.mark.usefixtures("devices")
def test_a_busy_computer_loses_sound_and_counts_it() -> None:
    with Microphone("Line") as microphone:
        for _ in range(1000):  # 20 seconds wait at most
            FakeStream.made[0].arrive(*[0] * 160)
        assert microphone.lost_seconds == 0
        FakeStream.made[0].arrive(*[0] * 160)
        assert microphone.lost_seconds == 0.02
        microphone.stop()
        assert sum(block.size for block in microphone.blocks()) == 999 * 160


@pytest.mark.usefixtures("devices")
def test_an_unknown_microphone_is_named() -> None:
    with pytest.raises(InputError, match="no such input: Sofa; --list-devices"):
        open_input("Sofa")


def test_missing_libraries_are_named(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(InputError, match=r"pip install 'hummingface\[live\]'"):
        list_inputs()


def test_a_file_is_read_as_fast_as_it_sounds_or_faster(tmp_path: Path) -> None:
    stereo = np.stack([np.full(2400, 0.5), np.full(2400, -0.25)], axis=1)
    soundfile.write(tmp_path / "a.wav", stereo, RATE, subtype="FLOAT")
    for fast, least, most in ((True, 0.0, 0.25), (False, 0.29, 3.0)):
        with open_input(str(tmp_path / "a.wav"), fast=fast) as source:
            assert isinstance(source, FileInput)
            began = time.perf_counter()
            blocks = list(source.blocks())
            assert least <= time.perf_counter() - began < most
        assert {block.size for block in blocks} == {160}
        assert np.array_equal(np.concatenate(blocks), np.full(2400, 0.125, np.float32))


def test_a_file_that_is_missing_or_stopped(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"missing\.wav"):
        open_input(str(tmp_path / "missing.wav"))
    soundfile.write(tmp_path / "a.wav", np.zeros(8000), RATE)
    source = FileInput(tmp_path / "a.wav", fast=True)
    blocks = source.blocks()
    assert next(blocks).size == 160
    source.stop()
    assert list(blocks) == []


def test_what_is_written_is_what_is_given_back(tmp_path: Path) -> None:
    sound = np.random.default_rng(0).uniform(-1.2, 1.2, 3000).astype(np.float32)
    with Recorder(tmp_path / "new" / "a.wav", 16000, overwrite=False) as recorder:
        given = np.concatenate([recorder.write(sound[:1000]), recorder.write(sound[1000:])])
    assert np.array_equal(read_recording(tmp_path / "new" / "a.wav").voice, given)
    assert np.abs(given - sound.clip(-1, 1)).max() <= 2**-15
    with pytest.raises(FileExistsError):
        Recorder(tmp_path / "new" / "a.wav", 16000, overwrite=False)
    with Recorder(None, 16000, overwrite=False) as nothing:
        assert nothing.write(sound) is sound


def test_a_killed_recording_is_whole(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "a.wav", 16000, overwrite=False)
    for _ in range(2):
        recorder.write(np.full(10000, 0.25, np.float32))
    (tmp_path / "b.wav").write_bytes((tmp_path / "a.wav").read_bytes())  # what a killed program leaves
    recorder.close()
    recording = read_recording(tmp_path / "b.wav")
    assert (recording.n_samples, recording.warnings) == (20000, ())
