"""The registry: what each corpus is, what it may be used for, where it lives and how it is read.

``python -m hf_model.corpora`` prints it as a table. Where an address or a hash could not be checked when this was
written, the entry says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from hf_model.config import ConfigError, check_choice
from hf_model.corpus import PERMISSIVE, UNSTATED, Archive, Corpus
from hf_model.records import Record


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
    hf_model.records.CorpusError
        For a missing or broken file, naming it.
    """
    corpus = get(name)
    if not corpus.reader:
        raise ConfigError(f"corpus {name!r} is made, not read: see hf_model.singer")
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


CORPORA: dict[str, Corpus] = {}


def _register(*corpora: Corpus) -> None:
    CORPORA.update({corpus.name: corpus for corpus in corpora})


_register(
    Corpus(
        name="made",
        title="Phrases composed and sung by the program",
        citation="HummingFace, hf_model.singer",
        homepage="",
        licence="CC0 1.0",
        role="voice with notes",
        use="The default: nothing to download, every label exact.",
    ),
    Corpus(
        name="ssvd",
        title="Sight-singing Vocal Dataset v2.0, folder train&valid: men, women and children",
        citation="Wang et al., MusicYOLO: A sight-singing onset/offset detection framework, ICASSP 2022",
        homepage="https://github.com/xk-wang/SSVD-v2.0",
        licence="MIT",
        role="voice with notes",
        use="Real voices with note labels, for training and test.",
        size=97_000_000,
        reader="hf_model.readers_voice:read_ssvd",
        base_url="https://raw.githubusercontent.com/xk-wang/SSVD-v2.0/93d36acd28cc46a53cd698260c0df459ec399056/",
        exceptions=tuple((f"train&valid/{name}.*", UNSTATED) for name in ("1252", "3221", "4193", "4380")),
        note="States no licence itself; 62 of the 66 recordings are also in HUST_Solfege, which is MIT (of those, the "
        "man1_* and man2_* came there from MARG, Seoul). The other four are left out unless 'unstated' is accepted. "
        "Recording 1150 is in the public test set too and is left out.",
    ),
    Corpus(
        name="hust_solfege",
        title="HUST_Solfege: onsets, pitches and the score that was meant, of 101 recordings",
        citation="HUST_Solfege, github.com/itec-hust",
        homepage="https://github.com/itec-hust/HUST_Solfege",
        licence="MIT",
        role="voice with notes",
        use="The score pitch meant by each note of an ssvd recording; download both.",
        size=60_000,
        reader="hf_model.readers_voice:read_hust_solfege",
        base_url="https://raw.githubusercontent.com/itec-hust/HUST_Solfege/master/",
        note="The audio of 62 recordings is in ssvd. The branch of the public copy could not be confirmed; every file "
        "is checked by its hash.",
    ),
    Corpus(
        name="pop909",
        title="POP909: 909 pop songs as MIDI with melody, bridge and piano, beats, chords and keys",
        citation="Wang et al., POP909: A pop-song dataset for music arrangement generation, ISMIR 2020",
        homepage="https://github.com/music-x-lab/POP909-Dataset",
        licence="MIT",
        role="scores",
        use="Melodies for the singer.",
        size=50_000_000,
        keep=("POP909/*.mid", "*/beat_midi.txt", "*/chord_midi.txt", "*/key_audio.txt"),
        reader="hf_model.readers_scores:read_pop909",
        archives=(
            Archive(
                "POP909-Dataset-d83e6ed.zip",
                "https://codeload.github.com/music-x-lab/POP909-Dataset/zip/d83e6edba6872a704f5d3b8b32f5cb540088dae6",
                strip=1,
            ),
        ),
        note="GitHub packs the archive anew, so it has no fixed hash; every file in it is checked by its own.",
    ),
    Corpus(
        name="vocadito",
        title="vocadito: 40 short solo songs in 7 languages, with two note annotations",
        citation="Bittner et al., vocadito: A dataset of solo vocals with f0, note, and lyric annotations, 2021",
        homepage="https://zenodo.org/record/5578807",
        licence="CC BY 4.0",
        role="voice with notes",
        use="Measured on only: singers, phones and rooms from elsewhere.",
        size=60_000_000,
        keep=("Audio/*.wav", "Annotations/Notes/*.csv", "vocadito_metadata.csv"),
        reader="hf_model.readers_voice:read_vocadito",
        archives=(
            Archive(
                "vocadito.zip",
                "https://zenodo.org/record/5578807/files/vocadito.zip",
                "md5:dea40fd18f14d899643c4ba221b33a46",
            ),
        ),
        measure_only=True,
        note="sha256 known for two clips only; the size is an estimate.",
    ),
    Corpus(
        name="csd",
        title="Children's Song Dataset: 100 songs, each in two keys, by one professional singer",
        citation="Choi et al., Children's Song Dataset for singing voice research, ISMIR late-breaking demo 2020",
        homepage="https://zenodo.org/record/4785016",
        licence="CC BY-NC-SA 4.0",
        role="voice with notes",
        use="Measured on only: a singer from another world than ssvd.",
        size=1_900_000_000,
        keep=("*/wav/*.wav", "*/mp3/*.mp3", "*/csv/*.csv", "*/mid/*.mid"),
        reader="hf_model.readers_voice:read_csd",
        archives=(Archive("CSD.zip", "https://zenodo.org/record/4785016/files/CSD.zip", strip=1),),
        measure_only=True,
        note="Hash of the archive not confirmed; sha256 known for one take (an mp3 of it); the size is an estimate.",
    ),
)
