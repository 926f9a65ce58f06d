"""Random voices: vocal tract, glottis and habits of a singer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

VOWELS = {
    "a": (730.0, 1220.0, 2500.0),
    "A": (680.0, 1080.0, 2450.0),
    "ae": (660.0, 1720.0, 2430.0),
    "E": (560.0, 1800.0, 2500.0),
    "e": (430.0, 2020.0, 2600.0),
    "i": (290.0, 2250.0, 2980.0),
    "I": (390.0, 1990.0, 2550.0),
    "o": (460.0, 840.0, 2450.0),
    "O": (580.0, 900.0, 2430.0),
    "u": (320.0, 790.0, 2300.0),
    "U": (440.0, 1030.0, 2260.0),
    "V": (630.0, 1200.0, 2400.0),
    "@": (500.0, 1450.0, 2450.0),
    "y": (290.0, 1850.0, 2250.0),
    "oe": (420.0, 1500.0, 2280.0),
    "er": (480.0, 1310.0, 1720.0),
    "ui": (310.0, 1350.0, 2350.0),
}
"""First three formants in Hz of an adult man (rounded means of published vowel studies); other voices scale them."""

UPPER_FORMANTS = (3400.0, 4300.0, 5350.0, 6400.0, 7500.0)
N_FORMANTS = 3 + len(UPPER_FORMANTS)

KINDS = {
    # name: (lowest pitch, highest pitch, tract factor mean, its spread, weight)
    "bass": (34, 60, 0.95, 0.04, 0.12),
    "man": (41, 69, 1.02, 0.05, 0.27),
    "falsetto": (56, 79, 1.02, 0.05, 0.06),
    "woman": (52, 79, 1.17, 0.05, 0.27),
    "soprano": (57, 86, 1.20, 0.05, 0.08),
    "child": (55, 83, 1.36, 0.09, 0.17),
    "whistle": (68, 107, 1.10, 0.10, 0.04),
}
"""Pitch range as MIDI numbers; the tract factor multiplies an adult man's formants."""


@dataclass(frozen=True)
class Voice:
    """One singer.

    Attributes
    ----------
    kind : str
        A key of ``KINDS``.
    vowels : dict of str to ndarray, shape (3,)
        This singer's first three formants, Hz.
    upper : ndarray, shape (5,)
        The higher formants, Hz.
    bandwidths : ndarray, shape (8,)
        Hz.
    tilt_hz : float
        Corner frequency above which the glottal spectrum falls by another 6 dB per octave, at medium loudness.
    glottal_boost_db : float
        Boost of the fundamental.
    breathiness : float
        Aspiration noise relative to the voice, linear.
    breath_pulse : float
        Modulation of that noise by the glottal cycle, 0-1.
    exhale : float
        Breath after a phrase relative to the voice, linear.
    jitter, shimmer : float
        Relative variation of period and strength between glottal pulses.
    drift_cents, drift_rate : float
        Slow pitch drift: standard deviation, and rate in Hz.
    vibrato_rate, vibrato_cents, vibrato_delay : float
        Hz; half the peak-to-peak depth; seconds before it starts.
    vibrato_chance : float
        Fraction of long notes with vibrato.
    tuning : float
        Offset from 440 Hz in semitones.
    error_cents : float
        Standard deviation of the intonation error of notes.
    tempo_drift_cents : float
        Drift of the tuning per minute.
    scoop_chance, scoop_cents, fall_chance : float
        Fraction of notes with an onset glide, its size, and fraction released with a falling pitch.
    swoop_chance : float
        Fraction of notes after a silence with a large onset glide, as of untrained singers on high notes.
    late_chance : float
        Fraction of long notes that start on a neighbouring pitch.
    microprosody_cents : float
        Pitch deviation after a consonant: up after a voiceless, down after a voiced one.
    glide : float
        Duration of a legato pitch change, seconds.
    overshoot : float
        Overshoot of the change, as a fraction of the interval.
    attack, release : float
        Seconds.
    legato : float
        0 staccato to 1 fully bound.
    dynamics_db : float
        Standard deviation of the loudness of notes.
    creak : float
        Fraction of phrase ends with creak.
    smear : float
        Smoothing of the formants, seconds.
    nasality : float
        Nasality of the vowels, 0-1.
    ornament_chance : float
        Fraction of notes with a mordent or a grace note, which is not labelled.
    tremolo : float
        Modulation of the loudness by the vibrato, 0-1.
    unsteady_db : float
        Standard deviation of the loudness within notes.
    timing : float
        Standard deviation of onsets from the score, seconds.
    """

    kind: str
    vowels: dict[str, NDArray[np.float64]]
    upper: NDArray[np.float64]
    bandwidths: NDArray[np.float64]
    tilt_hz: float
    glottal_boost_db: float
    breathiness: float
    breath_pulse: float
    exhale: float
    jitter: float
    shimmer: float
    drift_cents: float
    drift_rate: float
    vibrato_rate: float
    vibrato_cents: float
    vibrato_delay: float
    vibrato_chance: float
    tuning: float
    error_cents: float
    tempo_drift_cents: float
    scoop_chance: float
    scoop_cents: float
    fall_chance: float
    swoop_chance: float
    late_chance: float
    microprosody_cents: float
    glide: float
    overshoot: float
    attack: float
    release: float
    legato: float
    dynamics_db: float
    creak: float
    smear: float
    nasality: float
    ornament_chance: float
    tremolo: float
    unsteady_db: float
    timing: float


def log_uniform(rng: Generator, low: float, high: float) -> float:
    """Draw from the log-uniform distribution on [low, high]."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def draw_kind(rng: Generator, pitches: NDArray[np.float64]) -> str:
    """Draw a kind of voice for these pitches (MIDI numbers), weighted by how well its range fits."""
    low, high = float(pitches.min()), float(pitches.max())
    weights = []
    for lowest, highest, _, _, weight in KINDS.values():
        outside = max(0.0, lowest - low) + max(0.0, high - highest)
        weights.append(weight * np.exp(-outside / 1.5) + 1e-9)
    chances = np.array(weights) / np.sum(weights)
    return str(rng.choice(list(KINDS), p=chances))


def draw_voice(rng: Generator, pitches: NDArray[np.float64]) -> Voice:
    """Draw a voice for these pitches (MIDI numbers)."""
    kind = draw_kind(rng, pitches)
    trained = bool(rng.random() < 0.25) and kind != "child"
    falsetto = kind == "falsetto"
    vowels, upper, bandwidths = _draw_tract(rng, kind, trained)
    shaky = log_uniform(rng, 0.5, 2.5) * (0.7 if trained else 1.0)  # lack of control; scales many habits
    return Voice(
        kind=kind,
        vowels=vowels,
        upper=upper,
        bandwidths=bandwidths,
        tilt_hz=log_uniform(rng, 250.0, 1200.0) if falsetto else log_uniform(rng, 350.0, 3500.0),
        glottal_boost_db=float(rng.uniform(6.0, 14.0) if falsetto else rng.uniform(0.0, 9.0)),
        breathiness=log_uniform(rng, 0.02, 0.25) if falsetto else log_uniform(rng, 0.003, 0.15),
        breath_pulse=float(rng.uniform(0.0, 0.9)),
        exhale=float(rng.choice([0.0, log_uniform(rng, 0.005, 0.08)])),
        jitter=log_uniform(rng, 0.0004, 0.003) * shaky,
        shimmer=log_uniform(rng, 0.004, 0.03) * shaky,
        drift_cents=min(log_uniform(rng, 10.0, 28.0) * shaky, 36.0),
        drift_rate=log_uniform(rng, 1.0, 5.0),
        vibrato_rate=float(rng.uniform(4.0, 7.5)),
        vibrato_cents=log_uniform(rng, 25.0, 120.0) if trained else log_uniform(rng, 8.0, 60.0),
        vibrato_delay=float(rng.uniform(0.05, 0.6)),
        vibrato_chance=float(rng.uniform(0.4, 1.0)) if trained else float(rng.choice([0.0, rng.uniform(0.0, 0.8)])),
        tuning=float(np.clip(rng.normal(0.0, 0.22), -0.5, 0.5)),
        error_cents=log_uniform(rng, 5.0, 35.0),
        tempo_drift_cents=float(rng.normal(0.0, 25.0)),
        scoop_chance=float(rng.beta(1.2, 1.3 / shaky)),
        scoop_cents=log_uniform(rng, 30.0, 250.0) * shaky**0.5,
        fall_chance=float(rng.beta(1.0, 2.0)),
        swoop_chance=0.0 if trained else _swoop_chance(rng.spawn(1)[0]),
        late_chance=float(rng.choice([0.0, rng.uniform(0.0, 0.1)])),
        microprosody_cents=log_uniform(rng, 5.0, 80.0),
        glide=log_uniform(rng, 0.03, 0.2) * shaky**0.5,
        overshoot=float(rng.choice([0.0, rng.uniform(0.0, 0.15)])),
        attack=log_uniform(rng, 0.01, 0.12),
        release=log_uniform(rng, 0.02, 0.15),
        legato=float(rng.beta(2.0, 1.0)),
        dynamics_db=float(rng.uniform(0.3, 2.0)) * shaky**0.5,
        creak=float(rng.choice([0.0, rng.uniform(0.0, 0.5)])),
        smear=float(rng.uniform(0.03, 0.08)),
        nasality=float(rng.choice([0.0, rng.uniform(0.0, 0.6)])),
        ornament_chance=float(rng.beta(0.5, 8.0)),
        tremolo=float(rng.uniform(0.0, 0.4)),
        unsteady_db=log_uniform(rng, 0.2, 2.5),
        timing=log_uniform(rng, 0.004, 0.03) * shaky**0.5,
    )


def _swoop_chance(rng: Generator) -> float:
    """Draw a fraction of swoops: half of the untrained voices have none, few have many."""
    return float(rng.beta(0.3, 1.5)) if rng.random() < 0.5 else 0.0


def _draw_tract(
    rng: Generator, kind: str, trained: bool
) -> tuple[dict[str, NDArray[np.float64]], NDArray[np.float64], NDArray[np.float64]]:
    """Draw vowels, upper formants and bandwidths (Hz) of one vocal tract."""
    _, _, tract_mean, tract_spread, _ = KINDS[kind]
    tract = float(np.clip(rng.normal(tract_mean, tract_spread), 0.85, 1.65))
    shrink = rng.uniform(0.75, 1.05)  # distance of the vowels from the neutral one
    neutral = np.array(VOWELS["@"])
    vowels = {
        name: tract * neutral * (np.array(formants) / neutral) ** shrink * np.exp(rng.normal(0.0, 0.05, 3))
        for name, formants in VOWELS.items()
    }
    upper = tract * np.array(UPPER_FORMANTS) * np.exp(rng.normal(0.0, 0.03, len(UPPER_FORMANTS)))
    if trained:  # the singer's formant: F4 and F5 close to F3
        upper[0] = rng.uniform(2700.0, 3400.0)
        upper[1] = upper[0] + rng.uniform(200.0, 600.0)
    damping = log_uniform(rng, 0.8, 2.0)
    widths = damping * np.array([65.0, 85.0, 120.0, 180.0, 250.0, 350.0, 450.0, 600.0])
    return vowels, upper, widths * np.exp(rng.normal(0.0, 0.15, N_FORMANTS))
