"""Five models that each held other singers out: ``python bench/transcriber_folds.py --mirror FOLDER --out FOLDS``.

FOLDER has the layout of the public sources. Each model is trained as the profile ``clean`` of params.yaml says, from
the weights of made voices on, without the recordings of its fold; ``bench/transcriber.py --folds`` measures it on them.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

from hf_model.align import AlignSettings, align
from hf_model.fetch import DownloadSettings, download
from hf_model.folds import assign_folds
from hf_model.pairs import read_manifest
from hf_model.shard_plan import StftSettings
from hf_model.shard_writer import write_shards
from hf_model.tasks import TranscriberTask, TranscriberTraining
from hf_model.training import train
from stages import _run

PROFILE = "clean"


def main() -> None:
    """Train the folds that are not there yet."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--mirror", required=True, help="folder or URL with the layout of the public sources")
    parser.add_argument("--out", type=Path, required=True, help="where the models are written: OUT/0 to OUT/4")
    parser.add_argument("--start", help="a transcriber of made voices to start from, instead of the one that ships")
    arguments = parser.parse_args()
    settings = _run.settings("train.transcriber", TranscriberTraining, profile=PROFILE)
    settings = replace(settings, start=arguments.start or settings.start)
    arguments.out.mkdir(parents=True, exist_ok=True)
    workers = os.cpu_count() or 1
    with tempfile.TemporaryDirectory(dir=arguments.out) as folder:
        raw, aligned, shards = (Path(folder) / name for name in ("raw", "aligned", "shards"))
        raw.mkdir()
        wanted = _run.settings("download", DownloadSettings, profile=PROFILE)
        download(wanted, raw, Path(folder) / "cache", arguments.mirror)
        align(raw, aligned, _run.settings("align", AlignSettings, profile=PROFILE), workers)
        notes = Counter[str]()
        for pair in read_manifest(aligned / "ssvd/manifest.parquet"):
            notes[pair.singer] += len(pair.notes)
        for number, held_out in enumerate(assign_folds(notes)):
            model = arguments.out / str(number)
            if (model / "config.json").is_file():
                sys.stderr.write(f"{model} is there already\n")
                continue
            split = _run.settings("stft", StftSettings, profile=PROFILE)
            write_shards(aligned, shards, replace(split, test_singers=tuple(held_out)), workers)
            figures = train(
                TranscriberTask(settings),
                shards,
                model,
                Path(folder) / "checkpoints",
                progress=sys.stderr.isatty(),
                held_out=held_out,
            )
            told = ", ".join(f"{name} {value:.3f}" for name, value in figures.items())
            print(f"fold {number} without {', '.join(held_out)}: {told}", flush=True)
            shutil.rmtree(shards)
            shutil.rmtree(Path(folder) / "checkpoints")


if __name__ == "__main__":
    main()
