"""Folders of your own recordings as corpora: entries of ``data/corpora.toml``, written by ``python -m stages.corpus``.

In the folder, each recording has its labels beside it, under the same name. Recordings in one folder below it share a
singer; of those directly in it, each counts as a singer, so that the splits divide them.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from hf_model.audio.reader import SUFFIXES
from hf_model.corpora.catalogue import CORPORA, load_registry
from hf_model.corpora.records import CorpusError
from hf_model.files import file_sha256

REGISTRY = Path("data/corpora.toml")
"""Relative to the repository's root."""

LABELS = {
    "csv": (".csv",),
    "txt": (".txt",),
    "mid": (".mid", ".midi"),
    "textgrid": (".textgrid",),
    "lab": (".lab",),
    "score": (".mid", ".midi"),
    "piano": (),
    "none": (),
}
"""Kinds of labels, and the suffixes of their files. ``score``: a MIDI file with its own timing, which is aligned to the
voice. ``piano``: ``<name>_voice.*`` and ``<name>_piano.*``. ``none``: recordings that are only converted."""

PIANO = "piano"


def register_own(path: Path = REGISTRY) -> None:
    """Add the corpora of the user to the registry; nothing happens if there is no such file.

    Raises
    ------
    hf_model.config.ConfigError
        If the file is damaged, or a name is taken.
    """
    if path.is_file():
        CORPORA.update(load_registry(path))


def recordings(folder: Path, labels: str) -> list[Path]:
    """List the recordings of a folder and those below it.

    Raises
    ------
    CorpusError
        If there are none.
    """
    sounds = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix.lower() in SUFFIXES)
    if labels == PIANO:
        sounds = [path for path in sounds if path.stem.endswith(("_voice", "_piano"))]
    if not sounds:
        wanted = "<name>_voice.* with <name>_piano.*" if labels == PIANO else "recordings"
        raise CorpusError(f"{folder}: no {wanted} there")
    return sounds


def own_files(folder: Path, labels: str) -> list[Path]:
    """List the recordings of a folder and the files that belong to them.

    Raises
    ------
    CorpusError
        If there are no recordings, or labels are missing; the message names the first file.
    """
    sounds = recordings(folder, labels)
    if labels == PIANO:
        return sounds + sorted(folder.rglob("*.mid"))
    return sounds + [label_file(path, labels) for path in sounds if LABELS[labels]]


def label_file(sound: Path, labels: str) -> Path:
    """Find the labels of a recording.

    Raises
    ------
    CorpusError
        If there are none.
    """
    for path in sorted(sound.parent.glob("*")):
        if path.stem == sound.stem and path.suffix.lower() in LABELS[labels]:
            return path
    raise CorpusError(f"{sound}: no {sound.stem}{LABELS[labels][0]} beside it")


def digest_files(folder: Path, files: list[Path]) -> str:
    """Hash names and contents, so that DVC notices changed recordings and labels."""
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.relative_to(folder).as_posix()} {file_sha256(path)}\n".encode())
    return digest.hexdigest()
