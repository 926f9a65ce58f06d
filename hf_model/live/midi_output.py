"""Notes to a MIDI port while they are sung, so that a synthesizer or a DAW plays along."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from types import TracebackType
from typing import Any

from hf_model.live.inputs import INSTALL
from hf_model.live.transcription import LiveEvent

VIRTUAL = "virtual"
"""The name that opens a port of our own, to which other programs connect."""

PORT_NAME = "HummingFace"

BEND_RANGE = 2.0
"""Semitones; what synthesizers assume unless they are told otherwise."""

CENTRE = 8192

ALL_SOUND_OFF, ALL_NOTES_OFF = 120, 123


class MidiError(Exception):
    """Why no MIDI port can be opened."""


class MidiOutput(AbstractContextManager["MidiOutput"]):
    """A MIDI port that plays provisional notes on one channel; everything is silent again when it is closed.

    Parameters
    ----------
    name : str
        A part of a port's name, or "virtual" for a new port (not on Windows).
    bend : bool
        Whether a note begins at the pitch of the voice instead of that of the key.
    transpose : int
        Semitones.

    Raises
    ------
    MidiError
        If there is no such port, or rtmidi2 is not installed.
    """

    def __init__(self, name: str, *, bend: bool = False, transpose: int = 0) -> None:
        self._port, self.name = _open(name)
        self._bend, self._transpose = bend, transpose
        self._sounding: tuple[int, int] | None = None  # number of the note, and its key

    def send(self, event: LiveEvent) -> None:
        """Play what happened to a note; final notes came as provisional ones and are not played again."""
        if event.kind == "on":
            self._release()
            self._press(event)
        elif event.kind == "pitch" and self._sounding and self._sounding[0] == event.number:
            if self._sounding[1] != self._key(event):
                self._release()
                self._press(event)
            elif self._bend:
                self._send_bend(event)
        elif event.kind == "off" and self._sounding and self._sounding[0] == event.number:
            self._release()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def silence(self) -> None:
        """End all notes."""
        self._release()
        for control in (ALL_NOTES_OFF, ALL_SOUND_OFF):
            self._send("control_change", control=control, value=0)
        if self._bend:
            self._send("pitchwheel", pitch=0)

    def close(self) -> None:
        """End all notes, and close the port."""
        with suppress(Exception):  # a device that was unplugged
            self.silence()
        self._port.close_port()

    def _key(self, event: LiveEvent) -> int:
        return min(max(event.key + self._transpose, 0), 127)

    def _press(self, event: LiveEvent) -> None:
        key = self._key(event)
        if self._bend:
            self._send_bend(event)
        self._send("note_on", note=key, velocity=max(1, event.note.velocity))
        self._sounding = event.number, key

    def _release(self) -> None:
        if self._sounding:
            self._send("note_off", note=self._sounding[1], velocity=64)
            self._sounding = None

    def _send_bend(self, event: LiveEvent) -> None:
        bend = round((event.note.pitch - event.key) / BEND_RANGE * CENTRE)
        self._send("pitchwheel", pitch=min(max(bend, -CENTRE), CENTRE - 1))

    def _send(self, kind: str, **values: int) -> None:
        from mido import Message

        self._port.send_raw(*Message(kind, **values).bytes())


def list_ports() -> list[str]:
    """Return the names of the MIDI ports that can be played on.

    Raises
    ------
    MidiError
        If rtmidi2 is not installed, or the system has no MIDI.
    """
    with _errors():
        return list(_load_rtmidi().get_out_ports())


def _open(name: str) -> tuple[Any, str]:
    if name == VIRTUAL:
        with _errors():
            port = _load_rtmidi().MidiOut()
            port.open_virtual_port(PORT_NAME)
        return port, f"{PORT_NAME} (virtual)"
    ports = list_ports()
    found = next((number for number, port in enumerate(ports) if port == name), None)
    if found is None:
        found = next((number for number, port in enumerate(ports) if name.lower() in port.lower()), None)
    if found is None:
        known = ", ".join(ports) if ports else "there is none"
        msg = f"no MIDI port is named {name!r}; ports: {known}. --midi-out virtual opens a new one"
        raise MidiError(msg)
    with _errors():
        port = _load_rtmidi().MidiOut()
        port.open_port(found)
    return port, ports[found]


def _load_rtmidi() -> Any:
    try:
        import rtmidi2
    except ModuleNotFoundError as error:
        msg = f"MIDI ports need rtmidi2: {INSTALL}"
        raise MidiError(msg) from error
    return rtmidi2


@contextmanager
def _errors() -> Iterator[None]:
    """Report errors of the system's MIDI."""
    try:
        yield
    except (RuntimeError, OSError, ValueError) as error:
        msg = f"MIDI cannot be used here: {error}"
        raise MidiError(msg) from error
