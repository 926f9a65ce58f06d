"""Recordings of the page that are transcribed while they arrive, in blocks of 16-bit samples."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from hf_model.app.limits import BusyError, PageError
from hf_model.app.sessions import GONE, Session, Sessions
from hf_model.app.spectrogram import measure_peaks
from hf_model.audio.reader import AudioError
from hf_model.audio.recording import read_recording
from hf_model.inference import Models
from hf_model.live.known_notes import KnownNotes
from hf_model.live.recorder import Recorder
from hf_model.live.transcription import LiveEvent, LiveTranscription
from hf_model.transcriber.transcriber import Transcriber

MIN_RATE, MAX_RATE = 8000, 192000
"""Hz, of a browser's microphone."""

BUSY = "The server transcribes enough recordings already."
NOT_NEXT = "These samples are not the next ones of the recording."
UNUSABLE = "This sample rate cannot be used."
ODD = "Samples have two bytes each."
TOO_FAST = "Sound arrives faster than it is sung."
TOO_LONG = "The recording is too long."
ENDED = "This recording has ended."
WHOLE_ONLY = "This model only takes whole recordings."

SPARE_SECONDS = 5.0
"""Sound may come so much before its time: what waited while the connection was slow."""

Result = TypeVar("Result")


@dataclass
class LiveRecording:
    """One recording that goes on.

    Attributes
    ----------
    session : Session
    sample_rate : int
        Hz.
    transcriber : Transcriber
    transcription : LiveTranscription
    recorder : Recorder
        Writes the session's upload.
    n_samples : int
        Samples that arrived.
    began, touched : float
        When it began, and when samples arrived last, on the monotonic clock.
    lock : Lock
        Held while samples are transcribed.
    """

    session: Session
    sample_rate: int
    transcriber: Transcriber
    transcription: LiveTranscription
    recorder: Recorder
    n_samples: int = 0
    began: float = field(default_factory=time.monotonic)
    touched: float = field(default_factory=time.monotonic)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def close(self) -> None:
        """Free what the transcription holds; the file stays."""
        self.transcription.close()
        with suppress(OSError):  # the folder may be deleted, or the disk full
            self.recorder.close()


class LiveRecordings:
    """All recordings that go on.

    Two threads serve all of them: one computes provisional notes, one the final ones.

    Parameters
    ----------
    sessions : Sessions
    models : Models
    """

    def __init__(self, sessions: Sessions, models: Models) -> None:
        self.sessions, self.limits = sessions, sessions.limits
        self._models = models
        self._open: dict[str, LiveRecording] = {}
        self._lock = threading.Lock()
        self._provisional: Executor = ThreadPoolExecutor(1, thread_name_prefix="live")
        self._final: Executor = ThreadPoolExecutor(1, thread_name_prefix="live-final")

    def __len__(self) -> int:
        return len(self._open)

    async def run(self) -> None:
        """Drop recordings whose sound has stopped to arrive, until cancelled."""
        try:
            while True:
                await asyncio.sleep(min(5.0, self.limits.live_silence_seconds / 2))
                await asyncio.to_thread(self._drop_silent)
        finally:
            for name in list(self._open):
                self._close(name)
            # A thread inside native code while the interpreter shuts down aborts the process.
            for threads in (self._provisional, self._final):
                await asyncio.to_thread(threads.shutdown, cancel_futures=True)

    async def in_thread(self, call: Callable[..., Result], *arguments: Any) -> Result:
        """Run one of the methods below in the thread of the provisional notes."""
        return await asyncio.get_running_loop().run_in_executor(self._provisional, call, *arguments)

    def begin(self, client: str, sample_rate: int) -> str:
        """Begin a recording, and give its id.

        Raises
        ------
        BusyError
            If there are too many, of this client or of all.
        PageError
            For another sample rate, and if the model only takes whole recordings.
        """
        transcriber = self._models.transcriber
        if not isinstance(transcriber, Transcriber):
            raise PageError(WHOLE_ONLY)
        if not MIN_RATE <= sample_rate <= MAX_RATE:
            raise PageError(UNUSABLE)
        with self._lock:
            self._check_room(client)
            session = self.sessions.open(client)
            recorder = Recorder(session.upload, sample_rate, overwrite=True)
            transcription = LiveTranscription(transcriber, sample_rate, executor=self._final)
            self._open[session.id] = LiveRecording(session, sample_rate, transcriber, transcription, recorder)
        return session.id

    def push(self, name: str, first: int, body: bytes) -> dict[str, Any]:
        """Take samples.

        Parameters
        ----------
        name : str
            Id of the recording.
        first : int
            Samples of the recording before these.
        body : bytes
            16 bits, little-endian, mono.

        Returns
        -------
        dict
            For JSON: "seconds" so far, and "events": [kind, number, onset, offset, key, velocity].

        Raises
        ------
        PageError
            For samples that are not the next ones, or too many; the recording is dropped then.
        """
        live = self._find(name)
        with live.lock, self._dropped_after_an_error(name):
            if len(body) % 2:
                raise PageError(ODD)
            if first != live.n_samples:
                raise PageError(NOT_NEXT)
            n_samples = live.n_samples + len(body) // 2
            seconds = n_samples / live.sample_rate
            if seconds > min(self.limits.whole_seconds, self.limits.part_seconds + SPARE_SECONDS):
                raise PageError(TOO_LONG)
            if seconds > time.monotonic() - live.began + SPARE_SECONDS:
                raise PageError(TOO_FAST)
            self.sessions.add_bytes(live.session, len(body))
            samples = np.frombuffer(body, dtype="<i2").astype(np.float32) / np.float32(32768)
            events = [as_row(event) for event in live.transcription.push(live.recorder.write(samples))]
            live.n_samples, live.touched = n_samples, time.monotonic()
        return {"seconds": round(seconds, 3), "events": events}

    def end(self, name: str) -> dict[str, Any]:
        """End a recording: its notes are kept for the job that converts it.

        Returns
        -------
        dict
            For JSON: "duration", "peaks" as the job "open" gives them, and "events".

        Raises
        ------
        PageError
            If nothing was recorded, or the recording is gone.
        """
        live = self._find(name)
        session = live.session
        with live.lock, self._dropped_after_an_error(name):
            events = [as_row(event) for event in live.transcription.finish()]
            live.recorder.close()
            try:
                whole = read_recording(session.upload, self.limits.whole_seconds)
            except (AudioError, OSError) as error:
                raise PageError(GONE if isinstance(error, OSError) else "This recording is empty.") from error
            transcription = live.transcription
            session.known = KnownNotes(live.transcriber, transcription.digest, transcription.final)
            session.whole = whole
            self._close(name)
        self.sessions.measure(session)
        return {"duration": whole.duration, "peaks": measure_peaks(whole.voice), "events": events}

    def _find(self, name: str) -> LiveRecording:
        self.sessions.find(name)
        live = self._open.get(name)
        if live is None:
            raise PageError(ENDED)
        return live

    def _check_room(self, client: str) -> None:
        """Refuse a recording more than are allowed, of this client or of all."""
        for name in list(self._open):
            if name not in self.sessions:  # the page was left
                self._close(name)
        own = sum(live.session.client == client for live in self._open.values())
        if len(self._open) >= self.limits.live or own >= self.limits.live_per_client:
            raise BusyError(BUSY)

    def _drop_silent(self) -> None:
        """Drop recordings of which nothing has arrived for long."""
        oldest = time.monotonic() - self.limits.live_silence_seconds
        for name, live in list(self._open.items()):
            if live.touched < oldest:
                self._drop(name)

    @contextmanager
    def _dropped_after_an_error(self, name: str) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._drop(name)
            raise

    def _drop(self, name: str) -> None:
        self._close(name)
        self.sessions.delete(name)

    def _close(self, name: str) -> None:
        live = self._open.pop(name, None)
        if live is not None:
            live.close()


def as_row(event: LiveEvent) -> list[Any]:
    """Give an event as [kind, number, onset, offset, key, velocity]."""
    note = event.note
    return [event.kind, event.number, round(note.onset, 3), round(note.offset, 3), event.key, note.velocity]
