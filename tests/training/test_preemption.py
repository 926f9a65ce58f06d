"""Signals at any moment: a checkpoint is saved, and the resumed training ends with the same weights."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from pytorch_lightning.callbacks import Callback

from hf_model.training import preemption, trainer
from hf_model.training.checkpoints import LAST, load_best
from hf_model.training.preemption import Interrupted, RequeueError, job_number, requeue
from tests.tiny_shards import TINY_FIT, TINY_MODELS, tiny_task

SIGNALS = (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT)


@pytest.fixture(autouse=True)
def handlers():
    """Install the default handler of Ctrl-C, and restore all handlers afterwards."""
    previous = {number: signal.getsignal(number) for number in SIGNALS}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in previous.items():
        signal.signal(number, handler)


class Send(Callback):
    """Sends signals to this process at a hook of Lightning, after a given step; counts later calls of the hook."""

    def __init__(self, hook: str, step: int, *signals: int) -> None:
        self.step, self.signals, self.after = step, signals or (signal.SIGUSR1,), 0
        setattr(self, hook, self.send)

    def send(self, trainer, *_):
        if trainer.global_step == self.step:
            for number in self.signals:
                os.kill(os.getpid(), number)
        self.after += trainer.global_step > self.step


def run(shards: Path, folder: Path, *callbacks: Callback, every: int = 100, task=None, **options):
    task = task or tiny_task("transcriber", **options.pop("fit", {}))
    arguments = (task, shards, folder / "model", folder / "checkpoints")
    return trainer.train(*arguments, progress=False, checkpoint_every=every, callbacks=callbacks, **options)


def state(folder: Path) -> dict:
    return torch.load(folder / "checkpoints" / LAST, weights_only=True)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    best = {f"best/{name}": value for name, value in load_best(folder / "checkpoints")[0].items()}
    return state(folder)["state_dict"] | best


@pytest.fixture(scope="module")
def expected(uninterrupted) -> dict[str, torch.Tensor]:
    """Weights after ten steps with validations after four, eight and ten, without interruption."""
    return weights(uninterrupted("transcriber")[0])


def assert_resumes(shards: Path, folder: Path, expected: dict[str, torch.Tensor]) -> None:
    run(shards, folder)
    found = weights(folder)
    assert found.keys() == expected.keys()
    assert [name for name in found if not torch.equal(found[name], expected[name])] == []


# --------------------------------------------------------------------------------------------------- in a training


@pytest.mark.parametrize(
    ("hook", "step", "saved"),
    [
        ("on_train_batch_start", 1, 2),  # within a step: saved at its end
        ("on_before_optimizer_step", 5, 6),
        ("on_train_batch_end", 2, 2),
        ("on_train_batch_start", 3, 3),  # in the last step of an interval: saved before it
        ("on_validation_batch_start", 4, 3),
        ("on_validation_batch_end", 8, 7),
        ("on_validation_batch_start", 10, 9),  # the last validation
    ],
)
def test_a_checkpoint_is_saved_and_training_resumes_exactly(hook, step, saved, shards, expected, tmp_path):
    send = Send(hook, step)
    with pytest.raises(Interrupted) as stop:
        run(shards, tmp_path, send)
    assert (stop.value.code, stop.value.name, send.after) == (75, "SIGUSR1", 0)
    assert state(tmp_path)["global_step"] == saved
    assert not (tmp_path / "model").exists()
    assert_resumes(shards, tmp_path, expected)


@pytest.mark.parametrize("number", SIGNALS)
def test_every_signal_stops_with_its_exit_code(number, shards, tmp_path, capfd):
    with pytest.raises(Interrupted) as stop:
        run(shards, tmp_path, Send("on_train_batch_start", 1, number))
    assert stop.value.code == (130 if number == signal.SIGINT else 75)
    assert ("Ctrl-C again stops at once" in capfd.readouterr().err) == (number == signal.SIGINT)
    assert state(tmp_path)["global_step"] == 2


def test_repeated_signals_are_ignored_except_for_ctrl_c(shards, tmp_path):
    with pytest.raises(Interrupted):
        run(shards, tmp_path, Send("on_train_batch_start", 1, signal.SIGTERM, signal.SIGUSR1, signal.SIGTERM))
    assert state(tmp_path)["global_step"] == 2
    with pytest.raises(Interrupted) as stop:
        run(shards, tmp_path, Send("on_train_batch_start", 2, signal.SIGINT, signal.SIGINT))
    assert stop.value.code == 130
    assert state(tmp_path)["global_step"] == 2, "the step in progress is not saved"


def test_a_signal_before_the_first_step_stops_the_training(shards, tmp_path):
    preemption.install_handlers()
    os.kill(os.getpid(), signal.SIGTERM)
    assert preemption.received_signal() == signal.SIGTERM
    with pytest.raises(Interrupted) as stop:
        run(shards, tmp_path)
    assert stop.value.name == "SIGTERM"
    assert list((tmp_path / "checkpoints").iterdir()) == []
    assert preemption.received_signal() == 0


def test_a_signal_while_the_model_is_written_stops_at_once(shards, expected, tmp_path):
    task = tiny_task("transcriber")
    finish = task.finish

    def interrupted(model, batches):
        os.kill(os.getpid(), signal.SIGUSR1)
        return finish(model, batches)

    task.finish = interrupted
    with pytest.raises(Interrupted) as stop:
        run(shards, tmp_path, task=task)
    assert stop.value.code == 75
    assert not (tmp_path / "model").exists()
    assert state(tmp_path)["global_step"] == 10
    assert_resumes(shards, tmp_path, expected)
    assert (tmp_path / "model" / "model.safetensors").is_file()


def test_handlers_are_installed_for_the_training_only(shards, tmp_path):
    found = {}

    class Look(Callback):
        def on_train_batch_start(self, *_):
            found.update({number: signal.getsignal(number) for number in SIGNALS})

    previous = {number: signal.getsignal(number) for number in SIGNALS}
    run(shards, tmp_path, Look(), fit={"steps": 1})
    assert set(found.values()) == {preemption._HANDLER}, "Lightning replaces none of them"
    assert {number: signal.getsignal(number) for number in SIGNALS} == previous


def test_ctrl_c_stays_ignored_in_the_background():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with preemption.handle_signals():
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN


def test_checkpoints_are_saved_by_time_too(shards, tmp_path):
    steps = []

    class Look(Callback):
        def on_train_batch_start(self, trainer, *_):
            last = tmp_path / "checkpoints" / LAST
            steps.append((trainer.global_step, state(tmp_path)["global_step"] if last.is_file() else None))

    run(shards, tmp_path, Look(), checkpoint_minutes=0.0)
    assert steps == [(0, None), *((step, step) for step in range(1, 10))], "after zero minutes: one after every step"


def test_processes_started_with_blocked_signals_survive_them():
    with preemption.block_signals():
        child = subprocess.Popen(
            [sys.executable, "-c", "import sys; print(1, flush=True); sys.stdin.read()"], stdin=-1, stdout=-1
        )
    assert child.stdout.read(1) == b"1"
    for number in SIGNALS:
        child.send_signal(number)
    child.communicate()
    assert child.returncode == 0
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == set()


# ------------------------------------------------------------------------------------------------------------ Slurm


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """Stand-ins for squeue, which prints squeue.state, and scontrol, which records its arguments."""
    for name, line in (("squeue", 'cat "$0".state'), ("scontrol", 'echo "$@" >> "$0".calls')):
        (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "squeue.state").write_text("RUNNING\n", encoding="utf-8")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def scontrol_calls(slurm: Path) -> list[str]:
    path = slurm / "scontrol.calls"
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []


def test_a_job_is_requeued_by_its_number(slurm):
    assert requeue({"SLURM_JOB_ID": "71"}) == "71"
    assert requeue({"SLURM_JOB_ID": "9", "SLURM_ARRAY_JOB_ID": "9", "SLURM_ARRAY_TASK_ID": "4"}) == "9_4"
    assert scontrol_calls(slurm) == ["requeue 71", "requeue 9_4"]


@pytest.mark.parametrize(
    "environment", [{}, {"SLURM_JOB_ID": "7", "HUMMINGFACE_REQUEUE": "no"}, {"SLURM_JOB_ID": "a b"}]
)
def test_without_a_job_or_when_turned_off_nothing_is_requeued(environment, slurm):
    assert requeue(environment) == ""
    assert scontrol_calls(slurm) == []


def test_an_ending_job_is_not_requeued(slurm):
    (slurm / "squeue.state").write_text("COMPLETING\n", encoding="utf-8")
    assert requeue({"SLURM_JOB_ID": "7"}) == ""
    assert scontrol_calls(slurm) == []


def test_the_command_of_a_site_is_run_without_a_shell(slurm):
    environment = {"SLURM_JOB_ID": "7", "HUMMINGFACE_REQUEUE": "scontrol site-requeue '{job}; rm' $HOME"}
    assert requeue(environment) == "7"
    assert scontrol_calls(slurm) == ["site-requeue 7; rm $HOME"]


def test_a_refusal_is_reported(slurm):
    (slurm / "scontrol").write_text("#!/bin/sh\necho 'Job cannot be\nrequeued' >&2; exit 1\n", encoding="utf-8")
    with pytest.raises(RequeueError, match=r"^scontrol requeue 7: Job cannot be requeued$"):
        requeue({"SLURM_JOB_ID": "7"})
    with pytest.raises(RequeueError, match="absent"):
        requeue({"SLURM_JOB_ID": "7", "HUMMINGFACE_REQUEUE": "absent-command {job}"})


def test_job_numbers_are_validated():
    assert job_number({"SLURM_JOB_ID": "12"}) == "12"
    assert job_number({"SLURM_JOB_ID": "12; reboot"}) == job_number({}) == ""


PROGRAM = """
import os, runpy, signal, sys
sys.path.insert(0, {root!r})

class SignalOnImport:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            os.kill(os.getpid(), signal.SIGUSR1)

sys.meta_path.insert(0, SignalOnImport())
sys.modules["mlflow"] = None
sys.argv = ["train", "transcriber"]
runpy.run_module("stages.train", run_name="__main__", alter_sys=True)
"""


def test_a_signal_during_imports_requeues_the_job(shards, slurm, root):
    """Run the stage as a program: Slurm's warning arrives while torch is imported."""
    model, fit = TINY_MODELS["transcriber"], {**TINY_FIT, "steps": 100_000}
    params = {"profiles": {"default": {}}, "train": {"transcriber": {"model": model, "fit": fit}}}
    (slurm / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    shutil.copytree(shards, slurm / "data" / "stft")
    environment = os.environ | {"SLURM_JOB_ID": "71"}
    program = [sys.executable, "-c", PROGRAM.format(root=str(root))]
    done = subprocess.run(program, cwd=slurm, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 75, done.stderr
    assert "transcriber: stopped by SIGUSR1; job 71 is requeued" in done.stdout
    assert scontrol_calls(slurm) == ["requeue 71"]
