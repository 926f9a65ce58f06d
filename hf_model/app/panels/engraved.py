"""The engraved score of the last rendering, for the page: pictures, and when each note of them sounds."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

from hf_model.app.limits import PageError
from hf_model.app.sessions import GONE, Session
from hf_model.export.musicxml import MusicXMLError
from hf_model.export.screen_score import engrave_for_screen

FILE = "engraved.json"

NARROWEST, WIDEST, STEP = 240, 1600, 20
"""Pixels: widths are rounded to steps, so that a window that changes its size a little keeps its score."""

_engraving = threading.Lock()
"""Held while a score is engraved: one at a time, of all users."""


def engraved_score(session: Session, width: int) -> dict[str, Any]:
    """Engrave the score of the last rendering, as wide as asked.

    Returns
    -------
    dict
        For JSON: "version"; and "pictures", SVG texts, and "notes", rows of [id, onset, offset, key]; or "missing",
        what is to be installed.

    Raises
    ------
    PageError
        If nothing was rendered, or the recording was deleted.
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
        try:
            with _engraving:
                score = engrave_for_screen(arranged, Path(session.title).stem, width, words)
        except MusicXMLError as error:
            return {"version": version, "missing": str(error)}
        notes = [[note.id, round(note.onset, 3), round(note.offset, 3), note.key] for note in score.notes]
        found = {"asked": asked, "version": version, "pictures": score.pictures, "notes": notes}
        try:
            path.write_text(json.dumps(found), encoding="utf-8")
        except OSError as error:
            raise PageError(GONE) from error
        return found


def _read(path: Path) -> dict[str, Any]:
    """Read the last score, or nothing."""
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found
