"""Files of note labels beside a recording: CSV, text, MIDI, TextGrid (Praat) and lab (HTK, NNSVS)."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from hf_model.corpora.records import CorpusError
from hf_model.notes.midi import read_midi, skyline
from hf_model.notes.note import Note
from hf_model.notes.note_table import decode_text
from hf_model.notes.pitch import hz_to_pitch, name_to_key

HTK_UNIT = 1e-7
"""Seconds: times of a lab file that are whole numbers above ``HTK_LEAST`` are in units of 100 ns."""

HTK_LEAST = 10_000
_INTERVAL = re.compile(
    r"xmin\s*=\s*(?P<start>[\d.eE+-]+)\s*xmax\s*=\s*(?P<end>[\d.eE+-]+)\s*text\s*=\s*\"(?P<text>(?:[^\"]|\"\")*)\""
)


def read_labels(path: Path) -> list[Note]:
    """Read the notes of a label file, sorted by onset.

    Parameters
    ----------
    path : Path
        ``.csv``: a table with the columns ``onset``, ``offset`` (or ``duration``) and ``pitch``, ``note`` or ``f0``
        (Hz). ``.txt`` and ``.lab``: rows of onset, offset and pitch. ``.mid``, ``.midi``: the highest notes.
        ``.TextGrid``: the intervals whose text is a pitch. A pitch is a MIDI number or a name ("C4", "F#3"); in
        ``.txt`` and ``.lab`` other words are rests.

    Raises
    ------
    CorpusError
        If it cannot be read or holds no notes; the message names the file.
    """
    read = READERS.get(path.suffix.lower())
    if read is None:
        raise CorpusError(f"{path}: labels are {', '.join(sorted(READERS))} files")
    try:
        notes = sorted(read(path))
    except (OSError, ValueError) as error:
        text = str(error)
        raise CorpusError(text if str(path) in text else f"{path}: {text}") from error
    if not notes:
        raise CorpusError(f"{path}: no notes in it")
    return notes


def parse_pitch(text: str) -> float | None:
    """Parse a MIDI number or the name of a note; None for anything else, which is a rest."""
    word = text.strip()
    try:
        pitch = float(word)
    except ValueError:
        try:
            return float(name_to_key(word))
        except ValueError:
            return None
    return pitch if 0 < pitch < 128 else None


def _read_table(path: Path) -> list[Note]:
    """Read a table with a header: onset, offset (or duration), and pitch, note, or f0 in Hz."""
    lines = [line for line in decode_text(path.read_bytes()).splitlines() if line.strip()]
    separator = max(";\t,", key=lines[0].count) if lines else ","
    rows = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=separator)]
    columns = {name.lower(): index for index, name in enumerate(rows[0])} if rows else {}
    pitch = next((name for name in ("pitch", "note", "f0") if name in columns), "")
    end = next((name for name in ("offset", "duration") if name in columns), "")
    if "onset" not in columns or not pitch or not end:
        raise CorpusError(f"{path}: the first line must name the columns onset, offset and pitch (or note)")
    parsed = []
    for number, row in enumerate(rows[1:], start=2):
        try:
            onset, offset = (float(row[columns[name]].replace(",", ".")) for name in ("onset", end))
            text = row[columns[pitch]].replace(",", ".")
        except (ValueError, IndexError) as error:
            raise CorpusError(f"{path}, row {number}: {error}") from error
        if pitch == "f0" and float(text) > 0:
            text = str(float(hz_to_pitch(float(text))))
        parsed.append((onset, onset + offset if end == "duration" else offset, text))
    return _notes(parsed)


def _read_midi(path: Path) -> list[Note]:
    return skyline(read_midi(path))


def _read_rows(path: Path) -> list[Note]:
    """Read rows of onset, offset, pitch; a header and rows without a pitch are left out."""
    rows = []
    for number, line in enumerate(decode_text(path.read_bytes()).splitlines(), start=1):
        cells = re.split(r"[\t,; ]+", line.strip())
        if len(cells) < 2:
            continue
        try:
            start, end = float(cells[0]), float(cells[1])
        except ValueError:
            if number == 1:
                continue
            raise CorpusError(f"{path}, line {number}: {line.strip()[:60]!r} does not begin with two times") from None
        rows.append((start, end, " ".join(cells[2:])))
    whole = all(start.is_integer() and end.is_integer() for start, end, _ in rows)
    unit = HTK_UNIT if rows and whole and rows[-1][1] > HTK_LEAST else 1.0
    return _notes((unit * start, unit * end, text) for start, end, text in rows)


def _read_textgrid(path: Path) -> list[Note]:
    """Read the intervals of all tiers whose text is a pitch."""
    found = _INTERVAL.finditer(decode_text(path.read_bytes()))
    return _notes((float(one["start"]), float(one["end"]), one["text"]) for one in found)


def _notes(rows: Iterable[tuple[float, float, str]]) -> list[Note]:
    parsed = [(start, end, parse_pitch(text)) for start, end, text in rows]
    return [Note(start, end, pitch) for start, end, pitch in parsed if pitch is not None]


READERS: dict[str, Callable[[Path], list[Note]]] = {
    ".csv": _read_table,
    ".txt": _read_rows,
    ".lab": _read_rows,
    ".mid": _read_midi,
    ".midi": _read_midi,
    ".textgrid": _read_textgrid,
}
"""Readers by the suffix of the file, in small letters."""
