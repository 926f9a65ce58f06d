"""What more singing and a larger network buy: trainings on made voices alone, scored on recordings.

The first step wants many cores, the second a GPU; they may run at the same time:

    python bench/transcriber_scale.py make --voices V --phrases 30000 --raw data/raw
    python bench/transcriber_scale.py train --voices V --runs 0.3:300:3000 1.2:30000:3000 --out MODELS
    python bench/scale_report.py --models MODELS --mirror FOLDER

A run is millions of parameters : phrases : steps. Phrases are those of the align stage, every other one on a melody of
POP909 where ``--raw`` holds its scores (``python -m hf_model.corpora.score_file pop909 data/raw ELSEWHERE``); V may
be a folder
in memory, since shards of so many would not fit on a disk. Network, worlds, loss and schedule are those of the profile
``made``. The last command scores them.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from scale_voices import Voices, make_voices, open_voices, unmet_voices
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from hf_model.audio.grid import VOICE_STFT
from hf_model.audio.stft import stft
from hf_model.config import from_mapping, to_mapping
from hf_model.pretrained import read_config, ship
from hf_model.training.dataset import collate
from hf_model.training.fit_config import FitConfig
from hf_model.training.tasks import TranscriberTask, TranscriberTraining
from hf_model.training.trainer import Fit
from hf_model.transcriber.decoding import DecoderConfig
from hf_model.transcriber.network import TranscriberConfig
from hf_model.weights import WEIGHTS
from stages import _run

SIZES = {"0.3": (12, 72), "1.2": (16, 160), "3": (32, 256)}
"""Millions of parameters: channels and width."""

PROFILE = "made"
UNMET_PHRASES, UNMET_FRAMES, UNMET_AT_ONCE = 48, 1025, 16
"""What a validation looks at."""

FIRST_PHRASES = 300
"""How many a training waits for; the others may come while it goes on."""


class Crops(IterableDataset[dict[str, Tensor]]):
    """The crops of one interval of a training, drawn from all phrases that there are by then.

    Parameters
    ----------
    voices : sequence of Voices
        Which take turns.
    n_phrases : int
        At most, of all voices together.
    fit : FitConfig
    now : callable
        Gives the step that comes next.
    """

    def __init__(self, voices: Sequence[Voices], n_phrases: int, fit: FitConfig, now: Callable[[], int]) -> None:
        self.voices, self.fit, self.now = voices, fit, now
        self.most = min(-(-n_phrases // len(voices)), *(len(one.lengths) for one in voices))
        self.n_samples = (fit.crop_frames - 1) * VOICE_STFT.hop_length
        self.ready = 0

    def __len__(self) -> int:
        """Count the steps of an interval; the last may be a short one."""
        return min(self.fit.validate_every, self.fit.steps - self.now())

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        """Yield batches: voice (batch, sample), int16; notes and n_frames as the stft stage has them."""
        start, size = self.now(), self.fit.batch_size
        for one in self.voices:
            one.wait(min(self.most, FIRST_PHRASES))
        for step in range(start, min(start + self.fit.validate_every, self.fit.steps)):
            while self.ready < self.most and all(one.lengths[self.ready] for one in self.voices):
                self.ready += 1
            yield collate([self._crop(step * size + slot) for slot in range(size)])

    def _crop(self, number: int) -> dict[str, Tensor]:
        rng = np.random.default_rng([self.fit.seed, number])
        voices, phrase = self.voices[number % len(self.voices)], int(rng.integers(self.ready))
        start = int(rng.integers(max(1, int(voices.lengths[phrase]) - self.n_samples)))
        return voices.example(phrase, start, self.n_samples)


class ScaleFit(Fit):
    """A training whose batches hold audio: spectra are taken on the device."""

    def on_after_batch_transfer(self, batch: dict[str, Tensor], *_: Any) -> dict[str, Tensor]:
        """Bring a batch into the shape that the shards' have."""
        voice = batch.pop("voice") / 32767
        return {**batch, "voice_stft": stft(voice, VOICE_STFT)}


def train(options: argparse.Namespace) -> None:
    """Do the runs one after the other; several programs share a GPU better than one keeps it busy."""
    torch.set_float32_matmul_precision("high")
    voices = [open_voices(folder) for folder in options.voices]
    strangers, n_samples = unmet_voices(UNMET_PHRASES, 0), (UNMET_FRAMES - 1) * VOICE_STFT.hop_length
    unmet = [strangers.example(number, 0, n_samples) for number in range(UNMET_PHRASES)]
    until = time.monotonic() + options.seconds if options.seconds else math.inf
    for run in options.runs:
        size, n_phrases, steps = run.split(":")
        train_one(options, voices, unmet, size, int(n_phrases), int(steps), until - time.monotonic())


def train_one(
    options: argparse.Namespace,
    voices: Sequence[Voices],
    unmet: list[dict[str, Tensor]],
    size: str,
    n_phrases: int,
    steps: int,
    seconds: float,
) -> None:
    """Train one network, and keep the mean of its averages and the last of them."""
    channels, width = SIZES[size]
    settings = _run.settings("train.transcriber", TranscriberTraining, profile=PROFILE)
    batch = options.batch or settings.fit.batch_size
    fit = replace(settings.fit, steps=steps, batch_size=batch, validate_every=-(-steps // 3))
    decoder = from_mapping(DecoderConfig, read_config(WEIGHTS / "transcriber_made")["decoder"], "decoder")
    shape = TranscriberConfig(channels=channels, width=width)
    task = TranscriberTask(replace(settings, model=shape, fit=fit, decoder=decoder))
    module = ScaleFit(task, UNMET_PHRASES // UNMET_AT_ONCE)
    trainer = pl.Trainer(
        accelerator="auto",
        devices=1,
        precision="bf16-mixed",
        max_steps=steps,
        max_time={"seconds": max(1, int(seconds))} if math.isfinite(seconds) else None,
        gradient_clip_val=fit.clip,
        reload_dataloaders_every_n_epochs=1,
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        benchmark=False,  # a dozen lengths of crops, each tried anew, would cost a minute
    )
    crops = Crops(voices, n_phrases, fit, lambda: int(trainer.global_step))
    started = time.perf_counter()
    trainer.fit(
        module,
        DataLoader(crops, batch_size=None, num_workers=1, multiprocessing_context="fork", prefetch_factor=6),
        DataLoader(unmet, batch_size=UNMET_AT_ONCE, collate_fn=collate),  # type: ignore[arg-type]
    )
    facts = {
        "valid": module.best,
        "seconds": round(time.perf_counter() - started, 1),
        "steps": trainer.global_step,
        "phrases": min(n_phrases, sum(one.n_ready() for one in voices)),
        "batch": batch,
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
    }
    print(f"{size} M, {n_phrases} phrases: {json.dumps(facts)}", flush=True)
    name = "-".join([size, str(n_phrases), str(steps), *([options.label] if options.label else [])])
    for kept, model in (("mean", module.kept), ("last", module.average)):
        folder = options.out / name / kept
        model.save_pretrained(folder, decoder=to_mapping(decoder), **facts)
        ship(folder, folder)


def main() -> None:
    """Do one of the steps."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    steps = parser.add_subparsers(dest="step", required=True)
    making = steps.add_parser("make", help="sing phrases")
    making.add_argument("--voices", type=Path, required=True, help="a folder that is not there yet")
    making.add_argument("--phrases", type=int, required=True)
    making.add_argument("--raw", type=Path, help="what the download stage brought, POP909 packed by score_file")
    making.add_argument("--seed", type=int, default=0)
    making.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    training = steps.add_parser("train", help="train networks")
    training.add_argument("--voices", type=Path, nargs="+", required=True, help="which take turns")
    training.add_argument("--runs", nargs="+", required=True, help="millions of parameters : phrases : steps")
    training.add_argument("--batch", type=int, help="crops a step, instead of the profile's")
    training.add_argument("--seconds", type=float, help="end after so long, wherever the runs are")
    training.add_argument("--label", default="", help="appended to the names of the runs")
    training.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    if options.step == "make":
        make_voices(options.voices, options.phrases, options.raw, options.seed, options.workers)
    else:
        train(options)


if __name__ == "__main__":
    main()
