"""Takes of strangers whose notes people labelled, beside the score that was meant, in another key and tempo."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hf_model.inference import transcribe
from hf_model.notes.note import Note
from hf_model.practice.comparison import compare

PIANO_KEY = 20
"""MIDI number minus piano key, which the labels count."""


def rows(path: Path) -> list[list[float]]:
    lines = [line.split() for line in path.read_text().splitlines()[1:]]
    return [[float(value) for value in line] for line in lines if line]


@pytest.mark.data
@pytest.mark.parametrize("name", ["1201", "366"])
def test_labelled_deviations_are_found(mirror: Path, name: str) -> None:
    labels = mirror / "hust_solfege"
    onsets = [row[0] for row in rows(labels / "onset&pitch" / f"{name}.txt")]
    pitches = rows(labels / "alignment" / f"{name}.txt")
    sung, meant = (np.array(column) + PIANO_KEY for column in zip(*pitches, strict=True))
    ends = [*onsets[1:], onsets[-1] + 0.5]
    score = [Note(0.8 * a, 0.8 * b - 0.01, key + 5.0) for a, b, key in zip(onsets, ends, meant, strict=True)]
    found = compare(transcribe(mirror / "ssvd" / "train&valid" / f"{name}.flac", source="voice"), score)
    assert found.transposition == -5
    assert found.speed == pytest.approx(0.8, abs=0.005)
    assert len(found.of_status("sung")) == len(score)
    assert not found.of_status("extra")
    by_number = {note.number: note for note in found.of_status("sung")}
    off = np.array([by_number[k + 1].cents - 100 * (sung[k] - meant[k]) for k in range(len(score))])
    late = np.array([by_number[k + 1].milliseconds for k in range(len(score))])
    assert np.median(np.abs(off - np.median(off))) < 12, "cents, apart from the tuning of the labels"
    assert np.median(np.abs(late)) < 12, "milliseconds"
