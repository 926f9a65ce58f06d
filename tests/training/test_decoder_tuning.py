"""Fitting the decoder: settings better than the first ones are found, and the same in every run."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pytest

from hf_model.evaluation.note_matching import add_matches, match_notes
from hf_model.notes.note import Note
from hf_model.training.decoder_tuning import RANGES, fit_confidence, fit_decoder
from hf_model.transcriber.confidence import ConfidenceFeatures, estimate_confidence
from hf_model.transcriber.decoding import DecoderConfig, PitchAxis, decode

MELODY = [Note(0.2 + 0.5 * n, 0.6 + 0.5 * n, 50.0 + n) for n in range(8)]


def decode_if(rule, config: DecoderConfig) -> Sequence[Note]:
    """All notes if the settings meet the rule, else the first half."""
    return MELODY if rule(config) else MELODY[:4]


def test_settings_that_meet_a_rule_are_found():
    decoder, figures = fit_decoder(
        [(partial(decode_if, lambda config: config.note_cost < 1.0), MELODY)], DecoderConfig(), rounds=60
    )
    assert decoder.note_cost < 1.0
    assert figures == {"con": 1.0, "conp": 1.0, "conpoff": 1.0}


def test_without_improvement_the_first_settings_stay():
    decoder, figures = fit_decoder([(partial(decode_if, lambda _: False), MELODY)], DecoderConfig(), rounds=30)
    assert decoder == DecoderConfig()
    assert figures["con"] == pytest.approx(2 * 4 / 12)


def test_only_fitted_settings_change_within_their_ranges():
    tried = []

    def count(config: DecoderConfig) -> list[Note]:
        tried.append(config)
        return MELODY[: min(8, len(tried) // 10)]

    start = DecoderConfig(min_duration=0.11, candidate=0.2)
    fit_decoder([(count, MELODY)], start, rounds=100)
    assert len(tried) == 102  # the first and the last centre are measured too
    for config in tried:
        assert (config.min_duration, config.max_duration, config.candidate) == (0.11, 12.0, 0.2)
        for name, (low, high) in RANGES.items():
            assert low <= getattr(config, name) <= high
    assert {name for name in RANGES if len({getattr(config, name) for config in tried}) > 1} == set(RANGES)


def test_the_score_with_offsets_has_the_highest_weight():
    """Of two decoders, one with the better COnPOff and one with the better COn, the former is selected."""
    wrong_offsets = [Note(note.onset, note.offset + 0.15, note.pitch) for note in MELODY]
    half = MELODY[:5]
    decoder, figures = fit_decoder(
        [(lambda config: half if config.note_cost < 1.0 else wrong_offsets, MELODY)], DecoderConfig(), rounds=60
    )
    assert figures["conpoff"] == pytest.approx(2 * 5 / 13)
    assert decoder.note_cost < 1.0


def recording(seed: int):
    """Posteriors of a melody with weak onsets, and its notes."""
    rng = np.random.default_rng(seed)
    onset, offset, voicing = (np.full(500, 0.01, dtype=np.float32) for _ in range(3))
    pitch = np.full((500, 60), 1 / 60, dtype=np.float32)
    for note in MELODY:
        first, last = round(note.onset * 100), round(note.offset * 100)
        onset[first], offset[last] = 0.25 + 0.1 * rng.random(), 0.3
        voicing[first:last] = 0.9
        pitch[first:last] = 0.1 / 60
        pitch[first:last, round(2 * (note.pitch - 40))] = 0.9
    return partial(decode, onset, offset, voicing, pitch, PitchAxis(40.0, 0.5), 100.0), MELODY


def test_weak_onsets_are_decoded_and_the_fit_is_reproducible():
    recordings = [(lambda config, run=run: run(config=config), notes) for run, notes in map(recording, range(2))]
    start = DecoderConfig(onset_weight=2.5, offset_weight=2.5, voicing_weight=0.05, pitch_weight=0.05, note_cost=6.0)
    before = add_matches([match_notes(notes, run(config=start)) for run, notes in map(recording, range(2))])
    assert before.f_measures()["conpoff"] < 0.5
    fitted, figures = fit_decoder(recordings, start, rounds=60)
    assert figures["conpoff"] > 0.95
    assert fit_decoder(recordings, start, rounds=60) == (fitted, figures)
    assert fit_decoder(recordings, start, rounds=60, seed=1)[0] != fitted


def test_confidence_is_fitted_to_notes_that_are_right_and_wrong():
    clear, doubtful = ConfidenceFeatures(0.95, 0.9, 0.9, 0.3), ConfidenceFeatures(0.2, 0.5, 0.5, 0.3)

    class Decoded:
        def decode_with_features(self, _config):
            wrong = [(Note(note.onset, note.offset, note.pitch + 3), doubtful) for note in MELODY[:4]]
            return wrong + [(note, clear) for note in MELODY[4:]]

    decoder = fit_confidence([(Decoded(), MELODY)], DecoderConfig(note_cost=1.0))
    assert decoder.note_cost == 1.0
    assert (
        estimate_confidence(clear, decoder.confidence) > 0.8 > 0.2 > estimate_confidence(doubtful, decoder.confidence)
    )


def test_without_notes_the_confidence_stays():
    class Nothing:
        def decode_with_features(self, _config):
            return []

    assert fit_confidence([(Nothing(), MELODY)], DecoderConfig()) == DecoderConfig()
