"""The decoder's settings: found again where they are hidden, never worse than at the start, the same every time."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pytest

from hf_model.evaluation.note_matching import add_matches, match_notes
from hf_model.notes.note import Note
from hf_model.training.decoder_tuning import FITTED, fit_decoder
from hf_model.transcriber.decoding import DecoderConfig, PitchAxis, decode

MELODY = [Note(0.2 + 0.5 * n, 0.6 + 0.5 * n, 50.0 + n) for n in range(8)]


def hears_if(rule, config: DecoderConfig) -> Sequence[Note]:
    """All notes if the settings are to the rule's liking, else the first half."""
    return MELODY if rule(config) else MELODY[:4]


def test_hidden_settings_are_found():
    decoder, figures = fit_decoder(
        [(partial(hears_if, lambda config: config.note_cost < 1.0), MELODY)], DecoderConfig(), rounds=60
    )
    assert decoder.note_cost < 1.0
    assert figures == {"con": 1.0, "conp": 1.0, "conpoff": 1.0}


def test_what_is_no_better_changes_nothing():
    decoder, figures = fit_decoder([(partial(hears_if, lambda _: False), MELODY)], DecoderConfig(), rounds=30)
    assert decoder == DecoderConfig()
    assert figures["con"] == pytest.approx(2 * 4 / 12)


def test_only_what_is_fitted_changes_and_within_its_range():
    tried = []

    def listen(config: DecoderConfig) -> list[Note]:
        tried.append(config)
        return MELODY[: min(8, len(tried) // 10)]

    start = DecoderConfig(min_duration=0.11, candidate=0.2)
    fit_decoder([(listen, MELODY)], start, rounds=100)
    assert len(tried) == 102  # where it began and where it ended are measured too
    for config in tried:
        assert (config.min_duration, config.max_duration, config.candidate) == (0.11, 12.0, 0.2)
        for name, (low, high) in FITTED.items():
            assert low <= getattr(config, name) <= high
    assert {name for name in FITTED if len({getattr(config, name) for config in tried}) > 1} == set(FITTED)


def test_the_offset_counts_most():
    """Of two decoders, one with the better COnPOff and one with the better COn, the former is taken."""
    ends_wrong = [Note(note.onset, note.offset + 0.15, note.pitch) for note in MELODY]
    half = MELODY[:5]
    decoder, figures = fit_decoder(
        [(lambda config: half if config.note_cost < 1.0 else ends_wrong, MELODY)], DecoderConfig(), rounds=60
    )
    assert figures["conpoff"] == pytest.approx(2 * 5 / 13)
    assert decoder.note_cost < 1.0


def recording(seed: int):
    """Posteriors of a melody whose onsets are faint, and shadows that are none; with its notes."""
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


def test_it_makes_a_hesitant_network_heard_and_draws_the_same_each_time():
    recordings = [(lambda config, hear=hear: hear(config=config), notes) for hear, notes in map(recording, range(2))]
    start = DecoderConfig(onset_weight=2.5, offset_weight=2.5, voicing_weight=0.05, pitch_weight=0.05, note_cost=6.0)
    before = add_matches([match_notes(notes, hear(config=start)) for hear, notes in map(recording, range(2))])
    assert before.f_measures()["conpoff"] < 0.5
    fitted, figures = fit_decoder(recordings, start, rounds=60)
    assert figures["conpoff"] > 0.95
    assert fit_decoder(recordings, start, rounds=60) == (fitted, figures)
    assert fit_decoder(recordings, start, rounds=60, seed=1)[0] != fitted
