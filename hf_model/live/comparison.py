"""Provisional notes beside the final ones: which were right, which were withdrawn, and how late they came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hf_model.notes.note import Note

ONSET_TOLERANCE = 0.1
"""Seconds between the onsets of a provisional note and of its final one."""

PITCH_TOLERANCE = 0.5
"""Semitones between their pitches, above which the final note corrects the provisional one."""


@dataclass
class Comparison:
    """Which final note each provisional one became.

    Attributes
    ----------
    confirmed, corrected : list of (int, int)
        The numbers of a provisional and of its final note; the second list has those whose pitch differs.
    withdrawn : list of int
        Provisional notes that are no final note.
    unannounced : list of int
        Final notes without a provisional one.
    """

    confirmed: list[tuple[int, int]] = field(default_factory=list)
    corrected: list[tuple[int, int]] = field(default_factory=list)
    withdrawn: list[int] = field(default_factory=list)
    unannounced: list[int] = field(default_factory=list)

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """The provisional and final notes that belong together."""
        return sorted(self.confirmed + self.corrected)


def compare(provisional: Mapping[int, Note], final: Sequence[Note]) -> Comparison:
    """Find the final note of each provisional one: the nearest onset within ``ONSET_TOLERANCE``, each note once."""
    found = Comparison()
    near = sorted(
        (abs(note.onset - other.onset), number, place)
        for number, note in provisional.items()
        for place, other in enumerate(final)
        if abs(note.onset - other.onset) <= ONSET_TOLERANCE
    )
    taken: dict[int, int] = {}
    for _, number, place in near:
        if number not in taken and place not in taken.values():
            taken[number] = place
            is_same = abs(provisional[number].pitch - final[place].pitch) <= PITCH_TOLERANCE
            (found.confirmed if is_same else found.corrected).append((number, place))
    found.withdrawn = [number for number in provisional if number not in taken]
    found.unannounced = [place for place in range(len(final)) if place not in taken.values()]
    return found
