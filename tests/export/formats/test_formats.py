"""What is written is read back: by our readers, by libraries, or by a small reader of the published format."""

from __future__ import annotations

import csv
import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hf_model.export.formats.expression import Expression, find_expression
from hf_model.export.formats.jams import to_jams
from hf_model.export.formats.labels import write_labels
from hf_model.export.formats.pitch_bend import find_bends
from hf_model.export.formats.pitch_table import write_pitch_table
from hf_model.export.formats.ultrastar import write_ultrastar
from hf_model.export.formats.ustx import write_ustx
from hf_model.export.midi_score import write_score
from hf_model.music.arrangement import Arranged
from hf_model.music.chords import Chord
from hf_model.music.key import Key
from hf_model.music.tempo import Tempo
from hf_model.notes.midi import read_midi
from hf_model.notes.midi_file import parse_midi
from hf_model.notes.note import Note
from hf_model.transcriber.pitch_curve import PitchCurve

SUNG = [Note(0.5, 1.0, 60.2, 80, 0.75), Note(1.0, 1.6, 64.1, 90), Note(3.0, 3.4, 61.9, 70)]
KEYS = [Note(0.5, 1.0, 60.0, 80, 0.75), Note(1.0, 1.6, 64.0, 90), Note(3.0, 3.4, 62.0, 70)]
TEMPO = Tempo(96.0, 0.8, tuple(0.5 + 0.625 * k for k in range(6)), 1, (3, 4), 0.7)
ARRANGED = Arranged(SUNG, KEYS, [], TEMPO, Key(10, "major", 0.6), 0.1, chords=(Chord(0.5, 2.0, 9, True),))


def vibrato(seconds: float = 4.0, depth: float = 0.5, hertz: float = 5.0) -> PitchCurve:
    """Make the curve of SUNG: a vibrato on each note, nothing sung between them."""
    times = np.arange(round(100 * seconds)) / 100
    pitch, voicing = np.full_like(times, 40.0), np.zeros_like(times)
    for note in SUNG:
        inside = (times >= note.onset) & (times < note.offset)
        pitch[inside] = note.pitch + depth * np.sin(2 * np.pi * hertz * times[inside])
        voicing[inside] = 0.9
    return PitchCurve(pitch, voicing)


# ------------------------------------------------------------------------------------------------------ Audacity


def test_labels_are_lines_of_onset_offset_and_name(tmp_path: Path) -> None:
    write_labels(tmp_path / "a.txt", KEYS)
    assert (tmp_path / "a.txt").read_bytes().splitlines() == [
        b"0.500000\t1.000000\tC4",
        b"1.000000\t1.600000\tE4",
        b"3.000000\t3.400000\tD4",
    ]


# --------------------------------------------------------------------------------------------------- pitch curve


def test_the_pitch_table_has_a_row_every_10_ms(tmp_path: Path) -> None:
    curve = PitchCurve(np.array([69.0, 57.0, 70.0]), np.array([0.9, 0.25, 1.0]))
    write_pitch_table(tmp_path / "a.csv", curve)
    with (tmp_path / "a.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["time"] for row in rows] == ["0.00", "0.01", "0.02"]
    assert [row["frequency"] for row in rows] == ["440.00", "220.00", "466.16"]
    assert [row["voicing"] for row in rows] == ["0.900", "0.250", "1.000"]


# ---------------------------------------------------------------------------------------------------- expression


def test_the_expression_is_the_deviation_from_the_sung_key() -> None:
    found = find_expression(ARRANGED, vibrato())
    for one, sung, key in zip(found, SUNG, KEYS, strict=True):
        assert one.times[0] == key.onset
        assert one.times[-1] < key.offset
        expected = sung.pitch - 0.1 - key.pitch + 0.5 * np.sin(2 * np.pi * 5 * one.times)
        np.testing.assert_allclose(one.semitones, expected, atol=1e-6)


def test_a_note_does_not_begin_with_the_pitch_of_the_last_one() -> None:
    """The curve reaches the second note 30 ms late; a slow glide of its own stays."""
    late = vibrato(depth=0.0)
    late.pitch[100:103] = SUNG[0].pitch
    second = find_expression(ARRANGED, late)[1]
    np.testing.assert_allclose(second.semitones, SUNG[1].pitch - 0.1 - KEYS[1].pitch, atol=1e-6)
    glide = vibrato(depth=0.0)
    glide.pitch[100:120] += np.linspace(-2.0, 0.0, 20)
    assert find_expression(ARRANGED, glide)[1].semitones[0] < -1.5


def test_the_expression_moves_with_the_note() -> None:
    """A note that is transposed by an octave and begins later keeps its vibrato."""
    moved = [Note(note.onset + 0.123, note.offset + 0.123, note.pitch + 12) for note in KEYS]
    found = find_expression(Arranged(SUNG, moved, [], TEMPO, Key(0, "major"), 0.1), vibrato())
    as_sung = find_expression(ARRANGED, vibrato())
    for one, other in zip(found, as_sung, strict=True):
        np.testing.assert_allclose(one.times, other.times + 0.123)
        np.testing.assert_allclose(one.semitones, other.semitones)


def test_where_nothing_is_sung_the_last_pitch_is_held() -> None:
    curve = PitchCurve(np.array([50.0, 60.0, 61.0, 99.0, 62.0]), np.array([0.1, 0.9, 0.9, 0.2, 0.9]))
    np.testing.assert_array_equal(curve.filled, [60, 60, 61, 61, 62])
    silent = PitchCurve(np.array([50.0, 51.0]), np.zeros(2))
    np.testing.assert_array_equal(silent.filled, [50, 51])


# --------------------------------------------------------------------------------------------------- pitch bends


def read_bends(path: Path) -> tuple[float, list[tuple[float, float]]]:
    """Read the range in semitones, and time and semitones of each bend, as a synthesizer does."""
    file = parse_midi(path.read_bytes())
    times = file.tempo_map()
    parameter = {101: 127, 100: 127}
    bend_range, bends = 2.0, []
    for event in file.tracks[1].events:
        if event.status == 0xB0 and event.first in parameter:
            parameter[event.first] = event.second
        elif event.status == 0xB0 and event.first == 6 and not any(parameter.values()):
            bend_range = float(event.second)
        elif event.status == 0xE0:
            value = event.first + 128 * event.second - 8192
            bends.append((times.seconds(event.tick), value / 8192 * bend_range))
    return bend_range, bends


def test_bends_are_read_back_to_a_cent(tmp_path: Path) -> None:
    found = find_expression(ARRANGED, vibrato())
    write_score(tmp_path / "a.mid", ARRANGED, 4 * 44100, bends=list(find_bends(found)))
    bend_range, bends = read_bends(tmp_path / "a.mid")
    assert bend_range == 2
    times, semitones = np.array(bends).T
    for one in found:
        held = semitones[np.searchsorted(times, one.times + 1e-3, side="right") - 1]
        np.testing.assert_allclose(held, one.semitones, atol=0.011)
    assert [note.pitch for note in read_midi(tmp_path / "a.mid")] == [60, 64, 62]


def test_a_bend_comes_before_its_note_and_after_the_one_before(tmp_path: Path) -> None:
    write_score(tmp_path / "a.mid", ARRANGED, bends=list(find_bends(find_expression(ARRANGED, vibrato()))))
    events = parse_midi((tmp_path / "a.mid").read_bytes()).tracks[1].events
    [at] = [at for at, event in enumerate(events) if event.status == 0x90 and event.first == 64]
    tick = events[at].tick
    assert [event.status for event in events if event.tick == tick] == [0x80, 0xE0, 0x90]


@given(st.floats(-5, 5))
def test_bends_stay_in_their_range(semitones: float) -> None:
    [(_, value)] = find_bends([Expression(KEYS[0], np.array([0.5]), np.array([semitones]))])
    assert -8192 <= value <= 8191
    assert value / 4096 == pytest.approx(np.clip(semitones, -2, 2), abs=2.5e-4)


# ----------------------------------------------------------------------------------------------------- UltraStar


def read_ultrastar(path: Path) -> tuple[dict[str, str], list[Note], int]:
    """Read the header, the notes and the number of line breaks; four steps are a beat."""
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[-1] == "E"
    header = dict(re.fullmatch(r"#([A-Z0-9]+):(.*)", line).groups() for line in lines if line.startswith("#"))
    step, gap = 60 / (4 * float(header["BPM"])), float(header["GAP"]) / 1000
    rows = [line.split(maxsplit=4) for line in lines if line.startswith(":")]
    notes = [
        Note(gap + int(start) * step, gap + (int(start) + int(length)) * step, 60.0 + int(pitch))
        for _, start, length, pitch, _ in rows
    ]
    return header, notes, sum(line.startswith("-") for line in lines)


def test_an_ultrastar_song_is_read_back(tmp_path: Path) -> None:
    write_ultrastar(tmp_path / "a.txt", KEYS, 96.0, title="Hum\nhum", audio="hum.wav")
    header, notes, n_breaks = read_ultrastar(tmp_path / "a.txt")
    assert (header["TITLE"], header["MP3"], header["AUDIO"], header["GAP"]) == ("Hum hum", "hum.wav", "hum.wav", "500")
    assert float(header["BPM"]) == 672.0
    assert n_breaks == 1
    assert [note.pitch for note in notes] == [60, 64, 62]
    for note, key in zip(notes, KEYS, strict=True):
        assert note.onset == pytest.approx(key.onset, abs=0.0125)
        assert note.offset == pytest.approx(key.offset, abs=0.0125)


def test_notes_of_ultrastar_do_not_overlap(tmp_path: Path) -> None:
    keys = [Note(0.013 * k, 0.013 * k + 0.012, 50.0 + k % 20) for k in range(40)]
    write_ultrastar(tmp_path / "a.txt", keys, 200.0, title="", audio="a.wav")
    header, notes, _ = read_ultrastar(tmp_path / "a.txt")
    assert header["TITLE"] == "Melody"
    assert len(notes) == 40
    assert all(before.offset <= after.onset + 1e-9 for before, after in pairwise(notes))


def test_a_silent_song_has_no_notes(tmp_path: Path) -> None:
    write_ultrastar(tmp_path / "a.txt", [], 96.0, title="a", audio="a.wav")
    assert read_ultrastar(tmp_path / "a.txt")[1] == []


# ------------------------------------------------------------------------------------------------------ OpenUtau


def test_a_project_of_openutau_is_read_back(tmp_path: Path) -> None:
    found = find_expression(ARRANGED, vibrato())
    write_ustx(tmp_path / "a.ustx", found, 96.0, meter=(3, 4), title="Ré: #1")
    project = yaml.safe_load((tmp_path / "a.ustx").read_text(encoding="utf-8"))
    assert (project["ustx_version"], project["resolution"], project["name"]) == ("0.6", 480, "Ré: #1")
    assert project["tempos"] == [{"position": 0, "bpm": 96.0}]
    assert project["time_signatures"] == [{"bar_position": 0, "beat_per_bar": 3, "beat_unit": 4}]
    [part] = project["voice_parts"]
    per_second = 480 * 96 / 60
    for note, key in zip(part["notes"], KEYS, strict=True):
        assert note["tone"] == key.pitch
        assert note["position"] / per_second == pytest.approx(key.onset, abs=1e-3)
        assert (note["position"] + note["duration"]) / per_second == pytest.approx(key.offset, abs=1e-3)
    [curve] = part["curves"]
    assert curve["abbr"] in project["expressions"]
    assert curve["xs"] == sorted(set(curve["xs"]))
    for one in found:
        inside = [(x, y) for x, y in zip(curve["xs"], curve["ys"], strict=True)]
        cents = np.interp(one.times[1:-1] * per_second, *np.array(inside).T)
        np.testing.assert_allclose(cents, 100 * one.semitones[1:-1], atol=8)


# ---------------------------------------------------------------------------------------------------------- JAMS


VALUES: dict[str, Any] = {
    "note_midi": lambda value: isinstance(value, float),
    "beat": lambda value: isinstance(value, int | float),
    "tempo": lambda value: value > 0,
    "key_mode": lambda value: re.fullmatch(r"[A-G][b#]?:(major|minor)", value),
    "chord": lambda value: re.fullmatch(r"[A-G][b#]?:(maj|min)", value),
}
"""Of the namespaces of JAMS 0.3: what their values are."""


def test_a_document_has_the_structure_of_jams() -> None:
    """By the published schema: observations have time, duration, value and confidence; none is negative."""
    document = json.loads(json.dumps(to_jams(ARRANGED, 4.0, "hum")))
    assert set(document) == {"file_metadata", "annotations", "sandbox"}
    metadata = document["file_metadata"]
    assert (metadata["duration"], metadata["title"]) == (4.0, "hum")
    assert re.fullmatch(r"\d\.\d\.\d", metadata["jams_version"])
    for annotation in document["annotations"]:
        assert set(annotation["annotation_metadata"]["curator"]) == {"name", "email"}
        assert (annotation["time"], annotation["duration"]) == (0.0, 4.0)
        for item in annotation["data"]:
            assert set(item) == {"time", "duration", "value", "confidence"}
            assert item["time"] >= 0
            assert item["duration"] >= 0
            assert item["time"] + item["duration"] <= 4.0 + 1e-9
            assert VALUES[annotation["namespace"]](item["value"]), item


def test_a_document_has_notes_beats_and_chords() -> None:
    found = {
        (one["namespace"], one["sandbox"]["part"]): [(item["time"], item["value"]) for item in one["data"]]
        for one in to_jams(ARRANGED, 4.0)["annotations"]
    }
    assert found["note_midi", "voice"] == [(0.5, 60.2), (1.0, 64.1), (3.0, 61.9)]
    assert found["note_midi", "piano"] == [(0.5, 60.0), (1.0, 64.0), (3.0, 62.0)]
    assert found["beat", "voice"] == [(0.5, 3), (1.125, 1), (1.75, 2), (2.375, 3), (3.0, 1), (3.625, 2)]
    assert found["key_mode", "piano"] == [(0.0, "Bb:major")]
    assert found["chord", "piano"] == [(0.5, "A:min")]
