"""Tables and recordings of songs: files made in the published layouts."""

from __future__ import annotations

from pathlib import Path

import pytest

from hf_model.corpora import catalogue
from hf_model.corpora.records import CorpusError

SPOTIFY = (
    "track_id,track_name,track_artist,track_popularity,playlist_genre,danceability,energy,key,loudness,mode,speechiness,"
    "acousticness,instrumentalness,liveness,valence,tempo,duration_ms\n"
    'a1,"One, two",Ada,66,Pop,0.7,0.9,6,-2.6,1,0.06,0.1,0,0.07,0.5,122.0,194754\n'
    "a1,One again,Ada,66,rock,0.7,0.9,6,-2.6,1,0.06,0.1,0,0.07,0.5,122.0,194754\n"
    "b2,Three,Ben,NA,rap,0.7,0.9,6,-2.6,0,0.06,0.1,0,0.07,0.5,122.0,194754\n"
    "c3,Four,Cleo,12,rap,0.5,0.4,0,-9.1,0,0.06,0.1,0,0.07,0.5,90.0,200000\n"
)


def test_spotify_songs_are_read_once(tmp_path: Path) -> None:
    folder = tmp_path / "spotify_songs"
    folder.mkdir()
    (folder / "spotify_songs.csv").write_text(SPOTIFY, encoding="utf-8")
    one, four = catalogue.read("spotify_songs", tmp_path)
    assert (one.artist, one.genre, one.popularity, one.audio_path) == ("Ada", "pop", 66.0, None)
    assert one.values["duration"] == pytest.approx(194.754)
    assert (one.values["is_minor"], four.values["is_minor"]) == (0.0, 1.0)
    assert (four.pair_id, four.values["tempo"]) == ("c3", 90.0)
    (folder / "spotify_songs.csv").write_text("track_id\n", encoding="utf-8")
    with pytest.raises(CorpusError, match="column 'track_artist' is missing"):
        list(catalogue.read("spotify_songs", tmp_path))


def test_gtzan_genres_are_folders(tmp_path: Path) -> None:
    for name in ("blues/blues.00000.wav", "rock/rock.00001.wav", "rock/notes.txt"):
        path = tmp_path / "gtzan" / "genres_original" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    records = list(catalogue.read("gtzan", tmp_path))
    assert [(record.pair_id, record.genre) for record in records] == [("blues.00000", "blues"), ("rock.00001", "rock")]


def test_fma_listens_become_percentiles(tmp_path: Path) -> None:
    folder = tmp_path / "fma" / "fma_metadata"
    folder.mkdir(parents=True)
    rows = [
        ",artist,set,set,track,track,track,track",
        ",name,split,subset,duration,genre_top,license,listens",
        "track_id,,,,,,,",
        "2,Ada,training,small,168,Hip-Hop,CC BY,100",
        "5,Ben,training,small,206,Rock,,900",
        "7,Cleo,training,large,206,Rock,,5",
    ]
    (folder / "tracks.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    audio = tmp_path / "fma" / "fma_small" / "000" / "000005.mp3"
    audio.parent.mkdir(parents=True)
    audio.touch()
    ada, ben = catalogue.read("fma", tmp_path)
    assert (ada.genre, ada.popularity, ada.licence, ada.audio_path) == ("hip-hop", 50.0, "CC BY", None)
    assert (ben.artist, ben.popularity, ben.values, ben.audio_path) == ("Ben", 100.0, {"duration": 206.0}, audio)


@pytest.mark.parametrize("name", ["spotify_songs", "gtzan", "fma"])
def test_missing_songs_are_reported(tmp_path: Path, name: str) -> None:
    with pytest.raises(CorpusError, match="run the download stage, or check the mirror"):
        list(catalogue.read(name, tmp_path))
