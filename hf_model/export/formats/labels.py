"""Label tracks of Audacity: one line a note."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hf_model.notes.note import Note
from hf_model.notes.pitch import pitch_to_name


def write_labels(path: Path | str, keys: Sequence[Note]) -> None:
    """Write onset, offset (seconds) and name ("C4") of each note, separated by tabs."""
    lines = (f"{key.onset:.6f}\t{key.offset:.6f}\t{pitch_to_name(key.pitch)}\n" for key in keys)
    Path(path).write_text("".join(lines), encoding="utf-8", newline="\n")
