"""The command line: parse, call, print. Heavy imports are deferred."""

from __future__ import annotations

import argparse
import functools
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from hf_model import __version__
from hf_model.cli.completion import INSTALLATION, SHELLS, completion_script
from hf_model.cli.options import add_arrangement_options, add_sound_options, arrangement_from, number, performance_from

if TYPE_CHECKING:
    from hf_model.cli.convert import Report
    from hf_model.inference import Models

OK, FAILED, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130

DESCRIPTION = "Convert singing or humming to piano: same melody, same timing, same length."

RENDER = "Render a MIDI file or an edited table of notes with the same piano."

APP = "Serve a page in the browser to record, listen, edit and download."

COMPLETION = "Print a script for tab completion of commands, options and files."

EXAMPLES = """\
examples:
  hummingface convert hum.wav                     write hum_piano.wav and hum_piano.mid next to hum.wav
  hummingface convert hum.m4a --csv --plot        also a table of the notes and a picture
  hummingface convert takes/ --out-dir piano      all recordings in a folder
  hummingface convert "takes/*.mp3" --transpose 12      an octave higher
  hummingface convert hum.wav --json | jq '.files[0].n_notes'
  hummingface render hum_piano.mid -o new.wav     render a MIDI file or a table of notes
  hummingface app                                 the same in the browser, with a microphone
  hummingface info                                versions, weights, licences
"""

CONVERT_EXAMPLES = """\
outputs for hum.wav:
  hum_piano.wav   the piano: 44.1 kHz, exactly as long as the recording
  hum_piano.mid   the notes as performed, with tempo, time signature and key, for a DAW
  hum_piano.csv   (--csv) onset,offset,pitch,note,velocity,confidence: onset and offset in seconds, pitch of the voice
                  as a MIDI number with decimals, note as played on the piano, velocity 0-127, confidence 0-1
  hum_piano.musicxml   (--musicxml) the score, for notation software
  hum_piano.png   (--plot) the notes over the spectrogram of the voice
  hum_piano.structure.png   (--structure) the repeated phrases of the melody

examples:
  hummingface convert hum.wav
  hummingface convert monday.m4a tuesday.m4a --out-dir piano --overwrite
  hummingface convert hum.wav --quantize 1/8 --simplify 1     on the grid, without ornaments
  hummingface convert hum.wav --tempo 96 --meter 4/4 --key "F major"     known values instead of estimates
  hummingface convert hum.wav --preset beginner --accompany     simple, with chords in the left hand
  hummingface convert takes/ --min-note 0.1 --min-confidence 0.3     fewer, more certain notes
  hummingface convert hum.wav --tuning 0          no correction of a flat or sharp voice
  hummingface convert hum.wav --pedal --reverb 0.3      sustain pedal and reverb

exit code: 0 all converted, 1 a file failed (the others are converted), 2 wrong usage, 130 interrupted
"""

RENDER_EXAMPLES = """\
NOTES is a MIDI file (all instruments but drums, with its tempo changes, velocities and pedal) or a table as written by
`convert --csv`, of which the columns onset, offset, note and velocity are used: onset and offset in seconds, note as a
MIDI number (60) or a name (C4).

examples:
  hummingface render tune.mid                     write tune.wav next to it
  hummingface render hum_piano.csv -o edited.wav  notes edited in a spreadsheet
  hummingface render tune.mid --pedal --reverb 0.3      sustain pedal and reverb
  hummingface render tune.mid --sound reference -o compare.wav    FluidSynth, at the same loudness
  hummingface render tune.mid --duration 60       exactly one minute

exit code: 0 rendered, 1 the notes or the piano cannot be loaded, 2 wrong usage, 130 interrupted
"""


APP_NOTES = """\
The page needs: pip install 'hummingface[app]'. It runs locally: nothing is sent to another server. Recordings are
deleted when the user leaves, or after 20 minutes. Only this machine can open the page, unless --host is given; browsers
allow the microphone on localhost and over https only.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    options = build_parser().parse_args(arguments)
    try:
        with _sigterm_as_interrupt():
            code: int = options.run(options)
            sys.stdout.flush()
    except KeyboardInterrupt:
        _print_message("interrupted: no incomplete files are left")
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Python flushes it once more at exit
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
    add("inputs", nargs="+", metavar="INPUT", help="audio files (wav flac ogg mp3 m4a webm opus aiff), folders, globs")
    add("--out-dir", type=Path, metavar="DIR", help="folder for all outputs (that of each input)")
    add("--csv", action="store_true", help="also write a table of the notes")
    add("--musicxml", action="store_true", help="also write a score (needs hummingface[score])")
    add("--plot", action="store_true", help="also write a picture of the notes")
    add("--structure", action="store_true", help="also write a picture of the repeated phrases")
    add("--overwrite", action="store_true", help="replace existing outputs")
    _add_shared_options(parser)
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
        default=60.0,
        metavar="SECONDS",
        help="longest part of a recording to convert at once (%(default)g)",
    )
    add("--model", type=Path, metavar="DIR", help="other weights")
    parser.set_defaults(run=_app)


def _app(arguments: argparse.Namespace) -> int:
    _use_passive_threads()
    from hf_model.app.server import serve

    try:
        serve(
            arguments.host,
            arguments.port,
            part_seconds=arguments.max_seconds,
            model=arguments.model,
            announce=lambda address: print(f"HummingFace is at {address}  (Ctrl-C to stop)", flush=True),
        )
    except KeyboardInterrupt:
        return OK  # the normal end of a server
    except ModuleNotFoundError as error:
        if error.name not in {"fastapi", "gradio", "uvicorn"}:
            raise
        _print_message(f"{error.name} is not installed: pip install 'hummingface[app]'")
        return FAILED
    except OSError as error:
        _print_message(f"cannot listen at {arguments.host}:{arguments.port}: {error.strerror or error}")
        return FAILED
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
    except ConfigError as error:
        _print_message(str(error))
        return WRONG_USAGE
    options = Options(
        out_dir=arguments.out_dir,
        csv=arguments.csv,
        musicxml=arguments.musicxml,
        plot=arguments.plot,
        structure=arguments.structure,
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
        with _progress(len(jobs), hidden=arguments.quiet) as advance:
            for report in convert_jobs(jobs, options, models):
                reports.append(report)
                _print_report(report, quiet=arguments.quiet, on_stdout=not arguments.json)
                if arrangement != Arrangement() and not (arguments.quiet or arguments.json or report.error):
                    print("  " + "; ".join(report.remarks), flush=True)
                advance()
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
        report = render_file(arguments.notes, options, _load_models(arguments, transcriber=False))
        _print_report(report, quiet=arguments.quiet, on_stdout=not arguments.json)
    except ModelError as error:
        problem = str(error)
        _print_message(problem)
    finally:
        if arguments.json:
            _print_json([report] if report else [], problem)
    return FAILED if problem or (report and report.error) else OK


def _use_passive_threads() -> None:
    """Make OpenMP threads wait without spinning, which slows a busy machine tenfold; call it before importing torch."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


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
    try:
        _ = models.transcriber if transcriber else None, models.renderer(arguments.sound)
    except (OSError, ConfigError, RuntimeError, KeyError, ValueError) as error:
        msg = f"the model cannot be loaded: {_one_line(error)}"
        raise ModelError(msg) from error
    return models


@contextmanager
def _progress(n_files: int, *, hidden: bool) -> Iterator[Callable[[], object]]:
    """Show a progress bar on a terminal if there are several files."""
    if hidden or n_files < 2 or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("converting"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), redirect_stdout=sys.stdout.isatty()) as bar:
        task = bar.add_task("", total=n_files)
        yield lambda: bar.advance(task)


def _print_report(report: Report, *, quiet: bool, on_stdout: bool) -> None:
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
        print(f"{report.input}: {music} -> {names}", flush=True)


def _tempo_and_key(report: Report) -> str:
    """Describe tempo and key, with a question mark for a guess."""
    if not report.n_notes or report.tempo is None or report.key is None:
        return ""
    from hf_model.music.arrangement import UNSURE

    marks = ["?" if estimate["confidence"] < UNSURE else "" for estimate in (report.tempo, report.key)]
    return f", {report.tempo['bpm']:.0f} bpm{marks[0]}, {report.key['name']}{marks[1]}"


def _print_message(text: str, kind: str = "error") -> None:
    print(f"hummingface: {kind}: {_one_line(text)}", file=sys.stderr, flush=True)


def _one_line(text: object) -> str:
    return " ".join(str(text).split())


@contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """Handle SIGTERM like Ctrl-C, so that files are cleaned up."""

    def interrupt(_number: int, _frame: object) -> NoReturn:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread can set signal handlers
        return
    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


if __name__ == "__main__":
    sys.exit(main())
