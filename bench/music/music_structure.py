"""The part ``structure`` of ``music``: simplifying, repetitions and melodic similarity."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from hf_model.corpora.pop909_excerpts import Excerpt, is_rule_test_song
from hf_model.corpora.readers.scores import read_pop909
from hf_model.music.fitted import load_fitted, save_fitted
from hf_model.music.repetition import find_repetitions
from hf_model.music.repetition_voting import KINDS, Correction, agree, proposals
from hf_model.music.simplification import LEVELS, hand_moves, simplify
from hf_model.notes.melodic_similarity import contour_distance, similarities, similarity
from hf_model.notes.midi import skyline
from hf_model.notes.note import Note
from hf_model.training.music_fitting import fit_logistic

ERROR_RATE, MIN_DISTANCE = 0.02, 8
"""Share of the notes that are made wrong, and notes at least between two of them."""

SEARCH_EVERY = 3
"""Every third song is searched for among all."""

ERRORS = ("semitone", "tone", "octave", "missing", "extra")
Error = tuple[str, int, int]
"""Kind, index of the note, right key; of a missing note the index of the note before it."""


def measure(mirror: Path, excerpts: Sequence[Excerpt]) -> None:
    """Print all figures."""
    measure_levels(excerpts)
    measure_votes(mirror)


def measure_levels(excerpts: Sequence[Excerpt]) -> None:
    """Print note rate, similarity, hand moves and success of a search, by level."""
    songs = [excerpt.notes for excerpt in excerpts]
    rows = np.zeros((len(excerpts), len(LEVELS), 5))
    for k, excerpt in enumerate(excerpts):
        seconds = excerpt.notes[-1].offset - excerpt.notes[0].onset
        for level in LEVELS:
            simple = simplify(excerpt.notes, level, excerpt.tempo)
            rows[k, level] = (
                len(simple) / seconds,
                similarity(excerpt.notes, simple),
                contour_distance(excerpt.notes, simple),
                60 * hand_moves(simple) / seconds,
                int(np.argmax(similarities(simple, songs, 4))) == k if k % SEARCH_EVERY == 0 else np.nan,
            )
    chance = np.mean([similarity(a, b) for a, b in zip(songs, [*songs[1:], songs[0]], strict=True)])
    print(
        f"\n{len(excerpts)} excerpts held out, as written, true beats; similarity of two different songs {chance:.3f}"
    )
    print("level: notes/s, similarity (lowest), contour distance, hand moves a minute, found first among all")
    for level in LEVELS:
        rate, like, contour, moves, first = np.nanmean(rows[:, level], axis=0)
        lowest = rows[:, level, 1].min()
        print(f"{level}: {rate:.2f}, {like:.3f} ({lowest:.3f}), {contour:.2f}, {moves:.1f}, {first:.3f}")


@dataclass(frozen=True, eq=False)
class Melody:
    """A melody with single errors, and the number of its notes that are right."""

    notes: list[Note]
    errors: list[Error]
    n_right: int


def with_errors(notes: Sequence[Note], rng: Generator) -> Melody:
    """Make single notes wrong: a semitone, a tone or an octave off, missing, or cut in two with one half wrong."""
    n_errors = max(1, round(ERROR_RATE * len(notes)))
    chosen: list[int] = []
    for index in rng.permutation(np.arange(1, len(notes) - 1)):
        if len(chosen) < n_errors and all(abs(index - other) > MIN_DISTANCE for other in chosen):
            chosen.append(int(index))
    line: list[Note] = []
    errors = []
    for index, note in enumerate(notes):
        if index not in chosen:
            line.append(note)
            continue
        kind = str(rng.choice(ERRORS))
        key = int(note.pitch)
        if kind == "missing":
            errors.append((kind, len(line) - 1, key))
        elif kind == "extra":
            middle, step = (note.onset + note.offset) / 2, int(rng.choice([-2, -1, 0, 1, 2]))
            line += [replace(note, offset=middle), replace(note, onset=middle, pitch=note.pitch + step)]
            errors.append((kind, len(line) - 1, key + step))
        else:
            size = {"semitone": 1, "tone": 2, "octave": 12}[kind] * int(rng.choice([-1, 1]))
            errors.append((kind, len(line), key))
            line.append(replace(note, pitch=note.pitch + size))
    return Melody(line, errors, len(notes) - len(chosen))


def repairs(correction: Correction, error: Error, notes: Sequence[Note]) -> bool:
    """Whether a correction repairs an error."""
    kind, index, key = error
    if kind == "extra":
        twin = notes[index - 1].pitch == notes[index].pitch  # either of two equal halves may be removed
        return correction.kind == "extra" and correction.index in ({index - 1, index} if twin else {index})
    wanted = kind if kind == "missing" else "pitch"
    return (correction.kind, correction.index, correction.pitch) == (wanted, index, key)


def read_songs(mirror: Path, *, held_out: bool) -> list[tuple[str, list[Note]]]:
    """Read whole melodies."""
    records = (record for record in read_pop909(mirror) if is_rule_test_song(record.pair_id) == held_out)
    return [(record.pair_id, line) for record in records if len(line := skyline(record.notes)) >= 40]


def fit(mirror: Path) -> None:
    """Fit repetition_voting.json on the training songs."""
    examples: dict[str, list[tuple[NDArray[np.float64], float]]] = {kind: [] for kind in KINDS}
    for song, notes in read_songs(mirror, held_out=False):
        melody = with_errors(notes, np.random.default_rng([0, int(song)]))
        for correction in proposals(melody.notes, find_repetitions(melody.notes)):
            right = any(repairs(correction, error, melody.notes) for error in melody.errors)
            examples[correction.kind].append((correction.features, float(right)))

    weights = {kind: fit_logistic(pairs) for kind, pairs in examples.items()}
    save_fitted("repetition_voting", {**load_fitted("repetition_voting"), "decision_weights": weights})


def measure_votes(mirror: Path) -> None:
    """Print the share of errors repaired and of right notes broken, in whole songs."""
    total, repaired, covered, repaired_there = Counter[str](), Counter[str](), 0, 0
    broken = broken_clean = n_right = n_notes = 0
    spent = []
    for song, notes in read_songs(mirror, held_out=True):
        melody = with_errors(notes, np.random.default_rng([5, int(song)]))
        started = time.perf_counter()
        repetitions = find_repetitions(melody.notes)
        spent.append(time.perf_counter() - started)
        _, made = agree(melody.notes, repetitions)
        repeated = Counter(i for r in repetitions for pair in r.pairs for i in pair)
        for error in melody.errors:
            done = any(repairs(correction, error, melody.notes) for correction in made)
            total[error[0]] += 1
            repaired[error[0]] += done
            if max(repeated[error[1]], repeated[error[1] + 1]) >= 2:
                covered += 1
                repaired_there += done
        broken += sum(not any(repairs(c, error, melody.notes) for error in melody.errors) for c in made)
        n_right += melody.n_right
        broken_clean += len(agree(notes, find_repetitions(notes))[1])
        n_notes += len(notes)
    n_errors = total.total()
    print(f"{n_errors} errors in {n_notes} notes of whole melodies held out")
    print(f"repaired {repaired.total() / n_errors:.3f}, right notes broken {broken / n_right:.4f}")
    print({kind: round(repaired[kind] / total[kind], 3) for kind in ERRORS})
    print(f"in phrases sung three times or more ({covered / n_errors:.2f} of them): {repaired_there / covered:.3f}")
    print(f"notes changed in melodies without an error: {broken_clean / n_notes:.4f}")
    print(f"finding repetitions in a whole song: {1000 * np.median(spent):.0f} ms")
