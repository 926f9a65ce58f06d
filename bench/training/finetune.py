"""Fine-tune on five minutes of one singer, as the profile ``mine`` does, and write reports/transcriber/finetuning.md.

The singer is SSVD's largest group. Its songs are divided into parts; each part is held out once, and the model is
fine-tuned on five minutes of the other parts by the very commands that a user runs on recordings of their own. Measured
are the songs held out, and what was lost elsewhere: other singers of SSVD, the clip of CSD, and synthetic phrases. The
weights to start from are those of synthetic voices alone: the ones of the package were trained on these singers.

What is finished is kept in --out, so that the command can be interrupted and run again. With the songs of the first
part several shares of the old weights are compared (--shares); elsewhere only the share of the profile is measured.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track

from bench.training.finetune_songs import PROFILE, blend, choose_songs, divide, fine_tune
from bench.transcription.recordings import CORRECTED, SSVD, Clip, Recording, clip_of, made_clips, read_recordings
from hf_model.audio.grid import VOICE_STFT
from hf_model.audio.resampling import resample
from hf_model.evaluation.metrics import bootstrap_mean, note_scores
from hf_model.evaluation.report import format_interval, markdown_table
from hf_model.files import read_json, write_json
from hf_model.training.tasks import TranscriberTraining
from hf_model.transcriber.transcriber import Transcriber
from hf_model.weights import WEIGHTS
from stages import _run

GROUP = "ssvd-1201"
"""The largest group of recordings that may share a singer."""

HELD_OUT, OTHERS, CSD_CLIP, PHRASES = "songs held out", "other singers of SSVD", "clip of CSD", "synthetic phrases"
N_MADE, MADE_SECONDS, FIRST_SEED = 16, 10.0, 9_300_000
N_RESAMPLES = 2000
RATE = VOICE_STFT.sample_rate
LIMIT = 0.003
"""Largest loss of COnPOff elsewhere."""

Scores = dict[str, dict[str, float]]
"""COnPOff of each recording, by set and name."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--mirror", required=True, help="folder or URL with the layout of the public sources")
    parser.add_argument("--out", type=Path, default=Path("data/finetune"), help="work folder (default: %(default)s)")
    parser.add_argument("--parts", type=int, default=3, help="parts into which the songs are divided (%(default)s)")
    parser.add_argument("--only", type=int, nargs="+", help="parts to train and measure; default: all")
    parser.add_argument("--seconds", type=float, default=300.0, help="of the singer, for training (%(default)s)")
    parser.add_argument("--shares", type=float, nargs="+", default=[0.0, 0.3, 0.5], help="compared on part 0")
    parser.add_argument("--start", type=Path, default=WEIGHTS / "transcriber_made", help="weights to start from")
    parser.add_argument("--report", type=Path, default=Path("reports/transcriber/finetuning.md"))


def run(options: argparse.Namespace) -> None:
    """Fine-tune and measure what is not there yet, and write the report."""
    out, start = options.out.resolve(), options.start.resolve()
    share = _run.settings("train.transcriber", TranscriberTraining, profile=PROFILE).start_share
    with tempfile.TemporaryDirectory() as folder:
        recordings = read_recordings(options.mirror, Path(folder), os.cpu_count() or 1)
        songs = [one for one in recordings if one.singer == GROUP]
        parts = divide([song.name for song in songs], options.parts)
        sets = elsewhere(recordings)
        before: Scores = kept(out / "before.json", partial(measure, start, sets)) | {HELD_OUT: {}}
        measured = []
        for number in options.only or range(options.parts):
            root, held_out = out / f"part{number}", parts[number]
            own = {HELD_OUT: [clip_of(one, CORRECTED) for one in songs if one.name in held_out]}
            before[HELD_OUT] |= kept(root / "before.json", partial(measure, start, own))[HELD_OUT]
            chosen = choose_songs([one for one in songs if one.name not in held_out], options.seconds, number)
            facts = kept(root / "training.json", partial(fine_tune, root, chosen, start, options.mirror))
            after = {}
            for one in sorted({share, *(() if number else options.shares)}):
                function = partial(measure_blend, root, start, one, sets | own)
                after[f"{one:.2f}"] = kept(root / f"scores{one:.2f}.json", function)
            measured.append({"held_out": held_out, **facts, "after": after})
    text = report(before, measured, f"{share:.2f}")
    options.report.write_text(text, encoding="utf-8")
    print(text)


def elsewhere(recordings: Sequence[Recording]) -> dict[str, list[Clip]]:
    """Choose voices of others: every fourth recording of SSVD's other singers, the clip of CSD, synthetic phrases."""
    others = [clip_of(one, CORRECTED) for one in recordings if one.singer != GROUP]
    return {
        OTHERS: [one for one in others if one.corpus == SSVD][::4],
        CSD_CLIP: [one for one in others if one.corpus != SSVD],
        PHRASES: made_clips(N_MADE, MADE_SECONDS, FIRST_SEED),
    }


def measure(model: Path, sets: Mapping[str, Sequence[Clip]]) -> Scores:
    """Score a model on every recording of some sets."""
    transcriber = Transcriber.from_pretrained(model)
    return {
        name: {
            one.name: note_scores(one.notes, transcriber.transcribe(resample(one.audio, one.sample_rate, RATE)))[
                "conpoff"
            ]
            for one in track(clips, f"{model.name}: {name}")
        }
        for name, clips in sets.items()
    }


def measure_blend(root: Path, start: Path, share: float, sets: Mapping[str, Sequence[Clip]]) -> Scores:
    """Score the fine-tuned model of a tree with a share of the weights before."""
    with tempfile.TemporaryDirectory() as folder:
        blend(root, start, share, Path(folder))
        return measure(Path(folder), sets)


def kept(path: Path, compute: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Read a result of an earlier run, or compute and write it."""
    if not path.is_file():
        result = compute()
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, result)
    return read_json(path, "remove it and run the command again")


def difference(before: Scores, after: Sequence[Scores], name: str) -> dict[str, float]:
    """Average ``after - before`` over the recordings of a set, with the interval of the mean.

    A recording that several models transcribed counts once, with the mean of its differences.
    """
    found: dict[str, list[float]] = {}
    for scores in after:
        for recording, value in scores[name].items():
            found.setdefault(recording, []).append(value - before[name][recording])
    means = [float(np.mean(values)) for values in found.values()]
    return dict(zip(("mean", "low", "high"), bootstrap_mean(means, N_RESAMPLES), strict=True))


def level(scores: Scores, name: str, recordings: Sequence[str] = ()) -> float:
    """Average COnPOff over the recordings of a set, or some of them."""
    return float(np.mean([scores[name][one] for one in recordings or scores[name]]))


def report(before: Scores, measured: Sequence[Mapping[str, Any]], share: str) -> str:
    """Write the report: the shares compared on the first part, and all parts with the share of the profile."""
    chosen = [part["after"][share] for part in measured]
    songs = [one for part in measured for one in part["held_out"]]
    rows = []
    for name in before:
        names = songs if name == HELD_OUT else list(before[name])
        after = float(np.mean([level(scores, name) for scores in chosen]))
        change = format_interval(difference(before, chosen, name), sign="+")
        rows.append([name, str(len(names)), f"{level(before, name, names):.3f}", f"{after:.3f}", change])
    first = measured[0]["after"]
    compared = [
        [f"{100 * float(one):.0f} %" + (" (profile)" if one == share else "")]
        + [format_interval(difference(before, [scores], name), sign="+") for name in before]
        for one, scores in first.items()
    ]
    minutes = ", ".join(f"{part['cpu_seconds'] / 60:.1f}" for part in measured)
    singing = ", ".join(f"{part['seconds'] / 60:.1f}" for part in measured)
    return "\n".join(
        [
            "# Fine-tuning on one singer",
            "",
            *(__doc__ or "").strip().splitlines(),
            "",
            f"COnPOff, mean over recordings, labels corrected by align; differences with 95 % bootstrap intervals over "
            f"recordings. Every song was held out once by one of {len(measured)} models. The loss elsewhere may be "
            f"{LIMIT} at most.",
            "",
            *markdown_table("recordings | number | before | after | difference", rows),
            "",
            f"Minutes of singing in each training: {singing}. Minutes of processor time of all commands, from the "
            f"folder to the model: {minutes} (on two cores half of that).",
            "",
            "Share of the weights before in those after, measured with the songs of the first part; differences:",
            "",
            *markdown_table("share | " + " | ".join(before), compared),
            "",
        ]
    )
