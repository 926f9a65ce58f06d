"""Kill processes at random moments (SIGKILL), and look at what they leave.

Half of the moments are random times, half are just before a file is opened for writing, renamed or removed. After the
kill nothing may look whole that is not; the same command, run again, must end well, with the bytes of an undisturbed
run, and leave no other file than that run. A training may lose the steps since its last checkpoint, of which there is
one every two steps.
"""

from __future__ import annotations

import argparse
import importlib
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.reliability import damage
from bench.reliability.kill_targets import TARGETS, Target

COMMAND = "python -m bench kill"
SHARES = {
    "download": 70, "stft": 40, "render": 20, "merge": 15, "train": 20, "align": 15, "convert": 14, "sweep": 6,
}  # fmt: skip
"""Moments of 200 for each command: more for those that are fast or rename many files."""

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.truncate"}
TIMEOUT = 600.0


@dataclass(frozen=True)
class Moment:
    """When to kill: after some seconds, or before the file operation of this number."""

    seconds: float = 0.0
    operation: int = 0


@dataclass
class Tally:
    """What came of the moments of one target."""

    kills: int = 0
    finished: int = 0
    problems: list[str] = field(default_factory=list)
    lost_steps: list[int] = field(default_factory=list)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--moments", type=int, default=200)
    parser.add_argument("--only", nargs="*", choices=TARGETS, default=list(SHARES), metavar="COMMAND")
    parser.add_argument("--seed", type=int, default=0)


def run(options: argparse.Namespace) -> None:
    """Print the rows as they come, and every problem."""
    for row in measure(options.moments, options.only, options.seed):
        print(" | ".join(row.values()), flush=True)


def rows(moments: int = 200, only: Sequence[str] = tuple(SHARES), seed: int = 0) -> list[dict[str, str]]:
    """Measure all rows, and those of damaged files and of other faults."""
    return [*measure(moments, only, seed), *damage.rows(), *damage.fault_rows()]


def measure(moments: int, only: Sequence[str], seed: int) -> Iterator[dict[str, str]]:
    """Kill at so many moments, shared among the targets; one row for each."""
    total = sum(SHARES[name] for name in only)
    command = f"`{COMMAND}{f' --moments {moments}' if moments != 200 else ''}`"
    for name in only:
        count = max(1, round(moments * SHARES[name] / total))
        tally = kill_at_random(TARGETS[name], count, random.Random(f"{seed} {name}"))
        for problem in tally.problems:
            print(f"{name}: {problem}", file=sys.stderr, flush=True)
        result = f"{len(tally.problems)} of {tally.kills} kills ({tally.finished} runs ended before)"
        if tally.lost_steps:
            result += f"; at most {max(tally.lost_steps)} steps lost, a checkpoint every 2"
        what = f"SIGKILL in {TARGETS[name].title}: broken, other bytes, leftovers or lost work"
        yield {"what": what, "target": "0", "result": result, "command": command}


def kill_at_random(target: Target, count: int, rng: random.Random) -> Tally:
    """Kill one target at random moments."""
    tally = Tally()
    for module in target.modules:
        importlib.import_module(module)
    with tempfile.TemporaryDirectory(prefix="hummingface-kill-") as scratch, target.server(Path(scratch)):
        template, whole, place = (Path(scratch, name) for name in ("template", "whole", "place"))
        template.mkdir()
        _must_end_well(_child(target.prepare, template, Path(scratch)), target, Path(scratch))
        shutil.copytree(template, whole, symlinks=True)
        began = time.monotonic()
        _must_end_well(_child(target.run, whole, Path(scratch), count=True), target, Path(scratch))
        seconds, operations = time.monotonic() - began, int(Path(scratch, "operations").read_text())
        expected = target.outputs(whole), _listing(target, whole)
        for number in range(count):
            moment = Moment(rng.uniform(0, seconds))
            if number % 2 and operations:
                moment = Moment(operation=rng.randint(1, operations))
            shutil.rmtree(place, ignore_errors=True)
            shutil.copytree(template, place, symlinks=True)
            problem = _one(target, place, moment, expected, tally)
            if problem:
                tally.problems.append(f"{moment}: {problem}")
    return tally


def _one(target: Target, place: Path, moment: Moment, expected: tuple[Any, Any], tally: Tally) -> str:
    """Kill a run and run it again; returns what is wrong, or an empty string."""
    if _child(target.run, place, place.parent, moment) == 0:
        tally.finished += 1
    else:
        tally.kills += 1
    outputs, listing = expected
    broken = [name for name, content in target.outputs(place).items() if outputs.get(name) != content]
    if broken:
        return f"looks whole and is not: {', '.join(broken)}"
    if target.lost_steps:
        tally.lost_steps.append(target.lost_steps(place))
        if tally.lost_steps[-1] > 2:
            return f"{tally.lost_steps[-1]} steps lost"
    code = _child(target.run, place, place.parent)
    if code:
        return f"the second run ended with {code}: {Path(place.parent, 'log').read_text(errors='replace')[-300:]}"
    again = target.outputs(place)
    if again != outputs:
        return f"other bytes: {', '.join(name for name in outputs | again if outputs.get(name) != again.get(name))}"
    left = _listing(target, place) - listing
    return f"left over: {', '.join(sorted(left))}" if left else ""


def _listing(target: Target, place: Path) -> set[str]:
    names = {path.relative_to(place).as_posix() for path in place.rglob("*") if not path.is_dir()}
    return {name for name in names if not re.search(target.ignored, name)}


def _must_end_well(code: int, target: Target, scratch: Path) -> None:
    if code:
        msg = f"{target.title} ended with {code} when nothing disturbed it: {Path(scratch, 'log').read_text()[-2000:]}"
        raise RuntimeError(msg)


def _child(
    function: Callable[[], None], place: Path, scratch: Path, moment: Moment | None = None, *, count: bool = False
) -> int:
    """Call a function in a forked process of its own group, in the folder ``place``; returns its exit code.

    Forking saves the import of torch for every run; this process itself never computes, so that it has no threads.
    """
    sys.stdout.flush()
    process = os.fork()
    if process == 0:
        os.setsid()
        _run_child(function, place, scratch, moment, count=count)
    deadline = time.monotonic() + (moment.seconds if moment and moment.seconds else TIMEOUT)
    while True:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended or time.monotonic() > deadline:
            break
        time.sleep(0.002)
    with suppress(ProcessLookupError):
        os.killpg(process, signal.SIGKILL)  # also what it started
    if not ended:
        _, status = os.waitpid(process, 0)
    return os.waitstatus_to_exitcode(status)


def _run_child(function: Callable[[], None], place: Path, scratch: Path, moment: Moment | None, *, count: bool) -> None:
    code = 1
    try:
        log = os.open(scratch / "log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.chdir(place)
        if "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(1)
        seen: Counter[str] = Counter()
        if count or (moment and moment.operation):
            _count_operations(place, seen, moment.operation if moment else 0)
        function()
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else 1
    except BaseException:  # noqa: BLE001 - a forked process must not return to the caller
        import traceback

        traceback.print_exc()
    finally:
        if count:
            (scratch / "operations").write_text(str(seen["operations"]))
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _count_operations(place: Path, seen: Counter[str], last: int) -> None:
    """Count changes of files in the folder, and kill this process before the one of this number."""

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        is_open = event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITES
        if not (is_open or event in CHANGES) or not isinstance(arguments[0], str | bytes | Path):
            return
        path = os.path.join(place, os.fsdecode(arguments[0]))  # noqa: PTH118 (Path calls the hook again)
        if path.startswith(f"{place}/"):
            seen["operations"] += 1
            if seen["operations"] == last:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(audit)
