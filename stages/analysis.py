"""The analysis stage: ``python -m stages.analysis`` fits the models of ``hummingface analyse``.

The genre model is fitted to recordings in data/raw (gtzan, fma) or to made arrangements, the estimate of popularity to
a table in data/raw (spotify_songs, fma) or, so that the stage runs everywhere, to a synthetic one, into data/analysis.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hf_model.config import check_range
from hf_model.corpora.catalogue import CORPORA, read
from hf_model.corpora.records import SongRecord
from hf_model.files import read_json, write_json
from hf_model.training.tables.genre_fitting import (
    cross_validate,
    fit_genres,
    made_songs,
    recorded_songs,
    save_genre_model,
    score_genres,
)
from hf_model.training.tables.popularity_fitting import SYNTHETIC, fit_popularity, song_table, synthetic_table
from stages import _run

RAW, FOLDER = Path("data/raw"), Path("data/analysis")


@dataclass(frozen=True)
class AnalysisSettings:
    """Settings of the analysis stage.

    Attributes
    ----------
    fonts : tuple of str
        Sound fonts that play the made songs, if no corpus has recordings with genres; without any there is no genre
        model.
    test_font : str
        A sound font that measures the genre model.
    songs : int
        Made songs of each genre and sound font.
    trees : int
        Of the estimate of popularity.
    seed : int
    """

    fonts: tuple[str, ...] = ()
    test_font: str = ""
    songs: int = 40
    trees: int = 120
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_range("songs", self.songs, 2, 10_000)
        check_range("trees", self.trees, 1, 10_000)
        check_range("seed", self.seed, 0, 2**31)


def main() -> None:
    """Run the stage."""
    settings = _run.settings("analysis", AnalysisSettings)
    listed = sorted(read_json(RAW / "corpora.json", "run dvc repro --force download"))
    corpora = [name for name in listed if name in CORPORA and CORPORA[name].role == "songs"]
    report: dict[str, Any] = {}
    with _run.output(FOLDER) as folder:
        genre = _fit_genres(settings, corpora, folder / "genre")
        if genre:
            report["genre"] = genre
        report["popularity"] = _fit_popularity(settings, corpora, folder / "popularity")
        write_json(folder / "report.json", report, indent=1)
    for name, part in report.items():
        print(f"{name}: {part['trained_on']}, {part['summary']}")


def _fit_genres(settings: AnalysisSettings, corpora: list[str], folder: Path) -> dict[str, Any]:
    """Fit the genre model to recordings, or else to made songs; empty without either."""
    recorded = [song for name in corpora for song in recorded_songs(RAW, name)]
    made = (
        []
        if recorded
        else [song for font in settings.fonts for song in made_songs(font, settings.songs, settings.seed)]
    )
    songs = recorded or made
    if not songs:
        return {}
    trained_on = ", ".join(corpora) if recorded else f"made arrangements, {len(settings.fonts)} sound fonts"
    model = fit_genres(songs, {"trained_on": trained_on, "songs": len(songs)})
    tested = (
        list(made_songs(settings.test_font, settings.songs, settings.seed + 1)) if made and settings.test_font else []
    )
    scores = score_genres(model, tested) if tested else cross_validate(songs)
    facts = {**model.facts, "scores": scores, "measured_on": settings.test_font if tested else "five folds by artist"}
    save_genre_model(fit_genres(songs, facts), folder)
    summary = ", ".join(f"{name} {value:.3f}" for name, value in scores.items())
    return {**facts, "summary": summary}


def _fit_popularity(settings: AnalysisSettings, corpora: list[str], folder: Path) -> dict[str, Any]:
    """Fit the estimate of popularity, and say what it is worth."""
    records = [record for name in corpora for record in read(name, RAW) if isinstance(record, SongRecord)]
    table = song_table(records)
    trained_on = ", ".join(sorted({record.corpus for record in records if record.popularity is not None})) or SYNTHETIC
    if table.empty:
        table = synthetic_table(seed=settings.seed)
    fit_popularity(table, {"trained_on": trained_on}, folder, settings.trees, settings.seed)
    table.to_parquet(folder.parent / "songs.parquet")
    scores = read_json(folder / "config.json", "")["facts"]["scores"]
    parts = (f"{name} explains {value['explained'][0]:.3f}" for name, value in scores.items() if name != "mean")
    return {"trained_on": trained_on, "songs": len(table), "scores": scores, "summary": ", ".join(parts)}


if __name__ == "__main__":
    _run.main(main)
