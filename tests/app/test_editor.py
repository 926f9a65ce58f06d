"""Notes edited on the page in Chromium: with the mouse, by touch on a phone, and with the keyboard."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from hf_model.notes.midi import read_midi
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

KEYBOARD, RULER = 34, 24
"""Pixels of the piano roll beside and above the notes."""

SECONDS = 8.755
"""Length of the example."""


WARNS = """() => {
    const leaving = new Event("beforeunload", { cancelable: true });
    dispatchEvent(leaving);
    return leaving.defaultPrevented;
}"""


class Editor(Visit):
    """The example, ready to be edited."""

    def __init__(self, browser, server: PageServer, size: dict[str, int] = DESKTOP, **options) -> None:
        super().__init__(browser, server, **options)
        self.page.set_viewport_size(size)
        self.page.click("#example")
        self.ready()
        self.page.evaluate("document.documentElement.style.scrollBehavior = 'auto'")
        self.page.click("#notes-panel summary")
        self.page.locator("#roll").scroll_into_view_if_needed()

    def rows(self) -> list[tuple[str, float, float]]:
        """Key, start and end of the notes, as the table tells them."""
        texts = self.page.eval_on_selector_all("#notes tbody input", "all => all.map((input) => input.value)")
        return [(key, float(on), float(off)) for key, on, off, _ in zip(*[iter(texts)] * 4, strict=True)]

    def keys(self) -> list[str]:
        return [key for key, _, _ in self.rows()]

    def place(self, seconds: float, key: float) -> tuple[float, float]:
        """Where a time and a key are on the screen; the roll is brought into view."""
        self.page.locator("#roll").scroll_into_view_if_needed()
        box = self.page.locator("#roll").bounding_box()
        lane = self.page.locator(".lane").bounding_box()
        lowest, highest = map(int, self.page.get_attribute("#roll", "data-keys").split())
        height = (box["height"] - RULER) / (highest - lowest + 1)
        x = lane["x"] + KEYBOARD + (lane["width"] - KEYBOARD) * seconds / SECONDS
        return x, box["y"] + RULER + (highest + 0.5 - key) * height

    def drag(self, start: tuple[float, float], stop: tuple[float, float], release: bool = True) -> None:
        mouse = self.page.mouse
        mouse.move(*start)
        mouse.down()
        mouse.move(*stop, steps=5)
        if release:
            mouse.up()

    def announced(self) -> str:
        return self.page.inner_text("#edit-status")

    def rendered(self) -> None:
        """Wait until the piano plays the edits."""
        self.page.wait_for_selector("body[data-state=ready]:has(#pending:empty)")

    def newer(self, version: int) -> None:
        """Wait for a rendering after this version, of all edits."""
        self.page.wait_for_function("version => Number(document.body.dataset.version) > version", arg=version)
        self.rendered()

    def begin_anew(self) -> None:
        """Take back what another test did, but for the history."""
        page = self.page
        if page.get_attribute("#play", "aria-label") == "Pause":
            page.click("#play")
        if page.get_attribute("#loop", "aria-pressed") == "true":
            page.click("#loop")
        self.rendered()
        version = self.version()
        if "edited" in page.inner_text("#notes-count"):
            page.click("#reset-notes")
        page.click("#settings button[type=reset]")
        self.newer(version)
        page.mouse.click(*self.place(0.1, 74))
        for _ in range(12):
            page.click("[data-edit=zoom-out]")
        page.locator("#seek").fill("0")

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)


@pytest.fixture(scope="module")
def opened(chromium, page_server: PageServer) -> Iterator[Editor]:  # noqa: F811
    made = Editor(chromium, page_server)
    yield made
    made.close()


@pytest.fixture
def editor(opened: Editor) -> Editor:
    """The example on a desktop as it was transcribed; the tests share one conversion."""
    opened.begin_anew()
    return opened


def middle(row: tuple[str, float, float]) -> float:
    return (row[1] + row[2]) / 2


def test_notes_are_dragged_with_the_mouse(editor: Editor, tmp_path: Path) -> None:
    page, before = editor.page, editor.rows()
    first, third = middle(before[0]), middle(before[2])
    editor.drag(editor.place(first, 62), editor.place(first + 0.01, 65))
    assert editor.announced() == f"D4, {before[0][1]:.1f} s, moved to F4"
    assert page.get_attribute("body", "data-sounded") == "65"
    assert editor.rows()[0] == ("F4", *before[0][1:]), "a drag to another pitch keeps the time"
    assert page.is_visible("#pending")
    editor.rendered()
    assert editor.played(tmp_path) == [65, *TWINKLE[1:]]
    end = before[-1][2]
    editor.drag(editor.place(before[-1][1] + 0.02, 62), editor.place(before[-1][1] + 0.22, 62))
    key, start, stop = editor.rows()[-1]
    assert (key, stop) == ("D4", end)
    assert start == pytest.approx(before[-1][1] + 0.2, abs=0.02)
    assert "s long" in editor.announced()
    editor.drag(editor.place(third, 69), editor.place(third + 0.3, 69))
    moved, neighbour = editor.rows()[2:4]
    assert moved[1] == pytest.approx(before[2][1] + 0.3, abs=0.02)
    assert neighbour == ("A4", moved[2], before[3][2]), "what it covers is cut off"
    editor.rendered()
    notes = read_midi(editor.download("midi", tmp_path))
    assert [round(note.onset, 1) for note in notes] == [round(onset, 1) for _, onset, _ in editor.rows()]
    for _ in range(3):
        editor.press("Control+z")
    assert editor.rows() == before
    editor.press("Control+Shift+z", "Control+y")
    assert editor.rows()[0][0] == "F4"
    assert editor.rows()[2] == before[2]


def test_a_drag_can_be_taken_back_and_passes_over_notes(editor: Editor) -> None:
    page, before, version = editor.page, editor.rows(), editor.version()
    start = editor.place(middle(before[0]), 62)
    editor.drag(start, editor.place(middle(before[1]), 62), release=False)
    assert len(editor.rows()) == 13
    page.mouse.move(*start, steps=3)
    page.mouse.up()
    assert editor.rows() == before, "what was only passed over is whole again"
    assert page.inner_text("#notes-count") == "14 notes"
    page.mouse.click(*editor.place(middle(before[6]), 69))
    assert editor.announced() == f"A4, {before[6][1]:.1f} s"
    assert page.get_attribute("body", "data-sounded") == "69"
    assert float(page.input_value("#seek")) == 0, "a click on a note plays it and stays"
    page.mouse.click(*editor.place(middle(before[6]), 74))
    assert float(page.input_value("#seek")) == pytest.approx(middle(before[6]), abs=0.05)
    assert page.is_disabled("[data-edit=delete]"), "nothing is selected"
    assert editor.version() == version


def test_notes_are_added_marked_and_deleted(editor: Editor, tmp_path: Path) -> None:
    page, before = editor.page, editor.rows()
    gap = before[7][1] - 0.3
    page.mouse.dblclick(*editor.place(gap, 67))
    key, start, stop = editor.rows()[7]
    assert key == "G4"
    assert start == pytest.approx(gap, abs=0.02)
    assert stop == before[7][1], "it ends where the next one begins"
    page.mouse.move(*editor.place(before[0][1] - 0.15, 60))
    editor.drag(editor.place(0.05, 60), editor.place(before[1][2] + 0.05, 64))
    editor.press("Delete")
    assert editor.announced() == "2 notes deleted"
    editor.rendered()
    assert editor.played(tmp_path) == [69, 69, 71, 71, 69, 67, *TWINKLE[7:]]
    editor.press("Control+z", "Control+z")
    assert editor.rows() == before
    editor.rendered()
    assert editor.played(tmp_path) == TWINKLE


def test_everything_is_edited_with_the_keyboard(editor: Editor, tmp_path: Path) -> None:
    page, before = editor.page, editor.rows()
    page.focus("#other-source")
    editor.press("Tab")
    assert page.evaluate("document.activeElement.id") == "roll"
    assert editor.announced() == f"D4, {before[0][1]:.1f} s"
    editor.press("Tab", "Tab", "Shift+Tab")
    assert editor.announced() == f"D4, {before[1][1]:.1f} s"
    editor.press("ArrowUp", "ArrowUp")
    assert editor.announced() == f"D4, {before[1][1]:.1f} s, moved to E4"
    editor.press("Shift+ArrowUp", "ArrowDown")
    assert editor.keys()[1] == "D♯5"
    page.wait_for_timeout(800)
    editor.press("Alt+ArrowRight", "Alt+ArrowRight", "Alt+ArrowLeft")
    assert editor.rows()[1][1] == pytest.approx(before[1][1] + 0.01, abs=0.006)
    page.wait_for_timeout(800)
    editor.press("Shift+ArrowLeft", "Shift+ArrowLeft")
    assert editor.rows()[1][2] == pytest.approx(before[1][2] - 0.01, abs=0.006)
    editor.press("Control+z", "Control+z", "Control+z")
    assert editor.rows() == before
    editor.press("s")
    assert "split at" in editor.announced()
    assert editor.keys()[:4] == ["D4", "D4", "D4", "A4"]
    assert editor.rows()[1][2] == editor.rows()[2][1] == pytest.approx(middle(before[1]), abs=0.01)
    editor.press("m")
    assert editor.rows()[1] == before[1]
    editor.press("Delete")
    assert len(editor.rows()) == 13
    editor.press("Tab")
    assert editor.announced() == f"A4, {before[2][1]:.1f} s"
    editor.press("Shift+ArrowUp")
    editor.press("Escape")
    editor.press("n")
    assert "added" in editor.announced(), "at the playhead, here the beginning"
    assert editor.rows()[0][1] == 0
    editor.rendered()
    assert editor.played(tmp_path) == [62, 62, 81, 69, *TWINKLE[4:]]
    editor.press("Escape", "Tab")
    assert page.evaluate("document.activeElement.id") != "roll", "Tab leaves after Escape"


def test_tab_leaves_the_roll_after_the_last_note(editor: Editor) -> None:
    page = editor.page
    page.focus("#roll")
    editor.press(*["Tab"] * 14)
    assert editor.announced() == f"D4, {editor.rows()[-1][1]:.1f} s"
    editor.press("Tab")
    assert (
        page.evaluate("document.activeElement.dataset.edit") == "undo"
        or page.evaluate("document.activeElement.dataset.edit") == "add"
    )
    page.focus("#tempo")
    editor.press("s", "Delete")
    assert len(editor.rows()) == 14, "keys of a field edit no notes"
    page.focus("#roll")
    editor.press("?")
    assert page.is_visible("#keys-list")
    assert {"Ctrl+Z", "S", "M", "N", "L", "T"} <= set(page.locator("#keys-list dt").all_inner_texts())
    editor.press("Delete", "Escape")
    assert page.is_hidden("#keys-list")
    assert len(editor.rows()) == 14
    assert page.get_attribute("#roll", "role") == "application"
    assert page.get_attribute("#edit-status", "role") == "status"


class Touch:
    """Fingers on the screen."""

    def __init__(self, visit: Visit) -> None:
        self.session = visit.context.new_cdp_session(visit.page)

    def send(self, kind: str, *places: tuple[float, float]) -> None:
        points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(places)]
        self.session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    def tap(self, place: tuple[float, float]) -> None:
        self.send("touchStart", place)
        self.send("touchEnd")

    def drag(self, start: tuple[float, float], stop: tuple[float, float]) -> None:
        self.send("touchStart", start)
        for share in (0.2, 0.4, 0.6, 0.8, 1.0):
            self.send("touchMove", (start[0] + share * (stop[0] - start[0]), start[1] + share * (stop[1] - start[1])))
        self.send("touchEnd")


@pytest.fixture
def phone(chromium, page_server: PageServer) -> Iterator[Editor]:  # noqa: F811
    made = Editor(chromium, page_server, PHONE, has_touch=True, is_mobile=True)
    yield made
    made.close()


def test_notes_are_edited_by_touch_on_a_phone(phone: Editor, tmp_path: Path) -> None:
    page, touch, before = phone.page, Touch(phone), phone.rows()
    page.evaluate("document.querySelector('#roll').scrollIntoView({block: 'center'})")
    page.wait_for_timeout(300)
    top = page.evaluate("scrollY")
    x, y = phone.place(middle(before[4]), 71)
    touch.drag((x, y), (x, y - 120))
    page.wait_for_timeout(300)
    assert phone.rows() == before, "a finger that scrolls changes no note"
    page.wait_for_timeout(1000)  # until the page stands still
    assert page.evaluate("scrollY") > top + 60
    touch.tap(phone.place(middle(before[4]), 71))
    assert phone.announced() == f"B4, {before[4][1]:.1f} s: drag it, or the dots beside it"
    assert page.get_attribute("body", "data-sounded") == "71"
    top = page.evaluate("scrollY")
    touch.drag(phone.place(middle(before[4]), 71), phone.place(middle(before[4]), 73))
    assert phone.keys()[4] == "C♯5"
    x, y = phone.place(before[4][2], 73)
    touch.drag((x + 14, y), (x + 14 + 12, y))
    assert phone.rows()[4][2] > before[4][2] + 0.15
    assert page.evaluate("scrollY") == top, "a drag of a note does not scroll"
    phone.rendered()
    assert phone.played(tmp_path) == [*TWINKLE[:4], 73, *TWINKLE[5:]]
    for name, keys in (("split", 15), ("merge", 14), ("delete", 13), ("undo", 14), ("redo", 13)):
        page.tap(f".roll-tools [data-edit={name}]")
        assert len(phone.rows()) == keys, name
    for button in page.locator(".roll-tools button:visible").all():
        box = button.bounding_box()
        assert box["height"] >= 44, "large enough for a finger"
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_two_fingers_zoom(phone: Editor) -> None:
    page, touch, before = phone.page, Touch(phone), phone.rows()
    page.evaluate("document.querySelector('#roll').scrollIntoView({block: 'center'})")
    page.wait_for_timeout(300)
    narrow = page.locator(".lane").bounding_box()["width"]
    x, y = phone.place(before[6][1], 69)
    touch.send("touchStart", (x - 20, y), (x + 20, y))
    for distance in (30, 40, 60):
        touch.send("touchMove", (x - distance, y), (x + distance, y))
    touch.send("touchEnd")
    page.wait_for_timeout(200)
    assert page.locator(".lane").bounding_box()["width"] == pytest.approx(KEYBOARD + 3 * (narrow - KEYBOARD), rel=0.02)
    assert phone.place(before[6][1], 69)[0] == pytest.approx(x, abs=3), "the place between the fingers stays"
    assert phone.rows() == before
    assert page.evaluate("visualViewport.scale") == 1
    page.tap("[data-edit=zoom-out]")
    assert page.locator(".lane").bounding_box()["width"] < KEYBOARD + 2.5 * (narrow - KEYBOARD)


def test_a_range_is_looped(editor: Editor) -> None:
    page = editor.page
    box = page.locator("#roll").bounding_box()
    ruler = box["y"] + RULER / 2
    editor.drag((editor.place(2, 60)[0], ruler), (editor.place(2.6, 60)[0], ruler))
    assert page.get_attribute("#loop", "aria-pressed") == "true"
    assert float(page.input_value("#seek")) == pytest.approx(2, abs=0.02), "it begins with the loop"
    page.click("#play")
    positions = []
    for _ in range(25):
        page.wait_for_timeout(80)
        positions.append(float(page.input_value("#seek")))
    assert all(1.95 < at < 2.65 for at in positions)
    assert sum(later < earlier for earlier, later in pairwise(positions)) >= 2
    page.keyboard.press("l")
    assert page.get_attribute("#loop", "aria-pressed") == "false"
    page.wait_for_function("() => document.getElementById('seek').value > 2.8")
    page.click("#play")
    page.mouse.click(*editor.place(middle(editor.rows()[6]), 69))
    page.keyboard.press("l")
    _, start, stop = editor.rows()[6]
    assert editor.announced() == f"Loop from {start:.1f} s to {stop:.1f} s"
    page.mouse.click(editor.place(5, 60)[0], ruler)
    assert float(page.input_value("#seek")) == pytest.approx(5, abs=0.03), "a click on the ruler moves the playhead"


def test_the_view_zooms_and_follows(editor: Editor) -> None:
    page = editor.page
    wide = page.locator(".lane").bounding_box()["width"]
    x, y = map(round, editor.place(4, 66))
    at = (x - editor.place(0, 66)[0]) / (editor.place(1, 66)[0] - editor.place(0, 66)[0])
    page.mouse.move(x, y)
    page.keyboard.down("Control")
    page.mouse.wheel(0, -300)
    page.keyboard.up("Control")
    page.wait_for_timeout(100)
    assert page.locator(".lane").bounding_box()["width"] > 3 * wide
    assert editor.place(at, 66)[0] == pytest.approx(x, abs=2), "the time under the pointer stays"
    page.locator("#seek").fill("0.5")
    page.wait_for_timeout(2100)
    page.click("#play")
    page.wait_for_function("() => document.getElementById('seek').value > 3.2")
    page.click("#play")
    head, view = page.locator("#playhead").bounding_box(), page.locator(".roll").bounding_box()
    assert view["x"] + KEYBOARD <= head["x"] <= view["x"] + view["width"], "the playhead is in view"
    page.focus("#roll")
    page.keyboard.press("Escape")
    for _ in range(12):
        page.keyboard.press("-")
    assert page.locator(".lane").bounding_box()["width"] == pytest.approx(wide, abs=2)


def test_bar_one_and_the_tempo_are_set_on_the_page(editor: Editor) -> None:
    page, rows, version = editor.page, editor.rows(), editor.version()
    page.mouse.click(*editor.place(middle(rows[2]), 69))
    page.click("[data-edit=bar-one]")
    assert float(page.input_value("#downbeat")) == pytest.approx(rows[2][1], abs=0.01)
    editor.newer(version)
    page.mouse.click(*editor.place(0.1, 74))
    for _ in range(5):
        page.keyboard.press("t")
        page.wait_for_timeout(400)
    assert 60 <= int(page.input_value("#tempo")) <= 150
    page.wait_for_function(
        "bpm => document.getElementById('fact-tempo').textContent.startsWith(bpm)",
        arg=f"{page.input_value('#tempo')} bpm",
    )
    editor.rendered()
    assert page.is_checked("#snap"), "the tempo is known now"
    beat = 60 / int(page.input_value("#tempo"))
    editor.drag(editor.place(middle(rows[2]), 69), editor.place(middle(rows[2]) + beat / 4 + 0.03, 69))
    late = editor.rows()[2][1] - rows[2][1]
    assert late == pytest.approx(beat / 4, abs=0.02), "it snaps to the next sixteenth"
    page.keyboard.down("Alt")
    editor.drag(editor.place(middle(rows[6]), 69), editor.place(middle(rows[6]) + 0.05, 69), release=False)
    page.mouse.move(*editor.place(middle(rows[6]) + 0.15, 69))
    page.mouse.up()
    page.keyboard.up("Alt")
    assert editor.rows()[6][1] - rows[6][1] == pytest.approx(0.15, abs=0.02), "with Alt it does not"
    editor.press("Control+z")
    version = editor.version()
    page.click("#settings button[type=reset]")
    editor.newer(version)
    assert page.input_value("#downbeat") == ""
    assert editor.rows()[2][1] - rows[2][1] == pytest.approx(late, abs=0.001), "settings keep the edits"


def with_doubts(route) -> None:
    """Make two notes of the transcription uncertain."""
    answer = route.fetch()
    lines = [json.loads(line) for line in answer.text().splitlines() if line]
    result = lines[-1].get("result", {})
    if "wholeDuration" in result:
        for number in (3, 8):
            result["notes"][number][4] = result["played"]["notes"][number][4] = 0.3
    route.fulfill(response=answer, body="\n".join(map(json.dumps, lines)) + "\n")


def test_uncertain_notes_are_checked_one_by_one(chromium, page_server: PageServer, tmp_path: Path) -> None:  # noqa: F811
    visit = Visit(chromium, page_server)
    page = visit.page
    page.route("**/jobs", with_doubts)
    page.click("#example")
    visit.ready()
    assert page.inner_text("#check") == "Check these 2"
    page.click("#check")
    assert page.inner_text("#check-words").startswith("1 of 2: A4 at 2.0 s")
    page.wait_for_selector("#review[data-playing=voice]")
    page.wait_for_selector("#review[data-playing=piano]")
    assert any(url.split("?")[0].endswith("voice.wav") for url in visit.requests)
    page.click("#check-keep")
    assert page.inner_text("#check-words").startswith("2 of 2: G4")
    page.focus("#roll")
    page.keyboard.press("ArrowUp")
    assert page.inner_text("#check-words").startswith("2 of 2: G♯4")
    page.click("#check-delete")
    assert page.is_hidden("#review")
    assert page.is_hidden("#check")
    visit.ready(2)
    assert visit.played(tmp_path) == TWINKLE[:8] + TWINKLE[9:]
    visit.close()


def test_edits_keep_their_keys_under_other_settings(editor: Editor, tmp_path: Path) -> None:
    page = editor.page
    page.focus("#roll")
    editor.press("Tab", "ArrowUp")
    editor.rendered()
    for field, value, key in (("#keys", "sung", 63), ("#tuning", "60", 63), ("#transpose", "12", 75)):
        version = editor.version()
        if field == "#keys":
            page.select_option(field, value)
        else:
            page.fill(field, value)
        editor.newer(version)
        assert editor.played(tmp_path)[0] == key, "whatever the singing is taken for"
    assert editor.played(tmp_path)[3] == 80, "60 cents above A, and an octave up"
    editor.press("Control+z")
    editor.drag(editor.place(middle(editor.rows()[3]), 80), editor.place(middle(editor.rows()[3]), 82))
    editor.rendered()
    assert editor.played(tmp_path)[3] == 82


def test_a_rendering_that_failed_is_tried_again(editor: Editor, tmp_path: Path) -> None:
    page = editor.page
    page.click("#notes tbody tr:first-child input", click_count=3)
    page.route("**/jobs", lambda route: route.abort())
    page.keyboard.type("F4")
    page.keyboard.press("Enter")
    page.wait_for_selector("body[data-state=problem]")
    assert page.inner_text("#pending") == "The piano does not play the last edits."
    page.unroute("**/jobs")
    page.click("#render-again")
    editor.rendered()
    assert page.is_hidden("#render-again")
    assert editor.played(tmp_path) == [65, *TWINKLE[1:]]
    page.focus("#notes tbody tr:first-child input")
    editor.press("Control+z")
    assert editor.keys()[0] == "D4", "in the table too"
    editor.errors = [line for line in editor.errors if "ERR_FAILED" not in line]  # Chromium logs the aborted request


def test_edits_stay_with_their_recording_and_are_not_lost(chromium, page_server, tmp_path: Path) -> None:  # noqa: F811
    editor = Editor(chromium, page_server)
    page = editor.page
    asked: list[str] = []

    def answer(dialog) -> None:
        asked.append(dialog.type)
        (dialog.accept if len(asked) > 1 else dialog.dismiss)()

    page.on("dialog", answer)
    assert not page.evaluate(WARNS)
    page.focus("#roll")
    editor.press("Tab", "ArrowUp")
    assert page.evaluate(WARNS)
    edited = editor.rows()
    editor.ready(2)
    page.click("#example")
    assert asked == ["confirm"]
    assert editor.rows() == edited
    page.click("#example")
    page.wait_for_selector("body[data-version='1'][data-state=ready]")
    assert asked == ["confirm", "confirm"]
    assert editor.keys()[0] == "D4"
    assert page.is_disabled("#undo")
    page.focus("#roll")
    editor.press("Control+z", "Control+y")
    assert editor.keys()[0] == "D4"
    page.wait_for_timeout(1200)
    assert editor.version() == 1, "nothing of the other recording is rendered"
    assert editor.played(tmp_path) == TWINKLE
    page.focus("#roll")
    editor.press("Tab", "ArrowUp")
    editor.ready(2)
    editor.download("midi", tmp_path)
    assert not page.evaluate(WARNS)
    page.click("#example")
    page.wait_for_selector("body[data-version='1'][data-state=ready]")
    assert len(asked) == 2, "downloaded edits are not lost"
    editor.close()


def test_leaving_warns_if_edits_would_be_lost(chromium, page_server: PageServer) -> None:  # noqa: F811
    visit = Editor(chromium, page_server)
    asked: list[str] = []
    visit.page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    visit.page.mouse.click(*visit.place(1, 74))
    visit.press("Tab", "ArrowUp")
    visit.rendered()
    with visit.page.expect_event("close"):
        visit.page.close(run_before_unload=True)
    assert asked == ["beforeunload"]
    visit.context.close()
