"""Transcription while one sings: provisional notes at once, and final ones that are those of the whole recording."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.resampling import StreamResampler
from hf_model.live.posteriors import TailPosteriors
from hf_model.live.tracker import NoteTracker, TrackedNote, TrackerConfig
from hf_model.notes.note import Note
from hf_model.notes.pitch import estimate_tuning
from hf_model.notes.velocity import HALF_RANGE, MIDDLE, SCALE_DB, note_levels
from hf_model.transcriber.transcriber import Transcriber

STEP_SECONDS = 0.04
"""Seconds of audio after which the provisional notes are computed anew."""

TUNING_NOTES = 40
"""The singer's tuning is estimated from so many of the last notes."""

LEVEL_NOTES = 20
"""A velocity is relative to the level of so many notes before."""

LATE_SECONDS, LATE_STEPS = 0.5, 5
"""Blocks that are longer come late: their provisional notes are computed after every ``LATE_STEPS`` steps only."""

MAX_WAITING = 100
"""Blocks that may wait for the final transcription, until more of them make the caller wait."""

Kind = Literal["on", "pitch", "off", "final"]


@dataclass(frozen=True)
class LiveEvent:
    """Something that happened to a note.

    Attributes
    ----------
    kind : {"on", "pitch", "off", "final"}
        A provisional note began, its pitch was corrected, it ended; a note is final.
    number : int
        Of the provisional note, from 0; of a final note, its place among the final notes.
    note : Note
        A note that sounds ends now.
    key : int
        The piano key, by the singer's tuning as far as it is known.
    time : float
        Seconds of audio that had arrived.
    """

    kind: Kind
    number: int
    note: Note
    key: int
    time: float


class LiveTranscription:
    """Transcribe audio that arrives in blocks, with two speeds.

    Provisional notes follow from simple rules on the posteriors of the last moments, as if the recording ended now.
    The final notes are those that :meth:`Transcriber.transcribe` gives for the whole recording, bit for bit; they are
    computed in another thread, and come when all is known that they depend on. The size of the blocks does not change
    them; it changes the provisional notes of blocks longer than ``LATE_SECONDS``.

    Parameters
    ----------
    transcriber : Transcriber
    sample_rate : int
        Hz, of the blocks.
    config : TrackerConfig, optional
    executor : Executor, optional
        Runs the final transcription; by default, a thread of its own.

    Attributes
    ----------
    provisional : dict of int to Note
        All provisional notes by number, with their last pitch.
    final : list of Note
        The final notes so far, without velocities.
    """

    def __init__(
        self,
        transcriber: Transcriber,
        sample_rate: int,
        *,
        config: TrackerConfig | None = None,
        executor: Executor | None = None,
    ) -> None:
        grid = transcriber.stft_config
        self._frame_rate, self._rate = grid.frame_rate, grid.sample_rate
        self._resampler = StreamResampler(sample_rate, grid.sample_rate)
        self._tracker = NoteTracker(config)
        self._tail = TailPosteriors(transcriber, self._tracker.config.tail_frames)
        self._stream = transcriber.stream()
        self._own = None if executor else ThreadPoolExecutor(1, "final-notes")
        self._executor = executor or self._own
        self._waiting: deque[Future[list[Note]]] = deque()
        self._step = round(STEP_SECONDS * grid.sample_rate)
        self._rest = np.zeros(0, dtype=np.float32)
        self._levels: deque[float] = deque(maxlen=LEVEL_NOTES)
        self._tuning = 0.0
        self.provisional: dict[int, Note] = {}
        self.final: list[Note] = []
        self._is_finished = False
        self._sha256 = hashlib.sha256()

    @property
    def digest(self) -> str:
        """SHA-256 of the samples (float32 at 16 kHz) so far."""
        return self._sha256.hexdigest()

    @property
    def seconds(self) -> float:
        """Length of the recording so far."""
        return (self._tail.n_samples + self._rest.size) / self._rate

    def push(self, block: NDArray[np.float32]) -> Iterator[LiveEvent]:
        """Take the next samples (sample,), full scale at 1, and yield what happens."""
        samples = self._resampler.push(block)
        self._submit(samples)
        self._rest = np.concatenate([self._rest, samples])
        is_late = samples.size > LATE_SECONDS * self._rate
        n_steps = self._rest.size // self._step
        for number in range(1, n_steps + 1):
            self._tail.push(self._rest[: self._step])
            self._rest = self._rest[self._step :]
            if not is_late or number % LATE_STEPS == 0 or number == n_steps:
                yield from self._track()
        yield from self._collect(MAX_WAITING)

    def finish(self) -> Iterator[LiveEvent]:
        """End the recording, and yield the rest of the events; then :attr:`final` is complete."""
        if self._is_finished:
            return
        self._is_finished = True
        samples = self._resampler.finish()
        self._submit(samples, is_last=True)
        frame = round(self.seconds * self._frame_rate)
        for _, note in self._tracker.finish(frame):
            yield self._event("off", note)
        yield from self._collect(0)
        self.close()

    def close(self) -> None:
        """Give up: what is not computed yet is left out."""
        for call in self._waiting:
            call.cancel()
        self._waiting.clear()
        if self._own:
            self._own.shutdown(cancel_futures=True)

    def _submit(self, samples: NDArray[np.float32], *, is_last: bool = False) -> None:
        """Give samples to the final transcription."""
        self._sha256.update(samples.astype(np.float32, copy=False).tobytes())

        def transcribe() -> list[Note]:
            notes = self._stream.push(samples)
            return notes + self._stream.finish() if is_last else notes

        assert self._executor
        self._waiting.append(self._executor.submit(transcribe))

    def _collect(self, n_waiting: int) -> Iterator[LiveEvent]:
        """Yield the final notes that are computed; wait until at most ``n_waiting`` blocks are not."""
        while self._waiting and (self._waiting[0].done() or len(self._waiting) > n_waiting):
            for note in self._waiting.popleft().result():
                self.final.append(note)
                yield LiveEvent("final", len(self.final) - 1, note, self._key(note.pitch), self.seconds)

    def _track(self) -> Iterator[LiveEvent]:
        """Compute the provisional notes once."""
        tail = self._tail.compute()
        for kind, note in self._tracker.update(tail.first, tail.onset, tail.voicing, tail.pitch):
            yield self._event(kind, note)

    def _event(self, kind: Kind, tracked: TrackedNote) -> LiveEvent:
        now = self._tail.n_samples / self._rate
        onset = tracked.onset / self._frame_rate
        offset = now if tracked.offset is None else tracked.offset / self._frame_rate
        before = self.provisional.get(tracked.number)
        velocity = before.velocity if before else self._velocity(onset)
        note = Note(onset, max(offset, onset + 0.01), tracked.pitch, velocity, tracked.confidence)
        if kind != "off" or before is None:
            known = [*list(self.provisional.values())[-TUNING_NOTES:], note]
            self._tuning = estimate_tuning([one.pitch for one in known], [one.duration for one in known])
        self.provisional[tracked.number] = note
        return LiveEvent(kind, tracked.number, note, self._key(note.pitch), now)

    def _key(self, pitch: float) -> int:
        return min(max(round(pitch - self._tuning), 0), 127)

    def _velocity(self, onset: float) -> int:
        """Compare the level since an onset with that of the notes before."""
        sound = self._tail.since(onset)
        if sound.size == 0:
            return round(MIDDLE)
        level = float(note_levels(sound, self._rate, [Note(0.0, max(0.01, sound.size / self._rate), 60.0)])[0])
        self._levels.append(level)
        return round(MIDDLE + HALF_RANGE * float(np.tanh((level - np.median(self._levels)) / SCALE_DB)))
