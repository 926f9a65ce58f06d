"""What a reader yields: one frozen record a recording, a score or a sound (times in s, pitches in MIDI numbers)."""

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
        The corpus and the recording's name in it, unique within the corpus.
    singer : str
        Recordings that may share a singer carry the same name; splits never divide it.
    licence : str
        Of this recording.
    audio_path : Path
        The recording.
    notes : list of Note, optional
        What was sung, as published: nothing is corrected here.
    score : list of Note, optional
        What was meant. See the reader for what its times are worth.
    measure_only : bool
        Never train on it.
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
    """Something that holds from ``onset`` to ``offset`` (seconds): a chord, a key."""

    onset: float
    offset: float
    name: str


@dataclass(frozen=True, eq=False)
class ScoreRecord:
    """A melody without a recording, for the singer to sing.

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
        Other numbers published with it (VGMIDI: valence and arousal).
    singer : None
        Nobody sang it yet.
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
    """A piano recording with the notes that the keys played.

    Attributes
    ----------
    corpus, pair_id, licence : str
        As in :class:`VoiceRecord`.
    audio_path : Path, optional
        None where only the MIDI part of the corpus was downloaded.
    midi_path : Path
        Notes; read them with :func:`hf_model.notes.midi.read_midi`.
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
    """A sound of other instruments: one note, a drum take, a clip with labels.

    Attributes
    ----------
    corpus, pair_id, licence : str
        As in :class:`VoiceRecord`.
    audio_path, midi_path : Path, optional
        At least one of them is there.
    instruments : tuple of str
        What plays ("keyboard_acoustic", "drums").
    notes : list of Note
        Empty where the corpus has no notes in tables; a MIDI file is left to whoever needs it.
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


Record = VoiceRecord | ScoreRecord | PianoRecord | InstrumentRecord


class CorpusError(ValueError):
    """A file of a corpus that is missing or cannot be read; the message names it."""


def find_files(folder: Path, pattern: str) -> list[Path]:
    """List the files that match a pattern, sorted by name.

    Raises
    ------
    CorpusError
        If there is none: then the corpus is not there, or not in the layout of its publisher.
    """
    found = sorted(folder.glob(pattern))
    if not found:
        raise CorpusError(f"{folder}: no {pattern} there; run the download stage, or check the mirror")
    return found
