"""The page for a blind comparison: its sounds, what it hides, and what is made of the ratings."""

from __future__ import annotations

import base64
import csv
import json
import os
import re
import shutil

import numpy as np
import pytest
import soundfile

from bench.sound.listen import ANCHOR, built_in, low_passed, summarize, write_page
from hf_model.inference import Models
from hf_model.notes.note import Note

RATE = 44100
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")


class Tone:
    """A piano that is a sine for each note."""

    def __init__(self, level: float) -> None:
        self.level = level

    def render(self, notes, n_samples):
        times = np.arange(n_samples) / RATE
        sounds = [
            (times >= note.onset) * np.sin(2 * np.pi * 440.0 * 2 ** ((note.pitch - 69) / 12) * times) for note in notes
        ]
        return (self.level * np.sum(sounds, axis=0)).astype(np.float32)[None]


@pytest.fixture
def page(tmp_path):
    models = Models(renderers={"sampled": Tone(0.1), "concert": Tone(0.3)})
    melodies = {"one": [Note(0.0, 0.5, 69.0), Note(0.5, 1.0, 71.0)], "two": [Note(0.0, 0.8, 60.0)]}
    return write_page(tmp_path / "listening", melodies, ("sampled", "concert"), "concert", models)


def trials_of(page):
    return json.loads(base64.b64decode(re.search(r'atob\("([^"]+)"\)', page.read_text(encoding="utf-8")).group(1)))


def test_each_melody_has_all_pianos_reference_and_anchor(page):
    trials = trials_of(page)
    assert [trial["melody"] for trial in trials] == ["one", "two"]
    for trial in trials:
        assert sorted(item["piano"] for item in trial["items"]) == [ANCHOR, "concert (hidden reference)", "sampled"]
        for item in trial["items"]:
            audio, rate = soundfile.read(page.parent / item["file"])
            assert rate == RATE
            assert 0.05 < np.abs(audio).max() < 1.0
    lengths = {soundfile.info(page.parent / item["file"]).frames for item in trials[0]["items"]}
    assert lengths == {round(2.5 * RATE)}


def test_neither_page_nor_names_tell_the_piano(page):
    assert not re.search("sampled|concert", page.read_text(encoding="utf-8"))
    assert all(re.fullmatch(r"[0-9a-f]{12}\.flac|listen\.html", path.name) for path in page.parent.iterdir())
    assert "://" not in page.read_text(encoding="utf-8"), "no network"


def test_a_page_is_not_overwritten(page):
    with pytest.raises(FileExistsError, match="name another folder"):
        write_page(page.parent, {}, (), "concert", Models())


def test_the_anchor_has_nothing_above_its_limit():
    times = np.arange(RATE) / RATE
    low, high = np.sin(2 * np.pi * 1000 * times), np.sin(2 * np.pi * 6000 * times)
    assert low_passed((low + high)[None].astype(np.float32))[0] == pytest.approx(low, abs=1e-3)


def test_melodies_are_built_in():
    assert len(built_in()) == 3


def write_results(path, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["listener", "melody", "piano", "rating", "trial", "place"])
        writer.writerows(rows)


def test_ratings_without_listeners_who_miss_the_reference(tmp_path):
    rows = [
        *(["a", melody, "concert (hidden reference)", 95, 1, 1] for melody in ("one", "two")),
        *(["a", melody, "sampled", 60, 1, 2] for melody in ("one", "two")),
        ["b", "one", "concert (hidden reference)", 20, 1, 1],
        ["b", "one", "sampled", 100, 1, 2],
    ]
    write_results(tmp_path / "r.csv", rows)
    lines = summarize([tmp_path / "r.csv"])
    assert lines[2:4] == [
        "| concert (hidden reference) | 95 [95, 95] | 2 |",
        "| sampled | 60 [60, 60] | 2 |",
    ]
    assert lines[-1].startswith("1 of 2 listeners left out")


@pytest.mark.browser
@pytest.mark.xdist_group("page")
@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the path, and CHROMIUM is not set")
def test_a_listener_in_the_browser(page, tmp_path):
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        view = browser.new_page(accept_downloads=True)
        errors, requests = [], []
        view.on("pageerror", lambda error: errors.append(str(error)))
        view.on("console", lambda message: message.type == "error" and errors.append(message.text))
        view.on("request", lambda request: requests.append(request.url))
        view.goto(page.as_uri())
        view.get_by_label("Your name").fill("Ann")
        view.get_by_role("button", name="Begin").click()
        for trial in (1, 2):
            view.get_by_role("heading", name=f"{trial} of 2").wait_for()
            assert view.get_by_role("button", name="Next").is_disabled(), "not before all were played"
            for place in (1, 2, 3):
                view.get_by_role("button", name=f"Piano {place}").click()
                view.get_by_label(f"Rating of piano {place}").fill(str(20 * place + trial))
            assert view.evaluate(
                "playing.audio.readyState >= 1 || new Promise((done) => "
                "{ playing.audio.onloadedmetadata = () => done(true); })"
            )
            view.get_by_role("button", name="Next").click()
        with view.expect_download() as download:
            view.get_by_role("button", name="Save the results").click()
        download.value.save_as(tmp_path / "results.csv")
        browser.close()
    rows = list(csv.DictReader((tmp_path / "results.csv").read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 6
    assert {row["listener"] for row in rows} == {"Ann"}
    assert sorted(row["rating"] for row in rows) == ["21", "22", "41", "42", "61", "62"]
    assert {row["piano"] for row in rows} == {ANCHOR, "concert (hidden reference)", "sampled"}
    assert not errors
    assert all(url.startswith(("file:", "blob:", "data:")) for url in requests)
