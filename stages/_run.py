"""Shared by all stages: settings from params.yaml, atomic output folders, errors in one line.

The only reader of ``params.yaml``. Needs only PyYAML and the standard library, so that a stage runs where neither DVC
nor MLflow is installed.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, TypeVar

import yaml

from hf_model.config import ConfigError, from_mapping
from hf_model.files import flush_file, flush_tree, remove_leftovers

T = TypeVar("T")

PARAMS = Path("params.yaml")
"""Relative to the repository's root, where DVC runs each stage."""

SECTIONS = ("download", "align", "stft", "train", "instruments", "analysis", "render", "evaluate")

FULL = (errno.ENOSPC, errno.EDQUOT)
"""Numbers of the system's errors for a full disk and an exceeded quota."""

_locks: set[int] = set()
"""Descriptors of the locks that this process holds."""


class OutputError(RuntimeError):
    """An output cannot be written; the message names it."""


def settings(section: str, cls: type[T], params: Path = PARAMS, profile: str | None = None) -> T:
    """Read the settings of one stage, merged with the chosen profile.

    Parameters
    ----------
    section : str
        A key of params.yaml, dotted for a part of it: "align", "train.transcriber".
    cls : dataclass type
        The settings class.
    params : path
        The parameter file.
    profile : str, optional
        Overrides the profile chosen in the file.

    Raises
    ------
    ConfigError
        For an unknown section, profile or key, or a value of the wrong type; the message names ``section.key``.
    """
    return from_mapping(cls, merged_section(_read(params), section, profile, params), section)


def all_settings(params: Path = PARAMS) -> dict[str, Any]:
    """Read all sections merged with the chosen profile, as plain values."""
    content = _read(params)
    return {section: merged_section(content, section) for section in SECTIONS if section in content}


def merged_section(content: Mapping[str, Any], section: str, chosen: str | None = None, params: Path = PARAMS) -> Any:
    """Merge a section of the content of a parameter file with a profile, by default the one chosen in it.

    Raises
    ------
    ConfigError
        For an unknown section or profile; ``params`` is the file that the message names.
    """
    profile = chosen or content.get("profile", "default")
    profiles = content.get("profiles", {})
    if not isinstance(profiles, Mapping) or not isinstance(profile, str) or profile not in profiles:
        known = ", ".join(sorted(map(str, profiles))) if isinstance(profiles, Mapping) else "none"
        msg = f"profile is {profile!r}, allowed is one of {known} (the keys of profiles in {params})"
        raise ConfigError(msg)
    _refuse_unknown(content, {"profile", "profiles", *SECTIONS}, params)
    overrides = profiles[profile] or {}
    if not isinstance(overrides, Mapping):
        msg = f"profiles.{profile} in {params} must be a mapping of sections, got {type(overrides).__name__}"
        raise ConfigError(msg)
    _refuse_unknown(overrides, set(SECTIONS), params, f"profiles.{profile}.")
    base = _lookup(content, section)
    if base is None:
        msg = f"{params} has no section {section}"
        raise ConfigError(msg)
    return merge_settings(base, _lookup(overrides, section) or {})


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
        For invalid YAML; the message is one line.
    """
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        # PyYAML raises other errors than its own for impossible dates, unknown escapes and mappings as keys
        msg = f"{path} is not valid YAML: {' '.join(str(error).split())}"
        raise ConfigError(msg) from error


def _refuse_unknown(mapping: Mapping[str, Any], known: set[str], params: Path, prefix: str = "") -> None:
    unknown = sorted(map(str, set(mapping) - known))
    if unknown:
        msg = f"unknown section {prefix}{unknown[0]} in {params}; known: {', '.join(sorted(known))}"
        raise ConfigError(msg)


def _lookup(mapping: Any, dotted: str) -> Any:
    for key in dotted.split("."):
        if not isinstance(mapping, Mapping) or key not in mapping:
            return None
        mapping = mapping[key]
    return mapping


def merge_settings(base: Any, overrides: Any) -> Any:
    """Override settings in a nested mapping; lists are replaced, not joined."""
    if not (isinstance(base, Mapping) and isinstance(overrides, Mapping)):
        return overrides
    shared = {key: merge_settings(base[key], value) if key in base else value for key, value in overrides.items()}
    return {**base, **shared}


@contextmanager
def output(path: Path | str, *, resume: bool = False, beside: Sequence[str] = ()) -> Iterator[Path]:
    """Write into a temporary folder that is renamed to ``path`` when the block succeeds and its files are on the disk.

    ``.<name>.lock`` in the same parent folder is locked meanwhile. It is never removed: another process may have opened
    it. At no moment ``path`` holds a part of an output: an older one is renamed before it is removed.

    Parameters
    ----------
    path : path
        The output folder; an existing one is replaced. Of a symbolic link the target is replaced, on its disk.
    resume : bool
        Keep the unfinished folder after a failure and continue in it the next time.
    beside : sequence of str
        Files of the temporary folder that are moved beside ``path``. Older ones are removed first, and the last one is
        moved last: where it exists, all of the output is whole.

    Yields
    ------
    Path
        The temporary folder, ``.<name>.partial`` in the same parent folder.

    Raises
    ------
    OutputError
        If another process is writing this output, or the disk is full.
    """
    final = Path(path).resolve() if Path(path).is_symlink() else Path(path)
    partial, older = (final.with_name(f".{final.name}.{ending}") for ending in ("partial", "older"))
    with _full_disk(final, resume=resume):
        final.parent.mkdir(parents=True, exist_ok=True)
        with _locked(final):
            remove_leftovers(final.parent)
            shutil.rmtree(older, ignore_errors=True)
            if not resume:
                shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(exist_ok=True)
            try:
                yield partial
                flush_tree(partial)
            except BaseException:
                if not resume:
                    shutil.rmtree(partial, ignore_errors=True)
                raise
            for name in reversed(beside):
                final.with_name(name).unlink(missing_ok=True)
            if final.is_dir():
                final.rename(older)
            partial.rename(final)
            for name in beside:
                (final / name).replace(final.with_name(name))
            flush_file(final.parent)
            shutil.rmtree(older, ignore_errors=True)


@contextmanager
def _full_disk(final: Path, *, resume: bool) -> Iterator[None]:
    """Name the output when the disk or a quota is full: the system's error names a temporary file, or none."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        kept = "what is finished was kept" if resume else "no incomplete output was kept"
        msg = f"{final}: the disk is full; {kept}, free some space and run the stage again"
        raise OutputError(msg) from error


@contextmanager
def _locked(final: Path) -> Iterator[None]:
    """Hold the exclusive lock of an output; the system releases it when the process ends, however it ends."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    descriptor = os.open(final.with_name(f".{final.name}.lock"), os.O_RDWR | os.O_CREAT, 0o666)
    _locks.add(descriptor)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            msg = f"{final}: another process is writing it; wait until it ends"
            raise OutputError(msg) from None
        except OSError as error:
            if error.errno not in (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK):
                raise
            message = "this file system has no locks; do not run the same stage twice at the same time"
            warnings.warn(f"{final}: {message}", stacklevel=4)
        yield
    finally:
        if descriptor in _locks:
            _locks.remove(descriptor)
            os.close(descriptor)


def _close_locks() -> None:
    """Close the locks inherited by a forked process, which would otherwise hold them after the end of its parent."""
    while _locks:
        os.close(_locks.pop())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_locks)


def main(stage: Callable[[], None]) -> None:
    """Run a stage as a program: a known error becomes one line on stderr and exit code 1.

    Known errors are those of the system (a missing file, a full disk) and exception classes of hf_model and stages; any
    other exception is a bug and keeps its traceback.
    """
    if not callable(signal.getsignal(signal.SIGTERM)):  # the training has its own handler
        signal.signal(signal.SIGTERM, _terminate)
    try:
        stage()
    except KeyboardInterrupt:
        _exit_with_error("interrupted; no incomplete output was kept", 130)
    except OSError as error:
        _exit_with_error(_describe(error), 1)
    except MemoryError:
        _exit_with_error("not enough memory: use fewer workers (HUMMINGFACE_WORKERS), or smaller settings", 1)
    except Exception as error:
        # a class of the program that runs has the module __main__
        if not type(error).__module__.startswith(("hf_model.", "stages.", "__main__")):
            raise
        _exit_with_error(str(error), 1)


def _terminate(signum: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + signum)


def _describe(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    if error.errno in FULL:
        return f"{where}the disk is full; no incomplete output was kept, free some space and run the stage again"
    return f"{where}{error.strerror or error}"


def _exit_with_error(message: str, code: int) -> NoReturn:
    sys.stdout.flush()
    one_line = " ".join(message.split())
    sys.stderr.write(f"error: {one_line}\n")
    sys.exit(code)


def workers() -> int:
    """Return the number of processes to use: HUMMINGFACE_WORKERS, or the cores available to this process."""
    if os.environ.get("HUMMINGFACE_WORKERS"):
        return positive_integer("HUMMINGFACE_WORKERS")
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def positive_integer(variable: str) -> int:
    """Read a whole number from 1 from an environment variable."""
    value = os.environ[variable]
    if not value.isdecimal() or int(value) < 1:
        msg = f"{variable} is {value!r}, allowed is a whole number from 1"
        raise ConfigError(msg)
    return int(value)


def is_first_process() -> bool:
    """Whether this is the process of a distributed training that writes files and tracks the run."""
    names = ("RANK",) if "RANK" in os.environ else ("SLURM_PROCID", "LOCAL_RANK")
    return all(os.environ.get(name, "0") == "0" for name in names)
