"""The models that the program uses: transcribers, separator and pianos, loaded on first use and cached."""

from __future__ import annotations

import copy
import functools
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hf_model.config import ConfigError, check_choice
from hf_model.hub import model_folder
from hf_model.notes.note import Note
from hf_model.piano.performance import SOUNDS
from hf_model.piano.rendering import Renderer
from hf_model.piano.sampled import SampledPiano
from hf_model.weights import WEIGHTS

if TYPE_CHECKING:
    from hf_model.separator.choice import SeparatorLike

SONG_TRANSCRIBERS = ("transcriber_songs", "transcriber_made")
"""Folders of the transcriber for voices that were separated from a song: the first one that exists."""


class TranscriberLike(Protocol):
    """The part of a transcriber's interface that is used here."""

    def transcribe(self, audio: NDArray[np.float32], /) -> list[Note]:
        """Transcribe audio (sample,) at 16 kHz into sorted notes."""
        ...


class Models:
    """Transcribers, separator and piano renderers, loaded on first use and cached.

    Parameters
    ----------
    folder : path or str, optional
        A transcriber's folder, or one with the subfolder ``transcriber`` and optionally ``transcriber_songs``,
        ``separator`` and ``synthesizer``. Its transcriber is used for songs too, unless there is one for songs; for the
        others the default is what ships. Or ``owner/name`` on the Hugging Face Hub, downloaded on first use.
    sound_font : path, optional
        For the sound "reference"; by default the one that the piano samples were made from.
    transcriber, song_transcriber, renderers : optional
        Used instead of loading; a given ``transcriber`` is used for songs too.
    separator : str, path or SeparatorLike, optional
        The separator, or what :func:`hf_model.separator.choice.load_separator` takes.
    """

    def __init__(
        self,
        folder: Path | str | None = None,
        *,
        sound_font: Path | str | None = None,
        transcriber: TranscriberLike | None = None,
        song_transcriber: TranscriberLike | None = None,
        renderers: Mapping[str, Renderer] | None = None,
        separator: SeparatorLike | Path | str | None = None,
    ) -> None:
        self._source = folder
        self.sound_font = sound_font
        self._separator = separator
        self._lock = threading.RLock()  # several files may be converted at a time
        given = {"transcriber": transcriber, "song_transcriber": song_transcriber or transcriber}
        self._cache: dict[str, Any] = {name: model for name, model in given.items() if model is not None}
        self._cache |= {_sound_key(sound): renderer for sound, renderer in (renderers or {}).items()}

    def with_separator(self, separator: SeparatorLike | Path | str) -> Models:
        """Return the same models with another separator; what is loaded is shared."""
        models = copy.copy(self)
        models._separator = separator
        return models

    def with_transcriber(self, transcriber: TranscriberLike) -> Models:
        """Return the same models with another transcriber of lone voices; what is loaded is shared."""
        models = copy.copy(self)
        models._cache = self._cache | {"transcriber": transcriber}
        return models

    @functools.cached_property
    def folder(self) -> Path:
        """The folder of the models, downloaded if necessary."""
        return WEIGHTS if self._source is None else model_folder(self._source)

    @property
    def transcriber(self) -> TranscriberLike:
        """The transcriber of lone voices.

        Raises
        ------
        FileNotFoundError
            If the folder has none.
        """
        transcriber: TranscriberLike = self._cached("transcriber", lambda: _load_transcriber(self._transcriber_folder))
        return transcriber

    @property
    def song_transcriber(self) -> TranscriberLike:
        """The transcriber of voices that were separated from songs.

        Raises
        ------
        FileNotFoundError
            If the folder has none.
        """
        names = SONG_TRANSCRIBERS if self.folder == WEIGHTS else SONG_TRANSCRIBERS[:1]
        own = next((self.folder / name for name in names if (self.folder / name / "config.json").is_file()), None)
        if own is None:
            return self._cached("song_transcriber", lambda: self.transcriber)  # type: ignore[no-any-return]
        return self._cached("song_transcriber", lambda: _load_transcriber(own))  # type: ignore[no-any-return]

    @property
    def separator(self) -> SeparatorLike:
        """The separator of voice and accompaniment.

        Raises
        ------
        FileNotFoundError, ConfigError
            If it cannot be loaded.
        """
        chosen = self._separator
        if chosen is not None and not isinstance(chosen, str | Path):
            return chosen
        own = self.folder / "separator"
        if chosen in {None, "default"} and (own / "config.json").is_file():
            chosen = own
        from hf_model.separator.choice import load_separator

        name = "default" if chosen is None else str(chosen)
        return self._cached(f"separator {name}", lambda: load_separator(name))  # type: ignore[no-any-return]

    def renderer(self, sound: str) -> Renderer:
        """Return the piano renderer of that name (one of ``SOUNDS``)."""
        check_choice("sound", sound, SOUNDS)
        renderer: Renderer = self._cached(_sound_key(sound), lambda: self._load_renderer(sound))
        return renderer

    @property
    def _transcriber_folder(self) -> Path:
        is_transcriber = (self.folder / "config.json").is_file()
        return self.folder if is_transcriber else self.folder / "transcriber"

    def _load_renderer(self, sound: str) -> Renderer:
        if sound == "sampled":
            return SampledPiano.load()
        if sound == "concert":
            return SampledPiano.load(WEIGHTS / "piano_concert")
        if sound == "voice":
            return _load_singer()
        if sound == "reference":
            from hf_model.piano.fluidsynth import ReferencePiano

            return ReferencePiano(self.sound_font)
        from hf_model.synthesizer.synthesizer import Synthesizer

        own = self.folder / "synthesizer"
        return Synthesizer.from_pretrained(own if own.is_dir() else WEIGHTS / "synthesizer")

    def _cached(self, key: str, load: Callable[[], Any]) -> Any:
        with self._lock:
            if key not in self._cache:
                self._cache[key] = load()
            return self._cache[key]


@functools.cache
def default_models() -> Models:
    """Return the models that ship, loaded once per process."""
    return Models()


def _load_transcriber(folder: Path) -> TranscriberLike:
    from hf_model.transcriber.transcriber import Transcriber

    return Transcriber.from_pretrained(folder)


def _sound_key(sound: str) -> str:
    return f"piano {sound}"


def _load_singer() -> Renderer:
    try:
        from hf_model.lyrics.singing import SingingRenderer
    except ModuleNotFoundError as error:
        msg = f"the sound voice needs {error.name}: pip install 'hummingface[lyrics]'"
        raise ConfigError(msg) from error
    return SingingRenderer()
