"""The benchmark of live notes: counts and rows by hand, and a tracker that follows tails written by hand."""

from __future__ import annotations

import numpy as np
import pytest

from bench.transcription.live import Measured, counts, follow
from hf_model.live.comparison import compare
from hf_model.live.posteriors import Tail
from hf_model.live.tracker import TrackerConfig
from hf_model.notes.note import Note


def test_rows_have_shares_and_percentiles() -> None:
    final = [Note(1.0, 1.5, 60.0), Note(2.0, 2.5, 62.0)]
    found = compare({0: Note(1.0, 1.4, 60.0), 1: Note(1.5, 1.8, 61.0), 2: Note(2.0, 2.2, 64.0)}, final)
    measured = counts(found, final, 3)
    measured.add(
        Measured(
            seconds=10.0, cpu=4.0, audio=[0.1, 0.1], total=[0.12, 0.12], n_final=2, n_unannounced=1, n_other_pitch=2
        )
    )
    assert (
        measured.row("two")
        == "| two | 10 | 4 | 100 / 100 | 120 / 120 | 33.3 % | 66.7 % | 33.3 % | 25.0 % | 0.40 | all |"
    )


def test_latency_counts_the_audio_that_had_arrived() -> None:
    onset, voicing = np.zeros(40, np.float32), np.ones(40, np.float32)
    onset[10] = 0.9
    tails = [(known / 100, Tail(0, onset[:known], voicing[:known], np.full(known, 60.0))) for known in range(10, 41, 5)]
    measured = follow(TrackerConfig(hold_frames=8), tails, [Note(0.1, 0.4, 60.0), Note(3.0, 4.0, 60.0)])
    assert measured.audio == [pytest.approx(0.1)]  # 8 frames after the onset's are known with 20
    assert (measured.n_provisional, measured.n_withdrawn, measured.n_unannounced) == (1, 0, 1)
