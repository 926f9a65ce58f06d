"""The instruments that are told apart."""

from __future__ import annotations

PROGRAMS: dict[str, tuple[int, ...]] = {
    "piano": (0, 1),
    "electric piano": (4, 5),
    "harpsichord": (6,),
    "mallets": (8, 9, 11, 12, 13),
    "organ": (16, 17, 18, 19, 20),
    "accordion": (21, 22, 23),
    "acoustic guitar": (24, 25),
    "electric guitar": (26, 27, 28),
    "distorted guitar": (29, 30),
    "bass": (32, 33, 34, 35, 36, 38),
    "violin": (40, 41),
    "cello": (42, 43),
    "strings": (48, 49, 50, 51),
    "harp": (46,),
    "trumpet": (56, 59),
    "brass": (57, 58, 60, 61),
    "saxophone": (64, 65, 66, 67),
    "oboe": (68, 69),
    "clarinet": (71,),
    "flute": (72, 73, 74),
    "synth lead": (80, 81, 84, 87),
    "synth pad": (88, 89, 90, 91, 95),
}
"""Instruments of General MIDI, and their programs, from 0."""

DRUMS = "drums"

VOICE = "voice"

VOICES = ("man", "woman", "child", "humming")
"""Kinds of voices; each is a voice too."""

WHISTLING = "whistling"

CLASSES = (*PROGRAMS, DRUMS, VOICE, *VOICES, WHISTLING)
"""All classes, in the order of the network's output. Several may sound at once."""

INSTRUMENTS = (*PROGRAMS, DRUMS, VOICE, WHISTLING)
"""The classes without the kinds of voices, of which a clip with one instrument has exactly one."""

RANGES: dict[str, tuple[int, int]] = {
    "piano": (30, 96),
    "electric piano": (36, 88),
    "harpsichord": (36, 84),
    "mallets": (53, 96),
    "organ": (36, 88),
    "accordion": (48, 84),
    "acoustic guitar": (40, 79),
    "electric guitar": (40, 84),
    "distorted guitar": (40, 79),
    "bass": (28, 55),
    "violin": (55, 93),
    "cello": (36, 72),
    "strings": (36, 91),
    "harp": (31, 91),
    "trumpet": (54, 84),
    "brass": (34, 77),
    "saxophone": (44, 82),
    "oboe": (58, 86),
    "clarinet": (50, 86),
    "flute": (60, 96),
    "synth lead": (48, 88),
    "synth pad": (40, 84),
}
"""Lowest and highest key, as MIDI numbers."""

POLYPHONIC = {
    *("piano", "electric piano", "harpsichord", "mallets", "organ", "accordion", "acoustic guitar", "electric guitar"),
    *("distorted guitar", "strings", "harp", "brass", "synth pad"),
}
"""Those that play chords."""

DECAYING = {
    *("piano", "electric piano", "harpsichord", "mallets", "acoustic guitar", "electric guitar", "bass", "harp"),
}
"""Those that are struck or plucked: each note dies away."""
