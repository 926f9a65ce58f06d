"""The protocol that measures transcribers: its arithmetic on notes made by hand, and whom it may measure on whom."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from hf_model.alignment.label_correction import Measurement
from hf_model.alignment.manifest import Correction
from hf_model.notes.note import Note
from hf_model.notes.pitch import hz_to_pitch

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))

from transcriber_ceilings import CONSTANTS, MEASURED, ceilings  # noqa: E402
from transcriber_confidence import confidence_report  # noqa: E402
from transcriber_errors import Excerpt, error_report, judge_all, seen_report, worst_excerpts  # noqa: E402
from transcriber_figures import figures, to_blocks  # noqa: E402
from transcriber_grid import bias_by_pitch, label_grid  # noqa: E402
from transcriber_hearing import folds_system  # noqa: E402
from transcriber_recordings import CONVENTIONS, CORRECTED, PUBLISHED, UNBIASED, Recording, reference  # noqa: E402
from transcriber_report import BEGIN, END, write_report  # noqa: E402


def melody(n: int, pitch: float = 60.0, start: float = 0.0) -> list[Note]:
    """So many notes of half a second, a second apart."""
    return [Note(start + i, start + i + 0.5, pitch) for i in range(n)]


def recording(name: str, singer: str, notes: list[Note], bias: float = 4.0) -> Recording:
    measured = Measurement(0.0, 0.01, 0.0, 0.01, bias, 0.1, 0, len(notes))
    return Recording("ssvd", name, singer, Path(name), notes, notes, measured, Correction(), 0, 1.0)


def moved(notes: list[Note], seconds: float = 0.0, semitones: float = 0.0, longer: float = 0.0) -> list[Note]:
    return [Note(n.onset + seconds, n.offset + seconds + longer, n.pitch + semitones) for n in notes]


# --------------------------------------------------------------------------------------------------------- figures


def test_figures_of_two_recordings_worked_out_by_hand():
    # one recording of 4 notes all right, one of 1 note an octave off
    found = figures([(melody(4), melody(4)), (melody(1), melody(1, 72.0))])
    assert found["notes"] == 5
    assert found["con"]["mean"] == found["con"]["pooled"] == 1.0
    assert found["conp"]["mean"] == 0.5
    assert found["conp"]["pooled"] == pytest.approx(2 * 4 / 10)
    assert found["octave_error_percent"]["mean"] == pytest.approx(20.0)
    assert (found["conp"]["low"], found["conp"]["high"]) == (0.0, 1.0)


def test_biases_are_heard_minus_labelled():
    found = figures([(melody(4), moved(melody(4), 0.02, longer=-0.03)) for _ in range(3)])
    assert found["onset_bias_ms"]["mean"] == pytest.approx(20.0, abs=0.01)
    assert found["offset_bias_ms"]["mean"] == pytest.approx(-10.0, abs=0.01)


def test_a_single_clip_is_cut_into_windows_and_no_note_is_lost():
    truth, heard = melody(25), moved(melody(24), 0.01)
    blocks = to_blocks(truth, heard, 10.0)
    assert [block.counts[0] for block in blocks] == [10, 10, 5]
    assert sum(block.counts[4] for block in blocks) == 24
    found = figures([(truth, heard)])
    assert found["conpoff"]["mean"] == found["conpoff"]["pooled"] == pytest.approx(48 / 49, abs=1e-4)
    assert found["conpoff"]["low"] < found["conpoff"]["high"]


def test_a_note_heard_on_the_other_side_of_a_window_still_counts():
    blocks = to_blocks([Note(10.0, 10.5, 60)], [Note(9.98, 10.5, 60)], 10.0)
    assert [list(block.counts[:3]) for block in blocks] == [[0, 1, 0], [1, 0, 1]]


# -------------------------------------------------------------------------------------------- labels, conventions


def test_conventions_of_labels():
    one = recording("a", "x", [Note(0, 1, float(hz_to_pitch(224.0)))])
    assert reference(one, UNBIASED, 4.0)[0].pitch == pytest.approx(57.0)
    assert reference(one, PUBLISHED, 4.0) == one.published
    assert reference(one, CORRECTED, 4.0) == one.corrected
    assert len(CONVENTIONS) == 3


@pytest.mark.parametrize("step", [5.38, 9.12, 12.5, 22.84])
def test_the_grid_of_labels_is_found(step):
    hz = step * np.random.default_rng(0).integers(120 // step, 400 // step, 40)
    found = label_grid([Note(i, i + 0.5, float(hz_to_pitch(one))) for i, one in enumerate(hz)])
    assert found["step_hz"] == pytest.approx(step, abs=0.04)
    assert found["share"] == 1.0


@pytest.mark.parametrize("seed", range(5))
def test_pitches_as_sung_lie_on_no_grid(seed):
    pitches = np.random.default_rng(seed).uniform(48, 72, 40)
    assert label_grid([Note(i, i + 0.5, pitch) for i, pitch in enumerate(pitches.tolist())]) == {}


def test_a_constant_in_hz_shows_as_one_at_every_pitch():
    heard = [Note(0, 1, pitch) for pitch in (45.0, 62.0, 75.0)]
    hz = [440 * 2 ** ((note.pitch - 69) / 12) + 4 for note in heard]
    rows = bias_by_pitch([(Note(0, 1, float(hz_to_pitch(one))), note) for one, note in zip(hz, heard, strict=True)])
    assert [row["hz"] for row in rows] == [4.0, 4.0, 4.0]
    assert rows[0]["cents"] > 2 * rows[1]["cents"] > 2 * rows[2]["cents"]


def test_what_sharp_labels_allow_an_answer_in_tune(tmp_path):
    pitches = (57.0, 60.0, 64.0, 62.0)
    sung = [Note(0.2 + i, 0.9 + i, pitch) for i, pitch in enumerate(pitches)]
    time = np.arange(4 * 16000) / 16000
    hz = 440 * 2 ** ((np.repeat(pitches, 16000) - 69) / 12)
    inside = (time % 1 > 0.2) & (time % 1 < 0.9)
    tone = sum(np.sin(2 * np.pi * k * np.cumsum(hz) / 16000) / k for k in range(1, 9))
    soundfile.write(tmp_path / "tone.wav", 0.2 * tone * inside, 16000)
    labelled = [*sung[:3], replace(sung[3], pitch=63.0)]
    one = recording("tone", "x", [labelled[0], *moved(labelled[1:], semitones=0.6)])
    found = ceilings([replace(one, path=tmp_path / "tone.wav", corrected=labelled)])
    assert found[CONSTANTS][PUBLISHED]["con"]["mean"] == 1.0
    assert found[CONSTANTS][PUBLISHED]["conp"]["mean"] == 0.25
    assert found[MEASURED][PUBLISHED]["conp"]["mean"] == 0.25, "the others are over half a semitone off their labels"
    assert found[MEASURED][CORRECTED]["conp"]["mean"] == 0.75, "three of four labels say what is sung"


# ------------------------------------------------------------------------------------------------------ who is measured


def folder_of_folds(path: Path, *held_out: list[str]) -> Path:
    for number, groups in enumerate(held_out):
        (path / str(number)).mkdir()
        (path / str(number) / "config.json").write_text(json.dumps({"held_out": groups}))
    return path


def test_each_fold_is_measured_on_what_it_held_out_and_nothing_else(tmp_path, capsys):
    known = [recording(name, name, melody(3), bias) for name, bias in (("a", 1.0), ("b", 2.0), ("c", 9.0))]
    system = folds_system(folder_of_folds(tmp_path, ["a"], ["b"]), known)
    assert [one.name for one in system.recordings] == ["a", "b"]
    assert system.folder_of["a"] == tmp_path / "0"
    assert system.bias_of["a"] == np.median([2.0, 9.0]), "without the recordings that it is measured on"
    assert "no model holds out c" in capsys.readouterr().err


def test_two_folds_that_hold_out_the_same_singer_are_refused(tmp_path):
    with pytest.raises(SystemExit, match="holds out a"):
        folds_system(folder_of_folds(tmp_path, ["a"], ["a", "b"]), [recording("a", "a", melody(3))])


# -------------------------------------------------------------------------------------------- mistakes, confidence


def test_mistakes_are_counted_to_100_labelled_notes():
    truth = melody(10)
    report = error_report(judge_all([recording("a", "x", truth)] * 2, [truth] * 2, [truth, truth[:5]]))
    assert report["kinds"]["right"]["mean"] == 75.0
    assert report["kinds"]["missed"] == {"mean": 25.0, "low": 0.0, "high": 50.0}
    assert report["traits"]["middle"]["notes"] == 20
    assert report["recordings"][0] == {
        "recording": "ssvd a",
        "notes": 10,
        "right_percent": 50.0,
        "mistakes": {"missed": 5},
    }


def test_an_onset_that_the_network_saw_is_told_from_one_that_it_did_not():
    truth = [Note(0.0, 0.5, 60), Note(0.5, 1.0, 60), Note(2.0, 2.5, 60), Note(3.0, 3.5, 60)]
    judged = judge_all([recording("a", "x", truth)], [truth], [[Note(0.0, 1.0, 60)]])
    curve = np.zeros(400, dtype=np.float32)
    curve[[0, 52, 200]] = 0.9, 0.8, 0.7  # the onsets of both notes that were merged, and of the first that was missed
    assert seen_report(judged, [curve]) == {
        "missed": {"notes": 2, "median": 0.35, "seen_percent": 50.0},
        "merged": {"notes": 1, "median": 0.8, "seen_percent": 100.0},
    }


def test_the_worst_excerpt_is_where_mistakes_crowd():
    truth = melody(40)
    heard = [note for note in truth if not 20 <= note.onset < 24]
    judged = judge_all([recording("a", "x", truth)], [truth], [heard])
    worst = worst_excerpts(judged)
    assert len(worst[0].mistakes) == 4
    assert worst[0].start <= 20.0
    assert all(abs(one.start - other.start) >= 6 for one in worst for other in worst if one is not other)
    assert isinstance(worst[0], Excerpt)


def test_confidence_that_is_true_has_no_calibration_error_and_a_threshold_drops_what_is_wrong():
    truth = melody(100)
    right = [Note(n.onset, n.offset, n.pitch, confidence=0.95) for n in truth[:95]]
    wrong = [Note(n.onset, n.offset, n.pitch + 3, confidence=0.95) for n in truth[95:]]
    sure = confidence_report([(truth, [*right, *wrong])] * 2)
    assert sure["calibration_error"]["mean"] == pytest.approx(0.0, abs=1e-6)
    assert sure["ranking"] == 0.5
    doubtful = [Note(n.onset, n.offset, n.pitch, confidence=0.2) for n in wrong]
    told = confidence_report([(truth, [*right, *doubtful])] * 2)
    assert told["ranking"] == 1.0
    assert told["thresholds"]["0.5"]["dropped"] == told["thresholds"]["0.5"]["dropped_wrong"] == 10
    assert told["thresholds"]["0.0"]["precision"] == 0.95
    assert told["thresholds"]["0.5"]["precision"] == 1.0
    assert told["thresholds"]["0.5"]["recall"] == 0.95
    assert told["calibration_error"]["mean"] == pytest.approx(0.95 * 0.05 + 0.05 * 0.2, abs=1e-4)


# ---------------------------------------------------------------------------------------------------------- report


def test_the_readme_keeps_its_words_around_the_tables(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{BEGIN}\nwhat was there\n{END}\nafter\n")
    found = figures([(melody(4), melody(4))] * 2)
    report = {"made": {"figures": dict.fromkeys(CONVENTIONS, found)}}
    write_report(tmp_path, report)
    write_report(tmp_path, report)
    text = readme.read_text()
    assert text.startswith(f"before\n{BEGIN}\n")
    assert text.endswith(f"{END}\nafter\n")
    assert "what was there" not in text
    assert "(a) made voices only, SSVD, as published | 1.000 [1.000, 1.000] / " in text
    assert (tmp_path / "table.md").read_text() in text
