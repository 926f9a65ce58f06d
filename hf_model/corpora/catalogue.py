"""Look corpora up, choose them, read them. ``python -m hf_model.corpora.catalogue`` prints them as a table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from hf_model.config import ConfigError, check_choice
from hf_model.corpora.corpus import PERMISSIVE, Corpus
from hf_model.corpora.registry import CORPORA

if TYPE_CHECKING:
    from rich.table import Table

    from hf_model.corpora.records import Record


def get(name: str) -> Corpus:
    """Look a corpus up.

    Raises
    ------
    ConfigError
        Naming the known ones.
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
        The folder that holds all corpora (``data/raw``): the labels of one may belong to the audio of another.

    Yields
    ------
    Record
        In a fixed order.

    Raises
    ------
    ConfigError
        For an unknown corpus, or one that is made rather than read.
    hf_model.corpora.records.CorpusError
        For a missing or broken file, naming it.
    """
    corpus = get(name)
    if not corpus.reader:
        raise ConfigError(f"corpus {name!r} is made, not read: see hf_model.singer.synthesis")
    module, function = corpus.reader.split(":")
    yield from getattr(import_module(module), function)(Path(raw))


@dataclass(frozen=True)
class DownloadSettings:
    """Settings of the download stage.

    Attributes
    ----------
    corpora : tuple of str
        Names in the registry.
    accept_license : tuple of str
        Licences that are not permissive and that you accept, as the registry writes them ("CC BY-NC-SA 4.0",
        "unstated").
    """

    corpora: tuple[str, ...] = ("made",)
    accept_license: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check the names and the licences."""
        for index, name in enumerate(self.corpora):
            check_choice(f"corpora[{index}]", name, CORPORA)
        licences = {c.licence for c in CORPORA.values()} | {x for c in CORPORA.values() for _, x in c.exceptions}
        for index, licence in enumerate(self.accept_license):
            check_choice(f"accept_license[{index}]", licence, sorted(licences - set(PERMISSIVE)))
        for name in self.corpora:
            if not self.accepts(CORPORA[name].licence):
                raise ConfigError(
                    f"corpora: {name} stands under {CORPORA[name].licence!r}, which is not permissive; if you accept "
                    f"it, add {CORPORA[name].licence!r} to download.accept_license in params.yaml"
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
