"""`hummingface identify`: which instruments sound in recordings."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_model import __version__
from hf_model.audio.clock import format_clock
from hf_model.audio.recording import read_recording
from hf_model.cli.messages import FAILED, OK, print_message
from hf_model.config import ConfigError

if TYPE_CHECKING:
    from hf_model.instruments.identifier import Span

MIN_SHOWN = 0.1
"""Probability from which a further instrument is named."""


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
        ``input``, and either ``error``, or ``duration``, ``instruments`` and perhaps ``timeline``; times in seconds.
    """
    try:
        return {"input": str(path), **_identified(path, timeline=timeline, top=top)}
    except OSError as error:
        return {"input": str(path), "error": f"{path}: {error.strerror.lower() if error.strerror else error}"}
    except (ConfigError, ValueError) as error:
        text = str(error)
        return {"input": str(path), "error": text if text.startswith(str(path)) else f"{path}: {text}"}


def _identified(path: Path, *, timeline: bool, top: int) -> dict[str, Any]:
    from hf_model.instruments.identifier import default_identifier, summarize

    recording = read_recording(path)
    spans = default_identifier().timeline(recording.voice)
    found = {"duration": round(recording.duration, 3), "instruments": _named(summarize(spans), top)}
    if timeline:
        found["timeline"] = [
            {"start": round(span.start, 2), "end": round(span.end, 2), "instruments": _named(span, top)}
            for span in spans
        ]
    return found


def _named(span: Span, top: int) -> dict[str, float]:
    """Give the most probable instruments: always one if something sounds, further ones from ``MIN_SHOWN``."""
    items = list(span.probabilities.items())[:top]
    return {name: round(chance, 3) for index, (name, chance) in enumerate(items) if not index or chance >= MIN_SHOWN}


def as_text(found: dict[str, Any]) -> str:
    """Describe the result of one recording in lines."""
    lines = [f"{found['input']}: {_described(found['instruments'])}"]
    lines += [
        f"  {format_clock(part['start'])}-{format_clock(part['end'])}  {_described(part['instruments'])}"
        for part in found.get("timeline", [])
    ]
    return "\n".join(lines)


def _described(instruments: dict[str, float]) -> str:
    if not instruments:
        return "silence"
    return ", ".join(f"{name} {min(99.0, 100 * chance):.0f} %" for name, chance in instruments.items())


def as_json(found: Sequence[dict[str, Any]]) -> str:
    """Give all results as one JSON document."""
    return json.dumps({"version": __version__, "files": list(found)}, indent=2)


def run(arguments: argparse.Namespace) -> int:
    """Run the command, and return its exit code."""
    from hf_model.cli.jobs import find_inputs

    found = []
    for job in find_inputs(arguments.inputs, with_outputs=True):
        if job.problem:
            result: dict[str, Any] = {"input": str(job.source), "error": job.problem}
        else:
            result = identify_file(job.source, timeline=arguments.timeline, top=arguments.top)
        found.append(result)
        if "error" in result:
            print_message(result["error"])
        elif not arguments.json:
            print(as_text(result), flush=True)
    if arguments.json:
        print(as_json(found))
    return FAILED if any("error" in result for result in found) else OK
