"""The page's two jobs: listen to a recording, and play its notes with other settings without listening again."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hf_model.app.limits import Limits, PageError, spoken
from hf_model.app.sandbox import decode
from hf_model.app.sessions import GONE, Session
from hf_model.app.spectrogram import draw_voice, trace_pitch
from hf_model.audio.grid import VOICE_STFT, resampled_length, seconds_to_samples
from hf_model.audio.io import write_audio
from hf_model.audio.recording import SHORTEST, Recording
from hf_model.config import ConfigError, from_mapping
from hf_model.export.midi_score import write_score
from hf_model.export.musicxml import MusicXMLError, write_musicxml
from hf_model.inference import Models, hear, render
from hf_model.music.arrangement import Arranged, Arrangement, arrange
from hf_model.music.tempo import Tempo
from hf_model.notes.note import Note
from hf_model.notes.note_files import write_csv
from hf_model.notes.pedal import Pedal
from hf_model.piano.performance import Performance
from hf_model.piano.rendering import PIANO_RATE

SILENT = "This recording is silent. Is the microphone muted?"
TOO_SHORT = "This recording is too short for a note. Sing for a second or more."
NO_VOICE = "I hear no voice in this recording. Sing or hum a little louder, closer to the microphone."

Tell = Callable[[float, str], object]
"""Called with a share from 0 to 1 and what is being done."""


@dataclass(frozen=True)
class Settings:
    """What the visitor has set: how to arrange the notes, and how to play them."""

    arrangement: Arrangement = field(default_factory=Arrangement)
    performance: Performance = field(default_factory=Performance)


def listen(session: Session, start: float, settings: Any, models: Models, limits: Limits, tell: Tell) -> dict[str, Any]:
    """Hear the notes of a part of a recording, and play them.

    Parameters
    ----------
    session : Session
        Its upload, or what was decoded of it before.
    start : float
        Seconds into the recording; the part ends ``limits.part_seconds`` later or with the recording.
    settings : mapping
        Fields of ``Settings``.

    Returns
    -------
    dict
        For JSON: what was heard, and under "played" what :func:`play` returns.

    Raises
    ------
    PageError
        For a file that cannot be used, and for one without a voice.
    """
    with _still_there(session):
        tell(0.05, "Reading the recording")
        if session.upload.exists():
            session.whole = decode(session.upload, session.voice, limits)
            session.upload.unlink()
        if session.whole is None:
            raise PageError(GONE)
        part, first = _cut(session.whole, start, limits.part_seconds)
        if part.duration < SHORTEST:
            raise PageError(TOO_SHORT)
        tell(0.2, "Listening to the voice")
        melody = hear(part, min_note=0.0, models=models)
        if "the recording is silent" in part.warnings or not np.any(part.voice):
            raise PageError(SILENT)
        if not melody.notes:
            raise PageError(NO_VOICE)
        session.part, session.tuning = part, melody.tuning
        tell(0.6, "Drawing what I heard")
        write_audio(session.folder / "voice.wav", part.voice[: _voice_length(part)], VOICE_STFT.sample_rate)
        lowest, highest = draw_voice(session.folder / "spectrum.png", part.voice, melody.notes)
        heard = {
            "duration": part.duration,
            "wholeDuration": session.whole.duration,
            "start": first,
            "remark": _remark_on_part(session.whole, part, first, limits),
            "warnings": [_as_sentence(warning) for warning in part.warnings],
            "tuning": melody.tuning,
            "notes": [_packed(note) for note in melody.notes],
            "pitch": trace_pitch(part.voice, part.duration),
            "spectrum": {"lowest": lowest, "highest": highest},
        }
        tell(0.75, "Playing it on the piano")
        return {**heard, "played": play(session, heard["notes"], settings, models, limits)}


def play(session: Session, notes: Any, settings: Any, models: Models, limits: Limits) -> dict[str, Any]:
    """Arrange notes and play them, exactly as long as the part that was listened to; write every file anew.

    Parameters
    ----------
    notes : list of [onset, offset, pitch, velocity, confidence]
        As heard, or as the visitor has edited them.

    Raises
    ------
    PageError
        For notes or settings that cannot be played.
    """
    part = session.part
    if part is None:
        raise PageError(GONE)
    chosen = read_settings(settings)
    given = read_notes(notes, part.duration, limits)
    with _still_there(session):
        arranged = arrange(given, part.duration, chosen.arrangement, tuning=session.tuning)
        n_samples = resampled_length(part.n_samples, part.sample_rate, PIANO_RATE)
        piano = render(arranged.both_hands, n_samples, chosen.performance, models)
        session.version, session.arranged = session.version + 1, arranged
        pedals = chosen.performance.pedals(arranged.both_hands)
        _write_files(session.folder, arranged, pedals, part.duration, piano)
    tempo = arranged.tempo
    return {
        "version": session.version,
        "notes": [_packed(note) for note in arranged.piano_notes],
        "accompaniment": [_packed(note) for note in arranged.accompaniment],
        "tempo": {"bpm": tempo.bpm, "confidence": tempo.confidence, "meter": tempo.meter_name},
        "beats": _beats(tempo, part.duration),
        "key": {"name": arranged.key.name, "confidence": arranged.key.confidence},
        "remarks": [_as_sentence(remark) for remark in arranged.remarks],
        "voiceGain": _voice_gain(part.voice, piano),
        "length": {"samples": n_samples, "rate": PIANO_RATE},
    }


def write_sheet(session: Session) -> None:
    """Write the score to read of what was played last, when it is asked for: that takes longer than all the rest.

    Raises
    ------
    PageError
        If nothing was played, or nothing is left to write.
    """
    if session.arranged is None:
        raise PageError(GONE)
    with _still_there(session), session.lock:
        new = session.folder / "new-piano.musicxml"
        try:
            write_musicxml(new, session.arranged, "HummingFace")
        except MusicXMLError as error:
            raise PageError(_as_sentence(str(error))) from error
        new.replace(session.folder / "piano.musicxml")


def read_settings(settings: Any) -> Settings:
    """Take the visitor's settings, all of which are optional."""
    try:
        return from_mapping(Settings, settings if isinstance(settings, Mapping) else {}, "settings")
    except (ConfigError, ValueError) as error:
        told = re.sub(r"(settings|arrangement|performance)[.]", "", str(error))
        msg = f"This cannot be played: {told}."
        raise PageError(msg) from error


def read_notes(notes: Any, duration: float, limits: Limits) -> list[Note]:
    """Take the visitor's notes; what reaches beyond the recording is cut off."""
    if not isinstance(notes, Sequence) or len(notes) > limits.notes:
        msg = f"At most {limits.notes} notes can be played."
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
            msg = f"Note {number} cannot be played: {error}."
            raise PageError(msg) from error
    return sorted(found)


def _write_files(
    folder: Path,
    arranged: Arranged,
    pedals: Sequence[Pedal],
    duration: float,
    piano: NDArray[np.float32],
) -> None:
    """Write what can be downloaded, each file whole at every moment."""
    writers: dict[str, Callable[[Path], None]] = {
        "piano.wav": lambda path: write_audio(path, piano, PIANO_RATE),
        "piano.mid": lambda path: write_score(path, arranged, duration, pedals=pedals),
        "piano.csv": lambda path: write_csv(path, *arranged.side_by_side),
    }
    for name, write in writers.items():
        new = folder / f"new-{name}"
        write(new)
        new.replace(folder / name)


@contextmanager
def _still_there(session: Session) -> Iterator[None]:
    """Say that a recording is gone when its folder was deleted on the way."""
    try:
        yield
    except OSError as error:
        if session.folder.is_dir():
            raise
        raise PageError(GONE) from error


def _cut(whole: Recording, start: float, longest: float) -> tuple[Recording, float]:
    """Take a part: the recording itself where it is short enough; and the second that it starts at."""
    if whole.duration <= longest:
        return Recording(np.array(whole.voice), whole.n_samples, whole.sample_rate, whole.warnings), 0.0
    first = min(max(0.0, start if math.isfinite(start) else 0.0), whole.duration - longest)
    n_samples = seconds_to_samples(longest, whole.sample_rate)
    begin = seconds_to_samples(first, VOICE_STFT.sample_rate)
    voice = np.array(whole.voice[begin : begin + seconds_to_samples(longest, VOICE_STFT.sample_rate)])
    return Recording(voice, n_samples, whole.sample_rate, whole.warnings), first


def _voice_length(part: Recording) -> int:
    """Count the samples of the voice without what was added to a very short one."""
    return max(1, resampled_length(part.n_samples, part.sample_rate, VOICE_STFT.sample_rate))


def _remark_on_part(whole: Recording, part: Recording, first: float, limits: Limits) -> str:
    if part.n_samples == whole.n_samples:
        return ""
    length = spoken(limits.part_seconds)
    name = "the first" if first == 0 else "the chosen"
    return f"This recording is longer than {length}: I took {name} {length.removeprefix('a ')} of it."


def _beats(tempo: Tempo, duration: float) -> list[list[float]]:
    """Give the beats within the recording: seconds, and 1 for the first of a bar."""
    return [
        [beat, float((index - tempo.downbeat) % tempo.beats_per_bar == 0)]
        for index, beat in enumerate(tempo.beats)
        if 0 <= beat <= duration
    ]


def _voice_gain(voice: NDArray[np.float32], piano: NDArray[np.float32]) -> float:
    """Give the factor that makes the voice as loud as the piano when both are heard (0.1 to 10)."""
    levels = [float(np.sqrt(np.mean(np.square(sound, dtype=np.float64)))) for sound in (voice, piano)]
    return float(np.clip(levels[1] / levels[0], 0.1, 10.0)) if min(levels) > 0 else 1.0


def _packed(note: Note) -> list[float]:
    return [round(note.onset, 4), round(note.offset, 4), round(note.pitch, 3), note.velocity, round(note.confidence, 3)]


def _as_sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
