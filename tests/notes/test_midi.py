"""MIDI files: tracks, and the melody by track name or as the skyline."""

from __future__ import annotations

from itertools import pairwise

import pytest

from hf_model.notes.midi import MidiFileError, MidiTrack, find_melody_track, read_midi_tracks, skyline
from hf_model.notes.note import Note


def test_tracks_beats_and_key_are_read_without_drums(tmp_path, make_midi):
    path = make_midi(
        tmp_path / "a.mid", {"Vocals ": [(0.5, 1.0, 60)], "Empty": []}, drums=[("Kit", [(0, 0.1, 36)])], key=7
    )
    content = read_midi_tracks(path)
    assert [(track.name, len(track.notes)) for track in content.tracks] == [("Vocals", 1)]
    assert content.tracks[0].notes[0] == Note(0.5, 1.0, 60.0, 90)
    assert content.beats[:2] == pytest.approx([0.0, 0.5])
    assert content.key == "G Major"


@pytest.mark.parametrize("content", [b"", b"MThd", b"no MIDI at all", b"MThd\x00\x00\x00\x06\x00\x01\x00\x01"])
def test_invalid_file_is_named(tmp_path, content):
    (tmp_path / "bad.mid").write_bytes(content)
    with pytest.raises(MidiFileError, match=r"bad\.mid: not a readable MIDI file"):
        read_midi_tracks(tmp_path / "bad.mid")


@pytest.mark.parametrize("name", ["MELODY", "Lead Vocals", "vox", "Melodie", "Voice 1", "main melody"])
def test_names_of_melody_tracks(name):
    assert find_melody_track([MidiTrack("Bass", [Note(0, 1, 40)]), MidiTrack(name, [Note(0, 1, 60)])]).name == name


@pytest.mark.parametrize("name", ["Bass", "", "Guitar", "invoice", "Enchanted pad"])
def test_names_of_other_tracks(name):
    assert find_melody_track([MidiTrack(name, [Note(0, 1, 60)])]) is None


def test_melody_track_with_the_most_notes_is_chosen():
    few, many = MidiTrack("voice", [Note(0, 1, 60)]), MidiTrack("melody", [Note(0, 1, 60), Note(1, 2, 62)])
    assert find_melody_track([few, many]) is many


def skyline_tuples(notes):
    return [(note.onset, note.offset, note.pitch) for note in skyline(notes)]


def test_skyline_of_a_chord_is_its_highest_note():
    assert skyline_tuples([Note(0, 1, 60), Note(0, 1, 64), Note(0, 1, 67)]) == [(0, 1, 67)]


def test_skyline_of_a_rolled_chord_begins_at_its_first_onset():
    assert skyline_tuples([Note(0, 1, 60), Note(0.01, 1, 64), Note(0.02, 1, 67)]) == [(0, 1, 67)]


def test_skyline_drops_a_note_below_a_sounding_one():
    assert skyline_tuples([Note(0, 2, 72), Note(0.5, 1, 60), Note(2, 3, 60)]) == [(0, 2, 72), (2, 3, 60)]


def test_skyline_ends_a_note_at_a_higher_one():
    assert skyline_tuples([Note(0, 2, 60), Note(1, 3, 67)]) == [(0, 1, 60), (1, 3, 67)]


def test_skyline_keeps_overlapping_repeated_notes():
    assert skyline_tuples([Note(0, 1.1, 60), Note(1, 2, 60)]) == [(0, 1, 60), (1, 2, 60)]


def test_skyline_has_no_overlaps():
    notes = [Note(k * 0.3, k * 0.3 + 0.2 + (k * 7 % 5) * 0.2, 60 + (k * 11) % 17) for k in range(60)]
    melody = skyline(notes)
    assert len(melody) > 10
    assert all(following.onset >= previous.offset for previous, following in pairwise(melody))
