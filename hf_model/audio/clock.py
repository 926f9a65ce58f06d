"""Times as people write them: 65, 1:05 or 0:01:05.5."""

from __future__ import annotations

import re

CLOCK = re.compile(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d*)?|\.\d+)")


def parse_clock(text: str) -> float:
    """Read a time in seconds, ``m:ss`` or ``h:mm:ss``, each with decimals if necessary.

    Returns
    -------
    float
        Seconds.

    Raises
    ------
    ValueError
        If the text is no such time.
    """
    found = CLOCK.fullmatch(text.strip())
    hours, minutes, seconds = found.groups() if found else (None, None, None)
    is_over = (minutes is not None and float(seconds or 0) >= 60) or (hours is not None and int(minutes or 0) >= 60)
    if seconds is None or is_over:
        msg = f"{text!r} is not a time, expected seconds (65), m:ss (1:05) or h:mm:ss"
        raise ValueError(msg)
    return 3600.0 * int(hours or 0) + 60.0 * int(minutes or 0) + float(seconds)


def format_clock(seconds: float) -> str:
    """Write a time as ``m:ss`` or ``h:mm:ss``, with the decimals that are needed (at most two)."""
    total = round(seconds, 2)
    minutes, rest = divmod(total, 60)
    hours, minutes = divmod(int(minutes), 60)
    shown = f"{rest:05.2f}".rstrip("0").rstrip(".")
    return f"{hours}:{minutes:02d}:{shown}" if hours else f"{minutes}:{shown}"
