"""The panels of the page in Chromium, on a desktop and on a phone: the score, words, practice, what comes again."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import soundfile

from hf_model.lyrics.singing import SingingRenderer
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
from tests.practice.test_comparison import sing, written

HOSTILE = "<img src=x onerror=alert(1)> & 'twinkle'.flac"


@pytest.fixture(scope="module", params=[DESKTOP, PHONE], ids=["desktop", "phone"])
def visit(request: pytest.FixtureRequest, chromium, page_server: PageServer, root: Path):  # noqa: F811
    """The example, converted once for all tests, which leave its notes as they were."""
    made = Visit(chromium, page_server)
    made.page.set_viewport_size(request.param)
    sound = (root / "hf_model" / "app" / "page" / "example.flac").read_bytes()
    made.page.set_input_files("#file", {"name": HOSTILE, "mimeType": "audio/flac", "buffer": sound})
    made.ready()
    yield made
    assert made.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "no sideways scrolling"
    made.errors = [line for line in made.errors if "status of 400" not in line]  # Chromium logs a refused job
    made.close()


def transposed(visit: Visit) -> int:
    """Play everything a semitone higher; the version of that rendering."""
    before = visit.version()
    visit.page.focus("#transpose")
    visit.page.keyboard.press("ArrowRight")
    visit.ready(before + 1)
    return before + 1


def reset(visit: Visit) -> None:
    before = visit.version()
    visit.page.click("#settings button[type=reset]")
    visit.ready(before + 1)


def see_score(visit: Visit, version: int):
    visit.page.locator("#score").scroll_into_view_if_needed()
    visit.page.wait_for_selector(f"#score-view[data-version='{version}'] g.note")
    return visit.page.locator("#score-view")


def test_the_score_is_engraved_and_follows(visit: Visit, page_server: PageServer) -> None:
    pytest.importorskip("verovio")
    page = visit.page
    size = page.viewport_size
    view = see_score(visit, visit.version())
    assert page.locator("#score-view g.note").count() == len(TWINKLE)
    assert view.locator("img, script, style, a").count() == 0, "the name of the file is text"
    assert "<img src=x onerror=alert(1)>" in view.inner_text()
    picture = page.locator("#score-view > svg").bounding_box()
    assert picture["width"] <= view.bounding_box()["width"]
    systems = page.locator("#score-view g.system").count()
    assert (systems == 1) == (size == DESKTOP)
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
    see_score(visit, transposed(visit))
    page.locator("#score-view g.note").nth(6).click()
    assert page.inner_text("#score-said") == "B♭4"
    assert page_server.get(f"/recordings/{'0' * 32}/score.json")[0] == 400
    reset(visit)
    if size == DESKTOP:
        page.set_viewport_size(PHONE)
        page.wait_for_function("() => document.querySelectorAll('#score-view g.system').length > 1")
        page.set_viewport_size(size)


TABLE = "\n".join(
    ["onset,offset,note"]
    + [
        f"{0.5 * k + 0.5 * (k > 6)},{0.5 * k + 0.5 * (k > 6) + 0.4},{key + 12 + (k == 5)}"
        for k, key in enumerate(TWINKLE)
    ]
)


def test_practice_shows_what_each_note_is_off(visit: Visit) -> None:
    page = visit.page
    page.click("#practice summary")
    page.set_input_files("#practice-file", {"name": "no.mid", "mimeType": "audio/midi", "buffer": b"no score"})
    page.wait_for_selector("#practice-problem:not([hidden])")
    assert page.inner_text("#practice-problem").startswith("This score cannot be used")
    page.set_input_files("#practice-file", {"name": "song.csv", "mimeType": "text/csv", "buffer": TABLE.encode()})
    page.wait_for_selector("#practice-notes tbody tr")
    assert page.is_hidden("#practice-problem")
    assert page.locator("#practice-notes tbody tr").count() == len(TWINKLE)
    assert page.inner_text("#practice-summary").startswith("14 of 14 notes sung; 13 of them in tune")
    assert "1 octave lower than written" in page.inner_text("#practice-summary")
    wrong = page.locator("#practice-notes tbody tr.off")
    assert wrong.count() == 1
    assert wrong.locator("td").nth(1).inner_text() == "C6"
    assert page.get_attribute("#practice-picture", "aria-label").endswith("13 of 14 in tune")
    if page.locator("#score-problem").is_hidden():
        see_score(visit, visit.version())
        assert page.locator("#score-view g.note.off").count() == 1
        assert page.locator("#score-view g.note.good").count() == 13
    page.click("[aria-label='Play note 5']")
    page.wait_for_selector("#play[aria-label=Pause]")
    page.wait_for_selector("#play[aria-label=Play]")
    page.click("#notes-panel summary")
    page.fill("[aria-label='Note 6, key']", "C5")
    page.keyboard.press("Tab")
    page.wait_for_function("() => document.querySelectorAll('#practice-notes tr.off').length === 0")
    before = visit.version()
    page.click("#undo")
    visit.ready(before + 1)


def test_words_are_sung_and_written(visit: Visit, tmp_path: Path) -> None:
    page = visit.page
    page.click("#singing summary")
    page.fill("#lyrics-text", "Bri-lha bri-lha es-tre-li-nha")
    page.select_option("#lyrics-voice", "child")
    page.select_option("#lyrics-language", "pt")
    page.click("#sing")
    page.wait_for_selector("#sung-row:not([hidden])")
    page.wait_for_function("() => document.getElementById('sung').duration > 8")
    with page.expect_download() as waiting:
        page.click("#get-sung")
    assert waiting.value.suggested_filename.endswith("sung.wav")
    waiting.value.save_as(tmp_path / "sung.wav")
    assert soundfile.info(tmp_path / "sung.wav").duration == pytest.approx(8.793, abs=0.001)
    pytest.importorskip("verovio")
    see_score(visit, visit.version())
    page.wait_for_selector("#score-view g.verse")
    assert page.locator("#score-view g.verse").nth(2).text_content().strip() == "bri"
    transposed(visit)
    assert page.is_hidden("#sung-row"), "another melody was not sung yet"
    reset(visit)


def test_both_passages_of_a_cell_are_played(visit: Visit) -> None:
    page = visit.page
    page.click("#repeats-panel summary")
    page.wait_for_function("() => document.getElementById('repeats-words').textContent")
    canvas = page.locator("#repeats")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box["width"] <= page.viewport_size["width"]
    canvas.click(position={"x": box["width"] * 0.12, "y": box["height"] * 0.1})
    assert page.inner_text("#repeats-said") == "0:00 to 0:02, then 0:05 to 0:08"
    page.wait_for_selector(".passage.now >> nth=0", state="attached")
    assert page.locator(".passage").count() == 2
    first = float(page.input_value("#seek"))
    page.wait_for_function("() => document.getElementById('seek').value > 5.5")
    page.wait_for_selector("#play[aria-label=Play]")
    assert first < 3
    assert page.locator(".passage").count() == 0
    canvas.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_selector("#play[aria-label=Pause]")
    page.click("#play")
    page.wait_for_timeout(800)
    assert page.get_attribute("#play", "aria-label") == "Play", "who stops the first does not hear the second"


def test_the_table_shows_what_was_sung_and_what_is_played(chromium, page_server: PageServer) -> None:  # noqa: F811
    take = sing(written(), cents={12: -60.0})
    sound = io.BytesIO()
    soundfile.write(sound, SingingRenderer("alto").render(take, 44100 * 10)[0], 44100, format="WAV")
    made = Visit(chromium, page_server)
    page = made.page
    page.set_input_files("#file", {"name": "take.wav", "mimeType": "audio/wav", "buffer": sound.getvalue()})
    made.ready()
    page.click("#notes-panel summary")
    assert page.locator("#notes .sung-key").all_inner_texts() == ["sung 63.3, played E4"]
    assert page.locator("#notes tr", has=page.locator(".sung-key")).locator("input").first.input_value() == "E4"
    page.select_option("#keys", "sung")
    made.ready(2)
    page.wait_for_function("() => !document.querySelector('#notes .sung-key')")
    made.close()
