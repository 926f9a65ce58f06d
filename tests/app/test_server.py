"""The running server: hostile files, simultaneous users, deletion of recordings, no outside connections."""

import asyncio
import http.client
import io
import json
import pickle
import socket
import struct
import sys
import threading
import time
import urllib.request
import zipfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from starlette.applications import Starlette

from hf_model.app.limits import Limits
from hf_model.app.server import _lifespan
from hf_model.app.sessions import PREFIX, Sessions
from hf_model.audio.grid import resampled_length
from hf_model.cli.main import main
from tests.cli.test_bad_input import (
    write_cut_flac,
    write_cut_m4a,
    write_cut_mp3,
    write_cut_webm,
    write_damaged_flac,
    write_not_finite,
)
from tests.fakes import tone_models, tones
from tests.page_server import PageServer

pytestmark = pytest.mark.xdist_group("page")

ID = "0" * 32
CANNOT = "This file cannot be used: "
NO_AUDIO = CANNOT + "no audio can be read from it"


def wav(audio: np.ndarray, sample_rate: int = 44100, subtype: str = "PCM_16") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, audio, sample_rate, subtype=subtype, format="WAV")
    return file.getvalue()


def header(channels: int = 1, sample_rate: int = 44100, n_bytes: int = 8000) -> bytes:
    """A wav file of silence with any header."""
    kind = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, sample_rate, (2 * sample_rate) % 2**32, 2, 16)
    return struct.pack("<4sI4s", b"RIFF", 2**31, b"WAVE") + kind + struct.pack("<4sI", b"data", n_bytes) + bytes(8000)


def written(write: Callable[[Path], object], suffix: str) -> Callable[[Path], bytes]:
    def give(folder: Path) -> bytes:
        path = folder / f"file{suffix}"
        write(path)
        return path.read_bytes()

    return give


def write_film(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 64
        for _ in range(5):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), dtype=np.uint8))))
        container.mux(stream.encode(None))


def write_zip_bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("song.wav", bytes(20_000_000))


def write_long_flac(path: Path) -> None:
    soundfile.write(path, np.zeros(605 * 4000), 4000)


HOSTILE: dict[str, tuple[bytes | Callable[[Path], bytes], str]] = {
    "empty": (b"", "This file is empty."),
    "text": (b"la la la\n" * 50, NO_AUDIO),
    "page": (b"<!doctype html><script>alert(1)</script>" * 9, NO_AUDIO),
    "script in a picture": (b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>', NO_AUDIO),
    "entities": (b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', NO_AUDIO),
    "noise bytes": (np.random.default_rng(0).bytes(50000), CANNOT),
    "zeros": (bytes(50000), CANNOT),
    "archive": (written(write_zip_bomb, ".zip"), CANNOT),
    "pickle": (pickle.dumps(list(range(1000))), CANNOT),
    "program": (lambda _: Path(sys.executable).read_bytes()[:100000], CANNOT),
    "MIDI": (b"MThd\0\0\0\6\0\0\0\1\0\x60MTrk\0\0\0\4\0\xff\x2f\0", CANNOT),
    "film without sound": (written(write_film, ".mp4"), CANNOT + "the file holds no sound"),
    "list of files": (b"ffconcat version 1.0\nfile '/etc/hostname'\n", NO_AUDIO),
    "list of addresses": (b"ffconcat version 1.0\nfile 'http://192.0.2.1/a.wav'\n", NO_AUDIO),
    "playlist of addresses": (b"#EXTM3U\n#EXTINF:1\nhttp://192.0.2.1/a.ts\n#EXT-X-ENDLIST\n", NO_AUDIO),
    "playlist of files": (b"#EXTM3U\n#EXTINF:1\nfile:///etc/passwd\n#EXT-X-ENDLIST\n", NO_AUDIO),
    "session description": (b"v=0\no=- 0 0 IN IP4 192.0.2.1\nm=audio 5004 RTP/AVP 0\nc=IN IP4 192.0.2.1\n", NO_AUDIO),
    "half a header": (wav(tones([60]))[:30], CANNOT),
    "no samples": (wav(np.zeros(0)), CANNOT),
    "no rate": (header(sample_rate=0), CANNOT),
    "impossible rate": (header(sample_rate=2**31), CANNOT),
    "no channels": (header(channels=0), CANNOT),
    "65535 channels": (header(channels=65535), CANNOT),
    "4 GB promised": (header(n_bytes=2**32 - 1), "This recording is too short"),
    "not a number": (written(write_not_finite(np.nan), ".wav"), CANNOT + "sample 16000"),
    "infinite": (written(write_not_finite(np.inf), ".wav"), CANNOT + "sample 16000"),
    "cut flac": (written(write_cut_flac, ".flac"), CANNOT),
    "damaged flac": (written(write_damaged_flac, ".flac"), CANNOT),
    "cut mp3": (written(write_cut_mp3, ".mp3"), CANNOT),
    "cut m4a": (written(write_cut_m4a, ".m4a"), CANNOT),
    "cut webm": (written(write_cut_webm, ".webm"), CANNOT),
    "ten hours": (written(write_long_flac, ".flac"), CANNOT + "it is longer than 10 minutes"),
    "silence": (wav(np.zeros(44100)), "This recording is silent"),
    "noise": (wav(0.005 * np.random.default_rng(0).standard_normal(44100)), "No voice was found in this recording"),
    "one sample": (wav(np.full(1, 0.5)), "This recording is too short for a note"),
}


def test_hostile_files_are_an_error_and_leave_nothing(page_server: PageServer, tmp_path: Path) -> None:
    assert len(HOSTILE) >= 30
    before = page_server.files()
    for name, (made, sentence) in HOSTILE.items():
        done, answer = page_server.convert(made(tmp_path) if callable(made) else made)
        assert not done, name
        assert str(answer).startswith(sentence), f"{name}: {answer}"
        assert len(answer) < 200, name
        assert "/" not in answer.replace("http://", ""), f"{name}: no path of the server"
        assert page_server.is_alive(), name
        assert page_server.files() == before, name
    assert "Traceback" not in page_server.errors.read_text()


def test_large_uploads_are_refused_before_and_while_sending(page_server: PageServer) -> None:
    before = page_server.files()
    host = page_server.address.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=30)
    connection.putrequest("POST", "/recordings")
    connection.putheader("Content-Length", str(10**12))
    connection.endheaders()
    answer = connection.getresponse()
    assert answer.status == 413
    assert "larger than 64 MB" in json.loads(answer.read())["error"]
    connection.close()
    connection = http.client.HTTPConnection(host, timeout=30)
    endless = (bytes(1 << 20) for _ in range(80))
    try:
        connection.request(
            "POST", "/recordings", body=endless, encode_chunked=True, headers={"Transfer-Encoding": "chunked"}
        )
        assert connection.getresponse().status == 413
    except OSError:
        pass  # the server closed the connection during the upload
    connection.close()
    for _ in range(50):
        if page_server.files() == before:
            break
        time.sleep(0.1)
    assert page_server.files() == before
    assert page_server.is_alive()


def test_an_aborted_upload_leaves_nothing(page_server: PageServer) -> None:
    before = page_server.files()
    host, port = page_server.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as connection:
        head = f"POST /recordings HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: 100000\r\n\r\n"
        connection.sendall(head.encode() + bytes(5000))
        for _ in range(50):
            if page_server.files() != before:
                break
            time.sleep(0.05)
    for _ in range(100):
        if page_server.files() == before:
            break
        time.sleep(0.1)
    assert page_server.files() == before


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"job": 7}', b'{"job": "convert", "recording": "a", "start": 0}'])
def test_invalid_jobs_are_refused(page_server: PageServer, body: bytes) -> None:
    status, answer = page_server.post("/jobs", body, **{"Content-Type": "application/json"})
    assert status == 400
    assert answer["error"].startswith("The request is not valid")
    assert page_server.is_alive()


def test_jobs_for_unknown_recordings_are_an_error(page_server: PageServer) -> None:
    for done, answer in (page_server.convert_uploaded(ID), page_server.render(ID, [], {})):
        assert not done
        assert "no longer on the server" in answer


def test_a_job_opens_no_files_and_addresses(page_server: PageServer, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("the content of a file of the server")
    before, errors = page_server.files(), page_server.errors.read_bytes()
    for path in (str(secret), "/dev/zero", "http://192.0.2.1/a.wav"):
        file = {"path": path, "meta": {"_type": "gradio.FileData"}}
        for done, answer in (
            page_server.convert_uploaded(file),
            page_server.render(ID, [file], {}),
            page_server.render(ID, [], {"arrangement": file}),
        ):
            assert not done
            assert answer.startswith("400: ")
    kept = [path.read_bytes() for path in page_server.temporary.rglob("*") if path.is_file()]
    assert not any(secret.read_bytes() in content for content in kept)
    assert page_server.files() == before
    assert page_server.outside() == []
    assert page_server.errors.read_bytes() == errors
    assert page_server.is_alive()


def test_a_long_name_does_not_exist(page_server: PageServer) -> None:
    assert page_server.get("/page/" + "a" * 300)[0] == 404
    assert page_server.get(f"/recordings/{ID}/" + "a" * 300)[0] == 404


def test_twenty_simultaneous_users_are_served(page_server: PageServer, root: Path) -> None:
    voice, sample_rate = soundfile.read(root / "examples" / "twinkle.wav")
    done, first = page_server.convert(wav(voice, sample_rate))
    assert done, "the models are loaded on first use"
    assert page_server.post(f"/recordings/{first['id']}/forget")[0] == 204
    before, files = page_server.peak_megabytes(), page_server.files()
    results: list[tuple[bool, dict]] = []
    waited: list[float] = []

    def convert(number: int) -> None:
        began = time.monotonic()
        results.append(page_server.convert(wav(voice[: len(voice) - 100 * number], sample_rate)))
        waited.append(time.monotonic() - began)

    users = [threading.Thread(target=convert, args=(number,)) for number in range(20)]
    for user in users:
        user.start()
    for user in users:
        user.join(120)
    assert [done for done, _ in results] == [True] * 20
    lengths = sorted(result["played"]["length"]["samples"] for _, result in results)
    assert lengths == sorted(resampled_length(len(voice) - 100 * n, sample_rate, 44100) for n in range(20))
    assert max(waited) < 60
    assert page_server.peak_megabytes() - before < 300, "one conversion at a time"
    for _, result in results:
        assert page_server.get(f"/recordings/{result['id']}/piano.wav")[0] == 200
        assert page_server.post(f"/recordings/{result['id']}/forget")[0] == 204
        assert page_server.get(f"/recordings/{result['id']}/piano.wav")[0] == 404
    assert page_server.files() == files


def test_the_example_is_the_one_in_the_repository(root: Path) -> None:
    shipped, _ = soundfile.read(root / "hf_model" / "app" / "page" / "example.flac", dtype="int16")
    kept, _ = soundfile.read(root / "examples" / "twinkle.wav", dtype="int16")
    np.testing.assert_array_equal(shipped, kept)


def test_a_conversion_makes_no_outside_connections(page_server: PageServer) -> None:
    status, answer = page_server.post("/example")
    done, _ = page_server.convert_uploaded(answer["recording"])
    assert (status, done) == (200, True)
    assert page_server.outside() == []


def test_a_terminated_server_exits_cleanly_and_deletes_all(tmp_path: Path) -> None:
    server = PageServer(tmp_path)
    server.post("/example")
    assert list(server.temporary.glob(f"{PREFIX}*"))
    assert server.close() == 0
    assert not list(server.temporary.glob(f"{PREFIX}*"))
    assert server.outside() == []


@pytest.mark.parametrize("cancelled", [False, True])
def test_shutdown_waits_for_the_warm_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cancelled: bool) -> None:
    began, finished, skipped = threading.Event(), threading.Event(), threading.Event()

    def slow_step() -> None:
        began.set()
        time.sleep(0.3)
        finished.set()

    monkeypatch.setattr("hf_model.app.server.warm_up", slow_step)
    monkeypatch.setattr("hf_model.app.spectrogram.trace_pitch", lambda *_: skipped.set())

    sessions = Sessions(Limits(), tmp_path)

    async def start_and_stop() -> None:
        async with _lifespan(sessions, tone_models())(Starlette()):
            await asyncio.to_thread(began.wait, 30)
            if cancelled:
                raise asyncio.CancelledError

    async def run() -> None:
        with pytest.raises(asyncio.CancelledError) if cancelled else nullcontext():
            await start_and_stop()
        assert finished.is_set()
        assert not any(thread.name == "warm-up" for thread in threading.enumerate())

    asyncio.run(run())
    sessions.close()
    assert finished.is_set()
    assert not skipped.is_set(), "later steps are not started"
    assert not any(thread.name == "warm-up" for thread in threading.enumerate())


def test_a_port_in_use_is_one_error_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["app", "--port", str(port)]) == 1
    assert capsys.readouterr().err == f"hummingface: error: cannot listen at 127.0.0.1:{port}: Address already in use\n"


def test_without_uvicorn_the_error_names_the_extra(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert main(["app", "--port", "0"]) == 1
    assert capsys.readouterr().err == "hummingface: error: uvicorn is not installed: pip install 'hummingface[app]'\n"


@pytest.mark.parametrize("token", ["short", "with space", "two\nlines", "x" * 129, "schlüssel-wort"])
def test_a_weak_token_is_wrong_usage(capsys: pytest.CaptureFixture[str], token: str) -> None:
    assert main(["app", "--port", "0", "--token", token]) == 2
    assert capsys.readouterr().err.startswith("hummingface: error: a token has 8 to 128 letters")


@pytest.mark.parametrize(("host", "token"), [("0.0.0.0", "auto"), ("0.0.0.0", ""), ("127.0.0.1", "auto")])
def test_the_terminal_says_what_is_open(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, host: str, token: str
) -> None:
    monkeypatch.setattr("uvicorn.Server.run", lambda _self, sockets: sockets[0].close())
    assert main(["app", "--host", host, "--port", "0", "--token", token]) == 0
    output = capsys.readouterr()
    assert output.out.startswith("HummingFace is at http://127.0.0.1:")
    assert ("/?token=" in output.out) == bool(token)
    assert ("open at all addresses of this machine" in output.err) == (host == "0.0.0.0")
    assert ("not encrypted" in output.err) == (host == "0.0.0.0")
    assert ("--token auto limits that" in output.err) == (host == "0.0.0.0" and not token)


@pytest.mark.parametrize(
    ("environment", "trusted"),
    [({}, ""), ({"FORWARDED_ALLOW_IPS": "10.0.0.9"}, "10.0.0.9"), ({"SPACE_ID": "a/b"}, "*")],
)
def test_forwarded_addresses_need_a_trusted_proxy(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], trusted: str
) -> None:
    configs = []
    monkeypatch.delenv("FORWARDED_ALLOW_IPS", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("uvicorn.Server.run", lambda self, sockets: configs.append(self.config) or sockets[0].close())
    assert main(["app", "--port", "0"]) == 0
    assert (configs[0].proxy_headers, configs[0].forwarded_allow_ips) == (bool(trusted), trusted)


def test_a_server_with_a_token_serves_who_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUMMINGFACE_TOKEN", "auto")
    server = PageServer(tmp_path)
    try:
        address, token = server.address, server.token
        assert len(token) >= 32
        assert [server.get(path)[0] for path in ("/", "/health", "/page/main.js", "/?token=" + token[1:])] == [401] * 4
        assert server.post("/example")[0] == 401
        assert server.post("/example", Authorization=f"Bearer {token}")[0] == 200
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        with browser.open(f"{address}/?token={token}", timeout=30) as page:
            assert page.url == f"{address}/"
            assert b"<title>" in page.read()
        with browser.open(f"{address}/page/main.js", timeout=30) as script:
            assert script.status == 200
    finally:
        assert server.close() == 0
    assert token not in server.errors.read_text()
