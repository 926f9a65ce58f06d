"""Measure transcribers on recordings of real singers, and write reports/transcriber.

Measured are a model that was trained on synthetic voices alone (--made), five models of which each held other singers
out (--folds), and the model that ships (--model), on clean recordings and on degraded ones, with an analysis of errors
and confidences. Parts that are not measured stay in the report as they are.
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

from bench.transcription.accuracy_report import AS_TRANSCRIBED, LEGATO, write_report
from bench.transcription.recordings import (
    CLEAN,
    CONVENTIONS,
    CORRECTED,
    CSD,
    PUBLISHED,
    SSVD,
    Recording,
    read_recordings,
)
from bench.transcription.systems import (
    MADE_CSD,
    SHIPS_CSD,
    System,
    Transcriptions,
    csd_system,
    folds_system,
    made_system,
    read_voice,
)
from hf_model.evaluation.calibration import calibration_report
from hf_model.evaluation.corpus_scores import score_corpus
from hf_model.evaluation.degradations import CONDITIONS
from hf_model.evaluation.error_report import (
    Excerpt,
    Transcription,
    error_report,
    onset_probabilities,
    worst_excerpts,
)
from hf_model.evaluation.plots import save_excerpt, save_reliability
from hf_model.music.quantization import bind
from hf_model.weights import WEIGHTS

PARTS = ("made", "folds", "csd", "conditions", "errors", "confidence")


class Protocol:
    """The parts of the protocol: each measures and returns its part of figures.json."""

    def __init__(self, recordings: list[Recording], options: argparse.Namespace) -> None:
        self.recordings, self.out, self.transcriptions = recordings, options.out, Transcriptions()
        has_made = (options.made / "config.json").is_file()
        self.made = made_system(options.made, recordings) if has_made else None
        self.made_csd = csd_system(MADE_CSD, options.made, recordings) if has_made else None
        self.ships = csd_system(SHIPS_CSD, options.model, recordings)
        self.folds = folds_system(options.folds, recordings) if any(options.folds.glob("*/config.json")) else None

    def measure(self, part: str) -> dict[str, Any] | None:
        """Measure one part; None if its model is missing."""
        parts: dict[str, tuple[Callable[[], dict[str, Any]], bool]] = {
            "made": (lambda: self._clean(self.made), self.made is not None),
            "folds": (lambda: self._clean(self.folds), self.folds is not None),
            "csd": (self._csd, True),
            "conditions": (self._conditions, True),
            "errors": (self._errors, self.folds is not None),
            "confidence": (self._confidence, self.folds is not None),
        }
        function, possible = parts[part]
        if not possible:
            sys.stderr.write(f"{part}: no such model (--made, --folds); the part stays as it is\n")
            return None
        return function()

    def _clean(self, system: System | None) -> dict[str, Any]:
        if system is None:
            return {}
        bias = {one.singer: round(system.bias_of[one.singer], 3) for one in system.recordings}
        return {"models": system.models(), "pitch_bias_hz": bias, "figures": self._scores(system, CLEAN)}

    def _scores(self, system: System, condition: str) -> dict[str, Any]:
        """Score a system under every convention of labels that its corpus has."""
        estimates = self.transcriptions.of(system, condition)
        conventions = CONVENTIONS if system.recordings[0].corpus == SSVD else (PUBLISHED,)
        return {name: score_corpus(list(zip(system.labels(name), estimates, strict=True))) for name in conventions}

    def _csd(self) -> dict[str, Any]:
        report = {}
        for system in self._on_csd():
            estimates, truth = self.transcriptions.of(system), system.labels(PUBLISHED)
            bound = [bind(notes) for notes in estimates]
            report[system.name] = {
                "models": system.models(),
                AS_TRANSCRIBED: score_corpus(list(zip(truth, estimates, strict=True))),
                LEGATO: score_corpus(list(zip(truth, bound, strict=True))),
            }
        return report

    def _conditions(self) -> dict[str, Any]:
        systems = [one for one in (self.made, self.folds) if one] + self._on_csd()
        report: dict[str, Any] = {system.name: {} for system in systems}
        for condition in (CLEAN, *CONDITIONS):  # the outer loop: a recording is degraded once for all systems
            for system in systems:
                report[system.name][condition] = self._scores(system, condition)
        return report

    def _on_csd(self) -> list[System]:
        return [self.ships, *([self.made_csd] if self.made_csd else [])]

    def _both(self) -> list[tuple[str, System, str]]:
        """Corpus, system and convention of labels of what errors and confidences are measured on."""
        folds = [(SSVD, self.folds, CORRECTED)] if self.folds else []
        return [*folds, (CSD, self.ships, PUBLISHED)]

    def _errors(self) -> dict[str, Any]:
        report: dict[str, Any] = {}
        source: dict[tuple[str, str], tuple[System, Recording]] = {}
        transcriptions: list[Transcription] = []
        for corpus, system, convention in self._both():
            rows = zip(system.recordings, system.labels(convention), self.transcriptions.of(system), strict=True)
            found = [Transcription(one.corpus, one.name, truth, estimate) for one, truth, estimate in rows]
            curves = (system.model(one).posteriors(read_voice(one))[0] for one in system.recordings)
            report[corpus] = error_report(found) | {"seen": onset_probabilities(found, curves)}
            source |= {(one.corpus, one.name): (system, one) for one in system.recordings}
            transcriptions += found
        for old in self.out.glob("worst_*.png"):
            old.unlink()
        report["worst"] = []
        for number, excerpt in enumerate(worst_excerpts(transcriptions), start=1):
            one = excerpt.transcription
            self._save(excerpt, number, *source[one.corpus, one.name])
            errors = [f"{outcome.onset:.2f} {outcome.kind}" for outcome in excerpt.errors]
            row = {"recording": f"{one.corpus} {one.name}", "start": round(excerpt.start, 2), "mistakes": errors}
            report["worst"].append(row)
        return report

    def _save(self, excerpt: Excerpt, number: int, system: System, recording: Recording) -> None:
        voice = read_voice(recording)
        onset, offset, voicing, _ = system.model(recording).posteriors(voice)
        posteriors = {"onset": onset, "offset": offset, "voicing": voicing}
        save_excerpt(self.out / f"worst_{number:02d}.png", excerpt, voice, posteriors, number)

    def _confidence(self) -> dict[str, Any]:
        report = {}
        for corpus, system, convention in self._both():
            pairs = list(zip(system.labels(convention), self.transcriptions.of(system), strict=True))
            report[corpus] = calibration_report(pairs)
        save_reliability(self.out / "reliability.png", report)
        return report


def without_nan(value: Any) -> Any:
    """Replace numbers that are not finite by None: JSON has no NaN."""
    if isinstance(value, dict):
        return {str(name): without_nan(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--mirror", required=True, help="folder or URL with the layout of the public sources")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--made", type=Path, default=WEIGHTS / "transcriber_made", help="trained on synthetic voices")
    parser.add_argument("--model", type=Path, default=WEIGHTS / "transcriber", help="the model that ships")
    parser.add_argument("--folds", type=Path, default=Path("data/folds"), help="0 to 4, a model each")
    parser.add_argument("--out", type=Path, default=Path("reports/transcriber"))
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes that correct labels")


def run(options: argparse.Namespace) -> None:
    """Measure the chosen parts and write the report."""
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "figures.json"
    report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    with tempfile.TemporaryDirectory() as folder:
        protocol = Protocol(read_recordings(options.mirror, Path(folder), options.workers), options)
        for part in [part for part in PARTS if part in options.parts]:
            measured = protocol.measure(part)
            if measured is not None:
                by_system = part in ("csd", "conditions")  # systems whose models are missing keep their figures
                report[part] = {**(report.get(part, {}) if by_system else {}), **without_nan(measured)}
                path.write_text(json.dumps(report, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    print(write_report(options.out, report))
