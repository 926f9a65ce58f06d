"""The align stage: data/raw to aligned pairs of voice and piano with corrected notes in data/aligned."""

from __future__ import annotations

from pathlib import Path

from hf_model.alignment.align import AlignSettings, align
from hf_model.corpora.own import register_own
from stages import _run
from stages.cluster.workers import open_workers

MAX_PRINTED = 5
"""Excluded pairs that are printed for each corpus; the report lists all of them."""


def main() -> None:
    """Run the stage."""
    register_own()
    settings = _run.settings("align", AlignSettings)
    with _run.output("data/aligned") as folder, open_workers() as workers:
        report = align(Path("data/raw"), folder, settings, workers)
    for name, part in report.items():
        found = f"{part['kept']} of {part['pairs']} pairs kept"
        print(f"{name}: {found}, {part['seconds'] / 60:.1f} min, {part['notes']} notes")
        for left in part["left_out"][:MAX_PRINTED]:
            print(f"{name}: left out {left['pair_id']}: {left['reason']}")
        if len(part["left_out"]) > MAX_PRINTED:
            print(f"{name}: {len(part['left_out']) - MAX_PRINTED} more left out: see data/aligned/report.json")


if __name__ == "__main__":
    _run.main(main)
