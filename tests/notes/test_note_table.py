"""Tables of notes as spreadsheets save them."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest

from hf_model.notes.note import Note
from hf_model.notes.note_files import NoteFileError, read_score

ROWS = "onset,offset,note\n0.5,1,60\n"
SEMICOLONS = ROWS.replace(",", ";").replace(".", ",")

DIALECTS = {
    "utf-8": ROWS.encode(),
    "utf-8 with byte order mark": codecs.BOM_UTF8 + ROWS.encode(),
    "utf-16": ROWS.encode("utf-16"),
    "utf-16 little endian": codecs.BOM_UTF16_LE + ROWS.encode("utf-16-le"),
    "utf-16 big endian": codecs.BOM_UTF16_BE + ROWS.encode("utf-16-be"),
    "utf-16 little endian without mark": ROWS.encode("utf-16-le"),
    "utf-16 big endian without mark": ROWS.encode("utf-16-be"),
    "utf-32": ROWS.encode("utf-32"),
    "latin-1": ("größe," + ROWS.replace("\n0.5", "\n7,0.5")).encode("latin-1"),
    "separator line": b"sep=;\n" + SEMICOLONS.encode(),
    "separator line with quotes": b'"sep=;"\r\n' + SEMICOLONS.replace("\n", "\r\n").encode(),
    "separator line, bar": b"sep=|\n" + ROWS.replace(",", "|").encode(),
    "semicolons and decimal commas": SEMICOLONS.encode(),
    "tabs": ROWS.replace(",", "\t").encode(),
    "tabs and decimal commas": ROWS.replace(",", "\t").replace(".", ",").encode(),
    "decimal commas in quotes": b'onset,offset,note\n"0,5",1,60\n',
    "empty first line": b"\n" + ROWS.encode(),
    "first line of separators": b";;\n\n" + SEMICOLONS.encode(),
    "line ends of old Macintoshes": ROWS.replace("\n", "\r").encode(),
    "everything in quotes": b'"onset","offset","note"\n"0.5","1","C4"\n',
    "line break in a cell": b'onset,offset,note,why\n0.5,1,60,"two\nlines"\n',
    "spaces": b" Onset , Offset , Note \n 0.5 , 1 , C4 \n",
    "empty cells after the columns": b"onset,offset,note\n0.5,1,60,,,\n",
}


@pytest.mark.parametrize("name", DIALECTS)
def test_tables_in_many_dialects(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.csv").write_bytes(DIALECTS[name])
    assert read_score(tmp_path / "a.csv").notes == [Note(0.5, 1, 60)]


BROKEN = {
    "an open quote": (b'onset,offset,note\n0,1,60\n1,2,"60\n2,3,60\n', ", line 3: a quotation mark is never closed"),
    "a long cell": (b"onset,offset,note,why\n0,1,60," + b"x" * 200_000, ", line 2: a cell is too long"),
    "text after a quote": (b'onset,offset,note\n0,1,"60"x\n', ", line 2: quotation marks are misplaced"),
    "decimal commas": (b"onset,offset,note\n0,5,1,0,60\n", ", line 2: 5 cells under 3 columns; decimal commas need"),
    "velocity nan": (b"onset,offset,note,velocity\n0,1,60,nan\n", ", line 2: velocity is nan, allowed is 0 to 127"),
    "velocity inf": (b"onset,offset,note,velocity\n0,1,60,inf\n", ", line 2: velocity is inf, allowed is 0 to 127"),
    "note inf": (b"onset,offset,note\n0,1,inf\n", ", line 2: note is inf, allowed is 0 to 127"),
    "line numbers": (b'\nonset,offset,note,why\n0,1,60,"a\nb"\n0,1,x9,\n', ", line 5: 'x9' is not a note"),
    "binary": (bytes(range(256)), ": neither a MIDI file nor a table of notes"),
    "half a character of utf-16": (ROWS.encode("utf-16")[:-1], ": neither a MIDI file nor a table of notes"),
    "nothing": (b"\n\n;;\n", ": neither a MIDI file nor a table of notes"),
    "a recording": (b"RIFF\4\0\0\0WAVEfmt ", ": this is a recording; `hummingface convert` makes notes of it"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_tables_are_one_line(tmp_path: Path, name: str) -> None:
    content, message = BROKEN[name]
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(NoteFileError) as error:
        read_score(tmp_path / "a.csv")
    assert str(error.value).startswith(f"{tmp_path / 'a.csv'}{message}")
    assert "\n" not in str(error.value)


def test_the_number_of_notes_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hf_model.notes.note_files.MAX_NOTES", 2)
    (tmp_path / "a.csv").write_text("onset,offset,note\n" + 3 * "0,1,60\n")
    with pytest.raises(NoteFileError, match="line 4: more than 2 notes"):
        read_score(tmp_path / "a.csv")
