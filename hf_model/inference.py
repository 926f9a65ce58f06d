"""The Python interface: a recording of singing, or a song, to notes and to a piano recording of the same length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hf_model.audio.grid import PIANO_SAMPLE_RATE, VOICE_STFT, frame_count, resampled_length
from hf_model.audio.recording import Recording, as_recording, read_recording
from hf_model.config import check_range
from hf_model.export.rendition import Rendition
from hf_model.music.arrangement import MIN_NOTE, Arranged, Arrangement, arrange, filter_notes
from hf_model.notes.note import Note, to_keys
from hf_model.notes.pitch import estimate_tuning
from hf_model.notes.velocity import estimate_velocities
from hf_model.piano.band import describe_missing
from hf_model.piano.performance import Performance, perform, play
from hf_model.preparation.models import Models, TranscriberLike, default_models
from hf_model.preparation.octaves import correct_octaves
from hf_model.preparation.separation import SOURCES, Separated, separate
from hf_model.preparation.whistle import OCTAVES, lower_whistle, transcribe_whistle
from hf_model.separator.voice_part import unblend
from hf_model.transcriber.lead import choose_lead
from hf_model.transcriber.pitch_curve import PitchCurve, trace

if TYPE_CHECKING:
    from hf_model.separator.choice import SeparatorLike
    from hf_model.transcriber.note_stream import NoteStream

__all__ = [
    "SOURCES",
    "Melody",
    "Models",
    "Rendition",
    "Separated",
    "TranscriberLike",
    "arrange_recording",
    "convert",
    "default_models",
    "listen",
    "render",
    "separate",
    "trace_pitch",
    "transcribe",
    "transcribe_recording",
]

DEFAULT_ARRANGEMENT, DEFAULT_PERFORMANCE = Arrangement(), Performance()


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


def convert(
    audio: ArrayLike | Path | str,
    sample_rate: int | None = None,
    *,
    arrangement: Arrangement = DEFAULT_ARRANGEMENT,
    performance: Performance = DEFAULT_PERFORMANCE,
    tuning: float | None = None,
    source: str = "auto",
    separator: SeparatorLike | Path | str | None = None,
    start: float = 0.0,
    end: float | None = None,
    models: Models | None = None,
) -> Rendition:
    """Convert a recording of singing, or a song, into a piano recording.

    Parameters
    ----------
    audio : array_like, shape (sample,) or (channel, sample), or path
        Floating point, full scale at 1; or a file (``~`` is the home folder).
    sample_rate : int, optional
        Hz; required for an array, unused for a file.
    arrangement : Arrangement
        Which notes are played, and when; by default all, as they were sung.
    performance : Performance
        The piano's sound and playing.
    tuning : float, optional
        The singer's offset from 440 Hz in semitones, -1 to 1; estimated by default. If it is given, the piano plays the
        keys nearest to the sung pitches.
    source : {"auto", "voice", "song", "whistle"}
        A voice alone, a song, whose voice is separated first, or whistling; "auto" decides from the audio.
    separator : str, path or SeparatorLike, optional
        Separates songs: "default", "none", "demucs", or a folder; by default that of the models.
    start, end : float
        Seconds: the part to convert, by default the whole.
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
    chosen = _choose_models(models, separator)
    separated = _separated(_open(audio, sample_rate, start, end), source, chosen)
    arranged, warnings = arrange_recording(separated, arrangement, tuning=tuning, models=chosen)
    voice = separated.voice
    n_samples = resampled_length(voice.n_samples, voice.sample_rate, PIANO_SAMPLE_RATE)
    with perform(arranged.both_hands, n_samples, performance, chosen, band=arranged.band) as take:
        sound = np.concatenate(list(take.blocks()), axis=1)
    pedals = tuple(performance.pedals(arranged.both_hands))
    return Rendition(
        **vars(arranged),
        warnings=(*warnings, *describe_missing(arranged.band)),
        audio=sound,
        gain=take.gain,
        source=separated.source,
        pedals=pedals,
        recording=voice,
        trace=partial(trace_pitch, separated, models=chosen),
    )


def _choose_models(models: Models | None, separator: SeparatorLike | Path | str | None) -> Models:
    chosen = models or default_models()
    return chosen if separator is None else chosen.with_separator(separator)


def _open(audio: ArrayLike | Path | str, sample_rate: int | None, start: float, end: float | None) -> Recording:
    if isinstance(audio, str | Path):
        return read_recording(Path(audio).expanduser(), start=start, end=end)
    if sample_rate is None:
        msg = "sample_rate is missing: an array needs it"
        raise TypeError(msg)
    return as_recording(audio, sample_rate, start=start, end=end)


def arrange_recording(
    recording: Recording | Separated,
    arrangement: Arrangement = DEFAULT_ARRANGEMENT,
    *,
    tuning: float | None = None,
    source: str = "auto",
    models: Models | None = None,
) -> tuple[Arranged, tuple[str, ...]]:
    """Transcribe and arrange a recording; parameters as for :func:`convert`.

    Beats, bars and chords of a song are those of its accompaniment.

    Returns
    -------
    arranged : Arranged
    warnings : tuple of str
        Problems of the recording.
    """
    separated = _separated(recording, source, models)
    notes = _detect_notes(separated, tuning, models)
    if tuning is not None:
        arrangement = replace(arrangement, keys="sung")
    voice, band = separated.voice, separated.band
    arranged = arrange(
        notes,
        voice.duration,
        arrangement,
        tuning=tuning,
        voice=voice.voice,
        band_tempo=band.tempo,
        band_chords=band.chords,
    )
    return arranged, _warnings(separated, len(notes), len(arranged.notes))


def _separated(recording: Recording | Separated, source: str, models: Models | None) -> Separated:
    if isinstance(recording, Separated):
        return recording
    return separate(recording, lambda: (models or default_models()).separator, source)


def transcribe(
    audio: ArrayLike | Path | str,
    sample_rate: int | None = None,
    *,
    min_note: float = MIN_NOTE,
    min_confidence: float = 0.0,
    source: str = "auto",
    separator: SeparatorLike | Path | str | None = None,
    start: float = 0.0,
    end: float | None = None,
    models: Models | None = None,
) -> list[Note]:
    """Transcribe singing into notes with float pitch.

    Parameters
    ----------
    audio, sample_rate, source, separator, start, end, models
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
    recording = _open(audio, sample_rate, start, end)
    chosen = _choose_models(models, separator)
    return transcribe_recording(
        recording, min_note=min_note, min_confidence=min_confidence, source=source, models=chosen
    ).notes


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
    from hf_model.transcriber.transcriber import Transcriber

    transcriber = (models or default_models()).transcriber
    if not isinstance(transcriber, Transcriber):
        msg = f"listen needs a Transcriber; a {type(transcriber).__name__} only takes whole recordings"
        raise TypeError(msg)
    return transcriber.stream(sample_rate=sample_rate, chunk_seconds=chunk_seconds)


def transcribe_recording(
    recording: Recording | Separated,
    *,
    min_note: float = 0.0,
    min_confidence: float = 0.0,
    tuning: float | None = None,
    source: str = "auto",
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
    separated = _separated(recording, source, models)
    detected = _detect_notes(separated, tuning, models)
    kept = filter_notes(detected, min_note, min_confidence)
    notes = estimate_velocities(separated.voice.voice, VOICE_STFT.sample_rate, kept)
    if tuning is None:
        tuning = estimate_tuning([note.pitch for note in notes], [note.duration for note in notes])
    return Melody(notes, to_keys(notes, tuning), tuning, _warnings(separated, len(detected), len(notes)))


def _detect_notes(separated: Separated, tuning: float | None, models: Models | None) -> list[Note]:
    check_range("tuning", tuning or 0.0, -1.0, 1.0)
    chosen = models or default_models()
    if separated.source.kind == "whistle":
        return transcribe_whistle(chosen.transcriber.transcribe, separated.voice.voice)
    if separated.song is None:
        return chosen.transcriber.transcribe(separated.voice.voice)
    if not separated.song.has_singing:
        return []
    song, voice = separated.song, separated.voice.voice
    detected = chosen.song_transcriber.transcribe(song.blended)
    lead = choose_lead(detected, voice, unblend(voice, song.blended), VOICE_STFT.sample_rate, side=song.side)
    return correct_octaves(lead, voice, VOICE_STFT.sample_rate)


def trace_pitch(recording: Recording | Separated, *, source: str = "auto", models: Models | None = None) -> PitchCurve:
    """Compute the pitch of a voice every 10 ms, from the posteriors of its transcriber.

    Parameters are as for :func:`convert`.

    Raises
    ------
    TypeError
        For a transcriber without posteriors.
    """
    separated = _separated(recording, source, models)
    chosen = models or default_models()
    n_frames = frame_count(round(separated.voice.duration * VOICE_STFT.sample_rate), VOICE_STFT)
    if separated.source.kind == "whistle":
        lowered = trace(chosen.transcriber, lower_whistle(separated.voice.voice), n_frames)
        return replace(lowered, pitch=lowered.pitch + 12.0 * OCTAVES)
    if separated.song is None:
        return trace(chosen.transcriber, separated.voice.voice, n_frames)
    return trace(chosen.song_transcriber, separated.song.blended, n_frames)


def _warnings(separated: Separated, n_detected: int, n_kept: int) -> tuple[str, ...]:
    warnings = separated.voice.warnings
    if n_kept or (warnings and separated.song is None):
        return warnings
    cause = "all notes were left out" if n_detected else "no singing was found"
    return (*warnings, f"{cause}: the piano is silent")


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
