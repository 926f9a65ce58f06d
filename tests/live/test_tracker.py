"""Provisional notes from posteriors that are written by hand."""

from __future__ import annotations

import numpy as np
import pytest

from hf_model.config import ConfigError
from hf_model.live.tracker import NoteTracker, TrackerConfig

FRAMES = 100


def posteriors(*notes: tuple[int, int, float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Onset, voicing and pitch of notes (first frame, frame after the last, pitch)."""
    onset, voicing, pitch = np.zeros(FRAMES), np.zeros(FRAMES), np.full(FRAMES, 20.0)
    for first, stop, key in notes:
        onset[max(0, first - 1) : first + 2] = 0.4, 0.9, 0.4
        voicing[first:stop] = 1.0
        pitch[first:stop] = key
    return onset, voicing, pitch


def follow(tracker: NoteTracker, parts: tuple[np.ndarray, np.ndarray, np.ndarray]) -> list[tuple[str, int, int, float]]:
    """Give the posteriors two frames at a time, as they become known; each change with the frames known by then."""
    changes = []
    for known in range(2, FRAMES + 1, 2):
        first = max(0, known - 50)
        for kind, note in tracker.update(first, *(part[first:known] for part in parts)):
            at = note.onset if note.offset is None else note.offset
            changes.append((kind, known, at, note.pitch))
    return changes


def test_a_note_begins_with_a_stable_pitch_and_ends() -> None:
    changes = follow(NoteTracker(TrackerConfig(hold_frames=8, silence_frames=5)), posteriors((10, 40, 60.2)))
    assert changes == [("on", 20, 10, 60.2), ("off", 46, 41, 60.2)]  # known in steps of two frames


def test_repeated_notes_are_told_apart_by_their_onsets() -> None:
    changes = follow(NoteTracker(), posteriors((10, 40, 60.0), (40, 70, 60.0), (70, 99, 60.0)))
    assert [(kind, at) for kind, _, at, _ in changes] == [
        ("on", 10), ("off", 40), ("on", 40), ("off", 70), ("on", 70),
    ]  # fmt: skip


def test_a_soft_onset_needs_another_pitch() -> None:
    onset, voicing, pitch = posteriors((10, 40, 60.0), (40, 70, 60.0), (70, 99, 62.0))
    onset[35:] *= 0.4  # of .9
    changes = follow(NoteTracker(TrackerConfig(onset=0.5, soft_onset=0.3)), (onset, voicing, pitch))
    assert [(kind, at) for kind, _, at, _ in changes] == [("on", 10), ("off", 70), ("on", 70)]


def test_noise_without_a_stable_pitch_is_no_note() -> None:
    onset, voicing, pitch = posteriors((10, 60, 60.0))
    pitch[10:60] += 5.0 * (np.arange(50) % 2)
    assert follow(NoteTracker(), (onset, voicing, pitch)) == []


def test_an_onset_without_voice_is_no_note() -> None:
    onset, voicing, pitch = posteriors((10, 60, 60.0))
    assert follow(NoteTracker(), (onset, 0.3 * voicing, pitch)) == []


def test_a_slide_into_a_note_is_corrected_once() -> None:
    onset, voicing, pitch = posteriors((10, 70, 60.0))
    pitch[30:70] = 62.0
    changes = follow(NoteTracker(TrackerConfig()), (onset, voicing, pitch))
    assert [(kind, value) for kind, _, _, value in changes] == [("on", 60.0), ("pitch", 62.0), ("off", 62.0)]
    assert changes[1][1] == 54  # 16 frames at 60, from the fifth of the note on, are less than 60 % of 40


def test_an_onset_whose_pitch_settles_too_late_is_dropped() -> None:
    onset, voicing, pitch = posteriors((10, 90, 60.0))
    pitch[10:60] += 5.0 * (np.arange(50) % 2)
    assert follow(NoteTracker(TrackerConfig(patience_frames=30)), (onset, voicing, pitch)) == []


def test_the_end_of_the_recording_ends_the_note() -> None:
    tracker = NoteTracker()
    follow(tracker, posteriors((60, 100, 64.0)))
    ((kind, note),) = tracker.finish(100)
    assert (kind, note.onset, note.offset) == ("off", 60, 100)
    assert tracker.finish(100) == []


@pytest.mark.parametrize(
    "wrong", [{"onset": 0.0}, {"onset": 0.2}, {"hold_frames": 1}, {"patience_frames": 3}, {"agreement": 1.5}]
)
def test_thresholds_have_ranges(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        TrackerConfig(**wrong)  # type: ignore[arg-type]
