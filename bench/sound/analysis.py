"""Genre and popularity: what the models of ``hummingface analyse`` are worth on songs that they were not fitted to."""

from __future__ import annotations

import argparse

import numpy as np

from bench.sound.figure import Figure, mean_interval
from hf_model.alignment.band_audio import TEST_FONT
from hf_model.analysis.genre import default_genre_model
from hf_model.training.tables.arrangements import GENRES
from hf_model.training.tables.genre_fitting import made_songs, score_genres
from hf_model.training.tables.popularity_fitting import measure, synthetic_table

SEED = 7
"""Other songs than those of the stage."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("--songs", type=int, default=24, help="made songs of each genre (%(default)s)")


def run(arguments: argparse.Namespace) -> list[Figure]:
    """Print the figures."""
    songs = list(made_songs(TEST_FONT, arguments.songs, SEED))
    scores = score_genres(default_genre_model(), songs)
    figures = ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in scores.items())
    print(f"genre of {len(songs)} made songs on {TEST_FONT}: {figures}; chance {1 / len(GENRES):.3f}")
    print("genre of records: not measured, no recordings by genre with a free licence were at hand")
    report, _ = measure(synthetic_table())
    for name, figures_of in report.items():
        explained, error = figures_of["explained"], figures_of["error"]
        print(
            f"popularity in a synthetic table by {name}: explains {explained[0]:.3f} [{explained[1]:.3f}, "
            f"{explained[2]:.3f}] of the variance, off by {error[0]:.1f} [{error[1]:.1f}, {error[2]:.1f}] of 100"
        )
    accuracy, baseline = scores["accuracy"], f"chance {1 / len(GENRES):.2f}"
    known, alone = report["audio and metadata"]["explained"], report["metadata"]["explained"]
    print("popularity of real songs: not measured, no table of songs was at hand")
    return [
        Figure(
            f"genre of {len(songs)} made songs, sound font held out, accuracy",
            mean_interval(np.arange(len(songs)) < round(accuracy * len(songs))),
            baseline,
            "GTZAN, 10 genres: .61 (Tzanetakis and Cook 2002)",
        ),
        Figure("genre of records", "not measured: no recordings by genre with a free licence at hand"),
        Figure(
            "popularity in a synthetic table, share of the variance explained by audio and metadata",
            f"{known[0]:.3f} [{known[1]:.3f}, {known[2]:.3f}]",
            f"the mean 0; metadata alone {alone[0]:.3f} [{alone[1]:.3f}, {alone[2]:.3f}]",
        ),
        Figure("popularity of real songs", "not measured: no table of songs at hand"),
    ]
