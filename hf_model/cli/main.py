"""The command line: parse, call, print. Heavy imports are deferred."""

from __future__ import annotations

import argparse
import functools
import json
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from hf_model import __version__
from hf_model.cli.completion import INSTALLATION, SHELLS, completion_script
from hf_model.cli.help_texts import (
    APP,
    APP_NOTES,
    COMPLETION,
    CONVERT_EXAMPLES,
    DESCRIPTION,
    EXAMPLES,
    RENDER,
    RENDER_EXAMPLES,
)
from hf_model.cli.options import (
    add_arrangement_options,
    add_song_options,
    add_sound_options,
    arrangement_from,
    number,
    part_from,
    performance_from,
)
from hf_model.cli.progress import ProgressBars
from hf_model.cli.streams import BROKEN_PIPE, StandardOutputError, guarded_output, sigterm_as_interrupt

if TYPE_CHECKING:
    from hf_model.cli.report import Report
    from hf_model.inference import Models

INPUT_HELP = "audio files (wav flac ogg mp3 m4a opus aiff caf), videos (mp4 mov mkv webm 3gp), folders, globs"

OK, FAILED, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        with sigterm_as_interrupt(), guarded_output():
            options = build_parser().parse_args(arguments)
            code: int = options.run(options)
    except KeyboardInterrupt:
        _print_message("interrupted: no incomplete files are left")
        return INTERRUPTED
    except BrokenPipeError:
        return BROKEN_PIPE
    except StandardOutputError as error:
        _print_message(str(error))
        return FAILED
    return code


def build_parser() -> argparse.ArgumentParser:
    """Describe all commands and options."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="hummingface", description=DESCRIPTION, epilog=EXAMPLES, formatter_class=raw, allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"hummingface {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    add = functools.partial(commands.add_parser, formatter_class=raw, allow_abbrev=False)
    _add_convert_options(
        add("convert", help="convert recordings to piano", description=DESCRIPTION, epilog=CONVERT_EXAMPLES)
    )
    _add_render_options(
        add("render", help="render a MIDI file or a table of notes", description=RENDER, epilog=RENDER_EXAMPLES)
    )
    _add_app_options(add("app", help="record, listen and edit in the browser", description=APP, epilog=APP_NOTES))
    info = commands.add_parser("info", help="versions, weights and licences")
    info.add_argument("--json", action="store_true", help="print JSON")
    info.set_defaults(run=_info)
    completion = commands.add_parser(
        "completion", help="tab completion", description=COMPLETION, epilog=INSTALLATION, formatter_class=raw
    )
    completion.add_argument("shell", choices=SHELLS, help="the shell")
    completion.set_defaults(run=_completion)
    return parser


def _add_convert_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("inputs", nargs="+", metavar="INPUT", help=INPUT_HELP)
    add("--out-dir", type=Path, metavar="DIR", help="folder for all outputs (that of each input)")
    add("--csv", action="store_true", help="also write a table of the notes")
    add("--musicxml", action="store_true", help="also write a score (needs hummingface[score])")
    add("--plot", action="store_true", help="also write a picture of the notes")
    add("--structure", action="store_true", help="also write a picture of the repeated phrases")
    add("--overwrite", action="store_true", help="replace existing outputs")
    _add_shared_options(parser)
    add_song_options(parser)
    add_arrangement_options(parser)
    add_sound_options(parser)
    parser.set_defaults(run=_convert)


def _add_render_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("notes", type=Path, metavar="NOTES", help="a MIDI file, or a table of notes (csv)")
    add("-o", "--out", type=Path, metavar="OUT.wav", help="output file (NOTES with the suffix .wav)")
    add("--duration", type=number(float, 0, 14400), metavar="SECONDS", help="length (to the end of the last note)")
    add("--overwrite", action="store_true", help="replace an existing output")
    _add_shared_options(parser)
    add_sound_options(parser)
    parser.set_defaults(run=_render)


def _add_shared_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that convert and render share."""
    add = parser.add_argument
    add("--model", metavar="DIR", help="other weights: a folder, or owner/name on the Hugging Face Hub")
    add("--json", action="store_true", help="print one JSON document instead of text")
    add("--quiet", action="store_true", help="print errors only")


def _add_app_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--host", default="127.0.0.1", metavar="ADDRESS", help="address to bind (%(default)s: this machine only)")
    add("--port", type=number(int, 0, 65535), default=7860, metavar="N", help="port (%(default)s); 0: any free port")
    add(
        "--max-seconds",
        type=number(float, 1, 600),
        default=300.0,
        metavar="SECONDS",
        help="longest part of a recording to convert at once (%(default)g)",
    )
    add("--model", type=Path, metavar="DIR", help="other weights")
    add(
        "--token",
        default=os.environ.get("HUMMINGFACE_TOKEN", ""),
        metavar="SECRET",
        help="only who knows it can open the page; auto: a random one ($HUMMINGFACE_TOKEN, else none)",
    )
    parser.set_defaults(run=_app)


def _app(arguments: argparse.Namespace) -> int:
    _use_passive_threads()
    from hf_model.app.server import TokenError, serve

    try:
        serve(
            arguments.host,
            arguments.port,
            part_seconds=arguments.max_seconds,
            model=arguments.model,
            token=arguments.token,
            announce=lambda address: print(f"HummingFace is at {address}  (Ctrl-C to stop)", flush=True),
            warn=functools.partial(_print_message, kind="warning"),
        )
    except KeyboardInterrupt:
        return OK  # the normal end of a server
    except ModuleNotFoundError as error:
        if error.name not in {"h11", "starlette", "uvicorn"}:
            raise
        _print_message(f"{error.name} is not installed: pip install 'hummingface[app]'")
        return FAILED
    except OSError as error:
        _print_message(f"cannot listen at {arguments.host}:{arguments.port}: {error.strerror or error}")
        return FAILED
    except TokenError as error:
        _print_message(str(error))
        return WRONG_USAGE
    return OK


def _info(options: argparse.Namespace) -> int:
    from hf_model.cli.info import as_text, installed

    description = installed()
    print(json.dumps(description, indent=2) if options.json else as_text(description))
    return OK


def _completion(options: argparse.Namespace) -> int:
    print(completion_script(build_parser(), options.shell))
    return OK


def _convert(arguments: argparse.Namespace) -> int:
    _use_passive_threads()
    from hf_model.cli.convert import Options, convert_jobs, find_inputs, plan
    from hf_model.config import ConfigError
    from hf_model.music.arrangement import Arrangement

    try:
        arrangement = arrangement_from(arguments)
        start, end = part_from(arguments)
    except (ConfigError, ValueError) as error:
        _print_message(str(error))
        return WRONG_USAGE
    options = Options(
        out_dir=arguments.out_dir,
        csv=arguments.csv,
        musicxml=arguments.musicxml,
        plot=arguments.plot,
        structure=arguments.structure,
        cover=arguments.backing == "keep",
        voice=arguments.voice,
        source=arguments.source,
        start=start,
        end=end,
        overwrite=arguments.overwrite,
        arrangement=arrangement,
        performance=performance_from(arguments),
        tuning=arguments.tuning / 100 if "tuning" in arguments else None,
    )
    jobs = plan(find_inputs(arguments.inputs), options)
    reports: list[Report] = []
    problem = None
    try:
        models = _load_models(arguments) if any(job.is_ready for job in jobs) else None
        with ProgressBars(len(jobs), hidden=arguments.quiet) as bars:
            for report in convert_jobs(jobs, options, models, bars.step):
                reports.append(report)
                is_decided = arguments.source == "auto"
                is_separated = getattr(arguments, "separator", None) != "none"
                source = _source(report, is_decided=is_decided, is_separated=is_separated)
                _print_report(report, quiet=arguments.quiet, on_stdout=not arguments.json, source=source)
                if arrangement != Arrangement() and not (arguments.quiet or arguments.json or report.error):
                    print("  " + "; ".join(report.remarks), flush=True)
                bars.finish_file()
    except ModelError as error:
        problem = str(error)
        _print_message(problem)
    finally:
        if arguments.json:
            _print_json(reports, problem)
    return FAILED if problem or any(report.error for report in reports) else OK


def _render(arguments: argparse.Namespace) -> int:
    _use_passive_threads()
    from hf_model.cli.render import RenderOptions, render_file

    performance = performance_from(arguments)
    options = RenderOptions(arguments.out, arguments.duration, arguments.overwrite, performance)
    report: Report | None = None
    problem = None
    try:
        models = _load_models(arguments, transcriber=False)
        with ProgressBars(1, hidden=arguments.quiet) as bars:
            report = render_file(arguments.notes, options, models, lambda share: bars.step(share, "playing the piano"))
        _print_report(report, quiet=arguments.quiet, on_stdout=not arguments.json)
    except ModelError as error:
        problem = str(error)
        _print_message(problem)
    finally:
        if arguments.json:
            _print_json([report] if report else [], problem)
    return FAILED if problem or (report and report.error) else OK


def _use_passive_threads() -> None:
    """Make OpenMP threads wait without spinning, which slows a busy machine tenfold; call it before importing torch.

    NumPy's matrices are small here: threads for them spin longer than they calculate.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def _print_json(reports: Sequence[Report], problem: str | None) -> None:
    files = [report.as_mapping() for report in reports]
    print(json.dumps({"version": __version__, "error": problem, "files": files}, indent=2))


class ModelError(Exception):
    """Why a model cannot be loaded."""


def _load_models(arguments: argparse.Namespace, *, transcriber: bool = True) -> Models:
    """Load the models before the first file."""
    from hf_model.config import ConfigError
    from hf_model.inference import Models, default_models

    is_custom = arguments.model or arguments.sound_font
    models = Models(arguments.model, sound_font=arguments.sound_font) if is_custom else default_models()
    separator = getattr(arguments, "separator", None)
    models = models.with_separator(separator) if separator else models
    try:
        _ = models.transcriber if transcriber else None, models.renderer(arguments.sound)
        if separator or getattr(arguments, "source", "auto") == "song":
            _ = models.separator, models.song_transcriber
    except (OSError, ConfigError, RuntimeError, KeyError, ValueError) as error:
        msg = f"the model cannot be loaded: {_one_line(error)}"
        raise ModelError(msg) from error
    return models


def _print_report(report: Report, *, quiet: bool, on_stdout: bool, source: str = "") -> None:
    """Print the result of a file: errors and warnings to standard error, the rest to standard output."""
    if report.error:
        _print_message(report.error)
        return
    if quiet:
        return
    for warning in report.warnings:
        _print_message(f"{report.input}: {warning}", kind="warning")
    if on_stdout and report.outputs:
        names = "  ".join(report.outputs.values())
        cents = report.tuning_cents or 0.0
        tuning = f", {abs(cents):.0f} cents {'sharp' if cents > 0 else 'flat'}" if abs(cents) >= 0.5 else ""
        notes = "1 note" if report.n_notes == 1 else f"{report.n_notes} notes"
        music = f"{notes} in {report.duration:.2f} s{tuning}{_tempo_and_key(report)}"
        print(f"{report.input}: {source}{music} -> {names}", flush=True)


def _source(report: Report, *, is_decided: bool, is_separated: bool) -> str:
    """Describe what the recording is; a voice alone that the user named is no news."""
    if report.source is None or (report.source["kind"] == "voice" and not is_decided):
        return ""
    song = "song, voice separated" if is_separated else "song"
    what = song if report.source["kind"] == "song" else "voice alone"
    return f"{what} ({min(99.0, 100 * report.source['confidence']):.0f} %), " if is_decided else f"{what}, "


def _tempo_and_key(report: Report) -> str:
    """Describe tempo and key, with a question mark for a guess."""
    if not report.n_notes or report.tempo is None or report.key is None:
        return ""
    from hf_model.music.remarks import UNSURE

    marks = ["?" if estimate["confidence"] < UNSURE else "" for estimate in (report.tempo, report.key)]
    return f", {report.tempo['bpm']:.0f} bpm{marks[0]}, {report.key['name']}{marks[1]}"


def _print_message(text: str, kind: str = "error") -> None:
    with suppress(OSError):  # a standard error that is full or closed
        print(f"hummingface: {kind}: {_one_line(text)}", file=sys.stderr, flush=True)


def _one_line(text: object) -> str:
    return " ".join(str(text).split())


if __name__ == "__main__":
    sys.exit(main())
