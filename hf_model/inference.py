"""The Python interface: singing in, notes and a piano of the same length out."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hf_model.audio.grid import VOICE_STFT, resampled_length
from hf_model.audio.recording import Recording, as_recording
from hf_model.config import check_choice, check_range
from hf_model.hub import model_folder
from hf_model.music.arrangement import MIN_NOTE, Arranged, Arrangement, arrange
from hf_model.notes.note import Note, to_keys
from hf_model.notes.pitch import estimate_tuning
from hf_model.piano.performance import SOUNDS, Performance, perform, play
from hf_model.piano.rendering import PIANO_RATE, Renderer
from hf_model.piano.sampled import SampledPiano
from hf_model.weights import WEIGHTS

if TYPE_CHECKING:
    from hf_model.transcriber.note_stream import NoteStream

AS_SUNG, DEFAULT = Arrangement(), Performance()


class Listener(Protocol):
    """What hears notes: the transcriber, or a stand-in."""

    def transcribe(self, audio: NDArray[np.float32], /) -> list[Note]:
        """Hear the notes of audio (sample,) at 16 kHz."""
        ...


class Models:
    """The transcriber and the pianos, each loaded when it is first needed and then kept.

    Parameters
    ----------
    folder : path or str, optional
        A transcriber's folder, or one that holds ``transcriber`` and perhaps ``synthesizer``; what it lacks comes
        from the weights that ship. Or ``owner/name`` on the Hugging Face Hub, brought when it is first needed.
    sound_font : path, optional
        For the sound "reference", instead of the one that the weights were made from.
    transcriber, renderers : optional
        Used instead of loading.
    """

    def __init__(
        self,
        folder: Path | str | None = None,
        *,
        sound_font: Path | str | None = None,
        transcriber: Listener | None = None,
        renderers: Mapping[str, Renderer] | None = None,
    ) -> None:
        self._source = folder
        self.sound_font = sound_font
        self._transcriber = transcriber
        self._renderers = dict(renderers or {})

    @functools.cached_property
    def folder(self) -> Path:
        """Where the models are."""
        return WEIGHTS if self._source is None else model_folder(self._source)

    @property
    def transcriber(self) -> Listener:
        """The transcriber.

        Raises
        ------
        FileNotFoundError
            If the folder holds none.
        """
        if self._transcriber is None:
            from hf_model.transcriber.network import Transcriber

            alone = (self.folder / "config.json").is_file()
            self._transcriber = Transcriber.from_pretrained(self.folder if alone else self.folder / "transcriber")
        return self._transcriber

    def renderer(self, sound: str) -> Renderer:
        """Give the piano of that name (one of ``SOUNDS``)."""
        check_choice("sound", sound, SOUNDS)
        if sound not in self._renderers:
            self._renderers[sound] = self._load_renderer(sound)
        return self._renderers[sound]

    def _load_renderer(self, sound: str) -> Renderer:
        if sound == "sampled":
            return SampledPiano.load()
        if sound == "reference":
            from hf_model.piano.fluidsynth import ReferencePiano

            return ReferencePiano(self.sound_font)
        from hf_model.synthesizer.network import Synthesizer

        own = self.folder / "synthesizer"
        return Synthesizer.from_pretrained(own if own.is_dir() else WEIGHTS / "synthesizer")


@functools.cache
def default_models() -> Models:
    """Give the models that ship, loaded once in a process."""
    return Models()


@dataclass(frozen=True)
class Melody:
    """What was heard.

    Attributes
    ----------
    notes : list of Note
        As sung: float pitch, untouched by tuning or rounding.
    piano_notes : list of Note
        The keys that the piano plays, one for each note.
    tuning : float
        The singer's offset from 440 Hz in semitones.
    warnings : tuple of str
    """

    notes: list[Note]
    piano_notes: list[Note]
    tuning: float
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rendition(Arranged):
    """An arrangement of what was heard, and its sound: see :class:`hf_model.music.arrangement.Arranged` for the rest.

    Attributes
    ----------
    warnings : tuple of str
        What was wrong with the recording.
    audio : ndarray, shape (channel, sample)
        float32 in [-1, 1], exactly as long as the recording.
    sample_rate : int
        44100 Hz.
    gain : float
        What brought the piano to its level.
    """

    warnings: tuple[str, ...] = ()
    audio: NDArray[np.float32] = field(default_factory=lambda: np.zeros((1, 0), dtype=np.float32))
    sample_rate: int = PIANO_RATE
    gain: float = 1.0


def convert(
    audio: ArrayLike,
    sample_rate: int,
    *,
    arrangement: Arrangement = AS_SUNG,
    performance: Performance = DEFAULT,
    tuning: float | None = None,
    models: Models | None = None,
) -> Rendition:
    """Play singing on a piano.

    Parameters
    ----------
    audio : array_like, shape (sample,) or (channel, sample)
        Floating point, full scale at 1.
    sample_rate : int
        Hz.
    arrangement : Arrangement
        Which notes are played, and when; as they were sung when not given.
    performance : Performance
        Which piano, and how it is played.
    tuning : float, optional
        The singer's offset from 440 Hz in semitones; estimated when not given.
    models : Models, optional
        The ones that ship when not given.

    Returns
    -------
    Rendition
        With audio of ``resampled_length(n_samples, sample_rate, 44100)`` samples.

    Raises
    ------
    AudioError, ConfigError
        For audio or a setting that cannot be used.
    """
    chosen = models or default_models()
    recording = as_recording(audio, sample_rate)
    arranged, warnings = hear_arranged(recording, arrangement, tuning=tuning, models=chosen)
    n_samples = resampled_length(recording.n_samples, recording.sample_rate, PIANO_RATE)
    with perform(arranged.both_hands, n_samples, performance, chosen) as take:
        sound = np.concatenate(list(take.blocks()), axis=1)
    return Rendition(**vars(arranged), warnings=warnings, audio=sound, gain=take.gain)


def hear_arranged(
    recording: Recording,
    arrangement: Arrangement = AS_SUNG,
    *,
    tuning: float | None = None,
    models: Models | None = None,
) -> tuple[Arranged, tuple[str, ...]]:
    """Turn a recording into what the piano plays, and say what was wrong with it: parameters as for :func:`convert`."""
    melody = hear(
        recording,
        min_note=arrangement.min_note,
        min_confidence=arrangement.min_confidence,
        tuning=tuning,
        models=models,
    )
    return arrange(melody.notes, recording.duration, arrangement, tuning=melody.tuning), melody.warnings


def transcribe(
    audio: ArrayLike,
    sample_rate: int,
    *,
    min_note: float = MIN_NOTE,
    min_confidence: float = 0.0,
    models: Models | None = None,
) -> list[Note]:
    """Hear the notes of singing, as sung.

    Parameters
    ----------
    audio, sample_rate, models
        As for :func:`convert`.
    min_note : float
        Seconds; shorter notes are left out.
    min_confidence : float
        0-1; less certain notes are left out.
    """
    recording = as_recording(audio, sample_rate)
    return hear(recording, min_note=min_note, min_confidence=min_confidence, models=models).notes


def listen(sample_rate: int = 16000, *, chunk_seconds: float | None = None, models: Models | None = None) -> NoteStream:
    """Hear the notes of singing while it arrives, block by block.

    They are those of the whole recording as the transcriber hears it: no note is left out for being short or doubtful,
    and all have one velocity.

    Parameters
    ----------
    sample_rate : int
        Hz, of the blocks.
    chunk_seconds : float, optional
        0.5 to 60; less brings notes sooner and costs more time: see
        :class:`hf_model.transcriber.note_stream.NoteStream`.
    models : Models, optional
        The ones that ship when not given.

    Raises
    ------
    AudioError, ConfigError
        For a rate or a setting that cannot be used.
    TypeError
        For models that only hear whole recordings.
    """
    from hf_model.transcriber.network import Transcriber

    heard_by = (models or default_models()).transcriber
    if not isinstance(heard_by, Transcriber):
        msg = f"a {type(heard_by).__name__} hears whole recordings only; listen needs a Transcriber"
        raise TypeError(msg)
    return heard_by.stream(sample_rate=sample_rate, chunk_seconds=chunk_seconds)


def hear(
    recording: Recording,
    *,
    min_note: float = MIN_NOTE,
    min_confidence: float = 0.0,
    tuning: float | None = None,
    models: Models | None = None,
) -> Melody:
    """Turn a recording into notes and piano keys: parameters as for :func:`convert` and :func:`transcribe`.

    Raises
    ------
    ConfigError
        For a setting outside its range.
    """
    from hf_model.notes.velocity import velocities

    check_range("min_note", min_note, 0.0, 10.0)
    check_range("min_confidence", min_confidence, 0.0, 1.0)
    check_range("tuning", tuning or 0.0, -1.0, 1.0)
    found = (models or default_models()).transcriber.transcribe(recording.voice)
    kept = [note for note in found if note.duration >= min_note and note.confidence >= min_confidence]
    notes = velocities(recording.voice, VOICE_STFT.sample_rate, kept)
    if tuning is None:
        tuning = estimate_tuning([note.pitch for note in notes], [note.duration for note in notes])
    warnings = recording.warnings
    if not notes and not warnings:
        warnings = ("no singing was found: the piano is silent",)
    return Melody(notes, to_keys(notes, tuning), tuning, warnings)


def render(
    notes: Sequence[Note], n_samples: int, performance: Performance = DEFAULT, models: Models | None = None
) -> NDArray[np.float32]:
    """Play notes with integer pitch on a piano.

    Returns
    -------
    ndarray, shape (channel, n_samples)
        float32 in [-1, 1] at 44.1 kHz.
    """
    return play(notes, n_samples, performance, models or default_models())
