"""Five models that each held other singers out: ``python bench/transcriber_folds.py --mirror FOLDER --out FOLDS``.

FOLDER has the layout of the public sources. Each model is trained as the profile ``clean`` of params.yaml says, from
the weights of made voices on, without the recordings of its fold; ``bench/transcriber.py --folds`` measures it on them.
Its decoder and its confidences are fitted on what the other folds heard in recordings that they never met, as they are
and in worlds as in training, with somebody talking when the song is over; the last line printed is the decoder fitted
on all of them, for a model that heard every recording. With ``--decoders reports/transcriber/decoders.json`` they get
what earlier weights were given in that way, fold by fold, and only the confidences are fitted.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from transcriber_figures import matches

from hf_model.alignment.align import AlignSettings, align
from hf_model.alignment.manifest import read_manifest, voice_path
from hf_model.audio.recording import read_recording
from hf_model.augmentation.augment import AugmentConfig, augment
from hf_model.augmentation.noise import RATE, noise
from hf_model.config import from_mapping, to_mapping
from hf_model.corpora.catalogue import DownloadSettings
from hf_model.corpora.download import download
from hf_model.evaluation.cross_validation import N_FOLDS, assign_folds
from hf_model.notes.note import Note
from hf_model.shards.plan import StftSettings
from hf_model.shards.writer import write_shards
from hf_model.training.decoder_tuning import fit_decoder
from hf_model.training.tasks import TranscriberTask, TranscriberTraining
from hf_model.training.trainer import train
from hf_model.transcriber.confidence import Clues, fit_weights
from hf_model.transcriber.decoding import DecoderConfig, Evidence
from hf_model.transcriber.network import Transcriber
from stages import _run

PROFILE = "clean"
ROUNDS = 144
"""Decoder settings tried."""

TALK_SHARE = 0.1
"""Of a recording's length, the talk after it."""


def main() -> None:
    """Train the folds that are not there yet."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--mirror", required=True, help="folder or URL with the layout of the public sources")
    parser.add_argument("--out", type=Path, required=True, help="where the models are written: OUT/0 to OUT/4")
    parser.add_argument("--start", help="a transcriber of made voices to start from, instead of the one that ships")
    parser.add_argument("--decoders", type=Path, help="decoders of earlier folds, instead of fitting them")
    arguments = parser.parse_args()
    given = read_decoders(arguments.decoders) if arguments.decoders else {}
    settings = _run.settings("train.transcriber", TranscriberTraining, profile=PROFILE)
    settings = replace(settings, start=arguments.start or settings.start)
    arguments.out.mkdir(parents=True, exist_ok=True)
    workers = os.cpu_count() or 1
    with tempfile.TemporaryDirectory(dir=arguments.out) as folder:
        raw, aligned, shards = (Path(folder) / name for name in ("raw", "aligned", "shards"))
        raw.mkdir()
        wanted = _run.settings("download", DownloadSettings, profile=PROFILE)
        download(wanted, raw, Path(folder) / "cache", arguments.mirror)
        (raw / "corpora.json").write_text(json.dumps(wanted.corpora), encoding="utf-8")  # made voices among them
        align(raw, aligned, _run.settings("align", AlignSettings, profile=PROFILE), workers)
        notes = Counter[str]()
        for pair in read_manifest(aligned / "ssvd/manifest.parquet"):
            notes[pair.singer] += len(pair.notes)
        folds = assign_folds(notes)
        if given:
            refuse_strange_folds(given, folds)
        for number, singers in enumerate(folds):
            model = arguments.out / str(number)
            if (model / "config.json").is_file():
                sys.stderr.write(f"{model} is there already\n")
                continue
            shards.mkdir()
            split = _run.settings("stft", StftSettings, profile=PROFILE)
            write_shards(aligned, shards, replace(split, test_singers=tuple(singers)), workers)
            figures = train(
                TranscriberTask(settings),
                shards,
                model,
                Path(folder) / "checkpoints",
                progress=sys.stderr.isatty(),
                held_out=singers,
            )
            told = ", ".join(f"{name} {value:.3f}" for name, value in figures.items())
            print(f"fold {number} without {', '.join(singers)}: {told}", flush=True)
            shutil.rmtree(shards)
            shutil.rmtree(Path(folder) / "checkpoints")
        heard = [listen(aligned, arguments.out / str(number)) for number in range(N_FOLDS)]
    fit(heard, folds, arguments.out, given)


def read_decoders(path: Path) -> dict[tuple[str, ...], DecoderConfig]:
    """Read decoders by the singers on whom they were not fitted; none for the one that was fitted on all."""
    items = json.loads(path.read_text(encoding="utf-8"))
    return {tuple(one["held_out"]): from_mapping(DecoderConfig, one["decoder"], "decoder") for one in items}


def refuse_strange_folds(given: Mapping[tuple[str, ...], DecoderConfig], folds: Sequence[Sequence[str]]) -> None:
    """End the program, before an hour of training, if a fold would have no decoder."""
    missing = sorted({(), *map(tuple, folds)} - set(given))
    if missing:
        sys.exit(f"no decoder is given for folds without {missing}")


class Heard(NamedTuple):
    """What a fold's model made of a recording that it never met, and the recording's notes."""

    evidence: Evidence
    notes: list[Note]


def fit(
    heard: Sequence[list[Heard]],
    folds: Sequence[Sequence[str]],
    out: Path,
    given: Mapping[tuple[str, ...], DecoderConfig],
) -> None:
    """Give every fold's model a decoder that its own recordings had no part in, and print the one of all."""
    without = [
        [one for other, part in enumerate(heard) if other != number for one in part] for number in range(N_FOLDS)
    ]
    everything = [one for part in heard for one in part]
    with ProcessPoolExecutor(os.cpu_count() or 1, mp_context=multiprocessing.get_context("spawn")) as pool:
        *decoders, of_all = pool.map(fitted, [*without, everything], map(given.get, [*map(tuple, folds), ()]))
    for number, decoder in enumerate(decoders):
        model = out / str(number)
        Transcriber.from_pretrained(model).save_pretrained(model, decoder=to_mapping(decoder))
    print("of all folds:", json.dumps(to_mapping(of_all)))


def listen(aligned: Path, folder: Path) -> list[Heard]:
    """Let a fold's model hear the recordings that it never met: as they are, and in worlds, with talk after them."""
    model = Transcriber.from_pretrained(folder)
    heard = []
    for number, pair in enumerate(read_manifest(aligned / "ssvd/manifest.parquet")):
        if pair.singer in model.facts["held_out"] and pair.kept:
            voice = read_recording(voice_path(aligned, pair.corpus, pair.pair_id)).voice
            for sound in (voice, in_a_world(then_talk(voice, number), number)):
                evidence = model.config.evidence(*model.posteriors(sound), DecoderConfig())
                heard.append(Heard(evidence, list(pair.notes)))
    return heard


def then_talk(voice: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    """Add somebody who talks after the song, as loud as it was: decoders that hear songs alone find notes in talk."""
    talk = noise("talk", TALK_SHARE * len(voice) / RATE, seed)
    level = np.sqrt(np.mean(np.square(voice)) / max(float(np.mean(np.square(talk))), 1e-12))
    return np.concatenate([voice, (level * talk).astype(np.float32)])


def in_a_world(voice: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    """Put a voice into a room, noise, a telephone, as training does; its notes stay where they are."""
    config = AugmentConfig(stretch=1.0, neighbour=0.0, voiceless=0.0)
    waveform = torch.from_numpy(voice[: len(voice) // 160 * 160])[None]
    n_frames = torch.tensor([1 + waveform.shape[1] // 160])
    changed, _, _ = augment(waveform, torch.zeros(1, 1, 4), n_frames, config, torch.Generator().manual_seed(seed))
    return changed[0].numpy()


def fitted(heard: list[Heard], decoder: DecoderConfig | None = None) -> DecoderConfig:
    """Fit a decoder to what was heard, if none is given, and then the weights of its confidences."""
    if decoder is None:
        decoder, _ = fit_decoder([(one.evidence.decode, one.notes) for one in heard], DecoderConfig(), ROUNDS)
    clues: list[Clues] = []
    right: list[bool] = []
    for one in heard:
        found = one.evidence.decode_with_clues(decoder)
        matched = {index for _, index in matches(one.notes, [note for note, _ in found], "conp")}
        clues += [seen for _, seen in found]
        right += [index in matched for index in range(len(found))]
    return replace(decoder, confidence=fit_weights(clues, right))


if __name__ == "__main__":
    main()
