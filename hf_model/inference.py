"""The Python interface: a recording of singing to notes, and to a piano recording of the same length."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hf_model.audio.grid import PIANO_SAMPLE_RATE, VOICE_STFT, resampled_length
from hf_model.audio.recording import Recording, as_recording
from hf_model.config import check_choice, check_range
from hf_model.hub import model_folder
from hf_model.music.arrangement import MIN_NOTE, Arranged, Arrangement, arrange, filter_notes
from hf_model.notes.note import Note, to_keys
from hf_model.notes.pitch import estimate_tuning
from hf_model.notes.velocity import estimate_velocities
from hf_model.piano.performance import SOUNDS, Performance, perform, play
from hf_model.piano.rendering import Renderer
from hf_model.piano.sampled import SampledPiano
from hf_model.weights import WEIGHTS

if TYPE_CHECKING:
    from hf_model.transcriber.note_stream import NoteStream

DEFAULT_ARRANGEMENT, DEFAULT_PERFORMANCE = Arrangement(), Performance()


class TranscriberLike(Protocol):
    """The part of a transcriber's interface that is used here."""

    def transcribe(self, audio: NDArray[np.float32], /) -> list[Note]:
        """Transcribe audio (sample,) at 16 kHz into sorted notes."""
        ...


class Models:
    """The transcriber and the piano renderers, loaded on first use and cached.

    Parameters
    ----------
    folder : path or str, optional
        A transcriber's folder, or one with the subfolder ``transcriber`` and optionally ``synthesizer``; otherwise
        the synthesizer that ships is used. Or ``owner/name`` on the Hugging Face Hub, downloaded on first use.
    sound_font : path, optional
        For the sound "reference"; by default the one that the piano samples were made from.
    transcriber, renderers : optional
        Used instead of loading.
    """

    def __init__(
        self,
        folder: Path | str | None = None,
        *,
        sound_font: Path | str | None = None,
        transcriber: TranscriberLike | None = None,
        renderers: Mapping[str, Renderer] | None = None,
    ) -> None:
        self._source = folder
        self.sound_font = sound_font
        self._transcriber = transcriber
        self._renderers = dict(renderers or {})

    @functools.cached_property
    def folder(self) -> Path:
        """The folder of the models, downloaded if necessary."""
        return WEIGHTS if self._source is None else model_folder(self._source)

    @property
    def transcriber(self) -> TranscriberLike:
        """The transcriber.

        Raises
        ------
        FileNotFoundError
            If the folder has none.
        """
        if self._transcriber is None:
            from hf_model.transcriber.network import Transcriber

            is_transcriber = (self.folder / "config.json").is_file()
            folder = self.folder if is_transcriber else self.folder / "transcriber"
            self._transcriber = Transcriber.from_pretrained(folder)
        return self._transcriber

    def renderer(self, sound: str) -> Renderer:
        """Return the piano renderer of that name (one of ``SOUNDS``)."""
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
    """Return the models that ship, loaded once per process."""
    return Models()


@dataclass(frozen=True)
class Melody:
    """The transcription of a recording.

    Attributes
    ----------
    notes : list of Note
        Float pitch, not corrected by the tuning, with velocities.
    piano_notes : list of Note
        The piano key of each note: integer pitch.
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
    """An arrangement and its audio; for the other attributes see :class:`hf_model.music.arrangement.Arranged`.

    Attributes
    ----------
    warnings : tuple of str
        Problems of the recording.
    audio : ndarray, shape (channel, sample)
        float32 in [-1, 1], exactly as long as the recording.
    sample_rate : int
        44100 Hz.
    gain : float
        Factor that was applied to the piano.
    """

    warnings: tuple[str, ...] = ()
    audio: NDArray[np.float32] = field(default_factory=lambda: np.zeros((1, 0), dtype=np.float32))
    sample_rate: int = PIANO_SAMPLE_RATE
    gain: float = 1.0


def convert(
    audio: ArrayLike,
    sample_rate: int,
    *,
    arrangement: Arrangement = DEFAULT_ARRANGEMENT,
    performance: Performance = DEFAULT_PERFORMANCE,
    tuning: float | None = None,
    models: Models | None = None,
) -> Rendition:
    """Convert a recording of singing into a piano recording.

    Parameters
    ----------
    audio : array_like, shape (sample,) or (channel, sample)
        Floating point, full scale at 1.
    sample_rate : int
        Hz.
    arrangement : Arrangement
        Which notes are played, and when; by default all, as they were sung.
    performance : Performance
        The piano's sound and playing.
    tuning : float, optional
        The singer's offset from 440 Hz in semitones, -1 to 1; estimated by default.
    models : Models, optional
        By default the ones that ship.

    Returns
    -------
    Rendition
        With audio of ``resampled_length(n_samples, sample_rate, 44100)`` samples.

    Raises
    ------
    AudioError, ConfigError
        For unusable audio or a setting outside its range.
    """
    chosen = models or default_models()
    recording = as_recording(audio, sample_rate)
    arranged, warnings = arrange_recording(recording, arrangement, tuning=tuning, models=chosen)
    n_samples = resampled_length(recording.n_samples, recording.sample_rate, PIANO_SAMPLE_RATE)
    with perform(arranged.both_hands, n_samples, performance, chosen) as take:
        sound = np.concatenate(list(take.blocks()), axis=1)
    return Rendition(**vars(arranged), warnings=warnings, audio=sound, gain=take.gain)


def arrange_recording(
    recording: Recording,
    arrangement: Arrangement = DEFAULT_ARRANGEMENT,
    *,
    tuning: float | None = None,
    models: Models | None = None,
) -> tuple[Arranged, tuple[str, ...]]:
    """Transcribe and arrange a recording; parameters as for :func:`convert`.

    Returns
    -------
    arranged : Arranged
    warnings : tuple of str
        Problems of the recording.
    """
    notes = _detect_notes(recording, tuning, models)
    arranged = arrange(notes, recording.duration, arrangement, tuning=tuning, voice=recording.voice)
    return arranged, _warnings(recording, len(notes), len(arranged.notes))


def transcribe(
    audio: ArrayLike,
    sample_rate: int,
    *,
    min_note: float = MIN_NOTE,
    min_confidence: float = 0.0,
    models: Models | None = None,
) -> list[Note]:
    """Transcribe singing into notes with float pitch.

    Parameters
    ----------
    audio, sample_rate, models
        As for :func:`convert`.
    min_note : float
        Seconds, 0 to 10; shorter notes are left out.
    min_confidence : float
        0-1; notes with less confidence are left out.

    Raises
    ------
    AudioError, ConfigError
        For unusable audio or a setting outside its range.
    """
    recording = as_recording(audio, sample_rate)
    return transcribe_recording(recording, min_note=min_note, min_confidence=min_confidence, models=models).notes


def listen(sample_rate: int = 16000, *, chunk_seconds: float | None = None, models: Models | None = None) -> NoteStream:
    """Transcribe singing block by block, as it is recorded.

    The notes are those of a transcription of the whole recording. Short and uncertain notes are included, and all
    notes have the same velocity.

    Parameters
    ----------
    sample_rate : int
        Hz, of the blocks.
    chunk_seconds : float, optional
        0.5 to 60; a smaller value lowers the latency and takes more computing time: see
        :class:`hf_model.transcriber.note_stream.NoteStream`.
    models : Models, optional
        By default the ones that ship.

    Raises
    ------
    AudioError, ConfigError
        For an unusable sample rate or a setting outside its range.
    TypeError
        For a transcriber that only takes whole recordings.
    """
    from hf_model.transcriber.network import Transcriber

    transcriber = (models or default_models()).transcriber
    if not isinstance(transcriber, Transcriber):
        msg = f"listen needs a Transcriber; a {type(transcriber).__name__} only takes whole recordings"
        raise TypeError(msg)
    return transcriber.stream(sample_rate=sample_rate, chunk_seconds=chunk_seconds)


def transcribe_recording(
    recording: Recording,
    *,
    min_note: float = 0.0,
    min_confidence: float = 0.0,
    tuning: float | None = None,
    models: Models | None = None,
) -> Melody:
    """Transcribe a recording into notes and piano keys: all that are detected, unless limits are given.

    Parameters are as for :func:`convert` and :func:`transcribe`. Velocities and tuning are those of the notes returned.

    Raises
    ------
    ConfigError
        For a setting outside its range.
    """
    check_range("min_note", min_note, 0.0, 10.0)
    check_range("min_confidence", min_confidence, 0.0, 1.0)
    detected = _detect_notes(recording, tuning, models)
    kept = filter_notes(detected, min_note, min_confidence)
    notes = estimate_velocities(recording.voice, VOICE_STFT.sample_rate, kept)
    if tuning is None:
        tuning = estimate_tuning([note.pitch for note in notes], [note.duration for note in notes])
    return Melody(notes, to_keys(notes, tuning), tuning, _warnings(recording, len(detected), len(notes)))


def _detect_notes(recording: Recording, tuning: float | None, models: Models | None) -> list[Note]:
    check_range("tuning", tuning or 0.0, -1.0, 1.0)
    return (models or default_models()).transcriber.transcribe(recording.voice)


def _warnings(recording: Recording, n_detected: int, n_kept: int) -> tuple[str, ...]:
    if n_kept or recording.warnings:
        return recording.warnings
    cause = "all notes were left out" if n_detected else "no singing was found"
    return (f"{cause}: the piano is silent",)


def render(
    notes: Sequence[Note], n_samples: int, performance: Performance = DEFAULT_PERFORMANCE, models: Models | None = None
) -> NDArray[np.float32]:
    """Render notes with integer pitch as piano audio.

    Returns
    -------
    ndarray, shape (channel, n_samples)
        float32 in [-1, 1] at 44.1 kHz.
    """
    return play(notes, n_samples, performance, models or default_models())
