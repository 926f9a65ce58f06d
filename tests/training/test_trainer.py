"""Training: a run interrupted at any moment ends with the weights of an uninterrupted one; the best are selected."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from pytorch_lightning.callbacks import Callback

from hf_model.training import trainer
from hf_model.training.checkpoints import LAST, PREVIOUS, load_best
from hf_model.training.tasks import TranscriberTask
from hf_model.transcriber.network import TranscriberNetwork
from hf_model.transcriber.transcriber import Transcriber
from hf_model.weights import read_config
from tests.tiny_shards import tiny_task

KINDS = ("transcriber", "synthesizer", "direct")
# Packages that a GPU node need not have: most of `hummingface convert`, the pipeline and its trackers.
ABSENT = (
    *("mlflow", "pandas", "librosa", "dvc", "mir_eval", "pooch", "requests", "sklearn", "numba", "swift_f0"),
    *("soundfile", "soxr", "av", "matplotlib", "mido", "pretty_midi", "basic_pitch"),
)


def run(shards: Path, folder: Path, kind: str = "transcriber", max_steps: int | None = None, every: int = 2, **fit):
    """Train or resume in a folder; returns the figures."""
    return trainer.train(
        tiny_task(kind, **fit),
        shards,
        folder / "model",
        folder / "checkpoints",
        progress=False,
        checkpoint_every=every,
        max_steps=max_steps,
    )


def everything(folder: Path) -> dict[str, torch.Tensor]:
    """Everything at the end of a training: network, average, optimizer, and the best weights."""
    state = torch.load(folder / "checkpoints" / LAST, weights_only=True)
    found = {f"end/{name}": value for name, value in state["state_dict"].items()}
    for number, values in state["optimizer_states"][0]["state"].items():
        found |= {f"optimizer/{number}/{name}": value for name, value in values.items()}
    found |= {f"best/{name}": value for name, value in load_best(folder / "checkpoints")[0].items()}
    return found | {"step": torch.tensor(state["global_step"])}


def assert_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


def without_time(figures: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in figures.items() if name != "seconds"}


def averages_at(shards: Path, folder: Path, *steps: int) -> list[dict[str, torch.Tensor]]:
    """The moving averages at some steps, each from a training that is stopped there."""
    found = []
    for step in steps:
        run(shards, folder, max_steps=step, every=1)
        state = torch.load(folder / "checkpoints" / LAST, weights_only=True)["state_dict"]
        found.append({name.removeprefix("average."): value for name, value in state.items() if "average." in name})
    return found


# ------------------------------------------------------------------------------------------------------ exact resume


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_interrupted_within_an_interval_resumes(kind, shards, uninterrupted, tmp_path):
    folder, figures = uninterrupted(kind)
    run(shards, tmp_path, kind, max_steps=7)
    assert torch.load(tmp_path / "checkpoints" / LAST, weights_only=True)["global_step"] == 7
    resumed = run(shards, tmp_path, kind)
    assert_same(everything(tmp_path), everything(folder))
    assert without_time(resumed) == without_time(figures)


def test_the_mean_of_validated_weights_survives_interruptions(shards, tmp_path):
    for stop in (3, 5, 8, None):
        run(shards, tmp_path / "mean", max_steps=stop, every=1, keep="mean")
    best, figures = load_best(tmp_path / "mean/checkpoints")
    validated = averages_at(shards, tmp_path / "plain", 4, 8, 10)
    assert figures["step"] == 10
    for name, value in best.items():
        if value.dtype.is_floating_point:
            torch.testing.assert_close(
                value, torch.stack([one[name] for one in validated]).mean(0), rtol=1e-4, atol=1e-6
            )
    written = TranscriberNetwork.from_pretrained(tmp_path / "mean/model").state_dict()
    assert all(torch.equal(written[name], value) for name, value in best.items())


@pytest.mark.parametrize(
    ("stops", "every"),
    [
        ([2], 1),  # before the first validation
        ([3], 5),  # before the first checkpoint
        ([4], 1),  # at a validation
        ([4, 8], 4),  # twice, with checkpoints at validations
        ([1, 3, 9], 1),  # three times, with checkpoints after every step
        ([10], 2),  # after the last step, before the model is written
    ],
)
def test_any_number_of_interruptions_changes_nothing(stops, every, shards, uninterrupted, tmp_path):
    folder, figures = uninterrupted("transcriber")
    for stop in stops:
        run(shards, tmp_path, max_steps=stop, every=every)
    assert without_time(run(shards, tmp_path, every=every)) == without_time(figures)
    assert_same(everything(tmp_path), everything(folder))


class FailInValidation(Callback):
    """Raises an exception within a validation."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_validation_batch_end(self, trainer, *_):
        if trainer.global_step == self.step:
            raise ZeroDivisionError


@pytest.mark.parametrize("step", [4, 10])
def test_a_run_that_fails_in_a_validation_repeats_it(step, shards, uninterrupted, tmp_path):
    folder, figures = uninterrupted("transcriber")
    task, fail = tiny_task("transcriber"), FailInValidation(step)
    arguments = (shards, tmp_path / "model", tmp_path / "checkpoints")
    with pytest.raises(ZeroDivisionError):
        trainer.train(task, *arguments, progress=False, checkpoint_every=1, callbacks=[fail])
    assert without_time(run(shards, tmp_path, every=1)) == without_time(figures)
    assert_same(everything(tmp_path), everything(folder))


def test_another_seed_gives_other_weights(shards, uninterrupted, tmp_path):
    run(shards, tmp_path, seed=1)
    found, expected = everything(tmp_path), everything(uninterrupted("transcriber")[0])
    assert not torch.equal(found["end/model.heads.weight"], expected["end/model.heads.weight"])


def test_initial_weights_follow_from_the_seed_alone():
    torch.manual_seed(3)
    one = tiny_task("direct").model.state_dict()
    torch.rand(5)
    other = tiny_task("direct").model.state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert not torch.equal(one["head.weight"], tiny_task("direct", seed=4).model.state_dict()["head.weight"])


@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_a_damaged_last_checkpoint_is_skipped(damage, shards, uninterrupted, tmp_path):
    run(shards, tmp_path, max_steps=7)
    last = tmp_path / "checkpoints" / LAST
    content = bytearray(last.read_bytes())
    if damage == "flipped":
        content[len(content) // 2] ^= 0xFF
    last.write_bytes(content[: len(content) // 2] if damage == "cut" else content)
    assert torch.load(last.with_name(PREVIOUS), weights_only=True)["global_step"] == 6
    with pytest.warns(UserWarning, match=r"last\.ckpt: damaged"):
        run(shards, tmp_path)
    assert_same(everything(tmp_path), everything(uninterrupted("transcriber")[0]))


def test_with_both_checkpoints_damaged_training_restarts(shards, uninterrupted, tmp_path):
    run(shards, tmp_path, max_steps=7)
    for name in (LAST, PREVIOUS):
        (tmp_path / "checkpoints" / name).write_bytes(b"no checkpoint")
    with pytest.warns(UserWarning, match="damaged"):
        run(shards, tmp_path)
    assert_same(everything(tmp_path), everything(uninterrupted("transcriber")[0]))


@pytest.mark.slow
def test_worker_processes_change_nothing(shards, uninterrupted, tmp_path):
    task, children = tiny_task("transcriber"), set(multiprocessing.active_children())
    trainer.train(task, shards, tmp_path / "model", tmp_path / "checkpoints", progress=False, workers=1)
    assert set(multiprocessing.active_children()) <= children, "they would keep Python from exiting"
    assert_same(everything(tmp_path), everything(uninterrupted("transcriber")[0]))


# ------------------------------------------------------------------- another process: few packages, and killed

PROGRAM = """
import sys, time
sys.path.insert(0, {root!r})
from importlib.machinery import PathFinder

class FewPackages(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.split(".")[0] in {absent!r} else super().find_spec(name, path, target)

    @classmethod
    def find_distributions(cls, *context):
        return (one for one in PathFinder.find_distributions(*context) if one.name.replace("-", "_") not in {absent!r})

sys.meta_path = [FewPackages if finder is PathFinder else finder for finder in sys.meta_path]
try:
    import pandas
except ModuleNotFoundError:
    pass
else:
    sys.exit("pandas can be imported: the test is wrong")
from pathlib import Path
import torch
from pytorch_lightning.callbacks import Callback
from hf_model.config import from_mapping
from hf_model.training.tasks import TASKS
from hf_model.training.trainer import train

class Wait(Callback):
    def on_train_batch_start(self, trainer, *_):
        if trainer.global_step == 7:
            Path({folder!r}, "waiting").touch()
            time.sleep(120)

torch.set_num_threads(1)
for kind, settings in {kinds!r}.items():
    settings_class, task_class = TASKS[kind]
    task = task_class(from_mapping(settings_class, settings))
    folder = Path({folder!r}, kind)
    callbacks = [Wait()] if kind == "transcriber" else []
    train(task, {shards!r}, folder / "model", folder / "checkpoints", progress=False, checkpoint_every=2,
          callbacks=callbacks)
"""


@pytest.fixture(scope="module")
def killed(shards, tmp_path_factory, root):
    """A folder where a process without most packages trained `direct`, then was killed in step 7 of `transcriber`."""
    from hf_model.config import to_mapping

    folder = tmp_path_factory.mktemp("killed")
    kinds = {kind: to_mapping(tiny_task(kind).settings) for kind in ("direct", "transcriber")}
    program = PROGRAM.format(root=str(root), absent=ABSENT, folder=str(folder), kinds=kinds, shards=str(shards))
    environment = {name: value for name, value in os.environ.items() if name != "COVERAGE_PROCESS_CONFIG"}
    process = subprocess.Popen(
        [sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    deadline = time.monotonic() + 120
    while not (folder / "waiting").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    output = process.communicate()[0].decode()
    assert (folder / "waiting").exists(), output
    assert process.returncode == -signal.SIGKILL
    return folder


def test_training_needs_few_packages(killed, uninterrupted):
    expected, _ = uninterrupted("direct")
    for name in ("model.safetensors", "config.json"):
        assert (killed / "direct" / "model" / name).read_bytes() == (expected / "model" / name).read_bytes()


def test_a_killed_run_resumes_and_ends_with_the_same_weights(killed, shards, uninterrupted):
    folder = killed / "transcriber"
    assert not (folder / "model").exists()
    run(shards, folder)
    assert_same(everything(folder), everything(uninterrupted("transcriber")[0]))


# -------------------------------------------------------------------------------------------- validation, selection


class Scripted(TranscriberTask):
    """A transcriber with given validation figures; records the averaged weights of each validation."""

    def __init__(self, settings, figures) -> None:
        super().__init__(settings)
        self.figures, self.validated = list(figures), []

    def validation_step(self, model, *_):
        self.weights = {name: value.clone() for name, value in model.state_dict().items()}

    def summarize(self, _):
        self.validated.append(self.weights)
        return self.figures[len(self.validated) - 1]


def scripted(conpoff: list[float], **fit) -> Scripted:
    """A task with given COnPOff; the other figures, which must not matter, improve all the time."""
    figures = [{"conpoff": value, "con": i / 10, "conp": i / 10, "loss": -float(i)} for i, value in enumerate(conpoff)]
    settings = tiny_task("transcriber", **{"steps": 40, "validate_every": 2, **fit}).settings
    return Scripted(settings, figures)


def test_the_best_conpoff_is_selected_with_early_stopping(shards, tmp_path):
    task = scripted([0.2, 0.5, 0.4, 0.5, 0.3], patience=3)
    figures = trainer.train(task, shards, tmp_path / "m", tmp_path / "c", progress=False)
    assert len(task.validated) == 5, "stops after three validations without improvement"
    assert (figures["conpoff"], figures["con"], figures["step"]) == (0.5, 0.1, 4.0)
    saved = TranscriberNetwork.from_pretrained(tmp_path / "m").state_dict()
    assert all(torch.equal(saved[name], task.validated[1][name]) for name in saved)
    assert not torch.equal(saved["heads.weight"], task.validated[4]["heads.weight"])
    assert read_config(tmp_path / "m")["valid"]["conpoff"] == 0.5


def test_the_smallest_figure_is_selected_when_lower_is_better(shards, tmp_path):
    task = scripted([0.9, 0.2, 0.4, 0.2, 0.8], patience=3)
    task.higher_is_better = False
    figures = trainer.train(task, shards, tmp_path / "m", tmp_path / "c", progress=False)
    assert (figures["conpoff"], figures["step"], len(task.validated)) == (0.2, 4.0, 5)


def test_patience_is_restored_after_an_interruption(shards, tmp_path):
    conpoff = [0.2, 0.5, 0.4, 0.3, 0.3]
    trainer.train(scripted(conpoff, patience=3), shards, tmp_path / "m", tmp_path / "c", progress=False, max_steps=6)
    task = scripted([*conpoff[3:], 0.9], patience=3)
    figures = trainer.train(task, shards, tmp_path / "m", tmp_path / "c", progress=False)
    assert len(task.validated) == 2
    assert (figures["conpoff"], figures["step"]) == (0.5, 4.0)


def test_a_run_killed_after_early_stopping_stops_again(shards, tmp_path):
    conpoff = [0.5, 0.4, 0.3]
    arguments = (shards, tmp_path / "m", tmp_path / "c")
    trainer.train(scripted(conpoff, patience=2), *arguments, progress=False, max_steps=39, checkpoint_every=1)
    task = scripted([*conpoff[2:], 0.9], patience=2)
    figures = trainer.train(task, *arguments, progress=False, checkpoint_every=1)
    assert (figures["step"], figures["conpoff"], len(task.validated)) == (2.0, 0.5, 1)
    assert torch.load(tmp_path / "c" / LAST, weights_only=True)["global_step"] == 5, (
        "none is saved after early stopping"
    )


def test_a_figure_that_is_nan_ends_the_training(shards, tmp_path):
    task = scripted([0.3, float("nan"), 0.9])
    figures = trainer.train(task, shards, tmp_path / "m", tmp_path / "c", progress=False)
    assert (figures["conpoff"], figures["step"], len(task.validated)) == (0.3, 2.0, 2)


class ValidationSteps(Callback):
    """Records the step of every validation."""

    def __init__(self) -> None:
        self.steps = []

    def on_validation_end(self, trainer, *_):
        self.steps.append(trainer.global_step)


@pytest.mark.parametrize(
    ("steps", "every", "expected"), [(10, 4, [4, 8, 10]), (8, 4, [4, 8]), (3, 100, [3]), (4, 1, [1, 2, 3, 4])]
)
def test_validation_runs_at_its_steps_and_after_the_last(steps, every, expected, shards, tmp_path):
    validations, task = ValidationSteps(), tiny_task("transcriber", steps=steps, validate_every=every)
    trainer.train(task, shards, tmp_path / "m", tmp_path / "c", progress=False, callbacks=[validations])
    assert validations.steps == expected


def test_a_resumed_run_has_the_same_batches(shards, tmp_path, monkeypatch):
    seen = []
    losses = TranscriberTask.losses

    def spy(self, model, batch, step):
        seen.append((step, float(batch["voice_stft"].abs().sum())))
        return losses(self, model, batch, step)

    monkeypatch.setattr(TranscriberTask, "losses", spy)
    run(shards, tmp_path / "whole")
    whole, seen[:] = list(seen), []
    run(shards, tmp_path / "parts", max_steps=5, every=1)
    run(shards, tmp_path / "parts", every=1)
    assert seen == whole
    assert [step for step, _ in whole] == list(range(10))


def test_the_moving_average_of_weights_and_counters(shards, tmp_path):
    run(shards, tmp_path, ema=0.0)
    state = torch.load(tmp_path / "checkpoints" / LAST, weights_only=True)["state_dict"]
    for name in (name for name in state if name.startswith("model.")):
        assert torch.equal(state[name], state[name.replace("model.", "average.", 1)]), (
            "with decay 0 the average is the network"
        )
    run(shards, tmp_path / "slow", ema=0.9)
    state = torch.load(tmp_path / "slow" / "checkpoints" / LAST, weights_only=True)["state_dict"]
    assert not torch.equal(state["model.heads.weight"], state["average.heads.weight"])
    assert state["model.enter_norm.num_batches_tracked"] == state["average.enter_norm.num_batches_tracked"] == 10


def test_the_config_contains_figures_decoder_and_facts(shards, tmp_path):
    trainer.train(
        tiny_task("transcriber", steps=2), shards, tmp_path / "m", tmp_path / "c", progress=False, licence="CC0-1.0"
    )
    config = read_config(tmp_path / "m")
    assert config["licence"] == "CC0-1.0"
    assert {"con", "conp", "conpoff", "loss", "step", "fitted_conpoff"} <= set(config["valid"])
    assert Transcriber.from_pretrained(tmp_path / "m").decoder.note_cost == config["decoder"]["note_cost"]


def test_bf16_trains_and_resumes_exactly(shards, tmp_path):
    figures = run(shards, tmp_path / "whole", precision="bf16")
    assert 0 < figures["loss"] < 1000
    run(shards, tmp_path / "parts", precision="bf16", max_steps=7)
    run(shards, tmp_path / "parts", precision="bf16")
    assert_same(everything(tmp_path / "parts"), everything(tmp_path / "whole"))


@pytest.mark.parametrize(
    ("fast", "setting", "precision"),
    [
        (torch.bfloat16, "bf16", "bf16-mixed"),
        (torch.float32, "bf16", "32-true"),
        (torch.bfloat16, "float32", "32-true"),
    ],
)
def test_bf16_is_used_where_the_processor_has_it(monkeypatch, fast, setting, precision):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: fast == torch.bfloat16, raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert trainer._schedule_arguments(tiny_task("transcriber", precision=setting), None)["precision"] == precision


def test_an_empty_split_is_reported(shards, tmp_path):
    with pytest.raises(ValueError, match="no validation segments"):
        run(shards, tmp_path, corpora=["absent"])
