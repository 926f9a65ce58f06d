"""A part of a score: what one instrument of a band plays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hf_model.notes.midi_parts import DRUM_CHANNEL
from hf_model.notes.note import Note


@dataclass(frozen=True)
class Part:
    """What one instrument plays.

    Attributes
    ----------
    name : str
        Of the instrument, as in a score.
    program : int
        Of General MIDI, from 0; drums have none.
    notes : tuple of Note
        Integer pitches, sorted by onset.
    is_drum : bool
        Whether the pitches are the drums of General MIDI.
    """

    name: str
    program: int
    notes: tuple[Note, ...]
    is_drum: bool = False


def channels(parts: Sequence[Part], first: int = 1) -> list[int]:
    """Give each part a channel: ``DRUM_CHANNEL`` to drums, to the others the next ones from ``first`` on.

    Raises
    ------
    ValueError
        For more parts than there are channels.
    """
    free = iter([channel for channel in range(first, 16) if channel != DRUM_CHANNEL])
    try:
        return [DRUM_CHANNEL if part.is_drum else next(free) for part in parts]
    except StopIteration:
        msg = f"{len(parts)} parts from channel {first} on, a MIDI file has 16 channels"
        raise ValueError(msg) from None
