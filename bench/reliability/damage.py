"""Flip single bits of every kind of file that the program reads back, and look at what comes of it.

A damaged file must be named in one line, with how to mend it, or give the values that it held: never other values,
never a traceback.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import shlex
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import chdir
from pathlib import Path
from typing import Any

import numpy as np

from hf_model.config import ConfigError

COMMAND = "`python -m bench damage`"
NAMED = (ConfigError, OSError)
FAULTS = {
    "damaged, cut or missing inputs of every stage; odd params.yaml; full, read-only and linked outputs": [
        "tests/stages/test_faults.py"
    ],
    "MLflow's database damaged, cut, locked, read-only, of an older or newer version; the clock set back": [
        "tests/stages/tracking/test_database_faults.py"
    ],
    "a checkpoint on a full disk; parts of killed trainings; shards purged while a training runs": [
        "tests/training/test_checkpoints.py", "-k", "full_disk or parts or purged"
    ],
    "a Dask worker killed, all workers killed, the scheduler lost": [
        "tests/parallel/test_workers.py", "-k", "killed or kills or lost"
    ],
    "downloads that are endless, too large, of another part, or without room on the disk": [
        "tests/corpora/test_download.py", "-k", "larger or endless or room or another_part or passwords"
    ],
}  # fmt: skip
"""Faults, and the tests that make them."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--flips", type=int, default=200, help="for each kind of file (%(default)s)")


def run(options: argparse.Namespace) -> None:
    """Print the rows."""
    for row in rows(options.flips):
        print(" | ".join(row.values()), flush=True)


def rows(flips: int = 200) -> list[dict[str, str]]:
    """Flip so many bits of each kind of file; one row for each."""
    found = []
    with tempfile.TemporaryDirectory(prefix="hummingface-damage-") as scratch, chdir(scratch):
        for what, (path, read) in _files().items():
            counts = flip(path, read, flips, random.Random(what))
            wrong = counts["other values"] + counts["traceback"] + counts["not named"]
            result = f"{wrong} of {flips} ({counts['named']} named with the remedy, {counts['same']} without effect)"
            target = f"a flipped bit in {what}: other values, a traceback or no remedy"
            found.append({"what": target, "target": "0", "result": result, "command": COMMAND})
    return found


def fault_rows() -> list[dict[str, str]]:
    """Run the tests of faults of the pipeline; one row for each kind."""
    found = []
    for what, selection in FAULTS.items():
        words = ["-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", *selection]
        done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
        result = re.sub(r" in .*", "", (done.stdout.strip().splitlines() or ["no output"])[-1])
        command = f"`pytest {shlex.join(selection)}`"
        found.append({"what": what, "target": "one line, nothing lost", "result": result, "command": command})
    return found


def flip(path: Path, read: Callable[[], Any], flips: int, rng: random.Random) -> Counter[str]:
    """Flip random bits of a file, one at a time, and count what reading it gives."""
    content, expected = path.read_bytes(), read()
    counts: Counter[str] = Counter()
    for _ in range(flips):
        place = rng.randrange(len(content))
        changed = content[:place] + bytes([content[place] ^ (1 << rng.randrange(8))]) + content[place + 1 :]
        path.write_bytes(changed)
        try:
            counts["same" if read() == expected else "other values"] += 1
        except Exception as error:  # noqa: BLE001 - the kind of error is what is measured
            own = isinstance(error, NAMED) or type(error).__module__.startswith("hf_model.")
            text = str(error)
            is_named = path.name in text and "\n" not in text and "; " in text
            counts["traceback" if not own else "named" if is_named else "not named"] += 1
    path.write_bytes(content)
    return counts


def _files() -> Mapping[str, tuple[Path, Callable[[], Any]]]:
    """Make one file of each kind; how to read it gives comparable values."""
    from hf_model.alignment import manifest
    from hf_model.alignment.align import AlignSettings, align
    from hf_model.audio.io import read_audio
    from hf_model.files import read_json, write_json
    from hf_model.pretrained import Pretrained
    from hf_model.shards.index import COLUMNS, ShardIndex
    from hf_model.shards.manifest import read_shard_manifest
    from hf_model.shards.plan import StftSettings
    from hf_model.shards.writer import _read, write_shards
    from hf_model.transcriber.config import TranscriberConfig
    from hf_model.transcriber.network import TranscriberNetwork
    from hf_model.transcriber.transcriber import Transcriber

    raw, aligned, shards, model = (Path(name) for name in ("raw", "aligned", "shards", "model"))
    for folder in (raw, shards):
        folder.mkdir()
    write_json(raw / "corpora.json", {"made": {"files": 0}}, digest=True)
    align(raw, aligned, AlignSettings(made_phrases=3, made_seconds=1.5))
    write_shards(aligned, shards, StftSettings(segment_frames=64, valid_fraction=0.0, test_fraction=0.0))
    TranscriberNetwork(TranscriberConfig(channels=4, width=8, dilations=(1,))).save_pretrained(model)

    def plain(loaded: Pretrained) -> list[Any]:
        state = {name: value.tolist() for name, value in loaded.state_dict().items()}
        return [loaded.config, _known(loaded.facts), state]

    def posteriors(loaded: Transcriber) -> list[Any]:
        return [part.tolist() for part in loaded.posteriors(np.zeros(1600, dtype=np.float32))]

    def segments() -> list[Any]:
        index = ShardIndex(shards, "train", columns=COLUMNS)
        items = [index[number] for number in range(len(index))]
        return [{k: v.tobytes() if hasattr(v, "tobytes") else v for k, v in item.items()} for item in items]

    shard = shards / read_shard_manifest(shards)["files"][0]["path"]
    voice = next((aligned / "made" / "voice").glob("*.flac"))
    n_samples = read_audio(voice)[0].shape[-1]
    pairs = aligned / "made" / "manifest.parquet"
    return {
        "a shard": (shard, segments),
        "the manifest of the shards": (shards / "manifest.json", lambda: _known(read_shard_manifest(shards))),
        "the manifest of the pairs": (pairs, lambda: manifest.read_manifest(pairs)),
        "an aligned recording": (voice, lambda: _read(voice, n_samples)[0].tobytes()),
        "the list of downloads": (raw / "corpora.json", lambda: _known(read_json(raw / "corpora.json", "repeat it"))),
        "weights": (model / "model.safetensors", lambda: plain(TranscriberNetwork.from_pretrained(model))),
        "an exported network": (model / "model.onnx", lambda: posteriors(Transcriber.from_pretrained(model))),
        "the config of a model": (model / "config.json", lambda: plain(TranscriberNetwork.from_pretrained(model))),
        **_checkpoints(Path("checkpoints")),
    }


def _known(content: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what is no name of an entry but that of the damaged digest."""
    return {name: value for name, value in content.items() if not name.endswith("_sha256") and len(name) != 14}


def _checkpoints(folder: Path) -> Mapping[str, tuple[Path, Callable[[], Any]]]:
    import torch

    from hf_model.training.checkpoints import BEST, load_best, save_best

    folder.mkdir()
    save_best(folder, {"a": torch.arange(2000.0) / 7}, {"conpoff": 0.5})

    def best() -> Any:
        weights, figures = load_best(folder, required=True) or ({}, {})
        return json.dumps([{name: value.tolist() for name, value in weights.items()}, figures])

    return {"a checkpoint": (folder / BEST, best)}
