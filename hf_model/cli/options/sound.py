"""Options of the sound."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from hf_model.cli.options.argument_types import number

if TYPE_CHECKING:
    from hf_model.piano.performance import Performance

# Repeated from hf_model.piano, which would import NumPy; a test compares them.
SOUNDS = ("sampled", "concert", "neural", "reference", "voice")


def add_sound_options(parser: argparse.ArgumentParser) -> None:
    """Add the options for :func:`performance_from`, and ``--sound-font``."""
    add = parser.add_argument_group("sound").add_argument
    sound_help = (
        "sampled: a grand piano (default); concert: a larger one, a Yamaha C5; neural: a network; "
        "reference: FluidSynth, for comparison; voice: a synthetic voice sings la (needs hummingface[lyrics]); "
        "neural and voice have one channel"
    )
    add("--sound", choices=SOUNDS, default="sampled", help=sound_help)
    add("--sound-font", type=Path, metavar="PATH", help="another sound font for --sound reference")
    add("--pedal", action="store_true", help="add sustain pedal in legato phrases")
    reverb_help = "amount of reverb (%(default)g); 0.3 sounds like a room"
    add("--reverb", type=number(float, 0, 1), default=0.0, metavar="0-1", help=reverb_help)
    normalize_help = "on (default): -16 LUFS, true peak below -1 dB; off: the original level of the piano"
    add("--normalize", choices=("on", "off"), default="on", help=normalize_help)
    add("--mono", action="store_true", help="one channel instead of two")


def performance_from(arguments: argparse.Namespace) -> Performance:
    """Make the performance of a command line."""
    from hf_model.piano.performance import Performance

    return Performance(
        sound=arguments.sound,
        pedal=arguments.pedal,
        normalize=arguments.normalize == "on",
        reverb=arguments.reverb,
        mono=arguments.mono,
    )
