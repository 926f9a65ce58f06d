"""The key of well-known tunes, and snapping to it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_model.config import ConfigError
from hf_model.music.key import MAJOR_SCALE, Key, estimate_key, parse_key, snap_to_key
from hf_model.notes.note import Note, to_keys
from hf_model.singer.composition import twinkle

# "God rest ye merry, gentlemen", in E minor.
GOD_REST = [64, 64, 71, 71, 69, 67, 66, 64, 62, 64, 66, 67, 69, 71, 71] * 2 + [64]


def line(pitches, length=0.5):
    return [Note(k * length, (k + 1) * length, float(pitch)) for k, pitch in enumerate(pitches)]


def test_twinkle_is_in_major_and_god_rest_in_minor():
    assert estimate_key(twinkle(keynote=62)).name == "D major"
    assert estimate_key(line(GOD_REST)).name == "E minor"


@given(st.integers(-12, 12), st.floats(-0.4, 0.4))
def test_transposing_the_tune_transposes_its_key(semitones, tuning):
    plain = estimate_key(line(GOD_REST), 0.0)
    moved = estimate_key(line([pitch + semitones + tuning for pitch in GOD_REST]))
    assert (moved.tonic, moved.mode) == ((plain.tonic + semitones) % 12, plain.mode)
    assert moved.confidence == pytest.approx(plain.confidence)


def test_confidence_grows_with_the_number_of_notes():
    assert estimate_key([]).confidence == 0
    few, many = estimate_key(line(GOD_REST[:3])), estimate_key(line(GOD_REST))
    chromatic = estimate_key(line(range(60, 84)))
    assert few.confidence < many.confidence
    assert chromatic.confidence < 0.3 < many.confidence


@pytest.mark.parametrize(
    ("text", "name", "fifths"),
    [
        ("A minor", "A minor", 0),
        ("Bb", "Bb major", -2),
        ("f# min", "F# minor", 3),
        ("Em", "E minor", 1),
        ("Eb:min", "Eb minor", -6),
        ("b minor", "B minor", 2),
        ("Cb", "B major", 5),
        ("D♭ Major", "Db major", -5),
    ],
)
def test_parsing_key_names(text, name, fifths):
    key = parse_key(text)
    assert (key.name, key.fifths) == (name, fifths)


@pytest.mark.parametrize("text", ["", "H", "A blue", "minor", "C##"])
def test_other_texts_are_no_keys(text):
    with pytest.raises(ConfigError, match=r"key is .*, expected for instance 'A minor'"):
        parse_key(text)


@given(st.integers(0, 11), st.sampled_from(["major", "minor"]))
def test_names_signatures_and_scales_agree(tonic, mode):
    key = Key(tonic, mode)
    assert parse_key(key.name) == key
    relative = tonic if mode == "major" else tonic + 3
    assert 7 * relative % 12 == key.fifths % 12
    assert {(relative + step) % 12 for step in MAJOR_SCALE} <= key.scale
    assert key.transposed(5).transposed(-5) == key


def test_a_note_sung_clearly_outside_the_scale_stays():
    sung = line([60, 62, 64, 66.0, 67, 65, 64, 62, 60])
    assert snap_to_key(sung, to_keys(sung, 0.0), Key(0, "major"), 0.0) == to_keys(sung, 0.0)


def test_snapping_uses_the_tuning_of_neighbouring_notes():
    # The voice has sunk by 40 cents around the note; by the tuning of the whole, 0, it is F sharp, but G was meant.
    sung = line([60, 62, 64, 65, 63.6, 61.6, 59.6, 64.6, 66.42, 64.6, 63.6, 61.6, 59.6])
    keys = to_keys(sung, 0.0)
    assert keys[8].pitch == 66
    snapped = snap_to_key(sung, keys, Key(0, "major"), 0.0)
    assert snapped[8].pitch == 67
    assert [new.pitch for k, new in enumerate(snapped) if k != 8] == [old.pitch for k, old in enumerate(keys) if k != 8]


@given(st.lists(st.floats(48, 72), min_size=1, max_size=30), st.integers(0, 11))
def test_snapping_moves_by_at_most_a_semitone(pitches, tonic):
    sung, key = line(pitches), Key(tonic, "major")
    keys = to_keys(sung, 0.0)
    for old, new in zip(keys, snap_to_key(sung, keys, key, 0.0), strict=True):
        assert new.pitch == old.pitch or (abs(new.pitch - old.pitch) == 1 and int(new.pitch) % 12 in key.scale)
    assert np.all([note.onset for note in keys] == [note.onset for note in sung])
