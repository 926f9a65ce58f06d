"""The request body that starts a job: exactly one form is accepted."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from hf_model.app.limits import PageError
from hf_model.app.page_json import Settings
from hf_model.inference import SOURCES
from hf_model.lyrics.pronunciation import LANGUAGES
from hf_model.lyrics.voices import PRESETS
from hf_model.notes.note import HIGHEST_KEY, LOWEST_KEY

MAX_ROWS = 10_000
"""Most notes in a request; fewer, but more than can be rendered, are refused by the job with a helpful message."""

MAX_NUMBER = 1e6
MAX_TEXT = 40
"""Characters of a setting."""

MAX_LYRICS = 10_000
"""Characters of the words of a song."""

MAX_TITLE = 255
"""Characters of a file's name."""

_ID = re.compile(r"[0-9a-f]{32}")
_SETTINGS = {section: set(values) for section, values in asdict(Settings()).items()}


@dataclass(frozen=True)
class JobRequest:
    """One job, as the page asks for it.

    Attributes
    ----------
    kind : str
        "open", "convert", "render", "practice" or "sing".
    recording : str
        Id of the recording.
    start, end : float
        Seconds into the recording: the part to convert. The end None is as late as possible.
    source : str
        What is converted, one of :data:`hf_model.inference.SOURCES`.
    notes : list of [onset, offset, pitch, velocity, confidence]
        To render, or to compare with a score.
    title : str
        Name of the recording's file.
    lyrics, voice, language : str
        Words to sing, who sings them, and how they are pronounced.
    keys : list of int or None
        Piano keys of the notes that are known, in their order; empty if none is.
    settings : dict
        Sections and fields of :class:`hf_model.app.page_json.Settings`, whose values the job checks.
    """

    kind: str
    recording: str
    start: float = 0.0
    end: float | None = None
    source: str = "auto"
    title: str = ""
    lyrics: str = ""
    voice: str = "alto"
    language: str = "en"
    notes: list[list[float]] = field(default_factory=list)
    keys: list[int | None] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)


def check_job(body: bytes) -> JobRequest:
    """Read the body of a request that starts a job.

    Parameters
    ----------
    body : bytes
        JSON: an object of ``job`` and the keys of that job in ``JOBS``.

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
    _require(isinstance(job, dict), "object")
    kind = job.pop("job", None)
    _require(isinstance(kind, str) and kind in JOBS, "job")
    accepted = JOBS[kind]
    _require(accepted.keys() - OPTIONAL <= job.keys() <= accepted.keys(), "keys")
    for name, value in job.items():
        _require(accepted[name](value), name)
    return JobRequest(kind, **job)


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


def _are_keys(value: Any) -> bool:
    """Whether a value is a list of piano keys, null where none is known."""
    return (
        isinstance(value, list)
        and len(value) <= MAX_ROWS
        and all(key is None or (type(key) is int and LOWEST_KEY <= key <= HIGHEST_KEY) for key in value)
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


def _is_source(value: Any) -> bool:
    return isinstance(value, str) and value in SOURCES


def _is_lyrics(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_LYRICS


def _is_voice(value: Any) -> bool:
    return isinstance(value, str) and value in PRESETS


def _is_language(value: Any) -> bool:
    return isinstance(value, str) and value in LANGUAGES


def _is_title(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= MAX_TITLE


JOBS: dict[str, dict[str, Callable[[Any], bool]]] = {
    "open": {"recording": _is_id},
    "convert": {
        "recording": _is_id,
        "start": _is_number,
        "end": _is_number,
        "source": _is_source,
        "title": _is_title,
        "settings": _is_settings,
    },
    "render": {"recording": _is_id, "notes": _are_notes, "keys": _are_keys, "settings": _is_settings},
    "practice": {"recording": _is_id, "notes": _are_notes},
    "sing": {"recording": _is_id, "lyrics": _is_lyrics, "voice": _is_voice, "language": _is_language},
}
"""The keys of the request for each kind of job, and what checks their values."""

OPTIONAL = {"end", "source", "keys", "title"}
"""Keys that may be missing."""
