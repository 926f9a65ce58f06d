"""The bytes of MIDI files, by hand and against mido."""

from __future__ import annotations

import io

import mido
import pytest

from hf_model.notes import midi_bytes


def test_a_file_by_hand() -> None:
    events = [
        (0, midi_bytes.note_on(0, 60, 100)),
        (200, midi_bytes.note_on(0, 64, 90)),
        (200, midi_bytes.note_off(0, 60)),
    ]
    track = midi_bytes.write_track(events, 500)
    body = "00 90 3c 64  81 48 40 5a  00 80 3c 40  82 2c ff 2f 00"  # the second note_on without its status byte
    assert track == b"MTrk" + bytes((0, 0, 0, 17)) + bytes.fromhex(body)
    assert midi_bytes.join_tracks([track], 480) == bytes.fromhex("4d546864 00000006 0001 0001 01e0") + track


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (midi_bytes.note_on(3, 60, 1), mido.Message("note_on", channel=3, note=60, velocity=1)),
        (midi_bytes.note_off(3, 60), mido.Message("note_off", channel=3, note=60)),
        (midi_bytes.control_change(1, 64, 127), mido.Message("control_change", channel=1, control=64, value=127)),
        (midi_bytes.program_change(1, 5), mido.Message("program_change", channel=1, program=5)),
        (midi_bytes.pitch_wheel(0, -8192), mido.Message("pitchwheel", pitch=-8192)),
        (midi_bytes.pitch_wheel(0, 1234), mido.Message("pitchwheel", pitch=1234)),
        (midi_bytes.set_tempo(500000), mido.MetaMessage("set_tempo", tempo=500000)),
        (midi_bytes.time_signature(6, 8), mido.MetaMessage("time_signature", numerator=6, denominator=8)),
        (midi_bytes.track_name("Zoë"), mido.MetaMessage("track_name", name="Zoë")),
        (midi_bytes.text(300 * "a"), mido.MetaMessage("text", text=300 * "a")),
    ],
)
def test_messages_are_those_of_mido(ours: bytes, theirs: mido.Message) -> None:
    assert ours == bytes(theirs.bytes())


@pytest.mark.parametrize("tonic", ["C", "Eb", "F#", "Cb", "C#"])
def test_major_keys(tonic: str) -> None:
    expected = mido.MetaMessage("key_signature", key=tonic)
    assert midi_bytes.key_signature(tonic, is_minor=False) == bytes(expected.bytes())


@pytest.mark.parametrize("tonic", ["A", "C", "G#", "D#", "A#", "Ab"])
def test_minor_keys(tonic: str) -> None:
    expected = mido.MetaMessage("key_signature", key=f"{tonic}m")
    assert midi_bytes.key_signature(tonic, is_minor=True) == bytes(expected.bytes())


def test_other_characters_do_not_matter() -> None:
    assert midi_bytes.track_name("歌") == b"\xff\x03\x01?"


def test_mido_reads_what_is_written() -> None:
    events = [(0, midi_bytes.note_on(0, 60, 100)), (96, midi_bytes.set_tempo(1)), (20000, midi_bytes.note_off(0, 60))]
    content = midi_bytes.join_tracks([midi_bytes.write_track(events, 0)], 96)
    [track] = mido.MidiFile(file=io.BytesIO(content)).tracks
    assert [(message.type, message.time) for message in track] == [
        ("note_on", 0),
        ("set_tempo", 96),
        ("note_off", 19904),
        ("end_of_track", 0),
    ]
