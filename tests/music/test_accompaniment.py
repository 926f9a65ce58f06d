"""The styles of the left hand: what is played when, and what all styles keep."""

from __future__ import annotations

import argparse

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_model.cli.options import arrangement as options
from hf_model.config import ConfigError
from hf_model.music.accompaniment import STYLES, accompany, bass_key
from hf_model.music.arrangement import Arrangement
from hf_model.music.chords import Chord
from hf_model.music.tempo import Tempo
from hf_model.notes.note import Note

C = Chord(0.0, 100.0, 0, False)
BEAT = 0.5


def _tempo(meter: tuple[int, int] = (4, 4)) -> Tempo:
    return Tempo(60.0 / BEAT, 1.0, tuple(float(beat) for beat in np.arange(41) * BEAT), 0, meter)


def _melody(beats: int) -> list[Note]:
    return [Note(BEAT * i, BEAT * (i + 1), 84.0 + i % 3) for i in range(beats)]


def _played(style: str, meter: tuple[int, int] = (4, 4), beats: int = 9) -> dict[float, list[str]]:
    """Beats of the first bar and what begins there: "bass", "fifth" or a tone of the chord."""
    left = accompany(_melody(beats), [C], _tempo(meter), style)
    bass = bass_key(C, 84)
    names = {bass: "bass", bass + 7: "fifth"}
    found: dict[float, list[str]] = {}
    for note in left:
        if note.onset < meter[0] * BEAT - 1e-6:
            found.setdefault(round(note.onset / BEAT, 3), []).append(names.get(int(note.pitch), "tone"))
    return {beat: sorted(keys) for beat, keys in sorted(found.items())}


def test_waltz() -> None:
    chord = ["tone", "tone", "tone"]
    assert _played("waltz", (3, 4)) == {0: ["bass"], 1: chord, 2: chord}


def test_ballad_breaks_the_chord_over_a_held_bass() -> None:
    assert _played("ballad", (3, 4)) == {
        0: ["bass", "tone"], 0.5: ["tone"], 1: ["tone"], 1.5: ["tone"], 2: ["tone"], 2.5: ["tone"],
    }  # fmt: skip
    left = accompany(_melody(9), [C], _tempo((3, 4)), "ballad")
    bass = next(note for note in left if note.pitch == bass_key(C, 84))
    assert bass.duration == pytest.approx(3 * 0.92 * BEAT)


def test_arpeggio_in_sixteenths() -> None:
    played = _played("arpeggio")
    assert list(played) == [0.25 * step for step in range(16)]
    assert played[0] == ["bass"]
    assert played[2] == ["bass"]
    assert played[1] == played[0.25] == ["tone"]


def test_swing_walks_and_answers_late() -> None:
    chord = ["tone", "tone", "tone"]
    expected = {0: ["bass"], 1: ["fifth"], 1.667: chord, 2: ["bass"], 3: ["fifth"], 3.667: chord}
    assert _played("swing") == expected


def test_staccato_is_short() -> None:
    left = accompany(_melody(9), [C], _tempo(), "staccato")
    assert max(note.duration for note in left if note.onset < 3.9) <= 0.35 * BEAT + 1e-9
    assert {round(note.onset / BEAT, 3) for note in left} == {float(beat) for beat in range(9)}


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(STYLES),
    st.sampled_from([(2, 4), (3, 4), (4, 4), (6, 8)]),
    st.lists(st.tuples(st.floats(0.05, 1.5), st.integers(45, 90)), min_size=1, max_size=12),
)
def test_every_style_stays_below_the_melody(style: str, meter: tuple[int, int], steps: list[tuple[float, int]]) -> None:
    melody, now = [], 0.0
    for length, key in steps:
        melody.append(Note(now, now + length, float(key)))
        now += length
    left = accompany(melody, [C, Chord(1.0, 50.0, 7, False)], _tempo(meter), style)
    assert left == sorted(left)
    for note in left:
        assert note.offset <= now + 1e-9
        assert all(
            note.pitch < other.pitch for other in melody if other.onset < note.offset and other.offset > note.onset
        )


def test_the_option_adds_the_left_hand() -> None:
    assert options.STYLES == STYLES
    parser = argparse.ArgumentParser()
    options.add_arrangement_options(parser)
    chosen = options.arrangement_from(parser.parse_args(["--style", "waltz"]))
    assert (chosen.accompany, chosen.style) == (True, "waltz")
    with pytest.raises(ConfigError, match="style"):
        Arrangement(style="polka")
