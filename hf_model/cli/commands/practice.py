"""`hummingface practice`: how well a take follows a score."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_model import __version__
from hf_model.cli.loading import ModelError
from hf_model.cli.messages import FAILED, OK, describe_unexpected, print_message
from hf_model.cli.one_file import check_output
from hf_model.config import ConfigError
from hf_model.export.outputs import OutputError, all_or_none
from hf_model.plotting import PlottingError

if TYPE_CHECKING:
    from hf_model.inference import Models
    from hf_model.practice.comparison import Comparison


@dataclass(frozen=True)
class PracticeOptions:
    """What is written, and how it is measured.

    Attributes
    ----------
    files : dict of {"csv", "picture"} to path
    overwrite : bool
    tuning : float, optional
        Offset from 440 Hz in semitones, from which cents are measured; by default the singer's own.
    source : str
        Whether the take is a "voice" or a "song", or "auto".
    """

    files: dict[str, Path] = field(default_factory=dict)
    overwrite: bool = False
    tuning: float | None = None
    source: str = "auto"


def practice_file(take: Path, score: Path, options: PracticeOptions, models: Models) -> Comparison:
    """Compare a recording with a score, and write the files that are wanted.

    Raises
    ------
    OSError, ValueError, ConfigError, OutputError, PlottingError
        If a file cannot be read or written; the message names it.
    """
    from hf_model.inference import transcribe
    from hf_model.lyrics.melody_file import read_melody_file
    from hf_model.practice.comparison import compare

    if len({path.resolve() for path in options.files.values()}) < len(options.files):
        msg = "--csv and --picture name the same file; choose two"
        raise OutputError(msg)
    for path in options.files.values():
        for source in (take, score):
            if source.exists():
                check_output(source, path, overwrite=options.overwrite)
    written = read_melody_file(score).notes
    sung = transcribe(take, source=options.source, models=models)
    comparison = compare(sung, written, tuning=options.tuning)
    for kind, path in options.files.items():
        with all_or_none({kind: path}, make_folder=True) as temporary:
            _write(temporary[kind], kind, comparison, f"{take.name} beside {score.name}")
    return comparison


def _write(path: Path, kind: str, comparison: Comparison, title: str) -> None:
    from hf_model.practice.picture import save_practice_picture
    from hf_model.practice.report import as_csv

    if kind == "picture":
        save_practice_picture(path, comparison, title)
    else:
        path.write_text(as_csv(comparison), encoding="utf-8")


def run(arguments: argparse.Namespace) -> int:
    """Run the command, and return its exit code."""
    from hf_model.inference import Models, default_models
    from hf_model.practice.report import as_mapping, as_text

    take, score = arguments.take, arguments.score
    files = {kind: path for kind in ("csv", "picture") if (path := getattr(arguments, kind)) is not None}
    tuning = None if arguments.tuning is None else arguments.tuning / 100
    options = PracticeOptions(files, arguments.overwrite, tuning, arguments.source)
    result: dict[str, Any] = {"version": __version__, "take": str(take), "score": str(score), "error": None}
    problem = None
    try:
        models = Models(arguments.model) if arguments.model else default_models()
        comparison = practice_file(take, score, options, models)
    except OSError as error:
        problem = f"{error.filename or take}: {error.strerror.lower() if error.strerror else error}"
    except (ModelError, OutputError, PlottingError) as error:
        problem = str(error)
    except (ConfigError, ValueError) as error:
        text = str(error)
        problem = text if text.startswith((str(take), str(score))) else f"{take}: {text}"
    except Exception as error:  # noqa: BLE001 (one line instead of a traceback)
        problem = f"{take}: {describe_unexpected(error)}"
    if problem:
        print_message(problem)
        result["error"] = problem
    else:
        result |= {"outputs": {kind: str(path) for kind, path in files.items()}, **as_mapping(comparison)}
    if arguments.json:
        print(json.dumps(result, indent=2))
    elif not problem and not arguments.quiet:
        print("\n".join([as_text(comparison), *(f"-> {path}" for path in files.values())]), flush=True)
    return FAILED if problem else OK
