"""Writing of aligned pairs as Parquet shards."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from hf_model.alignment import manifest as pair_manifest
from hf_model.alignment.manifest import Pair
from hf_model.audio import io
from hf_model.audio.grid import PIANO_STFT, VOICE_STFT, StftConfig
from hf_model.audio.reader import AudioError
from hf_model.audio.resampling import resample
from hf_model.audio.stft import stft
from hf_model.files import file_sha256, remove_leftovers, replacing, write_json
from hf_model.parallel.workers import Workers, run_all
from hf_model.shards import index
from hf_model.shards.manifest import MANIFEST, SCHEMA_VERSION, SPLITS, ShardError, check_sizes
from hf_model.shards.plan import ShardJob, StftSettings, n_frames, parameters, plan


def write_shards(aligned: Path, folder: Path, settings: StftSettings, workers: Workers = 1) -> dict[str, Any]:
    """Write the shards of all aligned pairs, and their manifest.

    A shard in ``folder`` that was made from the same recordings with the same settings is kept, so that an interrupted
    run resumes.

    Parameters
    ----------
    aligned : Path
        Output of the align stage.
    folder : Path
        Output folder.
    settings : StftSettings
    workers : int or DaskWorkers
        See :func:`hf_model.parallel.workers.run_all`; the bytes written do not depend on it.

    Returns
    -------
    dict
        The content of manifest.json.

    Raises
    ------
    ShardError
        For a bad recording (the message names it), no usable pair, or a full disk.
    """
    usable = [pair for pair in pair_manifest.read_manifests(aligned) if pair.kept]
    skipped: list[dict[str, str]] = []
    if settings.on_error == "skip":
        jobs = [(aligned, pair, settings.piano) for pair in usable]
        faults = list(run_all(_fault, jobs, workers=workers, title="checking recordings"))
        skipped = [
            {"corpus": pair.corpus, "pair_id": pair.pair_id, "reason": fault}
            for pair, fault in zip(usable, faults, strict=True)
            if fault
        ]
        usable = [pair for pair, fault in zip(usable, faults, strict=True) if not fault]
    if not usable:
        msg = f"{aligned}: no usable pair ({len(skipped)} skipped); see report.json there"
        raise ShardError(msg)
    shard_jobs = plan(aligned, folder, usable, settings)
    remove_leftovers(folder)
    _check_space(folder, shard_jobs)
    files = list(run_all(_write_shard, shard_jobs, workers=workers, title="writing shards"))
    written = {entry["path"] for entry in files}
    for path in folder.glob("*/*"):
        if path.relative_to(folder).as_posix() not in written:
            path.unlink()
    manifest = {
        **parameters(settings),
        "schema_version": SCHEMA_VERSION,
        "licences": {pair.corpus: pair.licence for pair in usable},
        "splits": {split: sum(entry["rows"] for entry in files if entry["split"] == split) for split in SPLITS},
        "files": files,
        "skipped": skipped,
    }
    check_sizes(folder, files)  # on a full or failing disk a file may vanish that was renamed
    write_json(folder / MANIFEST, manifest, indent=1, digest=True)
    return manifest


def _check_space(folder: Path, jobs: Sequence[ShardJob]) -> None:
    bins = VOICE_STFT.n_bins + (PIANO_STFT.n_bins if jobs[0].settings.piano else 0)
    needed = sum(sum(min(n_frames(pair), job.settings.segment_frames) for pair, _ in job.rows) for job in jobs)
    # compression leaves about 0.8 of the float16 size; shards of an interrupted run already exist
    needed = int(needed * bins * 4 * 0.7) - sum(path.stat().st_size for path in folder.glob("*/*.parquet"))
    free = shutil.disk_usage(folder).free
    if needed > free:
        amounts = f"the shards need about {needed / 1e6:,.0f} MB, {free / 1e6:,.0f} MB are free"
        msg = f"{folder}: the disk is too full, {amounts}"
        raise ShardError(msg)


def _fault(job: tuple[Path, Pair, bool]) -> str:
    aligned, pair, piano = job
    try:
        _read_voice(aligned, pair)
        if piano:
            _read_piano(aligned, pair)
    except ShardError as error:
        return str(error)
    return ""


def _write_shard(job: ShardJob) -> dict[str, Any]:
    """Write one shard if it is missing or outdated; returns its entry in the manifest."""
    path = job.folder / job.path
    key = _plan_key(job)
    if not _is_done(path, key):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as partial:
            _write_rows(partial, job, key)
    return {
        "path": job.path,
        "split": job.split,
        "corpus": job.corpus,
        "rows": len(job.rows),
        "bytes": path.stat().st_size,
        "sha256": file_sha256(path),
    }


def _plan_key(job: ShardJob) -> str:
    """Hash everything that determines a shard's content: settings, rows and recordings."""
    digest = hashlib.sha256(json.dumps([SCHEMA_VERSION, parameters(job.settings)], sort_keys=True).encode())
    for pair, group in groupby(job.rows, key=lambda row: row[0]):
        digest.update(repr((pair, [segment for _, segment in group])).encode())
        for name in ("voice", "piano") if job.settings.piano else ("voice",):
            path = job.aligned / pair.corpus / name / f"{pair.pair_id}.flac"
            digest.update(file_sha256(path).encode() if path.is_file() else b"missing")
    return digest.hexdigest()


def _is_done(path: Path, key: str) -> bool:
    try:
        return bool(pq.read_metadata(path).metadata[b"plan_key"].decode() == key)
    except (OSError, pa.ArrowException, KeyError):
        return False


def _write_rows(path: Path, job: ShardJob, key: str) -> None:
    content = {
        **parameters(job.settings),
        index.VOICE_AUDIO: index.voice_audio(VOICE_STFT),
        "schema_version": SCHEMA_VERSION,
        "licences": sorted({pair.licence for pair, _ in job.rows}),
        "split": job.split,
        "corpus": job.corpus,
        "plan_key": key,
    }
    columns = [name for name in index.SCHEMA.names if name != "piano_stft" or job.settings.piano]
    metadata = {name: value if isinstance(value, str) else json.dumps(value) for name, value in content.items()}
    schema = pa.schema([index.SCHEMA.field(name) for name in columns], metadata=metadata)
    writer = pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        compression_level=job.settings.compression_level,
        use_dictionary=False,
        write_statistics=False,
        write_page_checksum=True,
    )
    size = job.settings.rows_per_group
    rows = _rows(job)
    with writer:
        while group := list(islice(rows, size)):
            writer.write_table(pa.Table.from_pylist(group, schema=schema), row_group_size=size)


def _rows(job: ShardJob) -> Iterator[Mapping[str, Any]]:
    length = job.settings.segment_frames
    for pair, group in groupby(job.rows, key=lambda row: row[0]):
        voice = _read_voice(job.aligned, pair)
        piano = _read_piano(job.aligned, pair) if job.settings.piano else None
        for _, segment in group:
            start, stop = segment * length, min((segment + 1) * length, n_frames(pair))
            row = {
                "pair_id": pair.pair_id,
                "corpus": pair.corpus,
                "singer": pair.singer,
                "licence": pair.licence,
                "segment": segment,
                "n_frames": stop - start,
                "tuning": pair.correction.tuning,
                "voice_stft": index.pack_spectrum(_frames(voice, VOICE_STFT, start, stop), length),
                "notes": _notes_between(pair, start, stop),
            }
            if piano is not None:
                row["piano_stft"] = index.pack_spectrum(_frames(piano, PIANO_STFT, start, stop), length)
            yield row


def _frames(samples: NDArray[np.float32], config: StftConfig, start: int, stop: int) -> torch.Tensor:
    """Compute frames [start, stop) of the STFT of a whole recording (sample,): (frame, bin)."""
    margin = -(-config.n_fft // (2 * config.hop_length))
    first = max(0, start - margin)
    part = samples[first * config.hop_length : (stop + margin) * config.hop_length]
    return stft(torch.from_numpy(np.ascontiguousarray(part)), config)[start - first : stop - first]


def _notes_between(pair: Pair, start: int, stop: int) -> list[dict[str, Any]]:
    """Select the notes that sound in frames [start, stop), in seconds from frame ``start``."""
    low, high = start / VOICE_STFT.frame_rate, stop / VOICE_STFT.frame_rate
    inside = [row for row in pair_manifest.notes_to_rows(pair.notes) if row["offset"] > low and row["onset"] < high]
    return [{**row, "onset": row["onset"] - low, "offset": row["offset"] - low} for row in inside]


def _read_voice(aligned: Path, pair: Pair) -> NDArray[np.float32]:
    samples, rate = _read(pair_manifest.voice_path(aligned, pair.corpus, pair.pair_id), pair.n_samples)
    return resample(samples, rate, VOICE_STFT.sample_rate)


def _read_piano(aligned: Path, pair: Pair) -> NDArray[np.float32]:
    return _read(pair_manifest.piano_path(aligned, pair.corpus, pair.pair_id), pair.piano_n_samples)[0]


def _read(path: Path, n_samples: int) -> tuple[NDArray[np.float32], int]:
    """Read a recording as (sample,); its length must be that of the manifest."""
    hint = "rebuild it: dvc repro --force align, or set stft.on_error to skip"
    try:
        samples, rate = io.read_audio(path)
    except AudioError as error:
        msg = f"{error}; {hint}"
        raise ShardError(msg) from error
    if samples.shape[-1] != n_samples:
        msg = f"{path}: has {samples.shape[-1]} samples instead of {n_samples}; {hint}"
        raise ShardError(msg)
    return io.to_mono(samples), rate
