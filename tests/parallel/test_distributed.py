"""Distributed training: ranks from the environment, and two processes train as one does."""

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
    ProcessInfo,
    all_gather_parts,
    all_reduce_mean,
    find_process,
    first_node,
    local_rows,
    n_processes,
    rows_of_rank,
)
from hf_model.training import trainer
from hf_model.training.checkpoints import LAST, load_best
from tests.tiny_shards import tiny_task

# ------------------------------------------------------------------------------------------------------------- ranks

STEP = {"SLURM_PROCID": "3", "SLURM_STEP_NUM_TASKS": "4", "SLURM_LOCALID": "1", "SLURM_JOB_ID": "71"}


def test_single_process_has_no_process_info():
    assert find_process({}) is None
    assert find_process({"SLURM_JOB_ID": "7", "SLURM_NTASKS": "4", "SLURM_PROCID": "0"}) is None, "a batch script"
    assert find_process({**STEP, "SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1"}) is None
    assert find_process({"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}) is None


def test_variables_of_torchrun_override_those_of_slurm():
    torchrun = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "MASTER_ADDR": "head", "MASTER_PORT": "99"}
    assert find_process(torchrun) == find_process({**STEP, **torchrun}) == ProcessInfo(5, 8, 1, "head", 99)


def test_srun_on_one_node_uses_the_loopback_address():
    one_node = {**STEP, "SLURM_STEP_NUM_NODES": "1", "SLURM_STEP_NODELIST": "nowhere"}
    assert find_process(one_node) == ProcessInfo(3, 4, 1, "127.0.0.1", 15071)
    assert find_process({**one_node, "SLURM_STEP_ID": "1"}).port != 15071, "two steps of a job have different ports"
    assert find_process({**one_node, "MASTER_PORT": "20000"}).port == 20000


def test_srun_on_many_nodes_uses_the_first_node(monkeypatch):
    def getaddrinfo(node, _):
        if node != "gpu-007":
            raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    many = {**STEP, "SLURM_STEP_NUM_NODES": "2", "SLURM_STEP_NODELIST": "gpu-[007,009]"}
    assert find_process(many).address == "gpu-007"
    assert find_process({**many, "MASTER_ADDR": "10.0.0.1"}).address == "10.0.0.1"
    unresolvable = {**many, "SLURM_STEP_NODELIST": "n[1-2]"}
    assert find_process({**unresolvable, "SLURM_LAUNCH_NODE_IPADDR": "10.0.0.2"}).address == "10.0.0.2"
    with pytest.raises(ConfigError, match="'n1', cannot be resolved: set MASTER_ADDR"):
        find_process(unresolvable)


@pytest.mark.parametrize(
    ("nodes", "first"),
    [("n1", "n1"), ("n1,n2", "n1"), ("gpu-[003,005-007],cpu1", "gpu-003"), ("a[1-2]b[7-8],c", "a1b7"), ("", "")],
)
def test_first_node_of_a_slurm_node_list(nodes, first):
    assert first_node(nodes) == first


@pytest.mark.parametrize(("total", "world_size"), [(12, 1), (12, 3), (96, 8)])
def test_rows_of_ranks_cover_the_batch_once(total, world_size):
    rows = [row for rank in range(world_size) for row in rows_of_rank(total, rank, world_size)]
    assert rows == list(range(total))


def test_collective_operations_of_a_single_process():
    assert local_rows(5) == slice(0, 5)
    assert n_processes() == 1
    assert all_reduce_mean(torch.tensor(3.0)) == 3.0
    assert all_gather_parts([1, 2], 2) == [1, 2]


# ------------------------------------------------------------------------------------------------------ two processes

# Without dropout, which differs between processes; everything else depends on the step only.
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
from tests.parallel.test_distributed import Recorder

warnings.simplefilter("error")
torch.set_num_threads(1)
folder, rank = Path({folder!r}), os.environ["RANK"]

class SendSignal(Callback):
    def on_train_batch_start(self, trainer, *_):
        if trainer.global_step == 1 and rank == "1":
            os.kill(os.getpid(), signal.SIGUSR1)

def run(kind, name, *callbacks):
    settings_class, task_class = TASKS[kind]
    task, recorder = task_class(from_mapping(settings_class, {kinds!r}[kind])), Recorder(kind)
    try:
        train(task, {shards!r}, folder / name / "model", folder / name / "checkpoints", progress=False,
              loggers=[recorder], callbacks=[recorder, *callbacks], checkpoint_every=100)
        exit_code = 0
    except Interrupted as stop:
        torch.distributed.destroy_process_group()
        exit_code = stop.code
    (folder / f"{{name}}-{{rank}}.json").write_text(json.dumps([recorder.points, recorder.seen, exit_code]))

for kind in {kinds!r}:
    run(kind, kind)
run("transcriber", "stopped", SendSignal())
"""


class Recorder(trainer.Callback):
    """Logger and callback that records the metrics, and the examples of every step of this process."""

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


def train_alone(kind: str, shards: Path, folder: Path) -> Recorder:
    from hf_model.config import from_mapping
    from hf_model.training.tasks import TASKS

    settings_class, task_class = TASKS[kind]
    task, recorder = task_class(from_mapping(settings_class, KINDS[kind])), Recorder(kind)
    folders = folder / "model", folder / "checkpoints"
    trainer.train(
        task, shards, *folders, progress=False, loggers=[recorder], callbacks=[recorder], checkpoint_every=100
    )
    return recorder


@pytest.fixture(scope="module")
def trained_by_two(shards, tmp_path_factory, root) -> Path:
    """Folder with the trainings of each kind by two processes, and one that a signal to the second process stopped."""
    folder = tmp_path_factory.mktemp("two")
    program = PROGRAM.format(root=str(root), folder=str(folder), kinds=KINDS, shards=str(shards))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    variables = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            env=os.environ | variables | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
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


def read_records(trained_by_two: Path, name: str) -> list:
    return [json.loads((trained_by_two / f"{name}-{rank}.json").read_text(encoding="utf-8")) for rank in (0, 1)]


@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_train_as_one_does(kind, trained_by_two, shards, tmp_path):
    alone = train_alone(kind, shards, tmp_path)
    (points, seen, _), (_, other_seen, _) = read_records(trained_by_two, kind)
    seen_by_both = torch.tensor(sorted([*seen, *other_seen]))
    torch.testing.assert_close(
        seen_by_both, torch.tensor(sorted(alone.seen)), msg="each example once, in the same step"
    )
    assert [step for step, _ in points] == [step for step, _ in alone.points]
    for (step, found), (_, expected) in zip(points, alone.points, strict=True):
        assert found == pytest.approx(expected, rel=1e-4, abs=1e-6), f"{kind}, step {step}"
    expected_weights, weights = (load_best(folder / "checkpoints")[0] for folder in (tmp_path, trained_by_two / kind))
    for name in expected_weights:
        torch.testing.assert_close(weights[name], expected_weights[name], rtol=1e-2, atol=1e-3)
    assert (trained_by_two / kind / "model" / "model.safetensors").is_file()


def test_signal_to_one_process_stops_both(trained_by_two, shards):
    (_, seen, code), (_, other_seen, other_code) = read_records(trained_by_two, "stopped")
    assert (code, other_code) == (75, 75)
    assert {step for step, _ in seen} == {step for step, _ in other_seen} == {0, 1}
    checkpoints = trained_by_two / "stopped" / "checkpoints"
    assert [path.name for path in checkpoints.iterdir()] == [LAST], "one file, written by one process"
    assert torch.load(checkpoints / LAST, weights_only=True)["global_step"] == 2
    train_alone("transcriber", shards, trained_by_two / "stopped")
    expected_weights, weights = (
        load_best(trained_by_two / name / "checkpoints")[0] for name in ("stopped", "transcriber")
    )
    for name in expected_weights:
        torch.testing.assert_close(expected_weights[name], weights[name], rtol=1e-2, atol=1e-3)
