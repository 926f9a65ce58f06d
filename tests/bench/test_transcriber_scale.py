"""Trainings on days of made singing: arrays that are read while they fill, and crops that are drawn anew."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from hf_model.corpora.records import ScoreRecord
from hf_model.corpora.score_file import SCORE_FILE, write_scores
from hf_model.notes.note import Note
from hf_model.singer.composition import compose, phrase_from_song
from hf_model.singer.synthesis import sing
from hf_model.training.fit_config import FitConfig

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))

from scale_voices import OTHER_VOICES, PHRASE_SECONDS, Voices, make_voices, open_voices  # noqa: E402
from transcriber_scale import Crops  # noqa: E402


@pytest.fixture
def voices(tmp_path: Path) -> Voices:
    """Two of three phrases are there; every sample says its phrase and its place."""
    found = open_voices(tmp_path / "voices", 3)
    for phrase in (0, 1):
        found.lengths[phrase] = 5 * 16000
        found.audio[phrase, : 5 * 16000] = 10000 * (phrase + 1) + np.arange(5 * 16000) // 16
        found.notes[phrase, :2] = [[0.5, 1.0, 60.0, 80.0], [3.0, 4.5, 62.0, 80.0]]
    return found


def test_a_crop_holds_the_notes_that_sound_in_it_at_their_times(voices: Voices) -> None:
    audio, notes = voices.crop(1, 16000, 32000)  # from 1 to 3 s: the first note has ended, the second begins at its end
    assert audio[0] == 20000 + 1000
    assert not notes[:, 2].any()
    _, notes = voices.crop(1, 15200, 33600)  # from 0.95 to 3.05 s
    assert notes[:2] == pytest.approx(np.array([[-0.45, 0.05, 60.0, 80.0], [2.05, 3.55, 62.0, 80.0]]))


def test_a_step_is_the_same_wherever_the_interval_begins_and_takes_what_is_ready(voices: Voices) -> None:
    fit = FitConfig(steps=7, batch_size=8, crop_frames=100, validate_every=4)
    whole = list(Crops([voices], 2, fit, lambda: 0))
    assert len(whole) == len(Crops([voices], 2, fit, lambda: 0)) == 4
    assert len(list(Crops([voices], 2, fit, lambda: 4))) == len(Crops([voices], 2, fit, lambda: 4)) == 3
    late = next(iter(Crops([voices], 2, fit, lambda: 3)))
    assert all(whole[3][name].equal(late[name]) for name in late)
    assert whole[0]["voice"].shape == (8, 99 * 160)
    phrases = {int(row[0]) // 10000 for batch in whole for row in batch["voice"]}
    assert phrases == {1, 2}, "both that are there, and not the empty one"
    starts = {int(row[0]) % 10000 for batch in whole for row in batch["voice"]}
    assert len(starts) > 20


def test_voices_take_turns(voices: Voices, tmp_path: Path) -> None:
    others = open_voices(tmp_path / "others", 3)
    others.lengths[:] = 5 * 16000
    fit = FitConfig(steps=1, batch_size=6, crop_frames=100, validate_every=1)
    (batch,) = Crops([voices, others], 4, fit, lambda: 0)
    assert [bool(row.any()) for row in batch["voice"]] == [True, False] * 3
    assert len(list(Crops([others], 99, fit, lambda: 0))) == 1, "there are three phrases, however many are asked for"


def test_made_voices_are_those_of_the_singer_on_melodies_of_both_kinds(tmp_path: Path) -> None:
    song = [Note(0.5 * i, 0.5 * i + 0.4, 60.0 + i % 5) for i in range(40)]
    write_scores(tmp_path / "pop909" / SCORE_FILE, [ScoreRecord("pop909", "001", "MIT", song)])
    make_voices(tmp_path / "voices", 2, tmp_path, seed=1, workers=1)
    made, seeds = open_voices(tmp_path / "voices"), (1_000_003, 1_000_004 + OTHER_VOICES)
    scores = compose(seeds[0], PHRASE_SECONDS), phrase_from_song(song, seeds[1], PHRASE_SECONDS)
    for phrase, (score, seed) in enumerate(zip(scores, seeds, strict=True)):
        truth = sing(score, seed)
        assert made.lengths[phrase] == len(truth.audio)
        assert made.audio[phrase, : len(truth.audio)] == pytest.approx(32767 * truth.audio, abs=0.51)
        assert made.notes[phrase, : len(truth.notes), 0] == pytest.approx([note.onset for note in truth.notes])
        assert not made.notes[phrase, len(truth.notes) :].any()
