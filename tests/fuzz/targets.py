"""What reads files, and what must hold whatever is in them.

Exit code 0, 1 or 2; no traceback; one line for a file that cannot be used, which names it, in words that are not
Python's; no partial output; the other files are converted.
"""

from __future__ import annotations

import contextlib
import io
import re
import shutil
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.fuzz import inputs

PYTHONS_WORDS = re.compile(r"\b[A-Z]\w*(Error|Exception|Warning):|Traceback|object has no attribute|NoneType")


@dataclass(frozen=True)
class Target:
    """One kind of file.

    Attributes
    ----------
    name : str
    files : callable
        Names to contents of whole files.
    check : callable
        Reads the file of a name in a folder, and lists what does not hold.
    is_text : bool
    """

    name: str
    files: Callable[[], Mapping[str, bytes]]
    check: Callable[[Path, str], list[str]]
    is_text: bool = False


def run_program(arguments: list[str], bad: Path, out: Path, n_good: int = 0) -> list[str]:
    """Run the command line on a bad file, and on others that are good."""
    from hf_model.cli.main import main

    printed, said = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(said):
        try:
            code = main(arguments)
        except SystemExit as error:
            code = error.code
        except BaseException as error:  # noqa: BLE001 (whatever it is)
            where = traceback.extract_tb(error.__traceback__)[-1]
            return [f"raises {type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"[:300]]
    lines = said.getvalue().splitlines()
    errors = [line for line in lines if line.startswith("hummingface: error: ")]
    problems = [] if code in (0, 1, 2) else [f"exit code {code}"]
    problems += [f"says {line[:300]!r}" for line in lines if not line.startswith("hummingface: ")]
    problems += [f"says {line[:300]!r}" for line in lines if PYTHONS_WORDS.search(line)]
    if code == 1 and (len(errors) != 1 or str(bad) not in errors[0]):
        problems.append(f"exit code 1 with the errors {errors}")
    if code == 0 and errors:
        problems.append(f"exit code 0 with the errors {errors}")
    n_pianos = sum(1 for path in out.glob("*.wav"))
    if n_pianos != n_good + (code == 0):
        problems.append(f"exit code {code}, {n_pianos} pianos, {n_good} of them of good files")
    problems += [f"leaves {path.name}" for path in out.parent.rglob("*.part")]
    return problems


def check_audio(folder: Path, name: str) -> list[str]:
    """Convert a recording; of every fourth length also with a good one after it."""
    from tests import fakes

    bad, out = folder / name, folder / "out"
    arguments = ["convert", str(bad), "--out-dir", str(out)]
    n_good = int(bad.stat().st_size % 4 == 0)
    if n_good:
        fakes_path = folder / "good.wav"
        fakes_path.write_bytes(inputs.audio_files()["wav"])
        arguments[2:2] = [str(fakes_path)]
    with _fake_models(fakes.tone_models()):
        return run_program(arguments, bad, out, n_good)


def check_notes(folder: Path, name: str) -> list[str]:
    """Render a MIDI file or a table."""
    from tests import fakes

    out = folder / "out" / "a.wav"
    with _fake_models(fakes.tone_models()):
        arguments = ["render", str(folder / name), "-o", str(out), "--duration", "0.3"]
        return run_program(arguments, folder / name, out.parent)


def check_model(folder: Path, name: str) -> list[str]:
    """Convert with a damaged file of a model."""
    model = folder / "model"
    model.mkdir()
    for other, content in inputs.model_files().items():
        if other != "undigested.json":
            (model / other).write_bytes(content)
    if name != "undigested.json":
        shutil.move(folder / name, model / name)
    else:
        shutil.move(folder / name, model / "config.json")
    (folder / "good.wav").write_bytes(inputs.audio_files()["wav"])
    arguments = ["convert", str(folder / "good.wav"), "--out-dir", str(folder / "out"), "--model", str(model)]
    return run_program(arguments, model, folder / "out")


def check_shards(folder: Path, name: str) -> list[str]:
    """Read shards and their manifests, of which one file is damaged."""
    from hf_model.alignment.manifest import PairError, read_manifests
    from hf_model.shards.index import ShardIndex
    from hf_model.shards.manifest import ShardError

    for other, content in inputs.shard_files().items():
        path = folder / other
        if other != name:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def read() -> None:
        read_manifests(folder / "aligned")
        for split in ("train", "valid"):
            index = ShardIndex(folder / "stft", split, ("voice_stft", "piano_stft", "notes"))
            for number in range(min(len(index), 3)):
                _ = index[number], index.packed(number)

    return _raises_only((ShardError, PairError), folder, read)


def check_params(folder: Path, name: str) -> list[str]:
    """Read the settings of stages."""
    from hf_model.config import ConfigError
    from hf_model.shards.writer import StftSettings
    from hf_model.training.tasks import TranscriberTraining
    from stages._run import all_settings, settings

    def read() -> None:
        all_settings(folder / name)
        settings("stft", StftSettings, folder / name)
        settings("train.transcriber", TranscriberTraining, folder / name)

    return _raises_only(ConfigError, None, read)


def check_registry(folder: Path, name: str) -> list[str]:
    """Read a registry of corpora."""
    from hf_model.config import ConfigError
    from hf_model.corpora.catalogue import load_registry

    return _raises_only(ConfigError, folder / name, lambda: load_registry(folder / name))


def _raises_only(expected: Any, named: Path | None, call: Callable[[], object]) -> list[str]:
    """Check that a function returns, or raises what it documents: in one line, and with the path."""
    try:
        call()
    except expected as error:
        text = str(error)
        is_named = named is None or named.name in text
        return [] if "\n" not in text and is_named else [f"raises {text[:300]!r}"]
    except Exception as error:  # noqa: BLE001 (whatever it is)
        where = traceback.extract_tb(error.__traceback__)[-1]
        return [f"raises {type(error).__name__}: {error} ({Path(where.filename).name}:{where.lineno})"[:300]]
    return []


@contextlib.contextmanager
def _fake_models(models: object):
    """Use models without weights."""
    import hf_model.inference

    before = hf_model.inference.default_models
    hf_model.inference.default_models = lambda: models
    modules = [module for name, module in sys.modules.items() if name.startswith("hf_model.cli")]
    patched = [module for module in modules if getattr(module, "default_models", None) is before]
    for module in patched:
        module.default_models = lambda: models
    try:
        yield
    finally:
        hf_model.inference.default_models = before
        for module in patched:
            module.default_models = before


def _registry() -> dict[str, bytes]:
    from hf_model.corpora.catalogue import REGISTRY

    return {"registry.toml": REGISTRY.read_bytes()}


@cache
def targets() -> dict[str, Target]:
    """All targets by name."""
    found = [
        Target("audio", inputs.audio_files, check_audio),
        Target("midi", inputs.midi_files, check_notes),
        Target(
            "table", lambda: {name: text.encode() for name, text in inputs.TABLES.items()}, check_notes, is_text=True
        ),
        Target("config", lambda: _only(inputs.model_files(), ".json"), check_model, is_text=True),
        Target("weights", lambda: _only(inputs.model_files(), ".safetensors"), check_model),
        Target("parquet", lambda: _only(inputs.shard_files(), ".parquet"), check_shards),
        Target("manifest", lambda: _only(inputs.shard_files(), ".json"), check_shards, is_text=True),
        Target("params", lambda: {"params.yaml": inputs.PARAMS.encode()}, check_params, is_text=True),
        Target("registry", _registry, check_registry, is_text=True),
    ]
    return {target.name: target for target in found}


def _only(files: Mapping[str, bytes], suffix: str) -> dict[str, bytes]:
    return {name: content for name, content in files.items() if name.endswith(suffix)}
