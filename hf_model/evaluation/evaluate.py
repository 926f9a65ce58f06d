"""The figures of the test split: measured for each recording, averaged over each corpus, with intervals."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hf_model.audio.grid import PIANO_SAMPLE_RATE
from hf_model.audio.io import read_audio
from hf_model.config import check_choice, check_range
from hf_model.evaluation.audio_metrics import is_called_piano, log_mel_distance, spectral_convergence
from hf_model.evaluation.baselines import BASELINES, installed
from hf_model.evaluation.metrics import (
    NoteErrors,
    bootstrap_mean,
    melody_scores,
    note_errors,
    note_scores,
    notes_to_melody,
)
from hf_model.evaluation.note_matching import RULES
from hf_model.evaluation.render_test_set import LABELLED, SOUNDS, Item, read_listing, spread
from hf_model.notes.note import Note, to_keys
from hf_model.notes.note_files import read_csv
from hf_model.parallel.workers import run_all
from hf_model.piano.transcription import piano_to_notes

OURS = "hummingface"

WITH_INTERVALS = (*RULES, "onset_bias")
"""Figures that get an interval."""

UNLABELLED = "unlabelled"
"""Key of the report for corpora without labels."""


@dataclass(frozen=True)
class EvaluateSettings:
    """Settings of the evaluate stage.

    Attributes
    ----------
    baselines : tuple of str
        Compared with, where installed: "pyin", "swift_f0", "basic_pitch".
    baseline_files : int
        Recordings of each corpus that the baselines transcribe (pYIN runs in about real time); 0 for all.
    sound_files : int
        Recordings of each corpus whose sounds are compared and re-transcribed; 0 for all. Lengths are always checked.
    bootstrap : int
        Resamplings behind each interval.
    pictures : int
        Recordings of each corpus that get a picture.
    """

    baselines: tuple[str, ...] = tuple(BASELINES)
    baseline_files: int = 4
    sound_files: int = 10
    bootstrap: int = 1000
    pictures: int = 2

    def __post_init__(self) -> None:
        """Refuse impossible values."""
        for name in self.baselines:
            check_choice("baselines", name, BASELINES)
        check_range("baseline_files", self.baseline_files, 0, 1_000_000)
        check_range("sound_files", self.sound_files, 0, 1_000_000)
        check_range("bootstrap", self.bootstrap, 10, 1_000_000)
        check_range("pictures", self.pictures, 0, 1000)


@dataclass(frozen=True)
class Measured:
    """All figures of one recording.

    Attributes
    ----------
    item : Item
    notes, keys : list of Note
        As transcribed, and as played on the piano.
    scores : dict
        For each system (``OURS`` and baselines) the figures against the labels; empty without labels.
    sounds : dict
        The figures of the audio of each sound, of "labels" and of "reference".
    errors : NoteErrors
        Of our notes.
    baseline_notes : dict
        The estimate of each baseline.
    """

    item: Item
    notes: list[Note]
    keys: list[Note]
    scores: dict[str, dict[str, float]]
    sounds: dict[str, dict[str, float]]
    errors: NoteErrors
    baseline_notes: dict[str, list[Note]] = field(default_factory=dict)


def measure_all(rendered: Path, settings: EvaluateSettings, workers: int = 1) -> list[Measured]:
    """Measure every rendered recording, in the order of the listing."""
    items = read_listing(rendered)
    present = installed(settings.baselines)
    with_baselines, with_sounds = (_some(items, n) for n in (settings.baseline_files, settings.sound_files))
    jobs = [
        (rendered, item, present if _name(item) in with_baselines else [], _name(item) in with_sounds) for item in items
    ]
    return list(run_all(measure, jobs, workers=min(workers, -(-len(jobs) // 4)), title="evaluating"))


def _some(items: Sequence[Item], n_files: int) -> set[tuple[str, str]]:
    """Choose at most so many recordings of each corpus, evenly spread."""
    corpora = {item.corpus for item in items}
    chosen = (spread([item for item in items if item.corpus == corpus], n_files) for corpus in corpora)
    return {_name(item) for group in chosen for item in group}


def _name(item: Item) -> tuple[str, str]:
    return item.corpus, item.pair_id


def measure(job: tuple[Path, Item, Sequence[str], bool]) -> Measured:
    """Measure one recording, with some baselines, and with the distances of its sounds or only their lengths."""
    rendered, item, baselines, compare_sounds = job
    notes, keys = read_csv(item.path(rendered, ".csv"))
    estimates: dict[str, list[Note]] = {}
    if baselines:
        voice, sample_rate = read_audio(item.voice)
        estimates = {name: BASELINES[name][1](voice, sample_rate) for name in baselines}
    duration = item.n_samples / PIANO_SAMPLE_RATE
    scores = {}
    if item.notes:
        scores = {
            name: transcription_scores(item.notes, found, duration)
            for name, found in [(OURS, notes), *estimates.items()]
        }
    errors = note_errors(item.notes, notes)
    return Measured(item, notes, keys, scores, _sounds(rendered, item, keys, compare_sounds), errors, estimates)


def transcription_scores(reference: Sequence[Note], estimate: Sequence[Note], duration: float) -> dict[str, float]:
    """Score notes as notes and as a melody; ``duration`` in seconds."""
    melody = melody_scores(notes_to_melody(reference, duration), notes_to_melody(estimate, duration))
    return {**note_scores(reference, estimate), **melody}


def _sounds(rendered: Path, item: Item, keys: Sequence[Note], compare: bool) -> dict[str, dict[str, float]]:
    """Measure every wav file of one recording, and the reference piano; unless ``compare`` only their lengths."""
    reference = read_audio(item.piano)[0] if item.piano and compare else None
    labelled = to_keys(item.notes, item.label_tuning)
    figures = {}
    for sound in (*SOUNDS, LABELLED):
        path = item.path(rendered, f"_{sound}.wav")
        if not path.is_file():
            continue
        audio, sample_rate = read_audio(path)
        row = {"same_length": float(audio.shape[1] == item.n_samples and sample_rate == PIANO_SAMPLE_RATE)}
        if reference is not None and reference.shape[1] == audio.shape[1]:
            row["log_mel_distance"] = log_mel_distance(reference, audio)
            row["spectral_convergence"] = spectral_convergence(reference, audio)
        if compare:
            row["piano_share"] = is_called_piano(audio, sample_rate)
        expected = keys if sound in ("sampled", "neural") else labelled
        if expected and compare:
            found = piano_to_notes(audio, sample_rate)
            row["retranscribed_conp"] = note_scores(expected, found)["conp"]
            if labelled:
                scores = note_scores(labelled, found)
                row |= {f"labels_{name}": scores[name] for name in RULES}
        figures[sound] = row
    if reference is not None and labelled:
        estimate = piano_to_notes(reference, PIANO_SAMPLE_RATE)
        figures["reference"] = {"retranscribed_conp": note_scores(labelled, estimate)["conp"]}
    return figures


def summarize(measured: Sequence[Measured], settings: EvaluateSettings) -> dict[str, Any]:
    """Average over the recordings of each corpus.

    Returns
    -------
    dict
        ``notes.<corpus>.<system>.<figure>``, with ``_low`` and ``_high`` (95 %, by recording) for WITH_INTERVALS,
        ``notes.<corpus>.ahead_of_<baseline>.<figure>``: ours minus theirs on the same recordings (paired interval),
        ``sound.<corpus>.<sound>.<figure>`` (``labels_...``: notes transcribed from the sound against the labels of the
        voice; ``piano_share``: those that the identifier calls a piano), ``unlabelled.<corpus>.<figure>`` for corpora
        without labels.
        NaN is left out; figures are rounded to four digits.
    """
    report: dict[str, Any] = {"notes": {}, "sound": {}, UNLABELLED: {}}
    for corpus in sorted({one.item.corpus for one in measured}):
        in_corpus = [one for one in measured if one.item.corpus == corpus]
        labelled = [one for one in in_corpus if one.scores]
        if labelled:
            report["notes"][corpus] = _transcription(labelled, settings.bootstrap)
        if len(labelled) < len(in_corpus):
            report[UNLABELLED][corpus] = _without_labels([one for one in in_corpus if not one.scores])
        sounds = sorted({sound for one in in_corpus for sound in one.sounds})
        report["sound"][corpus] = {sound: _means([one.sounds.get(sound, {}) for one in in_corpus]) for sound in sounds}
    every = [row["same_length"] for one in measured for row in one.sounds.values() if "same_length" in row]
    report["same_length_share"] = round(sum(every) / max(1, len(every)), 4)
    return {name: part for name, part in report.items() if part != {}}


def _transcription(measured: Sequence[Measured], n_resamples: int) -> dict[str, Any]:
    systems = sorted({name for one in measured for name in one.scores}, key=lambda name: (name != OURS, name))
    table: dict[str, Any] = {}
    for system in systems:
        rows = [one.scores[system] for one in measured if system in one.scores]
        table[system] = {"recordings": len(rows), **_means(rows), **_intervals(rows, n_resamples)}
        if system == OURS:
            continue
        pairs = [(one.scores[OURS], one.scores[system]) for one in measured if system in one.scores]
        ahead = [{name: ours[name] - theirs[name] for name in RULES} for ours, theirs in pairs]
        table[f"ahead_of_{system}"] = {**_means(ahead), **_intervals(ahead, n_resamples)}
    return table


def _without_labels(measured: Sequence[Measured]) -> dict[str, float]:
    """Count the notes of recordings without labels, and compare with the baselines (COnP of ours against theirs)."""
    seconds = sum(one.item.n_samples / PIANO_SAMPLE_RATE for one in measured)
    figures = {
        "recordings": len(measured),
        "notes": sum(len(one.notes) for one in measured),
        "notes_a_second": round(sum(len(one.notes) for one in measured) / max(seconds, 1e-9), 4),
    }
    names = sorted({name for one in measured for name in one.baseline_notes})
    agreement = [
        {
            f"conp_against_{name}": note_scores(one.baseline_notes[name], one.notes)["conp"]
            for name in one.baseline_notes
        }
        for one in measured
    ]
    return {**figures, **(_means(agreement) if names else {})}


def _means(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Average each figure over the rows that have it."""
    figures = {}
    for name in sorted({name for row in rows for name in row}):
        values = [row[name] for row in rows if name in row and not math.isnan(row[name])]
        if values:
            figures[name] = round(sum(values) / len(values), 4)
    return figures


def _intervals(rows: Sequence[Mapping[str, float]], n_resamples: int) -> dict[str, float]:
    """Give the intervals; a single recording has none."""
    figures: dict[str, float] = {}
    for name in WITH_INTERVALS:
        values = [row[name] for row in rows if not math.isnan(row.get(name, math.nan))]
        if len(values) > 1:
            _, low, high = bootstrap_mean(values, n_resamples)
            figures |= {f"{name}_low": round(low, 4), f"{name}_high": round(high, 4)}
    return figures
