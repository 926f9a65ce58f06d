"""The bytes of MIDI files to write: messages, tracks and the file. mido takes longer to import than to write.

References
----------
Standard MIDI Files 1.0 (MIDI Association, RP-001).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

RELEASE_VELOCITY = 64

PITCH_WHEEL_CENTRE = 8192

_CIRCLE = ("Cb", "Gb", "Db", "Ab", "Eb", "Bb", "F", "C", "G", "D", "A", "E", "B", "F#", "C#")

SHARPS = dict(zip(_CIRCLE, range(-7, 8), strict=True))
"""Sharps, or as negative numbers flats, of the major keys."""

_META = 0xFF


def note_on(channel: int, key: int, velocity: int) -> bytes:
    """Strike a key."""
    return bytes((0x90 | channel, key, velocity))


def note_off(channel: int, key: int) -> bytes:
    """Release a key."""
    return bytes((0x80 | channel, key, RELEASE_VELOCITY))


def control_change(channel: int, control: int, value: int) -> bytes:
    """Set a controller."""
    return bytes((0xB0 | channel, control, value))


def program_change(channel: int, program: int) -> bytes:
    """Choose an instrument."""
    return bytes((0xC0 | channel, program))


def pitch_wheel(channel: int, value: int) -> bytes:
    """Bend all notes of a channel: -8192 to 8191."""
    raw = value + PITCH_WHEEL_CENTRE
    return bytes((0xE0 | channel, raw & 0x7F, raw >> 7))


def text(content: str) -> bytes:
    """Write a remark; characters outside of Latin-1 become question marks."""
    return _meta(0x01, content.encode("latin-1", "replace"))


def track_name(name: str) -> bytes:
    """Name a track."""
    return _meta(0x03, name.encode("latin-1", "replace"))


def set_tempo(microseconds: int) -> bytes:
    """Set the duration of a quarter, at most 2**24 - 1 microseconds."""
    return _meta(0x51, microseconds.to_bytes(3, "big"))


def time_signature(numerator: int, denominator: int) -> bytes:
    """Set the time signature; the denominator is a power of two."""
    return _meta(0x58, bytes((numerator, denominator.bit_length() - 1, 24, 8)))


def key_signature(tonic: str, *, is_minor: bool) -> bytes:
    """Set the key signature, from a tonic as in ``SHARPS``."""
    n_sharps = SHARPS[tonic] if not is_minor else _minor_sharps(tonic)
    return _meta(0x59, bytes((n_sharps & 0xFF, int(is_minor))))


def _minor_sharps(tonic: str) -> int:
    """Sharps of a minor key: three fewer than those of the major key of the same tonic."""
    beyond = {"G#": 8, "D#": 9, "A#": 10}  # keys that are not written in major
    return (beyond[tonic] if tonic in beyond else SHARPS[tonic]) - 3


def write_track(events: Iterable[tuple[int, bytes]], end: int) -> bytes:
    """Join messages to a track.

    Parameters
    ----------
    events : iterable of (int, bytes)
        Messages with their ticks, which do not decrease.
    end : int
        Tick of the end, or that of the last message if it is later.
    """
    data = bytearray()
    now, running = 0, -1
    for tick, message in events:
        data += _variable_length(tick - now)
        now = tick
        is_repeated = message[0] == running  # "running status": the status byte may be left out
        data += message[1:] if is_repeated else message
        running = -1 if message[0] == _META else message[0]
    data += _variable_length(max(end - now, 0)) + _meta(0x2F, b"")
    return _chunk(b"MTrk", bytes(data))


def join_tracks(tracks: Sequence[bytes], ticks_per_quarter: int) -> bytes:
    """Join tracks that sound together to a file."""
    numbers = (1, len(tracks), ticks_per_quarter)
    return _chunk(b"MThd", b"".join(number.to_bytes(2, "big") for number in numbers)) + b"".join(tracks)


def _meta(kind: int, data: bytes) -> bytes:
    return bytes((_META, kind)) + _variable_length(len(data)) + data


def _chunk(name: bytes, data: bytes) -> bytes:
    return name + len(data).to_bytes(4, "big") + data


def _variable_length(number: int) -> bytes:
    """Encode a number in groups of seven bits, all but the last with the highest bit set."""
    groups = [number & 0x7F]
    while number := number >> 7:
        groups.append(0x80 | number & 0x7F)
    return bytes(reversed(groups))
