"""Windows and macOS: the program without the modules and calls of POSIX, and their rules for names of files."""

from __future__ import annotations

import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
import soundfile

from hf_model import files
from hf_model.cli.batch import convert_jobs, name_key
from hf_model.cli.jobs import Options, find_inputs, plan
from hf_model.files import flush_file, lock_file, remove_leftovers, temporary_path
from hf_model.notes.note_files import read_score
from tests.fakes import tone_models, tones

ROOT = Path(__file__).resolve().parents[1]

PROGRAM = """
import os, sys
for name in ("fcntl", "grp", "pwd", "resource", "termios", "torch", "scipy", "matplotlib"):
    sys.modules[name] = None
for name in ("fork", "forkpty", "geteuid", "getuid", "getpgid", "killpg", "mkfifo", "setsid", "sched_getaffinity",
             "O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK"):
    delattr(os, name)
from pathlib import Path
from hf_model.cli.main import main

assert main(["convert", "hum.wav", "--csv", "--overwrite", "--source", "voice"]) == 0
assert main(["render", "hum_piano.csv", "--overwrite"]) == 0
assert main(["convert", "hum.wav", "--plot", "--overwrite"]) == 1  # says which extra to install

import _thread, threading, time, urllib.request
from hf_model.app import server
from hf_model.app.limits import Limits
from hf_model.app.sandbox import decode

pages = []

def visit(address):
    def run():
        for _ in range(600):  # until the server listens
            try:
                pages.append(urllib.request.urlopen(address, timeout=60).read())
                break
            except OSError:
                time.sleep(0.1)
        _thread.interrupt_main()
    threading.Thread(target=run, daemon=True).start()

try:
    server.serve(port=0, announce=visit)
except KeyboardInterrupt:
    pass
assert b"<!doctype html>" in pages[0].lower()
print(decode(Path("hum.wav"), Path("voice.npy"), Limits()).n_samples)
"""


def test_without_posix_the_program_converts_and_serves(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "hum.wav", tones([60, 64, 67], duration=0.4), 16000)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "25600"
    assert "pip install 'hummingface[plot]'" in done.stderr
    assert [note.pitch for note in read_score(tmp_path / "hum_piano.csv").notes] == [60, 64, 67]


# ------------------------------------------------------------------------------------------------------ names of files


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("a.mid", "A.mid", True),
        ("Straße.mid", "STRASSE.mid", True),
        (unicodedata.normalize("NFC", "Mélodie.mid"), unicodedata.normalize("NFD", "Mélodie.mid"), True),
        ("a.mid", "b.mid", False),
    ],
)
def test_names_that_some_file_system_takes_for_one(tmp_path: Path, one: str, other: str, same: bool) -> None:
    assert (name_key(tmp_path / one) == name_key(tmp_path / other)) is same


def make_two(tmp_path: Path, first: str, second: str) -> list[str]:
    for name, key in ((first, 60), (second, 67)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        soundfile.write(tmp_path / name, tones([key], duration=0.4), 16000)
    return [str(tmp_path / first), str(tmp_path / second)]


def test_names_that_differ_by_case_are_two_files_here(tmp_path: Path) -> None:
    options = Options(out_dir=tmp_path / "out")
    reports = convert_jobs(
        plan(find_inputs(make_two(tmp_path, "one/a.wav", "two/A.wav")), options), options, tone_models()
    )
    assert [report.error for report in reports] == [None, None]
    assert len(list((tmp_path / "out").iterdir())) == 4


def test_where_case_does_not_count_the_first_outputs_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hf_model.cli.batch._is_same_file", lambda one, other: name_key(one) == name_key(other))
    options = Options(out_dir=tmp_path / "out", overwrite=True)
    inputs = make_two(tmp_path, "one/a.wav", "two/A.wav")
    first, second = convert_jobs(plan(find_inputs(inputs), options), options, tone_models())
    assert first.error is None
    assert f"was just made of {inputs[0]}; rename one of the two" in str(second.error)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a_piano.mid", "a_piano.wav"]


@pytest.mark.parametrize("stem", ["CON.take 1", "hum. ", "a: b", unicodedata.normalize("NFD", "Mélodie")])
def test_odd_names_are_kept_in_those_of_the_outputs(tmp_path: Path, stem: str) -> None:
    """What is added comes last: no output is a device (CON), and none ends in a dot or a space."""
    soundfile.write(tmp_path / f"{stem}.wav", tones([60], duration=0.4), 16000)
    options = Options()
    [report] = convert_jobs(plan(find_inputs([str(tmp_path)]), options), options, tone_models())
    assert report.error is None
    assert Path(report.outputs["midi"]).name == f"{stem}_piano.mid"


# ------------------------------------------------------------------------------------------------------ calls of files


def test_windows_opens_files_for_writing_to_flush_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flags = []
    opened = os.open
    monkeypatch.setattr(files, "WINDOWS", True)
    monkeypatch.setattr(files.os, "open", lambda path, flag: flags.append(flag) or opened(path, flag))
    (tmp_path / "a").write_text("a")
    flush_file(tmp_path / "a")
    flush_file(tmp_path)  # a folder cannot be opened there
    assert flags == [os.O_RDWR]


def test_windows_asks_for_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("os.kill ends the process")

    monkeypatch.setattr(files.os, "kill", fail)
    monkeypatch.setattr(files, "WINDOWS", True)
    old, new = (temporary_path(tmp_path / "a") for _ in range(2))
    for path in (old, new):
        path.write_text("a")
    os.utime(old, (0, 0))
    assert remove_leftovers(tmp_path) == 1
    assert new.exists()


def test_a_lock_belongs_to_one_open_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lock").touch()
    with (tmp_path / "lock").open("rb") as one, (tmp_path / "lock").open("rb") as other:
        assert lock_file(one.fileno())
        assert not lock_file(other.fileno())
        one.close()
        assert lock_file(other.fileno())
    with (tmp_path / "lock").open("rb") as again:
        monkeypatch.setitem(sys.modules, "fcntl", None)
        assert not lock_file(again.fileno()), "where there are no locks, nothing is taken for abandoned"
