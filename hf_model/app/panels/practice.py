"""A recording beside a score that the user chose: the file is read in a separate process, like an upload."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hf_model.app.jobs import Progress
from hf_model.app.limits import Limits, PageError
from hf_model.app.page_json import as_sentence, read_notes
from hf_model.app.sandbox import run_task
from hf_model.app.sessions import GONE, Session, Sessions
from hf_model.config import ConfigError
from hf_model.lyrics.melody_file import read_melody_file
from hf_model.notes.note import Note
from hf_model.practice.comparison import compare
from hf_model.practice.matching import MAX_NOTES, PracticeError
from hf_model.practice.report import as_mapping

SCORE = "practice"
"""Name of the score in a recording's folder, with an ending that its content decides."""

ENDINGS = (".mxl", ".musicxml", ".mid")
"""Of compressed and plain MusicXML, and of MIDI and tables, which are told apart where they are read."""

NO_SCORE = "Choose a score first: MIDI, MusicXML or a table of notes (CSV)."
EMPTY = "This score has no notes."


def store_score(session: Session, sessions: Sessions, data: bytes) -> None:
    """Keep a score for the job that compares it; the last one only.

    Raises
    ------
    PageError
        If it is empty, there is no space, or the recording was deleted.
    """
    if not data:
        raise PageError(EMPTY)
    if data[:4] == b"PK\3\4":
        ending = ".mxl"
    else:
        ending = ".musicxml" if data[:200].lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n\0").startswith(b"<") else ".mid"
    sessions.add_bytes(session, len(data))
    try:
        for other in ENDINGS:
            (session.folder / f"{SCORE}{other}").unlink(missing_ok=True)
        (session.folder / f"{SCORE}{ending}").write_bytes(data)
    except OSError as error:
        raise PageError(GONE) from error


def practice(session: Session, notes: Any, limits: Limits, progress: Progress) -> dict[str, Any]:
    """Compare notes with the score that was stored.

    Parameters
    ----------
    notes : list of [onset, offset, pitch, velocity, confidence]
        As transcribed, or as edited by the user.

    Returns
    -------
    dict
        For JSON: see :func:`hf_model.practice.report.as_mapping`.

    Raises
    ------
    PageError
        If there is no score, it cannot be read, or the recording is of another song.
    """
    if session.part is None:
        raise PageError(GONE)
    sung = read_notes(notes, session.part.duration, limits)
    paths = [path for ending in ENDINGS if (path := session.folder / f"{SCORE}{ending}").is_file()]
    if not paths:
        raise PageError(NO_SCORE)
    progress(0.1, "Reading the score")
    rows = run_task(attempt_score, paths[0], session.folder / "practice.out", limits)["notes"]
    progress(0.6, "Comparing")
    try:
        return as_mapping(compare(sung, [Note(*row) for row in rows]))
    except PracticeError as error:
        raise PageError(as_sentence(str(error))) from error


def attempt_score(source: Path, _target: Path, _limits: Limits) -> dict[str, object]:
    """Read a score, and give its notes, or the error; runs in the separate process."""
    try:
        notes = read_melody_file(source).notes
    except (ConfigError, ValueError, OSError) as error:
        reason = str(error).replace(str(source), "").lstrip(":, ") or "it is not readable"
        return {"error": f"This score cannot be used: {reason[:200].rstrip('.')}."}
    except MemoryError:
        return {"error": "This score needs too much memory to read."}
    if not notes:
        return {"error": EMPTY}
    if len(notes) > MAX_NOTES:
        return {"error": f"This score has {len(notes)} notes in its melody; at most {MAX_NOTES} are compared."}
    return {"notes": [[note.onset, note.offset, note.pitch] for note in notes]}
