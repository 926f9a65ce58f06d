"""Options of the arrangement, and the presets."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from hf_model.cli.options.argument_types import number

if TYPE_CHECKING:
    from hf_model.music.arrangement import Arrangement

# Repeated from hf_model.music, which would import NumPy; tests compare them.
QUANTIZE = ("off", "1/4", "1/8", "1/16", "1/8t", "1/16t")
SWINGS = ("keep", "straighten")
KEYS = ("meant", "sung")
ENSEMBLES = ("piano", "band")
STYLES = ("plain", "waltz", "ballad", "arpeggio", "swing", "staccato")
METERS = ("2/4", "3/4", "4/4", "6/8", "9/8", "12/8")
SLOWEST, FASTEST, MIN_NOTE = 30, 300, 0.05

PRESETS: dict[str, dict[str, Any]] = {
    "performer": {},
    "score": {"simplify": 1, "quantize": "1/16", "min_note": 0.08, "legato": True},
    "beginner": {"simplify": 3, "quantize": "1/8", "snap_key": True, "min_note": 0.1, "legato": True},
}
"""Settings of each preset; other options override them."""

PRESET_HELP = (
    "performer: as sung (default); score: quantized to 1/16, legato, without ornaments; "
    "beginner: quantized to 1/8, legato, in key, simplified for one hand; other options override the preset"
)


def add_arrangement_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of :class:`hf_model.music.arrangement.Arrangement`; those not given are not in the namespace."""
    parser.set_defaults(preset="performer")
    parser.add_argument("--preset", choices=tuple(PRESETS), help=PRESET_HELP)

    add = _group(parser, "notes")
    add("--min-note", type=number(float, 0, 10), metavar="SECONDS", help=f"leave out shorter notes ({MIN_NOTE})")
    add("--min-confidence", type=number(float, 0, 1), metavar="0-1", help="leave out notes with less confidence (0)")
    add("--simplify", type=int, choices=range(4), help="1: no ornaments; 2: eighths; 3: five-finger position (0: off)")
    add("--agree-repeats", action="store_true", help="correct the notes of repeated phrases by majority vote")
    accompany_help = (
        "add chords in the left hand (piano, also without a word), or bass, drums, chords and a second voice"
    )
    add("--accompany", dest="ensemble", nargs="?", const=ENSEMBLES[0], choices=ENSEMBLES, help=accompany_help)
    add("--style", choices=STYLES, help="what the left hand plays, or the band's chords; adds a left hand (plain)")

    add = _group(parser, "rhythm")
    add("--tempo", type=number(float, SLOWEST, FASTEST), metavar="BPM", help="tempo in bpm (estimated)")
    add("--meter", choices=METERS, help="time signature (estimated)")
    add("--downbeat", type=number(float, 0, 36000), metavar="SECONDS", help="time at which a bar begins (estimated)")
    add("--pickup", type=number(float, 0, 12), metavar="BEATS", help="beats before the first bar line (estimated)")
    add("--quantize", choices=QUANTIZE, help="snap notes to a grid; t: triplets (off)")
    add("--strength", type=number(float, 0, 1), metavar="0-1", help="quantize strength; 1 is exactly on the grid (1)")
    add("--swing", choices=SWINGS, help="swung eighths when quantizing: keep or straighten (keep)")
    add("--legato", action="store_true", help="extend each note to the next one if the gap is short")

    add = _group(parser, "pitch")
    add("--transpose", type=number(int, -48, 48), metavar="SEMITONES", help="12 is an octave up (0)")
    cents = number(float, -100, 100)
    add("--tuning", type=cents, metavar="CENTS", help="tuning of the voice relative to A = 440 Hz (estimated)")
    keys_help = "piano keys: meant, also if the singer is out of tune or sinks; or sung, those nearest (meant)"
    add("--keys", choices=KEYS, help=keys_help)
    add("--key", metavar="KEY", help="key of the singing, such as 'A minor' (estimated)")
    add("--snap-key", action="store_true", help="move notes outside the key into it, by at most half a semitone")


def _group(parser: argparse.ArgumentParser, title: str) -> Callable[..., argparse.Action]:
    group = parser.add_argument_group(title)

    def add(name: str, **settings: Any) -> argparse.Action:
        return group.add_argument(name, default=argparse.SUPPRESS, **settings)

    return add


def with_ensemble(arguments: Sequence[str]) -> list[str]:
    """Write out what ``--accompany`` alone means: argparse would take the file after it for its value."""
    found: list[str] = []
    for place, word in enumerate(arguments):
        if word == "--":
            return [*found, *arguments[place:]]
        is_alone = word == "--accompany" and (*arguments, "")[place + 1] not in ENSEMBLES
        found.append(f"--accompany={ENSEMBLES[0]}" if is_alone else word)
    return found


def arrangement_from(arguments: argparse.Namespace) -> Arrangement:
    """Make the arrangement of a command line: options override the preset, which overrides the defaults.

    Raises
    ------
    ConfigError
        For a key that does not exist.
    """
    from hf_model.music.arrangement import Arrangement

    given = {field.name: getattr(arguments, field.name) for field in fields(Arrangement) if field.name in arguments}
    if {"style", "ensemble"} & set(given):
        given["accompany"] = True
    return Arrangement(**(PRESETS[arguments.preset] | given))
