"""The command line: parse, call, print. Imports nothing heavy before it must."""

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
from hf_model.cli.completion import HOW, SHELLS, script
from hf_model.cli.options import add_arrangement_options, add_sound_options, arrangement_from, number, performance_from

if TYPE_CHECKING:
    from hf_model.cli.convert import Report
    from hf_model.inference import Models

OK, FAILED, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130

DESCRIPTION = "Play singing or humming on a piano: same melody, same timing, same length."

RENDER = "Play notes on the same piano: a MIDI file, or a table that you edited."

APP = "Serve a page on which to sing, hear it on a piano, change it, and take it away."

COMPLETION = "Print a script that lets TAB complete commands, options and files."

EXAMPLES = """\
examples:
  hummingface convert hum.wav                     hum_piano.wav and hum_piano.mid, beside hum.wav
  hummingface convert hum.m4a --csv --plot        the notes as a table and as a picture too
  hummingface convert takes/ --out-dir piano      every recording in a folder
  hummingface convert "takes/*.mp3" --transpose 12      an octave higher
  hummingface convert hum.wav --json | jq '.files[0].n_notes'
  hummingface render hum_piano.mid -o new.wav     play a MIDI file or a table of notes, edited by you
  hummingface app                                 the same in the browser, with a microphone
  hummingface info                                versions, weights, licences
"""

CONVERT_EXAMPLES = """\
what is written, for hum.wav:
  hum_piano.wav   the piano: 44.1 kHz, exactly as long as the recording
  hum_piano.mid   the keys as performed, with tempo, metre and key, for a sequencer
  hum_piano.csv   (--csv) onset,offset,pitch,note,velocity,confidence: seconds; pitch as sung, as a MIDI number
                  with decimals; note the key that is played; 0-127; 0-1
  hum_piano.musicxml   (--musicxml) the score, for a notation program
  hum_piano.png   (--plot) the notes over the spectrogram of the voice

examples:
  hummingface convert hum.wav
  hummingface convert monday.m4a tuesday.m4a --out-dir piano --overwrite
  hummingface convert takes/ --min-note 0.1 --min-confidence 0.3     fewer, surer notes
  hummingface convert hum.wav --quantize 1/8 --simplify 1     on the beat, without ornaments
  hummingface convert hum.wav --preset beginner --accompany     simple, with chords for the left hand
  hummingface convert hum.wav --tuning 0          no correction for a singer who is flat or sharp
  hummingface convert hum.wav --pedal --reverb 0.3      a gentle pedal, a light room

exit code: 0 all converted, 1 a file failed (the others are converted), 2 wrong usage, 130 interrupted
"""

RENDER_EXAMPLES = """\
NOTES is a MIDI file of any program (all its instruments together, without drums; tempo changes, velocities and the
pedal as they are in it) or a table as `convert --csv` writes it: the columns onset, offset, note and velocity count,
in any order; seconds; note is a MIDI number (60) or a name (C4).

examples:
  hummingface render tune.mid                     tune.wav, beside it
  hummingface render hum_piano.csv -o edited.wav  the notes that you changed in a spreadsheet
  hummingface render tune.mid --pedal --reverb 0.3      a gentle pedal, a light room
  hummingface render tune.mid --sound reference -o compare.wav    FluidSynth, at the same level
  hummingface render tune.mid --duration 60       exactly one minute

exit code: 0 played, 1 the file or the piano cannot be used, 2 wrong usage, 130 interrupted
"""


APP_NOTES = """\
The page needs: pip install 'hummingface[app]'. Nothing leaves the machine that serves it, and recordings are deleted
when a visitor leaves, or after 20 minutes. Only this machine can open it, unless --host says otherwise; browsers allow
a microphone at this machine's own address and at https addresses only.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    options = build_parser().parse_args(arguments)
    try:
        with _terminable():
            code: int = options.run(options)
            sys.stdout.flush()
    except KeyboardInterrupt:
        _complain("interrupted: nothing half-written is left")
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # so that Python does not complain again while it ends
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
        add("convert", help="play recordings on a piano", description=DESCRIPTION, epilog=CONVERT_EXAMPLES)
    )
    _add_render_options(
        add("render", help="play a MIDI file or a table of notes", description=RENDER, epilog=RENDER_EXAMPLES)
    )
    _add_app_options(add("app", help="record, listen and edit in the browser", description=APP, epilog=APP_NOTES))
    info = commands.add_parser("info", help="versions, weights, licences, and where they are")
    info.add_argument("--json", action="store_true", help="print JSON")
    info.set_defaults(run=_info)
    completion = commands.add_parser(
        "completion", help="completion for your shell", description=COMPLETION, epilog=HOW, formatter_class=raw
    )
    completion.add_argument("shell", choices=SHELLS, help="which shell")
    completion.set_defaults(run=_completion)
    return parser


def _add_convert_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("inputs", nargs="+", metavar="INPUT", help="audio files (wav flac ogg mp3 m4a webm opus aiff), folders, globs")
    add("--out-dir", type=Path, metavar="DIR", help="write there instead of beside each input; made if missing")
    add("--csv", action="store_true", help="write the notes as a table too")
    add("--musicxml", action="store_true", help="write a score to read too (needs the extra [score])")
    add("--plot", action="store_true", help="write a picture too")
    add("--structure", action="store_true", help="write a picture of what the melody repeats too")
    add("--overwrite", action="store_true", help="replace outputs that exist")
    _add_shared_options(parser)
    add_arrangement_options(parser)
    add_sound_options(parser)
    parser.set_defaults(run=_convert)


def _add_render_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("notes", type=Path, metavar="NOTES", help="a MIDI file, or a table of notes (csv)")
    add("-o", "--out", type=Path, metavar="OUT.wav", help="the file to write (NOTES with the ending .wav)")
    add("--duration", type=number(float, 0, 14400), metavar="SECONDS", help="length (to the end of the last note)")
    add("--overwrite", action="store_true", help="replace an output that exists")
    _add_shared_options(parser)
    add_sound_options(parser)
    parser.set_defaults(run=_render)


def _add_shared_options(parser: argparse.ArgumentParser) -> None:
    """Add what every command that plays has."""
    add = parser.add_argument
    add("--model", metavar="DIR", help="weights to use instead of the ones that ship, or owner/name on the Hub")
    add("--json", action="store_true", help="print one JSON document on standard output, and nothing else there")
    add("--quiet", action="store_true", help="print errors only")


def _add_app_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--host", default="127.0.0.1", metavar="ADDRESS", help="where to listen (%(default)s: this machine only)")
    add("--port", type=number(int, 0, 65535), default=7860, metavar="N", help="(%(default)s; 0 is any free one)")
    add(
        "--max-seconds",
        type=number(float, 1, 600),
        default=60.0,
        metavar="SECONDS",
        help="longest part of a recording that is converted at a time (%(default)g)",
    )
    add("--model", type=Path, metavar="DIR", help="weights to use instead of the ones that ship")
    parser.set_defaults(run=_app)


def _app(arguments: argparse.Namespace) -> int:
    _calm_threads()
    from hf_model.app.server import serve

    try:
        serve(
            arguments.host,
            arguments.port,
            part_seconds=arguments.max_seconds,
            model=arguments.model,
            announce=lambda address: print(f"HummingFace is at {address}  (Ctrl-C ends it)", flush=True),
        )
    except KeyboardInterrupt:
        return OK  # how a server ends
    except ModuleNotFoundError as error:
        if error.name not in {"fastapi", "gradio", "uvicorn"}:
            raise
        _complain(f"{error.name} is not installed: pip install 'hummingface[app]'")
        return FAILED
    except OSError as error:
        _complain(f"cannot listen at {arguments.host}:{arguments.port}: {error.strerror or error}")
        return FAILED
    return OK


def _info(options: argparse.Namespace) -> int:
    from hf_model.cli.info import as_text, installed

    description = installed()
    print(json.dumps(description, indent=2) if options.json else as_text(description))
    return OK


def _completion(options: argparse.Namespace) -> int:
    print(script(build_parser(), options.shell))
    return OK


def _convert(arguments: argparse.Namespace) -> int:
    _calm_threads()
    from hf_model.cli.convert import Options, convert_jobs, find_inputs, plan
    from hf_model.config import ConfigError
    from hf_model.music.arrangement import Arrangement

    try:
        arrangement = arrangement_from(arguments)
    except ConfigError as error:
        _complain(str(error))
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
        models = _load(arguments) if any(job.is_ready for job in jobs) else None
        with _progress(len(jobs), hidden=arguments.quiet) as advance:
            for report in convert_jobs(jobs, options, models):
                reports.append(report)
                _tell(report, quiet=arguments.quiet, on_stdout=not arguments.json)
                if arrangement != Arrangement() and not (arguments.quiet or arguments.json or report.error):
                    print("  " + "; ".join(report.remarks), flush=True)
                advance()
    except ModelError as error:
        problem = str(error)
        _complain(problem)
    finally:
        if arguments.json:
            _print_json(reports, problem)
    return FAILED if problem or any(report.error for report in reports) else OK


def _render(arguments: argparse.Namespace) -> int:
    _calm_threads()
    from hf_model.cli.render import RenderOptions, render_file

    performance = performance_from(arguments)
    options = RenderOptions(arguments.out, arguments.duration, arguments.overwrite, performance)
    report: Report | None = None
    problem = None
    try:
        report = render_file(arguments.notes, options, _load(arguments, listens=False))
        _tell(report, quiet=arguments.quiet, on_stdout=not arguments.json)
    except ModelError as error:
        problem = str(error)
        _complain(problem)
    finally:
        if arguments.json:
            _print_json([report] if report else [], problem)
    return FAILED if problem or (report and report.error) else OK


def _calm_threads() -> None:
    """Before torch is imported: threads that spin while they wait make a busy machine ten times slower."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def _print_json(reports: Sequence[Report], problem: str | None) -> None:
    files = [report.as_mapping() for report in reports]
    print(json.dumps({"version": __version__, "error": problem, "files": files}, indent=2))


class ModelError(Exception):
    """Why no model can be loaded."""


def _load(arguments: argparse.Namespace, *, listens: bool = True) -> Models:
    """Load what will be needed once, before the first file."""
    from hf_model.config import ConfigError
    from hf_model.inference import Models, default_models

    own = arguments.model or arguments.sound_font
    models = Models(arguments.model, sound_font=arguments.sound_font) if own else default_models()
    try:
        _ = models.transcriber if listens else None, models.renderer(arguments.sound)
    except (OSError, ConfigError, RuntimeError, KeyError, ValueError) as error:
        msg = f"the model cannot be loaded: {_one_line(error)}"
        raise ModelError(msg) from error
    return models


@contextmanager
def _progress(n_files: int, *, hidden: bool) -> Iterator[Callable[[], object]]:
    """Show a bar on a terminal when there is more than one file."""
    if hidden or n_files < 2 or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("converting"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), redirect_stdout=sys.stdout.isatty()) as bar:
        task = bar.add_task("", total=n_files)
        yield lambda: bar.advance(task)


def _tell(report: Report, *, quiet: bool, on_stdout: bool) -> None:
    """Print what became of a file: errors and warnings to standard error, the rest to standard output."""
    if report.error:
        _complain(report.error)
        return
    if quiet:
        return
    for warning in report.warnings:
        _complain(f"{report.input}: {warning}", kind="warning")
    if on_stdout and report.outputs:
        names = "  ".join(report.outputs.values())
        cents = report.tuning_cents or 0.0
        tuning = f", {abs(cents):.0f} cents {'sharp' if cents > 0 else 'flat'}" if abs(cents) >= 0.5 else ""
        notes = "1 note" if report.n_notes == 1 else f"{report.n_notes} notes"
        print(f"{report.input}: {notes} in {report.duration:.2f} s{tuning}{_music(report)} -> {names}", flush=True)


def _music(report: Report) -> str:
    """Say tempo and key, each with a question mark when it is a guess."""
    if not report.n_notes or report.tempo is None or report.key is None:
        return ""
    from hf_model.music.arrangement import UNSURE

    doubts = ["?" if found["confidence"] < UNSURE else "" for found in (report.tempo, report.key)]
    return f", {report.tempo['bpm']:.0f} bpm{doubts[0]}, {report.key['name']}{doubts[1]}"


def _complain(text: str, kind: str = "error") -> None:
    print(f"hummingface: {kind}: {_one_line(text)}", file=sys.stderr, flush=True)


def _one_line(text: object) -> str:
    return " ".join(str(text).split())


@contextmanager
def _terminable() -> Iterator[None]:
    """Let a polite request to end (SIGTERM) clean up as Ctrl-C does."""

    def interrupt(_number: int, _frame: object) -> NoReturn:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


if __name__ == "__main__":
    sys.exit(main())
