"""Files of a rendering that are written when they are downloaded, because they take long: the score and the cover."""

from __future__ import annotations

from pathlib import Path

from hf_model.app.jobs import COVER, SCORE, gone_if_deleted
from hf_model.app.limits import Limits, PageError
from hf_model.app.page_json import as_sentence
from hf_model.app.sandbox import run_task
from hf_model.app.sessions import CHANGED, GONE, Session
from hf_model.app.stems import mix_cover
from hf_model.export.all_or_none import all_or_none
from hf_model.export.musicxml import MusicXMLError, to_musicxml
from hf_model.export.words import with_words
from hf_model.music.arrangement import Arranged

SLOW, CRASHED = "This melody takes too long to write as a score.", "This melody cannot be written as a score."


def write_cover_file(session: Session) -> None:
    """Write the cover of the last rendering.

    Raises
    ------
    PageError
        If nothing was rendered, or the recording was deleted.
    """
    if session.arranged is None or not session.stems:
        raise PageError(GONE)
    with gone_if_deleted(session), session.lock:
        path = session.folder / COVER
        if not path.exists():
            mix_cover(path, **session.stems)


def write_score_file(session: Session, limits: Limits) -> None:
    """Write the score of the last rendering, in a separate process.

    Raises
    ------
    PageError
        If nothing was rendered, the recording was deleted, it takes too long, or music21 is not installed.
    """
    path = session.folder / SCORE
    with session.lock:
        arranged, words, title = session.arranged, list(session.words), Path(session.title).stem
        state = session.version, words
        if arranged is None:
            raise PageError(GONE)
        if path.exists():
            return
    with gone_if_deleted(session), all_or_none({"musicxml": path}) as temporary:
        target, seconds = temporary["musicxml"], limits.score_seconds
        run_task(
            attempt_score,
            session.folder,
            target,
            limits,
            arranged,
            title,
            words,
            seconds=seconds,
            slow=SLOW,
            crashed=CRASHED,
        )
    with session.lock:
        if (session.version, session.words) != state:
            path.unlink(missing_ok=True)
            raise PageError(CHANGED)


def attempt_score(
    _source: Path, target: Path, _limits: Limits, arranged: Arranged, title: str, words: list[str]
) -> dict[str, object]:
    """Write a score with its words, and give nothing, or the error; runs in the separate process."""
    try:
        target.write_bytes(with_words(to_musicxml(arranged, title), arranged, words))
    except MusicXMLError as error:
        return {"error": as_sentence(str(error))}
    except OSError:
        return {"error": "The server has no room for this score."}
    return {}
