"""Damaged files of all kinds, and whether the program keeps its promises on each.

Exit code 0, 1 or 2; no traceback; one line that names the file, in words that are not Python's; no partial output; the
other files converted; less than 1 GB and 20 s. Input ``n`` of a kind is always the same.
"""

from __future__ import annotations

import argparse
from typing import Any

WHAT = {
    "audio": "damaged recordings in 33 containers and codecs",
    "midi": "damaged MIDI files",
    "table": "damaged tables of notes",
    "config": "damaged config.json of a model",
    "weights": "damaged model.safetensors",
    "parquet": "damaged shards and manifests of pairs",
    "manifest": "damaged manifests of shards",
    "params": "damaged params.yaml",
    "registry": "damaged registries of corpora",
    "program": "damaged recordings and a whole one in one run of the program",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    parser.add_argument("--count", type=int, default=5000, help="number of files (%(default)s)")
    parser.add_argument("--first", type=int, default=0, help="number of the first file of each kind (%(default)s)")


def run(options: argparse.Namespace) -> None:
    """Print one line for each kind, and each finding."""
    for row in rows(options.count, options.first):
        print(f"{row['what']}: {row['result']} (target: {row['target']})", flush=True)
        for finding in row["findings"]:
            print(f"  {finding}")


def rows(count: int = 5000, first: int = 0) -> list[dict[str, Any]]:
    """Run ``count`` damaged files.

    Returns
    -------
    list of dict
        For each kind ``what``, ``target``, ``result``, ``command``, and the ``findings`` as texts.
    """
    from tests.fuzz import harness

    outcomes = [*harness.run(count, first), *harness.run_program_once(first)]
    command = f"python -m bench fuzz --count {count}" + (f" --first {first}" if first else "")
    table = []
    for kind, what in WHAT.items():
        of_kind = [outcome for outcome in outcomes if outcome.target == kind]
        broken = [outcome for outcome in of_kind if outcome.problems]
        findings = [f"{one.target} {one.number} ({one.file}): {'; '.join(one.problems)}" for one in broken]
        slowest = max((outcome.seconds for outcome in of_kind), default=0.0)
        peak = max((outcome.peak_bytes for outcome in of_kind), default=0) / 1e6
        result = f"{len(of_kind)} files, {len(findings)} findings; at most {slowest:.1f} s, {peak:.0f} MB"
        table.append({"what": what, "target": "0 findings", "result": result, "command": command, "findings": findings})
    return table
