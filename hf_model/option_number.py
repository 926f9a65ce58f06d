"""Numbers on the command line: what is outside a range is refused with a sentence."""

from __future__ import annotations

import argparse
from collections.abc import Callable


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
