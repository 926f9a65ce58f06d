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

from hf_model.app.jobs import COVER, SCORE, convert_part, open_recording, render_notes
from hf_model.app.limits import Limits, PageError
from hf_model.app.page_json import Part
from hf_model.app.panels.late_files import write_cover_file, write_score_file
from hf_model.app.sessions import Session, Sessions
from hf_model.audio.grid import resampled_length
from hf_model.band.listener import Band
from hf_model.music.tempo import Tempo
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


def convert(
    session: Session, start: float = 0.0, settings: object = None, limits: Limits = LIMITS, source: str = "voice"
):
    shares: list[float] = []
    part = Part(start, None, source)
    result = convert_part(session, part, settings, MODELS, limits, lambda share, _step: shares.append(share))
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
    piano, rate = soundfile.read(session.folder / "piano.wav")
    assert (len(piano), rate) == (resampled_length(len(audio), sample_rate, 44100), 44100)
    voice, rate = soundfile.read(session.folder / "voice.wav")
    assert (len(voice), rate) == (resampled_length(len(audio), sample_rate, 16000), 16000)
    assert [note.pitch for note in read_midi(session.folder / "piano.mid")] == MELODY
    assert [note.pitch for note in read_csv(session.folder / "piano.csv")[1]] == MELODY
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
    assert (converted["start"], converted["duration"]) == (0.0, 1.0)
    assert converted["wholeDuration"] == pytest.approx(2.1)
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


def test_an_edit_changes_neither_tempo_nor_key_nor_bars(session: Session) -> None:
    """They were estimated anew from the edited notes, and changed under the hands of the user."""
    give(session, tones([60, 62, 64, 65, 67, 65, 64, 62, 60, 67, 64, 60]))
    converted = convert(session)
    before, rows = converted["played"], converted["notes"]
    edits = {
        "the first note is deleted": rows[1:],
        "a note is moved": [[row[0] + 0.13 * (index == 4), *row[1:]] for index, row in enumerate(rows)],
        "other keys": [[*row[:2], row[2] + index % 2, *row[3:]] for index, row in enumerate(rows)],
        "three notes are left": rows[7:10],
        "none is left": [],
    }
    tempo_events = midi_bars(session)
    for what, notes in edits.items():
        played = render_notes(session, notes, {}, MODELS, LIMITS)
        for estimate in ("tempo", "key", "beats"):
            assert played[estimate] == before[estimate], (what, estimate)
        assert midi_bars(session) == tempo_events, what
    chosen = {"arrangement": {"tempo": 100.0, "meter": "3/4", "key": "A minor"}}
    played = render_notes(session, rows[1:], chosen, MODELS, LIMITS)
    assert (played["tempo"]["bpm"], played["tempo"]["meter"], played["key"]["name"]) == (100.0, "3/4", "A minor")
    fewer = render_notes(session, rows[5:], chosen, MODELS, LIMITS)
    assert (fewer["tempo"], fewer["beats"]) == (played["tempo"], played["beats"])


def test_keys_have_the_names_of_the_melody_s_key(session: Session) -> None:
    """A flat stood on the page where a key has sharps."""
    give(session, tones(MELODY))
    rows = convert(session)["notes"]
    for key, name, pitch_class in (
        ("A major", "G♯", 8),
        ("F minor", "A♭", 8),
        ("E minor", "D♯", 3),
        ("F major", "B♭", 10),
    ):
        played = render_notes(session, rows, {"arrangement": {"key": key}}, MODELS, LIMITS)
        assert played["key"]["names"][pitch_class] == name
        assert played["key"]["names"][0] == "C"


def midi_bars(session: Session) -> list[str]:
    """Give the tempi and the signatures of the MIDI file."""
    track = mido.MidiFile(session.folder / "piano.mid").tracks[0]
    return [str(message) for message in track if message.type in {"set_tempo", "time_signature", "key_signature"}]


def test_each_played_note_names_the_row_that_it_was_made_from(session: Session) -> None:
    give(session, tones(MELODY))
    rows = convert(session)["notes"]
    assert convert(session)["played"]["sources"] == [0, 1, 2, 3, 4]
    rows[1][4] = 0.1
    settings = {"arrangement": {"min_confidence": 0.5, "quantize": "1/8", "transpose": 2}}
    assert render_notes(session, rows, settings, MODELS, LIMITS)["sources"] == [0, 2, 3, 4]


def test_an_edit_of_one_note_changes_no_other_key(session: Session) -> None:
    give(session, tones(MELODY))
    rows = convert(session)["notes"]
    for row in rows:
        row[2] += 0.4  # a singer who is almost between two keys
    known = [60, 63, 65, 65, 67]
    played = render_notes(session, rows, {}, MODELS, LIMITS, known)
    assert keys(played) == known
    assert keys(render_notes(session, rows, {"singing": {"tuning": 0.9}}, MODELS, LIMITS, known)) == known
    assert keys(render_notes(session, rows, {}, MODELS, LIMITS, [None] * 5)) != known
    with pytest.raises(PageError, match="5 notes, but 2 keys"):
        render_notes(session, rows, {}, MODELS, LIMITS, [60, 61])


def test_the_score_is_that_of_the_last_rendering(session: Session) -> None:
    give(session, tones(MELODY))
    with pytest.raises(PageError, match="no longer on the server"):
        write_score_file(session, LIMITS)
    converted = convert(session)
    for transpose, step in ((0, "C"), (2, "D")):
        render_notes(session, converted["notes"], {"arrangement": {"transpose": transpose}}, MODELS, LIMITS)
        write_score_file(session, LIMITS)
        score = ElementTree.parse(session.folder / "piano.musicxml")
        assert next(score.iter("pitch")).findtext("step") == step
    written = (session.folder / SCORE).stat().st_mtime_ns
    write_score_file(session, LIMITS)
    assert (session.folder / SCORE).stat().st_mtime_ns == written, "a rendering has one score: it takes a second of CPU"


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
        (7, "At most 3000 notes can be rendered"),
        ([[0, 1, 60, 80, 1]] * 3001, "At most 3000 notes can be rendered"),
        ([[0, 1, 60]], "Note 1 is not valid"),
        ([[0, 1, 60, 80, 1], [1, 0, 60, 80, 1]], "Note 2 is not valid"),
        ([[0, 1, 600, 80, 1]], "Note 1 is not valid"),
        ([[0, float("inf"), 60, 80, 1]], "every value must be a number"),
        ([[0, 1, float("nan"), 80, 1]], "every value must be a number"),
        ([["x", 1, 60, 80, 1]], "Note 1 is not valid"),
        ([[0, 1, 60, {}, 1]], "Note 1 is not valid"),
        ([[-1e6, 1, 60, 80, 1]], "onset is -1e\\+06 s, must not be negative"),
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
        write_score_file(session, LIMITS)
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


BASS = [36, 38, 36, 38, 36]


BAND = Band(Tempo(75.0, 0.9, tuple(0.8 * beat for beat in range(4)), 0, (3, 4), 0.8))


@pytest.fixture(autouse=True)
def band(monkeypatch: pytest.MonkeyPatch) -> None:
    """What plays beside the voice of every song."""
    monkeypatch.setattr("hf_model.band.listener.BandListener.finish", lambda _listener: BAND)


@pytest.fixture
def song(session: Session) -> Session:
    """A song whose voice is on the left, and whose accompaniment is on the right: see LeftSeparator."""
    stereo = np.stack([tones(MELODY, 48000), 0.5 * tones(BASS, 48000)], axis=1)[:-5]
    give(session, stereo, 48000)
    return session


def test_the_waveform_has_the_peaks_of_the_recording(session: Session) -> None:
    give(session, np.concatenate([np.zeros(16000), 0.25 * tones([60]), tones([60]), np.zeros(16000)]))
    opened = open_recording(session, LIMITS, lambda _share, _step: None)
    assert opened["duration"] == pytest.approx(3.0)
    peaks = np.array(opened["peaks"])
    assert len(peaks) == 800
    assert peaks.max() == 255
    assert peaks[: 800 // 4].max() == 0
    assert peaks[round(800 * 1.25 / 3)] == pytest.approx(255 / 4, abs=2)


def test_a_song_is_taken_apart_and_covered(song: Session) -> None:
    converted = convert(song, source="song")
    assert converted["source"] == {"kind": "song", "confidence": 1.0, "chosen": "song"}
    assert keys(converted["played"]) == MELODY
    tempo = {"bpm": 75.0, "confidence": 0.9, "meter": "3/4", "meterConfidence": 0.8}
    assert converted["played"]["tempo"] == tempo, "that of the band"
    length = converted["played"]["length"]["samples"]
    assert length == resampled_length(len(tones(MELODY, 48000)) - 5, 48000, 44100)
    sounds = {name: soundfile.read(song.folder / f"{name}.wav")[0] for name in ("piano", "voice", "backing")}
    assert {len(sound) for sound in sounds.values()} == {length}
    assert not sounds["voice"][:, 1].any()
    assert not sounds["backing"][:, 0].any()
    assert np.abs(sounds["backing"][:, 1]).max() == pytest.approx(0.2, abs=0.01)
    assert not list(song.folder.glob("*.pcm")), "the song itself is not kept in stereo"
    write_cover_file(song)
    cover, _ = soundfile.read(song.folder / COVER)
    gains = converted["played"]["coverGains"]
    mixed = gains["piano"] * sounds["piano"][:, np.newaxis] + gains["backing"] * sounds["backing"]
    loudest = np.abs(cover).max()
    np.testing.assert_allclose(cover / loudest, mixed / np.abs(mixed).max(), atol=0.02)


def test_a_part_of_a_song_is_converted_as_a_voice_and_back(song: Session) -> None:
    part = Part(0.75, 1.75, "song")  # of the tones at 0.5, 0.9, 1.3 and 1.7 s: those that begin in it
    converted = convert_part(song, part, None, MODELS, LIMITS, lambda _share, _step: None)
    assert (converted["start"], converted["duration"]) == (0.75, 1.0)
    assert keys(converted["played"])[1:3] == MELODY[2:4]
    assert len(soundfile.read(song.folder / "piano.wav")[0]) == 44100
    voice = convert(song, source="voice")
    assert voice["source"]["kind"] == "voice"
    assert voice["played"]["coverGains"] is None
    assert not (song.folder / "backing.wav").exists()
    with pytest.raises(PageError, match="no longer"):
        write_cover_file(song)
    assert convert(song, source="song")["played"]["version"] == 3


def test_the_cover_follows_the_settings(song: Session) -> None:
    converted = convert(song, source="song")
    write_cover_file(song)
    render_notes(song, [], {}, MODELS, LIMITS)
    assert converted["notes"]
    write_cover_file(song)
    cover, _ = soundfile.read(song.folder / COVER)
    assert not cover[:, 0].any(), "without notes there is no piano"
    assert cover[:, 1].any()


def test_without_singing_a_song_says_so(session: Session) -> None:
    give(session, np.stack([np.zeros(16000), tones(BASS)[:16000]], axis=1))
    with pytest.raises(PageError, match="No singing was found in this song"):
        convert(session, source="song")
    assert keys(convert(session, source="voice")["played"]), "another choice is possible"


def test_the_tuning_can_be_set(session: Session) -> None:
    give(session, tones([60.4, 64.4, 67.4]))
    assert convert(session)["tuning"] == pytest.approx(0.4, abs=0.05)
    converted = convert(session, settings={"singing": {"tuning": -0.3}})
    assert converted["played"]["tuning"] == -0.3
    assert keys(converted["played"]) == [61, 65, 68]
    played = render_notes(session, converted["notes"], {"singing": {"tuning": 0.4}}, MODELS, LIMITS)
    assert keys(played) == [60, 64, 67]
    with pytest.raises(PageError, match=r"tuning is 7"):
        render_notes(session, converted["notes"], {"singing": {"tuning": 7}}, MODELS, LIMITS)
