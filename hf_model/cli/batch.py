"""`hummingface convert` with many files: a few at a time, whose results are reported in order."""

from __future__ import annotations

import os
import threading
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from hf_model.audio.reader import AudioError
from hf_model.audio.recording import TooLongError
from hf_model.cli.jobs import Job, Options, convert_file
from hf_model.cli.messages import describe_unexpected
from hf_model.cli.report import Report
from hf_model.export.all_or_none import OutputError
from hf_model.inference import Models, default_models
from hf_model.parallel.interruptible import run_in_order

Progress = Callable[[float, str, str], object]
"""Called for a song with the share that is done, 0 to 1, the step that begins or goes on, and the name of the input."""

Written = dict[str, list[Job]]
"""The jobs whose outputs are written, by the key of their names."""


def convert_jobs(
    jobs: Iterable[Job], options: Options, models: Models | None = None, progress: Progress = lambda *_: None
) -> Iterator[Report]:
    """Convert files, a few at a time; a file that fails has its error in the report and no outputs.

    Yields
    ------
    Report
        In the order of the jobs.
    """
    chosen = models or default_models()
    written: Written = {}
    earlier: dict[str, threading.Event] = {}

    def calls() -> Iterator[Callable[[], Report]]:
        for job in jobs:
            key = name_key(job.outputs["midi"]) if job.is_ready else ""
            before, done = earlier.get(key), threading.Event()
            if key:
                earlier[key] = done
            yield partial(_report, job, options, chosen, progress, written, before, done)

    yield from run_in_order(calls())


def _report(
    job: Job,
    options: Options,
    models: Models,
    progress: Progress,
    written: Written,
    before: threading.Event | None,
    done: threading.Event,
) -> Report:
    """Convert a file, after an earlier one whose outputs have the same name."""
    started = time.perf_counter()
    report = Report(str(job.source), error=job.problem)
    try:
        if before:
            before.wait()
            started = time.perf_counter()
        if job.skipped:
            report.warnings.append(job.skipped)
        elif not job.problem:
            _check_name(job, written)
            convert_file(job, options, models, report, lambda share, step: progress(share, step, report.input))
            written.setdefault(name_key(job.outputs["midi"]), []).append(job)
    except TooLongError as error:
        report.error = f"{error}; convert a part of it with --start and --end"
    except AudioError as error:
        report.error = str(error)
    except OutputError as error:
        report.error = f"{job.source}: {error}"
    except OSError as error:
        report.error = f"{job.source}: {error.strerror or error}"
    except Exception as error:  # noqa: BLE001 (one file must not end the others)
        report.error = f"{job.source}: {describe_unexpected(error)}"
    finally:
        done.set()
    report.seconds = round(time.perf_counter() - started, 3)
    return report


def name_key(path: Path) -> str:
    """Spell a path so that names are equal if any file system takes them for the same: by case, or composed letters."""
    return unicodedata.normalize("NFC", os.path.realpath(path).casefold())


def _check_name(job: Job, written: Written) -> None:
    """Refuse to replace outputs of this run."""
    midi = job.outputs["midi"]
    for first in written.get(name_key(midi), ()):
        if _is_same_file(first.outputs["midi"], midi):
            msg = f"{next(iter(job.outputs.values()))} was just made of {first.source}; rename one of the two"
            raise OutputError(msg)


def _is_same_file(one: Path, other: Path) -> bool:
    return os.path.realpath(one) == os.path.realpath(other) or (other.exists() and one.samefile(other))
