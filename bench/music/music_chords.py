"""The part ``chords`` of ``music``: weighted chord symbol recall of excerpts, and the fit of weights/harmony."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.music.excerpts import jittered
from hf_model.corpora.pop909_excerpts import Excerpt, is_rule_test_song, read_downbeats
from hf_model.corpora.readers.scores import read_pop909
from hf_model.corpora.records import Span
from hf_model.evaluation.report import markdown_table
from hf_model.music.chords import MODEL, Chord, estimate_chords, pitch_class_rolls
from hf_model.music.key import MODES, Key, estimate_key, parse_key
from hf_model.music.tempo import Tempo, estimate_tempo
from hf_model.notes.midi import skyline
from hf_model.notes.note import Note, to_keys
from hf_model.notes.pitch import NAMES
from hf_model.training.accompaniment.chord_fitting import ChordExample, fit_chords, share_of_right_chords, train_network
from hf_model.weights import write_tensors

CHECK_EVERY = 4
"""One in so many training songs chooses the settings."""

QUALITIES = {"maj": 0, "7": 0, "maj7": 0, "maj6": 0, "min": 1, "min7": 1, "min6": 1, "minmaj7": 1}
Method = Callable[[list[Note], Key, Tempo], list[Chord]]


def always_tonic(notes: list[Note], key: Key, _: Tempo) -> list[Chord]:
    """Hold the tonic chord: the baseline."""
    return [Chord(0.0, notes[-1].offset, key.tonic, key.mode == "minor")]


def fitting_triads(notes: list[Note], key: Key, tempo: Tempo) -> list[Chord]:
    """Choose for each half bar (each bar of three) the triad of the scale that fits the melody best: the rules."""
    size = 2 if tempo.beats_per_bar == 4 else tempo.beats_per_bar
    first, last = (int(np.floor(tempo.to_beats(time))) for time in (notes[0].onset, notes[-1].offset))
    first -= (first - tempo.downbeat) % size
    edges = tempo.to_seconds(np.arange(first, last + size + 1, size))
    rolls = pitch_class_rolls(notes, edges)
    triads = [((key.tonic + root) % 12, is_minor) for root, is_minor in DIATONIC[key.mode]]
    found = []
    for roll, onset, offset in zip(rolls, edges[:-1], edges[1:], strict=True):
        scores = [sum(roll[c] for c in Chord(0.0, 1.0, *triad).pitch_classes) for triad in triads]
        found.append(Chord(float(onset), float(offset), *triads[int(np.argmax(scores))]))
    return found


DIATONIC = {
    "major": ((0, False), (7, False), (5, False), (9, True), (2, True), (4, True)),
    "minor": ((0, True), (7, False), (5, True), (8, False), (10, False), (3, False)),
}
"""Triads by semitones above the tonic, and whether they are minor; the usual ones first."""

RULES, NETWORK = "rules: the triad of the scale that fits each half bar", "network and chain"

METHODS: dict[str, Method] = {
    "always the tonic": always_tonic,
    RULES: fitting_triads,
    NETWORK: estimate_chords,
}


Recalls = dict[tuple[str, str], list[tuple[float, float]]]
"""Majmin and root of each excerpt, by method and kind of notes."""


def measure(excerpts: Sequence[Excerpt]) -> None:
    """Print the table."""
    print("\n" + "\n".join(table(recalls(excerpts))))


def recalls(excerpts: Sequence[Excerpt]) -> Recalls:
    """Measure with the annotated key and beats ("as written"), and with those estimated ("performed")."""
    results: Recalls = {}
    for excerpt in excerpts:
        performed, performed_beats, _ = jittered(excerpt)
        found, tempo = to_keys(performed), estimate_tempo(performed)

        def clock(
            seconds: float, a: NDArray[np.float64] = excerpt.beats, b: NDArray[np.float64] = performed_beats
        ) -> float:
            return float(np.interp(seconds, a, b))

        for name, method in METHODS.items():
            chords = method(excerpt.notes, parse_key(excerpt.key), excerpt.tempo)
            results.setdefault((name, "as written"), []).append(recall(excerpt, chords, float))
            chords = method(found, estimate_key(found, 0.0), tempo)
            results.setdefault((name, "performed"), []).append(recall(excerpt, chords, clock))
    return results


def table(results: Recalls) -> list[str]:
    """Make a table of means."""
    rows = []
    for name in METHODS:
        means = [np.nanmean(results[name, kind], axis=0) for kind in ("as written", "performed")]
        rows.append([name, *(f"{majmin:.3f}, {root:.3f}" for majmin, root in means)])
    n_excerpts = len(next(iter(results.values())))
    return markdown_table(f"{n_excerpts} excerpts | as written: majmin, root | performed: majmin, root", rows)


def recall(excerpt: Excerpt, chords: list[Chord], clock: Callable[[float], float]) -> tuple[float, float]:
    """Compare with the annotation from the first to the last note: majmin and root (mir_eval)."""
    import mir_eval

    start, end = clock(excerpt.notes[0].onset), clock(excerpt.notes[-1].offset)
    wanted = [Span(clock(c.onset), clock(c.offset), c.name.replace("sus4(b7)", "sus4")) for c in excerpt.chords]
    labels = [f"{NAMES[chord.root]}:{'min' if chord.is_minor else 'maj'}" for chord in chords]
    cut = mir_eval.util.adjust_intervals
    reference = cut(np.array([(c.onset, c.offset) for c in wanted]), [c.name for c in wanted], start, end, "X", "X")
    estimate = cut(np.array([(c.onset, c.offset) for c in chords]), labels, start, end, "N", "N")
    intervals, *both = mir_eval.util.merge_labeled_intervals(*reference, *estimate)
    lengths = mir_eval.util.intervals_to_durations(intervals)
    measures = (mir_eval.chord.majmin(*both), mir_eval.chord.root(*both))
    majmin, root = (mir_eval.chord.weighted_accuracy(measure, lengths) for measure in measures)
    return float(majmin), float(root)


def fit(mirror: Path) -> None:
    """Choose the settings, fit on all training songs, and write weights/harmony."""
    songs = read_songs(mirror)
    held_back, rest = songs[::CHECK_EVERY], [song for k, song in enumerate(songs) if k % CHECK_EVERY]
    network, tried = train_network(rest), {}
    for sharpness in (1.4, 2.0, 2.8):
        for fairness in (0.0, 0.2):
            model = fit_chords(rest, network, sharpness, fairness)
            tried[sharpness, fairness] = share_of_right_chords(model, held_back)
            print(f"sharpness {sharpness}, fairness {fairness}: {tried[sharpness, fairness]:.3f}")
    sharpness, fairness = max(tried, key=lambda setting: tried[setting])
    model = fit_chords(songs, train_network(songs), sharpness, fairness)
    tables = {**model.network, "transition": model.transition, "change": model.change}
    tables = {name: table.astype(np.float32) for name, table in tables.items()}
    settings = {
        "kind": "harmony",
        "sharpness": sharpness,
        "fairness": fairness,
        "trained_on": f"POP909 (MIT): {len(songs)} songs in 4/4 whose number is no multiple of 5",
        "right_beats_in_songs_held_back": round(tried[sharpness, fairness], 3),
        "licence": "MIT",
    }
    write_tensors(MODEL, tables, settings)


def read_songs(mirror: Path) -> list[ChordExample]:
    """Read the training songs in 4/4."""
    songs = []
    for record in read_pop909(mirror):
        if is_rule_test_song(record.pair_id) or record.beats is None or record.key is None:
            continue
        downbeats = read_downbeats(mirror, record.pair_id)
        if len(downbeats) < 4 or np.median(np.diff(downbeats)) != 4:
            continue
        key, beats = parse_key(record.key), record.beats
        middles = (beats[:-1] + beats[1:]) / 2
        chords = np.full(len(middles), -1)
        for span in record.chords:
            chords[(middles >= span.onset) & (middles < span.offset)] = chord_number(span.name, key)
        last = np.maximum.accumulate(np.where(np.isin(np.arange(len(beats)), downbeats), np.arange(len(beats)), -1))
        places = np.clip(np.arange(len(beats)) - last, 0, 3)[:-1]
        halves = np.sort(np.concatenate([beats, middles]))
        rolls = np.roll(pitch_class_rolls(skyline(record.notes), halves), -key.tonic, axis=1)
        songs.append(ChordExample(rolls, chords, places, MODES.index(key.mode)))
    return songs


def chord_number(name: str, key: Key) -> int:
    """Give a published chord as a number relative to the key; -1 if it is neither major nor minor."""
    root, _, quality = name.partition(":")
    minor = QUALITIES.get(quality.partition("/")[0])
    return -1 if minor is None else (parse_key(root).tonic - key.tonic) % 12 * 2 + minor
