"""The request body that starts a job: the one accepted form, checked before Gradio reads it.

Gradio opens every path and address that it finds in a value of the form of its ``FileData``, before a job starts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from hf_model.app.jobs import Settings
from hf_model.app.limits import PageError

MAX_ROWS = 10_000
"""Most notes in a request; fewer, but more than can be rendered, are refused by the job with a helpful message."""

MAX_NUMBER = 1e6
MAX_TEXT = 40
"""Characters of a setting."""

_ID = re.compile(r"[0-9a-f]{32}")
_SETTINGS = {section: set(values) for section, values in asdict(Settings()).items()}


def check_job(body: bytes) -> bytes:
    """Check the body of a job and write it again, as the only input of Gradio.

    Parameters
    ----------
    body : bytes
        JSON: ``data`` (recording id, then start in seconds or notes, then settings), ``fn_index``, ``session_hash``.

    Returns
    -------
    bytes
        The same values as JSON.

    Raises
    ------
    PageError
        For any other content.
    """
    try:
        job = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        msg = "The request is not valid JSON."
        raise PageError(msg) from error
    _require(isinstance(job, dict) and job.keys() == {"data", "fn_index", "session_hash"}, "keys")
    data, function = job["data"], job["fn_index"]
    _require(_is_id(job["session_hash"]), "session_hash")
    _require(type(function) is int and 0 <= function < len(_INPUTS), "fn_index")
    _require(isinstance(data, list) and len(data) == 3, "data")
    recording, second, settings = data
    _require(_is_id(recording), "recording")
    name, accepts = _INPUTS[function]
    _require(accepts(second), name)
    _require(_is_settings(settings), "settings")
    return json.dumps(job, allow_nan=False).encode("ascii")


def _require(valid: bool, what: str) -> None:
    if not valid:
        msg = f"The request is not valid: {what}."
        raise PageError(msg)


def _refuse_constant(name: str) -> float:
    """Refuse NaN and infinity, which JSON does not have."""
    raise ValueError(name)


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def _is_number(value: Any) -> bool:
    return type(value) in {int, float} and abs(value) <= MAX_NUMBER


def _are_notes(value: Any) -> bool:
    """Whether a value is a list of [onset, offset, pitch, velocity, confidence]."""
    return (
        isinstance(value, list)
        and len(value) <= MAX_ROWS
        and all(isinstance(row, list) and len(row) == 5 and all(map(_is_number, row)) for row in value)
    )


def _is_settings(value: Any) -> bool:
    """Whether a value has only sections and fields of ``Settings``, with plain values, which the job checks."""
    return isinstance(value, dict) and all(
        section in _SETTINGS
        and isinstance(fields, dict)
        and fields.keys() <= _SETTINGS[section]
        and all(map(_is_plain, fields.values()))
        for section, fields in value.items()
    )


def _is_plain(value: Any) -> bool:
    is_text = isinstance(value, str) and len(value) <= MAX_TEXT and value.isprintable()
    return value is None or isinstance(value, bool) or is_text or _is_number(value)


_INPUTS: tuple[tuple[str, Callable[[Any], bool]], ...] = (("start", _is_number), ("notes", _are_notes))
"""The second value of each function of the queue."""
