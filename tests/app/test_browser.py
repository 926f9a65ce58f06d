"""The page in Chromium: recordings, settings, edits, downloads, keyboard, phone, dark and light."""

from __future__ import annotations

import io
import os
import re
import shutil
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from urllib.parse import urlsplit
from xml.etree import ElementTree

import numpy as np
import pytest
import soundfile

from hf_model.audio.grid import resampled_length
from hf_model.audio.io import read_audio
from hf_model.audio.resampling import resample
from hf_model.notes.midi import read_midi
from hf_model.notes.note_files import read_csv
from tests.fakes import write_with_ffmpeg
from tests.page_server import PageServer

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.xdist_group("page"),
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the path, and CHROMIUM is not set"),
]

# Without these flags Chromium makes its own connections; as root it needs --no-sandbox.
QUIET = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
TWINKLE = [62, 62, 69, 69, 71, 71, 69, 67, 67, 66, 66, 64, 64, 62]
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def driver():
    with playwright.sync_playwright() as started:
        yield started


@pytest.fixture(scope="module")
def chromium(driver):
    browser = driver.chromium.launch(executable_path=CHROMIUM, args=QUIET)
    yield browser
    browser.close()


class Visit:
    """A page, its requests and its errors."""

    def __init__(self, browser, server: PageServer, **options) -> None:
        self.context = browser.new_context(viewport=DESKTOP, accept_downloads=True, **options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(30000)
        self.host = urlsplit(server.address).netloc
        self.requests: list[str] = []
        self.errors: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda message: message.type == "error" and self.errors.append(message.text))
        self.page.goto(server.address)

    def ready(self, version: int = 1) -> None:
        self.page.wait_for_selector(f"body[data-state=ready][data-version='{version}']")

    def download(self, which: str, folder: Path) -> Path:
        with self.page.expect_download() as waiting:
            self.page.click(f"#get-{which}")
        path = folder / waiting.value.suggested_filename
        waiting.value.save_as(path)
        return path

    def played(self, folder: Path) -> list[int]:
        return [int(note.pitch) for note in read_midi(self.download("midi", folder))]

    def version(self) -> int:
        return int(self.page.get_attribute("body", "data-version"))

    def transcriptions(self) -> int:
        """How often a recording was transcribed."""
        return sum("spectrum.png" in url for url in self.requests)

    def close(self) -> None:
        self.context.close()
        assert {urlsplit(url).netloc for url in self.requests if not url.startswith(("blob:", "data:"))} == {self.host}
        assert self.errors == []


@pytest.fixture
def visit(chromium, page_server: PageServer) -> Iterator[Visit]:
    made = Visit(chromium, page_server)
    yield made
    made.close()


def test_the_example_is_converted_shown_and_played(visit: Visit) -> None:
    page = visit.page
    assert page.is_hidden("#results")
    page.click("#example")
    visit.ready()
    assert page.inner_text("#fact-notes").startswith("14")
    assert re.fullmatch(r"About \d+ bpm( \(or \d+\))?\s(probably|perhaps) \d/\d", page.inner_text("#fact-tempo"))
    assert page.inner_text("#fact-key").split()[1] in {"major", "minor"}
    assert page.inner_text("#source-words").startswith("Only a voice")
    assert "cents" in page.inner_text("#fact-tuning")
    assert "F♯4" in page.get_attribute("#roll", "aria-label")
    names = "[[61, 'D♭'], [71, 'C♭'], [60, 'B♯']].map(([key, name]) => (useNames(Array(12).fill(name)), nameOf(key)))"
    script = f"async () => {{ const {{ nameOf, useNames }} = await import('./page/words.js'); return {names}; }}"
    assert page.evaluate(script) == ["D♭4", "C♭5", "B♯3"]
    assert page.get_attribute("#roll", "aria-label").startswith("Piano roll of 14 notes in ")
    page.click("#play")
    page.wait_for_function("() => document.getElementById('seek').value > 0.3")
    assert page.get_attribute("#play", "aria-label") == "Pause"
    page.check("input[name=mode][value=both]", force=True)
    page.fill("#balance", "0.2")
    page.click("#play")
    assert page.get_attribute("#play", "aria-label") == "Play"
    page.click("#roll", position={"x": 400, "y": 100})
    assert float(page.input_value("#seek")) > 2


def test_all_downloads_have_the_sung_notes(visit: Visit, tmp_path: Path, root: Path) -> None:
    voice, sample_rate = soundfile.read(root / "examples" / "twinkle.wav", dtype="float32")
    write_with_ffmpeg(tmp_path / "my tune.m4a", resample(voice, sample_rate, 48000), 48000, "aac")
    visit.page.set_input_files("#file", tmp_path / "my tune.m4a")
    visit.ready()
    wav = visit.download("wav", tmp_path)
    assert wav.name == "my tune_piano.wav"
    info = soundfile.info(wav)
    n_samples = read_audio(tmp_path / "my tune.m4a")[0].shape[1]
    assert (info.samplerate, info.frames) == (44100, resampled_length(n_samples, 48000, 44100))
    assert np.abs(soundfile.read(wav)[0]).max() > 0.05
    assert visit.played(tmp_path) == TWINKLE
    notes, keys = read_csv(visit.download("csv", tmp_path))
    assert [int(key.pitch) for key in keys] == TWINKLE
    assert len(notes) == len(TWINKLE)
    score = ElementTree.parse(visit.download("musicxml", tmp_path))
    steps = [pitch.findtext("step") for pitch in score.iter("pitch")]
    assert [step for step, _ in groupby(steps)] == list("DABAGFED")


def test_settings_change_the_piano_without_a_new_transcription(visit: Visit, tmp_path: Path) -> None:
    page = visit.page
    page.click("#example")
    visit.ready()
    page.focus("#transpose")
    for _ in range(12):
        page.keyboard.press("ArrowRight")
    page.wait_for_function("() => document.body.dataset.version > 1 && document.body.dataset.state == 'ready'")
    assert "+12 semitones" in page.inner_text("label[for=transpose]")
    assert visit.played(tmp_path) == [key + 12 for key in TWINKLE]
    page.select_option("#key", "G major")
    page.fill("#tuning", "-20")
    page.wait_for_function("() => document.getElementById('fact-tuning').textContent.includes('20 cents')")
    assert page.inner_text("#fact-key").strip() == "G major", "an octave up it is the same key"
    page.wait_for_selector("body[data-state=ready]")
    before = visit.version()
    page.select_option("#quantize", "1/8")
    visit.ready(before + 1)
    page.click("#settings button[type=reset]")
    visit.ready(before + 2)
    assert visit.played(tmp_path) == TWINKLE
    for ensemble, name in (("piano", "left hand"), ("band", "band, without drums")):
        page.check("[name=accompany]")
        page.select_option("#ensemble", ensemble)
        page.wait_for_function("name => document.getElementById('legend-left').innerText === name", arg=name)
    assert visit.transcriptions() == 1


def test_notes_are_edited_and_reset(visit: Visit, tmp_path: Path) -> None:
    page = visit.page
    page.click("#example")
    visit.ready()
    page.click("#notes-panel summary")
    page.fill("[aria-label='Note 1, key']", "F#4")
    page.keyboard.press("Tab")
    visit.ready(2)
    assert visit.played(tmp_path) == [66, *TWINKLE[1:]]
    page.click("[aria-label^='Delete note 2,']")
    visit.ready(3)
    assert visit.played(tmp_path) == [66, *TWINKLE[2:]]
    page.fill("[aria-label='Note 1, end']", "0.9")
    page.keyboard.press("Tab")
    visit.ready(4)
    assert read_midi(visit.download("midi", tmp_path))[0].offset == pytest.approx(0.9, abs=0.002)
    page.fill("[aria-label='Note 1, key']", "H9")
    page.keyboard.press("Tab")
    assert page.get_attribute("[aria-label='Note 1, key']", "aria-invalid") == "true"
    page.click("#undo")
    visit.ready(5)
    page.click("#add-note")
    visit.ready(6)
    assert page.locator("#notes tbody tr").count() == 14
    page.click("#reset-notes")
    visit.ready(7)
    assert visit.played(tmp_path) == TWINKLE
    assert visit.transcriptions() == 1


@pytest.fixture(scope="module")
def microphone(driver, tmp_path_factory, root: Path):
    """Chromium with a microphone that hears the first notes of the example."""
    voice, sample_rate = soundfile.read(root / "examples" / "twinkle.wav", dtype="float32")
    path = tmp_path_factory.mktemp("microphone") / "sung.wav"
    soundfile.write(path, resample(voice[: round(4.6 * sample_rate)], sample_rate, 48000), 48000, subtype="PCM_16")
    device = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    device.append(f"--use-file-for-fake-audio-capture={path}%noloop")
    return lambda: driver.chromium.launch(executable_path=CHROMIUM, args=[*QUIET, *device])


def record(visit: Visit) -> None:
    page = visit.page
    page.click("#record")
    page.wait_for_selector("#source.recording")
    page.wait_for_function("() => document.getElementById('clock').textContent.startsWith('0:05')")
    assert page.inner_text("#record-label") == "Stop"


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_notes_appear_while_the_microphone_records(microphone, page_server: PageServer, tmp_path: Path, size) -> None:
    browser = microphone()
    visit = Visit(browser, page_server, permissions=["microphone"])
    page = visit.page
    page.set_viewport_size(size)
    assert page.is_hidden("#live")
    record(visit)
    page.wait_for_function("() => document.getElementById('live').dataset.notes >= 5")
    assert {"D4", "A4", "B4"} <= set(page.get_attribute("#live", "aria-label").split()[4:])
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "no sideways scrolling"
    page.click("#record")
    visit.ready()
    assert page.is_hidden("#live")
    assert [key for key, _ in groupby(visit.played(tmp_path))] == [62, 69, 71, 69]
    paths = [urlsplit(url).path for url in visit.requests]
    assert "/recordings" not in paths, "nothing is uploaded again"
    assert sum(path.endswith("/end") for path in paths) == 1
    visit.close()
    browser.close()


def test_a_recording_is_uploaded_if_the_live_connection_fails(microphone, page_server, tmp_path: Path) -> None:
    browser = microphone()
    visit = Visit(browser, page_server, permissions=["microphone"])
    visit.page.route("**/sound?first=*", lambda route: route.abort())
    record(visit)
    visit.page.click("#record")
    visit.ready()
    assert [key for key, _ in groupby(visit.played(tmp_path))] == [62, 69, 71, 69]
    assert "/recordings" in [urlsplit(url).path for url in visit.requests]
    visit.errors = [line for line in visit.errors if "ERR_FAILED" not in line]  # Chromium logs the aborted request
    visit.close()
    browser.close()


def test_without_a_microphone_the_error_names_an_alternative(visit: Visit) -> None:
    visit.page.click("#record")
    visit.page.wait_for_selector("#problem:not([hidden])")
    assert "microphone" in visit.page.inner_text("#problem")
    assert "choose a recording" in visit.page.inner_text("#problem")


def test_after_a_bad_file_the_next_one_works(visit: Visit) -> None:
    page = visit.page
    silence = io.BytesIO()
    soundfile.write(silence, np.zeros(16000), 16000, format="WAV")
    for content, sentence in (
        (b"la la la", "This file cannot be used: no audio can be read from it"),
        (silence.getvalue(), "This recording is silent"),
        (b"", "This file is empty"),
    ):
        page.set_input_files("#file", {"name": "song.wav", "mimeType": "audio/wav", "buffer": content})
        page.wait_for_function(
            "words => document.getElementById('problem').textContent.startsWith(words)", arg=sentence
        )
        page.wait_for_selector("body[data-state=problem]")
    page.click("#example")
    visit.ready()
    assert page.is_hidden("#problem")
    visit.errors = [line for line in visit.errors if "status of 400" not in line]  # Chromium logs refused uploads


def test_a_part_of_a_long_recording_is_selected(visit: Visit, tmp_path: Path, root: Path) -> None:
    voice, sample_rate = soundfile.read(root / "examples" / "twinkle.wav", dtype="float32")
    soundfile.write(tmp_path / "long.flac", np.tile(voice, 12), sample_rate)
    whole = 12 * len(voice) / sample_rate
    page = visit.page
    page.check("input[name=source][value=voice]", force=True)
    page.set_input_files("#file", tmp_path / "long.flac")
    page.wait_for_selector("body[data-state=choosing]")
    assert page.inner_text("#convert-part") == "Convert all of it · 1:45"
    drag(page, "#handle-start", 0.25)
    assert page.input_value("#from") == clock(0.25 * whole)
    drag(page, "#handle-end", 0.375)
    page.keyboard.press("ArrowRight")
    assert page.input_value("#to") == clock(0.375 * whole + 1)
    page.fill("#to", "0:70")
    page.keyboard.press("Tab")
    assert page.inner_text("#part .field-error") == "Expected a time like 1:05, up to 1:45."
    page.fill("#from", "0:26.5")
    page.keyboard.press("Tab")
    page.fill("#to", "32")
    page.keyboard.press("Tab")
    page.click("#convert-part")
    visit.ready()
    assert page.inner_text("#part-words") == "Converted: 0:26 to 0:32 of 1:45."
    assert soundfile.info(visit.download("wav", tmp_path)).frames == round(5.5 * 44100)


def drag(page, handle: str, share: float) -> None:
    """Drag a handle to a share of the waveform's width."""
    wave = page.locator("#wave").bounding_box()
    page.locator(handle).hover()
    page.mouse.down()
    page.mouse.move(wave["x"] + share * wave["width"], wave["y"] + 9, steps=3)
    page.mouse.up()


def clock(seconds: float) -> str:
    return f"{int(seconds / 60)}:{int(seconds % 60):02d}"


def test_a_song_becomes_a_cover(visit: Visit, tmp_path: Path, root: Path) -> None:
    voice, sample_rate = soundfile.read(root / "examples" / "twinkle.wav", dtype="float32")
    seconds = np.arange(len(voice)) / sample_rate
    chord = sum(np.sin(2 * np.pi * hz * seconds) for hz in (147, 185, 220)) * np.exp(-3 * (seconds % 0.5))
    song = np.stack([voice + 0.1 * chord, voice - 0.1 * chord], axis=1)
    soundfile.write(tmp_path / "song.ogg", song, sample_rate)
    page = visit.page
    page.check("input[name=source][value=song]", force=True)
    page.set_input_files("#file", tmp_path / "song.ogg")
    visit.ready()
    assert page.inner_text("#source-words") == "A song: the voice was separated (as you chose)."
    assert page.is_visible("#balance-row")
    page.click("#play")
    page.wait_for_function("() => document.getElementById('seek').value > 0.3")
    for mode in ("voice", "original", "piano", "cover"):
        before = float(page.input_value("#seek"))
        page.check(f"input[name=mode][value={mode}]", force=True)
        page.wait_for_timeout(150)
        assert before < float(page.input_value("#seek")) < before + 2, "the position is kept"
    page.click("#play")
    lengths = {soundfile.info(visit.download(which, tmp_path)).frames for which in ("cover", "voice", "wav")}
    assert lengths == {resampled_length(len(voice), sample_rate, 44100)}
    page.click("#other-source")
    visit.ready(2)
    assert page.inner_text("#source-words") == "Only a voice: nothing was separated (as you chose)."
    assert page.is_hidden("#get-cover")


def test_the_sound_of_a_large_file_is_uploaded(visit: Visit, tmp_path: Path, root: Path) -> None:
    voice, sample_rate = soundfile.read(root / "examples" / "twinkle.wav", dtype="float32")
    large = resample(voice, sample_rate, 96000)
    soundfile.write(tmp_path / "large.wav", np.stack([large, large], axis=1), 96000, subtype="FLOAT")
    page = visit.page

    def with_lower_limit(route) -> None:
        route.fulfill(body=re.sub(r"(uploadBytes&quot;: )\d+", r"\g<1>2000000", route.fetch().text()))

    page.route(page.url, with_lower_limit)
    page.reload()
    limit = page.evaluate("JSON.parse(document.body.dataset.limits).uploadBytes")
    assert limit == 2000000 < (tmp_path / "large.wav").stat().st_size
    page.set_input_files("#file", tmp_path / "large.wav")
    visit.ready()
    assert soundfile.info(visit.download("wav", tmp_path)).duration == pytest.approx(len(large) / 96000, abs=1e-4)
    assert visit.played(tmp_path) == TWINKLE


def test_wrong_values_are_told_beside_their_field(chromium, page_server: PageServer) -> None:
    visit = Visit(chromium, page_server)
    page = visit.page
    page.set_viewport_size(PHONE)
    page.click("#example")
    visit.ready()
    page.click("#notes-panel summary")
    for field, value, message in (
        ("#tempo", "5", "Expected a whole number from 30 to 300."),
        ("#tuning", "500", "Expected a whole number from -100 to 100."),
        ("[aria-label='Note 14, end']", "0", "Expected seconds after the note's start."),
    ):
        page.fill(field, value)
        page.keyboard.press("Tab")
        page.wait_for_selector(f"{field} + .field-error")
        told, asked = (page.locator(place).bounding_box() for place in (f"{field} + .field-error", field))
        assert page.inner_text(f"{field} + .field-error") == message
        assert asked["y"] < told["y"] < asked["y"] + 80
        assert 0 < told["y"] < PHONE["height"] - told["height"], "the message is in view"
    page.fill("#tempo", "100")
    page.wait_for_selector("#tempo:not([aria-invalid=true])")
    visit.close()


def test_it_works_by_keyboard(visit: Visit) -> None:
    page = visit.page
    reached = []
    for _ in range(5):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.className"))
    assert reached[:4] == ["skip", "record", "file", "example"]
    page.focus("#example")
    page.keyboard.press("Enter")
    visit.ready()
    page.focus("#play")
    page.keyboard.press("Space")
    page.wait_for_selector("#play[aria-label=Pause]")
    page.keyboard.press("Space")
    page.wait_for_selector("#play[aria-label=Play]")
    page.focus("#seek")
    page.keyboard.press("End")
    assert float(page.input_value("#seek")) > 8


CONTROLS = "input, select, button, a, summary, canvas:not([aria-hidden]), [role=slider]"
NAMELESS = """(controls) => [...document.querySelectorAll(controls)].filter((item) =>
    !(item.labels?.length || item.ariaLabel || item.textContent.trim())).map((item) => item.outerHTML)"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_it_is_readable_on_every_screen(chromium, page_server: PageServer, screen: dict, scheme: str) -> None:
    visit = Visit(chromium, page_server, color_scheme=scheme)
    page = visit.page
    page.set_viewport_size(screen)
    page.click("#example")
    visit.ready()
    page.click("#notes-panel summary")
    assert page.evaluate("document.documentElement.scrollWidth") <= screen["width"], "nothing to scroll sideways"
    assert page.evaluate(NAMELESS, CONTROLS) == []
    picture = read_picture(page.screenshot())
    assert (picture.mean() < 90) == (scheme == "dark")
    roll = read_picture(page.locator("#roll").screenshot()).astype(int)
    warm = (roll[..., 0] - roll[..., 2] > 60).mean()
    assert 0.02 < warm < 0.4, "the notes are visible"
    for control in page.locator("button:visible, select:visible, .downloads a:visible").all():
        if "link" not in (control.get_attribute("class") or ""):
            assert control.bounding_box()["height"] >= 38, "large enough for a finger"
    visit.close()


def read_picture(png: bytes) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


OUTLINED = """() => [...document.querySelectorAll("main *")]
    .filter((element) => getComputedStyle(element).outlineStyle === "solid")
    .map((element) => element.id || element.htmlFor)"""


def test_the_focus_is_shown_where_it_is(visit: Visit) -> None:
    page = visit.page
    page.click("#example")
    visit.ready()
    page.click("#practice summary")
    for place, outlined in (("#seek", "seek"), ("#file", "file"), ("#practice-file", "practice-file")):
        page.focus(place)
        page.keyboard.press("Shift")  # the keyboard is in use
        assert set(page.evaluate(OUTLINED)) == {outlined}, "of files, the input is unseen, and its label is outlined"


def test_leaving_the_page_deletes_the_recording(chromium, page_server: PageServer) -> None:
    visit = Visit(chromium, page_server)
    visit.page.click("#example")
    visit.ready()
    name = next(url for url in visit.requests if "/recordings/" in url).split("/recordings/")[1].split("/")[0]
    assert any(name in file for file in page_server.files())
    visit.page.goto("about:blank")
    for _ in range(50):
        if not any(name in file for file in page_server.files()):
            break
        visit.page.wait_for_timeout(100)
    assert not any(name in file for file in page_server.files())
    visit.context.close()


def test_the_server_made_no_outside_connections(page_server: PageServer) -> None:
    assert page_server.outside() == []
