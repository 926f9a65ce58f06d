"""The stft stage: aligned pairs to parquet shards of spectra and notes in data/stft."""

from __future__ import annotations

from pathlib import Path

from hf_model.shards.plan import StftSettings
from hf_model.shards.writer import write_shards
from stages import _run
from stages.cluster.workers import open_workers


def main() -> None:
    """Run the stage; an interrupted run continues where it stopped."""
    settings = _run.settings("stft", StftSettings)
    with _run.output(Path("data/stft"), resume=True) as folder, open_workers() as workers:
        manifest = write_shards(Path("data/aligned"), folder, settings, workers)
    for split, rows in manifest["splits"].items():
        print(f"{split}: {rows} segments of {settings.segment_frames / 100:.2f} s")
    for skipped in manifest["skipped"]:
        print(f"skipped {skipped['corpus']}/{skipped['pair_id']}: {skipped['reason']}")


if __name__ == "__main__":
    _run.main(main)
