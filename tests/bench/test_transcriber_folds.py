"""Decoders of the folds: whose they are, and that a given one is kept while its confidences are fitted."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from hf_model.config import from_mapping
from hf_model.notes.note import Note
from hf_model.pretrained import read_config
from hf_model.transcriber.decoding import DecoderConfig, Evidence
from hf_model.weights import WEIGHTS
from tests.transcriber.test_decoding import AXIS, RATE, Curves

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "bench"))

from transcriber_folds import Heard, fitted, read_decoders, refuse_strange_folds  # noqa: E402

DECODERS = ROOT / "reports" / "transcriber" / "decoders.json"


def song(onsets: list[float], unlike: float = 0.0) -> Heard:
    """Notes of .3 s that a network hears without doubt, beside labels that are higher by so many semitones."""
    curves = Curves(3.0)
    for start in onsets:
        curves.note(start, start + 0.3, 60.0)
    config = DecoderConfig()
    evidence = Evidence(curves.onset, curves.offset, curves.voicing, curves.pitch, AXIS, RATE, config)
    return Heard(evidence, [Note(start, start + 0.3, 60.0 + unlike) for start in onsets])


def test_no_singer_had_a_part_in_the_decoder_of_the_fold_that_holds_it_out() -> None:
    found = read_decoders(DECODERS)
    singers = [singer for held in found for singer in held]
    assert len(found) == 6
    assert len(singers) == len(set(singers)) > 5
    ships = from_mapping(DecoderConfig, read_config(WEIGHTS / "transcriber")["decoder"], "decoder")
    assert found[()] == replace(ships, confidence=found[()].confidence)


def test_a_given_decoder_stays_and_its_confidences_are_fitted() -> None:
    given = replace(DecoderConfig(), note_cost=1.25)
    right, half = [song([0.5, 1.5])] * 4, [song([0.5, 1.5]), song([0.5, 1.5], unlike=2.0)] * 2
    sure, unsure = fitted(right, given), fitted(half, given)
    assert replace(sure, confidence=given.confidence) == replace(unsure, confidence=given.confidence) == given
    told = [[note.confidence for note in right[0].evidence.decode(one)] for one in (sure, unsure)]
    assert min(told[0]) > 0.8
    assert told[1] == pytest.approx([0.5, 0.5], abs=0.05)


def test_folds_whose_decoder_is_not_given_are_refused() -> None:
    given = {("one", "two"): DecoderConfig(), ("three",): DecoderConfig(), (): DecoderConfig()}
    refuse_strange_folds(given, [["one", "two"], ["three"]])
    for folds in ([["one"], ["two", "three"]], [["one", "two"], ["four"]]):
        with pytest.raises(SystemExit, match="no decoder is given for folds without"):
            refuse_strange_folds(given, folds)
