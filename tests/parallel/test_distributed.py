"""Processes that train together: who is who, and that two of them learn what one does."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from hf_model.config import ConfigError, to_mapping
from hf_model.parallel.distributed import (
    Place,
    find_place,
    first_node,
    gathered,
    my_share,
    n_processes,
    over_processes,
    share_of,
)
from hf_model.training import trainer
from hf_model.training.checkpoints import LAST, load_best
from tests.tiny_shards import tiny_task, write_tiny_shards

# ------------------------------------------------------------------------------------------------------- who is who

STEP = {"SLURM_PROCID": "3", "SLURM_STEP_NUM_TASKS": "4", "SLURM_LOCALID": "1", "SLURM_JOB_ID": "71"}


def test_a_process_that_nobody_started_with_others_is_alone():
    assert find_place({}) is None
    assert find_place({"SLURM_JOB_ID": "7", "SLURM_NTASKS": "4", "SLURM_PROCID": "0"}) is None, "a batch script"
    assert find_place({**STEP, "SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1"}) is None
    assert find_place({"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}) is None


def test_torchrun_says_who_is_who_also_within_slurm():
    told = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "MASTER_ADDR": "head", "MASTER_PORT": "99"}
    assert find_place(told) == find_place({**STEP, **told}) == Place(5, 8, 1, "head", 99)


def test_srun_on_one_node_needs_no_name():
    one_node = {**STEP, "SLURM_STEP_NUM_NODES": "1", "SLURM_STEP_NODELIST": "nowhere"}
    assert find_place(one_node) == Place(3, 4, 1, "127.0.0.1", 15071)
    assert find_place({**one_node, "SLURM_STEP_ID": "1"}).port != 15071, "two steps of a job do not meet"
    assert find_place({**one_node, "MASTER_PORT": "20000"}).port == 20000


def test_srun_on_many_nodes_finds_the_first(monkeypatch):
    def known(node, _):
        if node != "gpu-007":
            raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", known)
    many = {**STEP, "SLURM_STEP_NUM_NODES": "2", "SLURM_STEP_NODELIST": "gpu-[007,009]"}
    assert find_place(many).address == "gpu-007"
    assert find_place({**many, "MASTER_ADDR": "10.0.0.1"}).address == "10.0.0.1"
    nameless = {**many, "SLURM_STEP_NODELIST": "n[1-2]"}
    assert find_place({**nameless, "SLURM_LAUNCH_NODE_IPADDR": "10.0.0.2"}).address == "10.0.0.2"
    with pytest.raises(ConfigError, match="'n1', has no address here: set MASTER_ADDR"):
        find_place(nameless)


@pytest.mark.parametrize(
    ("nodes", "first"),
    [("n1", "n1"), ("n1,n2", "n1"), ("gpu-[003,005-007],cpu1", "gpu-003"), ("a[1-2]b[7-8],c", "a1b7"), ("", "")],
)
def test_the_first_node_of_slurms_lists(nodes, first):
    assert first_node(nodes) == first


@pytest.mark.parametrize(("total", "world_size"), [(12, 1), (12, 3), (96, 8)])
def test_shares_are_whole_and_do_not_overlap(total, world_size):
    rows = [row for rank in range(world_size) for row in share_of(total, rank, world_size)]
    assert rows == list(range(total))


def test_alone_everything_is_ones_own():
    assert my_share(5) == slice(0, 5)
    assert n_processes() == 1
    assert over_processes(torch.tensor(3.0)) == 3.0
    assert gathered([1, 2], 2) == [1, 2]


# ---------------------------------------------------------------------------------------------------- two train as one

# Dropout is drawn by each process for itself; the rest of a step follows from its number alone.
KINDS = {
    kind: to_mapping(tiny_task(kind, batch_size=4, steps=steps, valid_segments=2).settings)
    for kind, steps in (("transcriber", 6), ("synthesizer", 2), ("direct", 2))
}
KINDS["transcriber"]["model"]["dropout"] = 0.0

PROGRAM = """
import json, os, signal, sys, warnings
from pathlib import Path
sys.path.insert(0, {root!r})
import torch
from pytorch_lightning.callbacks import Callback
from hf_model.config import from_mapping
from hf_model.training.preemption import Interrupted
from hf_model.training.tasks import TASKS
from hf_model.training.trainer import train
from tests.parallel.test_distributed import Curves

warnings.simplefilter("error")
torch.set_num_threads(1)
place, rank = Path({folder!r}), os.environ["RANK"]

class Send(Callback):
    def on_train_batch_start(self, trainer, *_):
        if trainer.global_step == 1 and rank == "1":
            os.kill(os.getpid(), signal.SIGUSR1)

def run(kind, name, *callbacks):
    settings_class, task_class = TASKS[kind]
    task, curves = task_class(from_mapping(settings_class, {kinds!r}[kind])), Curves(kind)
    try:
        train(task, {shards!r}, place / name / "model", place / name / "checkpoints", progress=False,
              loggers=[curves], callbacks=[curves, *callbacks], checkpoint_every=100)
        stopped = 0
    except Interrupted as stop:
        torch.distributed.destroy_process_group()
        stopped = stop.code
    (place / f"{{name}}-{{rank}}.json").write_text(json.dumps([curves.points, curves.seen, stopped]))

for kind in {kinds!r}:
    run(kind, kind)
run("transcriber", "stopped", Send())
"""


class Curves(trainer.Callback):
    """Takes the curves as a logger, and notes what every step of this process looks at."""

    name, version, save_dir, root_dir, log_dir = "", "", None, None, None

    def __init__(self, kind: str) -> None:
        self.column = "piano_stft" if kind == "synthesizer" else "voice_stft"
        self.points: list = []
        self.seen: list = []

    def log_metrics(self, metrics, step=None):
        self.points.append([step, {name: float(value) for name, value in metrics.items()}])

    def on_train_batch_start(self, trainer, _, batch, *__):
        self.seen += [[trainer.global_step, float(row.abs().sum())] for row in batch[self.column]]

    def __getattr__(self, name):
        if name in ("log_hyperparams", "log_graph", "after_save_checkpoint", "save", "finalize"):
            return lambda *_, **__: None
        raise AttributeError(name)


def one(kind: str, shards: Path, folder: Path) -> Curves:
    from hf_model.config import from_mapping
    from hf_model.training.tasks import TASKS

    settings_class, task_class = TASKS[kind]
    task, curves = task_class(from_mapping(settings_class, KINDS[kind])), Curves(kind)
    places = folder / "model", folder / "checkpoints"
    trainer.train(task, shards, *places, progress=False, loggers=[curves], callbacks=[curves], checkpoint_every=100)
    return curves


@pytest.fixture(scope="module")
def shards(tmp_path_factory) -> Path:
    return write_tiny_shards(tmp_path_factory.mktemp("shards"))


@pytest.fixture(scope="module")
def two(shards, tmp_path_factory, root) -> Path:
    """Where two processes have trained each kind together, and one more that a signal to the second one stopped."""
    folder = tmp_path_factory.mktemp("two")
    program = PROGRAM.format(root=str(root), folder=str(folder), kinds=KINDS, shards=str(shards))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    told = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            env=os.environ | told | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for rank in (0, 1)
    ]
    try:
        outputs = [process.communicate(timeout=240)[0].decode() for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()
    assert [process.returncode for process in started] == [0, 0], "\n".join(outputs)
    return folder


def told(two: Path, name: str) -> list:
    return [json.loads((two / f"{name}-{rank}.json").read_text(encoding="utf-8")) for rank in (0, 1)]


@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_learn_what_one_does(kind, two, shards, tmp_path):
    alone = one(kind, shards, tmp_path)
    (points, seen, _), (_, seen_by_the_other, _) = told(two, kind)
    together = torch.tensor(sorted([*seen, *seen_by_the_other]))
    torch.testing.assert_close(together, torch.tensor(sorted(alone.seen)), msg="each example once, in its step")
    assert [step for step, _ in points] == [step for step, _ in alone.points]
    for (step, found), (_, expected) in zip(points, alone.points, strict=True):
        assert found == pytest.approx(expected, rel=1e-4, abs=1e-6), f"{kind}, step {step}"
    mine, theirs = (load_best(folder / "checkpoints")[0] for folder in (tmp_path, two / kind))
    for name in mine:
        torch.testing.assert_close(theirs[name], mine[name], rtol=1e-2, atol=1e-3)
    assert (two / kind / "model" / "model.safetensors").is_file()


def test_a_signal_to_one_stops_both_at_the_same_step_and_one_alone_goes_on(two, shards):
    (_, seen, code), (_, seen_by_the_other, code_of_the_other) = told(two, "stopped")
    assert (code, code_of_the_other) == (75, 75)
    assert {step for step, _ in seen} == {step for step, _ in seen_by_the_other} == {0, 1}
    checkpoints = two / "stopped" / "checkpoints"
    assert [path.name for path in checkpoints.iterdir()] == [LAST], "one file, written by one process"
    assert torch.load(checkpoints / LAST, weights_only=True)["global_step"] == 2
    one("transcriber", shards, two / "stopped")
    mine, theirs = (load_best(two / name / "checkpoints")[0] for name in ("stopped", "transcriber"))
    for name in mine:
        torch.testing.assert_close(mine[name], theirs[name], rtol=1e-2, atol=1e-3)
