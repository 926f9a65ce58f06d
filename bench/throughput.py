"""Print how fast a model trains and whether the shards keep up: ``python bench/throughput.py transcriber``.

A markdown table, one row a batch size, on the GPU where there is one: the very steps of the training (spectra widened,
augmentation, features, loss, gradient, AdamW), fed by the very loader from real shards. ``--pretend`` trains nothing:
it says what reading a crop costs a core, and feeds a device that takes ``--step`` seconds for a batch and needs no core
for it, as a GPU does: what share of the time does it wait?

FLOP are those of matrix products and convolutions, forwards and backwards, as torch counts them; Fourier transforms,
which are memory's work, do not count. The ceiling is a matrix product of 4096 x 4096, measured in the same run in bf16,
or ``--peak``.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import yaml
from torch.utils.flop_counter import FlopCounterMode

from hf_model.audio.grid import VOICE_STFT
from hf_model.config import from_mapping
from hf_model.training.dataset import train_loader, widen
from hf_model.training.tasks import TASKS


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=sorted(TASKS))
    parser.add_argument("--shards", type=Path, default=Path("data/stft"))
    parser.add_argument("--batches", type=int, nargs="+", default=None, help="batch sizes")
    parser.add_argument("--steps", type=int, default=10, help="that are timed, after two that are not")
    parser.add_argument("--workers", type=int, default=max(1, (os.cpu_count() or 2) - 1), help="that read")
    parser.add_argument("--peak", type=float, help="TFLOP/s of the device, instead of a measured ceiling")
    parser.add_argument("--compile", action="store_true", help="torch.compile the network")
    parser.add_argument("--step", type=float, default=0.16, help="seconds of a step of 96 crops on a fast GPU")
    parser.add_argument("--pretend", action="store_true", help="feed a device that takes so long, and train nothing")
    options = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    print(f"{options.kind} on {machine(device)}, torch {torch.__version__}, {options.workers} reading processes\n")
    if options.pretend:
        pretend(options)
        return
    ceiling = options.peak * 1e12 if options.peak else matmul_ceiling(device)
    print(f"ceiling: {ceiling / 1e12:.2f} TFLOP/s ({'as told' if options.peak else 'a matrix product, bf16'})\n")
    print(
        "| batch | step, ms | s of audio a second | TFLOP a step | share of the ceiling | waits for data | memory, GB |"
    )
    print("|---|---|---|---|---|---|---|")
    for batch in options.batches or ([32, 96, 192, 384] if device.type == "cuda" else [4, 8, 16]):
        print(row(options, batch, device, ceiling), flush=True)


def settings(kind: str, batch: int, steps: int, params: Path = Path("params.yaml")) -> Any:
    """Read the settings of params.yaml's ``full`` profile, at another batch size."""
    content = yaml.safe_load(params.read_text(encoding="utf-8"))
    base, over = content["train"][kind], content["profiles"]["full"]["train"][kind]
    fit = {**base["fit"], **over["fit"], "batch_size": batch, "steps": steps, "validate_every": steps}
    return from_mapping(TASKS[kind][0], {**base, **over, "fit": fit})


def row(options: argparse.Namespace, batch: int, device: torch.device, ceiling: float) -> str:
    """Train some steps, and write one row of the table."""
    n_steps = options.steps + 2
    chosen = settings(options.kind, batch, n_steps)
    task = TASKS[options.kind][1](chosen)
    model = task.model.to(device=device, memory_format=torch.channels_last).train()
    if options.compile:
        model.compile(dynamic=True)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3)
    loader = train_loader(options.shards, task.columns, chosen.fit, options.workers, lambda: 0)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    batches, waited, spent, flop = iter(loader), 0.0, 0.0, 0.0
    for number in range(n_steps):
        start = time.perf_counter()
        examples = next(batches)
        waits = time.perf_counter() - start
        if number == 1:  # counted apart, because counting takes time
            with FlopCounterMode(display=False) as counter:
                learn(task, model, optimizer, examples, device, number)
            flop = float(counter.get_total_flops())
        else:
            learn(task, model, optimizer, examples, device, number)
        if number >= 2:
            waited, spent = waited + waits, spent + time.perf_counter() - start
    each = spent / options.steps
    seconds = batch * chosen.fit.crop_frames / VOICE_STFT.frame_rate
    return (
        f"| {batch} | {1e3 * each:.0f} | {seconds / each:,.0f} | {flop / 1e12:.3f} | {flop / each / ceiling:.0%} "
        f"| {waited / spent:.1%} | {peak_memory(device):.2f} |"
    )


def learn(task: Any, model: Any, optimizer: Any, examples: Any, device: torch.device, number: int) -> None:
    """Take one step as the training does, and wait for its end."""
    examples = widen({name: value.to(device, non_blocking=True) for name, value in examples.items()})
    with torch.autocast(device.type, torch.bfloat16, enabled=task.fit.precision == "bf16"):
        loss = task.losses(model, examples, number)["loss"]
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), task.fit.clip)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    if device.type == "cuda":
        torch.cuda.synchronize()


def pretend(options: argparse.Namespace) -> None:
    """Print what a crop costs, and how long a device of a given speed waits for its batches."""
    skipped = 4 * options.workers  # what the processes read ahead
    for batch in options.batches or [96]:
        chosen = settings(options.kind, batch, options.steps + skipped)
        columns = TASKS[options.kind][1].columns
        loader = iter(train_loader(options.shards, columns, chosen.fit, 0, lambda: 0))
        next(loader)
        before = time.process_time()
        for _ in range(4):
            next(loader)
        cost = (time.process_time() - before) / 4 / batch
        print(f"{batch} crops a batch: {1e3 * cost:.2f} ms of a core each, {1 / cost:.0f} a second and core;")
        print(f"a step of {options.step} s keeps {cost * batch / options.step:.1f} cores reading\n")
        loader = train_loader(options.shards, columns, chosen.fit, options.workers, lambda: 0)
        times = list(fed(iter(loader), options.steps + skipped, options.step))[skipped:]
        share = sum(waits for waits, _ in times) / sum(spent for _, spent in times)
        print(f"{options.workers} processes, a step of {options.step} s: waits {share:.1%} of the time\n", flush=True)


def fed(batches: Iterator[Any], n_steps: int, step: float) -> Iterator[tuple[float, float]]:
    """Give the time of waiting and of the whole for each step."""
    for _ in range(n_steps):
        start = time.perf_counter()
        next(batches)
        waits = time.perf_counter() - start
        time.sleep(step)
        yield waits, time.perf_counter() - start


def matmul_ceiling(device: torch.device, size: int = 4096) -> float:
    """Measure FLOP a second of a large matrix product in bf16."""
    a, b = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        a @ b
        if device.type == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return 2.0 * size**3 / best


def peak_memory(device: torch.device) -> float:
    """Most GB so far: of the GPU's memory, or of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated() / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def machine(device: torch.device) -> str:
    """Name the GPU, or the processor with the cores in use."""
    if device.type == "cuda":
        return f"{torch.cuda.get_device_name()}, {os.cpu_count()} cores"
    names = [
        line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
    ]
    return f"{names[0] if names else platform.processor()}, {torch.get_num_threads()} of {os.cpu_count()} cores"


if __name__ == "__main__":
    main()
