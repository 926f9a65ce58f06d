"""Simplifying, repetitions and likeness on the songs of pop909 that are held out.

python bench/music_structure.py --mirror FOLDER          the figures
python bench/music_structure.py --mirror FOLDER --fit    the weights of hf_model/music/repetition_voting.py, from the
other songs
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from excerpts import is_held_out, jittered, read_excerpts, sung
from numpy.random import Generator

from hf_model.corpora.readers.scores import read_pop909
from hf_model.evaluation.melodic_similarity import contour_distance, similarities, similarity
from hf_model.music.arrangement import Arrangement, arrange
from hf_model.music.key import estimate_key
from hf_model.music.repetition import find_repetitions
from hf_model.music.repetition_voting import KINDS, Correction, agree, proposals
from hf_model.music.simplification import LEVELS, hand_moves, simplify
from hf_model.music.tempo import Tempo, estimate_tempo
from hf_model.notes.midi import upper_line
from hf_model.notes.note import Note

ERROR_RATE, APART = 0.02, 8
"""Share of the notes that are made wrong, and so many notes at least between two."""

ASKED = 3
"""Every so manieth song is looked for among all."""

ERRORS = ("semitone", "tone", "octave", "missing", "extra")


# -------------------------------------------------------------------------------------------------------- simplifying
def measure_levels(mirror: Path) -> None:
    """Print note rate, likeness, hand moves and what is found again, by level."""
    excerpts = read_excerpts(mirror, held_out=True)
    songs = [excerpt.notes for excerpt in excerpts]
    rows = np.zeros((len(excerpts), len(LEVELS), 5))
    for k, excerpt in enumerate(excerpts):
        beats = Tempo(
            excerpt.bpm,
            1.0,
            tuple(map(float, excerpt.beats)),
            int(np.argmax(excerpt.downbeats)),
            (3, 4) if excerpt.meter == "3/4" else (4, 4),
            1.0,
        )
        seconds = excerpt.notes[-1].offset - excerpt.notes[0].onset
        for level in LEVELS:
            simple = simplify(excerpt.notes, level, beats)
            found = int(np.argmax(similarities(simple, songs, 4))) == k if k % ASKED == 0 else np.nan
            rows[k, level] = (
                len(simple) / seconds,
                similarity(excerpt.notes, simple),
                contour_distance(excerpt.notes, simple),
                60 * hand_moves(simple) / seconds,
                found,
            )
    chance = np.mean([similarity(a, b) for a, b in zip(songs, [*songs[1:], songs[0]], strict=True)])
    print(f"{len(excerpts)} excerpts held out, as written, true beats; two different songs are {chance:.3f} alike")
    print("level: notes/s, similarity (least), contour distance, hand moves a minute, found first among all")
    for level in LEVELS:
        rate, like, contour, moves, first = np.nanmean(rows[:, level], axis=0)
        least = rows[:, level, 1].min()
        print(f"{level}: {rate:.2f}, {like:.3f} ({least:.3f}), {contour:.2f}, {moves:.1f}, {first:.3f}")
    falls = (np.diff(rows[:, :, 0], axis=1) < 0).mean(axis=0)
    print("note rate falls in a share of songs:", falls.round(2))


def measure_sung(mirror: Path) -> None:
    """Print the same for what the program hears when the made singer sings, with the tempo it finds."""
    excerpts = read_excerpts(mirror, held_out=True)
    rows = []
    for excerpt in excerpts:
        notes, _, duration = sung(excerpt)
        tempo = estimate_tempo(notes, duration)
        simple = [simplify(notes, level, tempo) for level in LEVELS]
        rows.append([(len(s) / duration, similarity(excerpt.notes, s)) for s in simple])
    print("sung by the made singer and heard; level: notes/s, similarity to what was written")
    for level, (rate, like) in enumerate(np.mean(rows, axis=0)):
        print(f"{level}: {rate:.2f}, {like:.3f}")


def ornamented(notes: Sequence[Note], rng: Generator) -> tuple[list[Note], set[tuple[float, float]]]:
    """Add a mordent or a grace note to one long note in six; give onset and pitch of what was added."""
    line: list[Note] = []
    added = set()
    for note in notes:
        if note.duration < 0.4 or rng.random() > 1 / 6:
            line.append(note)
            continue
        short, step = rng.uniform(0.05, 0.08), int(rng.choice([-2, -1, 1, 2]))
        start = note.onset if rng.random() < 0.5 else note.onset + 0.15
        if start > note.onset:
            line.append(replace(note, offset=start))
        line += [
            replace(note, onset=start, offset=start + short, pitch=note.pitch + step),
            replace(note, onset=start + short),
        ]
        added.add((start, note.pitch + step))
    return line, added


def measure_ornaments(mirror: Path) -> None:
    """Print how many ornaments level 1 takes out, and how many of the written notes it keeps."""
    n_added = n_left = n_notes = n_same = 0
    for excerpt in read_excerpts(mirror, held_out=True):
        notes, added = ornamented(excerpt.notes, np.random.default_rng([1, int(excerpt.song)]))
        plain = {(note.onset, note.pitch) for note in simplify(notes, 1)}
        n_added += len(added)
        n_left += len(added & plain)
        n_notes += len(excerpt.notes)
        n_same += len({(note.onset, note.pitch) for note in excerpt.notes} & plain)
    print(f"level 1 takes out {1 - n_left / n_added:.3f} of {n_added} mordents and grace notes that were added,")
    print(f"and keeps {n_same / n_notes:.4f} of the {n_notes} notes that were written, at the same onset")


# --------------------------------------------------------------------------------------------------------- repetitions
@dataclass(frozen=True, eq=False)
class Wronged:
    """A melody with single mistakes.

    Attributes
    ----------
    notes : list of Note
    errors : list of (str, int, int)
        Kind, note and right key; for a missing note the note before it.
    n_right : int
        Notes that are right.
    """

    notes: list[Note]
    errors: list[tuple[str, int, int]]
    n_right: int


def wronged(notes: Sequence[Note], rng: Generator) -> Wronged:
    """Make single notes wrong: a semitone, a tone or an octave off, missing, or cut in two of which one is wrong."""
    n_errors = max(1, round(ERROR_RATE * len(notes)))
    chosen: list[int] = []
    for index in rng.permutation(np.arange(1, len(notes) - 1)):
        if len(chosen) < n_errors and all(abs(index - other) > APART for other in chosen):
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
    return Wronged(line, errors, len(notes) - len(chosen))


def repairs(correction: Correction, error: tuple[str, int, int], notes: Sequence[Note]) -> bool:
    """Whether a correction undoes a mistake."""
    kind, index, key = error
    if kind == "missing":
        return (correction.kind, correction.index, correction.pitch) == ("missing", index, key)
    if kind == "extra":
        twin = notes[index - 1].pitch == notes[index].pitch  # which of two equal halves goes does not matter
        return correction.kind == "extra" and correction.index in ({index - 1, index} if twin else {index})
    return (correction.kind, correction.index, correction.pitch) == ("pitch", index, key)


def songs(mirror: Path, *, held_out: bool) -> list[tuple[str, list[Note]]]:
    """Read whole melodies."""
    records = (record for record in read_pop909(mirror) if is_held_out(record.pair_id) == held_out)
    return [(record.pair_id, line) for record in records if len(line := upper_line(record.notes)) >= 40]


def fit_votes(mirror: Path) -> None:
    """Print the weights of hf_model/music/repetition_voting.py."""
    from scipy.optimize import minimize

    examples: dict[str, list[tuple[np.ndarray, float]]] = {kind: [] for kind in KINDS}
    for song, notes in songs(mirror, held_out=False):
        wrong = wronged(notes, np.random.default_rng([0, int(song)]))
        for correction in proposals(wrong.notes, find_repetitions(wrong.notes)):
            right = any(repairs(correction, error, wrong.notes) for error in wrong.errors)
            examples[correction.kind].append((correction.features, float(right)))
    for kind, pairs in examples.items():
        x, y = np.array([pair[0] for pair in pairs]), np.array([pair[1] for pair in pairs])

        def loss(w: np.ndarray, x: np.ndarray = x, y: np.ndarray = y) -> float:
            return float(np.logaddexp(0, -(2 * y - 1) * (x @ w)).sum() + 0.01 * np.square(w[1:]).sum())

        print(kind, len(y), minimize(loss, np.zeros(x.shape[1])).x.round(2).tolist())


def measure_votes(mirror: Path) -> None:
    """Print the share of mistakes repaired and of right notes broken, in whole songs."""
    total, repaired, covered, repaired_there = Counter[str](), Counter[str](), 0, 0
    broken = broken_clean = n_right = n_notes = 0
    spent = []
    for song, notes in songs(mirror, held_out=True):
        wrong = wronged(notes, np.random.default_rng([5, int(song)]))
        started = time.perf_counter()
        repetitions = find_repetitions(wrong.notes)
        spent.append(time.perf_counter() - started)
        _, made = agree(wrong.notes, repetitions)
        repeated = Counter(i for r in repetitions for pair in r.pairs for i in pair)
        for error in wrong.errors:
            done = any(repairs(correction, error, wrong.notes) for correction in made)
            total[error[0]] += 1
            repaired[error[0]] += done
            if max(repeated[error[1]], repeated[error[1] + 1]) >= 2:
                covered += 1
                repaired_there += done
        broken += sum(not any(repairs(c, error, wrong.notes) for error in wrong.errors) for c in made)
        n_right += wrong.n_right
        broken_clean += len(agree(notes, find_repetitions(notes))[1])
        n_notes += len(notes)
    n_errors = total.total()
    print(f"{n_errors} mistakes in {n_notes} notes of whole melodies held out")
    print(f"repaired {repaired.total() / n_errors:.3f}, right notes broken {broken / n_right:.4f}")
    print({kind: round(repaired[kind] / total[kind], 3) for kind in ERRORS})
    print(f"in phrases sung three times or more ({covered / n_errors:.2f} of them): {repaired_there / covered:.3f}")
    print(f"notes changed in melodies without a mistake: {broken_clean / n_notes:.4f}")
    print(f"finding repetitions in a whole song: {1000 * np.median(spent):.0f} ms")


def measure_time(mirror: Path) -> None:
    """Print how long all rules take together on a minute."""
    excerpts = read_excerpts(mirror, held_out=True, limit=20)
    spent: dict[str, list[float]] = {}
    for first, second in zip(excerpts[::2], excerpts[1::2], strict=True):
        a, b = jittered(first)[0], jittered(second)[0]
        notes = [*a, *(replace(n, onset=n.onset + 32, offset=n.offset + 32) for n in b if a[-1].offset < n.onset + 32)]
        notes = [note for note in notes if note.offset <= 60]
        everything = Arrangement(simplify=1, agree_repeats=True, accompany=True, quantize="1/16", snap_key=True)
        for name, call in {
            "repetitions": partial(find_repetitions, notes),
            "simplify 3": partial(simplify, notes, 3),
            "key": partial(estimate_key, notes),
            "everything, first time": partial(arrange, notes, 60.0, everything),
            "everything, again": partial(arrange, notes, 60.0, everything),
        }.items():
            started = time.perf_counter()
            call()
            spent.setdefault(name, []).append(1000 * (time.perf_counter() - started))
    print("ms on 60 s of singing:", {name: round(float(np.median(values)), 1) for name, values in spent.items()})


def main() -> None:
    """Fit or measure."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--mirror", required=True, type=Path, help="folder with the layout of the public sources")
    parser.add_argument("--fit", action="store_true", help="print the weights of the votes, from the training songs")
    arguments = parser.parse_args()
    if arguments.fit:
        fit_votes(arguments.mirror)
        return
    for measure in (measure_levels, measure_sung, measure_ornaments, measure_votes, measure_time):
        measure(arguments.mirror)


if __name__ == "__main__":
    main()
