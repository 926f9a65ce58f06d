"""What a comparison says: sentences, a table, CSV, JSON and a picture."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from hf_model.notes.note import Note
from hf_model.practice.comparison import compare
from hf_model.practice.picture import save_practice_picture
from hf_model.practice.report import COLUMNS, as_csv, as_mapping, as_text, describe

SCORE = [Note(0.5 * k, 0.5 * k + 0.45, float(key)) for k, key in enumerate((60, 62, 64, 65, 67, 69, 71, 72, 71, 69))]
TAKE = [
    Note(1 + note.onset + (0.1 if k == 4 else 0), 1.3 + note.onset + (0.1 if k == 4 else 0), note.pitch - 14.9 + off)
    for k, (note, off) in enumerate(zip(SCORE, (0, 0, 0.3, 0, 0, -0.7, 0, 2, 0, 0), strict=True))
    if k != 1
]
FOUND = compare([*TAKE, Note(6.6, 6.8, 50.1)], SCORE)


def test_the_summary_says_what_a_teacher_would() -> None:
    assert describe(FOUND) == [
        "9 of 10 notes sung, 1 missed, 1 extra; 6 of them in tune (within 20 cents) and 8 on time (within 60 ms).",
        "Sung 1 octave and 3 semitones lower than written, 10 cents above A = 440 Hz, at the written tempo.",
        "Range: A2 to B3.",
        "The tuning holds: 0 cents from the beginning to the end.",
    ]


def test_the_table_has_a_line_for_every_note() -> None:
    lines = as_text(FOUND).splitlines()[-11:]
    assert [line.split()[0] for line in lines] == [*map(str, range(1, 11)), "+"]
    assert lines[1].split()[2:] == ["D4", "missed"]
    assert lines[2].endswith("a little sharp")
    assert lines[4].endswith("late")
    assert lines[5].endswith("flat")
    assert lines[7].endswith("another note")
    assert lines[10].endswith("extra")


def test_nothing_is_minus_zero() -> None:
    exact = compare([Note(n.onset, n.offset, n.pitch - 0.00001 * k) for k, n in enumerate(SCORE)], SCORE)
    lines = [line.split() for line in as_text(exact).splitlines()[-10:]]
    assert {number for line in lines for number in line[4:6]} == {"0"}
    assert "The tuning holds: 0 cents" in as_text(exact)
    assert "-0.0" not in as_csv(exact)


def test_csv_and_json_have_the_same_values() -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv(FOUND))))
    assert tuple(rows[0]) == COLUMNS
    document = json.loads(json.dumps(as_mapping(FOUND), allow_nan=False))
    assert len(rows) == len(document["notes"]) == 11
    assert [row["cents"] for row in rows] == ["" if n["cents"] is None else str(n["cents"]) for n in document["notes"]]
    assert (document["n_written"], document["n_sung"], document["n_missed"], document["n_extra"]) == (10, 9, 1, 1)
    assert (document["transposition"], document["tuning_cents"]) == (-15, 10.0)
    assert document["range"] == {"lowest": 45.1, "highest": 59.1}


def test_the_picture_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from PIL import Image

    save_practice_picture(tmp_path / "a.png", FOUND, "take $x beside <score>")
    picture = Image.open(tmp_path / "a.png").convert("RGB")
    assert picture.width > 1000
    colours = {colour for _, colour in picture.getcolors(1 << 24) or []}
    assert {(255, 92, 200), (125, 255, 154), (255, 184, 77)} <= colours, "wrong, right, and nearly right notes"
