"""Reader of the corpora of the user."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hf_model.corpora.corpus import Corpus
from hf_model.corpora.label_files import read_labels
from hf_model.corpora.own import LABELS, PIANO, label_file, recordings
from hf_model.corpora.records import VoiceRecord


def read_own(corpus: Corpus, folder: Path) -> Iterator[VoiceRecord]:
    """Read a corpus of the user from a folder; recordings beside a piano are paired by the align stage."""
    if corpus.labels == PIANO:
        return
    for sound in recordings(folder, corpus.labels):
        parts = sound.relative_to(folder).with_suffix("").parts
        notes = read_labels(label_file(sound, corpus.labels)) if LABELS[corpus.labels] else None
        is_score = corpus.labels == "score"
        yield VoiceRecord(
            corpus.name,
            "-".join(parts),
            f"{corpus.name}-{parts[0]}",
            corpus.licence,
            sound,
            None if is_score else notes,
            notes if is_score else None,
        )
