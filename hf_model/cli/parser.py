"""All commands and options of the command line. The commands themselves are imported when they run."""

from __future__ import annotations

import argparse
import functools
import os
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from hf_model import __version__
from hf_model.cli.commands.analyse import DESCRIPTION as ANALYSE
from hf_model.cli.commands.analyse import EXAMPLES as ANALYSE_EXAMPLES
from hf_model.cli.commands.analyse import add_analyse_options
from hf_model.cli.commands.audit_labels import DESCRIPTION as AUDIT
from hf_model.cli.commands.audit_labels import EXAMPLES as AUDIT_EXAMPLES
from hf_model.cli.commands.audit_labels import add_audit_options
from hf_model.cli.commands.completion import INSTALLATION, SHELLS
from hf_model.cli.help_texts import (
    APP,
    APP_NOTES,
    COMPLETION,
    CONVERT_EXAMPLES,
    DESCRIPTION,
    EXAMPLES,
    IDENTIFY,
    IDENTIFY_EXAMPLES,
    LIVE,
    LIVE_EXAMPLES,
    PRACTICE,
    PRACTICE_EXAMPLES,
    RENDER,
    RENDER_EXAMPLES,
    SING,
    SING_EXAMPLES,
)
from hf_model.cli.messages import WRONG_USAGE, print_message
from hf_model.cli.options.argument_types import number
from hf_model.cli.options.arrangement import add_arrangement_options
from hf_model.cli.options.commands import add_live_options, add_practice_options, add_sing_options
from hf_model.cli.options.outputs import add_output_options
from hf_model.cli.options.songs import add_song_options
from hf_model.cli.options.sound import add_sound_options

INPUT_HELP = "audio files (wav flac ogg mp3 m4a opus aiff caf), videos (mp4 mov mkv webm 3gp), folders, globs"


class OneLineParser(argparse.ArgumentParser):
    """A parser that says in one line what is wrong with a command line."""

    def error(self, message: str) -> NoReturn:
        """Print the error, and end with the exit code for wrong usage."""
        print_message(f"{message}; see {self.prog} --help")
        sys.exit(WRONG_USAGE)


def build_parser() -> argparse.ArgumentParser:
    """Describe all commands and options."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = OneLineParser(
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
    _add_sing_options(add("sing", help="sing words on a melody", description=SING, epilog=SING_EXAMPLES))
    _add_practice_options(
        add("practice", help="compare a take with its score", description=PRACTICE, epilog=PRACTICE_EXAMPLES)
    )
    _add_identify_options(
        add("identify", help="name the instruments in recordings", description=IDENTIFY, epilog=IDENTIFY_EXAMPLES)
    )
    analyse = add("analyse", help="tempo, key, genre of songs", description=ANALYSE, epilog=ANALYSE_EXAMPLES)
    add_analyse_options(analyse, INPUT_HELP)
    analyse.set_defaults(run=_command("analyse"))
    add_audit_options(
        add("audit-labels", help="compare note labels with recordings", description=AUDIT, epilog=AUDIT_EXAMPLES)
    )
    _add_live_options(add("live", help="notes while you sing", description=LIVE, epilog=LIVE_EXAMPLES))
    _add_app_options(add("app", help="record, listen and edit in the browser", description=APP, epilog=APP_NOTES))
    info = commands.add_parser("info", help="versions, weights and licences")
    info.add_argument("--json", action="store_true", help="print JSON")
    info.set_defaults(run=_command("info"))
    completion = commands.add_parser(
        "completion", help="tab completion", description=COMPLETION, epilog=INSTALLATION, formatter_class=raw
    )
    completion.add_argument("shell", choices=SHELLS, help="the shell")
    completion.set_defaults(run=_command("completion"))
    return parser


def _add_convert_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("inputs", nargs="+", metavar="INPUT", help=INPUT_HELP)
    add("--out-dir", type=Path, metavar="DIR", help="folder for all outputs (that of each input)")
    add("--overwrite", action="store_true", help="replace existing outputs")
    _add_shared_options(parser)
    add_output_options(parser)
    add_song_options(parser)
    add_arrangement_options(parser)
    add_sound_options(parser)
    parser.set_defaults(run=_command("convert"))


def _add_render_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("notes", type=Path, metavar="NOTES", help="a MIDI file, or a table of notes (csv)")
    add("-o", "--out", type=Path, metavar="OUT.wav", help="output file (NOTES with the suffix .wav)")
    add("--duration", type=number(float, 0, 14400), metavar="SECONDS", help="length (to the end of the last note)")
    add("--overwrite", action="store_true", help="replace an existing output")
    _add_shared_options(parser)
    add_sound_options(parser)
    parser.set_defaults(run=_command("render"))


def _add_sing_options(parser: argparse.ArgumentParser) -> None:
    add_sing_options(parser)
    _add_shared_options(parser)
    parser.set_defaults(run=_command("sing"))


def _add_practice_options(parser: argparse.ArgumentParser) -> None:
    add_practice_options(parser)
    _add_shared_options(parser)
    parser.set_defaults(run=_command("practice"))


def _add_live_options(parser: argparse.ArgumentParser) -> None:
    add_live_options(parser)
    parser.add_argument("--model", metavar="DIR", help="other weights: a folder, or owner/name on the Hugging Face Hub")
    parser.add_argument("--json", action="store_true", help="print every event, and the result, as a line of JSON")
    parser.add_argument("--quiet", action="store_true", help="print errors and the files that were written only")
    parser.set_defaults(run=_command("live"), sound_font=None, sound="sampled", no_audio=True)


def _add_identify_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("inputs", nargs="+", metavar="INPUT", help=INPUT_HELP)
    add("--timeline", action="store_true", help="also what sounds over time")
    add("--top", type=number(int, 1, 30), default=3, metavar="N", help="name at most N instruments (%(default)s)")
    add("--json", action="store_true", help="print one JSON document instead of text")
    parser.set_defaults(run=_command("identify"))


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
    add("--model", metavar="DIR", help="other weights: a folder, or owner/name on the Hugging Face Hub")
    add(
        "--token",
        default=os.environ.get("HUMMINGFACE_TOKEN", ""),
        metavar="SECRET",
        help="only who knows it can open the page; auto: a random one ($HUMMINGFACE_TOKEN, else none)",
    )
    parser.set_defaults(run=_command("app"))


def _command(name: str) -> Callable[[argparse.Namespace], int]:
    """Give the function that runs a command, whose module is imported then."""

    def run(arguments: argparse.Namespace) -> int:
        # NumPy's matrices are small here: threads for them spin longer than they calculate.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        code: int = import_module(f"hf_model.cli.commands.{name}").run(arguments)
        return code

    return run
