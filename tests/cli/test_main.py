import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import soundfile

import hf_model
from hf_model.cli.jobs import Options
from hf_model.cli.main import main
from hf_model.cli.options.arrangement import arrangement_from
from hf_model.cli.options.outputs import outputs_from
from hf_model.cli.options.sound import performance_from
from hf_model.cli.parser import build_parser
from hf_model.notes.midi import read_midi
from tests.fakes import tone_models, tones

Capture = pytest.CaptureFixture[str]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def no_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hf_model.inference.default_models", tone_models)


@pytest.fixture
def hum(tmp_path: Path) -> Path:
    soundfile.write(tmp_path / "hum.wav", tones([59.8, 63.8]), 16000)
    return tmp_path / "hum.wav"


def run(
    *arguments: str, code: str = "from hf_model.cli.main import main; sys.exit(main())"
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", f"import sys; {code}", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["convert", "--help"], ["info"], []])
def test_help_and_info_import_nothing_heavy(arguments: list[str]) -> None:
    heavy = ["torch", "numpy", "scipy", "matplotlib", "rich", "soundfile", "av", "pretty_midi"]
    code = (
        "import atexit; from hf_model.cli.main import main; "
        f"atexit.register(lambda: print(sorted(set({heavy}) & set(sys.modules)), file=sys.stderr)); sys.exit(main())"
    )
    answer = run(*arguments, code=code)
    assert answer.stderr.splitlines()[-1] == "[]"
    assert answer.returncode == (0 if arguments else 2)


def test_help_has_examples(capsys: Capture) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["convert", "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    for word in ("examples:", "hum_piano.mid", "--min-confidence", "exit code:", "onset,offset,pitch,note,velocity"):
        assert word in text


def test_version(capsys: Capture) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"hummingface {hf_model.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["convert"], "the following arguments are required: INPUT"),
        (["play", "a.wav"], "invalid choice: 'play'"),
        (["convert", "a.wav", "--sound", "organ"], "invalid choice: 'organ'"),
        (["convert", "a.wav", "--transpose", "1.5"], "'1.5' is not allowed, expected a whole number from -48 to 48"),
        (["convert", "a.wav", "--min-note", "-1"], "'-1' is not allowed, expected a number from 0 to 10"),
        (["convert", "a.wav", "--min-confidence", "nan"], "'nan' is not allowed, expected a number from 0 to 1"),
        (["convert", "a.wav", "--tuning", "200"], "'200' is not allowed, expected a number from -100 to 100"),
        (["convert", "a.wav", "--over"], "unrecognized arguments: --over"),
    ],
)
def test_wrong_usage_exits_with_code_two(arguments: list[str], sentence: str, capsys: Capture) -> None:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert sentence in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.usefixtures("no_weights")
def test_convert_prints_one_line_per_file(hum: Path, capsys: Capture) -> None:
    assert main(["convert", str(hum)]) == 0
    captured = capsys.readouterr()
    wav, midi = hum.with_name("hum_piano.wav"), hum.with_name("hum_piano.mid")
    music = r"2 notes in 0\.90 s, 20 cents flat, \d+ bpm\??, [A-G][#b]? (major|minor)\??"
    found = rf"{hum}: voice alone \(99 %\), {music} -> {wav}  {midi}\n"
    assert re.fullmatch(found, captured.out)
    assert captured.err == ""
    assert [note.pitch for note in read_midi(midi)] == [60, 64]


@pytest.mark.usefixtures("no_weights")
def test_options_change_the_notes(hum: Path) -> None:
    midi = hum.with_name("hum_piano.mid")
    assert main(["convert", str(hum), "--transpose", "-12", "--sound", "neural", "--quiet"]) == 0
    assert [note.pitch for note in read_midi(midi)] == [48, 52]
    assert main(["convert", str(hum), "--tuning", "-80", "--overwrite"]) == 0
    assert [note.pitch for note in read_midi(midi)] == [61, 65]
    assert main(["convert", str(hum), "--min-confidence", "0.95", "--overwrite"]) == 0
    assert read_midi(midi) == []
    assert main(["convert", str(hum), "--min-note", "0.5", "--overwrite"]) == 0
    assert read_midi(midi) == []


@pytest.mark.usefixtures("no_weights")
def test_json_is_the_only_output(hum: Path, capsys: Capture) -> None:
    missing = str(hum.with_name("none.wav"))
    assert main(["convert", str(hum), missing, "--json", "--csv"]) == 1
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert document["version"] == hf_model.__version__
    good, bad = document["files"]
    assert set(good["outputs"]) == {"wav", "midi", "csv"}
    assert all(Path(path).is_file() for path in good["outputs"].values())
    assert (good["input"], good["n_notes"], good["error"], good["warnings"]) == (str(hum), 2, None, [])
    assert good["duration"] == pytest.approx(0.9)
    assert good["tuning_cents"] == pytest.approx(-20, abs=3)
    assert good["seconds"] > 0
    assert (bad["input"], bad["error"], bad["outputs"]) == (missing, f"{missing}: no such file", {})
    assert captured.err == f"hummingface: error: {missing}: no such file\n"


@pytest.mark.usefixtures("no_weights")
def test_quiet_prints_errors_only(hum: Path, tmp_path: Path, capsys: Capture) -> None:
    soundfile.write(tmp_path / "silent.wav", [0.0] * 8000, 8000)
    assert main(["convert", str(hum), str(tmp_path / "silent.wav"), str(tmp_path / "none.wav"), "--quiet"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"hummingface: error: {tmp_path / 'none.wav'}: no such file\n"


@pytest.mark.usefixtures("no_weights")
def test_several_files_show_a_progress_bar(hum: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hf_model.inference.default_models", tone_models)
    other = hum.with_name("b.wav")
    other.write_bytes(hum.read_bytes())
    assert main(["convert", str(hum), str(other)]) == 0
    assert "converting" not in capsys.readouterr().err
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert main(["convert", str(hum), str(other), "--overwrite"]) == 0
    captured = capsys.readouterr()
    assert "converting" in captured.err
    assert "2/2" in captured.err
    assert len(captured.out.splitlines()) == 2


@pytest.mark.usefixtures("no_weights")
def test_remarks_are_printed_if_an_option_is_given(hum: Path, capsys: Capture) -> None:
    assert main(["convert", str(hum), "--preset", "score", "--tempo", "90"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert "2 notes" in first
    assert "90 bpm" in second


def test_an_unknown_key_is_wrong_usage(hum: Path, capsys: Capture) -> None:
    assert main(["convert", str(hum), "--key", "H moll"]) == 2
    assert capsys.readouterr().err.startswith("hummingface: error: key is 'H moll', expected")
    assert not hum.with_name("hum_piano.wav").exists()


def test_a_missing_model_is_one_error_line(hum: Path, capsys: Capture) -> None:
    assert main(["convert", str(hum), "--model", str(hum.parent), "--json"]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("hummingface: error: the model cannot be loaded: no model in ")
    assert len(captured.err.splitlines()) == 1
    assert "no model in" in json.loads(captured.out)["error"]


def test_unprintable_names_are_one_error_line(capsys: Capture, tmp_path: Path) -> None:
    assert main(["convert", str(tmp_path / "a\nb\udcff.wav")]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


SLOW = """
import signal, sys, time
from tests.fakes import ToneTranscriber, TonePiano
import hf_model.inference as inference
# a shell that runs the tests in the background has its children ignore the signal
signal.signal(signal.SIGINT, signal.default_int_handler)
class Slow(ToneTranscriber):
    def transcribe(self, waveform):
        open(sys.argv[-1] + '.started', 'w').close()
        time.sleep(30)
inference.default_models = lambda: inference.Models(transcriber=Slow(), renderers={'sampled': TonePiano()})
from hf_model.cli.main import main
from hf_model.cli.parser import build_parser
from hf_model.cli.jobs import Options
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_no_incomplete_files(hum: Path, number: int) -> None:
    command = [sys.executable, "-c", SLOW, "convert", "--json", "--out-dir", str(hum.parent / "out"), str(hum)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        started = Path(f"{hum}.started")
        for _ in range(600):
            if started.exists():
                break
            time.sleep(0.05)
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert err == "hummingface: error: interrupted: no incomplete files are left\n"
    assert json.loads(out)["files"] == []
    assert sorted(path.name for path in hum.parent.iterdir()) == ["hum.wav", "hum.wav.started"]


def test_a_broken_pipe_is_no_traceback() -> None:
    command = f"{sys.executable} -m hf_model.cli.main info --json | true"
    answer = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in answer.stderr


def test_defaults_equal_those_of_the_library() -> None:
    arguments, options = build_parser().parse_args(["convert", "a.wav"]), Options()
    for name in ("out_dir", "source", "start", "end", "overwrite"):
        assert getattr(arguments, name) == getattr(options, name), name
    assert outputs_from(arguments) == options.kinds
    assert arrangement_from(arguments) == options.arrangement
    assert performance_from(arguments) == options.performance


def test_the_package_runs_as_a_module() -> None:
    command = [sys.executable, "-m", "hf_model.cli", "--version"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (answer.returncode, answer.stdout) == (0, f"hummingface {hf_model.__version__}\n")


def test_models_of_the_hub_are_no_paths():
    from hf_model.cli.parser import build_parser

    assert build_parser().parse_args(["app", "--model", "owner/name"]).model == "owner/name"
