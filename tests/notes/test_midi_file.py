"""MIDI files that players play although they break the standard, byte by byte."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from hf_model.notes import midi_file
from hf_model.notes.midi import read_midi_tracks
from hf_model.notes.midi_file import MidiFileError, parse_midi
from hf_model.notes.note_files import NoteFileError, Score, read_score

END = b"\0\xff\x2f\0"
NOTE = b"\0\x90\x3c\x50\x83\x60\x90\x3c\0"  # C4 with velocity 80 for 480 ticks
OPEN = b"\0\x90\x3c\x50"  # C4 that nothing ends
BEAT = b"\x83\x60"  # 480 ticks
LATE_END = BEAT + b"\xff\x2f\0"


def header(kind: int, n_tracks: int, division: int) -> bytes:
    return b"MThd" + struct.pack(">IHHH", 6, kind, n_tracks, division)


def track(body: bytes, end: bytes = END) -> bytes:
    return b"MTrk" + struct.pack(">I", len(body + end)) + body + end


def one(body: bytes, end: bytes = END) -> bytes:
    return header(0, 1, 480) + track(body, end)


def score(folder: Path, content: bytes) -> Score:
    (folder / "a.mid").write_bytes(content)
    return read_score(folder / "a.mid")


def times(folder: Path, content: bytes) -> list[tuple[float, float]]:
    return [(round(note.onset, 6), round(note.offset, 6)) for note in score(folder, content).notes]


PLAIN = one(NOTE)
RMID = b"RIFF" + struct.pack("<I", len(PLAIN) + 12) + b"RMIDdata" + struct.pack("<I", len(PLAIN)) + PLAIN

HALF_SECOND = {
    "plain": PLAIN,
    "an empty track": header(1, 2, 480) + track(b"", b"") + track(NOTE),
    "a track too many in the header": header(1, 2, 480) + track(NOTE),
    "RMID": RMID,
    "RMID with an odd list": RMID + b"LIST\3\0\0\0abc\0",
    "the header of an old Macintosh": bytes(128) + PLAIN,
    "a foreign chunk": header(0, 1, 480) + b"XFIH\0\0\0\3abc" + track(NOTE),
    "zeros after the end": PLAIN + bytes(100),
    "a longer header": b"MThd" + struct.pack(">IHHH", 8, 0, 1, 480) + b"\0\0" + track(NOTE),
    "no end of the track": one(NOTE, b""),
    "the end is missing": PLAIN[:-6],
    "key signature of 8 sharps": one(b"\0\xff\x59\x02\x08\0" + NOTE),
    "key signature of one byte": one(b"\0\xff\x59\x01\x01" + NOTE),
    "time signature 0/4": one(b"\0\xff\x58\x04\0\x02\x18\x08" + NOTE),
    "time signature of 1 byte": one(b"\0\xff\x58\x01\4" + NOTE),
    "tempo 0": one(b"\0\xff\x51\x03\0\0\0" + NOTE),
    "tempo of two bytes": one(b"\0\xff\x51\x02\0\0" + NOTE),
    "running status over a meta event": one(b"\0\x90\x3c\x50\0\xff\x01\2hi\x83\x60\x3c\0"),
    "running status over system exclusive": one(b"\0\x90\x3c\x50\0\xf0\2\1\xf7\x83\x60\x3c\0"),
    "a real-time message": one(b"\0\xf8" + NOTE),
    "a track of unknown length": header(0, 1, 480) + b"MTrk\xff\xff\xff\xff" + NOTE + END,
    "a track that is too short": header(1, 2, 480) + b"MTrk\0\0\0\2" + NOTE + END + track(b""),
    "all notes off": one(OPEN + BEAT + b"\xb0\x7b\0", LATE_END),
    "all notes off in another track": header(1, 2, 480)
    + track(OPEN, b"\x87\x40\xff\x2f\0")
    + track(BEAT + b"\xb0\x7b\0"),
    "all sound off": one(OPEN + BEAT + b"\xb0\x78\0", LATE_END),
    "system reset": one(OPEN + BEAT + b"\xf7\1\xff", LATE_END),
    "reset of General MIDI": one(OPEN + BEAT + b"\xf0\5\x7e\x7f\x09\x01\xf7", LATE_END),
    "no end but that of the track": one(OPEN, LATE_END),
    "SMPTE time, 25 x 40": header(0, 1, 0xE728) + track(b"\0\x90\x3c\x50\x83\x74\x80\x3c\0"),
}


@pytest.mark.parametrize("name", HALF_SECOND)
def test_files_that_players_play(tmp_path: Path, name: str) -> None:
    assert times(tmp_path, HALF_SECOND[name]) == [(0, 0.5)]


REPAIRED = {
    "a track too many in the header": "the file has 1 tracks of the 2 in its header",
    "the end is missing": "track 1 is damaged or cut off: the rest of it is left out",
    "tempo 0": "1 tempos of 0 are left out",
    "tempo of two bytes": "1 tempos of 0 are left out",
    "a track that is too short": "the length of a track is wrong: it is read to the next one",
    "no end but that of the track": "1 notes have no end in the file and sound to the end of their track",
}


@pytest.mark.parametrize("name", HALF_SECOND)
def test_what_was_repaired_is_a_warning(tmp_path: Path, name: str) -> None:
    warnings = score(tmp_path, HALF_SECOND[name]).warnings
    assert [warning for warning in warnings if "no end" not in warning or name == "no end but that of the track"] == (
        [REPAIRED[name]] if name in REPAIRED else []
    )


def test_data_bytes_over_127_are_clipped(tmp_path: Path) -> None:
    read = score(tmp_path, one(b"\0\x90\x3c\xc8\x83\x60\x90\x3c\0"))
    assert [note.velocity for note in read.notes] == [127]
    assert read.warnings == ("1 data bytes over 127 are taken as 127",)


def test_a_tempo_in_a_later_track_is_followed(tmp_path: Path) -> None:
    slow = b"\0\xff\x51\3\x0f\x42\x40"
    assert times(tmp_path, header(1, 2, 480) + track(NOTE + NOTE) + track(slow)) == [(0, 1), (1, 2)]
    after_a_beat = BEAT + slow[1:]
    assert times(tmp_path, header(1, 2, 480) + track(NOTE + NOTE) + track(after_a_beat)) == [(0, 0.5), (0.5, 1.5)]


def test_smpte_time_has_no_tempo(tmp_path: Path) -> None:
    slow = b"\0\xff\x51\3\x0f\x42\x40"
    body = slow + b"\0\x90\x3c\x50\x8f\x00\x80\x3c\0"  # 1,920 ticks, 29.97 x 80 a second
    content = header(0, 1, 0xE350) + track(body)
    assert times(tmp_path, content) == [(0, pytest.approx(1920 * 1001 / 30000 / 80, abs=1e-5))]


def test_independent_tracks_are_played_one_after_another(tmp_path: Path) -> None:
    fast = b"\0\xff\x51\3\x03\xd0\x90"
    content = header(2, 2, 480) + track(fast + NOTE) + track(NOTE)
    assert times(tmp_path, content) == [(0, 0.25), (0.25, 0.75)]
    assert "one after another" in score(tmp_path, content).warnings[0]


def test_the_pedal_of_a_channel_may_be_in_another_track(tmp_path: Path) -> None:
    pedal = b"\0\xb0\x40\x7f" + b"\x87\x40\xb0\x40\0"
    read = score(tmp_path, header(1, 2, 480) + track(NOTE) + track(pedal))
    assert read.has_pedal
    assert [note.offset for note in read.notes] == [1.0]


def test_all_sound_off_ends_notes_that_the_pedal_holds(tmp_path: Path) -> None:
    pedal = b"\0\xb0\x40\x7f" + BEAT + b"\xb0\x78\0" + BEAT + b"\xb0\x40\0"
    content = header(1, 2, 480) + track(b"\0\x90\x3c\x50\x81\x70\x80\x3c\0") + track(pedal)
    assert times(tmp_path, content) == [(0, 0.5)]


def test_a_note_off_ends_all_notes_of_its_key(tmp_path: Path) -> None:
    again = b"\0\x90\x3c\x50" + BEAT + b"\x90\x3c\x40" + BEAT + b"\x80\x3c\0"
    assert times(tmp_path, one(again)) == [(0, 1), (0.5, 1)]


BROKEN = {
    "a header only of 9 bytes": b"MThd\0\0\0\6\0",
    "no track": header(1, 1, 480),
    "a division of 0": header(0, 1, 0) + track(NOTE),
    "an odd SMPTE rate": header(0, 1, 0xEC28) + track(NOTE),
    "cut in the first event": one(b"\0\x90\x3c", b""),
    "a data byte without status": one(b"\0\x3c\x50"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_cannot_be_read_is_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(NoteFileError, match=r"a\.mid: not a readable MIDI file \(.+\)") as error:
        score(tmp_path, BROKEN[name])
    assert "\n" not in str(error.value)


def test_a_file_without_tracks_is_silent(tmp_path: Path) -> None:
    assert score(tmp_path, header(1, 0, 480)).warnings == ("the file has no notes: the piano is silent",)


def test_the_number_of_events_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(midi_file, "MAX_EVENTS", 10)
    with pytest.raises(MidiFileError, match="more than 10 events"):
        parse_midi(one(6 * NOTE))


def test_beats_follow_the_time_signature(tmp_path: Path) -> None:
    six_eight = b"\0\xff\x58\4\6\3\x24\x08"  # a beat is three eighths
    (tmp_path / "a.mid").write_bytes(one(six_eight + 6 * NOTE))
    assert read_midi_tracks(tmp_path / "a.mid").beats.tolist() == [0, 0.75, 1.5, 2.25]


@pytest.mark.parametrize(("sharps", "minor", "name"), [(0, 0, "C Major"), (253, 0, "Eb Major"), (3, 1, "F# minor")])
def test_key_signatures(tmp_path: Path, sharps: int, minor: int, name: str) -> None:
    (tmp_path / "a.mid").write_bytes(one(b"\0\xff\x59\2" + bytes([sharps, minor]) + NOTE))
    assert read_midi_tracks(tmp_path / "a.mid").key == name
