"""The modules of the page that edit notes, run in Chromium: edits, history, grid, tap tempo, preview sound."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.app.test_browser import chromium, driver, pytestmark  # noqa: F401 (fixtures)
from tests.page_server import PageServer


@pytest.fixture(scope="module")
def page(chromium, page_server: PageServer):  # noqa: F811
    """A page from which the modules can be imported."""
    opened = chromium.new_page()
    opened.goto(page_server.address)
    yield opened
    opened.close()


# [onset, offset, key] of a melody of four seconds: two notes that touch, and one after a rest
MELODY = [[0.5, 1.0, 60], [1.0, 1.5, 62], [2.0, 3.0, 64]]
RUN = """async (rows) => {
    const edits = await import("/page/edits.js");
    const bounds = edits.boundsOf(4);
    const notes = rows.map(([onset, offset, pitch], id) =>
        ({ id, onset, offset, pitch: pitch + 0.2, velocity: 80, confidence: 0.3, key: null }));
    const moved = (ids, change) => edits.moved(notes, new Set(ids), change, bounds);
    const stretched = (id, edge, at, of = notes) => edits.stretched(of, id, edge, at, bounds);
    const split = (id, at, of = notes) => edits.split(of, id, at, 9, bounds);
    const added = (onset, offset) => edits.added(notes, {id: 9, onset, offset, key: 70, velocity: 64}, bounds);
    const after = EDIT;
    return after === notes ? null : after.map((note) => [note.onset, note.offset, note.key ?? bounds.keyOf(note)]);
}"""
FIRST, SECOND, THIRD = MELODY
EDITS = {
    "moved by a tone": ("moved([0], {semitones: 2})", [[0.5, 1.0, 62], SECOND, THIRD]),
    "moved earlier": ("moved([2], {seconds: -0.25})", [FIRST, SECOND, [1.75, 2.75, 64]]),
    "moved into the next": ("moved([0], {seconds: 0.3})", [[0.8, 1.3, 60], [1.3, 1.5, 62], THIRD]),
    "moved over the next": ("moved([0], {seconds: 0.49})", [[0.99, 1.49, 60], THIRD]),
    "moved past the next": ("moved([0], {seconds: 1})", [SECOND, [1.5, 2.0, 60], THIRD]),
    "moved into a long one": ("moved([0], {seconds: 1.7})", [SECOND, [2.0, 2.2, 64], [2.2, 2.7, 60]]),
    "moved out of the recording": ("moved([2], {seconds: 9})", [FIRST, SECOND, [3.0, 4.0, 64]]),
    "moved together": ("moved([0, 1], {seconds: -2, semitones: 12})", [[0, 0.5, 72], [0.5, 1, 74], THIRD]),
    "moved above C8": ("moved([0, 2], {semitones: 60})", [[0.5, 1, 104], SECOND, [2, 3, 108]]),
    "moved below A0": ("moved([1], {semitones: -60})", [FIRST, [1, 1.5, 21], THIRD]),
    "not moved": ("moved([0], {semitones: 0})", None),
    "nothing selected": ("moved([], {semitones: 1})", None),
    "longer": ("stretched(1, 'offset', 1.75)", [FIRST, [1.0, 1.75, 62], THIRD]),
    "longer than the rest": ("stretched(1, 'offset', 2.4)", [FIRST, [1.0, 2.4, 62], [2.4, 3, 64]]),
    "beginning before others": ("stretched(2, 'onset', 0.8)", [[0.5, 0.8, 60], [0.8, 3.0, 64]]),
    "40 ms at least": ("stretched(0, 'offset', 0.1)", [[0.5, 0.54, 60], SECOND, THIRD]),
    "40 ms at least, start": ("stretched(2, 'onset', 5)", [FIRST, SECOND, [2.96, 3.0, 64]]),
    "to the end at most": ("stretched(2, 'offset', 9)", [FIRST, SECOND, [2.0, 4.0, 64]]),
    "split at a time": ("split(2, 2.25)", [FIRST, SECOND, [2.0, 2.25, 64], [2.25, 3.0, 64]]),
    "split in the middle": ("split(2, 0.7)", [FIRST, SECOND, [2.0, 2.5, 64], [2.5, 3.0, 64]]),
    "too short to split": ("split(0, null, stretched(0, 'offset', 0.57))", [[0.5, 0.57, 60], SECOND, THIRD]),
    "merged": ("edits.merged(notes, 1, bounds)", [FIRST, [1.0, 3.0, 62]]),
    "the last is not merged": ("edits.merged(notes, 2, bounds)", None),
    "removed": ("edits.removed(notes, new Set([0, 2]))", [SECOND]),
    "added in a rest": ("added(1.5, 2)", [FIRST, SECOND, [1.5, 2, 70], THIRD]),
    "added in a note": ("added(2.5, 2.7)", [FIRST, SECOND, [2, 2.5, 64], [2.5, 2.7, 70]]),
    "added at the end": ("added(3.9, 4.4)", [FIRST, SECOND, THIRD, [3.5, 4, 70]]),
    "as one voice": (
        "edits.asOneVoice([{onset: 1, offset: 2, pitch: 60}, {onset: 0, offset: 1.4, pitch: 50}], bounds)",
        [[0, 1, 50], [1, 2, 60]],
    ),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_of_three_notes(page, name: str) -> None:
    edit, expected = EDITS[name]
    after = page.evaluate(RUN.replace("EDIT", edit), MELODY)
    assert (after is None) == (expected is None)
    if expected is not None:
        np.testing.assert_allclose(after, expected, atol=1e-9)


def test_who_touches_a_note_makes_it_certain(page) -> None:
    show = ".map((note) => ({onset: note.confidence, offset: note.key, key: 0}))"
    after = page.evaluate(RUN.replace("EDIT", "edits.kept(notes, new Set([1]), bounds)" + show), MELODY)
    assert after == [[0.3, None, 0], [1, 62, 0], [0.3, None, 0]]


def test_random_edits_keep_one_voice_and_can_be_undone(page, root) -> None:
    done = page.evaluate((root / "tests" / "app" / "random_edits.js").read_text(), {"runs": 400, "seed": 7})
    assert done["wrong"] == []
    assert len(done["count"]) == 8
    assert min(done["count"].values()) > 100, "every edit was tried"


def test_a_gesture_is_one_step_of_the_history(page) -> None:
    assert page.evaluate("""async () => {
        const { History } = await import("/page/history.js");
        const history = new History(0);
        history.hold((before) => before + 1);
        history.hold((before) => before + 5);
        const held = history.state;
        history.release();
        history.hold((before) => before + 1);
        history.cancel();
        history.hold((before) => before); // back where it began: no step
        history.release();
        const steps = history.past.length;
        history.hold((before) => before + 2);
        history.undo(); // ends the gesture first
        const undone = history.state;
        const redone = [history.redo(), history.state, history.redo()];
        history.undo();
        history.push(9);
        return [held, steps, undone, ...redone, history.redo(), history.state];
    }""") == [5, 1, 5, True, 7, False, False, 9]  # fmt: skip


TAPS = """async (times) => {
    const { TapTempo } = await import("/page/tap_tempo.js");
    const taps = new TapTempo();
    return times.map((time) => taps.tap(time) ?? null).at(-1);
}"""


@pytest.mark.parametrize(
    ("times", "bpm"),
    [
        ([0, 0.5, 1.0], None),
        ([0, 0.5, 1.0, 1.5], 120),
        ([0, 0.5, 1.0, 1.4, 2.0, 2.5, 3.0], 120),  # one tap too early
        ([0, 0.5, 1.0, 2.0, 2.5, 3.0], 120),  # one tap left out
        ([0, 0.5, 1.0, 1.5, 9.0, 10.0, 11.0, 12.0], 60),  # a pause begins anew
        ([0, 0.5, 1.0, 1.5, 9.0, 10.0], None),
        ([0, 0.1, 0.2, 0.3], 300),
        ([0, 2.0, 4.0, 6.0], 30),
        (list(np.cumsum([0.6 + 0.02 * (-1) ** n for n in range(20)])), 100),
    ],
)
def test_the_tempo_of_taps(page, times: list[float], bpm: int | None) -> None:
    assert page.evaluate(TAPS, times) == bpm


def test_the_grid_follows_the_beats(page) -> None:
    grid = """async ([beats, meter, quantize, times]) => {
        const { Grid } = await import("/page/grid.js");
        const grid = new Grid(beats, meter, quantize);
        return times.map((time) => [grid.snap(time), grid.next(time, 1), grid.next(time, -1)]);
    }"""

    def places(*arguments: Any) -> np.ndarray:
        return np.array(page.evaluate(grid, list(arguments)))

    beats = [[1.0, 1], [1.4, 0], [2.2, 0]]  # the second beat is twice as long
    sixteenths = places(beats, "4/4", "off", [1.04, 1.06, 1.8, 0.0, 3.0])
    np.testing.assert_allclose(sixteenths[:, 0], [1.0, 1.1, 1.8, 0.0, 3.0], atol=1e-9)
    np.testing.assert_allclose(sixteenths[2], [1.8, 2.0, 1.6])
    np.testing.assert_allclose(places(beats, "4/4", "1/8t", [1.12])[0], [1 + 0.4 / 3, 1 + 0.4 / 3, 1.0])
    np.testing.assert_allclose(places(beats, "6/8", "1/8", [1.12])[0, 0], 1 + 0.4 / 3)
    np.testing.assert_allclose(places([], "4/4", "off", [0.5])[0], [0.5, 0.51, 0.49])


def test_bars_are_numbered_from_bar_one(page) -> None:
    bars = """async (first) => {
        const { Grid } = await import("/page/grid.js");
        return new Grid([[0, 0], [1, 1], [2, 0], [3, 1], [4, 0], [5, 1]], "2/4").bars(first ?? undefined);
    }"""
    assert page.evaluate(bars, None) == [[1, 1], [3, 2], [5, 3]]
    assert page.evaluate(bars, 3.02) == [[1, 0], [3, 1], [5, 2]]


def test_the_preview_sounds_the_key_and_ends(page) -> None:
    samples = np.array(page.evaluate("""async () => {
        const { strike } = await import("/page/tone.js");
        const context = new OfflineAudioContext(1, 48000, 48000);
        strike(context, context.destination, 69, 100, 0, 0.4);
        return [...(await context.startRendering()).getChannelData(0)];
    }"""))  # fmt: skip
    spectrum = np.abs(np.fft.rfft(samples[:19200]))
    assert np.argmax(spectrum) * 48000 / 19200 == pytest.approx(440, abs=3)
    assert 0.1 < np.abs(samples).max() < 1
    assert np.abs(samples[32000:]).max() < 0.002
