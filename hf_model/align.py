"""Voice and piano on one clock: labels corrected, scores aligned or sung, pianos rendered or warped, pairs judged."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hf_model import label_correction as labels
from hf_model import pairs
from hf_model.audio import read_audio, resample, to_mono, write_audio
from hf_model.config import check_range
from hf_model.corpora import get, read
from hf_model.dynamics import velocities
from hf_model.melody import compose, phrase_from_song
from hf_model.notes import Note, to_keys
from hf_model.pairs import Correction, Pair
from hf_model.parallel import run_all
from hf_model.piano import SampledPiano
from hf_model.pitch_track import SAMPLE_RATE, track
from hf_model.records import ScoreRecord, VoiceRecord
from hf_model.score_alignment import align_score
from hf_model.singer import sing

MADE = "made"

ALIGNED_BY_SCORE = ("hust_solfege",)
"""Corpora whose labels have no offsets: their score is aligned, and the labels only check how well."""


class AlignError(ValueError):
    """The stage cannot go on; the message says why."""


@dataclass(frozen=True)
class AlignSettings:
    """Settings of the align stage.

    Attributes
    ----------
    made_phrases : int
        Phrases to compose and sing, if the corpus "made" was asked for; each has a singer of its own.
    score_phrases : int
        Phrases to sing of each corpus of scores (pop909, ...).
    made_seconds : float
        Longest phrase, without the silence around it.
    seed : int
        Decides the phrases and who sings them.
    min_quality : float
        0-1; pairs that fit worse are left out.
    render_piano : bool
        Whether to write the piano; without it only a transcriber can be trained.
    """

    made_phrases: int = 300
    score_phrases: int = 0
    made_seconds: float = 8.0
    seed: int = 0
    min_quality: float = 0.3
    render_piano: bool = True

    def __post_init__(self) -> None:
        """Refuse impossible values."""
        check_range("made_phrases", self.made_phrases, 0, 10_000_000)
        check_range("score_phrases", self.score_phrases, 0, 10_000_000)
        check_range("made_seconds", self.made_seconds, 0.5, 600.0)
        check_range("seed", self.seed, 0, 2**31)
        check_range("min_quality", self.min_quality, 0.0, 1.0)


@dataclass(frozen=True)
class _SingJob:
    """A phrase to sing; without notes it is composed."""

    folder: Path
    corpus: str
    licence: str
    pair_id: str
    singer: str
    seed: int
    settings: AlignSettings
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True)
class _VoiceJob:
    """A recording to pair with a piano."""

    folder: Path
    record: VoiceRecord
    settings: AlignSettings
    measurement: labels.Measurement | None = None
    prior: labels.Prior | None = None
    reason: str = ""


@dataclass(frozen=True)
class _Outcome:
    """A pair, and what the report says about it beside."""

    pair: Pair
    extra: dict[str, float] = field(default_factory=dict)


def align(raw: Path, folder: Path, settings: AlignSettings, workers: int = 1) -> dict[str, Any]:
    """Make pairs of everything in ``data/raw``.

    Parameters
    ----------
    raw : Path
        What the download stage brought, with its ``corpora.json``.
    folder : Path
        Where to write: ``<corpus>/{voice,piano}/<pair_id>.flac``, ``<corpus>/manifest.parquet``, ``report.json``.
    settings : AlignSettings
        See there.
    workers : int
        Processes; the result does not depend on it.

    Returns
    -------
    dict
        The content of report.json: for each corpus how many pairs, which were left out and why, and the distribution
        of the corrections.

    Raises
    ------
    AlignError
        If there is nothing to align.
    hf_model.audio.AudioError, hf_model.records.CorpusError
        For a recording or a label file that cannot be read, naming it.
    """
    report: dict[str, Any] = {}
    seen: dict[Path, str] = {}
    for name in _corpora(raw):
        outcomes = list(_outcomes(name, raw, folder, settings, workers, seen))
        if outcomes:
            pairs.write_manifest(folder / name / "manifest.parquet", [outcome.pair for outcome in outcomes])
            report[name] = summary(outcomes)
    if not any(part["kept"] for part in report.values()):
        msg = f"{raw}: no pair could be made of {', '.join(_corpora(raw)) or 'nothing'}; see download.corpora and align"
        raise AlignError(msg)
    (folder / "report.json").write_text(json.dumps(report, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return report


def _corpora(raw: Path) -> list[str]:
    """List what was downloaded; corpora with labels of their own first, so that duplicates keep the better labels."""
    listing = raw / "corpora.json"
    if listing.is_file():
        names = list(json.loads(listing.read_text(encoding="utf-8")))
    else:
        names = [path.name for path in raw.iterdir() if path.is_dir()] if raw.is_dir() else []
    return sorted(names, key=lambda name: (name in ALIGNED_BY_SCORE, name))


def _outcomes(
    name: str, raw: Path, folder: Path, settings: AlignSettings, workers: int, seen: dict[Path, str]
) -> Iterator[_Outcome]:
    """Make the pairs of one corpus."""
    for kind in ("voice", "piano"):
        (folder / name / kind).mkdir(parents=True, exist_ok=True)
    if name == MADE:
        yield from run_all(_sing, _phrases_to_compose(folder, settings), workers=workers, title="singing made phrases")
        return
    records = list(read(name, raw))
    scores = [record for record in records if isinstance(record, ScoreRecord)]
    voices = [record for record in records if isinstance(record, VoiceRecord)]
    if scores:
        jobs = _phrases_of_songs(folder, settings, name, scores)
        yield from run_all(_sing, jobs, workers=workers, title=f"singing {name}")
    if voices:
        yield from _voices(name, folder, voices, settings, workers, seen)


def _phrases_to_compose(folder: Path, settings: AlignSettings) -> list[_SingJob]:
    licence = get(MADE).licence
    return [
        _SingJob(folder, MADE, licence, f"{number:06d}", f"made-{number:06d}", _seed(settings, number), settings)
        for number in range(settings.made_phrases)
    ]


def _phrases_of_songs(
    folder: Path, settings: AlignSettings, name: str, scores: Sequence[ScoreRecord]
) -> list[_SingJob]:
    """Deal phrases to songs in turn; all phrases of a song count as one singer's, so that no split divides a song."""
    jobs = []
    order = np.random.default_rng([settings.seed, 0x5C0]).permutation(len(scores))
    for number in range(settings.score_phrases):
        song = scores[int(order[number % len(scores)])]
        pair_id = f"{song.pair_id}-{number // len(scores):03d}"
        singer, seed = f"{name}-{song.pair_id}", _seed(settings, number)
        jobs.append(_SingJob(folder, name, song.licence, pair_id, singer, seed, settings, tuple(song.notes)))
    return jobs


def _seed(settings: AlignSettings, number: int) -> int:
    return settings.seed * 1_000_003 + number


def _sing(job: _SingJob) -> _Outcome:
    """Sing one phrase: the truth is exact, and nothing needs correcting."""
    seconds = job.settings.made_seconds
    score = phrase_from_song(job.notes, job.seed, seconds) if job.notes else compose(job.seed, seconds)
    song = sing(score, job.seed)
    notes = velocities(song.audio, song.sample_rate, song.notes)
    pair = Pair(
        job.pair_id,
        job.corpus,
        job.singer,
        job.licence,
        "train",
        len(song.audio),
        song.sample_rate,
        tuple(notes),
        Correction(tuning=labels.singer_tuning(notes)),
    )
    _write(job.folder, pair, song.audio, job.settings.render_piano)
    return _Outcome(pair)


def _voices(
    name: str,
    folder: Path,
    records: Sequence[VoiceRecord],
    settings: AlignSettings,
    workers: int,
    seen: dict[Path, str],
) -> Iterator[_Outcome]:
    """Pair recordings: first measure all labels, then correct each in the light of all."""
    labelled = [record for record in records if _uses_labels(record)]
    measured = list(run_all(_measure, labelled, workers=workers, title=f"measuring {name}"))
    prior = labels.corpus_prior(measured)
    measurements = {record.pair_id: found for record, found in zip(labelled, measured, strict=True)}
    jobs = []
    for record in records:
        path = record.audio_path.resolve()
        reason = f"the same recording as {seen[path]}" if path in seen else ""
        seen.setdefault(path, f"{name}/{record.pair_id}")
        jobs.append(_VoiceJob(folder, record, settings, measurements.get(record.pair_id), prior, reason))
    yield from run_all(_pair_voice, jobs, workers=workers, title=f"aligning {name}")


def _uses_labels(record: VoiceRecord) -> bool:
    return bool(record.notes) and record.corpus not in ALIGNED_BY_SCORE


def _measure(record: VoiceRecord) -> labels.Measurement:
    audio, sample_rate = read_audio(record.audio_path)
    return labels.measure(track(resample(to_mono(audio), sample_rate, SAMPLE_RATE)), record.notes or [])


def _pair_voice(job: _VoiceJob) -> _Outcome:
    record = job.record
    audio, sample_rate = read_audio(record.audio_path)
    voice = to_mono(audio)
    duration = len(voice) / sample_rate
    heard = track(resample(voice, sample_rate, SAMPLE_RATE))
    notes: list[Note] = []
    correction = Correction()
    extra: dict[str, float] = {}
    if job.measurement is not None and job.prior is not None:
        correction = labels.decide(job.measurement, job.prior)
        notes, extra["notes_moved"] = labels.mend_octaves(heard, labels.apply(record.notes or [], correction, duration))
    if record.score:
        aligned = align_score(heard, record.score)
        extra |= {"score_residual": aligned.residual, "score_transposition": aligned.transposition}
        extra |= _against_labels(aligned.notes, record.notes or [], labels.onset_lag(heard, record.notes or [])[0])
        notes = notes or labels.apply(aligned.notes, Correction(), duration)
    residual, quality = labels.fit(heard, notes)
    correction = replace(correction, tuning=labels.singer_tuning(notes), residual=residual)
    reason = job.reason or _reason(record, notes, quality, job.settings.min_quality)
    pair = Pair(
        record.pair_id,
        record.corpus,
        record.singer,
        record.licence,
        "measure" if record.measure_only else "train",
        len(voice),
        sample_rate,
        tuple(velocities(voice, sample_rate, notes)),
        correction,
        quality,
        not reason,
        reason,
    )
    if pair.kept:
        _write(job.folder, pair, voice, job.settings.render_piano)
    return _Outcome(pair, extra)


def _against_labels(aligned: Sequence[Note], known: Sequence[Note], lag: float) -> dict[str, float]:
    """Compare an aligned score with labelled onsets, where both have the same notes: median distance in seconds."""
    if not known or len(aligned) != len(known):
        return {}
    distances = [abs(one.onset - (other.onset - lag)) for one, other in zip(aligned, known, strict=True)]
    return {"score_onset_distance": float(np.median(distances))}


def _reason(record: VoiceRecord, notes: Sequence[Note], quality: float, min_quality: float) -> str:
    if not notes:
        only = "labels have no offsets, and there is no score" if record.notes else "neither labels nor a score"
        return only if not record.score else "no note left inside the recording"
    return f"quality {quality:.2f} is below min_quality {min_quality:.2f}" if quality < min_quality else ""


def _write(folder: Path, pair: Pair, voice: NDArray[np.float32], render_piano: bool) -> None:
    """Write a pair's voice and, if wanted, the piano that plays its notes."""
    write_audio(pairs.voice_path(folder, pair.corpus, pair.pair_id), voice, pair.voice_sample_rate)
    if render_piano:
        piano = _piano().render(to_keys(pair.notes, pair.correction.tuning), pair.piano_n_samples)
        write_audio(pairs.piano_path(folder, pair.corpus, pair.pair_id), piano, pairs.PIANO_RATE)


@lru_cache(maxsize=1)
def _piano() -> SampledPiano:
    return SampledPiano.load()


def summary(outcomes: Iterable[_Outcome]) -> dict[str, Any]:
    """Sum up one corpus for the report."""
    known = list(outcomes)
    kept = [outcome.pair for outcome in known if outcome.pair.kept]
    numbers: dict[str, list[float]] = {}
    for outcome in known:
        pair, correction = outcome.pair, outcome.pair.correction
        values = {
            "onset_lag": correction.onset_lag,
            "offset_lag": correction.offset_lag,
            "tuning": correction.tuning,
            "octave": float(correction.octave),
            "pitch_bias_hz": correction.pitch_bias_hz,
            "residual": correction.residual,
            "quality": pair.quality,
            **outcome.extra,
        }
        for name, value in values.items():
            if pair.notes and np.isfinite(value):
                numbers.setdefault(name, []).append(value)
    return {
        "pairs": len(known),
        "kept": len(kept),
        "notes": sum(len(pair.notes) for pair in kept),
        "seconds": round(sum(pair.duration for pair in kept), 3),
        "left_out": [
            {"pair_id": outcome.pair.pair_id, "reason": outcome.pair.reason}
            for outcome in known
            if not outcome.pair.kept
        ],
        "quantiles": {name: _quantiles(values) for name, values in numbers.items()},
    }


def _quantiles(values: Sequence[float]) -> dict[str, float]:
    names = ("min", "p10", "median", "p90", "max")
    found = np.quantile(values, [0.0, 0.1, 0.5, 0.9, 1.0])
    return {name: round(float(value), 4) for name, value in zip(names, found, strict=True)}
