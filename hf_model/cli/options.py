"""The musical rules as options of the command line, and presets of them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hf_model.piano.performance import Performance

from collections.abc import Callable
from dataclasses import fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hf_model.music.arrangement import Arrangement

QUANTIZE = ("off", "1/4", "1/8", "1/16", "1/8t", "1/16t")
SWINGS = ("keep", "straighten")
METERS = ("2/4", "3/4", "4/4", "6/8")
SLOWEST, FASTEST, MIN_NOTE = 30, 300, 0.05
"""As in :mod:`hf_model.music.arrangement`, which would bring NumPy along; a test compares them."""

PRESETS: dict[str, dict[str, Any]] = {
    "performer": {},
    "score": {"simplify": 1, "quantize": "1/16", "min_note": 0.08, "legato": True},
    "beginner": {"simplify": 3, "quantize": "1/8", "snap_key": True, "min_note": 0.1, "legato": True},
}
"""What each preset sets; an option given beside it wins."""

PRESET_HELP = "performer: as it was sung (the default); score: in time, for reading; beginner: simple, for one hand"


def add_arrangement_options(parser: argparse.ArgumentParser) -> None:
    """Add the options, in groups; what is not given is absent from the namespace."""
    parser.set_defaults(preset="performer")
    parser.add_argument("--preset", choices=tuple(PRESETS), help=PRESET_HELP)

    add = _adder(parser, "which notes")
    add("--min-note", type=number(float, 0, 10), metavar="SECONDS", help=f"leave out shorter notes ({MIN_NOTE})")
    add("--min-confidence", type=number(float, 0, 1), metavar="0-1", help="leave out less certain notes (0)")
    add("--simplify", type=int, choices=range(4), help="1 without ornaments, 2 eighths, 3 for a beginner's hand (0)")
    add("--agree-repeats", action="store_true", help="let the repetitions of a phrase correct each other")

    add = _adder(parser, "in time")
    add("--quantize", choices=QUANTIZE, help="put notes on a grid; t are triplets (off)")
    add("--strength", type=number(float, 0, 1), metavar="0-1", help="how far towards the grid (1)")
    add("--swing", choices=SWINGS, help="what becomes of swung eighths on the grid (keep)")
    add("--tempo", type=number(float, SLOWEST, FASTEST), metavar="BPM", help="beats a minute, if you know (estimated)")
    add("--meter", choices=METERS, help="time signature, if you know (estimated)")
    add("--legato", action="store_true", help="hold each note to the next where the gap is short")

    add = _adder(parser, "in tune")
    add("--transpose", type=number(int, -48, 48), metavar="SEMITONES", help="12 is an octave up (0)")
    add(
        "--tuning",
        type=number(float, -100, 100),
        metavar="CENTS",
        help="the singer's offset from A = 440 Hz (estimated)",
    )
    add("--key", metavar="KEY", help="as sung, 'A minor', if you know (estimated)")
    add("--snap-key", action="store_true", help="move stray notes into the key, by half a semitone at most")
    add("--accompany", action="store_true", help="add chords for the left hand")


def arrangement_from(arguments: argparse.Namespace) -> Arrangement:
    """Make the arrangement that a command line asks for: its options, over its preset, over the defaults.

    Raises
    ------
    ConfigError
        For a key that is none.
    """
    from hf_model.music.arrangement import Arrangement

    given = {field.name: getattr(arguments, field.name) for field in fields(Arrangement) if field.name in arguments}
    return Arrangement(**(PRESETS[arguments.preset] | given))


def _adder(parser: argparse.ArgumentParser, title: str) -> Callable[..., argparse.Action]:
    group = parser.add_argument_group(title)

    def add(name: str, **settings: Any) -> argparse.Action:
        return group.add_argument(name, default=argparse.SUPPRESS, **settings)

    return add


def number(kind: type[int] | type[float], low: float, high: float) -> Callable[[str], float]:
    """Make a parser for a number from ``low`` to ``high``."""

    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not low <= value <= high:
            what = "a whole number" if kind is int else "a number"
            msg = f"{text!r} is not allowed, expected {what} from {low:g} to {high:g}"
            raise argparse.ArgumentTypeError(msg)
        return value

    return parse


SOUNDS = ("sampled", "neural", "reference")
"""As :data:`hf_model.piano.performance.SOUNDS`, which would bring NumPy along; a test compares them."""


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
    from hf_model.piano.performance import Performance

    return Performance(
        sound=arguments.sound,
        pedal=arguments.pedal,
        normalize=arguments.normalize == "on",
        reverb=arguments.reverb,
        mono=arguments.mono,
    )
