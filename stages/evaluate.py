"""The evaluate stage: figures and plots of the test split in reports/."""

from __future__ import annotations

from pathlib import Path

from hf_model.evaluation.evaluate import EvaluateSettings, Measured, measure_all, summarize
from hf_model.evaluation.render_test_set import LABELLED, SOUNDS
from hf_model.evaluation.report import draw_pictures, table_rows, write_page, write_recordings
from hf_model.files import write_json
from stages import _run
from stages.cluster import jobs
from stages.tracking import runs

RENDERED, REPORTS = Path("data/rendered"), Path("reports")


def main() -> None:
    """Run the stage."""
    if jobs.run_as_job("cpu", ["stages.evaluate"], REPORTS / "metrics.json"):
        return
    settings = _run.settings("evaluate", EvaluateSettings)
    measured = measure_all(RENDERED, settings, _run.workers())
    report = summarize(measured, settings)
    with _run.output(REPORTS / "plots", beside=("index.html", "recordings.csv", "metrics.json")) as plots:
        draw_pictures(measured, report, RENDERED, plots, settings.pictures)
        write_page(plots / "index.html", report, plots)
        write_recordings(plots / "recordings.csv", measured)
        write_json(plots / "metrics.json", report)
    for row in table_rows(report)[1]:
        print("  ".join(row))
    runs.log_evaluation(report, REPORTS, _examples(measured))


def _examples(measured: list[Measured]) -> list[tuple[str, Path]]:
    """List the audio files of the first recording of each corpus: voice, reference and renditions."""
    found = []
    for item in {one.item.corpus: one.item for one in reversed(measured)}.values():
        folder = f"examples/{item.corpus}_{item.pair_id}"
        found.append((f"{folder}/voice", Path(item.voice)))
        if item.piano:
            found.append((f"{folder}/reference", Path(item.piano)))
        renditions = [item.path(RENDERED, f"_{sound}.wav") for sound in (*SOUNDS, LABELLED)]
        found += [(f"{folder}/rendition", path) for path in renditions if path.is_file()]
    return found


if __name__ == "__main__":
    _run.main(main)
