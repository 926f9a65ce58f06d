"""Posteriors to notes: synthetic posteriors of known notes, and properties for any posteriors."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hf_model.config import ConfigError
from hf_model.transcriber.decoding import DecoderConfig, Evidence, PitchAxis, decode

AXIS = PitchAxis(48.0, 1 / 6)
N_BINS = 144  # two octaves
RATE = 100.0


class SyntheticPosteriors:
    """Posteriors of a recording, written note by note; times in seconds."""

    def __init__(self, seconds: float) -> None:
        n_frames = round(seconds * RATE) + 1
        self.onset, self.offset, self.voicing = (np.full(n_frames, 0.01, dtype=np.float32) for _ in range(3))
        self.pitch = np.full((n_frames, N_BINS), 1 / N_BINS, dtype=np.float32)

    def peak(self, posterior: np.ndarray, seconds: float, height: float = 0.9) -> None:
        """Add a triangle of 60 ms around a time."""
        frames = np.arange(len(posterior))
        np.maximum(posterior, height * np.clip(1 - np.abs(frames - seconds * RATE) / 3, 0, None), out=posterior)

    def sound(self, onset: float, offset: float, pitch: float, probability: float = 0.97) -> None:
        """Add voicing and pitch, without onset and offset."""
        inside = slice(round(onset * RATE), round(offset * RATE))
        self.voicing[inside] = probability
        bell = np.exp(-0.5 * ((AXIS.lowest + AXIS.step * np.arange(N_BINS) - pitch) / 0.2) ** 2)
        self.pitch[inside] = bell / bell.sum()

    def note(self, onset: float, offset: float, pitch: float, height: float = 0.9) -> None:
        self.sound(onset, offset, pitch)
        self.peak(self.onset, onset, height)
        self.peak(self.offset, offset, height)

    def decode(self, **settings: float) -> list[tuple[float, float, float]]:
        """Onset, offset (s) and pitch of each note found, rounded to 10 ms and a tenth of a semitone."""
        config = DecoderConfig(**settings)
        found = decode(self.onset, self.offset, self.voicing, self.pitch, AXIS, RATE, config)
        return [(round(note.onset, 2), round(note.offset, 2), round(note.pitch, 1)) for note in found]


def test_one_note():
    posteriors = SyntheticPosteriors(2)
    posteriors.note(0.5, 1.2, 60)
    assert posteriors.decode() == [(0.5, 1.2, 60.0)]


def test_pitch_is_interpolated_between_bins():
    posteriors = SyntheticPosteriors(2)
    posteriors.note(0.5, 1.2, 60.37)
    (note,) = decode(posteriors.onset, posteriors.offset, posteriors.voicing, posteriors.pitch, AXIS, RATE)
    assert note.pitch == pytest.approx(60.37, abs=0.01)
    assert note.confidence > 0.9


@pytest.mark.parametrize(
    ("length", "gap", "held"),
    [(1.0, 0.2, 0.05), (1.0, 0.28, 0.07), (0.3, 0.2, 0.021), (1.0, 0.32, 0.0)],
    ids=["a quarter of the gap", "at most 7 % of the note", "a short note", "a rest"],
)
def test_offsets_are_extended_into_short_gaps(length, gap, held):
    posteriors = SyntheticPosteriors(3)
    posteriors.note(0.5, 0.5 + length, 60)
    posteriors.note(0.5 + length + gap, 2.5, 62)
    first, last = decode(posteriors.onset, posteriors.offset, posteriors.voicing, posteriors.pitch, AXIS, RATE)
    assert first.offset == pytest.approx(0.5 + length + held, abs=0.002)
    assert last.offset == pytest.approx(2.5, abs=0.002)


def test_the_delay_of_offsets_in_rooms_is_corrected():
    posteriors = SyntheticPosteriors(2)
    posteriors.note(0.5, 1.2, 60)
    frames = np.arange(len(posteriors.offset))
    ends = []
    for spread in (0.01, 0.03):
        posteriors.offset = (0.7 * np.exp(-0.5 * ((frames / RATE - 1.2) / spread) ** 2)).astype(np.float32)
        (note,) = decode(posteriors.onset, posteriors.offset, posteriors.voicing, posteriors.pitch, AXIS, RATE)
        ends.append(note.offset)
    assert ends[0] == pytest.approx(1.2, abs=0.001)
    assert ends[1] == pytest.approx(1.2 - 0.77 * (0.03 - 0.018), abs=0.001)


def test_onsets_are_interpolated_between_frames():
    posteriors = SyntheticPosteriors(2)
    posteriors.note(0.5035, 1.2, 60)
    (note,) = decode(posteriors.onset, posteriors.offset, posteriors.voicing, posteriors.pitch, AXIS, RATE)
    assert note.onset == pytest.approx(0.5035, abs=0.002)
    assert {type(value) for value in (note.onset, note.offset, note.pitch, note.confidence)} == {float}


def test_two_close_onset_peaks_give_an_onset_in_between():
    posteriors = SyntheticPosteriors(2)
    posteriors.note(0.5, 1.2, 60, 0.7)
    posteriors.peak(posteriors.onset, 0.42, 0.5)
    ((onset, _, _),) = posteriors.decode()
    assert 0.45 <= onset <= 0.47


def test_of_two_distant_onset_peaks_the_higher_is_chosen():
    posteriors = SyntheticPosteriors(2)
    posteriors.note(0.5, 1.2, 60, 0.7)
    posteriors.peak(posteriors.onset, 0.36, 0.4)
    assert [note[0] for note in posteriors.decode()] == [0.5]


def test_onsets_of_two_notes_do_not_attract_each_other():
    posteriors = SyntheticPosteriors(2)
    posteriors.note(0.5, 0.58, 60)
    posteriors.note(0.58, 0.66, 62)
    assert [note[0] for note in posteriors.decode()] == [0.5, 0.58]


@pytest.mark.parametrize("n_frames", [1, 2, 3, 500])
def test_silence_gives_nothing(n_frames):
    assert SyntheticPosteriors((n_frames - 1) / RATE).decode() == []


def test_weak_peaks_in_silence_are_no_note():
    posteriors = SyntheticPosteriors(2)
    posteriors.peak(posteriors.onset, 0.5, 0.3)
    posteriors.peak(posteriors.offset, 0.9, 0.3)
    assert posteriors.decode() == []


@pytest.mark.parametrize(("gap", "held"), [(0.0, 0.0), (0.02, 0.005), (0.1, 0.025)])
def test_repeated_notes_on_one_pitch_are_not_merged(gap, held):
    posteriors = SyntheticPosteriors(3)
    for onset in (0.5, 1.0, 1.5):
        posteriors.note(onset, onset + 0.5 - gap, 60)
    ends = [1.0 - gap + held, 1.5 - gap + held, 2.0 - gap]
    assert posteriors.decode() == [
        (onset, pytest.approx(end, abs=0.011), 60.0) for onset, end in zip((0.5, 1.0, 1.5), ends, strict=True)
    ]


def test_a_repeated_note_needs_no_pause_in_voicing():
    posteriors = SyntheticPosteriors(3)
    posteriors.sound(0.5, 1.5, 60)
    for curve, at, height in (
        (posteriors.onset, 0.5, 0.9),
        (posteriors.onset, 1.0, 0.8),
        (posteriors.offset, 1.5, 0.9),
    ):
        posteriors.peak(curve, at, height)
    posteriors.peak(posteriors.offset, 1.0, 0.5)
    assert [note[0] for note in posteriors.decode()] == [0.5, 1.0]


def test_one_tone_is_not_divided():
    posteriors = SyntheticPosteriors(3)
    posteriors.note(0.5, 2.5, 60)
    posteriors.peak(posteriors.onset, 1.3, 0.1)
    assert posteriors.decode() == [(0.5, 2.5, 60.0)]


@pytest.mark.parametrize("step", [1, 2, 12])
def test_two_pitches_without_a_pause_are_two_notes(step):
    posteriors = SyntheticPosteriors(3)
    posteriors.note(0.5, 1.0, 64)
    posteriors.note(1.0, 1.6, 64 - step)
    assert posteriors.decode() == [(0.5, 1.0, 64.0), (1.0, 1.6, 64.0 - step)]


def test_the_pitch_of_a_note_ignores_the_glide_into_it():
    posteriors = SyntheticPosteriors(2)
    posteriors.note(0.5, 1.3, 62)
    for frame, pitch in enumerate(np.linspace(60.5, 62, 10)):
        posteriors.sound(0.5 + frame / RATE, 0.51 + frame / RATE, pitch)
    assert posteriors.decode() == [(0.5, 1.3, 62.0)]


def test_the_pitch_of_a_note_ignores_both_ends():
    posteriors = SyntheticPosteriors(2)
    posteriors.note(0.5, 1.5, 62)
    posteriors.sound(0.5, 0.68, 61.2)
    posteriors.sound(1.32, 1.5, 61.2)
    assert posteriors.decode() == [(0.5, 1.5, 62.0)]


def test_the_pitch_of_a_note_ignores_a_short_deviation():
    posteriors = SyntheticPosteriors(2)
    posteriors.note(0.5, 1.5, 62)
    posteriors.sound(0.9, 1.0, 61.2)
    assert posteriors.decode() == [(0.5, 1.5, 62.0)]


def test_a_change_of_pitch_alone_can_divide_notes():
    posteriors = SyntheticPosteriors(2)
    posteriors.sound(0.5, 1.0, 60)
    posteriors.sound(1.0, 1.5, 65)
    for at, begins, ends in ((0.5, 0.9, 0.0), (1.0, 0.2, 0.2), (1.5, 0.0, 0.9)):
        posteriors.peak(posteriors.onset, at, begins)
        posteriors.peak(posteriors.offset, at, ends)
    assert len(posteriors.decode(pitch_weight=3.0)) == 2
    assert len(posteriors.decode(pitch_weight=0.01)) == 1


def test_the_pitch_of_a_note_ignores_a_short_octave_error():
    posteriors = SyntheticPosteriors(2)
    posteriors.note(0.4, 1.4, 55)
    posteriors.sound(0.7, 0.85, 67)
    assert posteriors.decode() == [(0.4, 1.4, 55.0)]


def test_notes_shorter_than_the_minimum_are_not_found():
    posteriors = SyntheticPosteriors(2)
    posteriors.note(0.5, 0.55, 60)
    assert posteriors.decode(min_duration=0.08) == []
    assert len(posteriors.decode(min_duration=0.04)) == 1


def test_notes_at_both_ends_of_the_recording():
    posteriors = SyntheticPosteriors(1)
    posteriors.note(0.0, 0.4, 60)
    posteriors.note(0.6, 1.0, 62)
    assert [note[2] for note in posteriors.decode()] == [60.0, 62.0]
    assert posteriors.decode()[0][0] <= 0.01
    assert 0.98 <= posteriors.decode()[1][1] <= 1.0


def confidences(posteriors):
    arguments = (posteriors.onset, posteriors.offset, posteriors.voicing, posteriors.pitch, AXIS, RATE)
    return [note.confidence for note in decode(*arguments, DecoderConfig(confidence=(0.0, 1.0, 1.0, 1.0, 0.0)))]


def test_a_note_cut_by_the_start_is_as_certain_as_others():
    posteriors = SyntheticPosteriors(1)
    posteriors.sound(0.0, 0.4, 60)
    posteriors.peak(posteriors.offset, 0.4)
    posteriors.note(0.6, 0.9, 62)
    first, second = confidences(posteriors)
    assert first > 0.95
    assert second > 0.95
    later = SyntheticPosteriors(1)  # a weak onset that was not at the start stays a weak one
    later.note(0.1, 0.5, 60, height=0.1)
    assert confidences(later)[0] < first


def test_tones_over_the_maximum_are_divided_at_candidates():
    posteriors = SyntheticPosteriors(10)
    posteriors.note(0.5, 9.5, 60)
    assert len(posteriors.decode(max_duration=6.0)) == 1, "without a candidate it is not divided"
    posteriors.peak(posteriors.onset, 5.0, 0.2)
    assert [note[0] for note in posteriors.decode(max_duration=6.0)] == [0.5, 5.0]
    assert len(posteriors.decode()) == 1


def test_a_higher_cost_finds_fewer_notes():
    posteriors = SyntheticPosteriors(4)
    for number, height in enumerate((0.9, 0.7, 0.5)):
        posteriors.note(0.5 + number, 1.0 + number, 60, height)
    counts = [len(posteriors.decode(note_cost=cost)) for cost in (-4.0, 2.5, 6.0, 400.0)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] == 3
    assert counts[-1] == 0


def test_fast_notes_with_late_offsets_do_not_overlap():
    posteriors = SyntheticPosteriors(1)
    for number in range(8):
        posteriors.note(0.1 + 0.08 * number, 0.18 + 0.08 * number, 60 + number % 2)
    posteriors.offset = np.roll(posteriors.offset, 2)
    found = posteriors.decode()
    assert len(found) == 8
    assert all(one[1] <= other[0] for one, other in itertools.pairwise(found))


def test_settings_are_checked():
    with pytest.raises(ConfigError, match=r"min_duration is 0\.0, allowed is 0\.01 to 1\.0"):
        DecoderConfig(min_duration=0.0)
    with pytest.raises(ConfigError, match=r"max_duration is 0\.01"):
        DecoderConfig(max_duration=0.01)
    with pytest.raises(ConfigError, match="candidate"):
        DecoderConfig(candidate=0.0)


frames = st.integers(1, 120)
probability = st.floats(0, 1, width=32)


@st.composite
def posteriors(draw):
    """Draw any posteriors, also plateaus and probabilities of 0 and 1."""
    n_frames = draw(frames)
    posteriors = [draw(arrays(np.float32, n_frames, elements=probability, fill=probability)) for _ in range(3)]
    bins = draw(arrays(np.int64, n_frames, elements=st.integers(0, 17), fill=st.integers(0, 17)))
    certainty = draw(st.sampled_from([0.0, 0.5, 1.0]))
    return (*posteriors, (certainty * np.eye(18)[bins] + (1 - certainty) / 18).astype(np.float32))


settings_of = st.builds(
    DecoderConfig,
    onset_weight=st.floats(0.2, 3),
    offset_weight=st.floats(0.1, 3),
    voicing_weight=st.floats(0.05, 3),
    pitch_weight=st.floats(0.05, 3),
    note_cost=st.floats(-4, 6),
    missed_onset_weight=st.floats(0, 3),
    min_duration=st.sampled_from([0.01, 0.06, 0.3]),
    max_duration=st.sampled_from([1.0, 12.0]),
)


@given(posteriors(), settings_of)
def test_notes_are_sorted_apart_and_within_the_recording(given_, config):
    notes = decode(*given_, AXIS, RATE, config)
    duration = (len(given_[0]) - 1) / RATE
    for note in notes:
        assert 0 <= note.onset < note.offset <= duration + 1e-9
        assert AXIS.lowest <= note.pitch <= AXIS.lowest + 17 * AXIS.step + 1e-6
    for one, other in itertools.pairwise(notes):
        assert one.offset <= other.onset
    assert decode(*given_, AXIS, RATE, config) == notes


@given(posteriors(), settings_of)
def test_scaling_all_weights_changes_nothing(given_, config):
    names = ("onset_weight", "offset_weight", "voicing_weight", "pitch_weight", "note_cost", "missed_onset_weight")
    doubled = replace(config, **{name: 2 * getattr(config, name) for name in names})
    assert decode(*given_, AXIS, RATE, doubled) == decode(*given_, AXIS, RATE, config)


@given(posteriors(), settings_of, settings_of)
def test_evidence_is_reused_for_other_weights(given_, config, other):
    evidence = Evidence(*given_, AXIS, RATE, config)
    alike = replace(other, min_duration=config.min_duration, max_duration=config.max_duration)
    assert evidence.decode(alike) == decode(*given_, AXIS, RATE, alike)
    assert evidence.decode(config) == decode(*given_, AXIS, RATE, config)
    with pytest.raises(ValueError, match="cannot change later"):
        evidence.decode(replace(config, candidate=0.3))


@given(st.lists(st.tuples(st.integers(8, 60), st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=8))
def test_every_clear_melody_is_found(melody):
    posteriors = SyntheticPosteriors(sum(length + rest for length, rest, _ in melody) / RATE + 1)
    at, written, held = 0.3, [], []
    for length, rest, pitch in melody:
        written.append((at, at + length / RATE, 50.0 + pitch))
        held.append(min(0.25 * rest, 0.07 * length) / RATE)
        posteriors.note(*written[-1])
        at += (length + rest) / RATE
    held[-1] = 0.0  # nothing follows the last note
    found = posteriors.decode()
    assert [note[2] for note in found] == [note[2] for note in written]
    for one, other, longer in zip(found, written, held, strict=True):
        assert abs(one[0] - other[0]) <= 0.021
        assert abs(one[1] - other[1] - longer) <= 0.031
