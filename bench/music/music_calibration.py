"""The part ``calibration`` of ``music``: whether metres, tempi and keys are right as often as the program says.

Also the tempo of librosa and the keys of music21 on the same performances.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.music import music_folk
from bench.music.excerpts import Performance, jittered, sung
from hf_model.corpora.abc_tunes import Tune
from hf_model.corpora.pop909_excerpts import Excerpt, is_development_song, read_excerpts
from hf_model.evaluation.report import markdown_table
from hf_model.music.fitted import load_fitted, save_fitted
from hf_model.music.key import Key, estimate_key, parse_key, score_keys
from hf_model.music.meter import ESTIMATED, METERS
from hf_model.music.remarks import LIKELY, UNSURE
from hf_model.music.tempo import SAME_TEMPO, confidence_features, estimate_tempo, find_reading
from hf_model.notes.note import Note
from hf_model.training.classification_scores import calibration_error
from hf_model.training.meter_fitting import FAMILIES
from hf_model.training.music_fitting import fit_confidence

N_BINS = 5
"""Of equal width, in the expected calibration error."""

N_RANDOM, RANDOM_WEIGHT = 60, 0.25
"""Recordings without a beat whose tempi count as wrong, and how much they count beside a collection."""

WORDS = {"a guess": (0.0, UNSURE), "likely": (UNSURE, LIKELY), "without a word": (LIKELY, 1.01)}
"""What is told at which confidence."""

FRAME = 0.0116
"""Seconds of a frame of the onsets that librosa gets."""


@dataclass(frozen=True)
class Truth:
    """A performance and what is right: the kind of music, the metre's family, beats per minute, and the key."""

    kind: str
    notes: list[Note]
    family: str
    bpm: float
    key: Key | None


def measure(excerpts: Sequence[Excerpt]) -> None:
    """Print both tables."""
    performances = [*_folk(), *_pop(excerpts)]
    rows, others = [], []
    for kind in dict.fromkeys(one.kind for one in performances):
        own = [one for one in performances if one.kind == kind]
        found = [_estimates(one) for one in own]
        for name in ("metre", "tempo", "key"):
            pairs = np.array([one[name] for one in found if name in one])
            shares = [_share_right(pairs, *limits) for limits in WORDS.values()]
            confidence, right = pairs.T
            error = calibration_error(confidence, right, N_BINS)
            figures = [f"{right.mean():.3f}", f"{confidence.mean():.3f}", f"{error:.3f}"]
            rows.append([f"{kind}, {name}", str(len(pairs)), *figures, *shares])
        baselines = np.array([_baselines(one) for one in own])
        others.append([kind, *(f"{value:.3f}" for value in np.nanmean(baselines, axis=0))])
    print("\n".join(markdown_table(f" | n | right | confidence | error | {' | '.join(WORDS)}", rows)))
    print()
    head = " | librosa's tempo | half and double counted | music21's key | the same of this program"
    print("\n".join(markdown_table(head, others)))


def _share_right(pairs: NDArray[np.float64], low: float, high: float) -> str:
    part = pairs[(pairs[:, 0] >= low) & (pairs[:, 0] < high)]
    return f"{part[:, 1].mean():.2f} of {len(part)}" if len(part) else ""


def fit(mirror: Path) -> None:
    """Fit the confidences of metre, tempo and key: tempo.json and key.json.

    To the folk tunes for development and to jittered songs for development; each collection counts the same. Random
    onsets are wrong tempi.
    """
    excerpts = [one for one in read_excerpts(mirror, held_out=False) if is_development_song(one.song)]
    truths = [*_folk(music_folk.DEVELOPMENT), *_pop(excerpts, {"pop": jittered})]
    sizes = Counter(one.kind for one in truths)
    rows: dict[str, list[tuple[list[float], bool, float]]] = {"meter": [], "tempo": [], "key": []}
    for one in truths:
        weight = 1.0 / sizes[one.kind]
        found = find_reading(one.notes, [METERS[name] for name in ESTIMATED])
        is_family = FAMILIES[found.meter.name] == one.family
        is_tempo = abs(estimate_tempo(one.notes).bpm / one.bpm - 1) <= SAME_TEMPO
        rows["meter"].append((confidence_features(found.meter_share, found.evidence), is_family, weight))
        rows["tempo"].append((confidence_features(found.tempo_share, found.evidence), is_tempo, weight))
        if one.key is not None:
            key, features = score_keys(one.notes)
            rows["key"].append((features, (key.tonic, key.mode) == (one.key.tonic, one.key.mode), weight))
    for number in range(N_RANDOM):
        found = find_reading(_random_notes(number), [METERS[name] for name in ESTIMATED])
        rows["tempo"].append((confidence_features(found.tempo_share, found.evidence), False, RANDOM_WEIGHT / N_RANDOM))
    fitted = {}
    for name, own in rows.items():
        table, right, weights = (np.array(column) for column in zip(*own, strict=True))
        fitted[name] = fit_confidence(table, right, weights)
        print(f"{name}: {len(own)} estimates, right {np.average(right, weights=weights):.3f}: {fitted[name]}")
    save_fitted("tempo", {**load_fitted("tempo"), "meter": fitted["meter"], "tempo": fitted["tempo"]})
    save_fitted("key", {**load_fitted("key"), "certainty": fitted["key"]})


def _random_notes(number: int) -> list[Note]:
    """Give notes without a beat."""
    onsets = np.cumsum(np.exp(np.random.default_rng([3, number]).normal(np.log(0.4), 0.5, 50)))
    return [Note(float(onset), float(onset) + 0.1, 60.0) for onset in onsets]


def _folk(places: Sequence[int] = music_folk.MEASURED) -> Iterator[Truth]:
    for name in music_folk.COLLECTIONS:
        for tune, family, number in music_folk.choose_tunes(name, places):
            notes, bpm, _ = music_folk.perform(tune, family, np.random.default_rng([7, number]))
            yield Truth(f"folk ({name.capitalize()})", notes, family, bpm, true_key(tune, has_mode=name != "essen"))


PERFORMED: dict[str, Callable[[Excerpt], Performance]] = {"pop, jittered": jittered, "pop, sung": sung}


def _pop(
    excerpts: Sequence[Excerpt], kinds: Mapping[str, Callable[[Excerpt], Performance]] = PERFORMED
) -> Iterator[Truth]:
    for kind, perform in kinds.items():
        for one in excerpts:
            notes, beats, _ = perform(one)
            if len(notes) > 1:
                bpm = 60.0 / float(np.median(np.diff(beats)))
                yield Truth(kind, notes, FAMILIES[one.meter], bpm, parse_key(one.key))


def true_key(tune: Tune, *, has_mode: bool) -> Key | None:
    """Give the key of a tune; where only the tonic is written, as in the Essen collection, thirds tell the mode."""
    if tune.key_name is None:
        return None
    key = parse_key(tune.key_name)
    thirds = [sum((pitch - key.tonic) % 12 == third for _, _, pitch in tune.notes) for third in (3, 4)]
    return Key(key.tonic, "minor") if not has_mode and thirds[0] > thirds[1] else key


def _estimates(one: Truth) -> dict[str, tuple[float, float]]:
    """Estimate: confidence, and 1 if it is right, by name."""
    tempo, key = estimate_tempo(one.notes), estimate_key(one.notes)
    found = {
        "metre": (tempo.meter_confidence, float(FAMILIES[tempo.meter_name] == one.family)),
        "tempo": (tempo.confidence, float(abs(tempo.bpm / one.bpm - 1) <= SAME_TEMPO)),
    }
    if one.key is not None:
        found["key"] = (key.confidence, float((key.tonic, key.mode) == (one.key.tonic, one.key.mode)))
    return found


def _baselines(one: Truth) -> list[float]:
    """Whether librosa's tempo is right, exactly and folded, and the MIREX scores of both keys."""
    import librosa
    import mir_eval
    from music21 import note, stream

    frames = np.zeros(int(one.notes[-1].onset / FRAME) + 50)
    frames[[int(onset.onset / FRAME) for onset in one.notes]] = 1.0
    smooth = np.convolve(frames, np.hanning(7), "same")
    bpm = float(librosa.feature.tempo(onset_envelope=smooth, sr=1 / FRAME, hop_length=1)[0])
    folded = np.min(np.abs(bpm * 2.0 ** np.arange(-2, 3) / one.bpm - 1)) <= SAME_TEMPO
    found = [float(abs(bpm / one.bpm - 1) <= SAME_TEMPO), float(folded), np.nan, np.nan]
    if one.key is None:
        return found
    part = stream.Stream()
    for one_note in one.notes:
        part.append(note.Note(round(one_note.pitch), quarterLength=max(0.1, round(one_note.duration * 2, 2))))
    theirs = part.analyze("key")
    names = [f"{theirs.tonic.name.replace('-', 'b')} {theirs.mode}", estimate_key(one.notes).name]
    truth = one.key.name
    return [*found[:2], *(float(mir_eval.key.weighted_score(truth, name)) for name in names)]
