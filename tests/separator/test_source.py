"""The decision between a voice and a song."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from hf_model.audio.io import read_audio, to_mono
from hf_model.audio.resampling import resample
from hf_model.augmentation.backgrounds import music
from hf_model.augmentation.noise import noise
from hf_model.config import ConfigError
from hf_model.instruments.classes import CLASSES
from hf_model.separator import source
from hf_model.separator.choice import NoSeparator, load_separator
from hf_model.separator.source import FOLDER, LogisticModel, Source, cut_excerpts, detect_source, measure_instruments
from hf_model.separator.source_features import NAMES, has_partials
from hf_model.singer.composition import twinkle
from hf_model.singer.synthesis import sing

RATE = 16000
VOICE = sing(twinkle(), 5).audio[: 9 * RATE]
N_BOTH = len(NAMES) + len(CLASSES)
BAND = 0.1 * music(len(VOICE) / RATE, 3)[: len(VOICE)]


def refuse() -> NoSeparator:
    raise AssertionError


def test_a_lone_voice_is_decided_without_the_separator():
    found = detect_source(VOICE, refuse)
    assert found.kind == "voice"
    assert found.confidence > 0.95


def test_a_band_is_decided_without_the_separator():
    assert detect_source(BAND, refuse).kind == "song"


@pytest.mark.parametrize("kind", ["street", "fan", "rain", "hiss", "hum"])
def test_a_voice_beside_a_noise_stays_a_voice(kind):
    beside = noise(kind, len(VOICE) / RATE, 1_000_001)
    beside *= 0.1 * np.sqrt(np.mean(VOICE**2) / np.mean(beside**2))
    assert detect_source(VOICE + beside, load_separator).kind == "voice"


def test_a_voice_over_a_band_is_a_song():
    assert detect_source(VOICE / np.abs(VOICE).max() * 0.4 + BAND, load_separator).kind == "song"


@pytest.mark.parametrize("n_samples", [0, 1, 5 * RATE])
def test_silence_is_a_voice_that_nobody_is_sure_of(n_samples):
    assert detect_source(np.zeros(n_samples, np.float32), refuse) == Source("voice", 0.5)


@pytest.mark.parametrize("seconds", [1.0, 12.0])
@pytest.mark.parametrize("slope", [0.0, 0.5, 1.0])
def test_noise_of_any_colour_is_no_song(slope, seconds):
    spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal(round(seconds * RATE)))
    coloured = np.fft.irfft(spectrum / np.maximum(100.0, np.arange(len(spectrum)) / seconds) ** slope)
    assert detect_source((0.1 * coloured / np.abs(coloured).max()).astype(np.float32), refuse) == Source("voice", 0.5)


@pytest.mark.parametrize("hiss", [0.0, 1e-3, 1e-2])
def test_a_tone_in_a_soft_noise_has_partials(hiss):
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)
    assert has_partials((tone + hiss * np.random.default_rng(0).standard_normal(RATE)).astype(np.float32))


def test_a_click_of_one_sample_is_decided():
    assert 0.5 <= detect_source(np.ones(1, np.float32), NoSeparator).confidence <= 1.0


@pytest.fixture
def unsure(monkeypatch) -> None:
    """Models whose first ones do not know, and whose last one asks for the level of the accompaniment."""
    n_alone, n_separated = len(NAMES), 3 + 2 * len(NAMES)
    alone, instruments = (LogisticModel((0.0,) * n, (1.0,) * n, (0.0,) * n, -0.5) for n in (n_alone, N_BOTH))
    weights = (0.0, 1.0, *(0.0,) * (n_separated - 2))
    separated = LogisticModel((0.0, -10.0, *(0.0,) * (n_separated - 2)), (1.0,) * n_separated, weights, 0.0)
    monkeypatch.setattr(source, "load_models", lambda: (alone, instruments, separated))


@pytest.mark.parametrize(("logit", "is_asked"), [(-3.6, False), (-3.4, True), (3.4, True), (3.6, False)])
def test_instruments_are_identified_only_in_doubt(monkeypatch, logit: float, is_asked: bool):
    asked = []

    def identify(excerpt):
        asked.append(len(excerpt))
        return np.zeros(len(CLASSES))

    n_alone = len(NAMES)
    alone = LogisticModel((0.0,) * n_alone, (1.0,) * n_alone, (0.0,) * n_alone, logit)
    instruments = LogisticModel((0.0,) * N_BOTH, (1.0,) * N_BOTH, (0.0,) * N_BOTH, 6.0)
    monkeypatch.setattr(source, "load_models", lambda: (alone, instruments, None))
    monkeypatch.setattr(source, "measure_instruments", identify)
    found = detect_source(VOICE, refuse)
    assert asked == [len(VOICE)] * is_asked
    assert found.kind == ("song" if is_asked or logit > 0 else "voice")


def test_instruments_are_measured_as_log_odds():
    band, voice = (dict(zip(CLASSES, measure_instruments(part), strict=True)) for part in (BAND, VOICE))
    assert voice["voice"] > 1.0 > band["voice"]
    assert max(map(abs, [*band.values(), *voice.values()])) <= source.MAX_LOGIT
    assert measure_instruments(VOICE[: RATE // 2]).shape == (len(CLASSES),)


class Fraction:
    """Leaves a part of the amplitude for the voice."""

    def __init__(self, part: float) -> None:
        self.part = np.float32(part)
        self.seconds = 0.0

    def separate(self, blocks):
        for block in blocks:
            self.seconds += block.shape[1] / 44100
            yield self.part * block


@pytest.mark.usefixtures("unsure")
@pytest.mark.parametrize(("part", "kind"), [(0.9, "voice"), (0.3, "song")])
def test_the_separator_decides_where_features_are_unsure(part, kind):
    separator = Fraction(part)
    assert detect_source(np.tile(VOICE, 10), lambda: separator).kind == kind
    assert separator.seconds == pytest.approx(20.0)  # two excerpts of ninety seconds


@pytest.mark.usefixtures("unsure")
def test_a_separator_that_separates_nothing_is_of_no_help():
    found = detect_source(VOICE, NoSeparator)
    assert found.kind == "voice"
    assert found.confidence == pytest.approx(1 / (1 + np.exp(-0.5 - source.CAUTION)))


def test_excerpts_are_spread_and_leave_silence_out():
    audio = np.ones(100 * RATE, np.float32)
    audio[: 20 * RATE] = 0.0
    excerpts = cut_excerpts(audio)
    assert [len(part) for part in excerpts] == [10 * RATE] * 5  # of six, the first is silent
    assert len(cut_excerpts(audio[:RATE] + 1.0)) == 1


def test_the_log_odds_are_those_of_standardised_features():
    model = LogisticModel((1.0, 2.0), (2.0, 4.0), (3.0, -1.0), 0.25)
    assert model.logit(np.array([3.0, 10.0])) == 3.0 - 2.0 + 0.25
    with pytest.raises(ConfigError, match="2, 2, 1 numbers"):
        LogisticModel((1.0, 2.0), (2.0, 4.0), (3.0,), 0.25)


def test_what_ships_says_what_it_was_fitted_to():
    settings = json.loads((FOLDER / "config.json").read_text(encoding="utf-8"))
    assert "POP909" in settings["trained_on"]
    assert (FOLDER / "README.md").is_file()


@pytest.mark.data
@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("csd/english/mp3/en001b.mp3", "voice"),
        ("ssvd/train&valid/1011.flac", "voice"),
        ("everythingisfree/lithium/backing.ogg", "song"),
        ("ultrastar/CodeMonkey.ogg", "song"),
    ],
)
def test_real_recordings_are_decided(mirror: Path, path: str, kind: str):
    audio, sample_rate = read_audio(mirror / path)
    assert detect_source(resample(to_mono(audio), sample_rate, RATE), load_separator).kind == kind
