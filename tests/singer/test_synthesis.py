from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

from hf_model.config import ConfigError
from hf_model.notes.note import Note
from hf_model.notes.pitch import pitch_to_hz
from hf_model.singer.articulation import articulate
from hf_model.singer.composition import compose, twinkle
from hf_model.singer.intonation import pitch_curve
from hf_model.singer.phonetics import STYLES, Syllable
from hf_model.singer.phrasing import MIN_VOWEL, PlannedNote, plan_notes
from hf_model.singer.synthesis import SingerConfig, Song, main, sing
from hf_model.singer.vocal_tract import CONTROL_RATE, render
from hf_model.singer.voice import KINDS, draw_voice


@pytest.fixture(scope="module")
def songs() -> list[Song]:
    return [sing(compose(seed, 6.0), seed) for seed in range(24)]


def measured_f0(audio: np.ndarray, sample_rate: int, near: float) -> float:
    """Hz at which a comb of harmonics holds most of the spectrum, within 3 semitones of ``near``."""
    spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio)), 1 << 17))
    candidates = near * 2.0 ** (np.arange(-3.0, 3.0, 0.02) / 12.0)
    bins = np.rint(candidates[:, None] * np.arange(1, 5) * (1 << 17) / sample_rate).astype(int)
    return float(candidates[np.argmax(np.sqrt(spectrum[bins]).sum(axis=1))])


def level(audio: np.ndarray) -> float:
    return float(10.0 * np.log10(np.mean(np.square(audio, dtype=np.float64)) + 1e-12))


def test_the_seed_determines_the_song() -> None:
    score = compose(1, 3.0)
    first, again, other = sing(score, 5), sing(score, 5), sing(score, 6)
    assert np.array_equal(first.audio, again.audio)
    assert first.notes == again.notes
    assert len(first.audio) != len(other.audio) or not np.array_equal(first.audio, other.audio)


def test_every_note_of_the_score_is_sung_in_order(songs: list[Song]) -> None:
    for seed, song in enumerate(songs):
        score = compose(seed, 6.0)
        assert len(song.notes) == len(score)
        assert all(first.offset <= second.onset + 1e-9 for first, second in pairwise(song.notes))
        assert song.notes[-1].offset <= len(song.audio) / song.sample_rate
        assert all(abs(note.pitch - target.pitch) < 2.5 for note, target in zip(song.notes, score, strict=True))


def test_audio_and_f0_have_valid_values(songs: list[Song]) -> None:
    for song in songs:
        assert song.audio.dtype == np.float32
        assert 0.1 < np.abs(song.audio).max() <= 1.0
        assert len(song.f0) == 1 + len(song.audio) // 160
        assert song.f0.min() == 0.0
        assert song.f0[song.f0 > 0].min() > 40.0
        assert song.f0.max() < 2500.0


def test_the_labelled_pitch_is_in_the_audio(songs: list[Song]) -> None:
    errors = []
    for song in songs:
        for note in song.notes:
            if note.duration > 0.4:
                part = song.audio[int((note.onset + 0.15) * 16000) : int((note.offset - 0.08) * 16000)]
                hz = float(pitch_to_hz(note.pitch))
                errors.append(1200.0 * np.log2(measured_f0(part, 16000, hz) / hz))
    assert len(errors) > 50
    assert np.median(np.abs(errors)) < 12.0
    assert abs(np.median(errors)) < 4.0
    assert np.mean(np.abs(errors) > 60.0) < 0.06


def test_a_vowel_lasts_from_onset_to_offset() -> None:
    score = [Note(1.0 * i, 1.0 * i + 0.6, 60 + i % 3) for i in range(8)]
    lags = {"onset": [], "offset": []}
    for seed in range(12):
        song = sing(score, seed, SingerConfig(speech=0.0, style="vowel"))
        power = np.convolve(np.square(song.audio, dtype=np.float64), np.hanning(161) / 80.0, "same")
        for note in song.notes:
            onset, offset = round(note.onset * 16000), round(note.offset * 16000)
            strength = np.median(power[onset:offset])
            lags["onset"].append((np.argmax(power[onset - 800 : onset + 1600] > 0.1 * strength) - 800) / 16.0)
            after = power[offset - 1600 : offset + 1600] > 0.1 * strength
            lags["offset"].append((np.flatnonzero(after)[-1] - 1600) / 16.0 if after.any() else -100.0)
    for what, found in lags.items():
        assert abs(np.median(found)) < 12.0, what
        assert np.mean(np.abs(found) > 45.0) < 0.25, what  # exceptions: an "h" before, an exhalation after


def test_louder_notes_have_a_higher_velocity() -> None:
    score = [Note(0.8 * i, 0.8 * i + 0.6, 62, 40 if i % 2 else 110) for i in range(8)]
    notes = sing(score, 3, SingerConfig(style="syllable")).notes
    assert np.mean([n.velocity for n in notes[::2]]) > np.mean([n.velocity for n in notes[1::2]]) + 8


@pytest.mark.parametrize("style", list(STYLES))
def test_every_style_separates_repeated_notes(style: str) -> None:
    score = [Note(0.4 * i, 0.4 * i + 0.4, 64) for i in range(6)]
    dips = []
    for seed in range(10):
        song = sing(score, seed, SingerConfig(style=style, speech=0.0))
        spectra = np.abs(
            np.array(
                [np.fft.rfft(song.audio[i : i + 512] * np.hanning(512)) for i in range(0, len(song.audio) - 512, 160)]
            )
        )
        change = np.linalg.norm(np.diff(np.log(spectra + 1e-3), axis=0), axis=1)
        for note in song.notes[1:]:
            frame = int(note.onset * 100) - 2
            dips.append(change[max(0, frame - 8) : frame + 8].max() > 1.2 * np.median(change))
    assert np.mean(dips) > (0.75 if style in ("vowel", "hum") else 0.8)


def test_nasals_attenuate_upper_partials_by_singer() -> None:
    planned = [
        PlannedNote(0.3, 0.4, 0.9, 57.0, 1.0, Syllable("m", "a")),
        PlannedNote(0.9, 1.0, 1.6, 57.0, 1.0, Syllable("m", "a"), True),
    ]
    attenuation = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        voice = draw_voice(rng, np.array([57.0]))
        if voice.kind == "whistle":
            continue
        pitch, vibrato = pitch_curve(planned, voice, 400, rng)
        audio = render(articulate(planned, pitch, vibrato, voice, rng), voice, 16000, 32000, rng)
        murmur, vowel = (_upper_level(audio[round(16000 * at) :][:512]) for at in (0.94, 1.3))
        attenuation.append(vowel - murmur)
    assert np.percentile(attenuation, 20) < 6
    assert 8 < np.median(attenuation) < 20
    assert 24 < np.percentile(attenuation, 80) < 35


def _upper_level(part: np.ndarray) -> float:
    """Level from 600 Hz to 3 kHz relative to the whole spectrum, dB."""
    power = np.abs(np.fft.rfft(part * np.hanning(512))) ** 2
    return 10 * np.log10(power[20:96].sum() / power.sum())


def test_only_closing_diphthongs_change_late() -> None:
    for seed in range(12):
        rng = np.random.default_rng(seed)
        voice = draw_voice(rng, np.array([57.0]))
        for first, last, earliest, latest in (("i", "E", 0.0, 0.25), ("a", "i", 0.35, 1.0)):
            note = PlannedNote(0.5, 0.5, 1.5, 57.0, 1.0, Syllable("", first, last))
            pitch = np.full(400, 57.0)
            second_formant = articulate([note], pitch, np.zeros(400), voice, rng).formants[100:300, 1]
            start, end = voice.vowels[first][1], voice.vowels[last][1]
            halfway = np.flatnonzero((second_formant - np.sqrt(start * end)) * (end - start) > 0)[0] / 200.0
            assert earliest <= halfway <= latest


def test_bound_vowels_change_slowly_from_the_onset() -> None:
    durations = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        voice = draw_voice(rng, np.array([57.0]))
        planned = [
            PlannedNote(0.2, 0.2, 1.0, 57.0, 1.0, Syllable("", "i")),
            PlannedNote(1.0, 1.0, 2.0, 57.0, 1.0, Syllable("", "a"), bound=True),
        ]
        second_formant = np.log(articulate(planned, np.full(450, 57.0), np.zeros(450), voice, rng).formants[:, 1])
        progress = (second_formant - second_formant[120]) / (second_formant[300] - second_formant[120])
        moving = (120 + np.flatnonzero((progress[120:300] > 0.1) & (progress[120:300] < 0.9))) / 200.0
        assert 0.85 < moving[0] < 1.02
        durations.append(moving[-1] - moving[0])
    assert min(durations) < 0.08 < 0.11 < max(durations)


def test_a_scoop_leaves_the_previous_note_unchanged() -> None:
    score = [Note(0.3 * i, 0.3 * i + 0.29, 60) for i in range(10)]
    for seed in range(10):
        rng = np.random.default_rng(seed)
        calm = {
            "drift_cents": 1.0,
            "fall_chance": 0.0,
            "vibrato_chance": 0.0,
            "ornament_chance": 0.0,
            "error_cents": 0.0,
        }
        voice = replace(draw_voice(rng, np.array([60.0])), scoop_chance=1.0, scoop_cents=400.0, glide=0.04, **calm)
        planned = plan_notes(score, voice, rng, 0.2, "syllable")
        pitch, _ = pitch_curve(planned, voice, 700, rng)
        for note, following in pairwise(planned):
            end = int(note.offset * CONTROL_RATE) - 1
            if not following.bound:
                assert np.abs(pitch[end - 10 : end] - note.pitch).max() < 1.0


def test_a_swoop_ends_by_the_middle_of_the_note() -> None:
    planned = [PlannedNote(at, at, at + 0.6, 60.0, 1.0, Syllable("", "a")) for at in (0.2, 1.0, 1.8, 2.6)]
    calm = {"scoop_chance": 0.0, "late_chance": 0.0, "fall_chance": 0.0, "vibrato_chance": 0.0, "ornament_chance": 0.0}
    sides = []
    for seed in range(12):
        for chance in (0.0, 1.0):
            rng = np.random.default_rng(seed)
            voice = replace(draw_voice(rng, np.array([60.0])), swoop_chance=chance, drift_cents=1.0, **calm)
            pitch, _ = pitch_curve(planned, voice, int(3.4 * CONTROL_RATE), rng)
            away = np.array([pitch[int(note.onset * CONTROL_RATE) + 1] - 60.0 for note in planned])
            middle = np.array([pitch[int((note.onset + 0.33) * CONTROL_RATE)] - 60.0 for note in planned])
            assert np.abs(middle).max() < 0.5
            assert np.all(np.abs(away) > 0.8) if chance else np.abs(away).max() < 0.2
            sides += np.sign(away).tolist() if chance else []
    assert 0.7 < np.mean(np.array(sides) < 0) < 0.97


def test_timing_errors_keep_the_minimum_duration() -> None:
    score = [Note(0.12 * i, 0.12 * (i + 1), 60.0 + i % 3) for i in range(60)]
    for seed in range(8):
        rng = np.random.default_rng(seed)
        voice = replace(draw_voice(rng, np.array([60.0])), timing=0.06)
        planned = plan_notes(score, voice, rng, 0.2)
        assert all(note.offset - note.onset > MIN_VOWEL - 1e-9 for note in planned)
        assert all(first.offset <= second.start + 1e-9 for first, second in pairwise(planned))
        pitch, _ = pitch_curve(planned, replace(voice, scoop_chance=1.0), 900, rng)
        assert np.all(np.abs(pitch[30:] - 61.0) < 15.0)


def test_speech_gets_no_note_labels() -> None:
    score = [Note(0.0, 0.5, 60), Note(0.5, 1.0, 62)]
    voiced_outside = 0
    for seed in range(12):  # none in whistled songs and in those without a pause
        song = sing(score, seed, SingerConfig(speech=1.0))
        assert len(song.notes) == 2
        inside = np.zeros(len(song.f0), dtype=bool)
        for note in song.notes:
            inside[int((note.onset - 0.15) * 100) : int(note.offset * 100) + 15] = True
        voiced_outside += int(np.any(song.f0[~inside] > 0))
    assert 5 <= voiced_outside < 12


def test_the_kind_of_voice_depends_on_the_range() -> None:
    low = {draw_voice(np.random.default_rng(seed), np.array([38.0, 45.0])).kind for seed in range(60)}
    high = {draw_voice(np.random.default_rng(seed), np.array([72.0, 79.0])).kind for seed in range(200)}
    assert low <= {"bass", "man"}
    assert {"woman", "child", "soprano", "falsetto", "whistle"} <= high
    assert high <= set(KINDS) - {"bass"}


@pytest.mark.parametrize("sample_rate", [8000, 22050, 44100])
def test_other_sample_rates_keep_pitch_and_level(sample_rate: int) -> None:
    song = sing([Note(0.0, 0.8, 57)], 4, SingerConfig(sample_rate=sample_rate, speech=0.0))
    note = song.notes[0]
    part = song.audio[int((note.onset + 0.2) * sample_rate) : int((note.offset - 0.1) * sample_rate)]
    hz = float(pitch_to_hz(note.pitch))
    assert abs(1200.0 * np.log2(measured_f0(part, sample_rate, hz) / hz)) < 40.0
    assert level(part) > -40.0


def test_invalid_arguments_are_errors() -> None:
    with pytest.raises(ValueError, match="score is empty"):
        sing([], 0)
    with pytest.raises(ValueError, match=r"overlapping notes at 0\.5 s"):
        sing([Note(0.0, 1.0, 60), Note(0.5, 1.5, 62)], 0)
    with pytest.raises(ConfigError, match="sample_rate is 100, allowed is 8000"):
        SingerConfig(sample_rate=100)
    with pytest.raises(ConfigError, match="style is 'yodel'"):
        SingerConfig(style="yodel")


def test_the_command_writes_the_example(tmp_path: Path) -> None:
    main([str(tmp_path / "twinkle.wav"), "--sample-rate", "16000"])
    sample_rate, audio = wavfile.read(tmp_path / "twinkle.wav")
    assert sample_rate == 16000
    assert audio.dtype == np.int16
    assert 8.0 < len(audio) / sample_rate < 10.5
    assert twinkle()[-1].offset < len(audio) / sample_rate
