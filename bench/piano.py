"""How near the pianos come to the reference, and what they cost: ``python bench/piano.py --scores FOLDER``.

The reference is FluidSynth with the sound font that ``hf_model/weights/piano/config.json`` names, a fresh synth for
every file, reverb and chorus off (``apt-get install fluidsynth musescore-general-soundfont``). FOLDER holds POP909;
played are the first 20 s of the 20 songs that training never meets
(``hf_model.corpora.readers.scores.held_out_song``). The
tables are printed and, with --out, kept with pictures; --track keeps figures and sounds in MLflow.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from piano_cost import measure_cost, print_memory
from piano_melodies import compare_melodies, read_scores
from piano_notes import compare_keyboard, compare_notes
from piano_pianos import load_pianos, load_reference
from piano_report import markdown, save_pictures, track

from hf_model.weights import WEIGHTS

PARTS = ("melodies", "notes", "keyboard", "cost")


def main() -> None:
    """Measure what was asked for and print one table a part."""
    options = parse_options()
    if options.memory:
        print_memory(options.memory, options.model)
        return
    reference, reference_name = load_reference()
    pianos = load_pianos(options.model)
    print(f"reference: {reference_name}", file=sys.stderr)
    scores = read_scores(options.scores, options.melodies)
    report: dict[str, Any] = {"reference": reference_name, "songs": list(scores)}
    kept = options.out / "figures.json" if options.out else Path()
    report = measured_before(kept, report)
    with tempfile.TemporaryDirectory() as folder:
        sounds = options.sounds or Path(folder)
        sounds.mkdir(parents=True, exist_ok=True)
        if "melodies" in options.parts:
            report["melodies"] = compare_melodies(reference, pianos, scores, options.direct, sounds)
        if "notes" in options.parts:
            report["notes"] = compare_notes(reference, pianos)
        if "keyboard" in options.parts:
            report["keyboard"] = compare_keyboard(reference, pianos)
        if "cost" in options.parts:
            report["cost"] = measure_cost(reference, pianos, next(iter(scores.values())), options.model)
        text = markdown(report)
        print(text)
        if options.out:
            options.out.mkdir(parents=True, exist_ok=True)
            kept.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
            (options.out / "table.md").write_text(text, encoding="utf-8")
            save_pictures(options.out, reference, pianos, sounds)
        if options.track:
            track(report, sounds, options.out)


def measured_before(path: Path, report: dict[str, Any]) -> dict[str, Any]:
    """Take over what is kept of the same songs and reference: parts that are not measured now stay as they were."""
    if not path.is_file():
        return report
    before: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return before if all(before.get(name) == value for name, value in report.items()) else report


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scores", type=Path, help="POP909, or a folder above it; made melodies without")
    parser.add_argument("--melodies", type=int, default=20, help="so many of the held-out songs")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--model", type=Path, default=WEIGHTS / "synthesizer", help="folder of the neural piano")
    parser.add_argument("--direct", type=Path, default=Path("data/model/direct"), help="folder of the direct baseline")
    parser.add_argument("--out", type=Path, help="keep figures and pictures here (reports/piano)")
    parser.add_argument("--sounds", type=Path, help="keep the first melody of every piano here, as flac")
    parser.add_argument("--track", action="store_true", help="keep figures and sounds in MLflow, a run a piano")
    parser.add_argument("--memory", metavar="PIANO", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
