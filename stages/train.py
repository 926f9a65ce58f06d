"""The train stage: ``python -m stages.train transcriber|synthesizer|direct``, from data/stft to data/model/<kind>.

Checkpoints are stored in data/scratch, which DVC never clears, in a folder named by a hash of settings, data and code:
an interrupted training resumes from its own checkpoint only. SIGUSR1 (sent by Slurm before the time limit), SIGTERM
(preemption) and Ctrl-C write a checkpoint first. A Slurm job is then requeued; HUMMINGFACE_REQUEUE is the site's
command for that, or "no". Exit code 75: stopped, run it again; 130: the same, after Ctrl-C.
"""

from __future__ import annotations

from hf_model.training import preemption

if __name__ == "__main__":
    preemption.install_handlers()  # before imports that take seconds: an unhandled signal ends the process

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
    if jobs.run_as_job("train", ["stages.train", kind], MODELS / kind):
        return

    import torch

    from hf_model.training.tasks import TASKS
    from hf_model.training.trainer import train

    settings_class, task_class = TASKS[kind]
    settings = _run.settings(f"train.{kind}", settings_class)
    key = training_key(settings)
    checkpoints = SCRATCH / f"{kind}-{key}"
    resumed = checkpoints.is_dir()  # even without a checkpoint: the MLflow run exists
    checkpoints.mkdir(parents=True, exist_ok=True)
    workers = min(8, _run.workers() - 1) if torch.cuda.is_available() else 0
    with _run.output(MODELS / kind) if _run.is_first_process() else nullcontext(MODELS / kind) as folder:
        tracker = runs.start_run(kind, key, to_mapping(settings), resumed=resumed)
        try:
            figures = train(
                task_class(settings),
                SHARDS,
                folder,
                checkpoints,
                loggers=[tracker],
                workers=workers,
                progress=sys.stderr.isatty(),
                **_environment_overrides(),
            )
        except preemption.Interrupted as stop:
            tracker.finish("KILLED")
            if not _run.is_first_process():
                sys.exit(0)  # only the first process may fail: srun and torchrun end all others after a failure
            _requeue(kind, stop)
            raise
        except BaseException as error:
            tracker.finish("FAILED" if isinstance(error, Exception) else "KILLED")
            raise
    if not _run.is_first_process():
        return
    runs.end_run(tracker, kind, MODELS / kind, figures)
    shutil.rmtree(checkpoints, ignore_errors=True)
    print(f"{kind}: " + ", ".join(f"{name} {value:.4g}" for name, value in figures.items()))


def _environment_overrides() -> dict[str, Any]:
    """Read options for devices and checkpoints from the environment; they do not change the experiment."""
    names = {
        "checkpoint_every": "HUMMINGFACE_CHECKPOINT_STEPS",
        "checkpoint_minutes": "HUMMINGFACE_CHECKPOINT_MINUTES",
        "devices": "HUMMINGFACE_DEVICES",
    }
    return {name: _run.positive_integer(variable) for name, variable in names.items() if os.environ.get(variable)}


def _requeue(kind: str, stop: preemption.Interrupted) -> None:
    """Requeue the job, except after Ctrl-C, and print what happened."""
    try:
        job = "" if stop.signum == signal.SIGINT else preemption.requeue()
        then = f"job {job} is requeued" if job else "the same command continues from the checkpoint"
    except preemption.RequeueError as error:
        then = f"not requeued: {error}"
    print(f"{kind}: stopped by {stop.name}; {then}", flush=True)


def training_key(settings: Any) -> str:
    """Hash the settings, the data and every loaded module of hf_model."""
    digest = hashlib.sha256(json.dumps(to_mapping(settings), sort_keys=True).encode())
    manifest = SHARDS / "manifest.json"
    digest.update(manifest.read_bytes() if manifest.is_file() else b"")
    for name in sorted(name for name in sys.modules if name.startswith("hf_model.")):
        source = getattr(sys.modules[name], "__file__", None)
        digest.update(Path(source).read_bytes() if source else b"")
    return digest.hexdigest()[:16]


if __name__ == "__main__":
    _run.main(main)
