"""Options that one command alone has: sing, practice, live."""

from __future__ import annotations

import argparse
from pathlib import Path

from hf_model.cli.options.argument_types import number
from hf_model.cli.options.songs import SOURCES

# Repeated from hf_model.lyrics, which would import NumPy; a test compares them.
VOICES = ("soprano", "alto", "tenor", "bass", "child", "robot")
LANGUAGES = ("en", "pt")


def add_sing_options(parser: argparse.ArgumentParser) -> None:
    """Add what words are sung, and by whom."""
    add = parser.add_argument
    add("melody", type=Path, metavar="MELODY", help="a recording, a MIDI file, a MusicXML score or a table of notes")
    add("--lyrics", default="", metavar="TEXT|FILE", help="the words, or a file.txt of them (those of the score)")
    add("--voice", default="alto", choices=VOICES, help="who sings (%(default)s)")
    add("--language", default="en", choices=LANGUAGES, help="how the words are pronounced (%(default)s)")
    add("--piano", action="store_true", help="the piano plays the melody along")
    add("-o", "--out", type=Path, metavar="OUT.wav", help="output file (MELODY_sung.wav)")
    add("--overwrite", action="store_true", help="replace an existing output")


def add_practice_options(parser: argparse.ArgumentParser) -> None:
    """Add what is compared, and what is written."""
    add = parser.add_argument
    add("take", type=Path, metavar="TAKE", help="a recording of one voice, or a song")
    add("score", type=Path, metavar="SCORE", help="what was meant: MIDI, MusicXML, or a table of notes (csv)")
    add("--tuning", type=number(float, -100, 100), metavar="CENTS", help="measure from this tuning (the singer's own)")
    add("--source", default="auto", choices=SOURCES, help="what the take is (%(default)s)")
    add("--csv", type=Path, metavar="FILE", help="write a table of the notes")
    add("--picture", type=Path, metavar="FILE.png", help="write a picture (needs hummingface[plot])")
    add("--overwrite", action="store_true", help="replace existing outputs")


def add_live_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of live."""
    add = parser.add_argument
    add("--input", default="", metavar="DEVICE|FILE", help="a microphone (number or part of its name), or a file")
    add("--fast", action="store_true", help="take a file as fast as it can be transcribed")
    add("--list-devices", action="store_true", help="list microphones and MIDI ports, and end")
    add("--seconds", type=number(float, 0.1, 7200), default=7200.0, metavar="S", help="end after S seconds")
    add("--midi-out", default="", metavar="PORT|virtual", help="play along on a MIDI port (part of its name)")
    add("--bend", action="store_true", help="begin each note of the MIDI port at the pitch of the voice (bend +-2)")
    add("--transpose", type=number(int, -48, 48), default=0, metavar="N", help="semitones, of the MIDI port")
    add("--record", type=Path, metavar="NAME", help="at the end, write NAME.wav, NAME_piano.wav and NAME_piano.mid")
    add("--overwrite", action="store_true", help="replace existing outputs")
    add("--plain", action="store_true", help="print a line an event instead of drawing a piano roll")
