"""Distances over whole melodies, and whether an independent transcriber hears the same notes."""

from __future__ import annotations

import random
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from piano_pianos import NEURAL, OTHER_FONT, Audio, mixed_down, on_blocks, per_channel

from hf_model.audio.griffin_lim import griffin_lim
from hf_model.audio.io import write_audio
from hf_model.corpora.readers.scores import held_out_song
from hf_model.direct.network import Direct
from hf_model.evaluation.audio_metrics import complex_convergence, log_mel_distance, si_sdr, spectral_convergence
from hf_model.evaluation.baselines import BASELINES, installed
from hf_model.evaluation.metrics import bootstrap_mean, note_scores
from hf_model.notes.midi import read_midi_tracks
from hf_model.notes.note import Note, to_keys
from hf_model.piano.fluidsynth import FluidPiano
from hf_model.piano.rendering import SAMPLE_RATE, Renderer
from hf_model.piano.transcription import piano_to_notes
from hf_model.singer.synthesis import SingerConfig, sing

SECONDS, VOICE_RATE = 20, 16000
DISTANCES = {
    "log_mel": log_mel_distance,
    "convergence": spectral_convergence,
    "complex": complex_convergence,
    "si_sdr": si_sdr,
}
REFERENCE, DIRECT = "reference", "direct"
OTHER, LOUDER, GRIFFIN_LIM = "another sound font", "10 velocity steps louder", "Griffin-Lim, true magnitude"
LISTENED = ("sampled", NEURAL, DIRECT)
"""Whose renderings are transcribed again."""

RESAMPLINGS = 2000


def read_scores(folder: Path | None, n_scores: int) -> dict[str, list[Note]]:
    """Read the first 20 s of the held-out songs of POP909, or make melodies where there is no folder."""
    if folder is None:
        return made_scores(n_scores)
    paths = sorted(path for path in folder.rglob("*.mid") if held_out_song(path.stem) and path.stem == path.parent.name)
    scores = {}
    for path in paths[:n_scores]:
        notes = [note for track in read_midi_tracks(path).tracks if track.name == "MELODY" for note in track.notes]
        start = min(note.onset for note in notes) - 0.3
        moved = [Note(n.onset - start, n.offset - start, n.pitch, n.velocity) for n in notes]
        played = [on_blocks(note) for note in moved if note.onset < SECONDS]
        # Some songs write a note twice; a key of FluidSynth struck twice at once is released with the first of the two.
        scores[path.stem] = list({(note.onset, note.pitch): note for note in played}.values())
    if not scores:
        msg = f"{folder} holds no held-out song of POP909 (POP909/045/045.mid, POP909/090/090.mid, ...)"
        raise SystemExit(msg)
    return scores


def made_scores(n_scores: int) -> dict[str, list[Note]]:
    """Make melodies over the whole keyboard and all velocities."""
    scores = {}
    for seed in range(n_scores):
        rng, onset, key = random.Random(seed), 0.3, 45 + 5 * seed % 50
        notes = []
        while onset < SECONDS - 1:
            duration = rng.choice([0.15, 0.25, 0.4, 0.5, 0.8, 1.5])
            key = min(104, max(25, key + rng.randint(-7, 7)))
            notes.append(on_blocks(Note(onset, onset + 0.9 * duration, key, rng.randint(30, 120))))
            onset += duration
        scores[f"made-{seed}"] = notes
    return scores


def compare_melodies(
    reference: Renderer, pianos: Mapping[str, Renderer], scores: Mapping[str, list[Note]], direct: Path, sounds: Path
) -> dict[str, Any]:
    """Measure every piano and yardstick on every melody: for each a mean, a 95 % interval and the worst.

    ``direct`` hears the melody sung by ``hf_model.singer.synthesis``; what is then held against it is the reference
    playing the
    notes as they were sung, at their times.
    """
    n_samples = SECONDS * SAMPLE_RATE
    other = FluidPiano(OTHER_FONT) if isinstance(reference, FluidPiano) and OTHER_FONT.is_file() else None
    baseline = Direct.from_pretrained(direct) if (direct / "config.json").is_file() else None
    rows: dict[str, list[dict[str, float]]] = {}
    for number, (song, notes) in enumerate(scores.items()):
        show(f"melody {number + 1} of {len(scores)}")
        wanted = reference.render(notes, n_samples)
        played = {name: (wanted, piano.render(notes, n_samples), notes) for name, piano in pianos.items()}
        played[REFERENCE] = (wanted, wanted, notes)
        louder = [Note(n.onset, n.offset, n.pitch, min(127, n.velocity + 10)) for n in notes]
        played[LOUDER] = (wanted, reference.render(louder, n_samples), notes)
        played[GRIFFIN_LIM] = (wanted, through_griffin_lim(wanted.mean(axis=0))[None], notes)
        if other:
            played[OTHER] = (wanted, other.render(notes, n_samples), notes)
        if baseline:
            voice, sung = sing_score(notes, seed=900_000 + number)
            played[DIRECT] = (reference.render(sung, n_samples), baseline.render(voice, n_samples), sung)
        for name, (truth, sound, meant) in played.items():
            if name != REFERENCE:
                row = {key: mixed_down(measure, truth, sound) for key, measure in DISTANCES.items()}
                row |= {
                    f"{key}_channels": per_channel(DISTANCES[key], truth, sound) for key in ("log_mel", "convergence")
                }
                row |= heard_again(truth, sound, meant) if name in LISTENED else {}
                row["channels"] = len(sound)
                rows.setdefault(name, []).append(row)
            if number == 0:
                write_audio(sounds / f"{song}-{name.replace(', ', '-').replace(' ', '-')}.flac", sound, SAMPLE_RATE)
    show("")
    return {name: summarize(found) for name, found in rows.items()}


def sing_score(notes: list[Note], seed: int) -> tuple[Audio, list[Note]]:
    """Sing a melody: the voice (sample,) at 16 kHz, and the keys that were sung, on FluidSynth's grid."""
    score: list[Note] = []
    for note in sorted(notes):
        if score and note.onset < score[-1].offset:  # one voice sings one note at a time
            before = score.pop()
            if note.onset > before.onset + 0.05:
                score.append(Note(before.onset, note.onset, before.pitch))
        score.append(Note(note.onset, note.offset, note.pitch))
    song = sing(score, seed, SingerConfig(VOICE_RATE, max_lead=0.3, max_tail=0.3, speech=0.0))
    voice = np.pad(song.audio, (0, SECONDS * VOICE_RATE))[: SECONDS * VOICE_RATE]
    sung = [on_blocks(note) for note in to_keys(song.notes, 0.0) if note.onset < SECONDS - 0.1]
    return voice, sung


def heard_again(wanted: Audio, sound: Audio, notes: list[Note]) -> dict[str, float]:
    """Transcribe a rendering and the reference's: COnP of the one minus COnP of the other."""
    ears = {"own": piano_to_notes}
    if installed(["basic_pitch"]):
        ears["basic_pitch"] = BASELINES["basic_pitch"][1]
    meant = [note for note in notes if note.onset < SECONDS - 0.1]
    row = {}
    for name, listen in ears.items():
        here, there = (note_scores(meant, listen(audio, SAMPLE_RATE))["conp"] for audio in (sound, wanted))
        row |= {f"conp_{name}": here, f"conp_{name}_difference": here - there}
    return row


def summarize(rows: list[dict[str, float]]) -> dict[str, Any]:
    """Average over melodies: for each figure mean, low, high and both extremes."""
    table = {}
    for name in rows[0]:
        values = [row[name] for row in rows]
        mean, low, high = bootstrap_mean(values, RESAMPLINGS)
        table[name] = {"mean": mean, "low": low, "high": high, "least": min(values), "most": max(values)}
        table[name] = {key: round(value, 4) for key, value in table[name].items()}
    return table


def through_griffin_lim(audio: Audio, iterations: int = 32) -> Audio:
    """Throw the phase away and look for it again."""
    import torch

    from hf_model.audio.grid import PIANO_STFT
    from hf_model.audio.stft import stft

    rebuilt = griffin_lim(stft(torch.from_numpy(audio), PIANO_STFT).abs(), iterations).numpy()
    return np.pad(rebuilt, (0, len(audio) - len(rebuilt)))


def show(text: str) -> None:
    """Say on the terminal how far it is."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
