"""Readers of the corpora with voices: ssvd, hust_solfege, csd and vocadito, with labels as published.

Singers of ssvd
---------------
No singers are published for ssvd. Its recordings were made with an app, and their numbers run in sessions: within a run
of numbers the noise floor, the spectrum of the voice, the range and the exercise mostly agree. ``SSVD_SINGERS``
therefore groups all recordings that may share a singer:

- numbers less than 50 apart are one group, unless both noise floor and range differ;
- 1072-1079, 1192-1198 and 1307-1355 are one group although far apart: eight of these thirteen share one very quiet room
  (about 20 dB below nearly all others at 50-100 Hz, with the same floor above 3 kHz), and the numbers of the other five
  are between theirs;
- 406-480 are one group of men and women: the men share a microphone with little response above 6 kHz, and the numbers
  of the women are between theirs;
- 1201-1230 are 24 recordings of one series with an unknown number of singers, kept as one group;
- man1 and man2 are named by their publisher.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from hf_model.corpora.catalogue import get
from hf_model.corpora.records import CorpusError, VoiceRecord, find_files
from hf_model.notes.midi import read_midi
from hf_model.notes.note import Note
from hf_model.notes.pitch import hz_to_pitch

SSVD_SINGERS: tuple[tuple[str, tuple[tuple[int, int], ...]], ...] = (
    ("300", ((313, 366),)),
    ("400", ((406, 480),)),
    ("1011", ((1011, 1011),)),
    ("1072", ((1072, 1079), (1192, 1198), (1307, 1355))),
    ("1099", ((1087, 1131),)),
    ("1155", ((1150, 1156),)),
    ("1174", ((1174, 1189),)),
    ("1201", ((1201, 1230),)),
    ("1252", ((1252, 1252),)),
)
"""Groups and their ranges of numbers (first, last); any other number is its own group."""

HUST_PITCH_OFFSET = 20
"""MIDI number minus piano key, which hust_solfege counts (key 49 = 440 Hz)."""

SCORE_NOTE_SECONDS = 0.5
"""Length of score notes without published times."""


def ssvd_singer(name: str) -> str:
    """Return the group of an ssvd or hust_solfege recording (see the module docstring)."""
    if not name.isdigit():
        return f"ssvd-{name.rsplit('_', 1)[0].removesuffix('_1')}"
    number = int(name)
    for group, runs in SSVD_SINGERS:
        if any(first <= number <= last for first, last in runs):
            return f"ssvd-{group}"
    return f"ssvd-{name}"


def _rows(path: Path, columns: int, separator: str | None = None, header: bool = False) -> list[list[float]]:
    """Read the first columns of a text table as numbers."""
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), start=1):
        if not line.strip() or (header and number == 1):
            continue
        try:
            values = [float(cell) for cell in line.split(separator)[:columns]]
        except ValueError as error:
            raise CorpusError(f"{path}, line {number}: {error}") from error
        if len(values) < columns:
            raise CorpusError(f"{path}, line {number}: {len(values)} columns, expected {columns}")
        rows.append(values)
    return rows


def _note(path: Path, onset: float, offset: float, pitch: float) -> Note:
    try:
        return Note(onset, offset, pitch)
    except ValueError as error:
        raise CorpusError(f"{path}: {error}") from error


def read_ssvd(raw: Path) -> Iterator[VoiceRecord]:
    """Read ``ssvd/train&valid/<name>.flac`` and ``<name>.txt`` (rows ``onset offset pitch``: s, s, MIDI number).

    Pitches are about 3.9 Hz sharp, and a few are wrong by an octave or more; the alignment stage corrects them.
    """
    corpus, folder = get("ssvd"), raw / "ssvd" / "train&valid"
    for path in find_files(folder, "*.txt"):
        audio_path = path.with_suffix(".flac")
        if not audio_path.is_file():
            raise CorpusError(f"{audio_path}: missing, but {path.name} exists")
        notes = sorted(_note(path, *row) for row in _rows(path, 3))
        licence = corpus.licence_of(f"train&valid/{path.name}")
        yield VoiceRecord("ssvd", path.stem, ssvd_singer(path.stem), licence, audio_path, notes)


def read_hust_solfege(raw: Path) -> Iterator[VoiceRecord]:
    """Read the recordings of hust_solfege whose audio is in ssvd, with the intended score if it is published.

    ``onset&pitch/<name>.txt`` has onsets, a placeholder for offsets, and the sung pitch; offsets here are the next
    onset (0.5 s after the last), so compare onsets only. ``alignment/<name>.txt`` has the intended pitches without
    times: the notes of ``score`` last half a second each. If both files have the same number of rows (most do), row k
    of one corresponds to row k of the other.
    """
    corpus, folder = get("hust_solfege"), raw / "hust_solfege"
    for path in find_files(folder / "onset&pitch", "*.txt"):
        audio_path = raw / "ssvd" / "train&valid" / f"{path.stem}.flac"
        if not audio_path.is_file():
            continue
        rows = _rows(path, 3, header=True)
        # The recordings from MARG are labelled in MIDI numbers.
        shift = HUST_PITCH_OFFSET if path.stem.isdigit() else 0
        onsets = [row[0] for row in rows]
        ends = [after for _, after in pairwise([*onsets, onsets[-1] + SCORE_NOTE_SECONDS])]
        notes = [_note(path, row[0], end, row[2] + shift) for row, end in zip(rows, ends, strict=True)]
        yield VoiceRecord(
            "hust_solfege",
            path.stem,
            ssvd_singer(path.stem),
            corpus.licence,
            audio_path,
            notes,
            _hust_score(folder / "alignment" / path.name),
        )


def _hust_score(path: Path) -> list[Note] | None:
    if not path.is_file():
        return None
    pitches = [row[1] + HUST_PITCH_OFFSET for row in _rows(path, 2, header=True)]
    length = SCORE_NOTE_SECONDS
    return [_note(path, k * length, (k + 1) * length, pitch) for k, pitch in enumerate(pitches)]


def read_csd(raw: Path) -> Iterator[VoiceRecord]:
    """Read ``csd/<language>/{wav or mp3,csv,mid}/<name>.*``: one singer, with the integer pitches of the score.

    The csv and the MIDI file have the same notes: the publisher aligned the MIDI notes with the voice by hand.
    """
    corpus = get("csd")
    for path in find_files(raw / "csd", "*/csv/*.csv"):
        folder = path.parent.parent
        options = [folder / kind / f"{path.stem}.{kind}" for kind in ("wav", "mp3")]
        audio_path = next((option for option in options if option.is_file()), None)
        if audio_path is None:
            raise CorpusError(f"{options[0]}: missing (and no mp3 of it)")
        notes = sorted(_note(path, *row) for row in _rows(path, 3, ",", header=True))
        midi_path = folder / "mid" / f"{path.stem}.mid"
        score = read_midi(midi_path) if midi_path.is_file() else None
        yield VoiceRecord("csd", path.stem, "csd", corpus.licence, audio_path, notes, score, measure_only=True)


def read_vocadito(raw: Path, annotator: str = "A1") -> Iterator[VoiceRecord]:
    """Read ``vocadito/Audio/<name>.wav`` and, where present, ``Annotations/Notes/<name>_notes<annotator>.csv``.

    Its rows are ``onset, f0, duration`` (s, Hz, s). Singers are those of ``vocadito_metadata.csv``; without it, each
    clip has its own.
    """
    corpus, folder = get("vocadito"), raw / "vocadito"
    singers = _vocadito_singers(folder / "vocadito_metadata.csv")
    for audio_path in find_files(folder / "Audio", "*.wav"):
        name = audio_path.stem
        path = folder / "Annotations" / "Notes" / f"{name}_notes{annotator}.csv"
        notes = None
        if path.is_file():
            rows = _rows(path, 3, ",")
            notes = sorted(_note(path, row[0], row[0] + row[2], float(hz_to_pitch(row[1]))) for row in rows)
        singer = f"vocadito-{singers.get(name.removeprefix('vocadito_'), name)}"
        yield VoiceRecord("vocadito", name, singer, corpus.licence, audio_path, notes, measure_only=True)


def _vocadito_singers(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8-sig") as file:
        return {row["track_id"]: row["singer_id"] for row in csv.DictReader(file)}
