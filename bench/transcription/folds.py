"""Train five models that each hold other singers out, for ``python -m bench accuracy --folds``.

Each model is trained with the profile ``clean`` of params.yaml, starting from the weights of synthetic voices, without
the recordings of its fold. Its decoder and its confidences are fitted on the other folds' models and the recordings
that these held out, clean and augmented with speech after the song; the last line printed is the decoder fitted on
all of them, for a model that is trained on every recording. With --decoders reports/transcriber/decoders.json the
decoders of earlier weights are used, fold by fold, and only the confidences are fitted. In MLflow the folds are nested
below one run.
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

from hf_model.alignment.align import AlignSettings, align
from hf_model.alignment.manifest import read_manifest, voice_path
from hf_model.audio.grid import VOICE_STFT
from hf_model.audio.recording import read_recording
from hf_model.augmentation.augment import AugmentConfig, augment
from hf_model.augmentation.noise import noise
from hf_model.config import from_mapping, to_mapping
from hf_model.corpora.catalogue import DownloadSettings
from hf_model.corpora.download import download
from hf_model.evaluation.cross_validation import N_FOLDS, assign_folds
from hf_model.evaluation.note_matching import match_pairs
from hf_model.notes.note import Note
from hf_model.shards.plan import StftSettings
from hf_model.shards.writer import write_shards
from hf_model.training.decoder_tuning import fit_decoder
from hf_model.training.tasks import TranscriberTask, TranscriberTraining
from hf_model.training.trainer import train
from hf_model.transcriber.confidence import ConfidenceFeatures, fit_weights
from hf_model.transcriber.decoding import DecoderConfig, Evidence
from hf_model.transcriber.network import TranscriberNetwork
from hf_model.transcriber.transcriber import Transcriber
from stages import _run
from stages.tracking import runs

PROFILE, SOURCE = "clean", "bench/transcription/folds.py"
ROUNDS = 144
"""Decoder settings tried."""

SPEECH_SHARE = 0.1
"""Length of the speech after a recording, as a share of it."""


class Example(NamedTuple):
    """What a fold's model computes of a recording that it held out, and the recording's notes."""

    evidence: Evidence
    notes: list[Note]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--mirror", required=True, help="folder or URL with the layout of the public sources")
    parser.add_argument("--out", type=Path, required=True, help="where the models are written: OUT/0 to OUT/4")
    parser.add_argument("--start", help="weights to start from; default: those of the profile `clean`")
    parser.add_argument("--decoders", type=Path, help="decoders of earlier folds, instead of fitting them")


def run(options: argparse.Namespace) -> None:
    """Train the folds that do not exist yet, and fit their decoders."""
    given = read_decoders(options.decoders) if options.decoders else {}
    settings = _run.settings("train.transcriber", TranscriberTraining, profile=PROFILE)
    settings = replace(settings, start=options.start or settings.start)
    options.out.mkdir(parents=True, exist_ok=True)
    workers = os.cpu_count() or 1
    with tempfile.TemporaryDirectory(dir=options.out) as folder:
        raw, aligned = Path(folder) / "raw", Path(folder) / "aligned"
        raw.mkdir()
        wanted = _run.settings("download", DownloadSettings, profile=PROFILE)
        download(wanted, raw, Path(folder) / "cache", options.mirror)
        (raw / "corpora.json").write_text(json.dumps(wanted.corpora), encoding="utf-8")  # synthetic voices as well
        align(raw, aligned, _run.settings("align", AlignSettings, profile=PROFILE), workers)
        notes = Counter[str]()
        for pair in read_manifest(aligned / "ssvd/manifest.parquet"):
            notes[pair.singer] += len(pair.notes)
        folds = assign_folds(notes)
        if given:
            check_decoders(given, folds)
        for number, singers in enumerate(folds):
            if (options.out / str(number) / "config.json").is_file():
                sys.stderr.write(f"{options.out / str(number)} exists already\n")
            else:
                _train_fold(settings, aligned, options.out / str(number), singers, workers)
        examples = [compute_examples(aligned, options.out / str(number)) for number in range(N_FOLDS)]
    _fit_all(examples, folds, options.out, given)


def read_decoders(path: Path) -> dict[tuple[str, ...], DecoderConfig]:
    """Read decoders by the singers on whom they were not fitted; none for the one that was fitted on all."""
    items = json.loads(path.read_text(encoding="utf-8"))
    return {tuple(one["held_out"]): from_mapping(DecoderConfig, one["decoder"], "decoder") for one in items}


def check_decoders(given: Mapping[tuple[str, ...], DecoderConfig], folds: Sequence[Sequence[str]]) -> None:
    """Exit before the training if a fold has no decoder."""
    missing = sorted({(), *map(tuple, folds)} - set(given))
    if missing:
        sys.exit(f"no decoder is given for folds without {missing}")


def _train_fold(
    settings: TranscriberTraining, aligned: Path, model: Path, singers: Sequence[str], workers: int
) -> None:
    shards, checkpoints = aligned.with_name("shards"), aligned.with_name("checkpoints")
    shards.mkdir()
    split = _run.settings("stft", StftSettings, profile=PROFILE)
    write_shards(aligned, shards, replace(split, test_singers=tuple(singers)), workers)
    task, show = TranscriberTask(settings), sys.stderr.isatty()
    name, tags = (
        f"fold {model.name}",
        {"profile": PROFILE, "held_out": ", ".join(singers), "mlflow.source.name": SOURCE},
    )
    with runs.nested_run("folds", "transcriber", name, to_mapping(settings), tags) as tracker:
        figures = train(task, shards, model, checkpoints, loggers=[tracker], progress=show, held_out=singers)
        tracker.log_figures({f"best/{name}": value for name, value in figures.items()})
        tracker.log_artifact(model, "model_folder")
    scores = ", ".join(f"{name} {value:.3f}" for name, value in figures.items())
    print(f"fold {model.name} without {', '.join(singers)}: {scores}", flush=True)
    shutil.rmtree(shards)
    shutil.rmtree(checkpoints)


def compute_examples(aligned: Path, folder: Path) -> list[Example]:
    """Compute the posteriors of the recordings that a fold's model held out: clean, and augmented with speech."""
    model = Transcriber.from_pretrained(folder)
    examples = []
    for number, pair in enumerate(read_manifest(aligned / "ssvd/manifest.parquet")):
        if pair.singer in model.facts["held_out"] and pair.kept:
            voice = read_recording(voice_path(aligned, pair.corpus, pair.pair_id)).voice
            for audio in (voice, augmented(add_speech(voice, number), number)):
                onset, offset, voicing, pitch = model.posteriors(audio)
                evidence = model.config.evidence(onset, offset, voicing, pitch, DecoderConfig())
                examples.append(Example(evidence, list(pair.notes)))
    return examples


def add_speech(voice: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    """Append speech at the level of the song: decoders that are fitted on songs alone find notes in speech."""
    speech = noise("talk", SPEECH_SHARE * len(voice) / VOICE_STFT.sample_rate, seed)
    level = np.sqrt(np.mean(np.square(voice)) / max(float(np.mean(np.square(speech))), 1e-12))
    return np.concatenate([voice, (level * speech).astype(np.float32)])


def augmented(voice: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    """Add a room, noise or a telephone as in training; the notes keep their times."""
    config, hop = AugmentConfig(stretch=1.0, neighbour=0.0, voiceless=0.0), VOICE_STFT.hop_length
    waveform = torch.from_numpy(voice[: len(voice) // hop * hop])[None]
    n_frames = torch.tensor([1 + waveform.shape[1] // hop])
    changed, _, _ = augment(waveform, torch.zeros(1, 1, 4), n_frames, config, torch.Generator().manual_seed(seed))
    return np.asarray(changed[0].numpy())


def fit(examples: Sequence[Example], decoder: DecoderConfig | None = None) -> DecoderConfig:
    """Fit a decoder if none is given, and then the weights of its confidences."""
    if decoder is None:
        decoder, _ = fit_decoder([(one.evidence.decode, one.notes) for one in examples], DecoderConfig(), ROUNDS)
    features: list[ConfidenceFeatures] = []
    right: list[bool] = []
    for one in examples:
        found = one.evidence.decode_with_features(decoder)
        matched = {index for _, index in match_pairs(one.notes, [note for note, _ in found], "conp")}
        features += [one for _, one in found]
        right += [index in matched for index in range(len(found))]
    return replace(decoder, confidence=fit_weights(features, right))


def _fit_all(
    examples: Sequence[list[Example]],
    folds: Sequence[Sequence[str]],
    out: Path,
    given: Mapping[tuple[str, ...], DecoderConfig],
) -> None:
    """Save a decoder with every fold's model that was not fitted on its recordings, and print the one of all."""
    others = [[one for k, part in enumerate(examples) if k != number for one in part] for number in range(N_FOLDS)]
    everything = [one for part in examples for one in part]
    with ProcessPoolExecutor(os.cpu_count() or 1, mp_context=multiprocessing.get_context("spawn")) as pool:
        *decoders, of_all = pool.map(fit, [*others, everything], map(given.get, [*map(tuple, folds), ()]))
    for number, decoder in enumerate(decoders):
        model = out / str(number)
        TranscriberNetwork.from_pretrained(model).save_pretrained(model, decoder=to_mapping(decoder))
    print("of all folds:", json.dumps(to_mapping(of_all)))
