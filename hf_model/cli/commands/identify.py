"""`hummingface identify`: which instruments sound in recordings."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

from hf_model.audio.clock import format_clock
from hf_model.audio.recording import read_recording
from hf_model.cli.inspection import inspect_files, list_probabilities, most_probable


def identify_file(path: Path, *, timeline: bool, top: int) -> dict[str, Any]:
    """Identify the instruments of a recording.

    Parameters
    ----------
    path : Path
    timeline : bool
        Also what sounds over time.
    top : int
        Number of instruments named.

    Returns
    -------
    dict
        ``duration``, ``instruments`` and perhaps ``timeline``; times in seconds.

    Raises
    ------
    OSError, ConfigError
        If the recording cannot be read, or is too short.
    """
    from hf_model.instruments.identifier import default_identifier, summarize

    recording = read_recording(path)
    spans = default_identifier().timeline(recording.voice)
    instruments = most_probable(summarize(spans).probabilities, top)
    found: dict[str, Any] = {"duration": round(recording.duration, 3), "instruments": instruments}
    if timeline:
        found["timeline"] = [
            {
                "start": round(span.start, 2),
                "end": round(span.end, 2),
                "instruments": most_probable(span.probabilities, top),
            }
            for span in spans
        ]
    return found


def as_text(found: dict[str, Any]) -> str:
    """Describe the result of one recording in lines."""
    lines = [f"{found['input']}: {_described(found['instruments'])}"]
    lines += [
        f"  {format_clock(part['start'])}-{format_clock(part['end'])}  {_described(part['instruments'])}"
        for part in found.get("timeline", [])
    ]
    return "\n".join(lines)


def _described(instruments: dict[str, float]) -> str:
    return list_probabilities(instruments) or "silence"


def run(arguments: argparse.Namespace) -> int:
    """Run the command, and return its exit code."""
    identify = partial(identify_file, timeline=arguments.timeline, top=arguments.top)
    return inspect_files(arguments.inputs, identify, as_text, as_json=arguments.json)
