"""Score the trainings of transcriber_scale.py: ``python bench/scale_report.py --models MODELS --mirror FOLDER``.

Writes scale.json, scale.md and scale.png beside the other figures of the transcriber. MODELS holds a folder for each
training, FOLDER has the layout of the public sources. What ships as ``transcriber_made`` is scored in the same run.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transcriber_figures import SCORES, figures
from transcriber_hearing import Ears, csd_system, made_system, model_at
from transcriber_pictures import SYSTEMS
from transcriber_recordings import CORRECTED, CSD, PUBLISHED, SSVD, Recording, bring, reference
from transcriber_report import interval, table

from hf_model.weights import WEIGHTS

SHIPS = "what ships (profile made)"
KEPT = ("seconds", "steps", "phrases", "batch", "device")


def measure(models: Path, recordings: Sequence[Recording]) -> dict[str, Any]:
    """Score every training under MODELS, the mean of its averages, on all of SSVD and on the clip of CSD."""
    folders = {path.parent.parent.name: path.parent for path in sorted(models.glob("*/mean/config.json"))}
    report: dict[str, Any] = {}
    ears = Ears()
    for name, folder in {**folders, SHIPS: WEIGHTS / "transcriber_made"}.items():
        model = model_at(folder)
        size = sum(weight.numel() for weight in model.parameters())
        report[name] = {"parameters": size, **{key: model.facts[key] for key in KEPT if key in model.facts}}
        systems = (made_system(folder, recordings), CORRECTED), (csd_system(name, folder, recordings), PUBLISHED)
        for system, convention in systems:
            truth = [reference(one, convention, 0.0) for one in system.recordings]
            report[name][system.recordings[0].corpus] = figures(list(zip(truth, ears.hear(system), strict=True)))
    return report


def markdown(report: dict[str, Any]) -> str:
    """Write one row a training, the smallest first."""
    rows = [
        [
            name,
            f"{one['parameters'] / 1e6:.1f} M",
            _thousands(one.get("phrases")),
            f"{_thousands(one.get('steps'))} of {one['batch']}" if "batch" in one else "",
            *(" / ".join(interval(one[corpus][score]) for score in SCORES) for corpus in (SSVD, CSD)),
        ]
        for name, one in sorted(report.items(), key=lambda item: (item[1].get("phrases", 0), item[1]["parameters"]))
    ]
    ssvd = f"SSVD, {report[SHIPS][SSVD]['recordings']}, corrected: COn / COnP / COnPOff"
    head = f"training | parameters | phrases | steps, crops of 4 s | {ssvd} | csd"
    return "\n".join(table(head, rows)) + "\n"


def _thousands(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def draw(path: Path, report: dict[str, Any]) -> None:
    """Draw COnPOff against the number of phrases, a mark's size being the network's."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for corpus, colour in SYSTEMS.items():
        label = f"{corpus}, made voices alone"
        for one in report.values():
            if "phrases" not in one:
                continue
            score = one[corpus]["conpoff"]
            error = [[score["mean"] - score["low"]], [score["high"] - score["mean"]]]
            width = 3.0 + 4.0 * (one["parameters"] / 1e6)
            place = one["phrases"] * (1 + 0.06 * (one["parameters"] / 1e6 - 1.2))
            axes.errorbar(
                place, score["mean"], error, fmt="o", ms=width, color=colour, alpha=0.7, capsize=2, label=label
            )
            label = ""
        ships = report[SHIPS][corpus]["conpoff"]["mean"]
        axes.axhline(ships, color=colour, ls="--", lw=1, label=f"{corpus}, what ships as transcriber_made")
    axes.set(xscale="log", xlabel="phrases of 10 s (large marks: large networks)", ylabel="COnPOff")
    axes.legend(fontsize=8, loc=(0.3, 0.5))  # between the two corpora
    figure.savefig(path, dpi=90)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--mirror", required=True, help="folder or URL with the layout of the public sources")
    parser.add_argument("--out", type=Path, default=Path("reports/transcriber"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = measure(options.models, bring(options.mirror, Path(folder), os.cpu_count() or 1))
    (options.out / "scale.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    (options.out / "scale.md").write_text(markdown(report), encoding="utf-8")
    draw(options.out / "scale.png", report)
    print(markdown(report))


if __name__ == "__main__":
    main()
