"""What the commands share that say something about recordings and write no files: identify and analyse."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hf_model import __version__
from hf_model.cli.messages import FAILED, OK, describe_error, print_message

MIN_SHOWN = 0.1
"""Probability from which a further class is named."""

Result = dict[str, Any]


def inspect_files(
    inputs: Sequence[str], inspect: Callable[[Path], Result], describe: Callable[[Result], str], *, as_json: bool
) -> int:
    """Inspect recordings one after another, print the results, and return the exit code.

    Parameters
    ----------
    inputs : sequence of str
        Files, folders and globs.
    inspect : callable
        Gets a file and gives its result; raises OSError or ValueError.
    describe : callable
        Gives the text of a result, whose ``input`` is the file.
    as_json : bool
        Print one JSON document at the end instead of texts.
    """
    from hf_model.cli.jobs import find_inputs

    found = []
    for job in find_inputs(inputs, with_outputs=True):
        result: Result = {"input": str(job.source)}
        try:
            result |= {"error": job.problem} if job.problem else inspect(job.source)
        except (OSError, ValueError) as error:
            result["error"] = describe_error(error, job.source)
        found.append(result)
        if "error" in result:
            print_message(result["error"])
        elif not as_json:
            print(describe(result), flush=True)
    if as_json:
        print(json.dumps({"version": __version__, "files": found}, indent=2))
    return FAILED if any("error" in result for result in found) else OK


def most_probable(probabilities: Mapping[str, float], most: int) -> dict[str, float]:
    """Give the first of sorted probabilities: always one if there is any, further ones from ``MIN_SHOWN``."""
    items = list(probabilities.items())[:most]
    return {name: round(value, 3) for index, (name, value) in enumerate(items) if not index or value >= MIN_SHOWN}


def list_probabilities(probabilities: Mapping[str, float]) -> str:
    """Write probabilities in a line."""
    return ", ".join(f"{name} {percent(value)}" for name, value in probabilities.items())


def percent(share: float) -> str:
    """Write a probability, never as 100 %."""
    return f"{min(99.0, 100 * share):.0f} %"
