"""The steady load: growth, percentiles and rows from samples made by hand; one visit to a page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import soundfile

from bench.reliability.soak import EXAMPLE, Sample, as_wav, growth, quarters, read_log, rows_of, visit
from tests.page_server import PageServer

STEADY = [Sample(minute, 1.0, 0.25, 400.0, 14, 9) for minute in range(41)]


def test_growth_is_that_of_a_straight_line() -> None:
    assert growth(STEADY, lambda sample: sample.rss_mb) == pytest.approx(0.0, abs=1e-9)
    assert growth(STEADY, lambda sample: 100 + sample.minutes) == pytest.approx(0.4)
    assert growth(STEADY, lambda sample: 100 + (sample.minutes == 20)) == pytest.approx(0.0, abs=1e-9), "a peak"


def test_latency_is_compared_between_quarters() -> None:
    first, last = quarters(STEADY, lambda sample: 1.0 if sample.minutes < 20 else 2.0)
    assert (first, last) == (1.0, 2.0)


def test_rows_leave_the_start_out() -> None:
    cold = [Sample(0.0, 9.0, 3.0, 100.0, 5, 2), *STEADY[1:]]
    rows = {row["what"].partition(": ")[2]: row["result"] for row in rows_of(cold, "command")}
    assert rows["growth of memory"] == "+0.0 % (400 MB at first, 400 MB at last)"
    assert rows["open files, first and last"] == "14, 14"
    assert rows["CPU a conversion (95 %), first and last quarter"] == "0.25, 0.25 s (+0 %)"


def test_a_log_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "soak.jsonl"
    path.write_text(json.dumps(vars(STEADY[3])) + "\n" + json.dumps({"exit": 0, "errors": ""}) + "\n")
    assert read_log(path) == [STEADY[3]]


@pytest.mark.xdist_group("page")
def test_a_visit_leaves_one_recording(page_server: PageServer) -> None:
    before = page_server.files()
    voice, sample_rate = soundfile.read(EXAMPLE, frames=88200)
    first = visit(page_server, as_wav(voice, sample_rate), None)
    second = visit(page_server, as_wav(voice, sample_rate), first, is_streamed=True)
    left = {Path(name).parts[1] for name in page_server.files() - before}
    assert left == {second}
    page_server.post(f"/recordings/{second}/forget")
