"""The align stage: pairs of voice and piano on one time axis from all downloaded corpora, and a report."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hf_model.alignment import manifest
from hf_model.alignment.labels.correction import corpus_prior
from hf_model.alignment.pairing import (
    ALIGNED_BY_SCORE,
    MeasureJob,
    Outcome,
    RecordedJob,
    SingJob,
    VoiceJob,
    measure_recording,
    pair_recorded,
    pair_voice,
    scratch_path,
    sing_phrase,
    uses_labels,
)
from hf_model.alignment.piano_pairs import PIANOS, pair_piano, piano_jobs
from hf_model.alignment.song_pairs import SONGS, make_song, song_jobs
from hf_model.audio.reader import SUFFIXES
from hf_model.config import check_range
from hf_model.corpora.catalogue import CORPORA, get, read
from hf_model.corpora.own import PIANO
from hf_model.corpora.readers.scores import is_piano_test_song
from hf_model.corpora.records import PianoRecord, ScoreRecord, VoiceRecord
from hf_model.corpora.score_file import SCORE_FILE, read_scores
from hf_model.files import read_json, write_json
from hf_model.notes.midi import read_midi, skyline
from hf_model.parallel.workers import Workers, run_all

MADE = "made"


class AlignError(ValueError):
    """The stage cannot continue; the message gives the reason."""


@dataclass(frozen=True)
class AlignSettings:
    """Settings of the align stage.

    Attributes
    ----------
    made_phrases : int
        Phrases to compose and synthesize for the corpus "made"; each has its own singer.
    score_phrases : int
        Phrases to synthesize from each corpus of scores (pop909, ...) or of piano performances (maestro).
    piano_excerpts : int
        Excerpts to cut from recordings of pianos (maestro), ``made_seconds`` each, for the synthesizer.
    made_seconds : float
        Maximum duration of a phrase, without the silence around it.
    seed : int
        Of the phrases and their singers.
    min_quality : float
        0-1; pairs with a lower quality are left out.
    render_piano : bool
        Whether to render the piano; without it only a transcriber can be trained.
    songs, recorded_songs : int
        Songs to make with synthetic singers, and with singers of ssvd: each a voice over a band that plays a song of
        pop909, of which only what ``separator`` leaves of the voice is kept. They need FluidSynth.
    song_seconds : float
        Duration of each; a multiple of 5.12 fills the rows of the shards.
    separator : str
        See :func:`hf_model.separator.choice.load_separator`.
    """

    made_phrases: int = 300
    score_phrases: int = 0
    piano_excerpts: int = 0
    made_seconds: float = 8.0
    seed: int = 0
    min_quality: float = 0.3
    render_piano: bool = True
    songs: int = 0
    recorded_songs: int = 0
    song_seconds: float = 40.96
    separator: str = "default"

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_range("made_phrases", self.made_phrases, 0, 10_000_000)
        check_range("score_phrases", self.score_phrases, 0, 10_000_000)
        check_range("piano_excerpts", self.piano_excerpts, 0, 10_000_000)
        check_range("made_seconds", self.made_seconds, 0.5, 600.0)
        check_range("seed", self.seed, 0, 2**31)
        check_range("min_quality", self.min_quality, 0.0, 1.0)
        check_range("songs", self.songs, 0, 10_000_000)
        check_range("recorded_songs", self.recorded_songs, 0, 10_000_000)
        check_range("song_seconds", self.song_seconds, 5.0, 600.0)


def align(raw: Path, folder: Path, settings: AlignSettings, workers: Workers = 1) -> dict[str, Any]:
    """Make pairs of all corpora in ``data/raw``.

    Parameters
    ----------
    raw : Path
        Output of the download stage, with its ``corpora.json``.
    folder : Path
        Output folder: ``<corpus>/{voice,piano}/<pair_id>.flac``, ``<corpus>/manifest.parquet``, ``report.json``.
    settings : AlignSettings
    workers : int or DaskWorkers
        See :func:`hf_model.parallel.workers.run_all`; the result does not depend on it.

    Returns
    -------
    dict
        The content of report.json: for each corpus the number of pairs, those left out with the reason, and the
        distribution of the corrections.

    Raises
    ------
    AlignError
        If no pair could be made.
    hf_model.audio.reader.AudioError, hf_model.corpora.records.CorpusError, hf_model.notes.midi.MidiFileError
        For a recording or a label file that cannot be read; the message names it.
    hf_model.config.ConfigError
        For a damaged list of corpora.
    """
    report: dict[str, Any] = {}
    seen: dict[Path, str] = {}
    names = _corpora(raw)
    names += [PIANOS] if settings.piano_excerpts else []
    names += [SONGS] if settings.songs + settings.recorded_songs else []  # last: recordings sing in them
    for name in names:
        for kind in ("voice", "piano"):
            (folder / name / kind).mkdir(parents=True, exist_ok=True)
        outcomes = list(_outcomes(name, raw, folder, settings, workers, seen))
        manifest.write_manifest(folder / name / "manifest.parquet", [outcome.pair for outcome in outcomes])
        report[name] = summary(outcomes)
    if not any(part["kept"] for part in report.values()):
        msg = f"{raw}: no pair could be made of {', '.join(names) or 'nothing'}; see download.corpora and align"
        raise AlignError(msg)
    for left in folder.rglob(".*.part"):
        left.unlink()  # written by workers that died
    write_json(folder / "report.json", report, indent=1)
    return report


def _corpora(raw: Path) -> list[str]:
    """List the downloaded corpora; those with complete labels first, so that duplicates keep the better labels."""
    listing = raw / "corpora.json"
    if listing.is_file():
        names = list(read_json(listing, "run dvc repro --force download"))
    else:
        names = [path.name for path in raw.iterdir() if path.is_dir()] if raw.is_dir() else []
    return sorted(names, key=lambda name: (name in ALIGNED_BY_SCORE, name))


def _outcomes(
    name: str, raw: Path, folder: Path, settings: AlignSettings, workers: Workers, seen: dict[Path, str]
) -> Iterator[Outcome]:
    """Make the pairs of one corpus."""
    if name == MADE:
        yield from run_all(sing_phrase, _made(folder, settings), workers=workers, title="synthesizing phrases")
        return
    if name in CORPORA and CORPORA[name].labels == PIANO:
        pairs = _recorded(name, raw, folder, settings)
        yield from run_all(pair_recorded, pairs, workers=workers, title="warping pianos")
        return
    if name == PIANOS:
        pianos = piano_jobs(folder, _pianos(raw), settings.piano_excerpts, settings.made_seconds, settings.seed)
        yield from run_all(pair_piano, pianos, workers=workers, title="cutting recorded pianos")
        return
    if name == SONGS:
        counts = settings.songs, settings.recorded_songs, settings.song_seconds, settings.seed
        songs = song_jobs(raw, folder, *counts, settings.separator)
        yield from run_all(make_song, songs, workers=workers, title="making songs")
        return
    packed = raw / name / SCORE_FILE
    records = read_scores(packed, name) if packed.is_file() else list(read(name, raw))
    scores = [item for item in records if isinstance(item, ScoreRecord) and not _held_out(item)]
    if settings.score_phrases:
        scores += [_melody(item) for item in records if isinstance(item, PianoRecord)]
    voices = [record for record in records if isinstance(record, VoiceRecord)]
    if scores and settings.score_phrases:
        jobs = _songs(folder, settings, name, scores)
        yield from run_all(sing_phrase, jobs, workers=workers, title=f"synthesizing {name}")
    if voices:
        yield from _voices(name, folder, voices, settings, workers, seen)


def _pianos(raw: Path) -> list[PianoRecord]:
    """List the recordings of pianos for training, of all downloaded corpora."""
    names = [name for name in _corpora(raw) if name in CORPORA and CORPORA[name].role == "piano"]
    records = [record for name in names for record in read(name, raw)]
    return [record for record in records if isinstance(record, PianoRecord) and record.split == "train"]


def _melody(record: PianoRecord) -> ScoreRecord:
    """Take the highest notes of a piano performance as a melody."""
    return ScoreRecord(record.corpus, record.pair_id, record.licence, skyline(read_midi(record.midi_path)))


def _held_out(score: ScoreRecord) -> bool:
    return score.corpus == "pop909" and is_piano_test_song(score.pair_id)


def _made(folder: Path, settings: AlignSettings) -> list[SingJob]:
    return [
        SingJob(
            folder=folder,
            corpus=MADE,
            licence=get(MADE).licence,
            pair_id=f"{number:06d}",
            singer=f"{MADE}-{number:06d}",
            seed=_seed(settings, number),
            seconds=settings.made_seconds,
            render_piano=settings.render_piano,
        )
        for number in range(settings.made_phrases)
    ]


def _songs(folder: Path, settings: AlignSettings, name: str, scores: Sequence[ScoreRecord]) -> list[SingJob]:
    """Assign phrases to songs in turn; the phrases of a song share a singer, so that no split divides a song."""
    order = np.random.default_rng([settings.seed, 0x5C0]).permutation(len(scores))
    songs = [scores[int(order[number % len(scores)])] for number in range(settings.score_phrases)]
    return [
        SingJob(
            folder=folder,
            corpus=name,
            licence=song.licence,
            pair_id=f"{song.pair_id}-{number // len(scores):03d}",
            singer=f"{name}-{song.pair_id}",
            # other seeds than those of the corpus "made", so that the singers differ
            seed=_seed(settings, number) + 500_000,
            seconds=settings.made_seconds,
            render_piano=settings.render_piano,
            notes=tuple(song.notes),
        )
        for number, song in enumerate(songs)
    ]


def _seed(settings: AlignSettings, number: int) -> int:
    return settings.seed * 1_000_003 + number


def _recorded(name: str, raw: Path, folder: Path, settings: AlignSettings) -> list[RecordedJob]:
    """List the voices of a corpus of the user that have a recorded piano.

    Raises
    ------
    AlignError
        If there are none, or a voice has no piano.
    """
    sounds = [path for path in sorted((raw / name).rglob("*")) if path.suffix.lower() in SUFFIXES]
    voices = [path for path in sounds if path.stem.endswith("_voice")]
    if not voices:
        msg = f"{name}: no <name>_voice.* with <name>_piano.* in {raw / name}"
        raise AlignError(msg)
    jobs = []
    for voice in voices:
        title = voice.stem.removesuffix("_voice")
        piano = next((path for path in sounds if path.parent == voice.parent and path.stem == f"{title}_piano"), None)
        if piano is None:
            msg = f"{voice}: no {title}_piano.* in the same folder"
            raise AlignError(msg)
        midi = voice.with_name(f"{title}.mid")
        pair_id = "-".join((*voice.relative_to(raw / name).parts[:-1], title))
        found = midi if midi.is_file() else None
        jobs.append(RecordedJob(folder, name, pair_id, voice, piano, found, settings.min_quality, get(name).licence))
    return jobs


def _voices(
    name: str,
    folder: Path,
    records: Sequence[VoiceRecord],
    settings: AlignSettings,
    workers: Workers,
    seen: dict[Path, str],
) -> Iterator[Outcome]:
    """Pair recordings: first measure the labels of all, then correct each given the distribution of all."""
    labelled = [record for record in records if uses_labels(record)]
    title = f"measuring {name}" if labelled else ""
    measure_jobs = [MeasureJob(folder, record) for record in labelled]
    measured = list(run_all(measure_recording, measure_jobs, workers=workers, title=title))
    measurements = {record.pair_id: found for record, found in zip(labelled, measured, strict=True)}
    prior = corpus_prior(measured)
    jobs = []
    for record in records:
        path = record.audio_path.resolve()
        jobs.append(
            VoiceJob(
                folder=folder,
                record=record,
                min_quality=settings.min_quality,
                render_piano=settings.render_piano,
                measurement=measurements.get(record.pair_id),
                prior=prior,
                reason=f"the same recording as {seen[path]}" if path in seen else "",
            )
        )
        seen.setdefault(path, f"{name}/{record.pair_id}")
    for job, outcome in zip(jobs, run_all(pair_voice, jobs, workers=workers, title=f"aligning {name}"), strict=True):
        scratch_path(folder, job.record).unlink(missing_ok=True)
        yield outcome


def summary(outcomes: Iterable[Outcome]) -> dict[str, Any]:
    """Summarise one corpus for the report."""
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
