from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import hf_model
from hf_model.audio.grid import resampled_length
from hf_model.audio.io import read_audio, write_audio
from hf_model.audio.reader import AudioError
from hf_model.audio.recording import as_recording
from hf_model.audio.resampling import resample
from hf_model.config import ConfigError
from hf_model.inference import Models, convert, render, transcribe, transcribe_recording
from hf_model.music.arrangement import Arrangement
from hf_model.notes.note import Note
from hf_model.piano.performance import Performance
from hf_model.separator.source import Source
from tests.fakes import LeftSeparator, TonePiano, tone_models, tones

MELODY = [60, 62, 64, 65, 67]


def test_a_melody_is_played_on_its_keys_and_in_time() -> None:
    rendition = convert(tones(MELODY), 16000, models=tone_models())
    assert [note.pitch for note in rendition.piano_notes] == MELODY
    assert [note.onset for note in rendition.notes] == pytest.approx([0.1, 0.5, 0.9, 1.3, 1.7], abs=0.02)
    assert rendition.audio.shape == (1, round(2.1 * 44100))
    assert rendition.audio.dtype == np.float32
    assert rendition.sample_rate == 44100
    assert rendition.warnings == ()


@pytest.mark.parametrize(("n_samples", "sample_rate"), [(12345, 8000), (44099, 44100), (50001, 48000), (77777, 192000)])
def test_the_piano_is_exactly_as_long_as_the_voice(n_samples: int, sample_rate: int) -> None:
    voice = 0.1 * np.sin(np.arange(n_samples) / 20)
    rendition = convert(voice, sample_rate, models=tone_models())
    assert rendition.audio.shape[1] == resampled_length(n_samples, sample_rate, 44100)


def test_channels_and_rates_make_no_difference() -> None:
    plain = convert(tones(MELODY), 16000, models=tone_models()).piano_notes
    surround = np.tile(tones(MELODY, 96000), (8, 1))
    assert [note.pitch for note in convert(surround, 96000, models=tone_models()).piano_notes] == [
        note.pitch for note in plain
    ]


def test_a_flat_singer_is_tuned_before_rounding() -> None:
    sung = [pitch - 0.45 + wobble for pitch, wobble in zip(MELODY, [0, -0.1, 0, -0.1, 0], strict=True)]
    rendition = convert(tones(sung), 16000, models=tone_models())
    assert rendition.tuning == pytest.approx(-0.49, abs=0.03)
    assert [note.pitch for note in rendition.piano_notes] == MELODY
    np.testing.assert_allclose([note.pitch for note in rendition.notes], sung, atol=0.05)
    untuned = convert(tones(sung), 16000, tuning=0.0, models=tone_models())
    assert [note.pitch for note in untuned.piano_notes] != MELODY


def test_transpose_moves_keys_and_leaves_the_sung_pitch() -> None:
    rendition = convert(tones(MELODY), 16000, arrangement=Arrangement(transpose=-12), models=tone_models())
    assert [note.pitch for note in rendition.piano_notes] == [pitch - 12 for pitch in MELODY]
    assert [round(note.pitch) for note in rendition.notes] == MELODY


def test_louder_singing_is_played_louder() -> None:
    quiet_then_loud = np.concatenate([0.1 * tones([60, 60, 60]), tones([60, 60, 60])])
    velocities = [note.velocity for note in convert(quiet_then_loud, 16000, models=tone_models()).piano_notes]
    assert velocities[0] + 20 < velocities[-1]


def test_short_and_uncertain_notes_can_be_left_out() -> None:
    voice = np.concatenate([tones([60], duration=0.3), tones([62], duration=0.12)])
    assert len(transcribe(voice, 16000, models=tone_models())) == 2
    assert len(transcribe(voice, 16000, min_note=0.2, models=tone_models())) == 1
    assert transcribe(voice, 16000, min_confidence=0.95, models=tone_models()) == []


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ({"min_note": -1.0}, "min_note is -1.0, allowed is 0.0 to 10.0"),
        ({"min_confidence": 1.1}, "min_confidence is 1.1, allowed is 0.0 to 1.0"),
    ],
)
def test_settings_outside_their_range_are_refused(setting: dict[str, float], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        transcribe(tones([60]), 16000, models=tone_models(), **setting)


def test_a_tuning_outside_its_range_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"tuning is 3\.0, allowed"):
        convert(tones([60]), 16000, tuning=3.0, models=tone_models())


def test_an_arrangement_is_played() -> None:
    asked = Arrangement(quantize="1/8", tempo=100.0, transpose=12)
    rendition = convert(tones(MELODY), 16000, arrangement=asked, models=tone_models())
    halves = 2 * rendition.tempo.to_beats([note.onset for note in rendition.piano_notes])
    np.testing.assert_allclose(halves, np.round(halves), atol=1e-6)
    assert rendition.tempo.bpm == pytest.approx(100.0)
    assert rendition.key.name
    assert rendition.audio.shape[1] == 44100 * len(tones(MELODY)) // 16000, "the length stays"
    assert [round(note.pitch) for note in rendition.notes] == MELODY, "float pitch is kept"


def test_audio_that_is_not_finite_is_refused() -> None:
    with pytest.raises(AudioError, match="not a finite number"):
        convert([0.0, np.nan], 16000, models=tone_models())


def test_no_notes_make_a_silent_piano_and_a_warning() -> None:
    rendition = convert(1e-3 * np.ones(4000), 8000, models=tone_models())
    assert rendition.notes == rendition.piano_notes == []
    assert rendition.warnings == ("no singing was found: the piano is silent",)
    assert rendition.audio.shape == (1, 22050)
    assert not rendition.audio.any()


def test_a_piano_that_is_too_loud_is_turned_down() -> None:
    loud = convert(tones(MELODY), 16000, performance=Performance(normalize=False), models=tone_models(level=5.0))
    assert 0.1 < loud.gain < 1
    assert np.abs(loud.audio).max() == pytest.approx(0.999, abs=1e-4)


def test_rendering_without_normalizing_keeps_the_level() -> None:
    own = Performance(normalize=False)
    soft, loud = (render([Note(0.1, 0.5, 60, v)], 44100, own, tone_models()) for v in (40, 120))
    assert soft.shape == (1, 44100)
    np.testing.assert_allclose(3 * soft, loud, atol=1e-6)


def test_no_samples_render_to_no_samples() -> None:
    assert render([], 0, models=tone_models()).shape == (1, 0)


def test_a_recording_is_transcribed() -> None:
    melody = transcribe_recording(as_recording(tones(MELODY), 16000), models=tone_models())
    assert [note.pitch for note in melody.piano_notes] == MELODY


class GivenNotes:
    """A transcriber that returns the notes that it was made with."""

    def __init__(self, notes: list[Note]) -> None:
        self.notes = notes

    def transcribe(self, _audio: NDArray[np.float32]) -> list[Note]:
        return self.notes


DETECTED = [
    Note(0.1, 0.4, 60.2, confidence=0.9),
    Note(0.5, 0.53, 61.7, confidence=0.9),
    Note(0.9, 1.2, 64.3, confidence=0.3),
    Note(1.3, 1.6, 65.2, confidence=0.8),
]


FADING = tones(MELODY) * np.linspace(1.0, 0.1, len(tones(MELODY)), dtype=np.float32)


def test_notes_left_out_are_counted_and_change_nothing_else() -> None:
    """Velocities and tuning are those of the notes that are played: quiet and off-key notes left out have no effect."""
    played = [note for note in DETECTED if note.duration >= 0.05 and note.confidence >= 0.4]
    without, with_all = (
        convert(
            FADING,
            16000,
            arrangement=Arrangement(min_confidence=0.4),
            models=Models(transcriber=GivenNotes(notes), renderers={"sampled": TonePiano()}),
        )
        for notes in (played, DETECTED)
    )
    assert "2 of 4 notes were left out" in with_all.remarks
    assert not any("left out" in remark for remark in without.remarks)
    assert with_all.notes == without.notes
    assert with_all.piano_notes == without.piano_notes
    assert with_all.tuning == without.tuning == pytest.approx(0.2, abs=1e-6)
    models = Models(transcriber=GivenNotes(DETECTED))
    assert with_all.notes == transcribe(FADING, 16000, min_confidence=0.4, models=models)
    assert not set(with_all.notes) <= set(transcribe(FADING, 16000, min_note=0.0, models=models)), "other velocities"
    np.testing.assert_array_equal(with_all.audio, without.audio)


def test_all_detected_notes_are_transcribed_by_default() -> None:
    models = Models(transcriber=GivenNotes(DETECTED))
    melody = transcribe_recording(as_recording(FADING, 16000), models=models)
    assert [note.onset for note in melody.notes] == [note.onset for note in DETECTED]
    assert len({note.velocity for note in melody.notes}) > 1


def test_leaving_all_notes_out_is_a_warning() -> None:
    rendition = convert(tones([60]), 16000, arrangement=Arrangement(min_note=1.0), models=tone_models())
    assert rendition.warnings == ("all notes were left out: the piano is silent",)
    assert rendition.remarks == ("1 of 1 notes were left out",)


def test_the_package_offers_the_interface() -> None:
    assert hf_model.convert is convert
    assert hf_model.transcribe is transcribe
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = hf_model.nothing


SONG = np.stack([tones(MELODY, 44100), 0.3 * tones([40] * 5, 44100)])


def test_the_voice_of_a_song_is_played() -> None:
    rendition = convert(SONG, 44100, source="song", models=tone_models())
    assert [note.pitch for note in rendition.piano_notes] == MELODY
    assert (rendition.source.kind, rendition.source.confidence) == ("song", 1.0)
    assert rendition.audio.shape[1] == SONG.shape[1]
    notes = transcribe(SONG, 44100, source="song", models=tone_models())
    assert [round(note.pitch) for note in notes] == MELODY


def test_a_voice_alone_is_converted_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hf_model.preparation.separation.detect_source", lambda *_: Source("voice", 0.9))
    decided, given = (convert(tones(MELODY), 16000, source=one, models=tone_models()) for one in ("auto", "voice"))
    assert (decided.source.confidence, given.source.confidence) == (0.9, 1.0)
    assert decided.notes == given.notes
    np.testing.assert_array_equal(decided.audio, given.audio)


def test_songs_have_their_own_transcriber() -> None:
    models = Models(
        transcriber=GivenNotes([Note(0.1, 0.4, 50.0)]),
        song_transcriber=GivenNotes([Note(0.1, 0.4, 70.0)]),
        separator=LeftSeparator(),
    )
    pitches = [transcribe(SONG, 44100, source=kind, models=models)[0].pitch for kind in ("voice", "song")]
    assert pitches == [50.0, 70.0]


def test_a_separator_can_be_given() -> None:
    class Right(LeftSeparator):
        def separate(self, blocks: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
            return super().separate(block[::-1] for block in blocks)

    notes = transcribe(SONG, 44100, source="song", separator=Right(), models=tone_models())
    assert {round(note.pitch) for note in notes} == {40}


@pytest.mark.parametrize(("is_stereo", "expected"), [(True, [60, 64]), (False, [60, 67, 64])])
def test_notes_beside_the_lead_of_a_song_are_left_out(is_stereo: bool, expected: list[int]) -> None:
    class Everything(LeftSeparator):
        def separate(self, blocks: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
            yield from blocks

    voice = tones([60, 67, 64], 44100)
    seconds = np.arange(len(voice)) / 44100
    right = np.where(is_stereo & (seconds > 0.48) & (seconds < 0.85), 0.2, 1.0)
    models = tone_models()
    notes = transcribe(np.stack([voice, right * voice]), 44100, source="song", separator=Everything(), models=models)
    assert [round(note.pitch) for note in notes] == expected


@pytest.mark.parametrize(("band", "n_left"), [(0.5, 5), (0.01, 6)])
def test_soft_phrases_under_the_band_are_left_out(band: float, n_left: int) -> None:
    tone = np.sin(2 * np.pi * 220 * np.arange(44100) / 44100)
    sung = np.concatenate([level * tone for level in (0.5, 0.5, 0.5, 0.5, 0.5, 0.1)])
    song = np.stack([sung, band * np.sin(np.arange(len(sung)) / 50)])
    notes = [Note(k + 0.1, k + 0.5, 57.0, confidence=0.9) for k in range(6)]
    models = Models(song_transcriber=GivenNotes(notes), separator=LeftSeparator())
    assert len(transcribe(song, 44100, source="song", models=models)) == n_left


def test_a_song_without_singing_is_silent() -> None:
    models = Models(song_transcriber=GivenNotes([Note(0.1, 0.4, 50.0)]), separator=LeftSeparator())
    silent = np.stack([0 * SONG[1], SONG[1]])
    melody = transcribe_recording(as_recording(silent, 44100), source="song", models=models)
    assert melody.notes == []
    assert melody.warnings == ("no singing was found: the piano is silent",)


def test_a_path_and_a_part_are_converted(tmp_path: Path) -> None:
    write_audio(tmp_path / "a.wav", tones(MELODY, 44100), 44100)
    whole = convert(tmp_path / "a.wav", source="voice", models=tone_models())
    part = convert(str(tmp_path / "a.wav"), source="voice", start=0.45, end=1.25, models=tone_models())
    assert [note.pitch for note in whole.piano_notes] == MELODY
    assert [note.pitch for note in part.piano_notes] == MELODY[1:3]
    assert part.audio.shape[1] == round(0.8 * 44100)
    assert part.piano_notes[0].onset == pytest.approx(0.05, abs=0.02)
    with pytest.raises(TypeError, match="sample_rate is missing"):
        convert(tones(MELODY), models=tone_models())


def test_a_singer_over_a_piano_is_found(root: Path) -> None:
    """With the models that ship: the example's singer, over chords of the sampled piano that are 6 dB softer."""
    voice, rate = read_audio(root / "examples" / "twinkle.wav")
    alone = transcribe(voice, rate, source="voice")
    triads = ((38, 50, 54, 57), (43, 50, 55, 59))
    chords = [Note(1.1 * k, 1.1 * k + 1.0, pitch, 70) for k in range(8) for pitch in triads[k % 2]]
    seconds = voice.shape[1] / rate
    band = render(chords, round(seconds * 44100))
    sung = resample(voice.mean(axis=0), rate, 44100)[: band.shape[1]]
    mix = sung + 0.5 * band * sung.std() / band.std()
    rendition = convert(mix, 44100)
    assert rendition.source.kind == "song"
    played = [(note.onset, round(note.pitch)) for note in rendition.notes]
    found = [any(abs(note.onset - t) < 0.1 and round(note.pitch) == key for t, key in played) for note in alone]
    assert sum(found) >= 0.85 * len(alone)
    assert len(rendition.notes) <= 1.2 * len(alone)
    assert convert(voice, rate).source.kind == "voice"
