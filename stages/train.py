"""One model trained: ``python -m stages.train transcriber|synthesizer|direct``, from data/stft to data/model/<kind>.

Checkpoints lie in data/scratch, which DVC never clears, under a name made of settings, data and code: an interrupted
training goes on where it was, and nothing else takes up its checkpoint. SIGUSR1 (Slurm warns of the time limit) and
SIGTERM (preemption) keep a checkpoint first, as Ctrl-C does. A Slurm job is then put back into the queue;
HUMMINGFACE_REQUEUE names the site's own command for that, or says "no". Exit code 75: stopped, run it again; 130: the
same, after Ctrl-C.
"""

from __future__ import annotations

from hf_model.training import preemption

if __name__ == "__main__":
    preemption.listen()  # before the imports that take seconds, in which a signal would be the end

import hashlib
import json
import os
import shutil
import signal
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from hf_model.config import check_choice, to_mapping
from stages import _run
from stages.cluster import jobs
from stages.tracking import runs

SHARDS, MODELS, SCRATCH = Path("data/stft"), Path("data/model"), Path("data/scratch/checkpoints")
KINDS = ("transcriber", "synthesizer", "direct")


def main() -> None:
    """Run the stage."""
    kind = sys.argv[1] if len(sys.argv) > 1 else ""
    check_choice("the model to train", kind, KINDS)
    if jobs.elsewhere("train", ["stages.train", kind], MODELS / kind):
        return

    import torch

    from hf_model.training.tasks import TASKS
    from hf_model.training.trainer import train

    settings_class, task_class = TASKS[kind]
    settings = _run.settings(f"train.{kind}", settings_class)
    key = training_key(settings)
    checkpoints = SCRATCH / f"{kind}-{key}"
    resumed = checkpoints.is_dir()  # also one that was stopped before its first checkpoint: it has its run in MLflow
    checkpoints.mkdir(parents=True, exist_ok=True)
    tracker = runs.begin(kind, key, to_mapping(settings), resumed=resumed)
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
                **_told(),
            )
    except preemption.Interrupted as stop:
        tracker.finish("KILLED")
        if not _run.is_first():
            sys.exit(0)  # the first process speaks for all: srun and torchrun end the others when one reports a failure
        _leave(kind, stop)
        raise
    except BaseException as error:
        tracker.finish("FAILED" if isinstance(error, Exception) else "KILLED")
        raise
    if not _run.is_first():
        return
    runs.end(tracker, kind, MODELS / kind, figures)
    shutil.rmtree(checkpoints, ignore_errors=True)
    print(f"{kind}: " + ", ".join(f"{name} {value:.4g}" for name, value in figures.items()))


def _told() -> dict[str, Any]:
    """Read what the environment says of devices and checkpoints: no settings of the experiment."""
    names = {
        "checkpoint_every": "HUMMINGFACE_CHECKPOINT_STEPS",
        "checkpoint_minutes": "HUMMINGFACE_CHECKPOINT_MINUTES",
        "devices": "HUMMINGFACE_DEVICES",
    }
    return {name: _run.number(variable) for name, variable in names.items() if os.environ.get(variable)}


def _leave(kind: str, stop: preemption.Interrupted) -> None:
    """Put the job back into the queue, and say what happened; Ctrl-C means that nobody wants it back."""
    try:
        job = "" if stop.signum == signal.SIGINT else preemption.requeue()
        then = f"job {job} is in the queue again" if job else "the same command goes on from the checkpoint"
    except preemption.RequeueError as error:
        then = f"not put back into the queue: {error}"
    print(f"{kind}: stopped by {stop.name}; {then}", flush=True)


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
