"""Listening and playing as the page asks for it."""

import dataclasses
import json
from pathlib import Path
from xml.etree import ElementTree

import mido
import numpy as np
import pytest
import soundfile
from PIL import Image

from hf_model.app.jobs import listen, play, write_sheet
from hf_model.app.limits import Limits, PageError
from hf_model.app.sessions import Session, Sessions
from hf_model.audio.grid import resampled_length
from hf_model.notes.midi import read_midi
from hf_model.notes.note_files import read_csv
from tests.stand_ins import tone_models, tones

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


def hear(session: Session, start: float = 0.0, settings: object = None, limits: Limits = LIMITS):
    told = []
    heard = listen(session, start, settings, MODELS, limits, lambda share, what: told.append((share, what)))
    assert [share for share, _ in told] == sorted(share for share, _ in told), "progress goes forward"
    assert json.loads(json.dumps(heard, allow_nan=False)) == heard, "what the browser gets is what was said"
    return heard


def keys(played) -> list[float]:
    return [note[2] for note in played["notes"]]


@pytest.mark.parametrize("sample_rate", [8000, 22050, 44100])
def test_a_recording_is_heard_and_played_exactly_as_long(session: Session, sample_rate: int) -> None:
    audio = tones(MELODY, sample_rate)[:-7]
    give(session, audio, sample_rate)
    heard = hear(session)
    assert keys(heard["played"]) == MELODY
    assert heard["duration"] == pytest.approx(len(audio) / sample_rate)
    assert heard["remark"] == ""
    piano, rate = soundfile.read(session.folder / "piano.wav")
    assert (len(piano), rate) == (resampled_length(len(audio), sample_rate, 44100), 44100)
    voice, rate = soundfile.read(session.folder / "voice.wav")
    assert (len(voice), rate) == (resampled_length(len(audio), sample_rate, 16000), 16000)
    assert [note.pitch for note in read_midi(session.folder / "piano.mid")] == MELODY
    assert [note.pitch for note in read_csv(session.folder / "piano.csv")[1]] == MELODY
    assert not session.upload.exists(), "what was sent is not kept"
    assert not list(session.folder.glob("new-*"))


def test_the_pitch_curve_and_the_picture_show_what_was_sung(session: Session) -> None:
    give(session, tones([60, 67]))
    heard = hear(session)
    points = heard["pitch"]["points"]
    assert points[round(0.25 / heard["pitch"]["step"])] == pytest.approx(60, abs=0.1)
    assert points[round(0.65 / heard["pitch"]["step"])] == pytest.approx(67, abs=0.1)
    assert points[0] is None
    picture = np.asarray(Image.open(session.folder / "spectrum.png"))
    lowest, highest = heard["spectrum"]["lowest"], heard["spectrum"]["highest"]
    column = picture[:, round(picture.shape[1] * 0.25 / heard["duration"]), 1]
    loudest = highest - (int(np.argmax(column)) + 0.5) * (highest - lowest) / picture.shape[0]
    assert loudest == pytest.approx(60, abs=0.3)


def test_of_a_long_recording_the_first_part_is_taken_and_said_and_another_can_be_chosen(session: Session) -> None:
    short = dataclasses.replace(LIMITS, part_seconds=1.0)
    give(session, tones(MELODY, 44100), 44100)  # a tone every 0.4 s
    heard = hear(session, limits=short)
    assert heard["remark"] == "This recording is longer than 1 seconds: I took the first 1 seconds of it."
    assert (heard["start"], heard["duration"]) == (0.0, 1.0)
    assert len(soundfile.read(session.folder / "piano.wav")[0]) == 44100
    later = hear(session, start=99.0, limits=short)
    assert later["start"] == pytest.approx(2.1 - 1.0)
    assert keys(later["played"])[-1] == 67


def test_settings_act_without_listening_again(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    give(session, tones(MELODY))
    heard = hear(session)
    monkeypatch.setattr("hf_model.app.jobs.hear", None)
    played = play(session, heard["notes"], {"arrangement": {"transpose": 12}}, MODELS, LIMITS)
    assert keys(played) == [key + 12 for key in MELODY]
    assert played["version"] == heard["played"]["version"] + 1
    assert [note.pitch for note in read_midi(session.folder / "piano.mid")] == [key + 12 for key in MELODY]
    assert keys(play(session, heard["notes"], {"arrangement": {"min_confidence": 0.95}}, MODELS, LIMITS)) == []


def test_edited_notes_are_played_as_edited(session: Session) -> None:
    give(session, tones(MELODY))
    heard = hear(session)
    notes = heard["notes"][1:]
    notes[0][2] += 5
    notes[-1][1] = 99.0
    played = play(session, notes, {}, MODELS, LIMITS)
    assert keys(played) == [67, 64, 65, 67]
    assert played["notes"][-1][1] == pytest.approx(heard["duration"], abs=1e-3), "nothing sounds after the end"


def test_the_sheet_shows_what_was_played_last(session: Session) -> None:
    give(session, tones(MELODY))
    with pytest.raises(PageError, match="no longer on the server"):
        write_sheet(session)
    heard = hear(session)
    for transpose, step in ((0, "C"), (2, "D")):
        play(session, heard["notes"], {"arrangement": {"transpose": transpose}}, MODELS, LIMITS)
        write_sheet(session)
        score = ElementTree.parse(session.folder / "piano.musicxml")
        assert next(score.iter("pitch")).findtext("step") == step


def test_no_notes_are_a_silent_piano_of_the_same_length(session: Session) -> None:
    give(session, tones(MELODY))
    hear(session)
    play(session, [], {}, MODELS, LIMITS)
    piano, _ = soundfile.read(session.folder / "piano.wav")
    assert not piano.any()
    assert len(piano) == resampled_length(len(tones(MELODY)), 16000, 44100)


@pytest.mark.parametrize(
    ("audio", "sentence"),
    [
        (np.zeros(16000), "This recording is silent. Is the microphone muted?"),
        (0.005 * np.random.default_rng(0).standard_normal(16000), "I hear no voice in this recording."),
    ],
)
def test_what_holds_no_voice_is_said_in_words(session: Session, audio: np.ndarray, sentence: str) -> None:
    give(session, audio)
    with pytest.raises(PageError, match=sentence.replace("?", r"\?")):
        hear(session)


@pytest.mark.parametrize(
    ("notes", "sentence"),
    [
        ("la la la", "Note 1 cannot be played"),
        (7, "At most 1000 notes"),
        ([[0, 1, 60, 80, 1]] * 1001, "At most 1000 notes"),
        ([[0, 1, 60]], "Note 1 cannot be played"),
        ([[0, 1, 60, 80, 1], [1, 0, 60, 80, 1]], "Note 2 cannot be played"),
        ([[0, 1, 600, 80, 1]], "Note 1 cannot be played"),
        ([[0, float("inf"), 60, 80, 1]], "every value must be a number"),
        ([[0, 1, float("nan"), 80, 1]], "every value must be a number"),
        ([["x", 1, 60, 80, 1]], "Note 1 cannot be played"),
        ([[0, 1, 60, {}, 1]], "Note 1 cannot be played"),
    ],
)
def test_notes_that_cannot_be_played_are_refused_in_words(session: Session, notes: object, sentence: str) -> None:
    give(session, tones(MELODY))
    hear(session)
    with pytest.raises(PageError, match=sentence):
        play(session, notes, {}, MODELS, LIMITS)


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
def test_settings_that_do_not_exist_are_refused_in_words(session: Session, settings: object) -> None:
    give(session, tones(MELODY))
    heard = hear(session)
    with pytest.raises(PageError, match="This cannot be played: "):
        play(session, heard["notes"], settings, MODELS, LIMITS)


def test_a_recording_deleted_on_the_way_is_gone(session: Session) -> None:
    import shutil

    give(session, tones(MELODY))
    heard = hear(session)
    shutil.rmtree(session.folder)
    with pytest.raises(PageError, match="no longer on the server"):
        play(session, heard["notes"], {}, MODELS, LIMITS)
    with pytest.raises(PageError, match="no longer on the server"):
        play(Session("0" * 32, session.folder), [], {}, MODELS, LIMITS)


def test_the_pedal_and_the_left_hand_are_in_the_files(session: Session) -> None:
    give(session, tones(MELODY))
    settings = {"arrangement": {"accompany": True, "tempo": 100.0, "legato": True}, "performance": {"pedal": True}}
    heard = hear(session, settings=settings)
    assert heard["played"]["accompaniment"]
    controls = [
        message.value
        for track in mido.MidiFile(session.folder / "piano.mid").tracks
        for message in track
        if message.type == "control_change" and message.control == 64
    ]
    assert controls
    assert set(controls) == {0, 127}
    _, played = read_csv(session.folder / "piano.csv")
    assert len(played) == len(heard["played"]["notes"]) + len(heard["played"]["accompaniment"])
