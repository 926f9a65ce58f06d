"""Options of a command line that change nothing beside others."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from hf_model.cli.options.arrangement import PRESETS


def ignored_options(arguments: argparse.Namespace, given: Sequence[str]) -> list[str]:
    """List the options of a command line that change nothing, each with the reason.

    Parameters
    ----------
    arguments : argparse.Namespace
    given : sequence of str
        The words of the command line.
    """
    words = {word.split("=")[0] for word in given if word.startswith("--")}

    def value(name: str) -> Any:
        return getattr(arguments, name, None)

    preset = PRESETS.get(value("preset") or "performer", {})
    is_song = value("source") in {None, "auto", "song"}
    reasons = {
        "without --quantize": ("quantize" in arguments or "quantize" in preset, ("--strength", "--swing")),
        "without --sound reference": (value("sound") == "reference", ("--sound-font",)),
        "with --no-audio": (not value("no_audio"), ("--sound", "--reverb", "--normalize", "--mono")),
        f"with --source {value('source')}": (is_song, ("--separator",)),
        "without --midi-out": (value("midi_out"), ("--transpose", "--bend") if "midi_out" in arguments else ()),
        "without --record": (value("record"), ("--overwrite",) if "record" in arguments else ()),
        "without --input FILE": (value("input"), ("--fast",)),
    }
    return [
        f"{option} has no effect {reason}"
        for reason, (has_effect, options) in reasons.items()
        for option in options
        if option in words and not has_effect
    ]
