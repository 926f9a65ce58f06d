"""What every stage needs: settings from params.yaml, output folders that are whole or absent, errors in one line.

The only reader of ``params.yaml``. Needs PyYAML and nothing else beyond the standard library, so that a stage runs
where neither DVC nor MLflow is installed.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, TypeVar

import yaml

from hf_model.config import ConfigError, from_mapping

T = TypeVar("T")

PARAMS = Path("params.yaml")
"""Relative to the repository's root, where DVC runs each stage."""

SECTIONS = ("download", "align", "stft", "train", "render", "evaluate")


def settings(section: str, cls: type[T], params: Path = PARAMS, profile: str | None = None) -> T:
    """Read the settings of one stage, with the chosen profile laid over them.

    Parameters
    ----------
    section : str
        A key of params.yaml, dotted for a part of it: "align", "train.transcriber".
    cls : dataclass type
        The settings class of whoever uses them.
    params : path
        The parameter file.
    profile : str, optional
        Instead of the one that the file chooses.

    Raises
    ------
    ConfigError
        For an unknown section, profile or key, or a value of the wrong type; the message names ``section.key``.
    """
    return from_mapping(cls, _section(section, params, profile), section)


def everything(params: Path = PARAMS) -> dict[str, Any]:
    """Give all sections with the chosen profile laid over them, as plain values: for the record."""
    return {section: _section(section, params) for section in SECTIONS if section in _read(params)}


def _section(section: str, params: Path, chosen: str | None = None) -> Any:
    content = _read(params)
    profile = chosen or content.get("profile", "default")
    profiles = content.get("profiles", {})
    if not isinstance(profiles, Mapping) or profile not in profiles:
        known = ", ".join(sorted(profiles)) if isinstance(profiles, Mapping) else "none"
        msg = f"profile is {profile!r}, allowed is one of {known} (the keys of profiles in {params})"
        raise ConfigError(msg)
    _refuse_unknown(content, {"profile", "profiles", *SECTIONS}, params)
    _refuse_unknown(profiles[profile] or {}, set(SECTIONS), params, f"profiles.{profile}.")
    base = _part(content, section)
    if base is None:
        msg = f"{params} has no section {section}"
        raise ConfigError(msg)
    return _merged(base, _part(profiles[profile] or {}, section) or {})


def _read(params: Path) -> Mapping[str, Any]:
    try:
        content = read_yaml(params)
    except FileNotFoundError:
        msg = f"{params} not found in {Path.cwd()}: run stages in the repository's root"
        raise ConfigError(msg) from None
    if not isinstance(content, Mapping):
        msg = f"{params} must hold a mapping, got {type(content).__name__}"
        raise ConfigError(msg)
    return content


def read_yaml(path: Path) -> Any:
    """Read a YAML file.

    Raises
    ------
    ConfigError
        In one line, for what is no YAML.
    """
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        msg = f"{path} is not valid YAML: {' '.join(str(error).split())}"
        raise ConfigError(msg) from error


def _refuse_unknown(mapping: Mapping[str, Any], known: set[str], params: Path, prefix: str = "") -> None:
    unknown = sorted(set(mapping) - known)
    if unknown:
        msg = f"unknown section {prefix}{unknown[0]} in {params}; known: {', '.join(sorted(known))}"
        raise ConfigError(msg)


def _part(mapping: Any, dotted: str) -> Any:
    for key in dotted.split("."):
        if not isinstance(mapping, Mapping) or key not in mapping:
            return None
        mapping = mapping[key]
    return mapping


def _merged(base: Any, overrides: Any) -> Any:
    """Lay one tree of settings over another; lists are replaced, not joined."""
    if not (isinstance(base, Mapping) and isinstance(overrides, Mapping)):
        return overrides
    shared = {key: _merged(base[key], value) if key in base else value for key, value in overrides.items()}
    return {**base, **shared}


@contextmanager
def output(path: Path | str, *, resume: bool = False) -> Iterator[Path]:
    """Give a folder to write into, which becomes ``path`` only when the block ends well.

    Parameters
    ----------
    path : path
        The output as DVC knows it; what was there is replaced.
    resume : bool
        Keep the unfinished folder after a failure, and hand it out again the next time.

    Yields
    ------
    Path
        A hidden folder beside ``path`` (``.<name>.partial``).
    """
    final = Path(path)
    partial = final.with_name(f".{final.name}.partial")
    if not resume:
        shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True, exist_ok=True)
    try:
        yield partial
    except BaseException:
        if not resume:
            shutil.rmtree(partial, ignore_errors=True)
        raise
    if final.is_dir():
        shutil.rmtree(final)
    partial.rename(final)


def write_json(path: Path | str, content: Mapping[str, Any]) -> None:
    """Write JSON with sorted keys; the file is whole or absent, and the same content gives the same bytes."""
    final = Path(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    partial = final.with_name(f".{final.name}.partial")
    try:
        partial.write_text(json.dumps(content, indent=2, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8")
        partial.replace(final)
    finally:
        partial.unlink(missing_ok=True)


def main(stage: Callable[[], None]) -> None:
    """Run a stage as a program: a known error becomes one line on stderr and exit code 1.

    Known are errors of the system (a missing file, a full disk) and every exception class that hf_model defines itself;
    anything else is a mistake of ours and keeps its traceback.
    """
    if not callable(signal.getsignal(signal.SIGTERM)):  # the training listens already
        signal.signal(signal.SIGTERM, _terminate)
    try:
        stage()
    except KeyboardInterrupt:
        _leave("interrupted; nothing half-written was kept", 130)
    except OSError as error:
        _leave(_describe(error), 1)
    except Exception as error:
        if not type(error).__module__.startswith(("hf_model.", "stages.")):
            raise
        _leave(str(error), 1)


def _terminate(signum: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + signum)


def _describe(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{where}the disk is full; nothing half-written was kept, free some space and run the stage again"
    return f"{where}{error.strerror or error}"


def _leave(message: str, code: int) -> NoReturn:
    sys.stdout.flush()
    one_line = " ".join(message.split())
    sys.stderr.write(f"error: {one_line}\n")
    sys.exit(code)


def workers() -> int:
    """Count processes to work with: HUMMINGFACE_WORKERS, or the cores that this process may use (never a parameter)."""
    if os.environ.get("HUMMINGFACE_WORKERS"):
        return number("HUMMINGFACE_WORKERS")
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def number(variable: str) -> int:
    """Read a whole number from 1 from the environment."""
    asked = os.environ[variable]
    if not asked.isdecimal() or int(asked) < 1:
        msg = f"{variable} is {asked!r}, allowed is a whole number from 1"
        raise ConfigError(msg)
    return int(asked)


def is_first() -> bool:
    """Whether this process is the one, of all that train together, that writes and tracks."""
    names = ("RANK",) if "RANK" in os.environ else ("SLURM_PROCID", "LOCAL_RANK")
    return all(os.environ.get(name, "0") == "0" for name in names)
