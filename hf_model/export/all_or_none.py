"""Output files that appear together: all of them or none."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from hf_model.files import flush_file, remove_leftovers, temporary_path

_folders = threading.Lock()
"""Held while a thread makes a folder and the first files in it, or removes an empty one."""

_made: set[Path] = set()
"""Folders that this process made, to remove those in which nothing is written: several files may share one."""


class OutputError(Exception):
    """Why an output cannot be written."""


class DiskError(OutputError):
    """Why a folder cannot be written to."""


@contextmanager
def all_or_none(outputs: Mapping[str, Path], *, make_folder: bool = False) -> Iterator[dict[str, Path]]:
    """Give temporary paths in the same folder; rename all of them at the end, or remove them after an exception.

    A kind that is deleted from the mapping is not written.

    Parameters
    ----------
    outputs : mapping of kind to path
        All in one folder.
    make_folder : bool
        Whether to make the folder if it is missing; it is removed again if nothing is written.

    Raises
    ------
    DiskError
        If the folder cannot be written to.
    """
    temporary = {kind: temporary_path(path.with_name(f"hummingface.{kind}")) for kind, path in outputs.items()}
    folder = next(iter(outputs.values())).parent
    try:
        with _folders, disk_errors(folder):
            if make_folder:
                if not os.path.lexists(folder):
                    _made.add(folder)
                folder.mkdir(parents=True, exist_ok=True)
            remove_leftovers(folder, ".hummingface*.part")
            for path in temporary.values():
                path.touch(exist_ok=False)
        given = dict(temporary)
        yield given
        with disk_errors(folder):
            _rename_all({given[kind]: outputs[kind] for kind in given})
    finally:
        if os.path.isdir(folder):  # noqa: PTH112 (that of Path raises where a folder cannot be entered)
            for path in temporary.values():
                with suppress(PermissionError):  # then it could not be made either
                    path.unlink(missing_ok=True)
            with _folders:
                if folder in _made and folder.is_dir() and not any(folder.iterdir()):
                    folder.rmdir()


def _rename_all(names: Mapping[Path, Path]) -> None:
    """Rename every file, or none: a file that is replaced keeps a second name until all are renamed or it is back."""
    backups: dict[Path, Path] = {}
    replaced: list[Path] = []
    try:
        for old, new in names.items():
            if new.exists() or new.is_symlink():
                backups[new] = temporary_path(new.with_name("hummingface.old"))
                _add_name(new, backups[new])
            replaced.append(new)
            flush_file(old)  # else a power failure may leave nothing of an older file and nothing of the new one
            old.replace(new)
    except BaseException:
        for new in tuple(replaced):
            with suppress(OSError):  # the others can still be restored
                if new in backups:
                    backups[new].replace(new)
                else:
                    new.unlink(missing_ok=True)
                replaced.remove(new)
        for new, backup in backups.items():
            if new not in replaced:
                backup.unlink(missing_ok=True)
            else:  # the only copy of the older file: the next run must not take it for a leftover
                with suppress(OSError):
                    backup.rename(backup.with_suffix(".kept"))
        raise
    for backup in backups.values():
        backup.unlink(missing_ok=True)


def _add_name(path: Path, name: Path) -> None:
    """Link a file under a second name, or copy it where the file system has no links."""
    try:
        os.link(path, name, follow_symlinks=False)
    except (OSError, NotImplementedError):  # the second on Windows
        shutil.copy2(path, name, follow_symlinks=False)


@contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Raise a DiskError that names the folder when a file in it cannot be written."""
    try:
        yield
    except OSError as error:
        msg = f"cannot write to {folder}: {error.strerror or error}"
        raise DiskError(msg) from error
