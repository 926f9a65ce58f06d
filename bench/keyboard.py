"""Compare the sampled piano with the reference over the whole keyboard: ``python bench/keyboard.py``.

All 88 keys at eight velocities, half a second held: level, stereo, steps between samples, DC; how notes that are held
for long die away; and how fast ten minutes are played. Needs FluidSynth and the sound font (apt-get install
fluidsynth musescore-general-soundfont).
"""

from __future__ import annotations

import os
import random

import numpy as np

from hf_model.notes.note import HIGHEST_KEY, LOWEST_KEY, Note
from hf_model.piano.fluidsynth import FluidPiano, ReferencePiano, to_block
from hf_model.piano.rendering import SAMPLE_RATE, render_blocks
from hf_model.piano.sampled import SampledPiano

VELOCITIES = (5, 20, 40, 60, 74, 90, 110, 127)


def main() -> None:
    """Print the tables."""
    reference, sampled = FluidPiano(), SampledPiano.load()
    compare_keys(reference, sampled)
    compare_long_notes(reference, sampled)
    measure_speed(sampled)


def compare_keys(reference: FluidPiano, sampled: SampledPiano) -> None:
    """Play each key alone at each velocity, on both pianos."""
    held, n_samples = to_block(0.5) / SAMPLE_RATE, round(0.8 * SAMPLE_RATE)
    rows = []
    for key in range(LOWEST_KEY, HIGHEST_KEY + 1):
        for velocity in VELOCITIES:
            notes = [Note(0.0, held, key, velocity)]
            wanted, given = (piano.render(notes, n_samples).astype(float) for piano in (reference, sampled))
            assert np.isfinite(given).all(), (key, velocity)
            rows.append(
                (
                    level(given) - level(wanted),
                    balance(given) - balance(wanted),
                    np.corrcoef(given)[0, 1] - np.corrcoef(wanted)[0, 1],
                    step(given) / step(wanted),
                    step(given) / np.abs(given).max(),
                    step(wanted) / np.abs(wanted).max(),
                    np.abs(given.mean(axis=1)).max() / np.abs(given).max(),
                )
            )
    columns = np.abs(np.array(rows))
    names = (
        "level against the reference, dB",
        "left against right, dB",
        "correlation of left and right",
        "largest step over the reference's",
        "largest step over own peak",
        "the reference's largest step over its peak",
        "mean (DC) over peak",
    )
    print(f"{len(rows)} notes                                 median     95 %      largest")
    for name, values in zip(names, columns.T, strict=True):
        print(f"{name:44s} {np.median(values):8.3f} {np.percentile(values, 95):8.3f} {values.max():8.3f}")


def compare_long_notes(reference: FluidPiano, sampled: SampledPiano) -> None:
    """Print levels of notes that are held for 19.5 s."""
    times = (1, 5, 9, 10, 12, 15, 18)
    print(f"\nheld 19.5 s, dB at s:  {'  '.join(f'{t:6d}' for t in times)}   (reference / sampled)")
    for key, velocity in ((24, 60), (36, 100), (48, 120), (55, 90), (60, 100), (72, 90)):
        for piano in (reference, sampled):
            audio = piano.render([Note(0.0, 19.5, key, velocity)], 20 * SAMPLE_RATE)
            levels = [level(audio[:, t * SAMPLE_RATE : t * SAMPLE_RATE + SAMPLE_RATE // 2]) for t in times]
            print(f"key {key:3d} velocity {velocity:3d}   {'  '.join(f'{value:6.1f}' for value in levels)}")


def measure_speed(sampled: SampledPiano) -> None:
    """Print times real time for ten minutes of a melody with chords, on this piano and FluidSynth, the font loaded."""
    rng, now, notes = random.Random(0), 0.1, []
    while now < 598:
        duration = rng.choice([0.25, 0.4, 0.5, 1.0])
        keys = rng.sample([48, 52, 55, 60, 64, 67, 72], rng.choice([1, 1, 1, 3]))
        notes += [Note(now, now + 0.95 * duration, key, rng.randint(40, 100)) for key in keys]
        now += duration
    print(f"\nten minutes, {len(notes)} notes, times real time (by seconds of CPU)")
    mono = SampledPiano.load(channels=1)
    program = ReferencePiano()
    loading = seconds_of(lambda: program.render([], 100))
    for name, play in (
        ("sampled, stereo", lambda: sum(block.shape[1] for block in render_blocks(sampled, notes, 600 * SAMPLE_RATE))),
        ("sampled, mono", lambda: sum(block.shape[1] for block in render_blocks(mono, notes, 600 * SAMPLE_RATE))),
        (
            "FluidSynth, with loading the font",
            lambda: sum(b.shape[1] for b in program.blocks(notes, 600 * SAMPLE_RATE)),
        ),
    ):
        seconds = seconds_of(play)
        print(f"{name:36s} {600 / seconds:6.0f} x")
    print(f"{'FluidSynth, without loading the font':36s} {600 / (seconds - loading):6.0f} x")


def seconds_of(play: object) -> float:
    """Time a call in seconds of CPU, with those of the processes that it starts: other work here counts less."""
    before = os.times()
    play()  # type: ignore[operator]
    after = os.times()
    return sum(after[:4]) - sum(before[:4])


def level(audio: np.ndarray) -> float:
    """Level of audio (channel, sample), dB."""
    return float(10 * np.log10(np.square(audio, dtype=np.float64).mean() + 1e-20))


def balance(audio: np.ndarray) -> float:
    """Level of left against right, dB."""
    return level(audio[:1]) - level(audio[1:])


def step(audio: np.ndarray) -> float:
    """Largest difference of neighbouring samples."""
    return float(np.abs(np.diff(audio)).max())


if __name__ == "__main__":
    main()
