"""MIDI files with bars, read by other libraries."""

from __future__ import annotations

from dataclasses import replace

import mido
import music21
import numpy as np
import pretty_midi
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hf_model.audio.grid import seconds_to_samples
from hf_model.export.midi_score import TEMPO_MAPS, tempo_map, write_score
from hf_model.music.arrangement import Arranged
from hf_model.music.key import Key
from hf_model.music.tempo import Tempo
from hf_model.notes.note import Note
from hf_model.notes.note_files import read_score
from hf_model.notes.part import Part

A_MINOR = Key(9, "minor")


def arranged(notes, tempo, key=A_MINOR, left=()):
    return Arranged(list(notes), list(notes), list(left), tempo, key, 0.0)


# A beat of 0.6 s, the first at 0.35 s; it is the pick-up to a bar of three.
WALTZ = Tempo(100.0, 1.0, tuple(0.35 + 0.6 * k for k in range(9)), 1, (3, 4))


def test_bars_are_on_the_beats_and_seconds_are_kept(tmp_path):
    notes = [Note(0.35, 0.9, 64, 70), Note(0.95, 1.5, 69, 80), Note(1.612, 3.1, 72, 90)]
    write_score(tmp_path / "waltz.mid", arranged(notes, WALTZ), 5 * 44100)
    midi = pretty_midi.PrettyMIDI(str(tmp_path / "waltz.mid"))
    read = [(note.start, note.end, note.pitch, note.velocity) for note in midi.instruments[0].notes]
    np.testing.assert_allclose(read, [(n.onset, n.offset, n.pitch, n.velocity) for n in notes], atol=5e-4)
    bars = midi.get_downbeats()
    assert [round(float(bar), 2) for bar in bars[bars > 0.1]][:2] == [0.95, 2.75]
    assert [(s.numerator, s.denominator) for s in midi.time_signature_changes] == [(3, 8), (3, 4)]
    assert [pretty_midi.key_number_to_key_name(k.key_number) for k in midi.key_signature_changes] == ["A minor"]
    assert mido.MidiFile(tmp_path / "waltz.mid").length == pytest.approx(5.0, abs=1e-3)


def test_a_shorter_first_bar_has_nearly_the_tempo():
    steady = tempo_map(WALTZ)
    assert [tempo for _, tempo in steady.tempi] == [700_000, 600_000], "half a beat of silence in 0.35 s"
    assert steady.signatures == ((0, 3, 8), (2880, 3, 4)), "half a beat, and the pick-up"


def test_whole_bars_of_silence_where_their_tempo_is_near():
    where = tempo_map(Tempo(120.0, 1.0, tuple(2.1 + 0.5 * k for k in range(8)), 0, (4, 4)), 2.1)
    assert where.signatures == ((0, 4, 4),)
    assert where.tempi == ((0, 550_000), (2 * 1920, 500_000)), "1.1 s for the first two beats"
    exact = tempo_map(Tempo(120.0, 1.0, tuple(2.0 + 0.5 * k for k in range(8)), 0, (4, 4)), 2.0)
    assert exact.tempi == ((0, 500_000),)


def test_six_eight_counts_in_dotted_quarters():
    jig = tempo_map(Tempo(100.0, 1.0, tuple(0.6 + 0.6 * k for k in range(6)), 0, (6, 8)))
    assert jig.signatures == ((0, 3, 8), (2880, 6, 8))
    assert jig.tempi == ((0, 400_000),), "a dotted quarter of silence lasts 0.6 s"


def bar_lines(where):
    """List the ticks at which bars begin, up to the last corner."""
    ends = [tick for tick, _, _ in where.signatures[1:]] + [int(where.ticks[-1]) + 1]
    spans = zip(where.signatures, ends, strict=True)
    return {tick for (first, up, low), end in spans for tick in range(first, end, up * 4 * 1920 // low)}


METERS = st.sampled_from([(4, 4), (3, 4), (2, 4), (6, 8), (9, 8)])


@given(st.floats(0.0, 5.0), st.floats(0.3, 1.5), st.integers(0, 3), METERS, st.floats(0.0, 6.0))
def test_bars_begin_where_they_do_in_the_music(start, beat, downbeat, meter, first_onset):
    tempo = Tempo(60 / beat, 1.0, tuple(start + beat * k for k in range(40)), downbeat, meter)
    where = tempo_map(tempo, first_onset)
    bars = [where.to_tick(second) for second in tempo.beats[downbeat :: tempo.beats_per_bar] if second > beat / 8]
    later = [bar for bar in bars if bar >= where.ticks[1]]
    assert len(later) > 5
    assert set(later) <= bar_lines(where)


@given(st.floats(0.0, 5.0), st.floats(0.3, 1.5), st.integers(0, 3), METERS)
def test_the_lead_in_has_nearly_the_tempo_of_the_music(start, beat, downbeat, meter):
    where = tempo_map(Tempo(60 / beat, 1.0, tuple(start + beat * k for k in range(12)), downbeat, meter))
    tempi = [tempo for _, tempo in where.tempi]
    assert 0.49 < tempi[0] / tempi[-1] < 1.51
    assert len(tempi) <= 2
    if where.seconds[1] > 2 * beat:
        assert 0.79 < tempi[0] / tempi[-1] < 1.26


@given(st.floats(0.0, 5.0), st.floats(0.3, 1.5), st.integers(0, 3), METERS, st.integers(0, 9))
def test_a_constant_tempo_is_one_event_and_near_the_beats(start, beat, downbeat, meter, seed):
    unsteady = np.random.default_rng(seed).normal(0.0, 0.01, 60)
    beats = start + beat * np.arange(60) + unsteady
    tempo = Tempo(60 / beat, 1.0, tuple(beats.tolist()), downbeat, meter)
    where = tempo_map(tempo, kind="constant")
    assert len(where.tempi) == 1
    length = 1920 * (1.5 if tempo.is_compound else 1.0)
    lines = [tick for tick, _, _ in where.signatures][-1]
    places = np.array([where.to_tick(second) - lines for second in beats[4:]]) / length
    assert np.abs(places - np.round(places)).max() < (1 / 12 if tempo.is_compound else 1 / 8) + 0.05 / beat
    bars = places[(np.arange(4, 60) - downbeat) % tempo.beats_per_bar == 0]
    assert np.all(np.round(bars) % tempo.beats_per_bar == 0)


@given(
    st.floats(0.0, 9.0),
    st.floats(0.2, 2.0),
    st.integers(0, 3),
    METERS,
    st.sampled_from(TEMPO_MAPS),
    st.floats(0.0, 12.0),
)
@example(0.19, 0.5, 0, (4, 4), "constant", 0.19)
@example(1.94, 0.5, 0, (4, 4), "constant", 1.94)
@example(0.3, 0.5, 0, (6, 8), "constant", 0.3)
def test_no_bar_is_counted_in_thirty_seconds(start, beat, downbeat, meter, kind, first_onset):
    """A lead-in was once written as 31/32."""
    beats = tuple(start + beat * k for k in range(24))
    where = tempo_map(Tempo(60 / beat, 1.0, beats, downbeat, meter), first_onset, kind)
    assert all(lower <= 16 for _, _, lower in where.signatures)
    assert where.signatures[-1][1:] == meter
    assert len(where.signatures) <= 2
    shorter = [upper / lower for _, upper, lower in where.signatures[:-1]]
    assert all(0 < bar < meter[0] / meter[1] for bar in shorter)


def test_a_lead_in_near_whole_bars_has_no_bar_of_its_own():
    for late in (-0.06, 0.0, 0.06):
        beats = tuple(2.0 + late + 0.5 * k for k in range(24))
        assert tempo_map(Tempo(120.0, 1.0, beats), kind="constant").signatures == ((0, 4, 4),)


@pytest.mark.parametrize("kind", ["performed", "constant"])
def test_notes_keep_their_seconds_and_files_their_length(tmp_path, kind):
    beats = 0.3 + np.cumsum(np.random.default_rng(0).uniform(0.45, 0.6, 40))
    notes = [Note(float(beat), float(beat) + 0.3, 60 + k % 12) for k, beat in enumerate(beats[:38])]
    tempo = Tempo(115.0, 1.0, tuple(beats.tolist()), 2)
    write_score(tmp_path / "a.mid", arranged(notes, tempo), 25 * 44100 + 7, tempo_kind=kind)
    read = read_score(tmp_path / "a.mid")
    assert [note.onset for note in read.notes] == pytest.approx([note.onset for note in notes], abs=5e-4)
    assert seconds_to_samples(read.duration, 44100) == 25 * 44100 + 7
    midi = mido.MidiFile(tmp_path / "a.mid")
    tempi = [message for message in midi.tracks[0] if message.type == "set_tempo"]
    assert (len(tempi) == 1) == (kind == "constant")
    score = music21.converter.parse(tmp_path / "a.mid")
    assert len(score.flatten().notes) >= len(notes)
    assert all(bar.duration.quarterLength <= 4 for bar in score.parts[0].getElementsByClass("Measure"))


def test_a_long_intro_hides_the_odd_tempo_of_the_lead_in():
    tempo = Tempo(120.0, 1.0, tuple(0.05 + 0.5 * k for k in range(60)), 3)
    where = tempo_map(tempo, first_onset=20.0)
    assert where.signatures == ((0, 4, 4),)
    assert 0.8 < where.tempi[0][1] / where.tempi[1][1] < 1.25


def test_both_hands_and_immediate_repetition(tmp_path):
    right = [Note(0.5, 1.0, 60), Note(1.0, 1.5, 60), Note(1.5, 2.0, 130 - 12)]
    write_score(tmp_path / "two.mid", arranged(right, WALTZ, Key(6, "major"), [Note(0.5, 2.0, 40)]))
    midi = pretty_midi.PrettyMIDI(str(tmp_path / "two.mid"))
    assert [[note.pitch for note in hand.notes] for hand in midi.instruments] == [[60, 60, 106], [40]]
    assert [hand.name for hand in midi.instruments] == ["HummingFace", "left hand"]


def test_silence_gives_a_file_as_long_as_the_recording(tmp_path):
    write_score(tmp_path / "silence.mid", arranged([], Tempo(120.0, 0.0, (0.0, 0.5))), 3 * 44100)
    assert mido.MidiFile(tmp_path / "silence.mid").length == pytest.approx(3.0, abs=1e-3)


@given(
    st.floats(-2.0, 5.0),
    st.lists(st.floats(0.15, 2.0), min_size=1, max_size=80),
    st.integers(0, 3),
    st.sampled_from([(4, 4), (3, 4), (2, 4), (6, 8), (12, 8)]),
)
def test_any_beats_are_exact_to_a_tenth_of_a_millisecond(start, lengths, downbeat, meter):
    beats = start + np.concatenate([[0.0], np.cumsum(lengths)])
    where = tempo_map(Tempo(90.0, 1.0, tuple(beats.tolist()), downbeat, meter))
    inside = beats[beats > (beats[1] - beats[0]) / 8 + 1e-4]
    errors = [float(np.min(np.abs(where.seconds - beat))) for beat in inside]
    assert max(errors, default=0.0) < 1e-4
    assert np.all(np.diff(where.ticks) > 0)
    assert all(0 < tempo < 2**24 for _, tempo in where.tempi)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 2 * 3600 * 44100), st.floats(30, 300), st.booleans(), st.booleans())
def test_the_length_is_exact_to_the_sample(tmp_path, n_samples, bpm, has_note, is_held):
    """For any tempo, with a note or without, up to the end or not."""
    seconds = n_samples / 44100
    notes = [Note(0.0, seconds if is_held else seconds / 2, 60)] if has_note else []
    tempo = Tempo(bpm, 1.0, (0.0, 60 / bpm, 120 / bpm))
    write_score(tmp_path / "any.mid", arranged(notes, tempo), n_samples)
    length = read_score(tmp_path / "any.mid").duration
    assert length is not None
    assert seconds_to_samples(length, 44100) == n_samples


def test_a_note_that_was_moved_beyond_the_end_counts(tmp_path):
    write_score(tmp_path / "longer.mid", arranged([Note(1.0, 3.5, 60)], WALTZ), 3 * 44100)
    assert read_score(tmp_path / "longer.mid").duration is None


def test_a_band_has_a_track_for_each_instrument(tmp_path):
    band = (
        Part("second voice", 48, (Note(0.95, 1.5, 65, 60),)),
        Part("bass", 33, (Note(0.95, 2.7, 33, 70),)),
        Part("drums", 0, (Note(0.95, 1.0, 36, 80), Note(0.95, 1.0, 42, 50)), is_drum=True),
    )
    melody = replace(arranged([Note(0.95, 1.5, 69, 80)], WALTZ), band=band)
    write_score(tmp_path / "band.mid", melody, 5 * 44100)
    midi = pretty_midi.PrettyMIDI(str(tmp_path / "band.mid"))
    found = [(part.name, part.program, part.is_drum, [note.pitch for note in part.notes]) for part in midi.instruments]
    assert found == [
        ("HummingFace", 0, False, [69]),
        ("second voice", 48, False, [65]),
        ("bass", 33, False, [33]),
        ("drums", 0, True, [36, 42]),
    ]
    read = mido.MidiFile(tmp_path / "band.mid")
    assert {message.channel for message in read.tracks[-1] if hasattr(message, "channel")} == {9}
    assert read.length == pytest.approx(5.0, abs=1e-3)
