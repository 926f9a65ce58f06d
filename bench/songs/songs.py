"""Measure transcribers of songs, with the separator and without it, beside swift-f0 and basic-pitch.

Sets: ultrastar (karaoke notes; two songs only with --unseen), everythingisfree (the mix against the notes of its own
lead stem, as the default transcriber finds them), made songs whose voice, song and sound font are unseen in training
(voice as loud as the band), and made songs without a singer. Intervals: 95 % bootstrap over windows of ten seconds.
Writes reports/songs.md, its figures and pictures; sets and systems that are not measured stay as they are.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.songs.song_metrics import karaoke_figures, note_figures, rest_figures
from bench.songs.song_report import save_song_picture, write_song_report
from bench.songs.song_sets import INSTRUMENTAL, KARAOKE, MADE, OWN_STEMS, SETS, STEMS, SongItem, Transcribe, read_set
from hf_model.alignment.band_audio import BAND_SAMPLE_RATE
from hf_model.audio.grid import VOICE_STFT
from hf_model.audio.io import to_mono
from hf_model.audio.resampling import resample
from hf_model.evaluation.baselines import BASELINES, installed
from hf_model.notes.note import Note
from hf_model.preparation.octaves import correct_octaves
from hf_model.separator.choice import SeparatorLike, load_separator
from hf_model.separator.voice_part import blend
from hf_model.transcriber.lead import choose_lead
from hf_model.transcriber.transcriber import Transcriber
from hf_model.weights import WEIGHTS

PEERS = ("swift_f0", "basic_pitch")
OWN = ("transcriber", "transcriber_made", "transcriber_songs")
SOUNDS = ("mix", "separated", "blended")
SIDE = "side"
"""Half the difference of the channels of the separated voice."""

SHIPS = "what ships"
"""Blended, transcribed by the transcriber for songs, and reduced to the lead vocal."""

CEILING = "the lead stem itself"
"""What a perfect separation would give."""

PICTURES = {MADE: ("045", 10.0), STEMS: ("lithium", 20.0)}
"""Song and start (seconds) of the pictures."""


def systems(models: list[Path], peers: list[str]) -> dict[str, Transcribe]:
    """Load our transcribers, and those peers that are installed."""
    found: dict[str, Transcribe] = {path.name: Transcriber.from_pretrained(path).transcribe for path in models}
    for name in installed(peers):
        function = BASELINES[name][1]
        found[name] = lambda voice, function=function: function(voice, VOICE_STFT.sample_rate)  # type: ignore[misc]
    return found


def sounds_of(item: SongItem, separator: SeparatorLike) -> dict[str, NDArray[np.float32]]:
    """Return the mix, the separated voice, this with a little of the band, and the voice's side, mono at 16 kHz."""
    stereo = np.concatenate(list(separator.separate([item.mix])), axis=1)
    parts = (to_mono(item.mix), to_mono(stereo), 0.5 * (stereo[0] - stereo[1]))
    mix, voice, side = (resample(part, BAND_SAMPLE_RATE, VOICE_STFT.sample_rate) for part in parts)
    return dict(zip((*SOUNDS, SIDE), (mix, voice, blend(voice, mix - voice), side), strict=True))


def measure(
    name: str, items: Iterator[SongItem], found: dict[str, Transcribe], separator: SeparatorLike, out: Path | None
) -> dict[str, Any]:
    """Measure all systems on a set, with and without the separator; draw a picture into ``out``."""
    pairs: dict[tuple[str, str], list[tuple[list[Note], list[Note]]]] = {}
    seconds = []
    for item in items:
        sounds = sounds_of(item, separator)
        seconds.append(item.seconds)
        for system, transcribe in found.items():
            for sound in SOUNDS if system in OWN else SOUNDS[:2]:
                pairs.setdefault((system, sound), []).append((item.notes, transcribe(sounds[sound])))
        if OWN[-1] in found:
            notes = pairs[OWN[-1], "blended"][-1][1]
            voice = sounds["separated"]
            lead = choose_lead(notes, voice, sounds["mix"] - voice, VOICE_STFT.sample_rate, side=sounds[SIDE])
            lead = correct_octaves(lead, voice, VOICE_STFT.sample_rate)
            pairs.setdefault((OWN[-1], SHIPS), []).append((item.notes, lead))
            if item.lead is not None:
                pairs.setdefault((OWN[-1], CEILING), []).append((item.notes, found[OWN[-1]](item.lead)))
            if out and PICTURES.get(name, ("",))[0] == item.name:
                shown = {sound: sounds[sound] for sound in SOUNDS[:2]}
                save_song_picture(out / f"songs_{name}.png", item.name, shown, item.notes, lead, PICTURES[name][1])
    figures = {KARAOKE: karaoke_figures, INSTRUMENTAL: rest_figures}.get(name, note_figures)
    return {f"{system}, {sound}": figures(part, seconds) for (system, sound), part in pairs.items()}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--mirror", type=Path, required=True, help="folder with the layout of the public sources")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=SETS)
    parser.add_argument("--models", nargs="+", type=Path, default=[WEIGHTS / name for name in OWN])
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=PEERS)
    parser.add_argument("--separator", default="default", help="as hummingface convert --separator")
    parser.add_argument("--unseen", action="store_true", help="the two songs of ultrastar that no choice was made on")
    parser.add_argument("--out", type=Path, default=Path("reports"), help="folder of songs.md, songs.json and pictures")


def run(options: argparse.Namespace) -> None:
    """Measure the chosen sets, write and print the report."""
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "songs.json"
    report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    found = systems([model for model in options.models if (model / "config.json").is_file()], options.peers)
    separator = load_separator(options.separator)
    references = {name: Transcriber.from_pretrained(WEIGHTS / name).transcribe for name in (OWN[0], OWN[-1])}
    for name in [KARAOKE] if options.unseen else options.sets:
        reference = references[OWN[-1] if name == OWN_STEMS else OWN[0]]
        items = read_set(name, options.mirror, reference, unseen=options.unseen)
        key = f"{name}, unseen" if options.unseen else name
        report[key] = report.get(key, {}) | measure(name, items, found, separator, options.out)
        path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(write_song_report(options.out / "songs.md", report))
