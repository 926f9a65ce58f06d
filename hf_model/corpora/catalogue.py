"""All corpora by name, from ``registry.toml``. ``python -m hf_model.corpora.catalogue`` prints them as a table."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from hf_model.config import ConfigError, check_choice, check_range, from_mapping
from hf_model.corpora.corpus import PERMISSIVE, Corpus

if TYPE_CHECKING:
    from rich.table import Table

    from hf_model.corpora.records import Record

REGISTRY = Path(__file__).with_name("registry.toml")
READERS = "hf_model.corpora.readers"
REINSTALL = "install the package again"


def load_registry(path: Path = REGISTRY) -> dict[str, Corpus]:
    """Load all corpora, in the order of the file.

    Raises
    ------
    ConfigError
        For an unknown key, a wrong type or an unknown role, with the name of the corpus; for a damaged file.
    """
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"{path} is not valid TOML ({' '.join(str(error).split())}); {REINSTALL}") from error
    if not all(isinstance(entry, dict) for entry in entries.values()):
        raise ConfigError(f"{path}: every entry must be a table; {REINSTALL}")
    return {
        name: from_mapping(Corpus, {"name": name, **entry}, f"{path.name}: {name}") for name, entry in entries.items()
    }


CORPORA = load_registry()
"""Every corpus by name."""


def get(name: str) -> Corpus:
    """Look a corpus up.

    Raises
    ------
    ConfigError
        For an unknown name; the message lists the known ones.
    """
    check_choice("corpus", name, CORPORA)
    return CORPORA[name]


def read(name: str, raw: Path | str) -> Iterator[Record]:
    """Read a downloaded corpus.

    Parameters
    ----------
    name : str
        Its name in the registry.
    raw : path
        The folder of all corpora (``data/raw``): the labels of one may belong to the audio of another.

    Yields
    ------
    Record
        In a fixed order.

    Raises
    ------
    ConfigError
        For an unknown corpus, or the synthetic one, which has no files.
    hf_model.corpora.records.CorpusError, hf_model.notes.midi.MidiFileError
        For a missing or broken file; the message names it.
    """
    corpus = get(name)
    if corpus.folder:
        from hf_model.corpora.readers.own import read_own

        yield from read_own(corpus, Path(raw) / name)
        return
    if not corpus.reader:
        raise ConfigError(f"corpus {name!r} is made, not read: see hf_model.singer.synthesis")
    yield from find_reader(corpus)(Path(raw))


def find_reader(corpus: Corpus) -> Callable[[Path], Iterator[Record]]:
    """Import the reader of a corpus: "voice:read_ssvd" is ``hf_model.corpora.readers.voice.read_ssvd``."""
    module, function = corpus.reader.split(":")
    reader: Callable[[Path], Iterator[Record]] = getattr(import_module(f"{READERS}.{module}"), function)
    return reader


@dataclass(frozen=True)
class DownloadSettings:
    """Settings of the download stage.

    Attributes
    ----------
    corpora : tuple of str
        Names in the registry.
    accept_license : tuple of str
        Accepted licences that are not permissive, as written in the registry ("CC BY-NC-SA 4.0", "unstated").
    max_gigabytes : float
        Larger corpora are downloaded only if this is raised; copies in a folder are read whatever their size.
    """

    corpora: tuple[str, ...] = ("made",)
    accept_license: tuple[str, ...] = ()
    max_gigabytes: float = 10.0

    def __post_init__(self) -> None:
        """Check the names, the licences and the size."""
        check_range("max_gigabytes", self.max_gigabytes, 0.0, 1e6)
        for index, name in enumerate(self.corpora):
            check_choice(f"corpora[{index}]", name, CORPORA)
        licences = {c.licence for c in CORPORA.values()} | {x for c in CORPORA.values() for _, x in c.exceptions}
        for index, licence in enumerate(self.accept_license):
            check_choice(f"accept_license[{index}]", licence, sorted(licences - set(PERMISSIVE)))
        for name in self.corpora:
            if not CORPORA[name].folder and not self.accepts(CORPORA[name].licence):
                raise ConfigError(
                    f"corpora: the licence of {name}, {CORPORA[name].licence!r}, is not permissive; if you accept it, "
                    f"add {CORPORA[name].licence!r} to download.accept_license in params.yaml"
                )

    def accepts(self, licence: str) -> bool:
        """Whether files under this licence may be downloaded."""
        return licence in PERMISSIVE or licence in self.accept_license


def table() -> Table:
    """Build the table of all corpora, for the terminal."""
    from rich.table import Table

    table = Table("name", "what", "licence", "role", "MB", "where")
    for corpus in CORPORA.values():
        licence = corpus.licence + (", measured on only" if corpus.measure_only else "")
        size = f"{corpus.size / 1e6:,.0f}" if corpus.size else "-"
        table.add_row(
            corpus.name, f"{corpus.title}. {corpus.use}", licence, corpus.role, size, corpus.homepage or "here"
        )
    return table


if __name__ == "__main__":
    from rich.console import Console

    Console().print(table())
