"""The render stage: voices of the test split to notes, MIDI and wav files of equal length in data/rendered."""

from __future__ import annotations

from pathlib import Path

from hf_model.evaluation.render_test_set import RenderSettings, render_split
from stages import _run
from stages.cluster import jobs


def main() -> None:
    """Run the stage."""
    if jobs.run_as_job("cpu", ["stages.render"], Path("data/rendered")):
        return
    settings = _run.settings("render", RenderSettings)
    with _run.output("data/rendered") as folder:
        items = render_split(
            Path("data/aligned"), Path("data/stft"), Path("data/model"), folder, settings, _run.workers()
        )
    print(f"{len(items)} recordings rendered as {', '.join(settings.sounds)}")


if __name__ == "__main__":
    _run.main(main)
