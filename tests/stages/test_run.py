"""Settings, atomic outputs and errors of stages."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from hf_model.config import ConfigError
from stages import _run


@dataclass(frozen=True)
class Inner:
    rate: float = 0.1
    epochs: int = 3


@dataclass(frozen=True)
class Settings:
    threshold: float = 0.5
    corpora: tuple[str, ...] = ("made",)
    inner: Inner = field(default_factory=Inner)


@pytest.fixture
def params(tmp_path):
    def write(text):
        path = tmp_path / "params.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_profile_overrides_the_section(params):
    path = params(
        "profile: full\n"
        "profiles:\n  default: {}\n  full: {align: {inner: {epochs: 9}, corpora: [ssvd]}}\n"
        "align: {threshold: 0.7, inner: {rate: 0.2, epochs: 4}, corpora: [made, csd]}\n"
    )
    got = _run.settings("align", Settings, path)
    assert got == Settings(threshold=0.7, corpora=("ssvd",), inner=Inner(rate=0.2, epochs=9))


def test_dotted_section(params):
    path = params("profiles: {default: {train: {direct: {epochs: 8}}}}\ntrain: {direct: {rate: 0.3}}\n")
    assert _run.settings("train.direct", Inner, path) == Inner(rate=0.3, epochs=8)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("profiles: {default: {}}\nalign: {treshold: 1}", r"unknown setting align\.treshold; known: .*threshold"),
        ("profiles: {default: {}}\nalign: {inner: {epochs: 2.5}}", r"align\.inner\.epochs is 2\.5, expected int"),
        ("profiles: {default: {}}\nalign: {threshold: 3e-4}", r"align\.threshold is '3e-4'.*write 3\.0e-4"),
        ("profiles: {default: {algin: {}}}\nalign: {}", r"unknown section profiles\.default\.algin"),
        ("profiles: {default: {}}\nalign: {}\nevalute: {}", r"unknown section evalute"),
        ("profile: huge\nprofiles: {default: {}}\nalign: {}", r"profile is 'huge', allowed is one of default"),
        ("profiles: {default: {}}\n", r"has no section align"),
        ("align: [", r"not valid YAML"),
        ("- 1", r"must hold a mapping"),
    ],
)
def test_wrong_parameter_is_reported(params, text, message):
    with pytest.raises(ConfigError, match=message):
        _run.settings("align", Settings, params(text))


def test_without_params_file(tmp_path):
    with pytest.raises(ConfigError, match="run stages in the repository's root"):
        _run.settings("align", Settings, tmp_path / "params.yaml")


def test_output_is_atomic_and_replaces(tmp_path):
    final = tmp_path / "deep" / "out"
    for text in ("first", "second"):
        with _run.output(final) as folder:
            (folder / text).write_text(text, encoding="utf-8")
            assert not (final / text).exists()
        assert [path.name for path in final.iterdir()] == [text]
    assert sorted(path.name for path in final.parent.iterdir()) == [".out.lock", "out"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_failure_keeps_the_old_output(tmp_path, error):
    with _run.output(tmp_path / "out") as folder:
        (folder / "old").touch()

    def fail():
        with _run.output(tmp_path / "out") as folder:
            (folder / "new").touch()
            raise error

    with pytest.raises(error):
        fail()
    assert sorted(path.name for path in tmp_path.rglob("*")) == [".out.lock", "old", "out"]


def test_resumed_output_keeps_its_files(tmp_path):
    def attempt(fail):
        with _run.output(tmp_path / "out", resume=True) as folder:
            seen = (folder / "part").exists()
            (folder / "part").touch()
            if fail:
                raise InterruptedError
            return seen

    with pytest.raises(InterruptedError):
        attempt(True)
    assert attempt(False)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["part"]


def _raiser(error):
    def stage():
        raise error

    return stage


@pytest.mark.parametrize(
    ("error", "line", "code"),
    [
        (ConfigError("align.x is 3,\nallowed is 1 to 2"), "error: align.x is 3, allowed is 1 to 2\n", 1),
        (OSError(errno.ENOSPC, "No space left on device", "a.wav"), "error: a.wav: the disk is full", 1),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "b"), "error: b: No such file or directory\n", 1),
        (OSError("no model in x"), "error: no model in x\n", 1),
        (KeyboardInterrupt(), "error: interrupted", 130),
    ],
)
def test_known_errors_are_one_line(capsys, monkeypatch, error, line, code):
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit) as caught:
        _run.main(_raiser(error))
    assert caught.value.code == code
    text = capsys.readouterr().err
    assert text.startswith(line)
    assert text.count("\n") == 1


def test_bugs_keep_their_traceback(monkeypatch):
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with pytest.raises(ZeroDivisionError):
        _run.main(_raiser(ZeroDivisionError("oops")))


def test_sigterm_cleans_up(tmp_path):
    def stage():
        with _run.output(tmp_path / "out") as folder:
            (folder / "half").touch()
            os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(SystemExit) as caught:
            _run.main(stage)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert caught.value.code == 143
    assert [path.name for path in tmp_path.iterdir()] == [".out.lock"]


# -------------------------------------------------------------------------------------------------------------- locks

HOLDER = """
import os, subprocess, sys, time
from pathlib import Path
from stages import _run

final, resume, child = Path(sys.argv[1]), sys.argv[2] == "resume", sys.argv[3]
with _run.output(final, resume=resume) as folder:
    (folder / "first").touch()
    if child == "fork" and os.fork() == 0:
        final.with_name("ready").touch()  # its copy of the lock is closed
        time.sleep(60)
        os._exit(0)
    if child == "exec":
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    if child != "fork":
        final.with_name("ready").touch()
    while not final.with_name("finish").exists():
        time.sleep(0.01)
"""


@pytest.fixture
def holder(root):
    """Start another process that writes an output until the file ``finish`` exists or it is killed."""
    started = []

    def start(final, *, resume=False, child=""):
        command = [sys.executable, "-c", HOLDER, str(final), "resume" if resume else "", child]
        environment = {name: value for name, value in os.environ.items() if name != "COVERAGE_PROCESS_CONFIG"}
        started.append(subprocess.Popen(command, cwd=root, env=environment, start_new_session=True))
        deadline = time.monotonic() + 60
        while not final.with_name("ready").exists() and time.monotonic() < deadline:
            assert started[-1].poll() is None
            time.sleep(0.01)
        assert final.with_name("ready").exists()
        return started[-1]

    yield start
    for process in started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # its children too
        process.wait(60)


@pytest.mark.parametrize("resume", [False, True])
def test_second_writer_fails_at_once_and_changes_nothing(tmp_path, holder, capsys, monkeypatch, resume):
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    first = holder(tmp_path / "out", resume=resume)

    def stage():
        with _run.output(tmp_path / "out", resume=resume) as folder:
            (folder / "second").touch()

    start = time.monotonic()
    with pytest.raises(SystemExit) as caught:
        _run.main(stage)
    assert time.monotonic() - start < 5
    assert caught.value.code == 1
    line = f"error: {tmp_path / 'out'}: another process is writing it; wait until it ends\n"
    assert capsys.readouterr().err == line
    (tmp_path / "finish").touch()
    assert first.wait(60) == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["first"]
    stage()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["second"]


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("child", ["", "fork", "exec"])
def test_lock_of_a_killed_process_is_released(tmp_path, holder, resume, child):
    first = holder(tmp_path / "out", resume=resume, child=child)
    first.kill()
    first.wait(60)
    with _run.output(tmp_path / "out", resume=resume) as folder:
        assert (folder / "first").exists() == resume
        (folder / "second").touch()
    expected = ["first", "second"] if resume else ["second"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == expected


def test_outputs_in_one_folder_have_their_own_locks(tmp_path):
    with _run.output(tmp_path / "a") as a, _run.output(tmp_path / "b") as b:
        assert a != b
        with pytest.raises(_run.OutputError, match="b: another process is writing it"), _run.output(tmp_path / "b"):
            pass
        assert b.is_dir()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".a.lock", ".b.lock", "a", "b"]


def test_child_process_does_not_release_the_lock(tmp_path):
    def write():
        with _run.output(tmp_path / "out"):
            pass

    with _run.output(tmp_path / "out"):
        child = os.fork()
        if child == 0:
            os._exit(len(_run._locks))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        with pytest.raises(_run.OutputError):
            write()


def test_file_systems_without_locks_give_a_warning(tmp_path, monkeypatch):
    import fcntl

    def refuse(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")

    def write():
        with _run.output(tmp_path / "out") as folder:
            (folder / "a").touch()

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.warns(UserWarning, match="out: this file system has no locks"):
        write()
    monkeypatch.setitem(sys.modules, "fcntl", None)  # Windows
    write()
    assert (tmp_path / "out" / "a").is_file()


def test_there_is_at_least_one_worker():
    assert _run.workers() >= 1


def test_workers_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("HUMMINGFACE_WORKERS", "3")
    assert _run.workers() == 3
    monkeypatch.delenv("HUMMINGFACE_WORKERS")
    assert _run.workers() >= 1
    for wrong in ("0", "-1", "many"):
        monkeypatch.setenv("HUMMINGFACE_WORKERS", wrong)
        with pytest.raises(ConfigError, match="HUMMINGFACE_WORKERS is"):
            _run.workers()
