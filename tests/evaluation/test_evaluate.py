"""Figures of recordings with known notes and sounds."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import soundfile

from hf_model.evaluation import evaluate
from hf_model.evaluation.evaluate import OURS, UNLABELLED, EvaluateSettings, measure, measure_all, summarize
from hf_model.evaluation.render_test_set import Item
from hf_model.notes.note import Note
from hf_model.notes.note_files import write_csv
from hf_model.piano.sampled import SampledPiano

NOTES = (Note(0.3, 0.8, 60.2), Note(0.8, 1.4, 64.2), Note(1.6, 2.2, 67.2))
KEYS = [replace(note, pitch=float(round(note.pitch))) for note in NOTES]
N_SAMPLES = 3 * 44100


@pytest.fixture(scope="module")
def piano():
    return SampledPiano.load().render(KEYS, N_SAMPLES)


@pytest.fixture
def rendered(tmp_path, piano):
    """Make a folder of renditions: "right" is perfect, "late" is 100 ms late and cut, "free" has no labels."""
    (tmp_path / "made").mkdir()
    items = []
    for name in ("right", "late", "free"):
        shift = 0.1 if name == "late" else 0.0
        item = Item("free" if name == "free" else "made", name, str(tmp_path / "v.wav"), "", N_SAMPLES, 0.2, NOTES, 0.2)
        item = replace(item, notes=()) if name == "free" else replace(item, piano=str(tmp_path / "p.wav"))
        item.path(tmp_path, "").parent.mkdir(exist_ok=True)
        moved = [replace(note, onset=note.onset + shift, offset=note.offset + shift) for note in NOTES]
        write_csv(
            item.path(tmp_path, ".csv"), moved, [replace(n, pitch=k.pitch) for n, k in zip(moved, KEYS, strict=True)]
        )
        sound = piano[:, : N_SAMPLES - (name == "late")]
        soundfile.write(item.path(tmp_path, "_sampled.wav"), sound.T, 44100)
        items.append(item)
    soundfile.write(tmp_path / "p.wav", piano.T, 44100)
    soundfile.write(tmp_path / "v.wav", np.zeros(3 * 16000), 16000)
    listing = json.dumps([asdict(item) for item in items])
    (tmp_path / "recordings.json").write_text(listing, encoding="utf-8")
    return tmp_path


@pytest.fixture
def fake_baseline(monkeypatch):
    """A baseline that is installed and finds no notes."""
    monkeypatch.setattr(evaluate, "BASELINES", {"pyin": ((), lambda voice, rate: [])})  # noqa: ARG005
    monkeypatch.setattr(evaluate, "installed", list)
    return EvaluateSettings(baselines=("pyin",), baseline_files=1, bootstrap=20)


def test_perfect_notes_and_sound(rendered):
    found = {one.item.pair_id: one for one in measure_all(rendered, EvaluateSettings(baselines=()))}
    right, late = found["right"], found["late"]
    assert right.scores[OURS]["conpoff"] == 1.0
    assert right.scores[OURS]["rpa"] == 1.0
    assert late.scores[OURS]["con"] == 0.0
    sound = right.sounds["sampled"]
    assert sound["same_length"] == 1.0
    assert sound["log_mel_distance"] < 0.1
    assert sound["spectral_convergence"] < 0.01
    assert sound["retranscribed_conp"] == 1.0
    assert sound["piano_share"] == 1.0
    assert right.sounds["reference"]["retranscribed_conp"] == 1.0
    assert late.sounds["sampled"]["same_length"] == 0.0
    assert late.sounds["sampled"]["retranscribed_conp"] == 0.0
    assert found["free"].scores == {}


def test_the_summary_names_corpus_system_and_figure(rendered, fake_baseline):
    report = summarize(measure_all(rendered, fake_baseline), fake_baseline)
    ours = report["notes"]["made"][OURS]
    assert ours["recordings"] == 2
    assert ours["conpoff"] == 0.5
    assert ours["conpoff_low"] <= 0.5 <= ours["conpoff_high"]
    assert report["notes"]["made"]["pyin"]["recordings"] == 1
    assert "conpoff_low" not in report["notes"]["made"]["pyin"]
    assert report["notes"]["made"]["ahead_of_pyin"]["conpoff"] == 1.0
    assert report[UNLABELLED]["free"]["notes"] == 3
    assert report[UNLABELLED]["free"]["conp_against_pyin"] == 0.0
    assert report["sound"]["made"]["sampled"]["same_length"] == 0.5
    assert report["same_length_share"] == pytest.approx(2 / 3, abs=1e-3)
    json.dumps(report, allow_nan=False)


def test_our_system_comes_first(rendered, fake_baseline):
    report = summarize(measure_all(rendered, fake_baseline), fake_baseline)
    assert next(iter(report["notes"]["made"])) == OURS


def test_one_recording_alone(rendered):
    items = json.loads((rendered / "recordings.json").read_text(encoding="utf-8"))
    item = Item(**{**items[0], "notes": tuple(Note(**note) for note in items[0]["notes"])})
    assert measure((rendered, item, [], False)).baseline_notes == {}
    assert measure((rendered, item, [], False)).sounds == {"sampled": {"same_length": 1.0}}


@pytest.mark.parametrize("wrong", [{"baselines": ("missing",)}, {"bootstrap": 1}, {"pictures": -1}])
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        EvaluateSettings(**wrong)
