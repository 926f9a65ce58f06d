"""The engraved score of the last rendering, for the page: pictures, and when each note of them sounds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hf_model.app.limits import Limits, PageError
from hf_model.app.sandbox import run_task
from hf_model.app.sessions import GONE, Session
from hf_model.export.musicxml import MusicXMLError
from hf_model.export.screen_score import engrave_for_screen
from hf_model.music.arrangement import Arranged

FILE = "engraved.json"

NARROWEST, WIDEST, STEP = 240, 1600, 20
"""Pixels: widths are rounded to steps, so that a window that changes its size a little keeps its score."""

SLOW, CRASHED = "This melody takes too long to draw as a score.", "This melody cannot be drawn as a score."


def engraved_score(session: Session, width: int, limits: Limits) -> dict[str, Any]:
    """Engrave the score of the last rendering, as wide as asked, in a separate process.

    Returns
    -------
    dict
        For JSON: "version"; and "pictures", SVG texts, and "notes", rows of [id, onset, offset, key]; or "missing",
        what is to be installed.

    Raises
    ------
    PageError
        If nothing was rendered, the recording was deleted, or the score takes too long.
    """
    width = min(WIDEST, max(NARROWEST, width // STEP * STEP))
    path = session.folder / FILE
    with session.lock:
        arranged, version, words = session.arranged, session.version, list(session.words)
        if arranged is None:
            raise PageError(GONE)
        asked = [version, width, words]
        known = _read(path)
    if known.get("asked") == asked:
        return known
    values = arranged, Path(session.title).stem, width, words
    seconds = limits.score_seconds
    drawn = run_task(
        attempt_engraving, session.folder, path, limits, *values, seconds=seconds, slow=SLOW, crashed=CRASHED
    )
    found = {"asked": asked, "version": version, **drawn}
    if "missing" not in drawn:
        try:
            path.write_text(json.dumps(found), encoding="utf-8")
        except OSError as error:
            raise PageError(GONE) from error
    return found


def attempt_engraving(
    _source: Path, _target: Path, _limits: Limits, arranged: Arranged, title: str, width: int, words: list[str]
) -> dict[str, object]:
    """Engrave a score, and give its pictures and notes, or what is missing; runs in the separate process."""
    try:
        score = engrave_for_screen(arranged, title, width, words)
    except MusicXMLError as error:
        return {"missing": str(error)}
    notes = [[note.id, round(note.onset, 3), round(note.offset, 3), note.key] for note in score.notes]
    return {"pictures": score.pictures, "notes": notes}


def _read(path: Path) -> dict[str, Any]:
    """Read the last score, or nothing."""
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found
