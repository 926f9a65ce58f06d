"""Tables of corpora: CSV files with a header."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from hf_model.corpora.records import CorpusError


def table_rows(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Read the rows of a table.

    Raises
    ------
    CorpusError
        If the file, or one of ``columns``, is missing.
    """
    require_file(path)
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        missing = [column for column in columns if column not in (reader.fieldnames or ())]
        if missing:
            raise CorpusError(f"{path}: column {missing[0]!r} is missing")
        return list(reader)


def require_file(path: Path) -> None:
    """Raise a CorpusError if a file of a corpus is missing."""
    if not path.is_file():
        raise CorpusError(f"{path}: missing; run the download stage, or check the mirror")
