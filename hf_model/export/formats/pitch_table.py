"""Pitch curves as CSV."""

from __future__ import annotations

from pathlib import Path

from hf_model.transcriber.pitch_curve import PitchCurve

HEADER = "time,frequency,voicing\n"


def write_pitch_table(path: Path | str, curve: PitchCurve) -> None:
    """Write a row for every frame: time in seconds, frequency in Hz, voicing (0-1)."""
    rows = zip(curve.times.tolist(), curve.frequency.tolist(), curve.voicing.tolist(), strict=True)
    with Path(path).open("w", encoding="utf-8", newline="") as file:
        file.write(HEADER)
        file.writelines(f"{time:.2f},{frequency:.2f},{voicing:.3f}\n" for time, frequency, voicing in rows)
