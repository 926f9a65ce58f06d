"""Songs on the command line, with a separator that takes the left channel for the voice."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from hf_model.band.listener import Band
from hf_model.cli.main import main
from hf_model.music.chords import Chord
from hf_model.music.tempo import Tempo
from hf_model.notes.midi import read_midi
from hf_model.separator.source import Source
from tests.fakes import tone_models, tones, write_with_ffmpeg

Capture = pytest.CaptureFixture[str]
MELODY, BASS = [60, 64, 67], [40, 43, 40]
BAND = Band(Tempo(75.0, 0.9, (0.0, 0.8, 1.6), 0, (3, 4), 0.9), (Chord(0.0, 1.3, 5, is_minor=True),))


class FakeListener:
    """A listener to a band that always plays the same."""

    def __init__(self, sample_rate: int) -> None:
        assert sample_rate == 44100

    def push(self, block: np.ndarray) -> None:
        assert block.shape[0] == 2

    def finish(self) -> Band:
        return BAND


@pytest.fixture(autouse=True)
def no_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hf_model.inference.default_models", tone_models)
    monkeypatch.setattr("hf_model.preparation.separation.BandListener", FakeListener)


@pytest.fixture
def decide(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Function that sets what "auto" decides, with a confidence of 98 %."""
    real = Source("voice", 1.0)

    def set_kind(kind: str) -> None:
        found = replace(real, kind=kind, confidence=0.98)
        monkeypatch.setattr("hf_model.preparation.separation.detect_source", lambda *_: found)

    return set_kind


@pytest.fixture
def song(tmp_path: Path) -> Path:
    path = tmp_path / "songs" / "song.wav"
    path.parent.mkdir()
    soundfile.write(path, np.stack([tones(MELODY, 44100), 0.3 * tones(BASS, 44100)]).T, 44100)
    return path


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_song_gives_cover_and_voice(song: Path, capsys: Capture) -> None:
    assert main(["convert", str(song), "--source", "song", "--backing", "keep", "--voice"]) == 0
    assert "song.wav: song, voice separated, 3 notes in 1.30 s" in capsys.readouterr().out
    names = ["song.wav", "song_cover.wav", "song_piano.mid", "song_piano.wav", "song_voice.wav"]
    assert files(song.parent) == names
    assert [note.pitch for note in read_midi(song.with_name("song_piano.mid"))] == MELODY
    for name in ("cover", "voice"):
        info = soundfile.info(song.with_name(f"song_{name}.wav"))
        assert (info.frames, info.samplerate, info.channels) == (round(1.3 * 44100), 44100, 2), name
    voice = soundfile.read(song.with_name("song_voice.wav"))[0]
    np.testing.assert_allclose(voice[:, 0], tones(MELODY, 44100), atol=1e-4)
    assert not voice[:, 1].any()
    cover = soundfile.read(song.with_name("song_cover.wav"))[0]
    rest = cover[:, 1] - cover[:, 0]  # the piano of the tests is in both channels
    similarity = np.corrcoef(rest, tones(BASS, 44100))[0, 1]
    assert similarity > 0.999


def test_what_was_decided_is_reported(
    song: Path, decide: Callable[[str], None], capsys: Capture, tmp_path: Path
) -> None:
    for kind, words in (("song", "song, voice separated (98 %), 3"), ("voice", "voice alone (98 %), ")):
        decide(kind)
        assert main(["convert", str(song), "--out-dir", str(tmp_path / kind)]) == 0
        assert f"song.wav: {words}" in capsys.readouterr().out
        assert main(["convert", str(song), "--out-dir", str(tmp_path / kind), "--overwrite", "--json"]) == 0
        [report] = json.loads(capsys.readouterr().out)["files"]
        assert report["source"] == {"kind": kind, "confidence": 0.98}
        assert ("separate" in report["timings"]) == (kind == "song")


def test_a_lone_voice_has_neither_cover_nor_voice_file(
    song: Path, decide: Callable[[str], None], capsys: Capture
) -> None:
    decide("voice")
    assert main(["convert", str(song), "--backing", "keep", "--voice"]) == 0
    assert files(song.parent) == ["song.wav", "song_piano.mid", "song_piano.wav"]
    first, second = capsys.readouterr().err.splitlines()
    assert first.endswith("there is no accompaniment: song_cover.wav is not written")
    assert second.endswith("the recording is a voice alone: song_voice.wav is not written")


def test_an_instrumental_is_silent_with_a_warning(song: Path, capsys: Capture) -> None:
    soundfile.write(song, np.stack([0 * tones(BASS), tones(BASS)]).T, 16000)
    assert main(["convert", str(song), "--source", "song", "--backing", "keep"]) == 0
    assert capsys.readouterr().err.endswith("no singing was found: the piano is silent\n")
    assert not soundfile.read(song.with_name("song_piano.wav"))[0].any()
    assert soundfile.read(song.with_name("song_cover.wav"))[0].any()
    assert main(["convert", str(song), "--source", "voice", "--overwrite"]) == 0


def test_beats_and_chords_are_those_of_the_band(song: Path, capsys: Capture) -> None:
    command = ["convert", str(song), "--source", "song", "--overwrite", "--json"]
    reports = []
    for more in (["--accompany"], ["--tempo", "100", "--meter", "4/4"], ["--source", "voice"]):
        assert main([*command, *more]) == 0
        reports += json.loads(capsys.readouterr().out)["files"]
    band, given, voice = reports
    assert (band["tempo"]["bpm"], band["tempo"]["meter"], band["tempo"]["beats"]) == (75.0, "3/4", [0.0, 0.8, 1.6])
    assert {note["pitch"] % 12 for note in band["accompaniment"]} <= {5, 8, 0}, "F minor"
    assert (given["tempo"]["bpm"], given["tempo"]["meter"]) == (100.0, "4/4")
    assert voice["tempo"]["beats"] != band["tempo"]["beats"]


def test_a_part_of_a_song_is_exactly_as_long(song: Path, capsys: Capture) -> None:
    command = ["convert", str(song), "--source", "song", "--backing", "keep", "--start", "0:00.5", "--end", "1.3"]
    assert main([*command, "--csv", "--json"]) == 0
    [report] = json.loads(capsys.readouterr().out)["files"]
    assert report["duration"] == pytest.approx(0.8)
    assert [note["pitch"] for note in report["notes"]] == MELODY[1:]
    assert report["notes"][0]["onset"] == pytest.approx(0.0, abs=0.02), "times count from the start of the part"
    assert {soundfile.info(song.with_name(f"song_{name}.wav")).frames for name in ("piano", "cover")} == {35280}


@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        (["--start", "1:05", "--end", "0:50"], 2, "--end 0:50 is not after --start 1:05"),
        (["--start", "1:05"], 1, "it ends at 0:01.3, before the start at 1:05"),
        (["--start", "1", "--end", "1:50"], 0, "the recording ends at 0:01.3, before 1:50"),
        (["--separator", "none", "--voice"], 2, "--separator none separates nothing"),
    ],
)
def test_impossible_parts_and_separators_are_one_line(
    song: Path, capsys: Capture, options: list[str], code: int, sentence: str
) -> None:
    assert main(["convert", str(song), "--source", "voice", *options]) == code
    *warnings, line = capsys.readouterr().err.splitlines()
    assert sentence in line
    assert all(": warning: " in text for text in warnings)  # of options that have no effect here


@pytest.mark.parametrize("time", ["1:75", "-1", "noon"])
def test_other_times_are_wrong_usage(song: Path, capsys: Capture, time: str) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["convert", str(song), f"--start={time}"])
    assert stop.value.code == 2
    assert "is not a time, expected seconds (65), m:ss (1:05) or h:mm:ss" in capsys.readouterr().err


def test_covers_and_voices_are_no_inputs(song: Path, decide: Callable[[str], None], capsys: Capture) -> None:
    assert main(["convert", str(song), "--source", "song", "--backing", "keep", "--voice"]) == 0
    lead = song.with_name("lead_voice.wav")  # a user's own file
    soundfile.write(lead, tones([72]), 16000)
    decide("voice")
    capsys.readouterr()
    assert main(["convert", str(song.parent), "--overwrite", "--json"]) == 0
    reports = json.loads(capsys.readouterr().out)["files"]
    assert [report["input"] for report in reports] == [str(lead), str(song)]
    every = [str(song.with_name(name)) for name in ("song.wav", "song_cover.wav", "song_voice.wav")]
    options = ["--source", "song", "--backing", "keep", "--voice", "--overwrite", "--json"]
    assert main(["convert", *every, *options]) == 0
    warnings = [report["warnings"] for report in json.loads(capsys.readouterr().out)["files"]]
    assert warnings == [[], *[["skipped: it is the output of another input"]] * 2]


def test_existing_covers_are_kept_without_overwrite(song: Path, capsys: Capture) -> None:
    song.with_name("song_cover.wav").write_text("precious")
    assert main(["convert", str(song), "--source", "song", "--backing", "keep"]) == 1
    assert "song_cover.wav exists; add --overwrite" in capsys.readouterr().err
    assert files(song.parent) == ["song.wav", "song_cover.wav"]


def test_a_failing_separator_leaves_no_files(song: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no kernel")

    monkeypatch.setattr("tests.fakes.LeftSeparator.separate", fail)
    assert main(["convert", str(song), "--source", "song", "--backing", "keep"]) == 1
    assert "song.wav: RuntimeError: no kernel" in capsys.readouterr().err
    assert files(song.parent) == ["song.wav"]


def test_a_song_has_a_progress_bar(song: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert main(["convert", str(song), "--source", "song"]) == 0
    shown = capsys.readouterr().err
    assert "playing the piano" in shown
    assert "90 %" in shown
    assert main(["convert", str(song), "--source", "voice", "--overwrite"]) == 0
    assert capsys.readouterr().err == "", "a voice alone is done in a moment"
    assert main(["convert", str(song), "--source", "song", "--overwrite", "--quiet"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("suffix", "codec", "rate"),
    [
        ("mp4", "aac", 44100),
        ("mov", "aac", 48000),
        ("mkv", "libopus", 48000),
        ("webm", "libopus", 48000),
        ("3gp", "aac", 22050),
        ("caf", "pcm_s16le", 44100),
    ],
)
def test_songs_in_videos_and_other_containers(tmp_path: Path, suffix: str, codec: str, rate: int) -> None:
    path = tmp_path / f"concert.{suffix}"
    write_with_ffmpeg(path, np.stack([tones(MELODY, rate), 0.3 * tones(BASS, rate)]), rate, codec)
    assert main(["convert", str(path), "--source", "song", "--quiet", "--voice"]) == 0
    assert [note.pitch for note in read_midi(tmp_path / "concert_piano.mid")] == MELODY
    seconds = soundfile.info(tmp_path / "concert_piano.wav").duration
    assert seconds == pytest.approx(1.3, abs=0.08), "codecs pad"
    assert soundfile.info(tmp_path / "concert_voice.wav").duration == seconds


def test_the_sound_of_a_video_with_pictures_is_read(tmp_path: Path) -> None:
    path, rate = tmp_path / "concert.mp4", 44100
    audio = np.stack([tones(MELODY, rate), 0.3 * tones(BASS, rate)])
    with av.open(str(path), "w") as container:
        pictures = container.add_stream("mpeg4", rate=10)
        pictures.width, pictures.height, pictures.pix_fmt = 32, 32, "yuv420p"
        sound = container.add_stream("aac", rate=rate, layout="stereo")
        for _ in range(13):
            picture = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), dtype=np.uint8), format="rgb24")
            container.mux(pictures.encode(picture))
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(audio, dtype=np.float32), format="fltp", layout="stereo"
        )
        frame.sample_rate, frame.pts = rate, 0
        resampler = av.AudioResampler(format=sound.format, layout="stereo", rate=rate, frame_size=1024)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            container.mux(sound.encode(part))
        for stream in (pictures, sound):
            container.mux(stream.encode(None))
    assert main(["convert", str(path), "--source", "song", "--quiet", "--backing", "keep"]) == 0
    assert [note.pitch for note in read_midi(tmp_path / "concert_piano.mid")] == MELODY
    assert soundfile.info(tmp_path / "concert_cover.wav").duration == pytest.approx(1.3, abs=0.08)
