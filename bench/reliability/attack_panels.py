"""Attacks on the panels of the page: scores to practise with, words, edited notes, and the engraved score."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import soundfile

from bench.reliability.attack_page import EXAMPLE, VICTIM, AttackedPage, Kind, convert_body, sing_body

PROMPT = 3.0
"""Seconds in which the visitor's page answers while scores are engraved."""

MARKUP = "<script>alert(1)</script>"

WIDTHS = ("-1", "1e9", "99999", "0", "nan", "%00", "800&width=3", "%C2%B2")

TITLES = (MARKUP, "\0\x1b[31m", "\ud800", "../../../etc/x.wav", ".", "\uffff", "\r\n", "%s{0}")

WORDS = (
    MARKUP,
    "\0\1",
    "\ud800",
    "🎵" * 500,
    "a" * 10_000,
    "-" * 10_000,
    "<audio src='file:///etc/passwd'/>",
    "na-na " * 800,
)

NOTES: tuple[Any, ...] = (
    [[-1e6, 1, 60, 80, 1]],
    [[-1e6, -1e5, 60, 80, 1]],
    [[1e6, 1e6, 60, 80, 1]],
    [[0.1, 0.1, 60, 80, 1]],
    [[0, 1e6, 60, 80, 1]],
    [[0.1, 0.1 + 1e-12, 60, 80, 1]],
    [[1, 2, 60, 80, 1]] * 300,
    [[0, 1, 60, 0, 0]],
    [],
    [[0.004 * number, 300, 60, 80, 1] for number in range(3000)],
    [[0.002 * number, 0.002 * number + 0.001, 60 + number % 12, 80, 1] for number in range(5000)],
    [[0.01 * number, 0.01 * number + 0.009, 60 + number % 12, 80, 1] for number in range(2900)],
    [[0.1 * number, 0.1 * number + 0.39, 60 + number % 12, 80, 1] for number in range(1000)],
    [[0, 3600, 60, 80, 1]],
)
"""Rows of notes that no editor makes; those that are valid must give a score within the time of a request."""


def panels(page: AttackedPage, kind: Kind) -> None:
    """Send scores, words, notes and titles that are none, and those of other visitors."""
    name = page.upload(_long_recording())
    page.job(convert_body(name))
    place = f"/recordings/{name}"
    _strangers(page, kind, place)
    _beside_slow_scores(page, kind, name)
    for width in WIDTHS:
        kind.note(page.send("GET", f"{place}/score.json?width={width}")[0], {200}, f"width {width}")
    # Every thread of the server keeps some memory the first time that it engraves; from here on it must not grow.
    page.memory = max(page.memory, page.server.memory_megabytes())
    for what, score in _scores():
        status, _ = page.send("POST", f"{place}/practice", score)
        kind.note(status, {200, 400}, what)
        _job(page, kind, name, {"job": "practice", "notes": [[0, 1, 60, 80, 1]]}, what)
    for notes in NOTES:
        keys = [None] * len(notes)
        _job(page, kind, name, {"job": "render", "notes": notes, "keys": keys, "settings": {}}, f"{notes[:1]}")
    page.job(convert_body(name))
    for words in WORDS:
        _job(page, kind, name, json.loads(sing_body(name, words)), words[:40])
    for title in TITLES:
        _job(page, kind, name, {"job": "convert", "start": 0, "settings": {}, "title": title}, title[:40])
    kind.note(page.send("POST", f"{place}/forget")[0], {204}, "forget")


def _strangers(page: AttackedPage, kind: Kind, place: str) -> None:
    """Ask for panels of recordings that do not exist, from other sites, and send too much."""
    for recording in ("0" * 32, page.victim[::-1]):
        for file in ("score.json", "structure.json"):
            kind.note(page.send("GET", f"/recordings/{recording}/{file}")[0], {400}, file)
        kind.note(page.send("POST", f"/recordings/{recording}/practice", b"a")[0], {400}, "a stranger's score")
    for headers in ({"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}):
        kind.note(page.send("POST", f"{place}/practice", b"a", headers)[0], {403}, str(headers))
    kind.note(page.send("POST", f"{place}/practice", b"", {"content-length": str(2 << 20)})[0], {413}, "2 MB")
    kind.note(page.send("POST", f"{place}/practice", b"")[0], {400}, "an empty score")


def _beside_slow_scores(page: AttackedPage, kind: Kind, name: str) -> None:
    """Ask for many scores of many notes at once: a visitor's pages and jobs must not wait for them."""
    rows = [[0.1 * number, 0.1 * number + 0.1, 60 + number % 12, 80, 1] for number in range(400)]
    _job(page, kind, name, {"job": "render", "notes": rows, "settings": {}}, "400 notes")
    visitors = page.upload(EXAMPLE.read_bytes(), VICTIM)
    page.job(convert_body(visitors), VICTIM)
    short = {"job": "render", "recording": visitors, "notes": [[0, 1, 60, 80, 1]], "settings": {}}
    tries: dict[str, Callable[[], tuple[int, object]]] = {
        "the page": lambda: page.send("GET", "/", source=VICTIM),
        "structure": lambda: page.send("GET", f"/recordings/{visitors}/structure.json", source=VICTIM),
        "a job": lambda: page.job(json.dumps(short).encode(), VICTIM),
    }
    with ThreadPoolExecutor(8) as threads:
        targets = [f"/recordings/{name}/score.json?width={300 + 20 * number}" for number in range(8)]
        asked = [threads.submit(page.send, "GET", target, timeout=60) for target in targets]
        for what, ask in tries.items():
            began = time.monotonic()
            kind.note(ask()[0] or 500, {200}, f"{what} beside scores")
            if time.monotonic() - began > PROMPT:
                kind.findings.append(f"{what} took {time.monotonic() - began:.1f} s beside scores")
        for answer in asked:
            kind.note(answer.result()[0] or 500, {200}, "one of many scores")
    page.send("POST", f"/recordings/{visitors}/forget", source=VICTIM)


def _long_recording() -> bytes:
    """Repeat the example until it is long enough for many notes."""
    audio, sample_rate = soundfile.read(EXAMPLE, dtype="float32")
    content = io.BytesIO()
    soundfile.write(content, np.tile(audio, 1 + int(60 * sample_rate / len(audio))), sample_rate, format="FLAC")
    return content.getvalue()


def _job(page: AttackedPage, kind: Kind, name: str, body: dict[str, Any], what: str) -> None:
    """Run a job, which may fail in a sentence; what was rendered has a score and a matrix without markup."""
    status, message = page.job(json.dumps({"recording": name} | body).encode())
    kind.note(status, {200, 400}, what)
    if "went wrong" in str(message):
        kind.findings.append(f"{what!r}: {message}")
    for file in ("score.json?width=500", "structure.json"):
        answer, content = page.send("GET", f"/recordings/{name}/{file}")
        kind.note(answer or 500, {200}, f"{file} after {what!r}")
        pictures = json.loads(content).get("pictures", []) if answer == 200 else []
        if any("<script" in picture for picture in pictures):
            kind.findings.append(f"{file} repeats markup")


def _scores() -> list[tuple[str, bytes]]:
    """Give files that are no scores, or endless ones."""
    head = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    note = b"<note><pitch><step>C</step><octave>4</octave></pitch><duration>%b</duration></note>"
    part = b'<score-partwise><part-list><score-part id="a"/></part-list><part id="a"><measure>%b</measure></part>'
    repeat = b'<barline><repeat direction="backward" times="1000000000"/></barline>'
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../a.musicxml", bytes(50_000_000))
    return [
        ("a file of the server", head + b"<score-partwise>&x;</score-partwise>"),
        ("deep elements", b"<score-partwise>" + b"<a>" * 50_000),
        ("endless repeats", part % (note % b"1" + repeat) + b"</score-partwise>"),
        *(
            (f"a duration of {size!r}", part % (note % size) + b"</score-partwise>")
            for size in (b"nan", b"1e300", b"-1")
        ),
        ("an archive of 50 MB", bomb.getvalue()),
        ("a cut archive", bomb.getvalue()[:100]),
        ("a table without numbers", b"onset,offset,pitch\nnan,inf,60\n"),
        ("a table of large numbers", b"onset,offset,pitch\n0,1,60\n1e300,1e308,60\n"),
        ("a cut MIDI file", b"MThd\0\0\0\6\0\1\0\1\0\0MTrk"),
        ("zeros", bytes(1 << 20)),
    ]
