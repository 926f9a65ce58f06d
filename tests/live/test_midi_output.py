"""MIDI output with a port that keeps the messages, and with a virtual port where there is ALSA's sequencer."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mido
import pytest

from hf_model.live.midi_output import MidiError, MidiOutput, list_ports
from hf_model.live.transcription import LiveEvent
from hf_model.notes.note import Note

PORTS = ["Midi Through:Midi Through Port-0 14:0", "FLUID Synth (12):Synth input port 128:0"]


class Port:
    """A port that keeps what is sent."""

    opened: list[Port]

    def __init__(self) -> None:
        self.name, self.sent, self.closed = "", [], False
        Port.opened.append(self)

    def open_port(self, number: int) -> None:
        self.name = PORTS[number]

    def open_virtual_port(self, name: str) -> None:
        self.name = f"virtual {name}"

    def send_raw(self, *data: int) -> None:
        self.sent.append(mido.Message.from_bytes(data))

    def close_port(self) -> None:
        self.closed = True


@pytest.fixture
def ports(monkeypatch) -> list[Port]:
    Port.opened = []
    monkeypatch.setitem(sys.modules, "rtmidi2", SimpleNamespace(MidiOut=Port, get_out_ports=lambda: PORTS))
    return Port.opened


def event(kind: Any, number: int, pitch: float, velocity: int = 80) -> LiveEvent:
    return LiveEvent(kind, number, Note(0.0, 0.5, pitch, velocity), round(pitch), 0.5)


def played(port: Port) -> list[tuple[Any, ...]]:
    short = {"note_on": lambda m: ("on", m.note, m.velocity), "note_off": lambda m: ("off", m.note)}
    short |= {"pitchwheel": lambda m: ("bend", m.pitch), "control_change": lambda m: ("control", m.control, m.value)}
    return [short[message.type](message) for message in port.sent]


SILENT = [("control", 123, 0), ("control", 120, 0)]


def test_notes_with_velocities_then_silence(ports: list[Port]) -> None:
    with MidiOutput("fluid synth") as midi:
        midi.send(event("on", 0, 60.2, 70))
        midi.send(event("off", 0, 60.2))
        midi.send(event("on", 1, 62.0, 90))
        midi.send(event("final", 0, 60.2))
        midi.send(event("on", 2, 64.0, 0))
    assert (ports[0].name, midi.name, ports[0].closed) == (PORTS[1], PORTS[1], True)
    assert played(ports[0]) == [
        ("on", 60, 70), ("off", 60), ("on", 62, 90), ("off", 62), ("on", 64, 1), ("off", 64), *SILENT,
    ]  # fmt: skip


def test_a_corrected_key_is_played_anew_a_finer_change_is_not(ports: list[Port]) -> None:
    with MidiOutput("Through", transpose=12) as midi:
        midi.send(event("on", 0, 60.0))
        midi.send(event("pitch", 0, 60.4))
        midi.send(event("pitch", 0, 61.9))
        midi.send(event("pitch", 7, 50.0))  # of a note that does not sound
        midi.send(event("off", 7, 50.0))
    assert played(ports[0]) == [("on", 72, 80), ("off", 72), ("on", 74, 80), ("off", 74), *SILENT]


def test_bends_lead_to_the_pitch_of_the_voice(ports: list[Port]) -> None:
    with MidiOutput("Through", bend=True) as midi:
        midi.send(event("on", 0, 60.25))
        midi.send(event("pitch", 0, 59.75))
    assert played(ports[0]) == [("bend", 1024), ("on", 60, 80), ("bend", -1024), ("off", 60), *SILENT, ("bend", 0)]


def test_an_error_ends_all_notes(ports: list[Port]) -> None:
    def fail() -> None:
        with MidiOutput("virtual") as midi:
            midi.send(event("on", 0, 60.0))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert ports[0].name == "virtual HummingFace"
    assert played(ports[0])[1:] == [("off", 60), *SILENT]
    assert ports[0].closed


def test_an_unplugged_port_is_closed_quietly(ports: list[Port], monkeypatch) -> None:
    with MidiOutput("Through"):
        monkeypatch.setattr(ports[0], "send_raw", lambda *_: (_ for _ in ()).throw(RuntimeError("gone")))
    assert ports[0].closed


@pytest.mark.usefixtures("ports")
def test_an_unknown_port_names_the_known_ones() -> None:
    with pytest.raises(MidiError, match=r"'piano'; ports: Midi Through.*FLUID Synth.*virtual opens"):
        MidiOutput("piano")


def test_what_is_missing_is_said(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "rtmidi2", None)
    with pytest.raises(MidiError, match=r"rtmidi2: pip install 'hummingface\[live\]'"):
        list_ports()

    def fail() -> None:
        raise RuntimeError("no sequencer")

    monkeypatch.setitem(sys.modules, "rtmidi2", SimpleNamespace(get_out_ports=fail, MidiOut=fail))
    for call in (list_ports, lambda: MidiOutput("virtual")):
        with pytest.raises(MidiError, match="MIDI cannot be used here: no sequencer"):
            call()


@pytest.mark.skipif(not Path("/dev/snd/seq").exists(), reason="no ALSA sequencer")
def test_a_virtual_port_is_played_by_another_program() -> None:
    rtmidi = pytest.importorskip("rtmidi2")
    with MidiOutput("virtual") as midi:
        receiver, received = rtmidi.MidiIn(), []
        receiver.callback = lambda message, _time: received.append(tuple(message))
        receiver.open_port(next(n for n, name in enumerate(rtmidi.get_in_ports()) if "HummingFace" in name))
        midi.send(event("on", 0, 60.0))
        time.sleep(0.3)
        receiver.close_port()
    assert received == [(0x90, 60, 80)]
