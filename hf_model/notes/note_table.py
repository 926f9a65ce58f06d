"""Tables of notes, as spreadsheets and text editors save them: encodings, separators, decimal commas."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hf_model.notes.note import Note
from hf_model.notes.pitch import name_to_key

EXPECTED = "neither a MIDI file nor a table of notes (first line: onset,offset,note,velocity)"

DEFAULT_VELOCITY = 80

LENGTH_COLUMN = "recording"
"""Column of the length of the recording, in seconds."""

_BYTE_ORDER_MARKS = {
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe\0\0": "utf-32",
    b"\0\0\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
_CONTROL_CHARACTERS = re.compile(r"[\0-\x08\x0e-\x1b\x7f]")


class TableError(ValueError):
    """Why a table cannot be read; the message begins with the line if there is one."""


@dataclass(frozen=True)
class Table:
    """The notes of a table, and the length of the recording in seconds, if it states one."""

    notes: list[Note]
    duration: float | None = None


def parse_table(data: bytes, max_notes: int) -> Table:
    """Read a table of ``onset, offset, note`` (or ``pitch``), ``velocity``; columns in any order, others are ignored.

    The length of the recording may be in a column ``recording``; the largest of its values counts.

    Raises
    ------
    TableError
        With the line that cannot be read, or if there are more than ``max_notes`` rows.
    """
    lines = decode_text(data).splitlines()
    first, separator = _find_header(lines)
    header, *_ = _rows(lines[first : first + 1], separator, first)
    columns = [name.lower() for name in header[1]]
    pitch_column = next((name for name in ("note", "pitch") if name in columns), None)
    if pitch_column is None or not {"onset", "offset"} <= set(columns):
        raise TableError(EXPECTED)
    notes: list[Note] = []
    length = 0.0
    for number, cells in _rows(lines[first + 1 :], separator, first + 1):
        if not any(cells):
            continue
        if any(cells[len(columns) :]):
            msg = (
                f"line {number}: {len(cells)} cells under {len(columns)} columns; decimal commas need another separator"
            )
            raise TableError(msg)
        row = dict(zip(columns, cells, strict=False))
        length = max(length, _length(row.pop(LENGTH_COLUMN, "")))
        if not any(row.values()):
            continue
        if len(notes) == max_notes:
            msg = f"line {number}: more than {max_notes} notes"
            raise TableError(msg)
        try:
            notes.append(_row_to_note(row, pitch_column))
        except (KeyError, ValueError, OverflowError) as error:
            reason = f"no {error} in this row" if isinstance(error, KeyError) else str(error)
            msg = f"line {number}: {reason[:200]}"
            raise TableError(msg) from error
    return Table(notes, length or None)


def _length(cell: str) -> float:
    """Read the length of the recording; a cell that is no positive number has none."""
    try:
        value = float(cell.replace(",", "."))
    except ValueError:
        return 0.0
    return value if 0 < value < math.inf else 0.0


def decode_text(data: bytes) -> str:
    """Decode UTF-8, UTF-16 (with a byte order mark or recognised by its zero bytes) or a Western 8-bit encoding.

    Raises
    ------
    TableError
        If it is not text.
    """
    encoding = next((name for mark, name in _BYTE_ORDER_MARKS.items() if data.startswith(mark)), None)
    start = data[:200]
    if encoding is None and len(start) > 3 and b"\0" in start:
        encoding = "utf-16-be" if start[::2].count(0) > start[1::2].count(0) else "utf-16-le"
    for candidate in (encoding,) if encoding else ("utf-8", "cp1252", "latin-1"):
        try:
            text = data.decode(candidate)
        except UnicodeDecodeError:
            continue
        if not _CONTROL_CHARACTERS.search(text[:1000]):
            return text
    raise TableError(EXPECTED)


def _find_header(lines: Sequence[str]) -> tuple[int, str]:
    """Find the first line with cells, after a line ``sep=;`` if there is one, and the separator."""
    separator = ""
    for number, line in enumerate(lines):
        named = _SEPARATOR_LINE.fullmatch(line.strip(" \r\n"))
        if named and not separator:
            separator = named[1]
        elif line.strip(' \t,;"'):
            return number, separator or max(";\t,|", key=line.count)
    raise TableError(EXPECTED)


def _rows(lines: Sequence[str], separator: str, n_before: int) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of the first line and the stripped cells of each row."""
    try:
        reader = csv.reader(lines, delimiter=separator, strict=True)
    except (TypeError, ValueError) as error:
        raise TableError(EXPECTED) from error
    number = n_before + 1
    try:
        for cells in reader:
            yield number, [cell.strip() for cell in cells]
            number = n_before + reader.line_num + 1
    except csv.Error as error:
        known = {"unexpected end": "a quotation mark is never closed", "field larger": "a cell is too long"}
        reason = next((text for start, text in known.items() if start in str(error)), "quotation marks are misplaced")
        msg = f"line {number}: {reason}"
        raise TableError(msg) from error


def _row_to_note(row: dict[str, str], pitch_column: str) -> Note:
    def number(name: str) -> float:
        return float(row[name].replace(",", "."))  # only a decimal comma can be within a cell

    onset = number("onset")
    if onset < 0:
        msg = f"onset is {onset:g} s, must not be negative"
        raise ValueError(msg)
    text = row[pitch_column]
    pitch = float(name_to_key(text)) if text[:1].isalpha() and text[:3] not in {"nan", "inf"} else number(pitch_column)
    velocity = number("velocity") if row.get("velocity") else DEFAULT_VELOCITY
    if not math.isfinite(pitch):
        msg = f"{pitch_column} is {text}, allowed is 0 to 127 (MIDI number)"
        raise ValueError(msg)
    if not 0 <= velocity <= 127:
        msg = f"velocity is {velocity:g}, allowed is 0 to 127"
        raise ValueError(msg)
    return Note(onset, number("offset"), float(math.floor(pitch + 0.5)), int(velocity))
