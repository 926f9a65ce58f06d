"""Records of a corpus, as readers yield them (times in seconds, pitches in MIDI numbers)."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hf_model.notes.note import Note


@dataclass(frozen=True)
class VoiceRecord:
    """A recording of one voice.

    Attributes
    ----------
    corpus, pair_id : str
        The corpus, and the name of the recording, unique in the corpus.
    singer : str
        Recordings that may share a singer have the same name; they are never in different splits.
    licence : str
        Licence of this recording.
    audio_path : Path
        The recording.
    notes : list of Note, optional
        Note labels as published, without correction.
    score : list of Note, optional
        The intended notes; the docstring of the reader describes their times.
    measure_only : bool
        Used for evaluation only, never for training.
    """

    corpus: str
    pair_id: str
    singer: str
    licence: str
    audio_path: Path
    notes: list[Note] | None = None
    score: list[Note] | None = None
    measure_only: bool = False


@dataclass(frozen=True)
class Span:
    """A chord or key from ``onset`` to ``offset`` (seconds)."""

    onset: float
    offset: float
    name: str


@dataclass(frozen=True, eq=False)
class ScoreRecord:
    """A melody without a recording, for the synthetic singer.

    Attributes
    ----------
    corpus, pair_id, licence : str
        As in :class:`VoiceRecord`.
    notes : list of Note
        Integer pitches, sorted by onset.
    beats : ndarray, shape (beat,), optional
        Seconds.
    chords : list of Span
        Chord names as published ("B:maj", "N" for none).
    key : str, optional
        The first key as published ("Gb:maj").
    labels : dict
        Other published values (VGMIDI: valence and arousal).
    singer : None
        There is no recording.
    """

    corpus: str
    pair_id: str
    licence: str
    notes: list[Note]
    beats: NDArray[np.float64] | None = None
    chords: list[Span] = field(default_factory=list)
    key: str | None = None
    labels: dict[str, float] = field(default_factory=dict)
    singer: str | None = None


@dataclass(frozen=True)
class PianoRecord:
    """A piano recording with its MIDI file.

    Attributes
    ----------
    corpus, pair_id, licence : str
        As in :class:`VoiceRecord`.
    audio_path : Path, optional
        None if only the MIDI part of the corpus was downloaded.
    midi_path : Path
        The notes; read them with :func:`hf_model.notes.midi.read_midi`.
    split : str
        As published: "train", "validation" or "test".
    duration : float
        Seconds.
    """

    corpus: str
    pair_id: str
    licence: str
    audio_path: Path | None
    midi_path: Path
    split: str
    duration: float


@dataclass(frozen=True)
class InstrumentRecord:
    """A recording of other instruments: one note, a drum take, a labelled clip.

    Attributes
    ----------
    corpus, pair_id, licence : str
        As in :class:`VoiceRecord`.
    audio_path, midi_path : Path, optional
        At least one of them is given.
    instruments : tuple of str
        Names of the instruments ("keyboard_acoustic", "drums").
    notes : list of Note
        Empty if the corpus has no tables of notes; MIDI files are not read.
    split : str
        As published; empty if there is none.
    """

    corpus: str
    pair_id: str
    licence: str
    audio_path: Path | None
    midi_path: Path | None
    instruments: tuple[str, ...]
    notes: list[Note] = field(default_factory=list)
    split: str = ""


@dataclass(frozen=True)
class SongRecord:
    """A song with its genre or popularity: a recording, a row of a table, or both.

    Attributes
    ----------
    corpus, pair_id, licence : str
        As in :class:`VoiceRecord`.
    artist : str
        Songs of one artist are never in different splits; empty if unknown.
    genre : str
        As published, in lower case; empty if unknown.
    popularity : float, optional
        0-100.
    values : dict of str to float
        Other published columns; those of :data:`hf_model.analysis.popularity.AUDIO_COLUMNS` under these names.
    audio_path : Path, optional
        The recording.
    """

    corpus: str
    pair_id: str
    licence: str
    artist: str = ""
    genre: str = ""
    popularity: float | None = None
    values: dict[str, float] = field(default_factory=dict)
    audio_path: Path | None = None


Record = VoiceRecord | ScoreRecord | PianoRecord | InstrumentRecord | SongRecord


class CorpusError(ValueError):
    """A missing or unreadable file of a corpus; the message names it."""


def find_files(folder: Path, pattern: str) -> list[Path]:
    """List the files that match a pattern, sorted by name.

    Raises
    ------
    CorpusError
        If there are none: the corpus is missing, or not in its published layout.
    """
    found = sorted(folder.glob(pattern))
    if not found:
        raise CorpusError(f"{folder}: no {pattern} there; run the download stage, or check the mirror")
    return found
