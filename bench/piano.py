"""Print how near the pianos come to the reference, and how fast they are: ``python bench/piano.py [--scores DIR]``.

The reference is FluidSynth with the sound font that ``hf_model/weights/piano/config.json`` names
(``apt-get install fluidsynth musescore-general-soundfont``); without it the sampled piano stands in. Scores
are the MIDI files under --scores whose track MELODY is played (POP909), else melodies made here.
"""

from __future__ import annotations

import argparse
import random
import resource
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hf_model.audio_metrics import decay_rate, log_mel_distance, rise_time, si_sdr, spectral_convergence
from hf_model.direct import griffin_lim
from hf_model.notes import Note
from hf_model.piano import SAMPLE_RATE, Renderer, SampledPiano
from hf_model.piano_samples import FluidPiano, to_block
from hf_model.pitch import pitch_to_hz
from hf_model.pretrained import WEIGHTS
from hf_model.synthesizer import Synthesizer, SynthesizerConfig

SECONDS = 20


def main() -> None:
    """Render the same notes on every piano and print three tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scores", type=Path)
    parser.add_argument("--melodies", type=int, default=8)
    parser.add_argument("--model", type=Path, default=WEIGHTS / "synthesizer")
    options = parser.parse_args()
    try:
        reference: Renderer = FluidPiano()
        print("reference: FluidSynth")
    except OSError:
        reference = SampledPiano.load()
        print("reference: the sampled piano (FluidSynth or the sound font is not installed)")
    pianos: dict[str, Renderer] = {"sampled": SampledPiano.load()}
    pianos["untrained"] = Synthesizer(SynthesizerConfig()).eval()
    if options.model.is_dir():
        pianos["neural"] = Synthesizer.from_pretrained(options.model)
    scores = read_scores(options.scores, options.melodies) if options.scores else made_scores(options.melodies)
    compare_melodies(reference, pianos, scores)
    compare_notes(reference, pianos)
    measure_speed({"reference": reference, **pianos}, scores[0])


def read_scores(folder: Path, n_scores: int) -> list[list[Note]]:
    """Read the first 20 s of melodies, evenly chosen from a folder of MIDI files."""
    import pretty_midi

    paths = sorted(folder.rglob("*.mid"))
    scores = []
    for path in paths[:: max(1, len(paths) // n_scores)][:n_scores]:
        tracks = [track for track in pretty_midi.PrettyMIDI(str(path)).instruments if track.name == "MELODY"]
        if tracks:
            start = tracks[0].notes[0].start - 0.3
            notes = [Note(n.start - start, n.end - start, n.pitch, n.velocity) for n in tracks[0].notes]
            scores.append([on_blocks(note) for note in notes if note.onset < SECONDS])
    return scores


def made_scores(n_scores: int) -> list[list[Note]]:
    """Make melodies over the whole keyboard and all velocities."""
    scores = []
    for seed in range(n_scores):
        rng, onset, key = random.Random(seed), 0.3, 45 + 5 * seed % 50
        notes = []
        while onset < SECONDS - 1:
            duration = rng.choice([0.15, 0.25, 0.4, 0.5, 0.8, 1.5])
            key = min(104, max(25, key + rng.randint(-7, 7)))
            notes.append(on_blocks(Note(onset, onset + 0.9 * duration, key, rng.randint(30, 120))))
            onset += duration
        scores.append(notes)
    return scores


def on_blocks(note: Note) -> Note:
    """Move a note to FluidSynth's grid, so that all pianos play it at the same sample."""
    onset = to_block(note.onset) / SAMPLE_RATE
    return Note(onset, max(onset + 0.02, to_block(note.offset) / SAMPLE_RATE), note.pitch, note.velocity)


def compare_melodies(reference: Renderer, pianos: dict[str, Renderer], scores: Sequence[list[Note]]) -> None:
    """Print mean distances over melodies, and what Griffin-Lim makes of the reference's own magnitudes."""
    figures: dict[str, list[tuple[float, float, float]]] = {}
    for notes in scores:
        wanted = mono(reference, notes, SECONDS * SAMPLE_RATE)
        sounds = {name: mono(piano, notes, len(wanted)) for name, piano in pianos.items()}
        sounds["Griffin-Lim, true magnitude"] = through_griffin_lim(wanted)
        for name, sound in sounds.items():
            distances = (log_mel_distance(wanted, sound), spectral_convergence(wanted, sound), si_sdr(wanted, sound))
            figures.setdefault(name, []).append(distances)
    print(f"\n{len(scores)} melodies of {SECONDS} s     log-mel (dB)  convergence  SI-SDR (dB)   (mean; worst log-mel)")
    for name, rows in figures.items():
        mean, worst = np.mean(rows, axis=0), max(row[0] for row in rows)
        print(f"{name:28s} {mean[0]:8.2f} {mean[1]:12.3f} {mean[2]:12.1f}   {worst:8.2f}")


def compare_notes(reference: Renderer, pianos: dict[str, Renderer]) -> None:
    """Print attack and decay of single notes over the keyboard."""
    keys = range(24, 108, 6)
    print(
        "\nsingle notes, 14 keys: 10-90 % rise (largest difference), first partial's decay (median, worst difference)"
    )
    truth = {key: mono(reference, [Note(0.0, 1.5, key, 90)], SAMPLE_RATE) for key in keys}
    for name, piano in pianos.items():
        sounds = {key: mono(piano, [Note(0.0, 1.5, key, 90)], SAMPLE_RATE) for key in keys}
        rises = [1000 * abs(rise_time(sounds[key]) - rise_time(truth[key])) for key in keys]
        decays = []
        for key in keys:
            wanted, given = (decay_rate(sound[key], float(pitch_to_hz(key))) for sound in (truth, sounds))
            decays.append(100 * abs(given - wanted) / max(abs(wanted), 1.0))
        print(f"{name:28s} {max(rises):6.1f} ms {np.median(decays):8.1f} % {max(decays):8.1f} %")


def measure_speed(pianos: dict[str, Renderer], notes: list[Note]) -> None:
    """Print times real time for ten minutes of melody, and the memory that it took."""
    n_repeats = 600 // SECONDS
    many = [
        Note(note.onset + SECONDS * i, note.offset + SECONDS * i, note.pitch, note.velocity)
        for i in range(n_repeats)
        for note in notes
    ]
    print(f"\nten minutes, {len(many)} notes: times real time, peak memory of this process so far")
    for name, piano in pianos.items():
        start = time.perf_counter()
        piano.render(many, 600 * SAMPLE_RATE)
        seconds = time.perf_counter() - start
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{name:28s} {600 / seconds:6.0f} x {memory:8.0f} MiB")


def mono(piano: Renderer, notes: list[Note], n_samples: int) -> np.ndarray:
    """Render and average the channels, (sample,)."""
    return piano.render(notes, n_samples).mean(axis=0)


def through_griffin_lim(audio: np.ndarray, iterations: int = 32) -> np.ndarray:
    """Throw the phase away and look for it again."""
    import torch

    from hf_model.config import PIANO_STFT
    from hf_model.stft import stft

    rebuilt = griffin_lim(stft(torch.from_numpy(audio), PIANO_STFT).abs(), iterations).numpy()
    return np.pad(rebuilt, (0, len(audio) - len(rebuilt)))


if __name__ == "__main__":
    main()
