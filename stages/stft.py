"""Aligned pairs to parquet shards of spectra and notes."""

from __future__ import annotations

from pathlib import Path

from hf_model.shard_plan import StftSettings
from hf_model.shard_writer import write_shards
from stages import _crew, _run


def main() -> None:
    """Read data/aligned, write data/stft; an interrupted run goes on where it stopped."""
    settings = _run.settings("stft", StftSettings)
    with _run.output(Path("data/stft"), resume=True) as folder, _crew.crew() as workers:
        manifest = write_shards(Path("data/aligned"), folder, settings, workers)
    for split, rows in manifest["splits"].items():
        print(f"{split}: {rows} segments of {settings.segment_frames / 100:.2f} s")
    for skipped in manifest["skipped"]:
        print(f"skipped {skipped['corpus']}/{skipped['pair_id']}: {skipped['reason']}")


if __name__ == "__main__":
    _run.main(main)
