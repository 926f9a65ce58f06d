"""A band for a melody: what each instrument plays, in each metre, and what all parts keep."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_model.music.arrangement import Arrangement, arrange
from hf_model.music.chords import Chord
from hf_model.music.ensemble.band import PROGRAMS, write_band
from hf_model.music.ensemble.drums import HAT, KICK, SNARE
from hf_model.music.ensemble.rhythm_section import LOWEST_BASS
from hf_model.music.ensemble.rhythms import (
    N_CONTEXTS,
    STEPS,
    VOICES,
    RhythmModel,
    RhythmTable,
    context,
    default_rhythms,
)
from hf_model.music.key import Key
from hf_model.music.tempo import Tempo
from hf_model.notes.note import Note
from hf_model.notes.part import Part, channels

BEAT = 0.5
C_MAJOR = Key(0, "major")
C, G = Chord(0.0, 4.0, 0, False), Chord(4.0, 100.0, 7, False)


def tempo(meter: tuple[int, int] = (4, 4)) -> Tempo:
    return Tempo(60.0 / BEAT, 1.0, tuple(float(beat) for beat in np.arange(60) * BEAT), 0, meter)


def melody(*keys: int, length: float = BEAT) -> list[Note]:
    return [Note(length * i, length * (i + 1), float(key)) for i, key in enumerate(keys)]


def parts_of(notes: list[Note], meter: tuple[int, int] = (4, 4), chords=(C, G), key=C_MAJOR) -> dict[str, list[Note]]:
    return {part.name: list(part.notes) for part in write_band(notes, chords, tempo(meter), key)}


def beats_of(notes: list[Note]) -> list[float]:
    return [round(note.onset / BEAT, 2) for note in notes]


TUNE = melody(*[72, 76, 79, 76] * 4)


def test_all_instruments_with_their_programs():
    band = write_band(TUNE, (C, G), tempo(), C_MAJOR)
    assert [part.name for part in band] == ["second voice", "chords", "bass", "drums"]
    assert [part.program for part in band[:3]] == list(PROGRAMS.values())
    assert [part.is_drum for part in band] == [False, False, False, True]


def test_the_bass_begins_each_chord_with_its_root():
    bass = parts_of(TUNE)["bass"]
    at = {round(note.onset / BEAT): int(note.pitch) for note in bass}
    assert at[0] % 12 == 0
    assert at[8] % 12 == 7, "the second chord begins on the ninth beat"
    assert all(LOWEST_BASS <= note.pitch < LOWEST_BASS + 12 for note in bass)
    assert {int(note.pitch) % 12 for note in bass} <= {0, 7, 2}


def test_the_bass_avoids_a_clash_within_a_chord():
    table = default_rhythms().tables["bass"]
    rhythm = np.zeros((1, STEPS), dtype=bool)
    rhythm[0, [0, 8]] = True
    only = RhythmTable(rhythm, np.zeros((N_CONTEXTS, 1)), np.zeros((1, 1)))
    model = RhythmModel({"bass": only, "chords": table}, np.zeros(STEPS))
    notes = melody(72, 76, 71, 71, 72, 72, 72, 72, 72)  # a B on the third beat: the root would be a semitone away
    bass = next(part for part in write_band(notes, [C], tempo(), C_MAJOR, model=model) if part.name == "bass")
    assert [int(note.pitch) % 12 for note in bass.notes[:3]] == [0, 7, 0]


@pytest.mark.parametrize(("meter", "kicks", "snares", "hats"), [
    ((3, 4), [0], [2], 2), ((6, 8), [0], [1], 3), ((2, 4), [0], [1], 2), ((4, 4), [0], [1, 3], 2),
])  # fmt: skip
def test_drums_of_each_metre(meter, kicks, snares, hats):
    n_beats = tempo(meter).beats_per_bar
    drums = parts_of(melody(*[72] * 5 * n_beats), meter, [C])["drums"]
    second_bar = [note for note in drums if n_beats - 0.1 <= note.onset / BEAT < 2 * n_beats - 0.1]
    places = {key: [b - n_beats for b in beats_of([n for n in second_bar if n.pitch == key])] for key in (KICK, SNARE)}
    assert set(kicks) <= set(places[KICK])
    assert places[SNARE] == snares
    assert sum(note.pitch == HAT for note in second_bar) == hats * n_beats


def test_a_waltz_has_chords_after_the_bass():
    parts = parts_of(melody(*[76, 79, 72] * 4), (3, 4), [C])
    assert [beat for beat in beats_of(parts["bass"]) if beat < 9] == [0, 3, 6]
    assert {beat for beat in beats_of(parts["chords"]) if beat < 6} == {1, 2, 4, 5}


def test_compound_time_has_chords_on_thirds_of_the_beat():
    chords = parts_of(melody(*[76, 79] * 6), (6, 8), [C])["chords"]
    assert {round(beat % 1, 2) for beat in beats_of(chords) if beat < 8} == {0.33, 0.67}


def test_the_second_voice_is_a_third_or_sixth_below():
    voice = parts_of(melody(76, 74, 72, 74, 76, 76, 76), chords=[C])["second voice"]
    below = [upper - int(note.pitch) for upper, note in zip((76, 74, 72, 74, 76, 76, 76), voice, strict=True)]
    assert set(below) <= {3, 4, 5, 7, 8, 9}
    assert int(voice[0].pitch) % 12 in {0, 4, 7}, "a tone of the chord on the first beat"
    assert all(int(note.pitch) % 12 in {0, 2, 4, 5, 7, 9, 11} for note in voice)


def test_no_parallel_fifths_in_the_second_voice():
    for notes in (melody(*range(72, 84)), melody(*[72, 79, 74, 81, 67, 76] * 3)):
        voice = parts_of(notes)["second voice"]
        pairs = [(upper.pitch, lower.pitch) for upper, lower in zip(notes, voice, strict=True)]
        for (a, b), (c, d) in pairwise(pairs):
            assert not (a != c and a - b == c - d and a - b in {5, 7})


def test_context_of_a_bar():
    assert [context(n, False) for n in (0, 1, 3, 4, 7, 20)] == [0, 2, 2, 4, 6, 6]
    assert context(7, True) == N_CONTEXTS - 1


def test_rhythms_that_ship_are_probable_ones():
    model = default_rhythms()
    for voice in VOICES:
        table = model.tables[voice]
        assert table.onsets.shape[1] == STEPS
        assert np.exp(table.following).sum(axis=1) == pytest.approx(np.ones(len(table.onsets)), abs=1e-3)
    assert model.tables["bass"].onsets[:, 0].all(), "a bass begins with the bar"
    assert ((model.fifths > 0) & (model.fifths < 1)).all()


def test_the_best_path_of_rhythms():
    onsets = np.eye(2, STEPS, dtype=bool)
    table = RhythmTable(onsets, np.array([[0.0, -1.0], [-1.0, 0.0]]), np.log([[0.99, 0.01], [0.01, 0.99]]))
    assert table.choose([0, 1, 0]).tolist() == [0, 0, 0], "a change costs more than a bar of another context"
    assert table.choose([1] * 9).tolist() == [1] * 9


def test_channels_leave_out_that_of_the_drums():
    part, drums = Part("a", 0, ()), Part("b", 0, (), is_drum=True)
    assert channels([part, drums, part], first=8) == [8, 9, 10]
    with pytest.raises(ValueError, match="16 channels"):
        channels([part] * 16)


def test_an_arrangement_with_a_band_has_no_left_hand():
    found = arrange(TUNE, 9.0, Arrangement(accompany=True, ensemble="band"))
    assert found.accompaniment == []
    assert {part.name for part in found.band} == {"second voice", "chords", "bass", "drums"}
    assert arrange(TUNE, 9.0, Arrangement(ensemble="band")).band == ()
    assert arrange([], 9.0, Arrangement(accompany=True, ensemble="band")).band == ()


phrases = st.lists(st.tuples(st.integers(40, 90), st.floats(0.1, 2.0), st.floats(0.0, 2.0)), min_size=1, max_size=12)


@settings(max_examples=20, deadline=None)
@given(phrases, st.sampled_from(["2/4", "3/4", "4/4", "6/8", "9/8"]), st.sampled_from(["plain", "swing", "arpeggio"]))
def test_all_parts_stay_within_any_melody(rows, meter, style):
    notes, now = [], 0.3
    for pitch, length, rest in rows:
        notes.append(Note(now, now + length, float(pitch)))
        now += length + rest
    found = arrange(notes, now, Arrangement(accompany=True, ensemble="band", meter=meter, style=style, tempo=90.0))
    end = max(note.offset for note in found.piano_notes)
    for part in found.band:
        assert part.notes
        assert list(part.notes) == sorted(part.notes)
        for note in part.notes:
            assert note.offset <= end + 1e-9
            assert note.onset >= 0
        for one, other in pairwise(part.notes):
            assert one.pitch != other.pitch or part.is_drum or other.onset >= one.offset - 1e-9 or part.name == "chords"
