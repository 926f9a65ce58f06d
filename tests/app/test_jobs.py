"""The two jobs of the page: converting a recording, and rendering its notes again."""

import dataclasses
import json
from pathlib import Path
from xml.etree import ElementTree

import mido
import numpy as np
import pytest
import soundfile
from PIL import Image

from hf_model.app.jobs import convert_part, render_notes, write_score_file
from hf_model.app.limits import Limits, PageError
from hf_model.app.sessions import Session, Sessions
from hf_model.audio.grid import resampled_length
from hf_model.notes.midi import read_midi
from hf_model.notes.note_files import read_csv
from tests.fakes import tone_models, tones

MELODY = [60, 62, 64, 65, 67]
LIMITS = Limits()
MODELS = tone_models()


@pytest.fixture
def session(tmp_path: Path):
    sessions = Sessions(LIMITS, tmp_path)
    yield sessions.open()
    sessions.close()


def give(session: Session, audio: np.ndarray, sample_rate: int = 16000) -> None:
    soundfile.write(session.upload, audio, sample_rate, format="WAV", subtype="FLOAT")


def convert(session: Session, start: float = 0.0, settings: object = None, limits: Limits = LIMITS):
    shares: list[float] = []
    result = convert_part(session, start, settings, MODELS, limits, lambda share, _step: shares.append(share))
    assert shares == sorted(shares), "progress increases"
    assert json.loads(json.dumps(result, allow_nan=False)) == result, "the result is plain JSON"
    return result


def keys(played) -> list[float]:
    return [note[2] for note in played["notes"]]


@pytest.mark.parametrize("sample_rate", [8000, 22050, 44100])
def test_the_piano_is_exactly_as_long_as_the_recording(session: Session, sample_rate: int) -> None:
    audio = tones(MELODY, sample_rate)[:-7]
    give(session, audio, sample_rate)
    converted = convert(session)
    assert keys(converted["played"]) == MELODY
    assert converted["duration"] == pytest.approx(len(audio) / sample_rate)
    assert converted["remark"] == ""
    piano, rate = soundfile.read(session.folder / "piano.wav")
    assert (len(piano), rate) == (resampled_length(len(audio), sample_rate, 44100), 44100)
    voice, rate = soundfile.read(session.folder / "voice.wav")
    assert (len(voice), rate) == (resampled_length(len(audio), sample_rate, 16000), 16000)
    assert [note.pitch for note in read_midi(session.folder / "piano.mid")] == MELODY
    assert [note.pitch for note in read_csv(session.folder / "piano.csv")[1]] == MELODY
    assert not session.upload.exists(), "uploads are not kept"
    assert not list(session.folder.glob(".*")), "no temporary files are left"


def test_pitch_curve_and_spectrogram_show_the_sung_pitch(session: Session) -> None:
    give(session, tones([60, 67]))
    converted = convert(session)
    points = converted["pitch"]["points"]
    assert points[round(0.25 / converted["pitch"]["step"])] == pytest.approx(60, abs=0.1)
    assert points[round(0.65 / converted["pitch"]["step"])] == pytest.approx(67, abs=0.1)
    assert points[0] is None
    picture = np.asarray(Image.open(session.folder / "spectrum.png"))
    lowest, highest = converted["spectrum"]["lowest"], converted["spectrum"]["highest"]
    column = picture[:, round(picture.shape[1] * 0.25 / converted["duration"]), 1]
    loudest = highest - (int(np.argmax(column)) + 0.5) * (highest - lowest) / picture.shape[0]
    assert loudest == pytest.approx(60, abs=0.3)


def test_a_part_of_a_long_recording_is_converted(session: Session) -> None:
    short = dataclasses.replace(LIMITS, part_seconds=1.0)
    give(session, tones(MELODY, 44100), 44100)  # a tone every 0.4 s
    converted = convert(session, limits=short)
    assert converted["remark"] == "This recording is longer than 1 seconds: the first 1 seconds of it is converted."
    assert (converted["start"], converted["duration"]) == (0.0, 1.0)
    assert len(soundfile.read(session.folder / "piano.wav")[0]) == 44100
    later = convert(session, start=99.0, limits=short)
    assert later["start"] == pytest.approx(2.1 - 1.0)
    assert keys(later["played"])[-1] == 67


def test_settings_apply_without_a_new_transcription(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    give(session, tones(MELODY))
    converted = convert(session)
    monkeypatch.setattr("hf_model.app.jobs.transcribe_recording", None)
    played = render_notes(session, converted["notes"], {"arrangement": {"transpose": 12}}, MODELS, LIMITS)
    assert keys(played) == [key + 12 for key in MELODY]
    assert played["version"] == converted["played"]["version"] + 1
    assert [note.pitch for note in read_midi(session.folder / "piano.mid")] == [key + 12 for key in MELODY]
    assert (
        keys(render_notes(session, converted["notes"], {"arrangement": {"min_confidence": 0.95}}, MODELS, LIMITS)) == []
    )


def test_edited_notes_are_rendered(session: Session) -> None:
    give(session, tones(MELODY))
    converted = convert(session)
    notes = converted["notes"][1:]
    notes[0][2] += 5
    notes[-1][1] = 99.0
    played = render_notes(session, notes, {}, MODELS, LIMITS)
    assert keys(played) == [67, 64, 65, 67]
    assert played["notes"][-1][1] == pytest.approx(converted["duration"], abs=1e-3), "no note ends later"


def test_the_score_is_that_of_the_last_rendering(session: Session) -> None:
    give(session, tones(MELODY))
    with pytest.raises(PageError, match="no longer on the server"):
        write_score_file(session)
    converted = convert(session)
    for transpose, step in ((0, "C"), (2, "D")):
        render_notes(session, converted["notes"], {"arrangement": {"transpose": transpose}}, MODELS, LIMITS)
        write_score_file(session)
        score = ElementTree.parse(session.folder / "piano.musicxml")
        assert next(score.iter("pitch")).findtext("step") == step


def test_no_notes_give_a_silent_piano_of_the_same_length(session: Session) -> None:
    give(session, tones(MELODY))
    convert(session)
    render_notes(session, [], {}, MODELS, LIMITS)
    piano, _ = soundfile.read(session.folder / "piano.wav")
    assert not piano.any()
    assert len(piano) == resampled_length(len(tones(MELODY)), 16000, 44100)


@pytest.mark.parametrize(
    ("audio", "message"),
    [
        (np.zeros(16000), "This recording is silent. Is the microphone muted?"),
        (0.005 * np.random.default_rng(0).standard_normal(16000), "No voice was found in this recording."),
    ],
)
def test_recordings_without_a_voice_are_an_error(session: Session, audio: np.ndarray, message: str) -> None:
    give(session, audio)
    with pytest.raises(PageError, match=message.replace("?", r"\?")):
        convert(session)


@pytest.mark.parametrize(
    ("notes", "message"),
    [
        ("la la la", "Note 1 is not valid"),
        (7, "At most 1000 notes can be rendered"),
        ([[0, 1, 60, 80, 1]] * 1001, "At most 1000 notes can be rendered"),
        ([[0, 1, 60]], "Note 1 is not valid"),
        ([[0, 1, 60, 80, 1], [1, 0, 60, 80, 1]], "Note 2 is not valid"),
        ([[0, 1, 600, 80, 1]], "Note 1 is not valid"),
        ([[0, float("inf"), 60, 80, 1]], "every value must be a number"),
        ([[0, 1, float("nan"), 80, 1]], "every value must be a number"),
        ([["x", 1, 60, 80, 1]], "Note 1 is not valid"),
        ([[0, 1, 60, {}, 1]], "Note 1 is not valid"),
    ],
)
def test_invalid_notes_are_refused(session: Session, notes: object, message: str) -> None:
    give(session, tones(MELODY))
    convert(session)
    with pytest.raises(PageError, match=message):
        render_notes(session, notes, {}, MODELS, LIMITS)


@pytest.mark.parametrize(
    "settings",
    [
        {"arrangement": {"transpose": 99}},
        {"arrangement": {"quantize": "1/7"}},
        {"arrangement": {"tempo": "fast"}},
        {"arrangement": 7},
        {"volume": 11},
        {"performance": {"sound": 3}},
        {"performance": {"sound": "organ"}},
        {"performance": {"reverb": 2}},
    ],
)
def test_invalid_settings_are_refused(session: Session, settings: object) -> None:
    give(session, tones(MELODY))
    converted = convert(session)
    with pytest.raises(PageError, match="These settings are not valid: "):
        render_notes(session, converted["notes"], settings, MODELS, LIMITS)


def test_a_recording_deleted_meanwhile_is_gone(session: Session) -> None:
    import shutil

    give(session, tones(MELODY))
    converted = convert(session)
    shutil.rmtree(session.folder)
    with pytest.raises(PageError, match="no longer on the server"):
        render_notes(session, converted["notes"], {}, MODELS, LIMITS)
    with pytest.raises(PageError, match="no longer on the server"):
        render_notes(Session("0" * 32, session.folder), [], {}, MODELS, LIMITS)
    with pytest.raises(PageError, match="no longer on the server"):
        write_score_file(session)
    assert not session.folder.exists()


def test_pedal_and_left_hand_are_in_the_files(session: Session) -> None:
    give(session, tones(MELODY))
    settings = {"arrangement": {"accompany": True, "tempo": 100.0, "legato": True}, "performance": {"pedal": True}}
    converted = convert(session, settings=settings)
    assert converted["played"]["accompaniment"]
    controls = [
        message.value
        for track in mido.MidiFile(session.folder / "piano.mid").tracks
        for message in track
        if message.type == "control_change" and message.control == 64
    ]
    assert controls
    assert set(controls) == {0, 127}
    _, played = read_csv(session.folder / "piano.csv")
    assert len(played) == len(converted["played"]["notes"]) + len(converted["played"]["accompaniment"])
