"""The two jobs of the page: convert a part of a recording, and render its notes again with other settings."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hf_model.app.limits import Limits, PageError, format_duration
from hf_model.app.sandbox import decode
from hf_model.app.sessions import GONE, Session
from hf_model.app.spectrogram import draw_voice, trace_pitch
from hf_model.audio.grid import PIANO_SAMPLE_RATE, VOICE_STFT, resampled_length, seconds_to_samples
from hf_model.audio.io import write_audio
from hf_model.audio.recording import MIN_SECONDS, Recording
from hf_model.config import ConfigError, from_mapping
from hf_model.export.outputs import Conversion, DiskError, OutputError, all_or_none
from hf_model.inference import Models, transcribe_recording
from hf_model.music.arrangement import Arrangement, arrange
from hf_model.music.tempo import Tempo
from hf_model.notes.note import Note
from hf_model.piano.performance import Performance, perform

SILENT = "This recording is silent. Is the microphone muted?"
TOO_SHORT = "This recording is too short for a note. Sing for a second or more."
NO_VOICE = "No voice was found in this recording. Sing or hum louder, or closer to the microphone."

OUTPUTS = {"wav": "piano.wav", "midi": "piano.mid", "csv": "piano.csv"}
"""Files that every rendering writes, by kind."""

SCORE = "piano.musicxml"
"""Written when it is downloaded: it takes longer than all the other files."""

TITLE = "HummingFace"

Progress = Callable[[float, str], object]
"""Called with the share that is done, 0 to 1, and the step that begins."""


@dataclass(frozen=True)
class Settings:
    """The settings of the page."""

    arrangement: Arrangement = field(default_factory=Arrangement)
    performance: Performance = field(default_factory=Performance)


def convert_part(
    session: Session, start: float, settings: Any, models: Models, limits: Limits, progress: Progress
) -> dict[str, Any]:
    """Transcribe a part of a recording and render its notes.

    Parameters
    ----------
    session : Session
        With an upload, or with the recording that was decoded from it.
    start : float
        Seconds into the recording; the part is at most ``limits.part_seconds`` long.
    settings : mapping
        Fields of ``Settings``.

    Returns
    -------
    dict
        For JSON: the transcription, and under "played" the result of :func:`render_notes`.

    Raises
    ------
    PageError
        For a file that cannot be used, and for a recording without a voice.
    """
    with _gone_if_deleted(session):
        progress(0.05, "Reading the recording")
        if session.upload.exists():
            session.whole = decode(session.upload, session.voice, limits)
            session.upload.unlink()
        if session.whole is None:
            raise PageError(GONE)
        part, first = _cut(session.whole, start, limits.part_seconds)
        if part.duration < MIN_SECONDS:
            raise PageError(TOO_SHORT)
        progress(0.2, "Transcribing the voice")
        melody = transcribe_recording(part, models=models)
        if "the recording is silent" in part.warnings or not np.any(part.voice):
            raise PageError(SILENT)
        if not melody.notes:
            raise PageError(NO_VOICE)
        session.part, session.tuning = part, melody.tuning
        progress(0.6, "Drawing the spectrogram")
        write_audio(session.folder / "voice.wav", part.voice[: _voice_length(part)], VOICE_STFT.sample_rate)
        lowest, highest = draw_voice(session.folder / "spectrum.png", part.voice, melody.notes)
        transcription = {
            "duration": part.duration,
            "wholeDuration": session.whole.duration,
            "start": first,
            "remark": _remark_on_part(session.whole, part, first, limits),
            "warnings": [_as_sentence(warning) for warning in part.warnings],
            "tuning": melody.tuning,
            "notes": [_as_row(note) for note in melody.notes],
            "pitch": trace_pitch(part.voice, part.duration),
            "spectrum": {"lowest": lowest, "highest": highest},
        }
        progress(0.75, "Rendering the piano")
        return {**transcription, "played": render_notes(session, transcription["notes"], settings, models, limits)}


def render_notes(session: Session, notes: Any, settings: Any, models: Models, limits: Limits) -> dict[str, Any]:
    """Arrange and render notes, exactly as long as the part that was transcribed, and write the output files.

    Parameters
    ----------
    notes : list of [onset, offset, pitch, velocity, confidence]
        As transcribed, or as edited by the user.

    Raises
    ------
    PageError
        For notes or settings that are not valid.
    """
    part = session.part
    if part is None:
        raise PageError(GONE)
    chosen = read_settings(settings)
    given = read_notes(notes, part.duration, limits)
    with _gone_if_deleted(session):
        arranged = arrange(given, part.duration, chosen.arrangement, tuning=session.tuning)
        n_samples = resampled_length(part.n_samples, part.sample_rate, PIANO_SAMPLE_RATE)
        paths = {kind: session.folder / name for kind, name in OUTPUTS.items()}
        with perform(arranged.both_hands, n_samples, chosen.performance, models) as take:
            session.version, session.arranged = session.version + 1, arranged
            pedals = chosen.performance.pedals(arranged.both_hands)
            with all_or_none(paths) as temporary:
                Conversion(TITLE, part, arranged, pedals, take).write(temporary)
            piano = np.concatenate(list(take.blocks()), axis=1)
    tempo = arranged.tempo
    return {
        "version": session.version,
        "notes": [_as_row(note) for note in arranged.piano_notes],
        "accompaniment": [_as_row(note) for note in arranged.accompaniment],
        "tempo": {"bpm": tempo.bpm, "confidence": tempo.confidence, "meter": tempo.meter_name},
        "beats": _beats(tempo, part.duration),
        "key": {"name": arranged.key.name, "confidence": arranged.key.confidence},
        "remarks": [_as_sentence(remark) for remark in arranged.remarks],
        "voiceGain": _voice_gain(part.voice, piano),
        "length": {"samples": n_samples, "rate": PIANO_SAMPLE_RATE},
    }


def write_score_file(session: Session) -> None:
    """Write the MusicXML score of the last rendering.

    Raises
    ------
    PageError
        If nothing was rendered, the recording was deleted, or music21 is not installed.
    """
    if session.part is None or session.arranged is None:
        raise PageError(GONE)
    with _gone_if_deleted(session), session.lock:
        try:
            with all_or_none({"musicxml": session.folder / SCORE}) as temporary:
                Conversion(TITLE, session.part, session.arranged).write(temporary)
        except DiskError:
            raise
        except OutputError as error:
            raise PageError(_as_sentence(str(error))) from error


def read_settings(settings: Any) -> Settings:
    """Check the settings of the page, all of which are optional."""
    try:
        return from_mapping(Settings, settings if isinstance(settings, Mapping) else {}, "settings")
    except (ConfigError, ValueError) as error:
        reason = re.sub(r"(settings|arrangement|performance)[.]", "", str(error))
        msg = f"These settings are not valid: {reason}."
        raise PageError(msg) from error


def read_notes(notes: Any, duration: float, limits: Limits) -> list[Note]:
    """Check the notes of the page; those beyond the recording are cut off."""
    if not isinstance(notes, Sequence) or len(notes) > limits.notes:
        msg = f"At most {limits.notes} notes can be rendered."
        raise PageError(msg)
    found = []
    for number, row in enumerate(notes, start=1):
        try:
            onset, offset, pitch, velocity, confidence = (float(value) for value in row)
            if not all(math.isfinite(value) for value in (onset, offset, pitch, velocity, confidence)):
                msg = "every value must be a number"
                raise ValueError(msg)
            if onset < duration:
                found.append(Note(onset, min(offset, duration), pitch, int(velocity), confidence))
        except (TypeError, ValueError) as error:
            msg = f"Note {number} is not valid: {error}."
            raise PageError(msg) from error
    return sorted(found)


@contextmanager
def _gone_if_deleted(session: Session) -> Iterator[None]:
    """Report a recording as gone if its folder was deleted meanwhile."""
    try:
        yield
    except (OSError, DiskError) as error:
        if session.folder.is_dir():
            raise
        raise PageError(GONE) from error


def _cut(whole: Recording, start: float, longest: float) -> tuple[Recording, float]:
    """Give a part of at most ``longest`` seconds, and its start in seconds."""
    if whole.duration <= longest:
        return Recording(np.array(whole.voice), whole.n_samples, whole.sample_rate, whole.warnings), 0.0
    first = min(max(0.0, start if math.isfinite(start) else 0.0), whole.duration - longest)
    n_samples = seconds_to_samples(longest, whole.sample_rate)
    begin = seconds_to_samples(first, VOICE_STFT.sample_rate)
    voice = np.array(whole.voice[begin : begin + seconds_to_samples(longest, VOICE_STFT.sample_rate)])
    return Recording(voice, n_samples, whole.sample_rate, whole.warnings), first


def _voice_length(part: Recording) -> int:
    """Count the samples of the voice, without the padding of a very short one."""
    return max(1, resampled_length(part.n_samples, part.sample_rate, VOICE_STFT.sample_rate))


def _remark_on_part(whole: Recording, part: Recording, first: float, limits: Limits) -> str:
    if part.n_samples == whole.n_samples:
        return ""
    length = format_duration(limits.part_seconds)
    which = "the first" if first == 0 else "the selected"
    return f"This recording is longer than {length}: {which} {length.removeprefix('a ')} of it is converted."


def _beats(tempo: Tempo, duration: float) -> list[list[float]]:
    """Give the beats within the recording: seconds, and 1 for the first of a bar."""
    return [
        [beat, float((index - tempo.downbeat) % tempo.beats_per_bar == 0)]
        for index, beat in enumerate(tempo.beats)
        if 0 <= beat <= duration
    ]


def _voice_gain(voice: NDArray[np.float32], piano: NDArray[np.float32]) -> float:
    """Give the factor that makes the voice as loud as the piano when both play (0.1 to 10)."""
    levels = [float(np.sqrt(np.mean(np.square(sound, dtype=np.float64)))) for sound in (voice, piano)]
    return float(np.clip(levels[1] / levels[0], 0.1, 10.0)) if min(levels) > 0 else 1.0


def _as_row(note: Note) -> list[float]:
    return [round(note.onset, 4), round(note.offset, 4), round(note.pitch, 3), note.velocity, round(note.confidence, 3)]


def _as_sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
