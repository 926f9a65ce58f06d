"""Fitting the genre model: features of recordings, or of made arrangements, to a multinomial logistic regression."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hf_model.alignment.band import Part
from hf_model.alignment.band_audio import BAND_SAMPLE_RATE, find_font, render_band
from hf_model.analysis.features import as_vector, sound_features
from hf_model.analysis.genre import KIND, GenreModel
from hf_model.analysis.model_file import MODEL_FILE
from hf_model.audio.io import to_mono
from hf_model.audio.recording import read_recording
from hf_model.audio.resampling import resample
from hf_model.corpora.catalogue import read
from hf_model.corpora.records import SongRecord
from hf_model.files import write_json
from hf_model.instruments.identifier import default_identifier
from hf_model.instruments.spectrogram import RATE
from hf_model.training.classification_scores import calibration_error, macro_f1
from hf_model.training.tables.arrangements import GENRES, write_arrangement

SONG_SECONDS = 15.0

GAP = 1.0
"""Seconds between the songs of one rendering."""


class LabelledSong(NamedTuple):
    """Features of a song, its genre, and what it shares with others: an artist, or a sound font."""

    features: Mapping[str, float]
    genre: str
    group: str


def made_songs(font: str, n_songs: int, seed: int) -> Iterator[LabelledSong]:
    """Play made songs of each genre with a sound font, one after another; errors as of ``render_band``."""
    rng = np.random.default_rng([seed, *font.encode()])
    path, step = find_font(font), SONG_SECONDS + GAP
    for genre in GENRES:
        songs = [write_arrangement(genre, SONG_SECONDS, rng) for _ in range(n_songs)]
        n_samples = round(n_songs * step * BAND_SAMPLE_RATE)
        audio = to_mono(render_band(_one_after_another(songs, step), n_samples, path, reverb=int(rng.integers(20, 70))))
        sound = resample(audio, BAND_SAMPLE_RATE, RATE)
        for index in range(n_songs):
            start = round(index * step * RATE)
            song = sound[start : start + round(SONG_SECONDS * RATE)]
            yield LabelledSong(sound_features(song, default_identifier()), genre, font)


def _one_after_another(songs: Sequence[Sequence[Part]], step: float) -> list[Part]:
    """Join the parts of songs by instrument: a sound font is loaded once for all of them."""
    joined: dict[tuple[int, bool], Part] = {}
    for index, parts in enumerate(songs):
        for part in parts:
            moved = [
                replace(note, onset=note.onset + index * step, offset=note.offset + index * step) for note in part.notes
            ]
            key = (part.program, part.is_drum)
            before = joined.get(key, replace(part, notes=()))
            joined[key] = replace(before, notes=(*before.notes, *moved))
    return list(joined.values())


def recorded_songs(raw: Path, corpus: str) -> Iterator[LabelledSong]:
    """Compute the features of all recordings of a corpus that have a genre; one without an artist is its own group."""
    for record in read(corpus, raw):
        if isinstance(record, SongRecord) and record.genre and record.audio_path is not None:
            voice = read_recording(record.audio_path).voice
            features = sound_features(voice, default_identifier())
            yield LabelledSong(features, record.genre, record.artist or record.pair_id)


def fit_genres(songs: Sequence[LabelledSong], facts: Mapping[str, Any], strength: float = 0.1) -> GenreModel:
    """Fit a model.

    Parameters
    ----------
    songs : sequence of LabelledSong
        Of at least two genres.
    facts : mapping
        For the model's ``facts``.
    strength : float
        Inverse of the regularisation.
    """
    from sklearn.linear_model import LogisticRegression

    names = tuple(songs[0].features)
    values = np.stack([as_vector(song.features, names) for song in songs])
    mean, deviation = values.mean(axis=0), np.maximum(values.std(axis=0), 1e-3)
    genres = tuple(sorted({song.genre for song in songs}))
    wanted = [genres.index(song.genre) for song in songs]
    fitted = LogisticRegression(C=strength, max_iter=2000).fit((values - mean) / deviation, wanted)
    weights = np.column_stack([fitted.coef_, fitted.intercept_])
    if len(genres) == 2:  # scikit-learn has one row for two classes
        weights = np.stack([-weights[0] / 2.0, weights[0] / 2.0])
    return GenreModel(names, genres, mean, deviation, weights, dict(facts))


def score_genres(model: GenreModel, songs: Sequence[LabelledSong]) -> dict[str, float]:
    """Compute accuracy, macro F1 and expected calibration error on songs."""
    genres = sorted({*model.genres, *(song.genre for song in songs)})
    likeliest = [next(iter(model.probabilities(song.features).items())) for song in songs]
    chosen = np.array([genres.index(genre) for genre, _ in likeliest])
    wanted = np.array([genres.index(song.genre) for song in songs])
    confidence = np.array([probability for _, probability in likeliest])
    return {
        "accuracy": float(np.mean(chosen == wanted)),
        "macro_f1": macro_f1(wanted, chosen),
        "calibration_error": calibration_error(confidence, chosen == wanted),
    }


def cross_validate(songs: Sequence[LabelledSong], n_folds: int = 5, seed: int = 0) -> dict[str, float]:
    """Score models on groups that they were not fitted to: songs of other artists or sound fonts."""
    groups = sorted({song.group for song in songs})
    order = np.random.default_rng(seed).permutation(len(groups))
    fold_of = {groups[int(group)]: place % n_folds for place, group in enumerate(order)}
    scores = []
    for fold in range(min(n_folds, len(groups))):
        train = [song for song in songs if fold_of[song.group] != fold]
        test = [song for song in songs if fold_of[song.group] == fold]
        if len({song.genre for song in train}) > 1 and test:
            scores.append(score_genres(fit_genres(train, {}), test))
    return {name: float(np.mean([score[name] for score in scores])) for name in scores[0]} if scores else {}


def save_genre_model(model: GenreModel, folder: Path) -> None:
    """Write a model as JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    values = {
        "kind": KIND,
        "names": list(model.names),
        "genres": list(model.genres),
        "mean": _rounded(model.mean),
        "deviation": _rounded(model.deviation),
        "weights": _rounded(model.weights),
        "facts": dict(model.facts),
    }
    write_json(folder / MODEL_FILE, values)


def _rounded(values: NDArray[np.float64]) -> Any:
    return np.round(values, 6).tolist()
