"""Measure the separator beside the original in float32, and the decision between voice and song; --fit fits the latter.

SI-SDR improvement of the voice on songs of everythingisfree and on recorded voices over bands (below 8 kHz) whose sound
font and song are used for nothing else. The original: Spleeter's variables in float32, segments of 512 frames without
overlap, no mask above 11 kHz. The decision is measured on clips of other singers, songs and sound fonts than it was
fitted to, and on excerpts of vocadito, csd, ultrastar and the bands of everythingisfree.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F  # noqa: N812

from bench.songs.source_clips import RATE, TEST_STEMS, TRAIN_STEMS, Clip, make_clips, read_material
from hf_model.audio.grid import PIANO_SAMPLE_RATE
from hf_model.audio.io import read_audio, to_mono
from hf_model.audio.resampling import resample
from hf_model.audio.stft import istft, stft
from hf_model.evaluation.report import markdown_table
from hf_model.separator.choice import SeparatorLike, load_separator
from hf_model.separator.config import SEPARATOR_STFT
from hf_model.separator.convert_spleeter import convert
from hf_model.separator.network import SeparatorNetwork
from hf_model.separator.source import EXCERPT_SECONDS, detect_source

Stereo = NDArray[np.float32]

PARTS = ("songs", "made", "decisions")
SEGMENT_FRAMES, MADE_SONGS = 512, 12
TEST_SEED = 2

FIT_CLIPS = {1001: 300, 1002: 400, 1003: 400}
"""By seed, how many clips of each kind the decision is fitted to."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--mirror", type=Path, required=True, help="folder with the layout of the public sources")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--separator", default="default", help="as hummingface convert --separator")
    parser.add_argument("--clips", type=int, default=200, help="clips of each kind for the decisions")
    parser.add_argument("--fit", action="store_true", help="fit the decision and write hf_model/weights/source")
    parser.add_argument("--out", type=Path, help="file for the figures as JSON")


def run(options: argparse.Namespace) -> None:
    """Measure or fit, and print tables."""
    separator = load_separator(options.separator)
    if options.fit:
        from bench.songs.source_fit import fit

        material = read_material(options.mirror, test=False)
        fit((clip for seed, count in FIT_CLIPS.items() for clip in make_clips(material, count, seed)), separator)
        return
    report: dict[str, Any] = {}
    for part in options.parts:
        if part == "decisions":
            report[part] = decisions(options.mirror, separator, options.clips)
            rows = [[kind, f"{n_right}/{n}", percent(n_right, n)] for kind, (n_right, n) in report[part].items()]
            print("\n".join(markdown_table("recordings | right | share with 95 % interval", rows)), flush=True)
            continue
        songs = recorded_songs(options.mirror) if part == "songs" else made_songs(options.mirror)
        original = read_original(options.mirror)
        report[part] = [improvements(name, mix, voice, separator, original) for name, mix, voice in songs]
        rows = [[str(value) for value in row.values()] for row in report[part]]
        print("\n".join(markdown_table(" | ".join(report[part][0]), rows)), flush=True)
    if options.out:
        options.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def improvements(
    name: str, mix: Stereo, voice: Stereo, separator: SeparatorLike, original: SeparatorNetwork
) -> dict[str, str | float]:
    """Measure one song: SI-SDR of the mix, improvements in dB, times real time."""
    before = si_sdr(voice, mix)
    start = time.perf_counter()
    ours = np.concatenate(list(separator.separate([mix])), axis=1)
    speed = mix.shape[1] / PIANO_SAMPLE_RATE / (time.perf_counter() - start)
    return {
        "song": name,
        "mix, dB": round(before, 1),
        "original": round(si_sdr(voice, separate_like_original(original, mix)) - before, 2),
        "ours": round(si_sdr(voice, ours) - before, 2),
        "times real time": round(speed, 1),
    }


def si_sdr(reference: Stereo, estimate: Stereo) -> float:
    """Scale-invariant signal-to-distortion ratio of both channels together, dB."""
    scaled = reference * (
        np.sum(reference * estimate, dtype=np.float64) / np.sum(np.square(reference, dtype=np.float64))
    )
    error = np.sum(np.square(estimate - scaled, dtype=np.float64))
    return float(10.0 * np.log10(np.sum(np.square(scaled, dtype=np.float64)) / error))


@torch.inference_mode()
def separate_like_original(separator: SeparatorNetwork, mix: Stereo) -> Stereo:
    """Separate as Spleeter does, in float32."""
    spectrum = stft(torch.from_numpy(mix), SEPARATOR_STFT)
    n_bins = separator.config.n_bins
    magnitude = spectrum.abs()[..., :n_bins]
    padded = F.pad(magnitude, (0, 0, 0, -magnitude.shape[1] % SEGMENT_FRAMES))
    parts = [separator(part[None])[0] for part in torch.split(padded, SEGMENT_FRAMES, dim=1)]
    mask = torch.cat(parts, dim=1)[:, : magnitude.shape[1]]
    full = F.pad(mask, (0, SEPARATOR_STFT.n_bins - n_bins))
    separated: Stereo = istft(spectrum * full, SEPARATOR_STFT, mix.shape[1]).numpy()
    return separated


def read_original(mirror: Path) -> SeparatorNetwork:
    """Read Spleeter's variables without quantising them."""
    with np.load(mirror / "spleeter" / "2stems-float16.npz") as variables:
        return convert(variables)


def recorded_songs(mirror: Path) -> Iterator[tuple[str, Stereo, Stereo]]:
    """Name, mix and voice (2, sample) of the songs of everythingisfree."""
    for name in (*TRAIN_STEMS, *TEST_STEMS):
        voice, backing = (
            read_audio(mirror / "everythingisfree" / name / f"{stem}.ogg")[0] for stem in ("lead", "backing")
        )
        length = min(voice.shape[1], backing.shape[1])
        yield name, voice[:, :length] + backing[:, :length], voice[:, :length]


def made_songs(mirror: Path) -> Iterator[tuple[str, Stereo, Stereo]]:
    """Mix recorded voices with bands at -6 to +6 dB; mono on both channels."""
    material = read_material(mirror, test=True)
    rng = np.random.default_rng(TEST_SEED)
    bands = [band for kind, band in material.bands if kind == "band"]
    for number in range(MADE_SONGS):
        voice, band = material.recorded[number], bands[number % len(bands)]
        length = min(len(voice), len(band))
        level = rng.uniform(-6.0, 6.0)
        powers = [float(np.mean(np.square(part[:length]))) for part in (voice, band)]
        voice = voice[:length] * np.float32(np.sqrt(powers[1] / powers[0]) * 10.0 ** (level / 20.0))
        both = [resample(part, RATE, PIANO_SAMPLE_RATE) for part in (voice + band[:length], voice)]
        gain = 0.7 / np.abs(both[0]).max()
        mix, alone = (np.stack([part, part]) * np.float32(gain) for part in both)
        yield f"made {number}, {level:+.0f} dB", mix, alone


def decisions(mirror: Path, separator: SeparatorLike, count: int) -> dict[str, tuple[int, int]]:
    """Count the right decisions by kind, and of all lone voices and all songs."""
    found: dict[str, list[bool]] = {}
    clips = make_clips(read_material(mirror, test=True), count, TEST_SEED)
    for source, items in (("made", clips), ("real", real_clips(mirror))):
        for clip in items:
            is_right = (detect_source(clip.audio, lambda: separator).kind == "song") == clip.is_song
            found.setdefault(f"{source}: {clip.kind}", []).append(is_right)
            found.setdefault(f"{source}, all {'songs' if clip.is_song else 'lone voices'}", []).append(is_right)
    return {kind: (sum(right), len(right)) for kind, right in sorted(found.items())}


def real_clips(mirror: Path) -> Iterator[Clip]:
    """Excerpts of ten seconds of recordings that nothing was fitted to."""
    folders = {
        "csd": ("csd/english/mp3/*.mp3", False),
        "vocadito": ("vocadito/**/*.wav", False),
        "ultrastar": ("ultrastar/*.ogg", True),
        "everythingisfree, band only": ("everythingisfree/*ium/backing.ogg", True),
    }
    for kind, (pattern, is_song) in folders.items():
        for path in sorted(mirror.glob(pattern)):
            audio, rate = read_audio(path)
            mono = resample(to_mono(audio), rate, RATE)
            length = round(EXCERPT_SECONDS * RATE)
            for start in range(0, len(mono) - length // 2, length):
                yield Clip(mono[start : start + length], kind, is_song)


def percent(n_right: int, n: int, z: float = 1.96) -> str:
    """Share of right decisions with Wilson's interval."""
    share = n_right / n
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    reach = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return f"{100 * share:.1f} % [{100 * (middle - reach):.1f}, {100 * min(1.0, middle + reach):.1f}]"
