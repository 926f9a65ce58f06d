"""The instruments stage: ``python -m stages.instruments`` trains the network of ``hummingface identify``.

From sound fonts, synthetic voices, the sampled piano and the recordings of data/raw (nsynth, groove, openmic, maestro,
ssvd) to data/model/instruments.
"""

from __future__ import annotations

import sys
from pathlib import Path

from rich.progress import Progress

from hf_model.config import to_mapping
from hf_model.files import read_json
from hf_model.training.instruments.settings import InstrumentTraining, test_clips, training_clips
from stages import _run
from stages.tracking import runs

RAW, FOLDER = Path("data/raw"), Path("data/model/instruments")

KIND = "instruments"


def main() -> None:
    """Run the stage."""
    settings = _run.settings("instruments", InstrumentTraining)

    from hf_model.instruments.identifier import InstrumentIdentifier
    from hf_model.instruments.network import InstrumentNetwork
    from hf_model.training.instruments.fitting import Schedule, blend, fit_instruments
    from hf_model.training.instruments.scoring import calibrate, score_clips

    corpora = sorted(read_json(RAW / "corpora.json", "run dvc repro --force download"))
    with _run.output(FOLDER) as folder, Progress(disable=not sys.stderr.isatty()) as bars:
        clips = list(training_clips(settings, RAW, corpora))
        tracker = runs.start_run(KIND, "", to_mapping(settings), resumed=False)
        bar = bars.add_task("training", total=settings.steps)

        def show(step: int, loss: float) -> None:
            bars.advance(bar)
            tracker.log_metrics({"train/loss": loss}, step)

        schedule = Schedule(settings.steps, settings.learning_rate)
        start = InstrumentNetwork.from_pretrained(settings.start) if settings.start else None
        network = fit_instruments(clips, schedule, network=start, seed=settings.seed, progress=show)
        if settings.start and settings.start_share:
            network = blend(InstrumentNetwork.from_pretrained(settings.start), network, settings.start_share, clips)
        groups = sorted({clip.group for clip in clips})
        network.facts = {"licence": "", "trained_on": ", ".join(groups), "clips": len(clips), "steps": settings.steps}
        network.save_pretrained(folder)
        measured = test_clips(settings)
        identifier = InstrumentIdentifier.from_pretrained(folder)
        slope, shift = calibrate(identifier, measured[::2])
        found = score_clips(identifier, measured[1::2], slope, shift)
        figures = {
            "accuracy": found.accuracy,
            "macro_f1": found.macro_f1,
            "calibration_error": found.calibration_error,
        }
        calibration = {"slope": slope, "shift": shift, "prior": {"piano": settings.piano_odds}}
        network.save_pretrained(folder, calibration=calibration, valid=figures)
    runs.end_run(tracker, KIND, FOLDER, figures)
    print(f"{KIND}: {len(clips)} clips, " + ", ".join(f"{name} {value:.4g}" for name, value in figures.items()))


if __name__ == "__main__":
    _run.main(main)
