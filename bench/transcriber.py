"""How well transcribers hear: ``python bench/transcriber.py --mirror FOLDER`` writes ``reports/transcriber/``.

FOLDER has the layout of the public sources (``ssvd/``, ``csd/``). Measured are a model that learned from made voices
alone (--made), five models of which each held other singers out (--folds), and what ships (--model); on clean
recordings and on worse ones, with an analysis of mistakes, labels and confidences. Parts that are not asked for stay as
they were measured before.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transcriber_ceilings import ceilings
from transcriber_confidence import confidence_report
from transcriber_errors import error_report, judge_all, seen_report, worst_excerpts
from transcriber_figures import figures
from transcriber_hearing import (
    CLEAN,
    MADE_CSD,
    SHIPS_CSD,
    Ears,
    System,
    csd_system,
    folds_system,
    made_system,
    model_at,
    onset_curves,
    voice,
)
from transcriber_labels import label_report
from transcriber_pictures import save_excerpt, save_reliability
from transcriber_recordings import CONVENTIONS, CORRECTED, CSD, PUBLISHED, SSVD, Recording, bring, reference
from transcriber_report import write_report

from hf_model.evaluation.degradations import CONDITIONS
from hf_model.music.arrangement import bind
from hf_model.notes.note import Note
from hf_model.weights import WEIGHTS

PARTS = ("made", "folds", "csd", "conditions", "errors", "labels", "confidence")


class Protocol:
    """The parts of the protocol: each measures and returns its share of figures.json."""

    def __init__(self, recordings: list[Recording], options: argparse.Namespace) -> None:
        self.recordings, self.out, self.ears = recordings, options.out, Ears()
        self.made = made_system(options.made, recordings) if _is_model(options.made) else None
        self.made_csd = csd_system(MADE_CSD, options.made, recordings) if self.made else None
        self.ships = csd_system(SHIPS_CSD, options.model, recordings)
        self.folds = folds_system(options.folds, recordings) if any(options.folds.glob("*/config.json")) else None

    def measure(self, part: str) -> dict[str, Any] | None:
        """Measure one part; None if what it needs is not there."""
        parts: dict[str, tuple[Callable[[], dict[str, Any]], bool]] = {
            "made": (lambda: self._clean(self.made), self.made is not None),
            "folds": (lambda: self._clean(self.folds), self.folds is not None),
            "csd": (self._csd, True),
            "conditions": (self._conditions, True),
            "errors": (self._errors, self.folds is not None),
            "labels": (self._labels, True),
            "confidence": (self._confidence, self.folds is not None),
        }
        function, possible = parts[part]
        if not possible:
            sys.stderr.write(f"{part}: there is no such model (--made, --folds); left as it was\n")
            return None
        return function()

    def _clean(self, system: System | None) -> dict[str, Any]:
        if system is None:
            return {}
        bias = {one.singer: round(system.bias_of[one.singer], 3) for one in system.recordings}
        return {"models": system.models(), "pitch_bias_hz": bias, "figures": self._figures(system, CLEAN)}

    def _figures(self, system: System, condition: str) -> dict[str, Any]:
        """Score a system under every convention of labels that its corpus has."""
        heard = self.ears.hear(system, condition)
        conventions = CONVENTIONS if system.recordings[0].corpus == SSVD else (PUBLISHED,)
        return {name: figures(list(zip(_references(system, name), heard, strict=True))) for name in conventions}

    def _csd(self) -> dict[str, Any]:
        report = {}
        for system in self._on_csd():
            heard = self.ears.hear(system)
            truth = _references(system, PUBLISHED)
            report[system.name] = {
                "models": system.models(),
                "as heard": figures(list(zip(truth, heard, strict=True))),
                "--legato": figures(list(zip(truth, [bind(notes) for notes in heard], strict=True))),
            }
        return report

    def _conditions(self) -> dict[str, Any]:
        systems = [one for one in (self.made, self.folds) if one] + self._on_csd()
        report: dict[str, Any] = {system.name: {} for system in systems}
        for condition in (CLEAN, *CONDITIONS):  # outside: what is made of a recording is made once for all systems
            for system in systems:
                report[system.name][condition] = self._figures(system, condition)
        return report

    def _on_csd(self) -> list[System]:
        return [self.ships, *([self.made_csd] if self.made_csd else [])]

    def _errors(self) -> dict[str, Any]:
        judged, report = {}, {}
        for corpus, system, convention in ((SSVD, self.folds, CORRECTED), (CSD, self.ships, PUBLISHED)):
            if system:
                found = judge_all(system.recordings, _references(system, convention), self.ears.hear(system, CLEAN))
                judged[corpus] = found
                report[corpus] = error_report(found) | {"seen": seen_report(found, onset_curves(system))}
        worst = worst_excerpts([one for part in judged.values() for one in part])
        for old in self.out.glob("worst_*.png"):
            old.unlink()
        for number, excerpt in enumerate(worst, start=1):
            recording = excerpt.judged.recording
            system = self.ships if recording.corpus == CSD or self.folds is None else self.folds
            path = self.out / f"worst_{number:02d}.png"
            save_excerpt(path, excerpt, voice(recording), model_at(system.folder_of[recording.singer]), number)
        shown = [
            {
                "recording": f"{one.judged.recording.corpus} {one.judged.recording.name}",
                "start": round(one.start, 2),
                "mistakes": [f"{verdict.onset:.2f} {verdict.kind}" for verdict in one.mistakes],
            }
            for one in worst
        ]
        return {**report, "worst": shown}

    def _labels(self) -> dict[str, Any]:
        ssvd = [one for one in self.recordings if one.corpus == SSVD]
        return label_report(ssvd, self.ears.hear(self.made) if self.made else None) | {"ceilings": ceilings(ssvd)}

    def _confidence(self) -> dict[str, Any]:
        report = {}
        for name, system, convention in ((SSVD, self.folds, CORRECTED), (CSD, self.ships, PUBLISHED)):
            if system:
                pairs = list(zip(_references(system, convention), self.ears.hear(system), strict=True))
                report[name] = confidence_report(pairs)
        save_reliability(self.out / "reliability.png", report)
        return report


def known(value: Any) -> Any:
    """Put None where a number is not known: JSON has no NaN."""
    if isinstance(value, dict):
        return {str(name): known(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [known(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _references(system: System, convention: str) -> list[list[Note]]:
    return [reference(one, convention, system.bias_of[one.singer]) for one in system.recordings]


def _is_model(folder: Path) -> bool:
    return (folder / "config.json").is_file()


def main() -> None:
    """Measure the parts asked for, and write the report."""
    options = parse_options()
    options.out.mkdir(parents=True, exist_ok=True)
    kept = options.out / "figures.json"
    report: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else {}
    with tempfile.TemporaryDirectory() as folder:
        protocol = Protocol(bring(options.mirror, Path(folder), options.workers), options)
        for part in [part for part in PARTS if part in options.parts]:
            measured = protocol.measure(part)
            if measured is not None:
                report[part] = known(measured)
                kept.write_text(json.dumps(report, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    print(write_report(options.out, report))


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mirror", required=True, help="folder or URL with the layout of the public sources")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument(
        "--made", type=Path, default=WEIGHTS / "transcriber_made", help="learned from made voices alone"
    )
    parser.add_argument("--model", type=Path, default=WEIGHTS / "transcriber", help="what ships")
    parser.add_argument("--folds", type=Path, default=Path("data/folds"), help="0 to 4, a model each")
    parser.add_argument("--out", type=Path, default=Path("reports/transcriber"))
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes that correct labels")
    return parser.parse_args()


if __name__ == "__main__":
    main()
