"""`hummingface analyse`: tempo, key, instruments, melody and genre of songs."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hf_model.audio.clock import format_clock
from hf_model.cli.inspection import inspect_files, list_probabilities, most_probable, percent
from hf_model.cli.messages import FAILED, print_message

if TYPE_CHECKING:
    from hf_model.analysis.genre import GenreModel
    from hf_model.analysis.popularity import PopularityModel
    from hf_model.analysis.song import Analysis

DESCRIPTION = """\
Say what a song is like: tempo, key, loudness, instruments, how much of it is sung, the melody's range, and its genre
among rock, techno, waltz, march, ballad and bossa. The genre model was trained on made arrangements, not on records:
take it as a hint. Popularity is only estimated with a model that you have trained (`python -m stages.analysis`).
"""

EXAMPLES = """\
examples:
  hummingface analyse song.mp3                            what it is like, in a few lines
  hummingface analyse songs/ --json > songs.json          all recordings of a folder
  hummingface analyse song.mp3 --genre-model data/analysis/genre --popularity data/analysis/popularity

exit code: 0 all analysed, 1 a file failed, 2 wrong usage, 130 interrupted
"""

MAX_SHOWN = 5
"""Most instruments and genres that are named."""


def add_analyse_options(parser: argparse.ArgumentParser, input_help: str) -> None:
    """Add the options of the command."""
    add = parser.add_argument
    add("inputs", nargs="+", metavar="INPUT", help=input_help)
    add("--genre-model", type=Path, metavar="DIR", help="another genre model, trained by `python -m stages.analysis`")
    add("--popularity", type=Path, metavar="DIR", help="a model of popularity, trained by the same command")
    add("--json", action="store_true", help="print one JSON document instead of text")


def run(arguments: argparse.Namespace) -> int:
    """Run the command, and return its exit code."""
    from hf_model.analysis.genre import GenreModel
    from hf_model.analysis.popularity import PopularityModel
    from hf_model.config import ConfigError

    try:
        genre_model = GenreModel.from_pretrained(arguments.genre_model) if arguments.genre_model else None
        popularity = PopularityModel.from_pretrained(arguments.popularity) if arguments.popularity else None
    except (ConfigError, OSError) as error:
        print_message(str(error))
        return FAILED
    analyse = partial(analyse_file, genre_model=genre_model, popularity_model=popularity)
    return inspect_files(arguments.inputs, analyse, as_text, as_json=arguments.json)


def analyse_file(
    path: Path, *, genre_model: GenreModel | None = None, popularity_model: PopularityModel | None = None
) -> dict[str, Any]:
    """Analyse a recording, and give plain values for JSON.

    Raises
    ------
    OSError, ConfigError
        If the recording cannot be read, is silent or too short.
    """
    from hf_model.analysis.song import analyse_recording
    from hf_model.audio.recording import read_recording

    recording = read_recording(path)
    return as_values(analyse_recording(recording, genre_model=genre_model, popularity_model=popularity_model))


def as_values(analysis: Analysis) -> dict[str, Any]:
    """Give the plain values of an analysis, for JSON."""
    tempo, key, estimate = analysis.tempo, analysis.key, analysis.popularity
    values: dict[str, Any] = {
        "duration": round(analysis.duration, 3),
        "source": analysis.source,
        "loudness": round(analysis.loudness, 1),
        "tempo": {"bpm": round(tempo.bpm, 1), "confidence": round(tempo.confidence, 3)},
        "meter": {"value": f"{tempo.meter[0]}/{tempo.meter[1]}", "confidence": round(tempo.meter_confidence, 3)},
        "key": {"name": key.name, "confidence": round(key.confidence, 3)},
        "instruments": most_probable(analysis.instruments, MAX_SHOWN),
        "melody": {name: round(value, 3) for name, value in analysis.melody.items()},
        "genres": {name: round(value, 3) for name, value in analysis.genres.items()},
    }
    if analysis.genres:
        values["genres_trained_on"] = str(analysis.genre_facts.get("trained_on", ""))
    if estimate is not None:
        values["popularity"] = {
            "value": round(estimate.value, 1),
            "four_of_five_between": [round(estimate.low, 1), round(estimate.high, 1)],
            "explained_variance": round(estimate.explained, 3),
        }
    warnings = [text.removesuffix(": the piano is silent") for text in analysis.warnings]  # nothing is played here
    return values | ({"warnings": warnings} if warnings else {})


def as_text(found: dict[str, Any]) -> str:
    """Describe an analysis in a few lines."""
    tempo, meter, key, melody = found["tempo"], found["meter"], found["key"], found["melody"]
    kind = {"voice": "a voice alone", "song": "a song", "whistle": "whistling"}[found["source"]]
    lines = [
        f"{found['input']}: {kind}, {format_clock(found['duration'])}, {found['loudness']:.1f} LUFS",
        f"  tempo        {tempo['bpm']:.0f} bpm ({percent(tempo['confidence'])} sure), {meter['value']} "
        f"({percent(meter['confidence'])})",
        f"  key          {_key_text(key)}",
        f"  instruments  {list_probabilities(found['instruments'])}",
        f"  melody       {_melody_text(melody)}",
    ]
    if found["genres"]:
        shown = most_probable(found["genres"], MAX_SHOWN)
        lines.append(f"  genre        {list_probabilities(shown)}; by a model of {found['genres_trained_on']}")
    if "popularity" in found:
        lines.append(f"  popularity   {_popularity_text(found['popularity'])}")
    return "\n".join([*lines, *(f"  note: {text}" for text in found.get("warnings", []))])


def _key_text(key: dict[str, Any]) -> str:
    if not key["confidence"]:
        return "unknown: it is told from what is sung"
    return f"{key['name']} ({percent(key['confidence'])})"


def _melody_text(melody: dict[str, float]) -> str:
    sung = f"sung {percent(melody['sung_share'])} of the time"
    if "range" not in melody:
        return sung
    pace = f"{melody['notes_per_second']:.1f} notes a second"
    return f"{sung}, range {melody['range']:.0f} semitones, {pace}, steps of {melody['mean_interval']:.1f} semitones"


def _popularity_text(estimate: dict[str, Any]) -> str:
    low, high = estimate["four_of_five_between"]
    worth = max(0.0, estimate["explained_variance"])
    return (
        f"{estimate['value']:.0f} of 100, four of five such songs lie between {low:.0f} and {high:.0f}; "
        f"the model explains {percent(worth)} of the differences between songs"
    )
