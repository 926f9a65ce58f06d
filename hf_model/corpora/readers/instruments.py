"""Readers of the corpora with pianos, drums and other instruments: maestro, nsynth, groove, openmic."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hf_model.corpora.catalogue import get
from hf_model.corpora.readers.tables import require_file, table_rows
from hf_model.corpora.records import CorpusError, InstrumentRecord, PianoRecord
from hf_model.notes.note import Note

NSYNTH_HELD = 3.0
"""Seconds that each note of NSynth is held; recordings last four seconds."""

OPENMIC_PRESENT = 0.5
"""Minimum relevance of a present instrument (a majority of the annotators)."""


def _json(path: Path) -> Any:
    require_file(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CorpusError(f"{path}: not valid JSON ({error})") from error


def read_maestro(raw: Path) -> Iterator[PianoRecord]:
    """Read ``maestro/maestro-v3.0.0.csv`` (or ``.json``) and the MIDI and wav files it names.

    Yields
    ------
    PianoRecord
        ``audio_path`` is None if only the MIDI part was downloaded.
    """
    licence, folder = get("maestro").licence, raw / "maestro"
    columns = ("midi_filename", "audio_filename", "split", "duration")
    if (folder / "maestro-v3.0.0.csv").is_file() or not (folder / "maestro-v3.0.0.json").is_file():
        rows: list[dict[str, Any]] = list(table_rows(folder / "maestro-v3.0.0.csv", columns))
    else:
        # The JSON file has an object for each column, from row number to value.
        table = _json(folder / "maestro-v3.0.0.json")
        rows = [{column: table[column][row] for column in columns} for row in table["midi_filename"]]
    for row in rows:
        midi_path, audio_path = folder / row["midi_filename"], folder / row["audio_filename"]
        if not midi_path.is_file():
            raise CorpusError(f"{midi_path}: missing, but listed in the table of MAESTRO")
        yield PianoRecord(
            "maestro",
            midi_path.stem,
            licence,
            audio_path if audio_path.is_file() else None,
            midi_path,
            row["split"],
            float(row["duration"]),
        )


def read_nsynth(raw: Path) -> Iterator[InstrumentRecord]:
    """Read ``nsynth/nsynth-{train,valid,test}/examples.json`` and ``audio/<note>.wav``; any of the three.

    Yields
    ------
    InstrumentRecord
        One note each, held for three seconds; ``instruments`` is family and source ("keyboard_acoustic").
    """
    licence, folder = get("nsynth").licence, raw / "nsynth"
    tables = [folder / f"nsynth-{split}" / "examples.json" for split in ("train", "valid", "test")]
    if not any(path.is_file() for path in tables):
        raise CorpusError(f"{folder}: no nsynth-*/examples.json there; run the download stage, or check the mirror")
    for path in tables:
        if not path.is_file():
            continue
        for name, example in sorted(_json(path).items()):
            audio_path = path.parent / "audio" / f"{name}.wav"
            if not audio_path.is_file():
                raise CorpusError(f"{audio_path}: missing, but listed in {path.name}")
            instrument = f"{example['instrument_family_str']}_{example['instrument_source_str']}"
            note = Note(0.0, NSYNTH_HELD, float(example["pitch"]), int(example["velocity"]))
            split = path.parent.name.removeprefix("nsynth-")
            yield InstrumentRecord("nsynth", name, licence, audio_path, None, (instrument,), [note], split)


def read_groove(raw: Path) -> Iterator[InstrumentRecord]:
    """Read ``groove/info.csv`` and the MIDI and wav files it names; a few takes have no audio.

    Columns: ``drummer,session,id,style,bpm,beat_type,time_signature,midi_filename,audio_filename,duration,split``.
    """
    licence, folder = get("groove").licence, raw / "groove"
    for row in table_rows(folder / "info.csv", ("id", "midi_filename", "audio_filename", "split")):
        midi_path = folder / row["midi_filename"]
        if not midi_path.is_file():
            raise CorpusError(f"{midi_path}: missing, but listed in info.csv")
        audio_path = folder / row["audio_filename"] if row["audio_filename"] else None
        if audio_path and not audio_path.is_file():
            audio_path = None
        name = row["id"].replace("/", "-")
        yield InstrumentRecord("groove", name, licence, audio_path, midi_path, ("drums",), split=row["split"])


def read_openmic(raw: Path) -> Iterator[InstrumentRecord]:
    """Read ``openmic/openmic-2018-aggregated-labels.csv`` and ``audio/<first three digits>/<clip>.ogg``.

    Yields
    ------
    InstrumentRecord
        ``instruments`` are those that most annotators marked; ``licence`` is that of the recording, from
        ``openmic-2018-metadata.csv``; ``split`` is "train" or "test", from ``partitions/split01_*.csv``.
    """
    folder = raw / "openmic"
    labels: dict[str, list[str]] = {}
    path = folder / "openmic-2018-aggregated-labels.csv"
    for row in table_rows(path, ("sample_key", "instrument", "relevance")):
        present = labels.setdefault(row["sample_key"], [])
        if float(row["relevance"]) >= OPENMIC_PRESENT:
            present.append(row["instrument"])
    metadata = table_rows(folder / "openmic-2018-metadata.csv", ("sample_key",))
    licences = {row["sample_key"]: row.get("license_title") or row.get("license_url") or "" for row in metadata}
    splits = {}
    for split in ("train", "test"):
        part = folder / "partitions" / f"split01_{split}.csv"
        if part.is_file():
            splits.update(dict.fromkeys(part.read_text(encoding="utf-8").split(), split))
    for name, instruments in sorted(labels.items()):
        audio_path = folder / "audio" / name[:3] / f"{name}.ogg"
        if not audio_path.is_file():
            raise CorpusError(f"{audio_path}: missing, but listed in the table of labels")
        licence = licences.get(name) or get("openmic").licence
        yield InstrumentRecord(
            "openmic", name, licence, audio_path, None, tuple(sorted(instruments)), split=splits.get(name, "")
        )
