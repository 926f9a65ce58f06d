"""Each bad input gives one error line, exit code 1, no traceback and no partial output; the others are converted."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from hf_model.audio.grid import resampled_length
from hf_model.cli.main import main
from tests.fakes import tone_models, tones, write_with_ffmpeg

MELODY = [60, 62, 64, 65, 67, 69]
Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _no_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hf_model.inference.default_models", tone_models)


@pytest.fixture
def good(tmp_path: Path) -> Path:
    soundfile.write(tmp_path / "good.wav", tones(MELODY), 16000)
    return tmp_path / "good.wav"


def cut(path: Path, source: Path) -> None:
    whole = source.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


def write_cut_flac(path: Path) -> None:
    soundfile.write(path.with_name("whole.flac"), np.tile(tones(MELODY, 44100), 3), 44100)
    cut(path, path.with_name("whole.flac"))


def write_cut_mp3(path: Path) -> None:
    soundfile.write(path.with_name("whole.mp3"), np.tile(tones(MELODY, 44100), 3), 44100)
    cut(path, path.with_name("whole.mp3"))


def write_cut_m4a(path: Path) -> None:
    write_with_ffmpeg(path.with_name("whole.m4a"), tones(MELODY, 44100), 44100, "aac")
    cut(path, path.with_name("whole.m4a"))


def write_cut_webm(path: Path) -> None:
    write_with_ffmpeg(path.with_name("whole.webm"), np.tile(tones(MELODY, 48000), 5), 48000, "libopus")
    cut(path, path.with_name("whole.webm"))


def write_damaged_flac(path: Path) -> None:
    soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, 100000), 44100)
    damaged = bytearray(path.read_bytes())
    damaged[20000:90000] = bytes(70000)
    path.write_bytes(damaged)


def write_not_finite(value: float) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        audio = tones(MELODY)
        audio[16000] = value
        soundfile.write(path, audio, 16000, subtype="FLOAT")

    return write


REFUSED: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "missing": ("a.wav", Path, "no such file"),
    "empty": ("a.wav", lambda path: path.touch(), "the file is empty"),
    "text": ("a.wav", lambda path: path.write_text("la la la\n" * 50), "no audio can be read from it"),
    "no samples": ("a.wav", lambda path: soundfile.write(path, np.zeros(0), 44100), "the file holds no samples"),
    "cut flac": ("a.flac", write_cut_flac, "cut off"),
    "cut mp3": ("a.mp3", write_cut_mp3, r"the file is cut off: \d\.\d\d s of 7\.\d\d s can be read"),
    "cut m4a": ("a.m4a", write_cut_m4a, "cut off"),
    "cut webm": ("a.webm", write_cut_webm, "the file is cut off"),
    "damaged flac": ("a.flac", write_damaged_flac, "damaged"),
    "not a number": ("a.wav", write_not_finite(np.nan), r"sample 16000 \(1.000 s\) is not a finite number"),
    "infinite": ("a.wav", write_not_finite(np.inf), r"sample 16000 \(1.000 s\) is not a finite number"),
    "folder": ("folder", lambda path: path.mkdir(), "no audio files in this folder"),
    "pipe": ("a.wav", os.mkfifo, "this is a pipe or a device, not a file"),
    "long name": ("a" * 300 + ".wav", Path, "File name too long"),
    "long output name": ("a" * 250 + ".wav", lambda path: soundfile.write(path, tones([60]), 16000), "name too long"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_is_one_error_line_and_others_are_converted(
    name: str, tmp_path: Path, good: Path, capfd: Capture
) -> None:
    file_name, make, sentence = REFUSED[name]
    bad = tmp_path / file_name
    make(bad)
    out = tmp_path / "out"
    assert main(["convert", str(bad), str(good), "--out-dir", str(out), "--csv", "--plot"]) == 1
    captured = capfd.readouterr()
    [line] = captured.err.splitlines()
    assert line.startswith(f"hummingface: error: {bad}: ")
    assert re.search(sentence, line)
    assert sorted(path.name for path in out.iterdir()) == [f"good_piano.{x}" for x in ("csv", "mid", "png", "wav")]
    assert len(captured.out.splitlines()) == 1


@pytest.mark.parametrize("name", ["text", "cut mp3", "not a number"])
def test_a_failed_file_leaves_no_new_folder(name: str, tmp_path: Path) -> None:
    file_name, make, _ = REFUSED[name]
    make(tmp_path / file_name)
    assert main(["convert", str(tmp_path / file_name), "--out-dir", str(tmp_path / "out")]) == 1
    assert not (tmp_path / "out").exists()


def noise(n_samples: int) -> NDArray[np.float64]:
    return 0.005 * np.random.default_rng(0).standard_normal(n_samples)


ODD: dict[str, tuple[NDArray[np.floating], int, int, str]] = {
    "silence": (np.zeros(40000), 16000, 0, "the recording is silent"),
    "noise": (noise(40000), 16000, 0, "no singing was found: the piano is silent"),
    "0.05 s": (tones(MELODY, 44100)[4410:6615], 44100, 0, "0.05 s is too short for a note"),
    "one sample": (np.full(1, 0.1), 44100, 0, "0.00 s is too short for a note"),
    "8 kHz": (tones(MELODY, 8000), 8000, 6, ""),
    "192 kHz": (tones(MELODY, 192000), 192000, 6, ""),
    "8 channels": (np.tile(tones(MELODY)[:, np.newaxis], 8), 16000, 6, ""),
    "clipped": (np.clip(20 * tones(MELODY), -1, 1), 16000, 6, "clipped: "),
    "beyond full scale": (20 * tones(MELODY), 16000, 6, ""),
}


@pytest.mark.parametrize("name", ODD)
def test_unusual_recordings_give_exact_length_and_a_warning(name: str, tmp_path: Path, capfd: Capture) -> None:
    audio, sample_rate, n_notes, warning = ODD[name]
    path = tmp_path / "a.wav"
    soundfile.write(path, audio, sample_rate, subtype="FLOAT")
    assert main(["convert", str(path), "--min-note", "0.06"]) == 0
    captured = capfd.readouterr()
    if warning:
        [line] = captured.err.splitlines()
        assert line.startswith(f"hummingface: warning: {path}: {warning}")
    else:
        assert captured.err == ""
    assert f"{n_notes} notes" in captured.out
    piano, _ = soundfile.read(tmp_path / "a_piano.wav", always_2d=True)
    assert piano.shape[0] == resampled_length(audio.shape[0], sample_rate, 44100)
    assert piano.any() == (n_notes > 0)


def test_an_output_folder_that_is_a_file(good: Path, tmp_path: Path, capfd: Capture) -> None:
    (tmp_path / "out").write_text("in the way")
    assert main(["convert", str(good), "--out-dir", str(tmp_path / "out")]) == 1
    assert capfd.readouterr().err == f"hummingface: error: {good}: cannot write to {tmp_path / 'out'}: File exists\n"


def test_an_output_folder_without_write_permission(good: Path, tmp_path: Path, capfd: Capture) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    if os.access(locked, os.W_OK):  # root may write everywhere, but not into /proc
        locked = Path("/proc/self/fd")
    assert main(["convert", str(good), "--out-dir", str(locked)]) == 1
    [line] = capfd.readouterr().err.splitlines()
    assert line.startswith(f"hummingface: error: {good}: cannot write to {locked}: ")


def test_an_input_without_read_permission(good: Path, capfd: Capture) -> None:
    good.chmod(0)
    if os.access(good, os.R_OK):
        pytest.skip("root reads everything")
    assert main(["convert", str(good)]) == 1
    assert capfd.readouterr().err == f"hummingface: error: {good}: Permission denied\n"


def test_existing_outputs_need_overwrite(good: Path, capfd: Capture) -> None:
    assert main(["convert", str(good)]) == 0
    before = (good.parent / "good_piano.wav").stat().st_mtime_ns
    capfd.readouterr()
    assert main(["convert", str(good)]) == 1
    [line] = capfd.readouterr().err.splitlines()
    assert "good_piano.wav exists; add --overwrite to replace it" in line
    assert (good.parent / "good_piano.wav").stat().st_mtime_ns == before
    assert main(["convert", str(good), "--overwrite"]) == 0


ROOT = Path(__file__).resolve().parents[2]
LOCALES = {"utf-8": {"PYTHONUTF8": "1"}, "C": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}}


@pytest.mark.parametrize("locale", LOCALES)
def test_names_that_are_not_utf8_are_converted(locale: str, tmp_path: Path, good: Path) -> None:
    bad, accent, out = (tmp_path / os.fsdecode(name) for name in (b"bad\xff.m4a", b"g\xff\xc3\xa9.wav", b"out\xfe"))
    write_with_ffmpeg(tmp_path / "a.m4a", tones(MELODY, 44100), 44100, "aac")
    (tmp_path / "a.m4a").rename(bad)
    good.rename(accent)
    code = (
        "import sys, hf_model.inference; from tests.fakes import tone_models; from hf_model.cli.main import main; "
        "hf_model.inference.default_models = tone_models; sys.exit(main())"
    )
    kinds = ["--json", "--csv", "--musicxml", "--plot", "--structure"]
    answer = subprocess.run(
        [sys.executable, "-c", code, "convert", str(bad), str(accent), "--out-dir", str(out), *kinds],
        cwd=ROOT,
        env=os.environ | LOCALES[locale],
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert (answer.stderr, answer.returncode) == (b"", 0)
    assert [report["error"] for report in json.loads(answer.stdout)["files"]] == [None, None]
    endings = ("csv", "mid", "musicxml", "png", "structure.png", "wav")
    names = [f"{source.stem}_piano.{ending}" for source in (bad, accent) for ending in endings]
    assert sorted(path.name for path in out.iterdir()) == names
    score = out / f"{accent.stem}_piano.musicxml"
    assert "<movement-title>g\ufffdé</movement-title>" in score.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("odd\nnumber"), "ValueError: odd number"),
        (RuntimeError("no kernel"), "RuntimeError: no kernel"),
        (RuntimeError("out of memory"), "not enough memory"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"), "UnicodeDecodeError: 'utf-8' codec can't decode"),
    ],
)
def test_any_exception_is_one_line_of_its_file(
    error: Exception, reason: str, tmp_path: Path, good: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    from hf_model.cli.jobs import read_recording

    def fail_for_bad(path: Path, **_: object) -> object:
        if path.name == "bad.wav":
            raise error
        return read_recording(path)

    monkeypatch.setattr("hf_model.cli.jobs.read_recording", fail_for_bad)
    assert main(["convert", str(tmp_path / "bad.wav"), str(good)]) == 1
    captured = capfd.readouterr()
    [line] = captured.err.splitlines()
    assert line.startswith(f"hummingface: error: {tmp_path / 'bad.wav'}: {reason}")
    assert (tmp_path / "good_piano.wav").exists()


def test_an_interrupt_ends_the_batch(good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: Path, **__: object) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr("hf_model.cli.jobs.read_recording", interrupt)
    assert main(["convert", str(good)]) == 130


def test_a_midi_file_is_for_render(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "a tune.mid").write_bytes(b"MThd\0\0\0\6")
    assert main(["convert", str(tmp_path / "a tune.mid")]) == 1
    error = capsys.readouterr().err
    assert "a file of notes, not a recording: hummingface render '" in error
    assert error.count("\n") == 1


def test_what_an_extra_lacks_is_no_broken_model(good: Path, capsys: Capture, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "hf_model.lyrics.singing", None)
    assert main(["convert", str(good), "--sound", "voice"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("hummingface: error: the sound voice needs ")
    assert error.count("\n") == 1
