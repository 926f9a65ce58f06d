"""Live transcription: the final notes are those of the whole recording, bit for bit; provisional ones come early."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile

from hf_model.audio.recording import as_recording
from hf_model.inference import default_models
from hf_model.live.comparison import compare
from hf_model.live.known_notes import KnownNotes
from hf_model.live.transcription import LiveEvent, LiveTranscription
from hf_model.notes.note import Note
from hf_model.transcriber.transcriber import Transcriber

TWINKLE = [62, 62, 69, 69, 71, 71, 69, 67, 67, 66, 66, 64, 64, 62]


@pytest.fixture(scope="module")
def transcriber() -> Transcriber:
    found = default_models().transcriber
    assert isinstance(found, Transcriber)
    return found


@pytest.fixture(scope="module")
def sung(root: Path) -> tuple[np.ndarray, int]:
    return soundfile.read(root / "examples" / "twinkle.wav", dtype="float32")


def listen(live: LiveTranscription, audio: np.ndarray, size: int) -> list[LiveEvent]:
    events = [event for first in range(0, len(audio), size) for event in live.push(audio[first : first + size])]
    return events + list(live.finish())


@pytest.fixture(scope="module")
def transcribed(transcriber: Transcriber, sung: tuple[np.ndarray, int]) -> tuple[LiveTranscription, list[LiveEvent]]:
    live = LiveTranscription(transcriber, sung[1])
    return live, listen(live, sung[0], 441)


def test_final_notes_are_those_of_the_file(transcriber, sung, transcribed) -> None:
    live, events = transcribed
    voice = as_recording(*sung).voice
    assert live.final == transcriber.transcribe(voice)
    assert [event.note for event in events if event.kind == "final"] == live.final
    assert [event.key for event in events if event.kind == "final"] == TWINKLE
    assert live.digest == hashlib.sha256(voice.tobytes()).hexdigest()


def test_provisional_notes_come_within_a_quarter_of_a_second(transcribed) -> None:
    live, events = transcribed
    found = compare(live.provisional, live.final)
    began = {event.number: event.time for event in events if event.kind == "on"}
    late = [began[number] - live.final[place].onset for number, place in found.pairs]
    assert len(found.pairs) >= 13
    assert len(found.withdrawn) <= 1
    assert np.median(late) < 0.12
    assert max(late) < 0.25


def test_every_note_that_begins_ends_before_the_next(transcribed) -> None:
    sounding = None
    for event in transcribed[1]:
        if event.kind == "on":
            assert sounding is None
            sounding = event.number
        elif event.kind == "off":
            assert sounding == event.number
            sounding = None
        elif event.kind == "pitch":
            assert sounding == event.number
    assert sounding is None


@pytest.mark.parametrize("size", [7_001])
def test_blocks_do_not_change_the_notes(transcriber, sung, transcribed, size: int) -> None:
    live = LiveTranscription(transcriber, sung[1])
    events = listen(live, sung[0], size)
    assert live.final == transcribed[0].final
    assert [(e.kind, e.number, e.note, e.key, e.time) for e in events if e.kind != "final"] == [
        (e.kind, e.number, e.note, e.key, e.time) for e in transcribed[1] if e.kind != "final"
    ]


def test_blocks_that_come_late_cost_less_and_end_the_same(transcriber, sung, transcribed, monkeypatch) -> None:
    live = LiveTranscription(transcriber, sung[1])
    computed = []
    compute = live._tail.compute
    monkeypatch.setattr(live._tail, "compute", lambda: computed.append(1) or compute())
    listen(live, sung[0], sung[1])
    assert live.final == transcribed[0].final
    assert 30 < len(computed) < 60  # of 219 steps
    assert len(live.provisional) >= 12


def test_a_shared_executor_is_left_open(transcriber) -> None:
    with ThreadPoolExecutor(1) as threads:
        live = LiveTranscription(transcriber, 16000, executor=threads)
        assert listen(live, np.zeros(8000, np.float32), 4000) == []
        assert live.final == []
        assert threads.submit(lambda: 5).result() == 5


def test_finish_twice_and_an_empty_recording(transcriber) -> None:
    live = LiveTranscription(transcriber, 44100)
    assert list(live.finish()) == []
    assert list(live.finish()) == []
    assert live.seconds == 0


def test_the_known_recording_is_not_transcribed_again(transcriber) -> None:
    voice = np.linspace(0, 0.5, 16000, dtype=np.float32)
    notes = [Note(0.1, 0.5, 60.0)]
    known = KnownNotes(transcriber, hashlib.sha256(voice.tobytes()).hexdigest(), notes)
    assert known.transcribe(voice) == notes
    assert known.transcribe(voice[:-1]) == []  # a ramp has no notes
    assert known.config is transcriber.config
