"""Measure the program as it is installed: size and time of the installation, start-up, a batch beside a peer, memory.

The wheel is built and installed into new environments, by pip and by uv if it is there, with a warm cache. Times are
those of whole processes on two cores, medians with the fastest and the slowest. Writes install.json and install.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench.speed.install_programs import HEAVY, IMPORTED, MAKE_SINGING, PEAK_MEMORY, SWIFT_F0, VERSION
from bench.speed.processor import describe_processor
from hf_model.audio.reader import has_audio_suffix
from hf_model.evaluation.baselines import installed
from hf_model.evaluation.report import markdown_table

COMMAND = "python -m bench install"

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "twinkle.wav"
CORES = 2
N_RECORDINGS, MINUTES = 48, 30
BIN = "Scripts" if os.name == "nt" else "bin"

PYTHONS = ("python3.11", "python3.12", "python3.13")
"""The versions that the program is for."""

Figure = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--repeats", type=int, default=5)
    recordings_help = f"recordings of the batch, the first {N_RECORDINGS} of which are used (synthetic singing)"
    parser.add_argument("--recordings", type=Path, metavar="FOLDER", help=recordings_help)
    python_help = f"another interpreter to try; may be repeated ({', '.join(PYTHONS)} of the path are tried anyway)"
    parser.add_argument("--python", action="append", default=[], metavar="PATH", help=python_help)
    parser.add_argument("--out", type=Path, default=Path("reports"), help="folder of install.json and install.md")


def run(options: argparse.Namespace) -> None:
    """Measure, write the figures, print the table."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    figures: dict[str, Any] = {"repeats": options.repeats, "load_before": round(os.getloadavg()[0], 1)}
    figures |= {"processor": describe_processor(), "rows": []}
    with tempfile.TemporaryDirectory(prefix="hummingface-") as name:
        for row in _rows(Path(name), options):
            figures["rows"].append(row)
            print(f"{row['what']}: {describe(row)}", flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "install.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    (options.out / "install.md").write_text(markdown(figures), encoding="utf-8")
    print(f"\n{markdown(figures)}")


def _rows(folder: Path, options: argparse.Namespace) -> Iterator[Figure]:
    """Measure all rows in a folder of temporary files."""
    repeats: int = options.repeats
    wheel, program = build_wheel(folder), folder / "pip" / BIN / "hummingface"
    yield from measure_installation(folder, wheel, repeats)
    python = program.with_name("python")
    convert = [str(program), "convert", "--out-dir", str(folder / "out"), "--overwrite", "--quiet"]
    batch, long = folder / "batch", folder / "long.wav"
    make_recordings(options.recordings, batch, long)
    names = _output([str(python), "-c", IMPORTED, str(EXAMPLE), str(folder / "out")], folder).strip()
    yield from try_interpreters(folder, wheel, [*options.python, *filter(None, map(shutil.which, PYTHONS))])
    yield {"what": f"{', '.join(HEAVY)} imported by `convert`", "target": "none", "value": names or "none"}
    yield _timed("`hummingface --help`", "0.15 s", [str(program), "--help"], folder, repeats)
    yield _timed("a hum of nine seconds, whole process", "0.8 s", [*convert, str(EXAMPLE)], folder, repeats)
    yield measure_page(program, wheel, folder, repeats)
    yield from measure_batch([*convert, str(batch)], batch, folder, repeats)
    megabytes = int(_output([sys.executable, "-c", PEAK_MEMORY, *convert, str(long)], folder)) / 1e6
    yield {"what": "ten minutes, peak memory", "target": "400 MB", "value": round(megabytes), "unit": "MB"}


# ------------------------------------------------------------------------------------------------------- installation


def build_wheel(folder: Path) -> Path:
    """Build the wheel of this repository."""
    _output([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder / "wheel")], ROOT)
    return next((folder / "wheel").glob("*.whl"))


def measure_installation(folder: Path, wheel: Path, repeats: int) -> list[Figure]:
    """Install the wheel into new environments; the first time only fills the cache."""
    uv = shutil.which("uv") or shutil.which("uv", path=str(ROOT / ".venv" / "uv" / "bin"))
    rows: list[Figure] = []
    for tool in ("pip", "uv") if uv else ("pip",):
        place = folder / tool
        python = str(place / BIN / "python")
        options = [] if tool == "pip" else ["--without-pip"]
        install = [python, "-m", "pip"] if tool == "pip" else [str(uv), "pip"]
        arguments = ["install", "--quiet", str(wheel), *(["--python", python] if tool == "uv" else [])]
        seconds = []
        for _ in range(repeats + 1):
            shutil.rmtree(place, ignore_errors=True)
            _output([sys.executable, "-m", "venv", *options, str(place)], folder)
            seconds.append(_seconds([*install, *arguments], folder))
        size = sum(path.lstat().st_size for path in place.rglob("*")) / 1e6
        what = f"`{'uv ' if tool == 'uv' else ''}pip install WHEEL` into an empty environment"
        rows.append({"what": f"{what}: size", "target": "400 MB, aim 300", "value": round(size), "unit": "MB"})
        rows.append(_figure(f"{what}: time, warm cache", "20 s", seconds[1:]))
    return rows


def try_interpreters(folder: Path, wheel: Path, pythons: Iterable[str]) -> Iterator[Figure]:
    """Install the wheel for other versions of Python, and compare what each converts with this one's."""
    places: dict[str, str] = {}
    for python in pythons:
        with suppress(OSError, subprocess.CalledProcessError):  # some systems have a python3.12 that only complains
            places.setdefault(_output([python, "-c", VERSION], folder).strip(), python)
    this = platform.python_version()
    places.pop(this, None)
    expected = _converted(folder / "pip", folder / f"notes {this}")
    for version, python in sorted(places.items()):
        environment = _installed(wheel, python, folder / f"python {version}")
        same = _converted(environment, folder / f"notes {version}") == expected
        what = f"`convert` with Python {version}, installed in an empty environment, against {this}"
        yield {"what": what, "target": "the same files", "value": "the same files" if same else "other files"}


def _installed(wheel: Path, python: str, environment: Path) -> Path:
    """Install the wheel into a new environment of an interpreter."""
    _output([python, "-m", "venv", str(environment)], environment.parent)
    pip = [str(environment / BIN / "python"), "-m", "pip"]
    _output([*pip, "install", "--quiet", str(wheel)], environment.parent)
    return environment


def _converted(environment: Path, out: Path) -> dict[str, bytes]:
    """Convert the example with the program of an environment, and read what it writes."""
    program = str(environment / BIN / "hummingface")
    _output([program, "convert", "--csv", "--out-dir", str(out), "--quiet", str(EXAMPLE)], out.parent)
    return {path.name: path.read_bytes() for path in out.iterdir()}


# -------------------------------------------------------------------------------------------------------------- times


def make_recordings(recordings: Path | None, batch: Path, long: Path) -> None:
    """Link or synthesize the recordings of the batch, and synthesize one of ten minutes."""
    batch.mkdir()
    for path in sorted(filter(has_audio_suffix, recordings.rglob("*.*")))[:N_RECORDINGS] if recordings else ():
        (batch / path.name).symlink_to(path.resolve())
    own = [] if recordings else [str(batch), str(N_RECORDINGS), str(MINUTES)]
    # In a process of its own: the memory of this one counts in that of its children.
    _output([sys.executable, "-c", MAKE_SINGING, str(long), *own], ROOT)


def measure_page(program: Path, wheel: Path, folder: Path, repeats: int) -> Figure:
    """Time from the start of the server to its first answer."""
    _output([str(program.with_name("python")), "-m", "pip", "install", "--quiet", f"{wheel}[app]"], folder)
    seconds = []
    for _ in range(repeats):
        started = time.perf_counter()
        with subprocess.Popen(
            [program, "app", "--port", "0"], stdout=subprocess.PIPE, text=True, cwd=folder, env=_environment()
        ) as server:
            assert server.stdout
            address = server.stdout.readline().split()[3]
            while not _answers(address):
                time.sleep(0.02)
            seconds.append(time.perf_counter() - started)
            server.terminate()
    return _figure("the page's server is up", "3 s", seconds)


def _answers(address: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(address, timeout=5) as page:
        return bool(page.read())
    return False


def measure_batch(convert: Sequence[str], batch: Path, folder: Path, repeats: int) -> list[Figure]:
    """Convert the batch, in turn with a peer that only transcribes it."""
    what = f"{len(list(batch.iterdir()))} recordings, notes, piano and MIDI, whole process"
    if not installed(["swift_f0"]):
        print("swift-f0 is not installed (pip install 'hummingface[peers]'): the batch is timed alone")
        return [_timed(what, "", convert, folder, repeats)]
    ours, theirs = [], []
    for _ in range(repeats):
        theirs.append(_costs([sys.executable, "-c", SWIFT_F0, str(batch), str(CORES)], folder))
        ours.append(_costs(convert, folder))
    rounds = list(zip(ours, theirs, strict=True))
    return [
        _figure(what, "", [seconds for seconds, _ in ours]),
        _figure("the same recordings, swift-f0, notes alone, whole process", "", [seconds for seconds, _ in theirs]),
        _figure("ratio of the two, round by round", "1", [own[0] / other[0] for own, other in rounds], unit="times"),
        _figure("ratio of their processor time", "", [own[1] / other[1] for own, other in rounds], unit="times"),
    ]


def _timed(what: str, target: str, command: Sequence[str], folder: Path, repeats: int) -> Figure:
    _seconds(command, folder)  # the first run writes byte code
    return _figure(what, target, [_seconds(command, folder) for _ in range(repeats)])


def _seconds(command: Sequence[str], folder: Path) -> float:
    return _costs(command, folder)[0]


def _costs(command: Sequence[str], folder: Path) -> tuple[float, float]:
    """Run a command; give its time and its processor time in seconds."""
    started, before = time.perf_counter(), os.times()
    _output(command, folder)
    after = os.times()
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - started, spent


def _output(command: Sequence[str], folder: Path) -> str:
    return subprocess.run(command, cwd=folder, env=_environment(), stdout=subprocess.PIPE, text=True, check=True).stdout


def _environment() -> dict[str, str]:
    """Give the environment of a user: with byte code, and without this repository on the path."""
    left_out = {"PYTHONDONTWRITEBYTECODE", "PYTHONPATH", "VIRTUAL_ENV", "OMP_NUM_THREADS"}
    return {name: value for name, value in os.environ.items() if name not in left_out}


# -------------------------------------------------------------------------------------------------------------- table


def _figure(what: str, target: str, values: Sequence[float], unit: str = "s") -> Figure:
    median, least, most = statistics.median(values), min(values), max(values)
    numbers = dict(zip(("value", "least", "most"), (round(number, 3) for number in (median, least, most)), strict=True))
    return {"what": what, "target": target, "unit": unit, **numbers}


def describe(row: Mapping[str, Any]) -> str:
    """Write the value of a row, with its range."""
    if "least" not in row:
        return f"{row['value']} {row.get('unit', '')}".strip()
    return f"{row['value']:.2f} {row['unit']} ({row['least']:.2f} to {row['most']:.2f})"


def markdown(figures: Mapping[str, Any]) -> str:
    """Write the table."""
    rows = []
    for row in figures["rows"]:
        target = f"≤ {row['target']}" if row["target"][:1].isdigit() else row["target"]
        rows.append([row["what"], describe(row), target])
    return "\n".join(
        [
            "# The program as it is installed",
            "",
            f"`{COMMAND}`: two cores, medians of {figures['repeats']} (least to most); load of the machine before: "
            f"{figures['load_before']:g}. Processor: {figures['processor']}.",
            "",
            *markdown_table("what | measured | target", rows),
            "",
        ]
    )
