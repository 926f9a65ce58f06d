"""Attacks on recordings that are transcribed while they arrive."""

from __future__ import annotations

import json
import threading

from bench.reliability.attack_page import VICTIM, AttackedPage, Kind

RATES = ("", "0", "-1", "7999", "192001", "1e5", "16000.0", "9_600", "99999999999999999999", "16000&rate=x", "%00")

FIRSTS = ("", "-1", "1", "1.5", "nan", "99999999999", "0;0", "%30%00")


def live(page: AttackedPage, kind: Kind) -> None:
    """Begin with odd rates, send odd samples, too many, too fast, at once; leave without an end."""
    for rate in RATES:
        kind.note(page.send("POST", f"/live?rate={rate}")[0], {400}, f"rate {rate}")
    bodies = (b"a", bytes(3), b"{}x", bytes((1 << 20) + 2))
    for query, body in [*((f"first={first}", b"ab") for first in FIRSTS), *(("first=0", body) for body in bodies)]:
        place = _begin(page)
        kind.note(page.send("POST", f"{place}/sound?{query}", body)[0], {400, 413}, f"{query} {len(body)}")
        page.send("POST", f"{place}/forget")  # a client has few at once
    place = _begin(page)
    for number in range(3):  # more than five seconds before their time
        status = page.send("POST", f"{place}/sound?first={number * 40000}", bytes(80000))[0]
        kind.note(status, {200, 400}, "too fast")
    kind.note(page.send("POST", f"{place}/sound?first=0", b"ab")[0], {400}, "after it was dropped")
    for path in ("sound?first=0", "end"):
        kind.note(page.send("POST", f"/recordings/{page.victim}/{path}", b"ab")[0], {400, 999}, f"the visitor's {path}")
    _at_once(page, kind)


def _begin(page: AttackedPage) -> str:
    """Begin a recording."""
    status, content = page.send("POST", "/live?rate=8000", source=VICTIM)
    if status != 200:
        raise SystemExit(f"no live recording: {status} {content[:100]!r}")
    return f"/recordings/{json.loads(content)['recording']}"


def _at_once(page: AttackedPage, kind: Kind) -> None:
    """Send the same samples in many requests at once: one is the next."""
    place, statuses = _begin(page), []

    def push() -> None:
        statuses.append(page.send("POST", f"{place}/sound?first=0", bytes(1600))[0])

    threads = [threading.Thread(target=push) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for status in statuses:
        kind.note(status, {200, 400}, "at once")
    if statuses.count(200) > 1:
        kind.findings.append(f"the same samples were taken {statuses.count(200)} times")
