"""One model trained: ``python -m stages.train transcriber|synthesizer|direct``, from data/stft to data/model/<kind>.

Checkpoints lie in data/scratch, which DVC never clears, under a name made of settings, data and code: an interrupted
training goes on where it was, and nothing else takes up its checkpoint.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from hf_model.config import check_choice, to_mapping
from stages import _run, _tracking

SHARDS, MODELS, SCRATCH = Path("data/stft"), Path("data/model"), Path("data/scratch/checkpoints")
KINDS = ("transcriber", "synthesizer", "direct")


def main() -> None:
    """Run the stage."""
    kind = sys.argv[1] if len(sys.argv) > 1 else ""
    check_choice("the model to train", kind, KINDS)

    import torch

    from hf_model.tasks import TASKS
    from hf_model.training import train

    settings_class, task_class = TASKS[kind]
    settings = _run.settings(f"train.{kind}", settings_class)
    key = training_key(settings)
    checkpoints = SCRATCH / f"{kind}-{key}"
    resumed = checkpoints.is_dir() and any(checkpoints.iterdir())
    tracker = _tracking.begin(kind, key, to_mapping(settings), resumed=resumed)
    workers = min(8, _run.workers() - 1) if torch.cuda.is_available() else 0
    try:
        with _run.output(MODELS / kind) if _run.is_first() else nullcontext(MODELS / kind) as folder:
            figures = train(
                task_class(settings),
                SHARDS,
                folder,
                checkpoints,
                loggers=[tracker],
                workers=workers,
                progress=sys.stderr.isatty(),
            )
    except BaseException as error:
        tracker.finish("FAILED" if isinstance(error, Exception) else "KILLED")
        raise
    if not _run.is_first():
        return
    _tracking.end(tracker, kind, MODELS / kind, figures)
    shutil.rmtree(checkpoints, ignore_errors=True)
    print(f"{kind}: " + ", ".join(f"{name} {value:.4g}" for name, value in figures.items()))


def training_key(settings: Any) -> str:
    """Hash the settings, the data, and every module of hf_model that is loaded."""
    digest = hashlib.sha256(json.dumps(to_mapping(settings), sort_keys=True).encode())
    manifest = SHARDS / "manifest.json"
    digest.update(manifest.read_bytes() if manifest.is_file() else b"")
    for name in sorted(name for name in sys.modules if name.startswith("hf_model.")):
        source = getattr(sys.modules[name], "__file__", None)
        digest.update(Path(source).read_bytes() if source else b"")
    return digest.hexdigest()[:16]


if __name__ == "__main__":
    _run.main(main)
