"""A steady load on the page for hours: growth of memory, of latency and of open files.

Several visitors convert a recording of five seconds by turns, render it again, download the files, and delete the
recording before it. One line of JSON a conversion is written to --log.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from tests.page_server import PageServer

EXAMPLE = Path(__file__).parents[2] / "examples" / "twinkle.wav"
LOG = Path("out/soak.jsonl")
AHEAD_SECONDS = 3.0
"""Sound of a live recording is sent so much before its time: the page takes it up to five seconds before."""

WARM = 0.1
"""Share of the samples at the start that the growth leaves out: caches fill."""


@dataclass(frozen=True)
class Sample:
    """One conversion: when, how long it took (wall clock and CPU), and what the server holds after it."""

    minutes: float
    latency: float
    cpu: float
    rss_mb: float
    descriptors: int
    threads: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    add = parser.add_argument
    add("--minutes", type=float, default=120.0, help="length of the load (%(default)g)")
    add("--every", type=float, default=20.0, metavar="SECONDS", help="between two conversions (%(default)g)")
    add("--visitors", type=int, default=4, help="how many take turns (%(default)s)")
    add("--live", action="store_true", help="stream every second recording while it is sung, instead of uploading it")
    add("--log", type=Path, default=LOG, help="JSON lines of all samples (%(default)s)")
    add("--report", action="store_true", help="only summarise the log")


def run(options: argparse.Namespace) -> None:
    """Run the load and print the summary."""
    from bench.reliability.reliability import as_table, read_kept, save

    if not options.report:
        soak(options.minutes, options.every, options.visitors, options.log, live=options.live)
    command = command_of(options.minutes, options.every, options.visitors) + (" --live" if options.live else "")
    rows = rows_of(read_log(options.log), command, "page with live recordings" if options.live else "page")
    # an upload and a live recording are two measurements: each keeps the rows of the other
    others = [row for row in read_kept().get("soak", []) if ("--live" in row["command"]) != options.live]
    save("soak", [*others, *rows] if options.live else [*rows, *others])
    print(as_table(rows))


def rows(minutes: float = 120.0, every: float = 20.0, visitors: int = 4, log: Path = LOG) -> list[dict[str, str]]:
    """Run the load and give the rows of reports/reliability.md."""
    soak(minutes, every, visitors, log)
    return rows_of(read_log(log), command_of(minutes, every, visitors))


def command_of(minutes: float, every: float, visitors: int) -> str:
    """Give the command that repeats the measurement."""
    return f"python -m bench soak --minutes {minutes:g} --every {every:g} --visitors {visitors}"


def soak(minutes: float, every: float, visitors: int, log: Path, *, live: bool = False) -> None:
    """Put a steady load on a new server; half of it in recordings that are streamed, if they are ``live``."""
    voice, sample_rate = soundfile.read(EXAMPLE, frames=5 * 44100)
    log.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, log.open("w", encoding="utf-8") as file:
        server = PageServer(Path(folder))
        try:
            began = time.monotonic()
            kept: dict[int, str] = {}
            number = 0
            while time.monotonic() - began < 60 * minutes:
                visitor = number % visitors
                recording = as_wav(voice[: len(voice) - 10 * (number % 1000)], sample_rate)
                cpu, started = server.cpu_seconds(), time.monotonic()
                is_streamed = live and number // visitors % 2 == 1
                kept[visitor] = visit(server, recording, kept.get(visitor), is_streamed=is_streamed)
                latency = time.monotonic() - started
                sample = Sample(
                    (started - began) / 60,
                    latency,
                    server.cpu_seconds() - cpu,
                    server.memory_megabytes(),
                    server.descriptors(),
                    server.threads(),
                )
                file.write(json.dumps(asdict(sample)) + "\n")
                file.flush()
                number += 1
                time.sleep(max(0.0, began + number * every - time.monotonic()))
            code, errors = server.close(), server.errors.read_text()
        except BaseException:
            server.process.kill()
            raise
        file.write(json.dumps({"exit": code, "errors": errors[-2000:]}) + "\n")


def as_wav(voice: NDArray[np.float64], sample_rate: int) -> bytes:
    """Give a recording as the content of a file."""
    file = io.BytesIO()
    soundfile.write(file, voice, sample_rate, format="WAV")
    return file.getvalue()


def visit(server: PageServer, recording: bytes, last: str | None, *, is_streamed: bool = False) -> str:
    """Convert, render again, download, and delete the visitor's last recording; returns the id of this one."""
    if is_streamed:
        name = stream(server, recording)
        done, result = server.convert_uploaded(name)
    else:
        done, result = server.convert(recording)
    if not done:
        raise SystemExit(f"the page refused a conversion: {result}")
    name = name if is_streamed else str(result["id"])
    done, answer = server.render(name, result["notes"], {"arrangement": {"quantize": "1/8"}})
    if not done:
        raise SystemExit(f"the page refused to render: {answer}")
    for file in ("piano.wav", "piano.mid", "voice.wav", "spectrum.png"):
        if server.get(f"/recordings/{name}/{file}")[0] != 200:
            raise SystemExit(f"the page has no {file}")
    if last:
        server.post(f"/recordings/{last}/forget")
    return name


def stream(server: PageServer, recording: bytes) -> str:
    """Send a recording in parts, as the page does while it records; returns its id."""
    samples, sample_rate = soundfile.read(io.BytesIO(recording), dtype="int16")
    status, answer = server.post(f"/live?rate={sample_rate}")
    if status != 200:
        raise SystemExit(f"the page refused a live recording: {answer}")
    name, began = str(answer["recording"]), time.monotonic()
    for first in range(0, len(samples), sample_rate):
        time.sleep(max(0.0, began + first / sample_rate - AHEAD_SECONDS - time.monotonic()))
        part = samples[first : first + sample_rate].astype("<i2").tobytes()
        status, answer = server.post(f"/recordings/{name}/sound?first={first}", part)
        if status != 200:
            raise SystemExit(f"the page refused samples: {answer}")
    if server.post(f"/recordings/{name}/end")[0] != 200:
        raise SystemExit("the page did not end a live recording")
    return name


def read_log(path: Path) -> list[Sample]:
    """Read the samples of a log; the end of the server is not one."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [Sample(**line) for line in lines if "minutes" in line]


def growth(samples: Sequence[Sample], value: Callable[[Sample], float]) -> float:
    """Give the growth of a value from the start to the end of a straight line through the samples, as a share."""
    times = [sample.minutes for sample in samples]
    slope, start = np.polyfit(times, [value(sample) for sample in samples], 1)
    first, last = (start + slope * at for at in (times[0], times[-1]))
    return float((last - first) / first)


def quarters(samples: Sequence[Sample], value: Callable[[Sample], float]) -> tuple[float, float]:
    """Give the 95th percentile of a value in the first and in the last quarter."""
    size = max(1, len(samples) // 4)
    first, last = (np.percentile([value(s) for s in part], 95) for part in (samples[:size], samples[-size:]))
    return float(first), float(last)


def rows_of(samples: Sequence[Sample], command: str, what: str = "page") -> list[dict[str, str]]:
    """Summarise the samples: rows of reports/reliability.md, about ``what``."""
    steady = samples[int(WARM * len(samples)) :]
    memory = growth(steady, lambda sample: sample.rss_mb)
    latency = quarters(steady, lambda sample: sample.latency)
    cpu = quarters(steady, lambda sample: sample.cpu)
    load = os.getloadavg()[0]
    hours = samples[-1].minutes / 60

    def row(measure: str, target: str, result: str) -> dict[str, Any]:
        return {"what": f"{what}, {hours:.1f} hours: {measure}", "target": target, "result": result, "command": command}

    return [
        row("conversions, all right", "all", str(len(samples))),
        row(
            "growth of memory",
            "< 5 %",
            f"{100 * memory:+.1f} % ({steady[0].rss_mb:.0f} MB at first, {steady[-1].rss_mb:.0f} MB at last)",
        ),
        row(
            "latency (95 %), first and last quarter",
            "< 10 % more",
            f"{latency[0]:.2f}, {latency[1]:.2f} s ({100 * (latency[1] / latency[0] - 1):+.0f} %; load {load:.1f})",
        ),
        row(
            "CPU a conversion (95 %), first and last quarter",
            "< 10 % more",
            f"{cpu[0]:.2f}, {cpu[1]:.2f} s ({100 * (cpu[1] / cpu[0] - 1):+.0f} %)",
        ),
        row("open files, first and last", "equal", f"{steady[0].descriptors}, {steady[-1].descriptors}"),
        row("threads, first and last", "equal", f"{steady[0].threads}, {steady[-1].threads}"),
    ]
