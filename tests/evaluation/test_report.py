"""Pictures, the table of recordings, and tables of text."""

from __future__ import annotations

import csv
import math
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile

from hf_model.evaluation.evaluate import OURS, EvaluateSettings, Measured, summarize
from hf_model.evaluation.metrics import note_errors, note_scores
from hf_model.evaluation.plots import save_error_histograms
from hf_model.evaluation.render_test_set import Item
from hf_model.evaluation.report import (
    draw_pictures,
    error_rows,
    format_interval,
    markdown_table,
    recording_rows,
    reliability_rows,
    sound_rows,
    summary,
    table_rows,
    write_recordings,
)
from hf_model.notes.note import Note
from tests.fakes import tones

NOTES = [Note(0.1, 0.4, 60.0), Note(0.5, 0.8, 64.0)]


@pytest.fixture
def measured(tmp_path):
    soundfile.write(tmp_path / "voice.wav", tones([60, 64]), 16000)
    item = Item("made", "one", str(tmp_path / "voice.wav"), "", 40000, 0.0, tuple(NOTES))
    item.path(tmp_path, "").parent.mkdir()
    soundfile.write(item.path(tmp_path, "_sampled.wav"), tones([60, 64], 44100), 44100)
    sharp = [replace(note, pitch=note.pitch + 0.2) for note in NOTES]
    scores = {OURS: note_scores(NOTES, sharp), "pyin": note_scores(NOTES, [])}
    sounds = {"sampled": {"same_length": 1.0, "log_mel_distance": 2.0}}
    return [Measured(item, sharp, NOTES, scores, sounds, note_errors(NOTES, sharp))]


def test_pictures(measured, tmp_path):
    report = summarize(measured, EvaluateSettings(bootstrap=20))
    folder = tmp_path / "plots"
    folder.mkdir()
    draw_pictures(measured, report, tmp_path, folder, 2)
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["errors.png", "sounds.png", "table.png", "voice_and_piano_made_one.png"]
    for path in folder.iterdir():
        assert path.read_bytes().startswith(b"\x89PNG")


def test_the_picture_shows_voice_piano_and_notes(measured, tmp_path):
    from matplotlib.image import imread

    folder = tmp_path / "plots"
    folder.mkdir()
    draw_pictures(measured, {}, tmp_path, folder, 1)
    image = imread(folder / "voice_and_piano_made_one.png")[..., :3]
    both = (image[..., 2] > 0.7) & (image[..., 0] > 0.5)
    green = np.abs(image - np.array([0x7D, 0xFF, 0x9A]) / 255).max(axis=-1) < 0.05
    assert both.mean() > 0.002
    assert green.mean() > 0.002


def test_no_picture_of_recordings_when_none_is_wanted(measured, tmp_path):
    folder = tmp_path / "plots"
    folder.mkdir()
    draw_pictures(measured, {}, tmp_path, folder, 0)
    assert not list(folder.glob("voice_and_piano*"))


def test_one_line_a_recording_and_system(measured, tmp_path):
    write_recordings(tmp_path / "r.csv", recording_rows(measured))
    rows = list(csv.DictReader((tmp_path / "r.csv").read_text(encoding="utf-8").splitlines()))
    assert [(row["pair_id"], row["system"], row["conp"]) for row in rows] == [
        ("one", OURS, "1.0000"),
        ("one", "pyin", "0.0000"),
    ]
    assert rows[1]["onset_bias"] == ""


def test_rows_of_recordings_are_a_data_frame(measured, tmp_path):
    write_recordings(tmp_path / "r.parquet", recording_rows(measured))
    table = pq.read_table(tmp_path / "r.parquet").to_pydict()
    assert (table["system"], table["conp"], table["notes"]) == ([OURS, "pyin"], [1.0, 0.0], [2, 2])
    assert table["seconds"] == [round(40000 / 44100, 3)] * 2
    assert math.isnan(table["onset_bias"][1])


def test_tables_contain_the_figures_of_the_report(measured):
    report = summarize(measured, EvaluateSettings(bootstrap=20))
    header, rows = table_rows(report)
    assert [row[0] for row in rows] == ["made, hummingface", "made, pyin"]
    assert rows[0][header.index("COnP")] == "1.000"
    assert rows[1][header.index("onset bias ms")] == "-"
    header, rows = sound_rows(report)
    assert rows == [["made, sampled", "2.000", "-", "-", "-", "1.000"]]


def test_histograms_without_any_match(tmp_path):
    save_error_histograms(tmp_path / "e.png", {"made": [note_errors([], [])]})
    assert (tmp_path / "e.png").stat().st_size > 1000


def test_markdown_tables_and_intervals():
    rows = [["ours", format_interval({"mean": 0.9125, "low": -0.05, "high": 1.0})]]
    rows.append(["theirs", format_interval({"mean": 12.0, "low": None, "high": 13.04}, 1, "+")])
    assert markdown_table("system | COn", rows) == [
        "| system | COn |",
        "|---|---|",
        "| ours | .912 [-.050, 1.000] |",
        "| theirs | +12.0 [?, +13.0] |",
    ]


def test_summary_is_short_and_without_baselines(measured):
    report = summarize(measured, EvaluateSettings(bootstrap=20))
    report["sound"] = {"made": {"neural": {"log_mel_distance": 3.0}}, "ssvd": {"neural": {"log_mel_distance": 4.0}}}
    assert summary(report) == {"made": {"con": 1.0, "conp": 1.0, "conpoff": 1.0}, "neural_log_mel_db": 3.5}


def test_errors_are_counted_by_kind(measured):
    octave = [replace(NOTES[0], pitch=72.0), NOTES[1], Note(1.5, 1.8, 60.0)]
    rows = {row["kind"]: row for row in error_rows([replace(measured[0], notes=octave)])}
    assert {kind: row["errors"] for kind, row in rows.items() if row["errors"]} == {"octave": 1, "extra": 1}
    assert rows["octave"] == {"corpus": "made", "kind": "octave", "errors": 1, "per_100_notes": 50.0}


def test_reliability_compares_confidence_with_correct_notes(measured):
    notes = [replace(NOTES[0], confidence=0.95), replace(NOTES[1], pitch=70.0, confidence=0.25)]
    low, high = reliability_rows([replace(measured[0], notes=notes)])
    assert (low["confidence"], low["share_correct"], low["notes"]) == (0.25, 0.0, 1)
    assert (high["confidence"], high["share_correct"], high["notes"]) == (0.95, 1.0, 1)
