"""Decoders of the folds: which singers they were fitted on, and that a given one is kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench.transcription.folds import Example, check_decoders, fit, read_decoders
from hf_model.config import from_mapping
from hf_model.notes.note import Note
from hf_model.transcriber.decoding import DecoderConfig, Evidence
from hf_model.weights import WEIGHTS, read_config
from tests.transcriber.test_decoding import AXIS, RATE, SyntheticPosteriors

DECODERS = Path(__file__).resolve().parents[2] / "reports" / "transcriber" / "decoders.json"


def song(onsets: list[float], pitch_error: float = 0.0) -> Example:
    """Notes of 0.3 s with clear posteriors, and labels that are higher by so many semitones."""
    posteriors = SyntheticPosteriors(3.0)
    for start in onsets:
        posteriors.note(start, start + 0.3, 60.0)
    config = DecoderConfig()
    evidence = Evidence(posteriors.onset, posteriors.offset, posteriors.voicing, posteriors.pitch, AXIS, RATE, config)
    return Example(evidence, [Note(start, start + 0.3, 60.0 + pitch_error) for start in onsets])


def test_decoders_were_not_fitted_on_the_singers_held_out() -> None:
    found = read_decoders(DECODERS)
    singers = [singer for held_out in found for singer in held_out]
    assert len(found) == 6
    assert len(singers) == len(set(singers)) > 5
    ships = from_mapping(DecoderConfig, read_config(WEIGHTS / "transcriber")["decoder"], "decoder")
    assert found[()] == replace(ships, confidence=found[()].confidence)


def test_a_given_decoder_is_kept_and_its_confidence_fitted() -> None:
    given = replace(DecoderConfig(), note_cost=1.25)
    right, half = [song([0.5, 1.5])] * 4, [song([0.5, 1.5]), song([0.5, 1.5], pitch_error=2.0)] * 2
    certain, uncertain = fit(right, given), fit(half, given)
    assert replace(certain, confidence=given.confidence) == replace(uncertain, confidence=given.confidence) == given
    found = [[note.confidence for note in right[0].evidence.decode(one)] for one in (certain, uncertain)]
    assert min(found[0]) > 0.8
    assert found[1] == pytest.approx([0.5, 0.5], abs=0.05)


def test_folds_without_a_given_decoder_are_refused() -> None:
    given = {("one", "two"): DecoderConfig(), ("three",): DecoderConfig(), (): DecoderConfig()}
    check_decoders(given, [["one", "two"], ["three"]])
    for folds in ([["one"], ["two", "three"]], [["one", "two"], ["four"]]):
        with pytest.raises(SystemExit, match="no decoder is given for folds without"):
            check_decoders(given, folds)
