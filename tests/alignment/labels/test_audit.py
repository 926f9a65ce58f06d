"""The audit of labels on voices whose notes are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench.transcription.audit import shifted, transposed, wrong_pitches
from hf_model.alignment.labels.audit import audit_labels, describe
from hf_model.audio.pitch_tracking import FRAME_RATE, track
from hf_model.audio.resampling import resample
from hf_model.notes.note import Note
from hf_model.singer.composition import compose
from hf_model.singer.synthesis import sing


@pytest.fixture(scope="module")
def voice():
    """The pitch track and the notes of a made phrase."""
    song = sing(compose(4, 12.0), 4)
    return track(resample(song.audio, song.sample_rate, 16_000)), list(song.notes)


def test_good_labels_fit(voice):
    found = audit_labels(*voice, "a")
    assert found.faults == ()
    assert found.agreement > 0.8
    assert found.describe() == "a: fits"


def test_octave_and_transposition_are_measured(voice):
    pitch, notes = voice
    octave, third = (audit_labels(pitch, transposed(notes, step), "a") for step in (12, -3))
    assert (octave.faults, octave.transposition) == (("octave",), 12)
    assert (third.faults, third.transposition) == (("transposition",), -3)
    assert octave.describe() == "a: 1 octave too high"
    assert third.describe() == "a: 3 semitones too low"


@pytest.mark.parametrize("seconds", [0.4, -0.3])
def test_shift_is_measured(voice, seconds):
    pitch, notes = voice
    found = audit_labels(pitch, shifted(notes, seconds))
    assert found.faults == ("shift",)
    assert found.shift == pytest.approx(seconds, abs=0.05)


def test_missing_notes_are_listed(voice):
    pitch, notes = voice
    gone = list(notes[2:9:2])
    found = audit_labels(pitch, [note for note in notes if note not in gone])
    assert found.faults == ("missing notes",)
    assert all(min(abs(onset - note.onset) for note in gone) < 0.2 for onset in found.missing)


def test_wrong_pitches_are_listed(voice):
    pitch, notes = voice
    found = audit_labels(pitch, wrong_pitches(notes, 0.25, np.random.default_rng(0)))
    assert found.faults == ("disagreement",)


def test_faults_that_occur_together_are_found_together(voice):
    pitch, notes = voice
    found = audit_labels(pitch, shifted(transposed(notes, 12), 0.5))
    assert set(found.faults) == {"octave", "shift"}


def test_report_counts_faults(voice):
    pitch, notes = voice
    lines = describe([audit_labels(pitch, notes, "good"), audit_labels(pitch, transposed(notes, -12), "low")])
    assert lines[0].startswith("low: 1 octave too low")
    assert lines[-1] == f"2 recordings, {2 * len(notes)} notes: octave in 1"


def test_silence_and_few_labels_are_no_error(voice):
    pitch, notes = voice
    assert audit_labels(pitch, notes[:1]).n_notes == 1
    silent = replace(pitch, clarity=np.zeros_like(pitch.clarity))
    assert audit_labels(silent, [Note(0.0, 1.0, 60.0)]).agreement == 0.0


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_untracked_voices_are_not_judged(voice, share):
    pitch, notes = voice
    seen = np.random.default_rng(0).random(len(pitch.clarity)) < share
    hidden = replace(pitch, clarity=np.where(seen, pitch.clarity, 0.0))
    for labels in (notes, transposed(notes, 5), notes[::2]):
        found = audit_labels(hidden, labels, "breath")
        assert not found.is_judged
        assert found.faults == ()
        assert found.describe().startswith("breath: not judged: ")
    assert describe([found])[0] == found.describe()


def test_hisses_are_no_missing_notes(voice):
    pitch, notes = voice
    gone = notes[2:9:2]
    kept = [note for note in notes if note not in gone]
    assert audit_labels(pitch, kept).faults == ("missing notes",)
    f0 = pitch.f0.copy()
    for note in gone:
        f0[round(note.onset * FRAME_RATE) : round(note.offset * FRAME_RATE)] = 3000.0
    assert audit_labels(replace(pitch, f0=f0), kept).faults == ()


def test_notes_cut_by_a_shift_are_not_missing(voice):
    pitch, notes = voice
    begin = notes[3].onset + 0.05
    found = audit_labels(pitch, shifted(notes, -min(begin, 1.4)))
    assert found.faults == ("shift",)
