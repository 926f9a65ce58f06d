"""Signals: whenever one comes, nothing is lost, and the training ends with the weights of one that heard none."""

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
from tests.tiny_shards import TINY_FIT, TINY_MODELS, tiny_task, write_tiny_shards

SIGNALS = (signal.SIGUSR1, signal.SIGTERM, signal.SIGINT)


@pytest.fixture(scope="module")
def shards(tmp_path_factory) -> Path:
    return write_tiny_shards(tmp_path_factory.mktemp("shards"))


@pytest.fixture(autouse=True)
def handlers():
    """Ctrl-C interrupts, whatever shell started the tests; afterwards all handlers are back."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


class Send(Callback):
    """Sends this process a signal at one of Lightning's hooks, when a step has been done."""

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
    kept = {f"kept/{name}": value for name, value in load_best(folder / "checkpoints")[0].items()}
    return state(folder)["state_dict"] | kept


@pytest.fixture(scope="module")
def expected(shards, tmp_path_factory) -> dict[str, torch.Tensor]:
    """What ten steps with validations after four, eight and ten end with, when nothing comes between."""
    folder = tmp_path_factory.mktemp("whole")
    run(shards, folder)
    return weights(folder)


def assert_goes_on(shards: Path, folder: Path, expected: dict[str, torch.Tensor]) -> None:
    run(shards, folder)
    found = weights(folder)
    assert found.keys() == expected.keys()
    assert [name for name in found if not torch.equal(found[name], expected[name])] == []


# ------------------------------------------------------------------------------------------------- while it trains


@pytest.mark.parametrize(
    ("hook", "step", "kept"),
    [
        ("on_train_batch_start", 1, 2),  # in the middle of a step: kept at its end
        ("on_before_optimizer_step", 5, 6),
        ("on_train_batch_end", 2, 2),
        ("on_train_batch_start", 3, 3),  # in an interval's last step, after which nothing is kept before the validation
        ("on_validation_batch_start", 4, 3),
        ("on_validation_batch_end", 8, 7),
        ("on_validation_batch_start", 10, 9),  # the last validation
    ],
)
def test_a_signal_keeps_a_checkpoint_and_training_goes_on_exactly(hook, step, kept, shards, expected, tmp_path):
    send = Send(hook, step)
    with pytest.raises(Interrupted) as stop:
        run(shards, tmp_path, send)
    assert (stop.value.code, stop.value.name, send.after) == (75, "SIGUSR1", 0)
    assert state(tmp_path)["global_step"] == kept
    assert not (tmp_path / "model").exists()
    assert_goes_on(shards, tmp_path, expected)


@pytest.mark.parametrize("number", SIGNALS)
def test_every_signal_is_heard_and_has_its_exit_code(number, shards, tmp_path, capfd):
    with pytest.raises(Interrupted) as stop:
        run(shards, tmp_path, Send("on_train_batch_start", 1, number))
    assert stop.value.code == (130 if number == signal.SIGINT else 75)
    assert ("Ctrl-C again stops at once" in capfd.readouterr().err) == (number == signal.SIGINT)
    assert state(tmp_path)["global_step"] == 2


def test_slurm_may_repeat_itself_but_a_second_ctrl_c_stops_at_once(shards, tmp_path):
    with pytest.raises(Interrupted):
        run(shards, tmp_path, Send("on_train_batch_start", 1, signal.SIGTERM, signal.SIGUSR1, signal.SIGTERM))
    assert state(tmp_path)["global_step"] == 2
    with pytest.raises(Interrupted) as stop:
        run(shards, tmp_path, Send("on_train_batch_start", 2, signal.SIGINT, signal.SIGINT))
    assert stop.value.code == 130
    assert state(tmp_path)["global_step"] == 2, "at once: the step that had begun is not kept"


def test_a_signal_before_the_first_step_stops_before_it(shards, tmp_path):
    preemption.listen()
    os.kill(os.getpid(), signal.SIGTERM)
    assert preemption.heard() == signal.SIGTERM
    with pytest.raises(Interrupted) as stop:
        run(shards, tmp_path)
    assert stop.value.name == "SIGTERM"
    assert list((tmp_path / "checkpoints").iterdir()) == []
    assert preemption.heard() == 0, "it was acted on"


class Concluding:
    """A task that is sent a signal while its model is finished."""

    def __init__(self, before: int) -> None:
        self.task, self.before = tiny_task("transcriber"), before
        self.conclude, self.task.conclude = self.task.conclude, self

    def __call__(self, model, batches):
        os.kill(os.getpid(), signal.SIGUSR1)
        return self.conclude(model, batches)


def test_a_signal_while_the_model_is_finished_stops_at_once(shards, expected, tmp_path):
    with pytest.raises(Interrupted) as stop:
        run(shards, tmp_path, task=Concluding(0).task)
    assert stop.value.code == 75
    assert not (tmp_path / "model").exists()
    assert state(tmp_path)["global_step"] == 10
    assert_goes_on(shards, tmp_path, expected)
    assert (tmp_path / "model" / "model.safetensors").is_file()


def test_our_handler_is_the_one_while_it_trains_and_the_old_ones_come_back(shards, tmp_path):
    found = {}

    class Look(Callback):
        def on_train_batch_start(self, *_):
            found.update({number: signal.getsignal(number) for number in SIGNALS})

    before = {number: signal.getsignal(number) for number in SIGNALS}
    run(shards, tmp_path, Look(), fit={"steps": 1})
    assert set(found.values()) == {preemption._LISTENER}, "Lightning has put nothing in its place"
    assert {number: signal.getsignal(number) for number in SIGNALS} == before


def test_in_the_background_ctrl_c_stays_ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with preemption.listening():
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN


def test_minutes_count_as_steps_do(shards, tmp_path):
    steps = []

    class Look(Callback):
        def on_train_batch_start(self, trainer, *_):
            last = tmp_path / "checkpoints" / LAST
            steps.append((trainer.global_step, state(tmp_path)["global_step"] if last.is_file() else None))

    run(shards, tmp_path, Look(), checkpoint_minutes=0.0)
    assert steps == [(0, None), *((step, step) for step in range(1, 10))], "no minute to lose: one after every step"


def test_processes_started_while_signals_are_withheld_outlive_them():
    with preemption.withheld():
        child = subprocess.Popen(
            [sys.executable, "-c", "import sys; print(1, flush=True); sys.stdin.read()"], stdin=-1, stdout=-1
        )
    assert child.stdout.read(1) == b"1"
    for number in SIGNALS:
        child.send_signal(number)
    child.communicate()
    assert child.returncode == 0
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == set()


# ----------------------------------------------------------------------------------------- the stage, and the queue


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """Stand-ins for squeue, which says what `state` says, and scontrol, which writes down what it is told."""
    for name, line in (("squeue", 'cat "$0".state'), ("scontrol", 'echo "$@" >> "$0".told')):
        (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "squeue.state").write_text("RUNNING\n", encoding="utf-8")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def told(slurm: Path) -> list[str]:
    path = slurm / "scontrol.told"
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []


def test_a_job_is_put_back_once_by_its_number(slurm):
    assert requeue({"SLURM_JOB_ID": "71"}) == "71"
    assert requeue({"SLURM_JOB_ID": "9", "SLURM_ARRAY_JOB_ID": "9", "SLURM_ARRAY_TASK_ID": "4"}) == "9_4"
    assert told(slurm) == ["requeue 71", "requeue 9_4"]


@pytest.mark.parametrize(
    "environment", [{}, {"SLURM_JOB_ID": "7", "HUMMINGFACE_REQUEUE": "no"}, {"SLURM_JOB_ID": "a b"}]
)
def test_no_job_or_no_wish_is_no_requeue(environment, slurm):
    assert requeue(environment) == ""
    assert told(slurm) == []


def test_a_job_that_ends_anyway_is_left_alone(slurm):
    (slurm / "squeue.state").write_text("COMPLETING\n", encoding="utf-8")
    assert requeue({"SLURM_JOB_ID": "7"}) == ""
    assert told(slurm) == []


def test_a_site_has_its_own_command_which_no_shell_reads(slurm):
    own = {"SLURM_JOB_ID": "7", "HUMMINGFACE_REQUEUE": "scontrol site-requeue '{job}; rm' $HOME"}
    assert requeue(own) == "7"
    assert told(slurm) == ["site-requeue 7; rm $HOME"]


def test_a_refusal_is_told(slurm):
    (slurm / "scontrol").write_text("#!/bin/sh\necho 'Job cannot be\nrequeued' >&2; exit 1\n", encoding="utf-8")
    with pytest.raises(RequeueError, match=r"^scontrol requeue 7: Job cannot be requeued$"):
        requeue({"SLURM_JOB_ID": "7"})
    with pytest.raises(RequeueError, match="absent"):
        requeue({"SLURM_JOB_ID": "7", "HUMMINGFACE_REQUEUE": "absent-command {job}"})


def test_jobs_have_numbers():
    assert job_number({"SLURM_JOB_ID": "12"}) == "12"
    assert job_number({"SLURM_JOB_ID": "12; reboot"}) == job_number({}) == ""


PROGRAM = """
import os, runpy, signal, sys
sys.path.insert(0, {root!r})

class Bell:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            os.kill(os.getpid(), signal.SIGUSR1)

sys.meta_path.insert(0, Bell())
sys.modules["mlflow"] = None
sys.argv = ["train", "transcriber"]
runpy.run_module("stages.train", run_name="__main__", alter_sys=True)
"""


def test_a_signal_during_imports_puts_the_job_back(shards, slurm, root):
    """As a program: Slurm's warning comes while torch is imported."""
    model, fit = TINY_MODELS["transcriber"], {**TINY_FIT, "steps": 100_000}
    params = {"profiles": {"default": {}}, "train": {"transcriber": {"model": model, "fit": fit}}}
    (slurm / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    shutil.copytree(shards, slurm / "data" / "stft")
    environment = os.environ | {"SLURM_JOB_ID": "71"}
    program = [sys.executable, "-c", PROGRAM.format(root=str(root))]
    done = subprocess.run(program, cwd=slurm, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 75, done.stderr
    assert "transcriber: stopped by SIGUSR1; job 71 is in the queue again" in done.stdout
    assert told(slurm) == ["requeue 71"]
