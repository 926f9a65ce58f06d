"""The consonants of many languages, as a vocal tract makes them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Consonant:
    """One consonant.

    Attributes
    ----------
    sonorant : bool
        Voiced with a clear pitch (nasal, lateral, glide): the voice goes on through it.
    low, high : float
        Shortest and longest duration, seconds.
    formants : tuple of float
        Where the first three formants point, Hz of an adult man.
    voice : float
        Strength of the voice against the vowel, linear.
    closure : float
        Share of the duration that is a closed mouth, before the noise.
    noise_hz, noise_width : float
        Centre and width of the noise, Hz; 0 without noise.
    noise : float
        Strength of the noise, linear, against the vowel.
    breath : float
        Strength of aspiration through the vocal tract, linear, against the vowel.
    nasal_zero : float
        The antiformant in Hz; 0 without one.
    """

    sonorant: bool
    low: float
    high: float
    formants: tuple[float, float, float]
    voice: float = 0.0
    closure: float = 0.0
    noise_hz: float = 0.0
    noise_width: float = 0.0
    noise: float = 0.0
    breath: float = 0.0
    nasal_zero: float = 0.0


CONSONANTS = {
    "m": Consonant(True, 0.04, 0.16, (270, 1000, 2200), voice=0.45, nasal_zero=1000),
    "n": Consonant(True, 0.04, 0.15, (270, 1450, 2400), voice=0.45, nasal_zero=1600),
    "ng": Consonant(True, 0.05, 0.15, (270, 1900, 2500), voice=0.4, nasal_zero=2500),
    "l": Consonant(True, 0.03, 0.12, (350, 1150, 2700), voice=0.55, nasal_zero=1900),
    "r": Consonant(True, 0.03, 0.09, (400, 1150, 1600), voice=0.6),
    "w": Consonant(True, 0.04, 0.10, (300, 680, 2200), voice=0.6),
    "j": Consonant(True, 0.04, 0.10, (280, 2250, 3000), voice=0.6),
    "b": Consonant(
        False, 0.05, 0.11, (250, 800, 2200), voice=0.12, closure=0.9, noise_hz=900, noise_width=1500, noise=0.2
    ),
    "d": Consonant(
        False, 0.05, 0.11, (250, 1700, 2600), voice=0.12, closure=0.88, noise_hz=3800, noise_width=2500, noise=0.3
    ),
    "g": Consonant(
        False, 0.05, 0.11, (250, 1900, 2200), voice=0.1, closure=0.85, noise_hz=2000, noise_width=1000, noise=0.3
    ),
    "p": Consonant(
        False, 0.07, 0.16, (350, 800, 2200), closure=0.6, noise_hz=1000, noise_width=2000, noise=0.15, breath=0.25
    ),
    "t": Consonant(
        False, 0.07, 0.16, (350, 1700, 2600), closure=0.6, noise_hz=4200, noise_width=3000, noise=0.4, breath=0.2
    ),
    "k": Consonant(
        False, 0.07, 0.17, (350, 1900, 2200), closure=0.55, noise_hz=2000, noise_width=1200, noise=0.35, breath=0.2
    ),
    "T": Consonant(False, 0.05, 0.12, (300, 1700, 2600), closure=0.85, noise_hz=3800, noise_width=2500, noise=0.35),
    "f": Consonant(False, 0.07, 0.18, (350, 900, 2200), noise_hz=5500, noise_width=6000, noise=0.1, breath=0.03),
    "th": Consonant(False, 0.06, 0.14, (350, 1400, 2600), noise_hz=5500, noise_width=5000, noise=0.08),
    "s": Consonant(False, 0.08, 0.20, (320, 1650, 2600), noise_hz=6300, noise_width=2200, noise=0.4),
    "sh": Consonant(False, 0.08, 0.20, (320, 1800, 2500), noise_hz=3200, noise_width=1800, noise=0.4),
    "x": Consonant(False, 0.08, 0.20, (300, 2100, 2900), noise_hz=4600, noise_width=2400, noise=0.35),
    "h": Consonant(False, 0.04, 0.13, (500, 1450, 2450), breath=0.2),
    "v": Consonant(False, 0.05, 0.11, (300, 900, 2200), voice=0.3, noise_hz=5000, noise_width=5000, noise=0.05),
    "z": Consonant(False, 0.06, 0.14, (300, 1650, 2600), voice=0.25, noise_hz=6300, noise_width=2400, noise=0.22),
    "zh": Consonant(False, 0.06, 0.14, (300, 1800, 2500), voice=0.25, noise_hz=3200, noise_width=1800, noise=0.2),
    "ch": Consonant(False, 0.09, 0.19, (320, 1800, 2500), closure=0.4, noise_hz=3400, noise_width=2000, noise=0.45),
    "ts": Consonant(False, 0.09, 0.19, (320, 1650, 2600), closure=0.4, noise_hz=6200, noise_width=2400, noise=0.45),
    "dj": Consonant(
        False, 0.07, 0.14, (300, 1800, 2500), voice=0.1, closure=0.5, noise_hz=3300, noise_width=2000, noise=0.3
    ),
}
