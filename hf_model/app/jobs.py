"""The jobs of the page: open a recording, convert a part of it, and render its notes again with other settings."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hf_model.app.limits import Limits, PageError
from hf_model.app.page_json import (
    Part,
    as_row,
    as_sentence,
    describe_beats,
    describe_sources,
    describe_tempo,
    is_fact,
    known_keys,
    read_notes,
    read_settings,
)
from hf_model.app.sandbox import decode, decode_part
from hf_model.app.sessions import GONE, Session
from hf_model.app.spectrogram import draw_voice, measure_peaks, trace_pitch
from hf_model.app.stems import StoredStem, cover_gains, measure_rms, store
from hf_model.audio.grid import PIANO_SAMPLE_RATE, VOICE_STFT, resampled_length, seconds_to_samples
from hf_model.audio.io import write_audio
from hf_model.audio.recording import MIN_SECONDS, Recording
from hf_model.band.listener import Band
from hf_model.export.all_or_none import DiskError, all_or_none
from hf_model.export.outputs import Conversion
from hf_model.export.spelling import usual_names
from hf_model.inference import Melody, Models, transcribe_recording
from hf_model.music.arrangement import arrange
from hf_model.piano.band import as_piano_notes, describe_missing
from hf_model.piano.performance import perform
from hf_model.preparation.separation import Separated, separate
from hf_model.separator.song import BLOCK_SAMPLES, STEMS

SILENT = "This recording is silent. Is the microphone muted?"
TOO_SHORT = "This recording is too short for a note. Sing for a second or more."
NO_VOICE = "No voice was found in this recording. Sing or hum louder, or closer to the microphone."
NO_SINGING = "No singing was found in this song. Choose another part, or “Only a voice” if nothing else plays."

OUTPUTS = {"wav": "piano.wav", "midi": "piano.mid", "csv": "piano.csv"}
"""Files that every rendering writes, by kind."""

SCORE, COVER = "piano.musicxml", "cover.wav"
"""Written when they are downloaded: they take longer than the other files."""

SUNG = "sung.wav"
"""Written when words are sung on the melody."""

Progress = Callable[[float, str], object]
"""Called with the share that is done, 0 to 1, and the step that begins."""


def open_recording(session: Session, limits: Limits, progress: Progress) -> dict[str, Any]:
    """Decode a recording.

    Returns
    -------
    dict
        For JSON: its duration in seconds and the peaks of its waveform.

    Raises
    ------
    PageError
        For a file that cannot be used.
    """
    with gone_if_deleted(session):
        progress(0.02, "Reading the recording")
        whole = _decoded(session, limits)
        return {"duration": whole.duration, "peaks": measure_peaks(whole.voice)}


def convert_part(
    session: Session, chosen: Part, settings: Any, models: Models, limits: Limits, progress: Progress
) -> dict[str, Any]:
    """Transcribe a part of a recording, after separating the voice of a song, and render its notes.

    Parameters
    ----------
    session : Session
        With an upload, or with the recording that was decoded from it.
    chosen : Part
        At most ``limits.part_seconds`` are converted.
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
    singing = read_settings(settings).singing
    with gone_if_deleted(session):
        progress(0.02, "Reading the recording")
        whole = _decoded(session, limits)
        part, first = _cut(whole, chosen, limits.part_seconds)
        if part.duration < MIN_SECONDS:
            raise PageError(TOO_SHORT)
        if "the recording is silent" in part.warnings or not np.any(part.voice):
            raise PageError(SILENT)
        progress(0.1, "Finding the voice")
        separating = _separate(session, part, first, chosen.source, models, limits, progress)
        with closing(separating) as separated, ThreadPoolExecutor(1, thread_name_prefix="drawing") as thread:
            part = replace(part, voice=separated.voice.voice, warnings=separated.voice.warnings)
            progress(0.5, "Transcribing the voice")
            transcribing = models.with_transcriber(session.known) if session.known else models
            melody = transcribe_recording(separated, tuning=singing.tuning, models=transcribing)
            if not melody.notes:
                raise PageError(NO_VOICE if separated.song is None else NO_SINGING)
            progress(0.65, "Rendering the piano")
            drawing = thread.submit(_draw, session, part, melody)
            _keep(session, separated, part, melody.tuning)
            notes = [as_row(note) for note in melody.notes]
            session.transcribed = read_notes(notes, part.duration, limits)
            played = render_notes(session, notes, settings, models, limits)
        return {
            "duration": part.duration,
            "wholeDuration": whole.duration,
            "start": first,
            "source": {
                "kind": separated.source.kind,
                "confidence": separated.source.confidence,
                "chosen": chosen.source,
            },
            "warnings": [as_sentence(warning) for warning in part.warnings],
            "tuning": melody.tuning,
            "notes": notes,
            "played": played,
            **drawing.result(),
        }


def render_notes(
    session: Session, notes: Any, settings: Any, models: Models, limits: Limits, keys: Sequence[int | None] = ()
) -> dict[str, Any]:
    """Arrange and render notes, exactly as long as the part that was transcribed, and write the output files.

    Parameters
    ----------
    notes : list of [onset, offset, pitch, velocity, confidence]
        As transcribed, or as edited by the user.
    keys : sequence of int or None
        Piano keys of the notes that are known, in their order: an edit of one note changes no other. Nor does it change
        tempo, metre, key and bars, which are those of the transcription, or as set.

    Returns
    -------
    dict
        For JSON: the notes that the piano plays, under "sources" the index of the row that each was made from, and the
        estimates.

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
    arrangement, tuning = chosen.arrangement, session.tuning
    if chosen.singing.tuning is not None:  # as convert does
        arrangement, tuning = replace(arrangement, keys="sung"), chosen.singing.tuning
    with gone_if_deleted(session):
        band = session.band
        arranging = partial(arrange, tuning=tuning, band_tempo=band.tempo, band_chords=band.chords)
        unedited = arranging(session.transcribed, part.duration, replace(arrangement, accompany=False))
        like = unedited if session.transcribed else None
        arranged = arranging(given, part.duration, arrangement, known_keys=known_keys(notes, keys), like=like)
        n_samples = resampled_length(part.n_samples, part.sample_rate, PIANO_SAMPLE_RATE)
        paths = {kind: session.folder / name for kind, name in OUTPUTS.items()}
        playing = perform(arranged.both_hands, n_samples, chosen.performance, models, band=arranged.band)
        with playing as take, session.lock:
            session.version, session.arranged, session.words = session.version + 1, arranged, []
            pedals = chosen.performance.pedals(arranged.both_hands)
            with all_or_none(paths) as temporary:
                Conversion(session.title, part, arranged, pedals, take).write(temporary)
            for name in (SCORE, COVER, SUNG):  # those of the last rendering
                (session.folder / name).unlink(missing_ok=True)
            gain = measure_rms(take.blocks()) / max(1e-9, measure_rms([part.voice]))
            if session.stems:
                session.stems["piano"] = StoredStem(paths["wav"], n_samples, take.loudness)
    return {
        "version": session.version,
        "tuning": tuning,
        "notes": [as_row(note) for note in arranged.piano_notes],
        "sources": describe_sources(notes, arranged.notes),
        "accompaniment": [as_row(note) for note in [*arranged.accompaniment, *as_piano_notes(arranged.band)]],
        "tempo": describe_tempo(arranged.tempo, chosen.arrangement),
        "beats": describe_beats(arranged.tempo, part.duration),
        "key": {
            "name": arranged.key.name,
            "confidence": arranged.key.confidence,
            "names": usual_names(arranged.key),
        },
        "remarks": [
            as_sentence(remark)
            for remark in (*arranged.remarks, *describe_missing(arranged.band))
            if not is_fact(remark)
        ],
        "voiceGain": min(max(gain, 0.1), 10.0) if gain else 1.0,
        "coverGains": cover_gains(**session.stems) if session.stems else None,
        "length": {"samples": n_samples, "rate": PIANO_SAMPLE_RATE},
    }


@contextmanager
def gone_if_deleted(session: Session) -> Iterator[None]:
    """Report a recording as gone if its folder was deleted meanwhile."""
    try:
        yield
    except (OSError, DiskError) as error:
        if session.folder.is_dir():
            raise
        raise PageError(GONE) from error


def _decoded(session: Session, limits: Limits) -> Recording:
    """Decode the upload, unless that is done."""
    if session.whole is None:
        if not session.upload.exists():
            raise PageError(GONE)
        session.whole = decode(session.upload, session.voice, limits)
    return session.whole


def _cut(whole: Recording, chosen: Part, longest: float) -> tuple[Recording, float]:
    """Give a part of at most ``longest`` seconds, and its start in seconds."""
    start = chosen.start if math.isfinite(chosen.start) else 0.0
    wanted = longest if chosen.end is None else min(chosen.end, whole.duration) - start
    length = min(longest, whole.duration, max(wanted, MIN_SECONDS))
    if length >= whole.duration - MIN_SECONDS / 2:
        return Recording(np.array(whole.voice), whole.n_samples, whole.sample_rate, whole.warnings), 0.0
    first = min(max(0.0, start), whole.duration - length)
    n_samples = seconds_to_samples(length, whole.sample_rate)
    begin = seconds_to_samples(first, VOICE_STFT.sample_rate)
    voice = np.array(whole.voice[begin : begin + seconds_to_samples(length, VOICE_STFT.sample_rate)])
    return Recording(voice, n_samples, whole.sample_rate, whole.warnings), first


def _separate(
    session: Session, part: Recording, first: float, source: str, models: Models, limits: Limits, progress: Progress
) -> Separated:
    """Find the voice of a part; only a song is decoded in stereo."""
    path = session.folder / "song.pcm"

    def reopen() -> Iterator[NDArray[np.float32]]:
        mix = decode_part(session.upload, path, limits, first, first + part.duration)
        for begin in range(0, len(mix), BLOCK_SAMPLES):
            yield mix[begin : begin + BLOCK_SAMPLES].T.astype(np.float32) / np.float32(32767)

    shown = 0.0

    def report(share: float) -> None:
        nonlocal shown
        if share >= shown:
            shown = share + 0.05
            progress(0.1 + 0.4 * share, "Separating the voice")

    n_samples = resampled_length(part.n_samples, part.sample_rate, PIANO_SAMPLE_RATE)
    recording = Recording(part.voice, n_samples, PIANO_SAMPLE_RATE, part.warnings, reopen)
    try:
        return separate(recording, lambda: models.separator, source, keep=STEMS, progress=report)
    finally:
        path.unlink(missing_ok=True)


def _keep(session: Session, separated: Separated, part: Recording, tuning: float) -> None:
    """Store the voice, and the stems and beats of a song."""
    for name in ("backing.wav", COVER):
        (session.folder / name).unlink(missing_ok=True)
    session.part, session.tuning, session.band, session.stems = part, tuning, Band(), {}
    if separated.song is None:
        n_samples = max(1, resampled_length(part.n_samples, part.sample_rate, VOICE_STFT.sample_rate))
        write_audio(session.folder / "voice.wav", part.voice[:n_samples], VOICE_STFT.sample_rate)
    else:
        stems = separated.song.stems
        session.stems = {name: store(stem, session.folder / f"{name}.wav") for name, stem in stems.items()}
        session.band = separated.band


def _draw(session: Session, part: Recording, melody: Melody) -> dict[str, Any]:
    """Draw the voice, in a thread beside the rendering; for JSON: its pitch, and the range of the picture."""
    lowest, highest = draw_voice(session.folder / "spectrum.png", part.voice, melody.notes)
    return {"pitch": trace_pitch(part.voice, part.duration), "spectrum": {"lowest": lowest, "highest": highest}}
