"""Takes with planted mistakes beside their score: what was planted is found, in any key and at any tempo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_model.inference import transcribe
from hf_model.lyrics.singing import SingingRenderer
from hf_model.notes.note import Note
from hf_model.practice.comparison import Comparison, compare
from hf_model.practice.matching import MAX_NOTES, PracticeError, match
from hf_model.practice.smoothing import smooth

TWINKLE = (62, 62, 69, 69, 71, 71, 69, 67, 67, 66, 66, 64, 64, 62)


def written(times: int = 1) -> list[Note]:
    notes, at = [], 0.0
    for number, key in enumerate(TWINKLE * times):
        length = 1.0 if number % 7 == 6 else 0.5
        notes.append(Note(at, at + 0.9 * length, float(key)))
        at += length
    return notes


def sing(
    score: Sequence[Note],
    shift: float = 0.0,
    speed: float = 1.0,
    cents: Mapping[int, float] | None = None,
    late: Mapping[int, float] | None = None,
    missed: Sequence[int] = (),
    extra: Sequence[Note] = (),
    drift: float = 0.0,
) -> list[Note]:
    """Sing a score with mistakes, by the index of the note: cents, and milliseconds; the drift in cents."""
    notes, end = [], score[-1].offset
    for number, note in enumerate(score):
        if number in missed:
            continue
        onset = 0.5 + note.onset / speed + (late or {}).get(number, 0.0) / 1000
        off = (cents or {}).get(number, 0.0) + drift * note.onset / end
        notes.append(Note(onset, onset + 0.75 * note.duration / speed, note.pitch + shift + off / 100))
    return sorted([*notes, *extra])


def numbers(comparison: Comparison, status: str) -> list[int | None]:
    return [note.number for note in comparison.of_status(status)]


SINGERS = {
    "alto": ("alto", 0.0, 1.0),
    "alto in another key, slower": ("alto", -5.0, 0.85),
    "tenor an octave lower, sharp": ("tenor", -11.8, 1.1),
}


@pytest.mark.parametrize(("voice", "shift", "speed"), SINGERS.values(), ids=SINGERS)
def test_a_made_voice_gets_its_mistakes_back(voice: str, shift: float, speed: float) -> None:
    score = written()
    cents, late = {3: 45.0, 9: -60.0}, {5: 110.0, 10: -90.0}
    notes = sing(score, shift, speed, cents, late, missed=(7,), extra=[Note(11.0, 11.4, 66.0 + shift)])
    audio = SingingRenderer(voice).render(notes, 44100 * 12)
    found = compare(transcribe(audio, 44100, source="voice"), score)
    assert found.transposition == round(shift)
    assert found.tuning == pytest.approx(shift - round(shift), abs=0.12)
    assert found.speed == pytest.approx(speed, rel=0.01)
    assert numbers(found, "missed") == [8]
    (added,) = found.of_status("extra")
    assert added.sung
    assert added.sung.onset == pytest.approx(11.0, abs=0.05)
    for note in found.of_status("sung"):
        number = (note.number or 0) - 1
        assert note.cents == pytest.approx(cents.get(number, 0.0), abs=20), note
        assert note.milliseconds == pytest.approx(late.get(number, 0.0), abs=30), note


@settings(max_examples=20)
@given(st.floats(-20, 20), st.floats(0.6, 1.6), st.integers(0, 41))
def test_key_and_tempo_do_not_matter(shift: float, speed: float, wrong: int) -> None:
    score = written(3)
    found = compare(sing(score, shift, speed, {wrong: 40.0}, {wrong: 80.0}), score)
    assert found.transposition + found.tuning == pytest.approx(shift)
    assert abs(found.tuning) <= 0.5
    assert found.speed == pytest.approx(speed, rel=1e-3)
    off = {note.number: (note.cents, note.milliseconds) for note in found.notes}
    assert off.pop(wrong + 1) == pytest.approx((40.0, 80.0), abs=1e-3)
    assert all(values == pytest.approx((0.0, 0.0), abs=1e-3) for values in off.values())


@pytest.mark.parametrize("missed", [(0,), (1, 12, 25), (13, 14), (41,)])
def test_missed_notes_are_named_also_among_equals(missed: tuple[int, ...]) -> None:
    score = written(3)
    found = compare(sing(score, -3.2, 0.8, missed=missed), score)
    assert numbers(found, "missed") == [number + 1 for number in missed]
    assert not found.of_status("extra")


def test_a_part_of_the_score_can_be_sung() -> None:
    score = written(3)
    found = compare(sing(score)[14:30], score)
    assert numbers(found, "sung") == list(range(15, 31))
    assert numbers(found, "outside") == [*range(1, 15), *range(31, 43)]
    assert not found.of_status("missed")


def test_a_sinking_singer_and_one_who_speeds_up() -> None:
    score = written(3)
    found = compare(sing(score, drift=-80.0), score)
    assert found.drift_cents == pytest.approx(-80.0, abs=5)
    assert found.drift[0][1] == pytest.approx(40.0, abs=8)
    assert found.drift[-1][1] == pytest.approx(-40.0, abs=8)
    faster = [Note(10 * (note.onset / 10) ** 0.9, note.offset, note.pitch) for note in score if note.onset > 0]
    faster = [Note(note.onset, note.onset + 0.2, note.pitch) for note in faster]
    assert compare(faster, score).speed_change > 0.1
    assert compare(sing(score), score).speed_change == pytest.approx(0.0, abs=1e-6)


def test_a_given_tuning_is_what_cents_are_measured_from() -> None:
    score = written()
    found = compare(sing(score, 0.3), score, tuning=0.0)
    assert [note.cents for note in found.notes] == pytest.approx([30.0] * len(score))
    assert (found.transposition, round(found.tuning, 6)) == (0, 0.3)


def test_a_wrong_note_is_one_note_not_two() -> None:
    score = written()
    found = compare(sing(score, cents={5: 200.0}), score)
    assert [note.status for note in found.notes] == ["sung"] * 14
    assert found.notes[5].cents == pytest.approx(200.0)


def test_the_range_is_that_of_the_sung_notes() -> None:
    found = compare(sing(written(), -12.0), written())
    assert (found.lowest, found.highest) == (50.0, 59.0)


def test_another_song_is_refused() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        onsets = 0.4 * np.arange(40) + rng.uniform(0, 0.2, 40)
        other = [Note(t, t + 0.2, 60.0 + step) for t, step in zip(onsets, rng.normal(0, 4, 40), strict=True)]
        with pytest.raises(PracticeError, match="not of this score"):
            compare(other, written(3))


def test_nothing_and_too_much_are_refused() -> None:
    many = [Note(k / 10, k / 10 + 0.05, 60.0) for k in range(MAX_NOTES + 1)]
    for sung, score, who in (([], written(), "recording"), (written(), [], "score"), (many, written(), "recording")):
        with pytest.raises(PracticeError, match=f"the {who} has {len(score if who == 'score' else sung)} notes"):
            compare(sung, score)


def test_a_single_note_is_compared() -> None:
    (note,) = compare([Note(1.0, 2.0, 64.3)], [Note(0.0, 1.0, 60.0)]).notes
    assert (note.status, round(note.cents or 0.0, 6), note.milliseconds) == ("sung", 0.0, 0.0)
    assert match([Note(1.0, 2.0, 64.3)], [Note(0.0, 1.0, 60.0)]).pairs == ((0, 0),)


def test_the_curve_goes_through_lines_and_past_mistakes() -> None:
    x = np.linspace(0, 30, 60)
    y = 2 * x + 1
    assert smooth(x, y, np.array([-5.0, 10.0, 40.0])) == pytest.approx([-9.0, 21.0, 81.0], abs=1e-6)
    y[::7] += 5.0
    assert smooth(x, y, x) == pytest.approx(2 * x + 1, abs=1e-4)
