"""The running server: strangers' files, many visitors at once, nothing left behind, nobody called."""

import http.client
import io
import json
import pickle
import runpy
import socket
import struct
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
import yaml

from hf_model import __version__
from hf_model.app.sessions import PREFIX
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
from tests.page_server import PageServer
from tests.stand_ins import tones

pytestmark = pytest.mark.xdist_group("page")

CANNOT = "This file cannot be used: "
NO_AUDIO = CANNOT + "no audio can be read from it"


def wav(audio: np.ndarray, sample_rate: int = 44100, subtype: str = "PCM_16") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, audio, sample_rate, subtype=subtype, format="WAV")
    return file.getvalue()


def header(channels: int = 1, sample_rate: int = 44100, n_bytes: int = 8000) -> bytes:
    """A wav file of silence whose header says what is wished."""
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
    "noise": (wav(0.005 * np.random.default_rng(0).standard_normal(44100)), "I hear no voice in this recording"),
    "one sample": (wav(np.full(1, 0.5)), "This recording is too short for a note"),
}


def test_hostile_and_broken_files_get_a_sentence_and_leave_nothing(page_server: PageServer, tmp_path: Path) -> None:
    assert len(HOSTILE) >= 30
    before = page_server.files()
    for name, (made, sentence) in HOSTILE.items():
        done, answer = page_server.listen(made(tmp_path) if callable(made) else made)
        assert not done, name
        assert str(answer).startswith(sentence), f"{name}: {answer}"
        assert len(answer) < 200, name
        assert "/" not in answer.replace("http://", ""), f"{name}: no path of the server"
        assert page_server.is_alive(), name
        assert page_server.files() == before, name
    assert "Traceback" not in page_server.errors.read_text()


def test_what_is_too_large_is_refused_before_it_is_sent_and_while(page_server: PageServer) -> None:
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
        pass  # the server has closed the door while we were still sending
    connection.close()
    for _ in range(50):
        if page_server.files() == before:
            break
        time.sleep(0.1)
    assert page_server.files() == before
    assert page_server.is_alive()


def test_a_visitor_who_goes_while_sending_leaves_nothing(page_server: PageServer) -> None:
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


@pytest.mark.parametrize(
    "join",
    [
        b"",
        b"{",
        b"[]",
        b'{"data": 7}',
        b'{"data": [], "fn_index": 99, "session_hash": "a"}',
        b'{"data": [1], "fn_index": 0}',
    ],
)
def test_nonsense_in_the_line_is_refused(page_server: PageServer, join: bytes) -> None:
    status, _ = page_server.post("/engine/gradio_api/queue/join", join, **{"Content-Type": "application/json"})
    assert 400 <= status < 600
    assert page_server.is_alive()


@pytest.mark.parametrize("data", [["0" * 32, 0, {}], [7, "x", 3], [None, None, None], ["../..", 0, {}]])
def test_jobs_for_what_is_not_there_get_a_sentence(page_server: PageServer, data: list[object]) -> None:
    for function in (0, 1):
        done, answer = page_server.job(function, *data)
        assert not done
        assert "no longer on the server" in answer


def test_twenty_visitors_at_once_are_all_served(page_server: PageServer, root: Path) -> None:
    before, files = page_server.peak_megabytes(), page_server.files()
    voice, sample_rate = soundfile.read(root / "examples" / "twinkle.wav")
    results: list[tuple[bool, dict]] = []
    waited: list[float] = []

    def visit(number: int) -> None:
        began = time.monotonic()
        results.append(page_server.listen(wav(voice[: len(voice) - 100 * number], sample_rate)))
        waited.append(time.monotonic() - began)

    visitors = [threading.Thread(target=visit, args=(number,)) for number in range(20)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join(120)
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


def test_the_line_has_an_end(page_server: PageServer) -> None:
    join = json.dumps({"data": ["0" * 32, [], {}], "fn_index": 1, "session_hash": "crowd"}).encode()
    answers: list[int] = []
    crowd = [
        threading.Thread(
            target=lambda: answers.append(
                page_server.post("/engine/gradio_api/queue/join", join, **{"Content-Type": "application/json"})[0]
            )
        )
        for _ in range(100)
    ]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join(60)
    assert set(answers) <= {200, 503}
    assert page_server.is_alive()


def test_the_example_is_the_one_in_the_repository(root: Path) -> None:
    shipped, _ = soundfile.read(root / "hf_model" / "app" / "page" / "example.flac", dtype="int16")
    kept, _ = soundfile.read(root / "examples" / "twinkle.wav", dtype="int16")
    np.testing.assert_array_equal(shipped, kept)


def test_nobody_else_was_called(page_server: PageServer) -> None:
    status, answer = page_server.post("/example")
    done, _ = page_server.job(0, answer["recording"], 0, {})
    assert (status, done) == (200, True)
    assert page_server.outside() == []


def test_a_server_that_is_told_to_end_deletes_everything(tmp_path: Path) -> None:
    server = PageServer(tmp_path)
    server.post("/example")
    assert list(server.temporary.glob(f"{PREFIX}*"))
    assert server.close() == 0
    assert not list(server.temporary.glob(f"{PREFIX}*"))
    assert server.outside() == []


def test_the_space_runs_this_version(root: Path) -> None:
    card = yaml.safe_load((root / "space" / "README.md").read_text(encoding="utf-8").split("---")[1])
    assert (card["sdk"], card["app_file"], card["license"]) == ("gradio", "app.py", "mit")
    assert f"gradio=={card['sdk_version']}" in (root / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert f"hummingface-{__version__}-py3-none-any.whl[app]" in (root / "space" / "requirements.txt").read_text()


def test_a_space_is_open_to_all_and_may_be_framed_by_the_hub_alone(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    served = {}
    monkeypatch.setattr("hf_model.app.server.serve", lambda host, port: served.update(host=host, port=port))
    runpy.run_path(str(root / "space" / "app.py"), run_name="__main__")
    assert served == {"host": "0.0.0.0", "port": 7860}


def test_an_address_that_is_taken_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["app", "--port", str(port)]) == 1
    assert capsys.readouterr().err == f"hummingface: error: cannot listen at 127.0.0.1:{port}: Address already in use\n"


def test_without_the_extra_a_sentence_tells_what_to_install(root: Path) -> None:
    program = "import sys; sys.modules['gradio'] = None; from hf_model.cli.main import main; sys.exit(main(['app']))"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=root, timeout=60)
    assert (ran.returncode, ran.stderr) == (
        1,
        "hummingface: error: gradio is not installed: pip install 'hummingface[app]'\n",
    )
