"""Odd environments: what the program says, and what it leaves, in each."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from hf_model.audio.reader import AudioReader
from hf_model.cli.main import main
from tests.fakes import tone_models, tones

Capture = pytest.CaptureFixture[str]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def no_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hf_model.inference.default_models", tone_models)


@pytest.fixture
def hum(tmp_path: Path) -> Path:
    soundfile.write(tmp_path / "hum.wav", tones([60, 64]), 16000)
    return tmp_path / "hum.wav"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    (tmp_path / "notes.csv").write_text("onset,offset,note\n0,0.2,60\n")
    return tmp_path / "notes.csv"


def special_file(folder: Path, kind: str) -> Path:
    path = folder / "special.wav"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        os.chdir(folder)
        socket.socket(socket.AF_UNIX).bind(path.name)  # the path of a socket may have 107 bytes
    else:
        return Path("/dev/zero")
    return path


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.parametrize("command", ["convert", "render"])
@pytest.mark.parametrize("kind", ["pipe", "socket", "device"])
def test_special_files_are_refused_without_waiting(
    tmp_path: Path, kind: str, command: str, capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = special_file(tmp_path, kind)
    assert main([command, str(path)]) == 1
    assert capfd.readouterr().err == f"hummingface: error: {path}: this is a pipe or a device, not a file\n"


PHONES = ("mov", "3gp", "3ga", "qta", "mkv", "m4b", "mpga", "wv", "M4A", "weba", "ogv", "mp2", "tta")


def test_folders_are_searched_for_what_telephones_write(hum: Path, capfd: Capture) -> None:
    folder = hum.parent / "phone"
    folder.mkdir()
    for number, suffix in enumerate(PHONES):
        (folder / f"{number}.{suffix}").write_bytes(hum.read_bytes())
    (folder / "code.ts").write_text("let voice = 1;")
    (folder / "notes.txt").write_text("no sound")
    assert main(["convert", str(folder), "--out-dir", str(hum.parent / "out")]) == 0
    assert len(capfd.readouterr().out.splitlines()) == len(PHONES)


def test_a_folder_that_cannot_be_read_is_named(hum: Path, capfd: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    locked = hum.parent / "locked"
    locked.mkdir()
    scan = os.scandir

    def refuse(path: Any) -> Any:
        if Path(path) == locked:
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr("os.scandir", refuse)
    assert main(["convert", str(hum.parent), "--out-dir", str(hum.parent / "out")]) == 1
    captured = capfd.readouterr()
    assert captured.err == f"hummingface: error: {locked}: Permission denied\n"
    assert len(captured.out.splitlines()) == 1


def test_the_mask_of_permissions_is_kept(hum: Path) -> None:
    before = os.umask(0o077)
    try:
        assert main(["convert", str(hum)]) == 0
    finally:
        os.umask(before)
    assert stat.S_IMODE(hum.with_name("hum_piano.wav").stat().st_mode) == 0o600


def test_a_link_in_the_place_of_an_output_is_not_followed(hum: Path, capfd: Capture) -> None:
    target = hum.with_name("precious.wav")
    target.write_bytes(b"precious")
    link = hum.with_name("hum_piano.wav")
    link.symlink_to(target)
    assert main(["convert", str(hum)]) == 1
    assert f"{link} exists; add --overwrite to replace it" in capfd.readouterr().err
    assert main(["convert", str(hum), "--overwrite"]) == 0
    assert not link.is_symlink()
    assert target.read_bytes() == b"precious"


def test_a_link_to_nothing_counts_as_an_output(table: Path, capfd: Capture) -> None:
    link = table.with_suffix(".wav")
    link.symlink_to(table.with_name("nothing"))
    assert main(["render", str(table)]) == 1
    assert f"{link} exists" in capfd.readouterr().err


def test_an_output_folder_may_be_a_link(hum: Path) -> None:
    (hum.parent / "real").mkdir()
    (hum.parent / "link").symlink_to("real")
    assert main(["convert", str(hum), "--out-dir", str(hum.parent / "link")]) == 0
    assert (hum.parent / "real" / "hum_piano.wav").exists()


def test_two_runs_into_one_folder(hum: Path, capfd: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    from hf_model.cli.jobs import Conversion

    write, out = Conversion.write, hum.with_name("hum_piano.wav")

    def write_late(conversion: Conversion, paths: Any) -> None:
        write(conversion, paths)
        out.write_bytes(b"of the other run")

    monkeypatch.setattr(Conversion, "write", write_late)
    assert main(["convert", str(hum)]) == 1
    assert f"{out} exists; add --overwrite to replace it" in capfd.readouterr().err
    assert out.read_bytes() == b"of the other run"
    assert sorted(path.name for path in hum.parent.iterdir()) == ["hum.wav", "hum_piano.wav"]


def test_a_source_that_is_its_own_output(table: Path, capfd: Capture) -> None:
    notes = table.rename(table.with_name("notes.wav"))  # a table all the same
    assert main(["render", str(notes), "--overwrite"]) == 1
    assert f"the output would replace {notes}" in capfd.readouterr().err
    assert notes.read_text().startswith("onset")


def test_a_source_that_changes_while_it_is_read(hum: Path) -> None:
    reader = AudioReader(hum)
    with hum.open("ab") as file:
        file.write(bytes(1000))
    assert sum(block.shape[1] for block in reader) == tones([60, 64]).shape[0]
    assert reader.warnings == ["the file changed while it was read; convert it again when it is complete"]


def test_a_recording_that_is_too_long_is_refused(hum: Path, capfd: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hf_model.cli.jobs.MAX_SECONDS", 0.5)
    assert main(["convert", str(hum)]) == 1
    said = "it is longer than 0.5 seconds; convert a part of it with --start and --end"
    assert capfd.readouterr().err == f"hummingface: error: {hum}: {said}\n"
    assert main(["convert", str(hum), "--end", "0.4"]) == 0


def test_samples_that_are_no_sound_are_refused(tmp_path: Path, capfd: Capture) -> None:
    soundfile.write(tmp_path / "a.wav", np.full(16000, 1e30), 16000, subtype="FLOAT")
    assert main(["convert", str(tmp_path / "a.wav")]) == 1
    assert "the samples are no sound: they reach 1.0e+30, where full scale is 1" in capfd.readouterr().err


def test_a_full_folder_of_temporary_files_is_named(
    table: Path, capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tempfile

    def fail(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "write", fail)
    assert main(["render", str(table)]) == 1
    assert f"no space left on device in the folder of temporary files, {tempfile.gettempdir()}" in (
        capfd.readouterr().err.replace("No space", "no space")
    )
    assert not table.with_suffix(".wav").exists()


def test_without_home_and_temporary_folder_in_the_posix_locale(hum: Path, table: Path) -> None:
    code = (
        "import sys, hf_model.inference; from tests.fakes import tone_models; from hf_model.cli.main import main; "
        "hf_model.inference.default_models = tone_models; sys.exit(main())"
    )
    bare = {"LC_ALL": "POSIX", "TMPDIR": "/nothing", "HOME": "/nothing", "PATH": "/usr/bin:/bin"}
    bare |= {name: value for name, value in os.environ.items() if name.startswith(("COV", "LD_", "OMP_"))}
    for arguments in (["convert", str(hum), "--plot"], ["render", str(table)]):
        command = [sys.executable, "-c", code, *arguments]
        done = subprocess.run(command, cwd=ROOT, env=bare, capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, b"")
