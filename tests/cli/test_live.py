"""`hummingface live`: a file as the microphone, a MIDI port, a recording, Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import mido
import numpy as np
import pytest
import soundfile

from hf_model.cli.commands import live as live_command
from hf_model.cli.commands.live_display import RollDisplay
from hf_model.cli.main import main
from hf_model.cli.report import Report
from hf_model.inference import transcribe
from hf_model.live.transcription import LiveEvent
from hf_model.notes.midi import read_midi
from hf_model.notes.note import Note


@pytest.fixture
def hum(tmp_path: Path, root: Path) -> Path:
    """The first four notes of the example."""
    voice, rate = soundfile.read(root / "examples" / "twinkle.wav", dtype="float32")
    soundfile.write(tmp_path / "hum.wav", voice[: round(2.6 * rate)], rate, subtype="PCM_16")
    return tmp_path / "hum.wav"


def test_a_file_gives_its_notes_and_a_recording(hum: Path, tmp_path: Path, capsys, monkeypatch) -> None:
    sent: list[mido.Message] = []
    port = SimpleNamespace(
        open_virtual_port=lambda _name: None,
        send_raw=lambda *data: sent.append(mido.Message.from_bytes(data)),
        close_port=lambda: sent.append(mido.Message("stop")),
    )
    monkeypatch.setitem(sys.modules, "rtmidi2", SimpleNamespace(MidiOut=lambda: port))
    command = ["live", "--input", str(hum), "--fast", "--json", "--midi-out", "virtual"]
    assert main([*command, "--record", str(tmp_path / "tune")]) == 0
    *events, end = map(json.loads, capsys.readouterr().out.splitlines())
    expected = transcribe(hum, source="voice", min_note=0.0)
    final = [event for event in events if event["event"] == "final"]
    assert [(event["onset"], event["pitch"]) for event in final] == [
        (round(note.onset, 4), round(note.pitch, 3)) for note in expected
    ]
    assert end["notes"] == len(expected) == 4
    assert {path.name for path in tmp_path.iterdir()} == {"hum.wav", "tune.wav", "tune_piano.wav", "tune_piano.mid"}
    assert end["files"] == [str(tmp_path / name) for name in ("tune.wav", "tune_piano.wav", "tune_piano.mid")]
    assert soundfile.read(tmp_path / "tune.wav")[0].tolist() == soundfile.read(hum)[0].tolist()
    assert [int(note.pitch) for note in read_midi(tmp_path / "tune_piano.mid")] == [62, 62, 69, 69]
    began = [event for event in events if event["event"] == "on"]
    pressed = [message.note for message in sent if message.type == "note_on"]
    assert pressed[: len(began)] == [event["key"] for event in began]
    assert sent[-1].type == "stop"

    assert main([*command, "--record", str(tmp_path / "tune.wav")]) == 1  # nothing is replaced
    assert "tune.wav exists; add --overwrite" in capsys.readouterr().err


def test_ctrl_c_ends_the_recording_and_finishes(hum: Path, tmp_path: Path) -> None:
    program = "import sys; from hf_model.cli.main import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "live", "--input", str(hum), "--record", str(tmp_path / "tune")]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ)
    assert running.stdout
    n_notes = 0
    while n_notes < 2:
        n_notes += "  on " in running.stdout.readline()
        assert running.poll() is None
    running.send_signal(signal.SIGINT)
    out, errors = running.communicate(timeout=60)
    assert running.returncode == 0, errors
    assert "Traceback" not in errors
    assert "tune_piano.mid" in out
    n_samples = soundfile.info(tmp_path / "tune.wav").frames
    assert 0 < n_samples < soundfile.info(hum).frames
    assert (tmp_path / "tune_piano.wav").exists()


def test_seconds_ends_a_recording_and_plain_lines_are_readable(hum: Path, capsys) -> None:
    assert main(["live", "--input", str(hum), "--fast", "--seconds", "1.2"]) == 0
    first, *lines, last = capsys.readouterr().out.splitlines()
    assert first == f"listening to {hum}  (Ctrl-C to end)"
    assert last.startswith(("1 note in 1.2", "2 notes in 1.2"))
    assert any(line.split()[1:3] == ["on", "D4"] for line in lines)


def test_what_is_missing_is_said_in_a_line(tmp_path: Path, capsys, monkeypatch) -> None:
    assert main(["live", "--input", str(tmp_path / "no.wav")]) == 1
    assert "no.wav" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    assert main(["live"]) == 1
    assert "pip install 'hummingface[live]'" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "rtmidi2", SimpleNamespace(get_out_ports=lambda: ["Synth"]))
    assert main(["live", "--list-devices"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert listed[0] == "microphones (--input):"
    assert listed[2:] == ["MIDI ports (--midi-out; virtual opens a new one):", "  Synth"]
    soundfile.write(tmp_path / "a.wav", np.zeros(800), 8000)
    assert main(["live", "--input", str(tmp_path / "a.wav"), "--midi-out", "Organ"]) == 1
    assert "no MIDI port is named 'Organ'; ports: Synth" in capsys.readouterr().err


NULL = """pcm.!default { type null
  hint { show on
  description "null" } }
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ALSA is Linux")
def test_a_null_device_is_silence(tmp_path: Path) -> None:
    (tmp_path / "alsa.conf").write_text(NULL)
    environment = os.environ | {"ALSA_CONFIG_PATH": str(tmp_path / "alsa.conf")}
    program = "import sys; from hf_model.cli.main import main; sys.exit(main())"

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", program, "live", *arguments]
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)

    if "Hz, default)" not in run("--list-devices").stdout:
        pytest.skip("no PortAudio with ALSA")
    ended = run("--seconds", "0.5", "--record", str(tmp_path / "silence"))
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[1].startswith("0 notes in 0.5")
    assert "no singing was found" in ended.stderr
    assert soundfile.info(tmp_path / "silence.wav").duration == pytest.approx(0.53, abs=0.03)


def test_the_roll_shows_provisional_and_final_notes() -> None:
    from rich.console import Console

    display = RollDisplay()
    display.show(LiveEvent("on", 0, Note(1.0, 1.1, 60.0), 60, 1.1))
    display.advance(2.0, np.full(100, 0.5, np.float32))
    console = Console(width=68, record=True, file=open(os.devnull, "w"))  # noqa: SIM115, PTH123

    def rows() -> dict[str, str]:
        console.print(display.picture(68))
        lines = console.export_text().splitlines()
        return {line[:6].strip(): line[6:] for line in lines[1:]}

    assert rows()["C4"][6:12] == "██████"  # from 1 s until now, 6 columns a second
    display.show(LiveEvent("off", 0, Note(1.0, 1.5, 60.0), 60, 1.6))
    display.show(LiveEvent("final", 0, Note(1.0, 1.5, 61.0), 61, 4.0))
    drawn = rows()
    assert "█" not in drawn["C4"]
    assert drawn["C#4"].count("█") == 3
    console.file.close()


def test_a_closed_pipe_does_not_end_the_recording(tmp_path: Path) -> None:
    program = "import sys; from hf_model.cli.main import main; sys.exit(main())"
    command = [
        sys.executable,
        "-c",
        program,
        "live",
        "--input",
        str(Path(__file__).parents[2] / "examples" / "twinkle.wav"),
        "--fast",
        "--plain",
        "--record",
        "take",
    ]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        errors = process.stderr.read()
        assert process.wait(60) == 141, errors
    assert sorted(path.name for path in tmp_path.iterdir()) == ["take.wav", "take_piano.mid", "take_piano.wav"]


def test_a_recorded_song_is_said_to_differ(tmp_path: Path, monkeypatch) -> None:
    def convert(_job, _options, _models, report, _progress) -> None:
        report.source = {"kind": "song", "confidence": 0.9}

    monkeypatch.setattr(live_command, "convert_file", convert)
    models = SimpleNamespace(with_transcriber=lambda _transcriber: None)
    sung = SimpleNamespace(digest="", final=[])
    report = Report("band.wav")
    live_command._convert(live_command.LiveOptions(record=tmp_path / "band"), models, None, sung, report)
    assert report.warnings == [
        "a band plays: the voice was separated for band_piano.mid, whose notes differ from those shown"
    ]
