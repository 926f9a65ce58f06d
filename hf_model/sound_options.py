"""The options of the command line that say how notes are played: the same for every command that plays."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from hf_model.option_number import number

if TYPE_CHECKING:
    from hf_model.performance import Performance

SOUNDS = ("sampled", "neural", "reference")
"""As :data:`hf_model.performance.SOUNDS`, which would bring NumPy along; a test compares them."""


def add_sound_options(parser: argparse.ArgumentParser) -> None:
    """Add a group of options; :func:`performance_from` and ``arguments.sound_font`` give what was chosen."""
    add = parser.add_argument_group("the piano").add_argument
    add(
        "--sound",
        choices=SOUNDS,
        default="sampled",
        help="sampled: recorded strings (the default); neural: a network; reference: FluidSynth with the sound font "
        "that both were made from, to compare",
    )
    add("--pedal", action="store_true", help="a gentle sustaining pedal where phrases are legato")
    add(
        "--reverb",
        type=number(float, 0, 1),
        default=0.0,
        metavar="0-1",
        help="how much of a light room is heard (%(default)g: none; 0.3 is natural)",
    )
    add(
        "--normalize",
        choices=("on", "off"),
        default="on",
        help="on (the default): near -16 LUFS, true peak below -1 dB; off: the piano's own level",
    )
    add("--mono", action="store_true", help="one channel instead of two")
    add("--sound-font", type=Path, metavar="PATH", help="for --sound reference: another sound font")


def performance_from(arguments: argparse.Namespace) -> Performance:
    """Give the performance that the options describe."""
    from hf_model.performance import Performance

    return Performance(
        sound=arguments.sound,
        pedal=arguments.pedal,
        normalize=arguments.normalize == "on",
        reverb=arguments.reverb,
        mono=arguments.mono,
    )
