"""Types of options: numbers in a range, and times."""

from __future__ import annotations

import argparse
from collections.abc import Callable


def number(kind: type[int] | type[float], low: float, high: float) -> Callable[[str], float]:
    """Make an argparse type for numbers from ``low`` to ``high``."""

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


def clock(text: str) -> float:
    """Read a time: an argparse type."""
    from hf_model.audio.clock import parse_clock

    try:
        return parse_clock(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
