"""The evaluate stage: figures and plots of the test split in reports/."""

from __future__ import annotations

from pathlib import Path

from hf_model.evaluation.evaluate import OURS, EvaluateSettings, Measured, measure_all, summarize
from hf_model.evaluation.page.page import Origin, write_page
from hf_model.evaluation.page.sounds import Example
from hf_model.evaluation.page.texts import NOTE_WORDS
from hf_model.evaluation.render_test_set import LABELLED, SOUNDS
from hf_model.evaluation.report import (
    ERROR_COLUMNS,
    RELIABILITY_COLUMNS,
    draw_pictures,
    error_rows,
    recording_rows,
    reliability_rows,
    summary,
    table_rows,
    write_recordings,
    write_rows,
)
from hf_model.files import read_json, write_json
from stages import _run
from stages.cluster import jobs
from stages.tracking import evaluation
from stages.tracking.run_labels import code_date, profile_name

RENDERED, REPORTS, CORPORA = Path("data/rendered"), Path("reports"), Path("data/raw/corpora.json")

SYNTHETIC = "made"
"""The corpus whose voices are nobody's."""


def main() -> None:
    """Run the stage."""
    if jobs.run_as_job("cpu", ["stages.evaluate"], REPORTS / "metrics.json"):
        return
    settings = _run.settings("evaluate", EvaluateSettings)
    measured = measure_all(RENDERED, settings, _run.workers())
    report = summarize(measured, settings)
    tables = ("recordings.csv", "recordings.parquet", "errors.csv", "reliability.csv", "summary.json", "metrics.json")
    with _run.output(REPORTS / "plots", beside=("index.html", *tables)) as plots:
        draw_pictures(measured, report, RENDERED, plots, settings.pictures)
        write_page(plots / "index.html", measured, settings, plots, _origin(), _examples(measured, plots))
        for name in ("recordings.csv", "recordings.parquet"):
            write_recordings(plots / name, recording_rows(measured))
        write_rows(plots / "errors.csv", ERROR_COLUMNS, error_rows(measured))
        write_rows(plots / "reliability.csv", RELIABILITY_COLUMNS, reliability_rows(measured))
        write_json(plots / "summary.json", summary(report))
        write_json(plots / "metrics.json", report)
    for row in table_rows(report)[1]:
        print("  ".join(row))
    evaluation.log_evaluation(report, REPORTS, _examples(measured, REPORTS / "plots"))


def _origin() -> Origin:
    """Describe code, settings and corpora; the date is that of the commit, so that a repetition is equal."""
    commit, date = code_date()
    corpora = read_json(CORPORA, "run the download stage again") if CORPORA.is_file() else {}
    return Origin(date, commit, profile_name(), corpora)


def _examples(measured: list[Measured], plots: Path) -> list[Example]:
    """Describe the first recording of each corpus: voice, reference, renditions, and the picture where there is one."""
    found = []
    for one in {one.item.corpus: one for one in reversed(measured)}.values():
        item = one.item
        sounds = {"voice": Path(item.voice)} | ({"reference": Path(item.piano)} if item.piano else {})
        renditions = {sound: item.path(RENDERED, f"_{sound}.wav") for sound in (*SOUNDS, LABELLED)}
        sounds |= {sound: path for sound, path in renditions.items() if path.is_file()}
        scores = one.scores.get(OURS, {})
        facts = ", ".join(f"{words} {scores[name]:.3f}" for name, words in NOTE_WORDS.items() if name in scores)
        picture = plots / f"voice_and_piano_{item.corpus}_{item.pair_id}.png"
        found.append(Example(f"{item.corpus}_{item.pair_id}", sounds, picture, facts, item.corpus == SYNTHETIC))
    return found


if __name__ == "__main__":
    _run.main(main)
