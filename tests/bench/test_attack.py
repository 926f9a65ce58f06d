"""The attack on the page, small: every kind is refused, and a fault is found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.reliability.attack import attack, row_of
from bench.reliability.attack_kinds import KINDS
from bench.reliability.attack_page import Kind, Scale
from tests.page_server import PageServer

pytestmark = pytest.mark.xdist_group("page")

SMALL = Scale(connections=40, jobs=40, places=40, bomb_hours=0.2, every=9, mutated=40)
SLOW = "slow heads and bodies"
"""Takes longer than the deadlines, which have their own tests."""


@pytest.fixture(scope="module")
def page_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PageServer]:
    """A server of its own: recordings of other tests would take places, and the attack evicts the oldest."""
    server = PageServer(tmp_path_factory.mktemp("attacked"))
    yield server
    server.close()


def test_hostile_requests_do_no_harm(page_server: PageServer) -> None:
    kinds = attack(page_server, SMALL, [name for name in KINDS if name != SLOW])
    assert {kind.name: kind.findings for kind in kinds if kind.findings} == {}
    assert sum(kind.n_requests for kind in kinds) > 500
    assert all(kind.n_requests > 5 for kind in kinds)


def test_an_unexpected_answer_is_a_finding() -> None:
    kind = Kind("paths")
    for status in (404, 500, 200, 0):
        kind.note(status, {400, 404}, f"GET /{status}")
    assert kind.findings == ["GET /500: 500", "GET /200: 200"]
    assert row_of(kind)["result"].startswith("2 findings (1 404, 1 500, 1 200, 1 closed); GET /500: 500")


def test_what_an_attack_leaves_is_a_finding(page_server: PageServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def litter(page, kind) -> None:
        status, _ = page.send("POST", "/example")
        kind.note(status, {200}, "example")
        with page.server.errors.open("a") as log:
            log.write("Traceback (most recent call last):\n")

    monkeypatch.setitem(KINDS, "litter", litter)
    monkeypatch.setattr("bench.reliability.attack_page.SOON", 0.3)
    (kind,) = attack(page_server, SMALL, ["litter"])
    assert [finding.partition(":")[0] for finding in kind.findings] == ["left over", "a traceback in the log"]
    for name in page_server.files():
        page_server.post(f"/recordings/{Path(name).parts[1]}/forget")
