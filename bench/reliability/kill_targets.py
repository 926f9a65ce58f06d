"""The commands that bench.reliability.kill kills: each with tiny inputs, and its outputs to compare."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import yaml

Outputs = dict[str, str]
SAMPLE_RATE = 16000
SONGS = {f"songs/{number}.bin": bytes([number]) * 150_000 for number in range(3)}
TINY_MODEL = {"lowest_hz": 200.0, "pitch_bands": 30, "channels": 4, "width": 8, "dilations": [1, 2]}
TINY_FIT = {
    "steps": 8, "warmup_steps": 2, "batch_size": 2, "crop_frames": 48, "validate_every": 4, "valid_segments": 2,
    "precision": "float32",
}  # fmt: skip
SETTINGS = {
    "profiles": {"default": {}},
    "download": {"corpora": ["songs", "packed"]},
    "align": {"made_phrases": 4, "made_seconds": 1.5},
    "stft": {"segment_frames": 64, "rows_per_shard": 2, "valid_fraction": 0.34, "test_fraction": 0.0},
    "train": {"transcriber": {"model": TINY_MODEL, "fit": TINY_FIT, "decoder_rounds": 2}},
}


@dataclass(frozen=True)
class Target:
    """A command.

    Attributes
    ----------
    title : str
    prepare, run : callable
        Write the inputs, and run the command, in the current folder of a process of their own.
    outputs : callable
        What looks whole in a folder: name to digest. A part of a whole output is in it too.
    modules : tuple of str
        What the command imports, for all of its processes.
    server : callable
        Context with what the command needs beside its folder, given a folder for it.
    lost_steps : callable, optional
        Steps of a killed training that its next run repeats.
    ignored : str
        Pattern of the files that may be left, and of those whose names are random.
    """

    title: str
    prepare: Callable[[], None]
    run: Callable[[], None]
    outputs: Callable[[Path], Outputs]
    modules: tuple[str, ...]
    server: Callable[[Path], Any] = lambda _: nullcontext()
    lost_steps: Callable[[Path], int] | None = None
    ignored: str = "^$"


def _files(*patterns: str) -> Callable[[Path], Outputs]:
    """Digests of the files that match a pattern."""

    def outputs(place: Path) -> Outputs:
        paths = sorted({path for pattern in patterns for path in place.glob(pattern) if path.is_file()})
        found = {path.relative_to(place).as_posix(): _sha256(path.read_bytes()) for path in paths}
        return {name: digest for name, digest in found.items() if not Path(name).name.startswith(".")}

    return outputs


def _folder(name: str) -> Callable[[Path], Outputs]:
    """Digest of a whole folder: one that lacks a file differs."""

    def outputs(place: Path) -> Outputs:
        found = _files(f"{name}/**/*")(place)
        return {name: _sha256(json.dumps(found).encode())} if (place / name).exists() else {}

    return outputs


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# ------------------------------------------------------------------------------------------------- convert and render
def _write_voices() -> None:
    import soundfile

    times = np.arange(round(1.0 * SAMPLE_RATE)) / SAMPLE_RATE
    for number in range(2):
        hz = 220.0 * 2 ** ((number + 4 * (times > 0.5)) / 12)
        phase = 2 * np.pi * np.cumsum(hz) / SAMPLE_RATE
        voice = sum(0.2 / k * np.sin(k * phase) for k in (1, 2, 3, 4)) * np.minimum(1, 20 * np.abs(times - 0.5))
        soundfile.write(f"{number}.wav", voice, SAMPLE_RATE)


def _convert() -> None:
    from hf_model.cli.main import main

    files = [f"{number}.wav" for number in range(2)]
    sys.exit(main(["convert", *files, "--out-dir", "out", "--csv", "--overwrite", "--source", "voice"]))


def _write_notes() -> None:
    from hf_model.notes.midi import write_midi
    from hf_model.notes.note import Note

    write_midi("tune.mid", [Note(0.3 * step, 0.3 * step + 0.25, 60.0 + step) for step in range(8)])


def _render() -> None:
    from hf_model.cli.main import main

    sys.exit(main(["render", "tune.mid", "--overwrite"]))


# ------------------------------------------------------------------------------------------------------------ stages
def _write_settings() -> None:
    Path("params.yaml").write_text(yaml.safe_dump(SETTINGS), encoding="utf-8")


def _run_stage(name: str, *arguments: str) -> None:
    """Run a stage in one process, without MLflow, whose runs have random names."""
    import importlib

    from stages import _run

    os.environ |= {"HUMMINGFACE_WORKERS": "1", "RUNNER": "local", "HUMMINGFACE_CHECKPOINT_STEPS": "2"}
    sys.modules["mlflow"] = None  # type: ignore[assignment]
    sys.argv = [name, *arguments]
    _run.main(importlib.import_module(f"stages.{name}").main)


def _align() -> None:
    _run_stage("align")


def _prepare_align() -> None:
    _write_settings()
    Path("data/raw").mkdir(parents=True)
    Path("data/raw/corpora.json").write_text('{"made": {}}', encoding="utf-8")


def _prepare_stft() -> None:
    _prepare_align()
    _run_to_the_end(_align)


def _stft() -> None:
    _run_stage("stft")


def _prepare_train() -> None:
    _prepare_stft()
    _run_to_the_end(_stft)


def _train() -> None:
    from hf_model.training.module import TrainingModule

    start = TrainingModule.on_train_batch_start

    def counted(self: Any, *arguments: Any) -> None:
        Path("data/scratch/steps").write_text(str(self.global_step), encoding="ascii")
        start(self, *arguments)

    TrainingModule.on_train_batch_start = counted  # type: ignore[method-assign]
    _run_stage("train", "transcriber")


def _run_to_the_end(function: Callable[[], None]) -> None:
    """Run a command that ends its process in another one."""
    process = os.fork()
    if process == 0:
        try:
            function()
        except SystemExit as stop:
            os._exit(1 if stop.code else 0)
        os._exit(0)
    if os.waitpid(process, 0)[1]:
        msg = f"{function.__name__} failed"
        raise RuntimeError(msg)


def _lost_steps(place: Path) -> int:
    import torch

    from hf_model.training.checkpoints import LAST, PREVIOUS, is_intact

    counter = place / "data" / "scratch" / "steps"
    done = int(counter.read_text() or 0) if counter.exists() else 0
    if (place / "data" / "model" / "transcriber").exists():
        return 0
    for name in (LAST, PREVIOUS):
        for path in place.glob(f"data/scratch/checkpoints/*/{name}"):
            if is_intact(path):
                return max(0, done - int(torch.load(path, weights_only=True, mmap=True)["global_step"]))
    return done


# ---------------------------------------------------------------------------------------------------------- download
PORT_FILE = "port"


@contextmanager
def _publisher(scratch: Path) -> Iterator[None]:
    """Start a slow web server, in a process of its own."""
    files = {**SONGS, "packed.zip": _zip()}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = files[self.path.lstrip("/")]
            start = int(self.headers.get("Range", "bytes=0-")[6:].rstrip("-"))
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            for place in range(start, len(content), 10_000):
                self.wfile.write(content[place : place + 10_000])
                time.sleep(0.003)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    (scratch / PORT_FILE).write_text(str(server.server_port), encoding="ascii")
    os.environ["HUMMINGFACE_MIRROR"] = ""
    process = os.fork()
    if process == 0:
        sys.stderr = io.StringIO()  # connections of killed clients
        server.serve_forever(poll_interval=0.01)
    server.server_close()
    try:
        yield
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)


def _zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in SONGS.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()


def _download() -> None:
    from hf_model.corpora import catalogue, corpus, transfer
    from hf_model.corpora.corpus import Archive, Corpus

    url = f"http://127.0.0.1:{Path('..', PORT_FILE).read_text()}/"
    facts = ("Songs", "Us", "https://example.org", "MIT", "scores", "Tests.")
    archive = Archive("packed.zip", f"{url}packed.zip", f"sha256:{_sha256(_zip())}", len(_zip()))
    catalogue.CORPORA.clear()
    catalogue.CORPORA["songs"] = Corpus("songs", *facts, reader="a:b", base_url=url, listed=True)
    catalogue.CORPORA["packed"] = Corpus("packed", *facts, reader="a:b", archives=(archive,))
    hashes = {name: _sha256(content) for name, content in SONGS.items()}
    corpus._hashes = lambda name: hashes if name == "songs" else {}  # type: ignore[assignment]
    corpus._sizes = lambda _: {name: len(content) for name, content in SONGS.items()}  # type: ignore[assignment]
    transfer.BLOCK = 4096
    _run_stage("download")


# ------------------------------------------------------------------------------------------------------------- MLflow
def _prepare_merge() -> None:
    from stages.tracking import client, runs

    _write_settings()
    for name in ("source", "."):
        os.environ["MLFLOW_TRACKING_URI"] = f"sqlite:///{name}/mlflow.db"
        connection = client.connect()
        assert connection is not None
        if name == "source":
            Path("source/note.txt").write_text("note " * 1000, encoding="utf-8")
            for number in range(4):
                tracker = runs.start_run("direct", f"key-{number}", {"seed": number}, resumed=False)
                for step in range(30):
                    tracker.log_metrics({"loss": 1 / (number + step + 1)}, step)
                tracker.log_artifact(Path("source/note.txt"), "reports")
                tracker.finish()


def _merge() -> None:
    from stages import _run
    from stages.tracking import merge

    _run.main(lambda: merge.main(["source", "--into", "sqlite:///mlflow.db"]))


def _merged_runs(place: Path) -> Outputs:
    """Contents of the finished copies in the target, by the id of the original run."""
    with closing(sqlite3.connect(place / "mlflow.db")) as database:
        query = "select run_uuid, value from tags where key = 'merged.run_id'"
        origins = dict(database.execute(query).fetchall())
        found = {}
        for copy, origin in origins.items():
            status = database.execute("select status from runs where run_uuid = ?", (copy,)).fetchone()[0]
            content: list[Any] = [
                sorted(database.execute(f"select {columns} from {table} where run_uuid = ?", (copy,)).fetchall())
                for table, columns in (
                    ("params", "key, value"),
                    ("metrics", "key, value, timestamp, step"),
                    ("tags", "key, value"),
                )
            ]
            files = place.glob(f"mlartifacts/{copy}/artifacts/**/*")
            content += sorted((path.name, _sha256(path.read_bytes())) for path in files if path.is_file())
            if status == "FINISHED":
                assert f"run {origin}" not in found, "copied twice"
                found[f"run {origin}"] = _sha256(repr(content).encode())
    return found


# -------------------------------------------------------------------------------------------------------------- sweep
def _prepare_sweep() -> None:
    content = {
        "params.yaml": yaml.safe_dump({"profiles": {"default": {}}, "train": {"direct": {"fit": {}}}}),
        "dvc.yaml": yaml.safe_dump(
            {"stages": {"train": {"foreach": ["direct"], "do": {
                "cmd": "cp params.yaml model.tmp && mv model.tmp model", "params": ["profiles.default.train.${item}"],
                "outs": ["model"],
            }}}}
        ),
        "rates.yaml": yaml.safe_dump({"targets": ["train@direct"],
                                      "grid": {"train.direct.fit.learning_rate": [0.25, 0.5]}}),
        ".gitignore": "/data\n/model\n",
        ".dvc/config": "[core]\n    analytics = false\n    check_update = false\n",
        ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
    }  # fmt: skip
    for name, text in content.items():
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(text, encoding="utf-8")
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"]):
        subprocess.run(["git", *words], check=True, env=_git_environment())


def _git_environment() -> dict[str, str]:
    names = {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    return {**os.environ, **names, "GIT_CONFIG_GLOBAL": os.devnull}


def _sweep() -> None:
    from stages import _run
    from stages.cluster import sweep

    os.environ |= {**_git_environment(), "DVC_SITE_CACHE_DIR": str(Path("..", "site").resolve()), "RUNNER": "local"}
    os.environ["PYTHONPATH"] = str(Path(__file__).parents[2])
    _run.main(lambda: sweep.main(["rates.yaml"]))


STAGE_FILES = r"\.lock$|^data/scratch/steps$|^data/scratch/downloads"
TARGETS = {
    "convert": Target("`convert` of two files", _write_voices, _convert, _files("out/*"), ("hf_model.inference",)),
    "render": Target("`render`", _write_notes, _render, _files("*.wav"), ("hf_model.inference",)),
    "download": Target(
        "the download stage",
        _write_settings,
        _download,
        _folder("data/raw"),
        ("stages.download",),
        server=_publisher,
        ignored=r"\.lock$",
    ),
    "align": Target(
        "the align stage",
        _prepare_align,
        _align,
        _folder("data/aligned"),
        ("stages.align",),
        ignored=STAGE_FILES,
    ),
    "stft": Target(
        "the stft stage",
        _prepare_stft,
        _stft,
        _folder("data/stft"),
        ("stages.stft", "stages.align"),
        ignored=STAGE_FILES,
    ),
    "train": Target(
        "a training",
        _prepare_train,
        _train,
        _folder("data/model/transcriber"),
        ("stages.train", "stages.stft", "stages.align", "hf_model.training.trainer"),
        lost_steps=_lost_steps,
        ignored=STAGE_FILES,
    ),
    "merge": Target(
        "`stages.tracking.merge`",
        _prepare_merge,
        _merge,
        _merged_runs,
        ("stages.tracking.merge",),
        ignored=r"^mlartifacts/|^mlflow\.db",
    ),
    "sweep": Target(
        "a sweep of two sets",
        _prepare_sweep,
        _sweep,
        _files("data/scratch/sweeps/*/*/model"),
        ("stages.cluster.sweep", "hf_model.training.tasks", "hf_model.evaluation.evaluate"),
        ignored=r"^\.git/|\.dvc/(tmp|cache)/|\.git$",
    ),
}
