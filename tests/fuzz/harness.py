"""Running damaged files through the program: a worker process reads them, and is watched.

``python -m tests.fuzz.harness --count 5000`` prints what does not hold. Input ``n`` of a target is always the same.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import resource
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SEEDS = Path(__file__).parent / "seeds"

MAX_SECONDS, MAX_BYTES = 20.0, 1_000_000_000

SHARES = {
    **{"audio": 0.5, "midi": 0.16, "table": 0.12, "config": 0.05, "weights": 0.04, "parquet": 0.04, "manifest": 0.03},
    **{"params": 0.03, "registry": 0.03},
}
"""Share of the inputs of each target."""


@dataclass
class Outcome:
    """What one input did.

    Attributes
    ----------
    target : str
    number : int
    file : str
        The whole file that was damaged.
    problems : list of str
        What does not hold.
    seconds : float
    peak_bytes : int
        Largest memory of the worker so far.
    """

    target: str
    number: int
    file: str = ""
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0
    peak_bytes: int = 0


def make_input(target: str, number: int) -> tuple[str, bytes]:
    """Make input ``number`` of a target: the name of the file and its content."""
    from tests.fuzz.mutations import mutate
    from tests.fuzz.targets import targets

    chosen = targets()[target]
    generator = random.Random(f"{target} {number}")
    files = chosen.files()
    name = sorted(files)[number % len(files)]
    return name, mutate(files[name], generator, is_text=chosen.is_text)


def check(target: str, name: str, content: bytes) -> list[str]:
    """Check one input in this process, in a folder of its own."""
    from tests.fuzz.targets import targets

    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        path = Path(folder) / (f"a.{name}" if target == "audio" else name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return targets()[target].check(Path(folder), path.relative_to(folder).as_posix())


def work() -> None:
    """Check the inputs that are named on standard input, and answer on standard output."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print does not get among the answers
    for line in sys.stdin:
        target, number = json.loads(line)
        name, content = make_input(target, number)
        started = time.perf_counter()
        problems = check(target, name, content)
        peak = _peak_memory()
        seconds = time.perf_counter() - started
        outcome = Outcome(target, number, name, problems, round(seconds, 3), peak)
        answers.write(json.dumps(asdict(outcome)) + "\n")
        answers.flush()


def _peak_memory() -> int:
    """Bytes; getrusage includes the process that started this one."""
    status = Path("/proc/self/status")
    if status.exists():
        return 1024 * int(re.search(r"VmHWM:\s*(\d+)", status.read_text(encoding="utf-8")).group(1))
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


class Worker:
    """A process that checks inputs; a new one begins after one that died."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def check(self, target: str, number: int) -> Outcome:
        """Check an input, for ``MAX_SECONDS`` at most."""
        first = self._process is None
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.fuzz.harness", "--work"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                cwd=ROOT,
            )
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps([target, number]) + "\n")
        stdin.flush()
        limit = 10 * MAX_SECONDS  # of the wall clock; that of the processor is in the answer
        ready, _, _ = select.select([stdout], [], [], limit + (120 if first else 0))
        line = stdout.readline() if ready else ""
        if not line:
            self._process.kill()
            code = self._process.wait()
            self.close()
            return Outcome(target, number, problems=["hangs" if not ready else f"the process died with code {code}"])
        outcome = Outcome(**json.loads(line))
        if outcome.peak_bytes > MAX_BYTES:
            outcome.problems.append(f"takes {outcome.peak_bytes / 1e6:.0f} MB")
            self.close()
        if outcome.seconds > MAX_SECONDS:
            outcome.problems.append(f"takes {outcome.seconds:.0f} s")
        return outcome

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            for stream in (self._process.stdin, self._process.stdout):
                if stream is not None:
                    stream.close()
            self._process.kill()
            self._process.wait()
            self._process = None


def run(count: int, first: int = 0, only: str | None = None) -> Iterator[Outcome]:
    """Check ``count`` inputs, shared among the targets."""
    worker = Worker()
    try:
        for target, share in SHARES.items():
            if only in (None, target):
                n_inputs = count if only else max(1, round(share * count))
                for number in range(first, first + n_inputs):
                    yield worker.check(target, number)
    finally:
        worker.close()


def run_program_once(first: int = 0, n_files: int = 40) -> list[Outcome]:
    """Convert damaged recordings and a whole one in one run of the program, with its own models."""
    from tests.fuzz.inputs import audio_files
    from tests.fuzz.targets import PYTHONS_WORDS

    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        for number in range(first, first + n_files):
            name, content = make_input("audio", number)
            (Path(folder) / f"{number}.{name}").write_bytes(content)
        (Path(folder) / "whole.wav").write_bytes(audio_files()["wav"])
        sources = sorted(path for path in Path(folder).iterdir())
        out = Path(folder) / "out"
        started = time.perf_counter()
        command = [sys.executable, "-m", "hf_model.cli", "convert", *map(str, sources), "--out-dir", str(out)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, errors="replace")
        seconds = time.perf_counter() - started
        lines, pianos = done.stderr.splitlines(), {path.stem for path in out.glob("*.wav")}
        problems = [f"says {line[:300]!r}" for line in lines if not line.startswith("hummingface: ")]
        problems += [f"says {line[:300]!r}" for line in lines if PYTHONS_WORDS.search(line)]
        errors = [line for line in lines if line.startswith("hummingface: error: ")]
        problems += [] if done.returncode == int(bool(errors)) else [f"exit code {done.returncode}"]
        problems += [] if "whole_piano" in pianos else ["the whole recording was not converted"]
        if len(pianos) + len(errors) != len(sources):
            problems.append(f"{len(pianos)} pianos and {len(errors)} errors of {len(sources)} files")
        problems += [f"leaves {path.name}" for path in Path(folder).rglob("*.part")]
        peak = 1024 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        return [Outcome("program", first, f"{len(sources)} files", problems, round(seconds / len(sources), 3), peak)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="number of the first input of each target")
    parser.add_argument("--target", choices=SHARES)
    parser.add_argument("--keep", type=Path, help="folder for the inputs with findings")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work()
        return
    n_inputs = n_found = 0
    for outcome in run(options.count, options.first, options.target):
        n_inputs += 1
        if outcome.problems:
            n_found += 1
            sys.stdout.write(f"{outcome.target} {outcome.number} {outcome.file} {outcome.problems}\n")
            sys.stdout.flush()
            if options.keep:
                name, content = make_input(outcome.target, outcome.number)
                path = options.keep / outcome.target / f"{outcome.number}-{name.replace('/', '-')}"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
    sys.stdout.write(f"{n_inputs} inputs, {n_found} with findings\n")


if __name__ == "__main__":
    main()
