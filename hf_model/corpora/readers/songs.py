"""Readers of the tables and recordings of songs with genre or popularity: spotify_songs, gtzan, fma."""

from __future__ import annotations

import bisect
import csv
import math
from collections.abc import Iterator
from pathlib import Path

from hf_model.corpora.catalogue import get
from hf_model.corpora.readers.tables import require_file, table_rows
from hf_model.corpora.records import CorpusError, SongRecord, find_files

SPOTIFY_COLUMNS = (
    *("danceability", "energy", "speechiness", "acousticness", "instrumentalness", "liveness", "valence"),
    *("loudness", "tempo", "key", "mode", "duration_ms"),
)
"""Columns with audio features; loudness in dB, as Spotify measures it, which is close to LUFS."""


def read_spotify_songs(raw: Path) -> Iterator[SongRecord]:
    """Read ``spotify_songs/spotify_songs.csv``; a song that is in several playlists is one record.

    Raises
    ------
    CorpusError
        If the table or a column is missing.
    """
    licence, path = get("spotify_songs").licence, raw / "spotify_songs" / "spotify_songs.csv"
    seen: set[str] = set()
    for row in table_rows(path, ("track_id", "track_artist", "track_popularity", "playlist_genre", *SPOTIFY_COLUMNS)):
        if row["track_id"] in seen:
            continue
        seen.add(row["track_id"])
        values = {name: _number(row[name]) for name in SPOTIFY_COLUMNS}
        popularity = _number(row["track_popularity"])
        if any(math.isnan(value) for value in (*values.values(), popularity)):
            continue
        values["duration"] = values.pop("duration_ms") / 1000.0
        values["is_minor"] = 1.0 - values.pop("mode")
        yield SongRecord(
            "spotify_songs",
            row["track_id"],
            licence,
            row["track_artist"],
            row["playlist_genre"].lower(),
            popularity,
            values,
        )


def read_gtzan(raw: Path) -> Iterator[SongRecord]:
    """Read ``gtzan/genres/<genre>/<genre>.<number>.wav`` (or ``genres_original``, or ``.au``).

    Raises
    ------
    CorpusError
        If there are no recordings.
    """
    folder = raw / "gtzan"
    home = next((folder / name for name in ("genres", "genres_original") if (folder / name).is_dir()), folder)
    for path in find_files(home, "*/*.*"):
        if path.suffix in (".wav", ".au"):
            yield SongRecord("gtzan", path.stem, get("gtzan").licence, genre=path.parent.name, audio_path=path)


def read_fma(raw: Path) -> Iterator[SongRecord]:
    """Read ``fma/fma_metadata/tracks.csv`` and, where they are, ``fma/fma_small/<number / 1000>/<number>.mp3``.

    Yields
    ------
    SongRecord
        Of the set "small". ``popularity`` is the percentile of the listens among them, 0-100.

    Raises
    ------
    CorpusError
        If the table or a column is missing.
    """
    path = raw / "fma" / "fma_metadata" / "tracks.csv"
    require_file(path)
    with path.open(newline="", encoding="utf-8") as file:
        lines = csv.reader(file)
        groups, names = next(lines, []), next(lines, [])
        columns = {pair: index for index, pair in enumerate(zip(groups, names, strict=False))}
        wanted = [
            *(("set", "subset"), ("artist", "name"), ("track", "genre_top"), ("track", "listens")),
            *(("track", "license"), ("track", "duration")),
        ]
        for group, name in wanted:
            if (group, name) not in columns:
                raise CorpusError(f"{path}: column {group}/{name} is missing")
        next(lines, None)  # "track_id"
        rows = [[row[0], *(row[columns[pair]] for pair in wanted)] for row in lines if len(row) >= len(groups)]
    small = [row for row in rows if row[1] == "small" and row[0].isdigit()]
    listens = sorted(_number(row[4]) for row in small)
    for number, _, artist, genre, listened, licence, duration in small:
        audio = raw / "fma" / "fma_small" / f"{int(number) // 1000:03d}" / f"{int(number):06d}.mp3"
        rank = bisect.bisect_right(listens, _number(listened)) / len(listens)
        yield SongRecord(
            "fma",
            number,
            licence or get("fma").licence,
            artist,
            genre.lower(),
            100.0 * rank,
            {"duration": _number(duration)},
            audio if audio.is_file() else None,
        )


def _number(text: str) -> float:
    """Read a number; NaN if there is none."""
    try:
        return float(text)
    except (TypeError, ValueError):
        return math.nan
