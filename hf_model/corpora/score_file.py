"""Many melodies in one small file, for machines without the corpus of scores.

``python -m hf_model.corpora.score_file pop909 data/raw elsewhere/data/raw`` writes the scores of a downloaded corpus;
the align stage reads ``data/raw/<corpus>/scores.json.gz``, if it exists, instead of the corpus.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hf_model.corpora.records import CorpusError, Record, ScoreRecord
from hf_model.notes.note import Note

SCORE_FILE = "scores.json.gz"


def write_scores(path: Path, records: Iterable[Record]) -> int:
    """Write the melodies of the records, with times in milliseconds; returns their number."""
    songs = {
        record.pair_id: {
            "licence": record.licence,
            "notes": [[round(note.onset, 3), round(note.offset, 3), note.pitch] for note in record.notes],
        }
        for record in records
        if isinstance(record, ScoreRecord)
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    # no time stamp, so that the same scores give the same bytes
    path.write_bytes(gzip.compress(json.dumps(songs, sort_keys=True).encode(), mtime=0))
    return len(songs)


def read_scores(path: Path, corpus: str) -> list[Record]:
    """Read a file of :func:`write_scores`.

    Raises
    ------
    CorpusError
        For a damaged file; the message names it.
    """
    try:
        songs: dict[str, Any] = json.loads(gzip.decompress(path.read_bytes()))
        return [
            ScoreRecord(corpus, name, song["licence"], [Note(*note) for note in song["notes"]])
            for name, song in songs.items()
        ]
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        msg = f"{path}: not a readable file of scores ({error})"
        raise CorpusError(msg) from error


def main(arguments: list[str]) -> str:
    """Write the scores of a corpus; arguments: the corpus, the source and the target folder of corpora."""
    from hf_model.corpora.catalogue import read

    corpus, source, target = arguments
    path = Path(target) / corpus / SCORE_FILE
    n_songs = write_scores(path, read(corpus, source))
    return f"{path}: {n_songs} melodies, {path.stat().st_size} bytes"


if __name__ == "__main__":
    sys.stdout.write(main(sys.argv[1:]) + "\n")
