"""The voices that lyrics are sung with: calm, even and in tune, unlike those that recordings are imitated with."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hf_model.config import check_choice
from hf_model.notes.note import Note
from hf_model.singer.voice import UPPER_FORMANTS, VOWELS, Voice


@dataclass(frozen=True)
class VoicePreset:
    """What differs between the voices.

    Attributes
    ----------
    kind : str
        A key of :data:`hf_model.singer.voice.KINDS`.
    lowest, highest : int
        MIDI numbers of the comfortable range, to which melodies are moved by octaves.
    tract : float
        Factor of an adult man's formants.
    tilt_hz, breathiness : float
        See :class:`hf_model.singer.voice.Voice`.
    vibrato_cents : float
    is_mechanical : bool
        Without vibrato, glides and irregularities.
    """

    kind: str
    lowest: int
    highest: int
    tract: float
    tilt_hz: float
    breathiness: float
    vibrato_cents: float
    is_mechanical: bool = False


PRESETS = {
    "soprano": VoicePreset("soprano", 60, 84, 1.19, 2200.0, 0.012, 32.0),
    "alto": VoicePreset("woman", 53, 76, 1.14, 1900.0, 0.012, 26.0),
    "tenor": VoicePreset("man", 47, 69, 1.03, 2200.0, 0.008, 28.0),
    "bass": VoicePreset("bass", 38, 62, 0.95, 1700.0, 0.008, 22.0),
    "child": VoicePreset("child", 57, 81, 1.33, 1800.0, 0.02, 0.0),
    "robot": VoicePreset("man", 45, 72, 1.05, 3200.0, 0.0, 0.0, is_mechanical=True),
}
"""The voices by name."""

BANDWIDTHS = (65.0, 85.0, 120.0, 180.0, 250.0, 350.0, 450.0, 600.0)
"""Of the formants, Hz."""


def make_voice(name: str) -> Voice:
    """Build the voice of that name, a key of :data:`PRESETS`.

    Raises
    ------
    ConfigError
        For another name.
    """
    check_choice("voice", name, PRESETS)
    preset = PRESETS[name]
    liveliness = 0.0 if preset.is_mechanical else 1.0
    return Voice(
        kind=preset.kind,
        vowels={vowel: preset.tract * np.array(formants) for vowel, formants in VOWELS.items()},
        upper=preset.tract * np.array(UPPER_FORMANTS),
        bandwidths=np.array(BANDWIDTHS),
        tilt_hz=preset.tilt_hz,
        glottal_boost_db=3.0,
        breathiness=preset.breathiness,
        breath_pulse=0.5,
        exhale=0.0,
        jitter=0.0006 * liveliness,
        shimmer=0.01 * liveliness,
        drift_cents=5.0 * liveliness,
        drift_rate=2.0,
        vibrato_rate=5.4,
        vibrato_cents=preset.vibrato_cents,
        vibrato_delay=0.35,
        vibrato_chance=1.0,
        tuning=0.0,
        error_cents=0.0,
        tempo_drift_cents=0.0,
        scoop_chance=0.0,
        scoop_cents=0.0,
        fall_chance=0.0,
        swoop_chance=0.0,
        late_chance=0.0,
        microprosody_cents=0.0,
        glide=0.005 if preset.is_mechanical else 0.07,
        overshoot=0.0,
        attack=0.04,
        release=0.07,
        legato=1.0,
        dynamics_db=0.0,
        creak=0.0,
        smear=0.05,
        nasality=0.0,
        ornament_chance=0.0,
        tremolo=0.15 * liveliness,
        unsteady_db=0.3 * liveliness,
        timing=0.0,
    )


def to_range(notes: list[Note], name: str) -> list[Note]:
    """Move a melody by whole octaves so that as much of it as possible lies in the range of a voice.

    All notes move together; of equal moves the smallest is taken.
    """
    preset = PRESETS[name]

    def outside(octaves: int) -> tuple[float, int]:
        moved = [note.pitch + 12 * octaves for note in notes]
        excess = [max(0.0, preset.lowest - pitch, pitch - preset.highest) for pitch in moved]
        return sum(weight * note.duration for weight, note in zip(excess, notes, strict=True)), abs(octaves)

    octaves = min(range(-5, 6), key=outside)
    return [replace(note, pitch=min(max(note.pitch + 12 * octaves, 0.0), 127.0)) for note in notes]
