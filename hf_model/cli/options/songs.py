"""Options of songs, and of the part of a recording that is converted."""

from __future__ import annotations

import argparse

from hf_model.cli.options.argument_types import clock

# Repeated from hf_model.preparation, which would import NumPy; a test compares them.
SOURCES = ("auto", "voice", "song", "whistle")


def add_song_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for songs, and for parts of a recording (:func:`part_from`)."""
    add = parser.add_argument_group("songs").add_argument
    source_help = (
        "voice: a voice alone; song: separate the voice first; whistle: whistling, or a voice above 1.3 kHz; "
        "auto: decide from the audio (%(default)s)"
    )
    add("--source", choices=SOURCES, default="auto", help=source_help)
    separator_help = "default; none; demucs, if installed; or the folder of a separator (default)"
    add("--separator", metavar="NAME", help=separator_help)
    add("--start", type=clock, default=0.0, metavar="TIME", help="convert from here on: seconds (65) or m:ss (1:05)")
    add("--end", type=clock, metavar="TIME", help="convert up to here; times in the outputs count from --start")
    backing_help = "keep: also write the song with the piano in the singer's place, INPUT_cover.wav (%(default)s)"
    add("--backing", choices=("drop", "keep"), default="drop", help=backing_help)
    add("--voice", action="store_true", help="also write the separated voice, INPUT_voice.wav")


def part_from(arguments: argparse.Namespace) -> tuple[float, float | None]:
    """Give the start and the end of the part to convert, in seconds.

    Raises
    ------
    ValueError
        If the end is not after the start, or if the separator "none" is to make a cover or a voice.
    """
    if arguments.separator == "none" and (arguments.voice or arguments.backing == "keep"):
        msg = "--separator none separates nothing: leave out --backing keep and --voice"
        raise ValueError(msg)
    if arguments.end is not None and arguments.end <= arguments.start:
        from hf_model.audio.clock import format_clock

        msg = f"--end {format_clock(arguments.end)} is not after --start {format_clock(arguments.start)}"
        raise ValueError(msg)
    return arguments.start, arguments.end
