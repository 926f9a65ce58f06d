"""Counts of errors by kind, trait and recording, and the excerpts with most errors."""

from __future__ import annotations

import numpy as np

from hf_model.evaluation.error_report import Transcription, error_report, onset_probabilities, worst_excerpts
from hf_model.evaluation.plots import save_excerpt
from hf_model.notes.note import Note
from tests.fakes import tones


def melody(n: int) -> list[Note]:
    """So many notes of half a second, a second apart."""
    return [Note(float(i), i + 0.5, 60.0) for i in range(n)]


def transcription(reference: list[Note], estimate: list[Note]) -> Transcription:
    return Transcription("ssvd", "a", reference, estimate)


def test_errors_are_counted_per_100_notes():
    notes = melody(10)
    report = error_report([transcription(notes, notes), transcription(notes, notes[:5])])
    assert report["kinds"]["right"]["mean"] == 75.0
    assert report["kinds"]["missed"] == {"mean": 25.0, "low": 0.0, "high": 50.0}
    assert report["traits"]["middle"]["notes"] == 20
    assert report["recordings"][0] == {
        "recording": "ssvd a",
        "notes": 10,
        "right_percent": 50.0,
        "mistakes": {"missed": 5},
    }


def test_onset_probability_at_onsets_that_were_not_found():
    reference = [Note(0.0, 0.5, 60), Note(0.5, 1.0, 60), Note(2.0, 2.5, 60), Note(3.0, 3.5, 60)]
    curve = np.zeros(400, dtype=np.float32)
    curve[[0, 52, 200]] = 0.9, 0.8, 0.7  # the onsets of both notes that were merged, and of the first that was missed
    assert onset_probabilities([transcription(reference, [Note(0.0, 1.0, 60)])], [curve]) == {
        "missed": {"notes": 2, "median": 0.35, "seen_percent": 50.0},
        "merged": {"notes": 1, "median": 0.8, "seen_percent": 100.0},
    }


def test_the_worst_excerpt_has_most_errors(tmp_path):
    reference = melody(40)
    estimate = [note for note in reference if not 20 <= note.onset < 24]
    worst = worst_excerpts([transcription(reference, estimate)])
    assert len(worst[0].errors) == 4
    assert worst[0].start <= 20.0
    assert all(abs(one.start - other.start) >= 6 for one in worst for other in worst if one is not other)
    voice, curves = (
        tones([60] * 60),
        {name: np.zeros(4000, dtype=np.float32) for name in ("onset", "offset", "voicing")},
    )
    save_excerpt(tmp_path / "worst.png", worst[0], voice, curves, 1)
    assert (tmp_path / "worst.png").read_bytes().startswith(b"\x89PNG")
