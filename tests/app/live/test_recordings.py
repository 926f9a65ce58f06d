"""Recordings that are transcribed while they arrive: notes, the result, limits, and odd or hostile clients."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from urllib.error import URLError

import pytest
import soundfile

from hf_model.app.jobs import convert_part
from hf_model.app.limits import BusyError, Limits, PageError
from hf_model.app.live import recordings as live_module
from hf_model.app.live.recordings import (
    BUSY,
    ENDED,
    NOT_NEXT,
    ODD,
    TOO_FAST,
    TOO_LONG,
    UNUSABLE,
    WHOLE_ONLY,
    LiveRecordings,
)
from hf_model.app.page_json import Part
from hf_model.app.sessions import GONE, Sessions
from hf_model.inference import default_models, transcribe_recording
from hf_model.transcriber.transcriber import Transcriber
from tests.fakes import tone_models
from tests.page_server import PageServer

SMALL = Limits(part_seconds=4.0, whole_seconds=4.0, live=3, live_per_client=2)


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveRecordings]:
    sessions = Sessions(SMALL, tmp_path)
    made = LiveRecordings(sessions, default_models())
    yield made
    for name in list(made._open):
        made._close(name)
    sessions.close()


@pytest.fixture(scope="module")
def sung(root: Path) -> tuple[bytes, int]:
    voice, rate = soundfile.read(root / "examples" / "twinkle.wav", dtype="int16")
    return voice[: round(2.6 * rate)].astype("<i2").tobytes(), rate


def send(live: LiveRecordings, name: str, body: bytes, size: int = 4410) -> list[list]:
    events = []
    for first in range(0, len(body), 2 * size):
        answer = live.push(name, first // 2, body[first : first + 2 * size])
        events += answer["events"]
    return events


def test_the_result_is_made_without_transcribing_again(live, sung, monkeypatch) -> None:
    body, rate = sung
    name = live.begin("me", rate)
    events = send(live, name, body)
    assert [event[0] for event in events][:2] == ["on", "off"]
    assert {event[4] for event in events if event[0] == "on"} <= {62, 69, 71}
    ended = live.end(name)
    assert ended["duration"] == len(body) / 2 / rate
    assert [event[4] for event in ended["events"] if event[0] == "final"] == [62, 62, 69, 69]
    session = live.sessions.find(name)
    assert len(live) == 0
    assert session.whole is not None
    expected = transcribe_recording(session.whole, source="voice")
    monkeypatch.setattr(Transcriber, "transcribe", lambda *_: pytest.fail("transcribed again"))
    result = convert_part(session, Part(source="voice"), {}, default_models(), SMALL, lambda *_: None)
    assert result["notes"] == [
        [round(n.onset, 4), round(n.offset, 4), round(n.pitch, 3), n.velocity, round(n.confidence, 3)]
        for n in expected.notes
    ]


def test_a_part_of_it_is_transcribed_as_usual(live, sung) -> None:
    name = live.begin("me", sung[1])
    send(live, name, sung[0])
    live.end(name)
    session = live.sessions.find(name)
    result = convert_part(session, Part(1.3, 2.6, "voice"), {}, default_models(), SMALL, lambda *_: None)
    assert [round(note[2]) for note in result["notes"]] == [69, 69]


@pytest.mark.parametrize(
    ("first", "body", "sentence"),
    [(1, b"ab", NOT_NEXT), (0, b"abc", ODD), (0, bytes(2 * 8000 * 5), TOO_LONG)],
)
def test_wrong_samples_end_the_recording(live, first: int, body: bytes, sentence: str) -> None:
    live.limits = replace(SMALL, part_seconds=4.0)
    name = live.begin("me", 8000)
    with pytest.raises(PageError, match=sentence):
        live.push(name, first, body)
    assert len(live) == len(live.sessions) == 0
    with pytest.raises(PageError, match=GONE):
        live.push(name, 0, b"ab")


def test_sound_that_comes_too_fast_ends_the_recording(live, monkeypatch) -> None:
    live.limits = replace(SMALL, part_seconds=60.0, whole_seconds=60.0)
    monkeypatch.setattr(live_module, "SPARE_SECONDS", 0.5)
    name = live.begin("me", 8000)
    live._open[name].began = time.monotonic() - 1.0
    live.push(name, 0, bytes(2 * 8000))
    with pytest.raises(PageError, match=TOO_FAST):
        live.push(name, 8000, bytes(2 * 16000))


def test_a_client_and_all_together_have_so_many_at_once(live) -> None:
    mine = [live.begin("me", 16000) for _ in range(2)]
    with pytest.raises(BusyError, match=BUSY):
        live.begin("me", 16000)
    live.begin("you", 16000)
    with pytest.raises(BusyError, match=BUSY):
        live.begin("she", 16000)
    live.sessions.delete(mine[0])  # the page was left
    live.begin("she", 16000)
    assert len(live) == 3


def test_a_recording_whose_client_has_gone_is_dropped(live) -> None:
    live.limits = replace(SMALL, live_silence_seconds=0.1)

    async def wait() -> None:
        running = asyncio.create_task(live.run())
        await asyncio.sleep(0.3)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    live.begin("me", 16000)
    asyncio.run(wait())
    assert len(live) == len(live.sessions) == 0
    assert [path for path in live.sessions.folder.iterdir() if path.is_dir()] == []


def test_an_empty_recording_and_a_second_end(live) -> None:
    name = live.begin("me", 16000)
    with pytest.raises(PageError, match="empty"):
        live.end(name)
    name = live.begin("me", 16000)
    live.push(name, 0, bytes(6400))
    live.end(name)
    with pytest.raises(PageError, match=ENDED):
        live.end(name)


@pytest.mark.parametrize("rate", [0, 7999, 192001])
def test_odd_sample_rates_are_refused(live, rate: int) -> None:
    with pytest.raises(PageError, match=UNUSABLE):
        live.begin("me", rate)
    assert len(live.sessions) == 0


def test_a_model_for_whole_recordings_is_not_used(tmp_path: Path) -> None:
    sessions = Sessions(SMALL, tmp_path)
    with pytest.raises(PageError, match=WHOLE_ONLY):
        LiveRecordings(sessions, tone_models()).begin("me", 16000)
    sessions.close()


@pytest.mark.xdist_group("page")
def test_the_routes_answer_and_refuse(page_server: PageServer, sung) -> None:
    body, rate = sung
    status, answer = page_server.post(f"/live?rate={rate}")
    assert status == 200
    place = f"/recordings/{answer['recording']}"
    status, answer = page_server.post(f"{place}/sound?first=0", body)
    assert status == 200
    assert answer["seconds"] == 2.6
    assert {event[0] for event in answer["events"]} >= {"on", "off"}
    status, answer = page_server.post(f"{place}/end")
    assert (status, answer["duration"]) == (200, 2.6)
    done, result = page_server.convert_uploaded(place.rpartition("/")[2])
    assert done
    assert [note[2] for note in result["played"]["notes"]] == [62, 62, 69, 69]

    other = {"Origin": "http://evil.example"}
    assert page_server.post("/live?rate=16000", **other)[0] == 403
    for path in ("/live", "/live?rate=-1", "/live?rate=1e5", "/live?rate=99999999999", f"{place}/sound?first=x"):
        assert page_server.post(path)[0] == 400, path
    with suppress(URLError):  # the server may close the connection before all of it was sent
        assert page_server.post(f"{place}/sound?first=0", bytes((1 << 20) + 2))[0] == 413
    assert page_server.post(f"/recordings/{'0' * 32}/sound?first=0", b"ab")[0] == 400
    assert page_server.get("/live?rate=16000")[0] == 405
    page_server.post(f"{place}/forget")
    assert page_server.post(f"{place}/end")[0] == 400
