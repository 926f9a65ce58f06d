"""The analysis of one song: what plays, how fast, in which key, of which genre, and what its melody is like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from hf_model.analysis.features import melody_features, sound_features
from hf_model.analysis.genre import GenreModel, default_genre_model
from hf_model.analysis.popularity import Estimate, PopularityModel
from hf_model.audio.loudness import LoudnessMeter
from hf_model.audio.recording import Recording
from hf_model.inference import Models, arrange_recording, default_models, separate
from hf_model.instruments.identifier import default_identifier
from hf_model.music.key import Key
from hf_model.music.tempo import Tempo

METER_RATE = 44100
"""Hz: the loudness is measured of the original at this rate."""

INSTRUMENT = "instrument/"


@dataclass(frozen=True)
class Analysis:
    """What was found in a recording.

    Attributes
    ----------
    duration : float
        Seconds.
    loudness : float
        LUFS.
    source : str
        "voice" for a voice alone, "song", or "whistle".
    tempo, key
        Of the band if there is one, otherwise of the melody; with their confidences.
    instruments : dict of str to float
        Probability of each class, the most probable first.
    melody : dict of str to float
        See :func:`hf_model.analysis.features.melody_features`.
    genres : dict of str to float
        Probability of each genre that the model knows, the most probable first; empty for a voice alone.
    genre_facts : mapping
        What the model was trained on.
    popularity : Estimate, optional
        Only with a model, and for songs.
    warnings : tuple of str
    """

    duration: float
    loudness: float
    source: str
    tempo: Tempo
    key: Key
    instruments: Mapping[str, float]
    melody: Mapping[str, float]
    genres: Mapping[str, float]
    genre_facts: Mapping[str, object] = field(default_factory=dict)
    popularity: Estimate | None = None
    warnings: tuple[str, ...] = ()


def analyse_recording(
    recording: Recording,
    *,
    source: str = "auto",
    models: Models | None = None,
    genre_model: GenreModel | None = None,
    popularity_model: PopularityModel | None = None,
) -> Analysis:
    """Analyse a recording.

    Parameters
    ----------
    recording : Recording
        At least a second long.
    source : str
        As for :func:`hf_model.inference.convert`.
    models : Models, optional
        Of transcription and separation, by default those that ship.
    genre_model : GenreModel, optional
        By default the one that ships.
    popularity_model : PopularityModel, optional
        Without one, nothing is said about popularity.

    Raises
    ------
    ConfigError
        If the recording is silent or shorter than a second.
    """
    chosen = models or default_models()
    sound = sound_features(recording.voice, default_identifier())
    separated = separate(recording, lambda: chosen.separator, source)
    try:
        arranged, warnings = arrange_recording(separated, models=chosen)
        kind, is_song = separated.source.kind, separated.song is not None
    finally:
        separated.close()
    instruments = {name.removeprefix(INSTRUMENT): value for name, value in sound.items() if name.startswith(INSTRUMENT)}
    loudness = measure_loudness(recording)
    model = genre_model or default_genre_model()
    estimate = None
    if popularity_model is not None and is_song:
        estimate = popularity_model.estimate(
            {
                "duration": recording.duration,
                "tempo": arranged.tempo.bpm,
                "loudness": loudness,
                "key": float(arranged.key.tonic),
                "is_minor": float(arranged.key.mode == "minor"),
            }
        )
    return Analysis(
        recording.duration,
        loudness,
        kind,
        arranged.tempo,
        arranged.key,
        dict(sorted(instruments.items(), key=lambda item: -item[1])),
        melody_features(arranged.notes, recording.duration),
        model.probabilities(sound) if is_song else {},
        model.facts,
        estimate,
        warnings,
    )


def measure_loudness(recording: Recording) -> float:
    """Measure the loudness of the original in LUFS; -70 for silence."""
    meter = LoudnessMeter(METER_RATE)
    for block in recording.stereo_blocks(METER_RATE):
        meter.add(block)
    return float(np.maximum(meter.loudness, -70.0))
