"""Download corpora from their public addresses or a mirror: verified, resumable, complete or not at all.

Why not mirdata: it has few of these corpora (vocadito, Groove, an older MAESTRO), its loaders require librosa and more,
and its hashes are MD5. pooch resumes nothing.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from hf_model.config import mask_passwords
from hf_model.corpora.archives import ArchiveError, unpack
from hf_model.corpora.catalogue import DownloadSettings, get
from hf_model.corpora.corpus import Archive, Corpus
from hf_model.corpora.own import digest_files, own_files
from hf_model.corpora.records import CorpusError
from hf_model.corpora.transfer import RESERVE, UNKNOWN_FACTOR, UNKNOWN_LEAST, TransferError, fetch
from hf_model.files import file_sha256, replacing

if TYPE_CHECKING:
    from rich.progress import Progress

MIRROR_VARIABLE = "HUMMINGFACE_MIRROR"
"""Environment variable: a folder or an http(s) address with ``<corpus>/...``; replaces all public addresses."""


class FetchError(RuntimeError):
    """A failed download; the message names the corpus and the remedy."""


@dataclass
class Fetched:
    """The result of one corpus.

    Attributes
    ----------
    files, bytes : int
        Number of files in its folder, and their size.
    unverified : int
        Files without a known hash, neither their own nor their archive's.
    left_out : list of str
        Files whose licence is not accepted.
    archives : dict of str to str
        The SHA-256 of each archive without a known hash, to compare with another download.
    """

    files: int = 0
    bytes: int = 0
    unverified: int = 0
    left_out: list[str] = field(default_factory=list)
    archives: dict[str, str] = field(default_factory=dict)


def download(settings: DownloadSettings, folder: Path, cache: Path, mirror: str | None = None) -> dict[str, Fetched]:
    """Download every corpus of the settings to ``folder/<corpus>/``, in its published layout.

    Parameters
    ----------
    settings : DownloadSettings
        The corpora and the accepted licences.
    folder : Path
        Target; after a failure the caller removes what is in it.
    cache : Path
        Stores complete and partial downloads for the next time.
    mirror : str, optional
        A folder or an address; by default ``HUMMINGFACE_MIRROR`` from the environment.

    Returns
    -------
    dict of str to Fetched
        By corpus.

    Raises
    ------
    FetchError
        For a corpus that cannot be downloaded.
    """
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    mirror = os.environ.get(MIRROR_VARIABLE) if mirror is None else mirror
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns) as progress:
        return {
            name: Fetch(get(name), settings, folder / name, cache / name, mirror or "", progress).run()
            for name in settings.corpora
        }


@dataclass
class Fetch:
    """The download of one corpus."""

    corpus: Corpus
    settings: DownloadSettings
    folder: Path
    cache: Path
    mirror: str
    progress: Progress

    def run(self) -> Fetched:
        """Download it, from a folder, a mirror or its publisher."""
        result = Fetched()
        if self.corpus.folder:
            self._from_user(result)
            return result
        if not self.corpus.reader:
            return result
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.mirror and urlsplit(self.mirror).scheme not in ("http", "https"):
            self._from_folder(Path(self.mirror).expanduser() / self.corpus.name, result)
        elif self.corpus.size > 1e9 * self.settings.max_gigabytes:
            size = self.corpus.size / 1e9
            raise FetchError(
                f"{self.corpus.name} is a download of {size:.0f} GB; if you want it, set download.max_gigabytes to "
                f"{size + 1:.0f}"
            )
        elif self.mirror:
            self._from_address(f"{self.mirror.rstrip('/')}/{self.corpus.name}/", result)
        else:
            self._from_public(result)
        self._check_complete(result)
        return result

    def _from_user(self, result: Fetched) -> None:
        """Copy a corpus of the user from its folder."""
        source = Path(self.corpus.folder).expanduser()
        again = f"run: python -m stages.corpus add {source} --name {self.corpus.name} --labels {self.corpus.labels}"
        try:
            files = own_files(source, self.corpus.labels)
        except CorpusError as error:
            raise FetchError(f"{self.corpus.name}: {error}") from error
        if digest_files(source, files) != self.corpus.digest:
            raise FetchError(f"{self.corpus.name}: files in {source} have changed; {again}")
        self.folder.mkdir(parents=True, exist_ok=True)
        self._check_space(sum(path.stat().st_size for path in files))
        for path in files:
            self._copy(path, path.relative_to(source).as_posix())
        self._check_complete(result)

    def _wanted(self, path: str, result: Fetched) -> bool:
        if not self.corpus.needs(path):
            return False
        if self.corpus.listed and path not in self.corpus.hashes():
            return False
        if not self.settings.accepts(self.corpus.licence_of(path)):
            result.left_out.append(path)
            return False
        return True

    def _from_folder(self, source: Path, result: Fetched) -> None:
        if not source.is_dir():
            raise FetchError(
                f"{self.corpus.name}: {mask_passwords(self.mirror)} is no address that begins with http and no folder "
                f"that contains {self.corpus.name}; {MIRROR_VARIABLE} must contain one for each corpus"
            )
        archives = [archive for archive in self.corpus.archives if (source / archive.name).is_file()]
        for archive in archives:
            self._check_hash(source / archive.name, archive.hash)
            self._unpack(source / archive.name, archive, result)
        if archives:
            return
        paths = sorted(path for path in source.rglob("*") if path.is_file())
        named = {path.relative_to(source).as_posix(): path for path in paths}
        wanted = {name: path for name, path in named.items() if self._wanted(name, result)}
        self._check_space(sum(path.stat().st_size for path in wanted.values()))
        task = self.progress.add_task(self.corpus.name, total=sum(path.stat().st_size for path in wanted.values()))
        for name, path in wanted.items():
            self._copy(path, name)
            result.unverified += name not in self.corpus.hashes()
            self.progress.advance(task, path.stat().st_size)

    def _from_address(self, base: str, result: Fetched) -> None:
        if self.corpus.archives:
            for archive in self.corpus.archives:
                self._fetch_archive(base + quote(archive.name), archive, result)
        else:
            self._fetch_files(base, result)

    def _from_public(self, result: Fetched) -> None:
        if self.corpus.base_url:
            self._fetch_files(self.corpus.base_url, result)
            return
        for archive in self.corpus.archives:
            if not archive.url:
                raise FetchError(
                    f"{self.corpus.name}: {archive.name} cannot be downloaded by a program; download it by hand "
                    f"({self.corpus.homepage}) into a folder {self.corpus.name}/ and set {MIRROR_VARIABLE} to the "
                    f"folder above it"
                )
            self._fetch_archive(archive.url, archive, result)

    def _fetch_files(self, base: str, result: Fetched) -> None:
        self._check_space(2 * self.corpus.size)
        for name, digest in sorted(self.corpus.hashes().items()):
            if self._wanted(name, result):
                size = self.corpus.sizes().get(name, 0)
                self._copy(self._retrieve(base + quote(name), name, f"sha256:{digest}", size), name)

    def _fetch_archive(self, url: str, archive: Archive, result: Fetched) -> None:
        self._check_space(3 * (archive.size or self.corpus.size))
        self._unpack(self._retrieve(url, archive.name, archive.hash, archive.size), archive, result)

    def _retrieve(self, url: str, name: str, known_hash: str | None, size: int) -> Path:
        target, limit = self.cache / name, max(UNKNOWN_FACTOR * self.corpus.size, UNKNOWN_LEAST)
        try:
            fetch(url, target, known_hash, size, limit, self.progress)
        except TransferError as error:
            raise FetchError(
                f"{self.corpus.name}: {error}; partial downloads are kept, run the stage again to "
                f"continue (without internet, set {MIRROR_VARIABLE} to a folder or address with copies)"
            ) from error
        return target

    def _unpack(self, path: Path, archive: Archive, result: Fetched) -> None:
        self.progress.console.print(f"{self.corpus.name}: unpacking {archive.name}")
        if path.suffix == ".csv":  # a table is published as it is
            self._copy(path, archive.name)
            result.unverified += archive.hash is None
            return
        try:
            names = unpack(path, self.folder, strip=archive.strip, wanted=lambda name: self._wanted(name, result))
        except ArchiveError as error:
            raise FetchError(f"{self.corpus.name}: {error}") from error
        hashes = self.corpus.hashes()
        for name in names:
            self._check_hash(self.folder / name, f"sha256:{hashes[name]}" if name in hashes else None)
        if archive.hash is None:
            result.unverified += sum(name not in hashes for name in names)
            result.archives[archive.name] = file_sha256(path)

    def _copy(self, source: Path, name: str) -> None:
        target = self.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        digest = self.corpus.hashes().get(name)
        with replacing(target, flush=False) as partial:  # the whole folder is flushed at the end
            shutil.copyfile(source, partial)
            self._check_hash(partial, f"sha256:{digest}" if digest else None, source)

    def _check_hash(self, path: Path, known_hash: str | None, source: Path | None = None) -> None:
        if known_hash is None:
            return
        kind, expected = known_hash.split(":")
        with path.open("rb") as file:
            found = hashlib.file_digest(file, kind).hexdigest()
        if found != expected:
            raise FetchError(
                f"{self.corpus.name}: {source or path} has {kind} {found[:16]}..., expected {expected[:16]}...: "
                f"broken, or another version; download it again"
            )

    def _check_space(self, needed: int) -> None:
        free = shutil.disk_usage(self.folder).free
        if needed + RESERVE > free:
            raise FetchError(
                f"{self.corpus.name}: needs about {needed / 1e9:.1f} GB of disk with its archives, "
                f"{free / 1e9:.1f} GB are free in {self.folder.absolute().parent}"
            )

    def _check_complete(self, result: Fetched) -> None:
        found = {path.relative_to(self.folder).as_posix(): path for path in self.folder.rglob("*") if path.is_file()}
        if self.corpus.listed:
            expected = [name for name in self.corpus.hashes() if self._wanted(name, Fetched())]
            missing = sorted(set(expected) - set(found))
            if missing:
                raise FetchError(f"{self.corpus.name}: {missing[0]} is missing (and {len(missing) - 1} more)")
        if not found:
            raise FetchError(f"{self.corpus.name}: no file that its reader needs was found")
        result.files = len(found)
        result.bytes = sum(path.stat().st_size for path in found.values())
        result.left_out.sort()
