"""Words of the user, sung on the melody of the last rendering by a synthetic voice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hf_model.app.jobs import SCORE, SUNG, Progress
from hf_model.app.limits import PageError
from hf_model.app.page_json import as_sentence
from hf_model.app.sessions import CHANGED, GONE, Session
from hf_model.audio.grid import PIANO_SAMPLE_RATE, resampled_length
from hf_model.audio.io import write_wav_blocks
from hf_model.config import ConfigError
from hf_model.export.all_or_none import DiskError, all_or_none

if TYPE_CHECKING:
    from hf_model.lyrics.singing import SungMelody

MISSING = "Singing words needs {name}, which is not installed on the server: pip install 'hummingface[lyrics]'."


def sing(session: Session, lyrics: str, voice: str, language: str, progress: Progress) -> dict[str, Any]:
    """Sing words on the melody of the last rendering, and write them as ``SUNG``.

    Returns
    -------
    dict
        For JSON: "version" of the rendering, "words" of its notes, and "warnings".

    Raises
    ------
    PageError
        If there are no words, what is needed is not installed, or the recording was deleted.
    """
    part, arranged, version = session.part, session.arranged, session.version
    if part is None or arranged is None:
        raise PageError(GONE)
    progress(0.1, "Singing the words")
    n_samples = resampled_length(part.n_samples, part.sample_rate, PIANO_SAMPLE_RATE)
    try:
        from hf_model.lyrics.singing import sing_lyrics

        sung = sing_lyrics(arranged.piano_notes, lyrics, n_samples, voice=voice, language=language)
    except ModuleNotFoundError as error:
        raise PageError(MISSING.format(name=error.name)) from error
    except (ConfigError, ValueError) as error:
        raise PageError(as_sentence(str(error))) from error
    progress(0.9, "Writing the audio")
    with session.lock:
        if session.version != version:
            raise PageError(CHANGED)
        try:
            with all_or_none({"wav": session.folder / SUNG}) as temporary:
                write_wav_blocks(temporary["wav"], [sung.audio[None]], PIANO_SAMPLE_RATE, n_samples)
        except DiskError as error:
            if session.folder.is_dir():
                raise
            raise PageError(GONE) from error
        (session.folder / SCORE).unlink(missing_ok=True)  # it has the words before
        session.words = _words_of(sung, [note.onset for note in arranged.piano_notes])
    return {"version": version, "words": session.words, "warnings": [as_sentence(text) for text in sung.warnings]}


def _words_of(sung: SungMelody, onsets: list[float]) -> list[str]:
    """Give the syllable of each note of the piano; "_" where none begins."""
    syllables = {note.onset: text for note, text in zip(sung.notes, sung.syllables, strict=False)}
    return [syllables.get(onset, "_") for onset in onsets]
