"""Attacks on the panels of the page: scores to practise with, words, edited notes, and the engraved score."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

from bench.reliability.attack_page import EXAMPLE, AttackedPage, Kind, convert_body, sing_body

MARKUP = "<script>alert(1)</script>"

WIDTHS = ("-1", "1e9", "99999", "0", "nan", "%00", "800&width=3", "%C2%B2")

TITLES = (MARKUP, "\0\x1b[31m", "\ud800", "../../../etc/x.wav", ".", "\uffff", "\r\n", "%s{0}")

WORDS = (MARKUP, "\0\1", "\ud800", "🎵" * 500, "a" * 10_000, "-" * 10_000, "<audio src='file:///etc/passwd'/>")

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
)
"""Rows of notes that no editor makes; those that are valid must give a score within the time of a request."""


def panels(page: AttackedPage, kind: Kind) -> None:
    """Send scores, words, notes and titles that are none, and those of other visitors."""
    name = page.upload(EXAMPLE.read_bytes())
    page.job(convert_body(name))
    place = f"/recordings/{name}"
    _strangers(page, kind, place)
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
