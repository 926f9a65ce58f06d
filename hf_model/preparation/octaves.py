"""Notes of a song that are an octave off: those that leap away from all around them and whose partials agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.spectrogram import span_spectra
from hf_model.notes.note import Note
from hf_model.notes.pitch import pitch_to_hz

OCTAVE = 12.0

LEAP, GAIN = 7.0, 3.0
"""Semitones: a note is looked at if it is so far from its neighbours, and so much nearer an octave away."""

NEIGHBOUR_SECONDS, REGION_SECONDS = 2.0, 4.0
"""Longest rest before a neighbour; half the time whose median pitch the octave has to be nearer to."""

LEAST_ODD_DB, MOST_ODD_DB = -20.0, -10.0
"""Level of the odd over the even partials of the lower octave: above the first the note may lie there, below the second
it may lie an octave higher."""

N_PARTIALS, N_FFT, HOP, REACH = 8, 2048, 256, 2
"""Partials that are compared, samples at 16 kHz of the frames, bins on either side of a partial."""


def correct_octaves(notes: Sequence[Note], voice: NDArray[np.float32], sample_rate: int) -> list[Note]:
    """Move notes by an octave that were transcribed in the wrong one.

    Parameters
    ----------
    notes : sequence of Note
        Of one voice, sorted by onset.
    voice : ndarray, shape (sample,)
        The separated voice.
    sample_rate : int
        Hz.

    Returns
    -------
    list of Note
        A note is moved only if it leaps by ``LEAP`` semitones from both neighbours, comes nearer to them and to the
        median of the notes around it, and the voice has the partials of the other octave.
    """
    corrected = list(notes)
    for index, note in enumerate(notes):
        shift = _shift_towards(notes, index)
        if not shift:
            continue
        odd = odd_level(voice, sample_rate, replace(note, pitch=note.pitch + min(shift, 0.0)))
        if odd > LEAST_ODD_DB if shift < 0 else odd < MOST_ODD_DB:
            corrected[index] = replace(note, pitch=note.pitch + shift)
    return corrected


def odd_level(voice: NDArray[np.float32], sample_rate: int, note: Note) -> float:
    """Measure the level of odd partials over that of even ones, dB: very low if the note lies an octave higher."""
    power = np.square(np.abs(span_spectra(voice, note.onset, note.offset, sample_rate, N_FFT, HOP))).sum(axis=0)
    centres = np.round(np.arange(1, N_PARTIALS + 1) * float(pitch_to_hz(note.pitch)) * N_FFT / sample_rate).astype(int)
    bins = centres[:, None] + np.arange(-REACH, REACH + 1)
    energy = np.where((bins >= 0) & (bins < len(power)), power[np.clip(bins, 0, len(power) - 1)], 0.0).sum(axis=1)
    odd, even = (float(energy[start::2].sum()) + 1e-12 for start in (0, 1))
    return 10.0 * float(np.log10(odd / even))


def _shift_towards(notes: Sequence[Note], index: int) -> float:
    """Octave (semitones) by which a leaping note would come near to the notes around it; 0 for others."""
    note = notes[index]
    before = [n for n in notes[max(0, index - 1) : index] if note.onset - n.offset < NEIGHBOUR_SECONDS]
    after = [n for n in notes[index + 1 : index + 2] if n.onset - note.offset < NEIGHBOUR_SECONDS]
    near = [n.pitch for n in (*before, *after)]
    now = min((abs(note.pitch - pitch) for pitch in near), default=0.0)
    if now < LEAP:
        return 0.0
    around = [n.pitch for n in notes if n is not note and abs(n.onset - note.onset) < REGION_SECONDS]
    middle = float(np.median([*around, *near]))
    shift = OCTAVE if middle > note.pitch else -OCTAVE
    then = min(abs(note.pitch + shift - pitch) for pitch in near)
    return shift if then < now - GAIN and abs(note.pitch + shift - middle) < abs(note.pitch - middle) else 0.0
