"""The fields of a corpus in ``registry.toml``, and the known hashes of its files (``hashes/``, in sha256sum format)."""

from __future__ import annotations

import gzip
import re
import zlib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

from hf_model.config import ConfigError, check_choice

ROLES = ("voice with notes", "scores", "piano", "instruments", "songs")

PERMISSIVE = ("MIT", "CC BY 4.0", "CC0 1.0")
"""Licences that ask for attribution at most; all others need ``download.accept_license``."""

UNSTATED = "unstated"
"""No licence is published: all rights reserved until the authors say otherwise."""

HASHES = Path(__file__).parent / "hashes"


@dataclass(frozen=True)
class Archive:
    """One file to download and unpack.

    Attributes
    ----------
    name : str
        File name, also on a mirror.
    url : str
        Public address; empty if none is known.
    hash : str, optional
        "sha256:..." or "md5:..."; None if none could be confirmed (then the note of the corpus mentions it).
    size : int
        Bytes; 0 if unknown.
    strip : int
        Leading folders to drop, so that the unpacked files have the layout that the reader expects.
    url_confirmed : bool
        Whether the address was found in a public source.
    """

    name: str
    url: str
    hash: str | None = None
    size: int = 0
    strip: int = 0
    url_confirmed: bool = True


@dataclass(frozen=True)
class Corpus:
    """One corpus.

    Attributes
    ----------
    name, title, citation, homepage : str
        Identification; the homepage is empty for synthetic singing.
    licence : str
        Licence of all files except those in ``exceptions``.
    role : str
        One of ``ROLES``.
    use : str
        How it is used here, in one sentence.
    size : int
        Approximate download size in bytes.
    keep : tuple of str
        Patterns (fnmatch; ``*`` crosses folders) of the files that the reader needs.
    reader : str
        "module:function" in ``hf_model.corpora.readers``; empty for synthetic singing, which has no files.
    archives : tuple of Archive
        The public copy, as archives ...
    base_url : str
        ... or as single files below this address; all of them are listed in ``hashes/``.
    listed : bool
        Whether ``hashes/`` lists every file; then a missing file is an error.
    exceptions : tuple of (str, str)
        Pattern and licence of the files under another licence.
    measure_only : bool
        Used for evaluation only, never for training.
    note : str
        What could not be confirmed, and other remarks.
    folder, labels, digest : str
        Of a corpus of the user (:mod:`hf_model.corpora.own`): its folder, the kind of its labels, and the hash of its
        files.

    Raises
    ------
    hf_model.config.ConfigError
        For an unknown role.
    """

    name: str
    title: str
    citation: str
    homepage: str
    licence: str
    role: str
    use: str
    size: int = 0
    keep: tuple[str, ...] = ("*",)
    reader: str = ""
    archives: tuple[Archive, ...] = ()
    base_url: str = ""
    listed: bool = False
    exceptions: tuple[tuple[str, str], ...] = ()
    measure_only: bool = False
    note: str = ""
    folder: str = ""
    labels: str = ""
    digest: str = ""

    def __post_init__(self) -> None:
        """Check the role."""
        check_choice("role", self.role, ROLES)

    @property
    def permissive(self) -> bool:
        """Whether the licence asks for attribution at most."""
        return self.licence in PERMISSIVE

    def licence_of(self, path: str) -> str:
        """Licence of one file (its path within the corpus)."""
        return next((licence for pattern, licence in self.exceptions if fnmatchcase(path, pattern)), self.licence)

    def needs(self, path: str) -> bool:
        """Whether the reader needs a file (its path within the corpus)."""
        return any(fnmatchcase(path, pattern) for pattern in self.keep)

    def hashes(self) -> dict[str, str]:
        """Known sha256 of single files, by path within the corpus; empty if none are known."""
        return _hashes(self.name)

    def sizes(self) -> dict[str, int]:
        """Known sizes of single files in bytes, by path within the corpus; empty if none are known."""
        return _sizes(self.name)


@cache
def _hashes(name: str) -> dict[str, str]:
    try:
        lines = [line.split("  ", 1) for line in _read_list(f"{name}.sha256").splitlines()]
        found = {path: digest for digest, path in lines}
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise ConfigError(f"{HASHES / name}.sha256 is damaged ({error}); install the package again") from error
    if not all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in found.values()):
        raise ConfigError(f"{HASHES / name}.sha256 is damaged; install the package again")
    return found


@cache
def _sizes(name: str) -> dict[str, int]:
    try:
        lines = [line.split("  ", 1) for line in _read_list(f"{name}.sizes").splitlines()]
        return {path: int(size) for size, path in lines}
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise ConfigError(f"{HASHES / name}.sizes is damaged ({error}); install the package again") from error


def _read_list(name: str) -> str:
    """Read a list of ``hashes/``, which may be compressed; empty if there is none."""
    plain, packed = HASHES / name, HASHES / f"{name}.gz"
    if plain.is_file():
        return plain.read_text(encoding="utf-8")
    return gzip.decompress(packed.read_bytes()).decode("utf-8") if packed.is_file() else ""
