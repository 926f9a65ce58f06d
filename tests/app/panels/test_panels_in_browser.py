"""The panels of the page in Chromium, on a desktop and on a phone: the engraved score."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.app.test_browser import (  # noqa: F401 (fixtures)
    CHROMIUM,
    DESKTOP,
    PHONE,
    TWINKLE,
    Visit,
    chromium,
    driver,
    pytestmark,
)
from tests.page_server import PageServer

SIZES = pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
HOSTILE = "<img src=x onerror=alert(1)> & 'twinkle'.flac"


def open_example(browser, server: PageServer, size: dict[str, int], root: Path, name: str = HOSTILE) -> Visit:
    visit = Visit(browser, server)
    visit.page.set_viewport_size(size)
    sound = (root / "hf_model" / "app" / "page" / "example.flac").read_bytes()
    visit.page.set_input_files("#file", {"name": name, "mimeType": "audio/flac", "buffer": sound})
    visit.ready()
    return visit


def see_score(visit: Visit, version: int):
    visit.page.locator("#score").scroll_into_view_if_needed()
    visit.page.wait_for_selector(f"#score-view[data-version='{version}'] g.note")
    return visit.page.locator("#score-view")


@SIZES
def test_the_score_is_engraved_and_follows(chromium, page_server: PageServer, root: Path, size) -> None:  # noqa: F811
    pytest.importorskip("verovio")
    visit = open_example(chromium, page_server, size, root)
    page = visit.page
    view = see_score(visit, 1)
    assert page.locator("#score-view g.note").count() == len(TWINKLE)
    assert view.locator("img, script, style, a").count() == 0, "the name of the file is text"
    assert "<img src=x onerror=alert(1)>" in view.inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    picture = page.locator("#score-view > svg").bounding_box()
    assert picture["width"] <= view.bounding_box()["width"]
    systems = page.locator("#score-view g.system").count()
    assert (systems == 1) == (size is DESKTOP)
    page.click("#play")
    page.wait_for_selector("#score-view g.note.now >> nth=0")
    page.click("#play")
    page.locator("#score-view g.note").nth(6).click()
    assert page.inner_text("#score-said") == "A4"
    at = float(page.input_value("#seek"))
    assert 2.5 < at < 4.5
    page.wait_for_selector("#play[aria-label=Play]")
    assert at < float(page.input_value("#seek")) < at + 2, "the note alone is played"
    view.focus()
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#score-said") == "G4"
    page.wait_for_selector("#play[aria-label=Play]")
    page.focus("#transpose")
    page.keyboard.press("ArrowRight")
    visit.ready(2)
    see_score(visit, 2)
    page.locator("#score-view g.note").nth(6).click()
    assert page.inner_text("#score-said") == "B♭4"
    assert page_server.get(f"/recordings/{'0' * 32}/score.json")[0] == 404
    if size is DESKTOP:
        page.set_viewport_size(PHONE)
        page.wait_for_function("() => document.querySelectorAll('#score-view g.system').length > 1")
    visit.close()
