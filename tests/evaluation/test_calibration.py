"""Confidences compared with the share of correct notes."""

from __future__ import annotations

import math

import pytest

from hf_model.evaluation.calibration import calibration_report
from hf_model.evaluation.plots import save_reliability
from hf_model.notes.note import Note

REFERENCE = [Note(float(i), i + 0.5, 60.0) for i in range(100)]
RIGHT = [Note(n.onset, n.offset, n.pitch, confidence=0.95) for n in REFERENCE[:95]]


def wrong(confidence: float) -> list[Note]:
    return [Note(n.onset, n.offset, n.pitch + 3, confidence=confidence) for n in REFERENCE[95:]]


def test_true_confidences_have_no_calibration_error():
    report = calibration_report([(REFERENCE, [*RIGHT, *wrong(0.95)])] * 2)
    assert report["calibration_error"]["mean"] == pytest.approx(0.0, abs=1e-6)
    assert report["ranking"] == 0.5
    assert [one["notes"] for one in report["bins"]] == [200]


def test_a_threshold_removes_wrong_notes():
    report = calibration_report([(REFERENCE, [*RIGHT, *wrong(0.2)])] * 2)
    assert report["ranking"] == 1.0
    assert report["thresholds"]["0.5"]["dropped"] == report["thresholds"]["0.5"]["dropped_wrong"] == 10
    assert report["thresholds"]["0.0"]["precision"] == 0.95
    assert report["thresholds"]["0.5"]["precision"] == 1.0
    assert report["thresholds"]["0.5"]["recall"] == 0.95
    assert report["calibration_error"]["mean"] == pytest.approx(0.95 * 0.05 + 0.05 * 0.2, abs=1e-4)


def test_a_single_recording_without_wrong_notes(tmp_path):
    report = calibration_report([(REFERENCE[:95], RIGHT)])
    assert math.isnan(report["ranking"])
    assert report["bins"][0]["right"] == {"mean": 1.0, "low": 1.0, "high": 1.0}
    save_reliability(tmp_path / "r.png", {"ssvd": report, "csd": report})
    assert (tmp_path / "r.png").read_bytes().startswith(b"\x89PNG")
