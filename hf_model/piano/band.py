"""The sound of a band: FluidSynth with a General MIDI sound font, or else the piano."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hf_model.audio.grid import PIANO_SAMPLE_RATE
from hf_model.notes import midi_bytes
from hf_model.notes.note import Note, fold_to_keyboard
from hf_model.notes.part import Part, channels
from hf_model.piano.fluidsynth import PROGRAM, SOUND_FONT, find_sound_font, play_file

SOUND_FONTS = (
    SOUND_FONT,
    "MuseScore_General.sf3",
    "FluidR3_GM.sf2",
    "default-GM.sf3",
    "default-GM.sf2",
    "TimGM6mb.sf2",
)
"""Sound fonts with all instruments, the best first."""

TICKS_PER_SECOND = 2000

LEVEL = 0.7
"""Gain of the band, so that the piano leads: both play at the same gain of FluidSynth."""

MISSING = (
    "the piano plays the band, without its drums: FluidSynth and a General MIDI sound font are not installed "
    "(apt-get install fluidsynth fluid-soundfont-gm)"
)


def find_band_font() -> Path | None:
    """Find a sound font for a band; None without one, or without FluidSynth."""
    if shutil.which(PROGRAM) is None:
        return None
    for name in SOUND_FONTS:
        try:
            return find_sound_font(name)
        except FileNotFoundError:
            continue
    return None


def describe_missing(band: Sequence[Part]) -> tuple[str, ...]:
    """Say how a band is played if it cannot be played as it is written; empty if it can."""
    return (MISSING,) if band and find_band_font() is None else ()


def as_piano_notes(band: Iterable[Part]) -> list[Note]:
    """Give the notes of a band that a piano can play: all but the drums."""
    notes = [note for part in band if not part.is_drum for note in part.notes]
    return [
        Note(note.onset, note.offset, float(fold_to_keyboard(int(note.pitch))), note.velocity, note.confidence)
        for note in notes
    ]


def band_blocks(band: Sequence[Part], n_samples: int, sound_font: Path) -> Iterator[NDArray[np.float32]]:
    """Play a band.

    Yields
    ------
    ndarray, shape (2, sample)
        44.1 kHz, ``n_samples`` together, a little below the level of the sampled piano.

    Raises
    ------
    OSError
        If FluidSynth fails; with its own message.
    """
    with tempfile.TemporaryDirectory(prefix="hummingface-") as folder:
        midi = Path(folder) / "band.mid"
        midi.write_bytes(_to_midi(band, n_samples))
        for block in play_file(midi, sound_font, n_samples):
            yield np.float32(LEVEL) * block


def _to_midi(band: Sequence[Part], n_samples: int) -> bytes:
    """Write a band as a MIDI file at a constant tempo."""
    tracks = [midi_bytes.write_track([(0, midi_bytes.set_tempo(500_000))], 0)]
    end = round(n_samples / PIANO_SAMPLE_RATE * TICKS_PER_SECOND)
    for part, channel in zip(band, channels(band), strict=True):
        events = [(0, 0, midi_bytes.program_change(channel, part.program))]
        for note in part.notes:
            start, stop = (round(time * TICKS_PER_SECOND) for time in (note.onset, note.offset))
            events.append((start, 2, midi_bytes.note_on(channel, int(note.pitch), max(1, note.velocity))))
            events.append((max(stop, start + 1), 1, midi_bytes.note_off(channel, int(note.pitch))))
        ordered = [(tick, message) for tick, _, message in sorted(events, key=lambda event: event[:2])]
        tracks.append(midi_bytes.write_track(ordered, end))
    return midi_bytes.join_tracks(tracks, TICKS_PER_SECOND // 2)
