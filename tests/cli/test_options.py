"""The options of the command line: they override the preset, which overrides the defaults."""

from __future__ import annotations

import argparse
from dataclasses import fields

import pytest

from hf_model import inference
from hf_model.cli.options import arrangement as options
from hf_model.cli.options.arrangement import PRESETS, add_arrangement_options, arrangement_from, with_ensemble
from hf_model.cli.options.ignored import ignored_options
from hf_model.cli.options.outputs import OUTPUTS, TEMPO_MAPS, outputs_from
from hf_model.cli.options.songs import SOURCES
from hf_model.cli.parser import build_parser
from hf_model.config import ConfigError
from hf_model.export import midi_score
from hf_model.export.outputs import ENDINGS
from hf_model.music import accompaniment, meter, quantization, tempo
from hf_model.music import arrangement as rules
from hf_model.music.arrangement import Arrangement


@pytest.fixture
def parser():
    parser = argparse.ArgumentParser(allow_abbrev=False)
    add_arrangement_options(parser)
    return parser


def arrangement(parser: argparse.ArgumentParser, *words: str) -> Arrangement:
    return arrangement_from(parser.parse_args(words))


def test_no_options_are_the_defaults(parser):
    assert arrangement(parser) == Arrangement()


def test_every_field_has_an_option(parser):
    options = {option for action in parser._actions for option in action.option_strings}
    for field in fields(Arrangement):
        if field.name != "ensemble":  # the value of --accompany
            assert f"--{field.name.replace('_', '-')}" in options


def test_options_set_all_fields(parser):
    words = (
        "--simplify 2 --quantize 1/8t --strength 0.5 --swing straighten --snap-key --tempo 90 --meter 3/4 "
        "--downbeat 1.5 --pickup 1 "
        "--transpose -12 --legato --min-note 0.1 --min-confidence 0.3 --agree-repeats --accompany"
    )
    chosen = arrangement(parser, *words.split(), "--key", "F# minor")
    assert chosen == Arrangement(
        simplify=2,
        quantize="1/8t",
        strength=0.5,
        swing="straighten",
        snap_key=True,
        key="F# minor",
        tempo=90.0,
        meter="3/4",
        downbeat=1.5,
        pickup=1.0,
        transpose=-12,
        legato=True,
        min_note=0.1,
        min_confidence=0.3,
        agree_repeats=True,
        accompany=True,
    )


@pytest.mark.parametrize(
    ("words", "chosen"),
    [
        (["--accompany"], Arrangement(accompany=True)),
        (["--accompany", "piano"], Arrangement(accompany=True)),
        (["--accompany", "band", "--style", "swing"], Arrangement(accompany=True, ensemble="band", style="swing")),
        (["--style", "waltz"], Arrangement(accompany=True, style="waltz")),
    ],
)
def test_who_accompanies(parser, words, chosen):
    assert arrangement(parser, *words) == chosen


def test_a_file_after_accompany_is_an_input():
    words = with_ensemble(["convert", "--accompany", "hum.wav", "--accompany", "band", "other.wav", "--accompany"])
    assert words == ["convert", "--accompany=piano", "hum.wav", "--accompany", "band", "other.wav", "--accompany=piano"]
    assert build_parser().parse_args(words[:3]).inputs == ["hum.wav"]
    assert with_ensemble([]) == []
    assert with_ensemble(["convert", "--", "--accompany", "a"])[-2] == "--accompany", "a file of that name"


def test_an_unknown_key_is_refused(parser):
    with pytest.raises(ConfigError, match="key is 'H moll', expected for instance 'A minor'"):
        arrangement(parser, "--key", "H moll")


def test_choices_equal_those_of_the_library():
    assert options.QUANTIZE == rules.QUANTIZE
    assert options.SWINGS == quantization.SWINGS
    assert TEMPO_MAPS == midi_score.TEMPO_MAPS
    assert options.KEYS == rules.KEYS
    assert options.ENSEMBLES == rules.ENSEMBLES
    assert tuple(meter.METERS) == options.METERS
    assert (tempo.SLOWEST, tempo.FASTEST) == (options.SLOWEST, options.FASTEST)
    assert Arrangement().min_note == options.MIN_NOTE
    assert options.STYLES == accompaniment.STYLES
    assert SOURCES == inference.SOURCES


@pytest.mark.parametrize("name", PRESETS)
def test_options_override_a_preset(parser, name):
    chosen = arrangement(parser, "--preset", name)
    for field in fields(Arrangement):
        assert getattr(chosen, field.name) == PRESETS[name].get(field.name, getattr(Arrangement(), field.name))
    assert arrangement(parser, "--preset", name, "--simplify", "0", "--quantize", "off").quantize == "off"


def test_presets_differ():
    assert len({tuple(sorted(values.items())) for values in PRESETS.values()}) == len(PRESETS)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--simplify", "4"], "invalid choice: 4"),
        (["--transpose", "49"], "'49' is not allowed, expected a whole number from -48 to 48"),
        (["--tempo", "10"], "'10' is not allowed, expected a number from 30 to 300"),
        (["--tempo", "nan"], "'nan' is not allowed"),
        (["--strength", "2"], "'2' is not allowed, expected a number from 0 to 1"),
        (["--meter", "5/4"], "invalid choice: '5/4'"),
        (["--preset", "expert"], "invalid choice: 'expert'"),
    ],
)
def test_invalid_options_are_refused(parser, words, sentence, capsys):
    with pytest.raises(SystemExit) as stop:
        parser.parse_args(words)
    assert stop.value.code == 2
    assert sentence in capsys.readouterr().err


# --------------------------------------------------------------------------------------------------------- outputs


def outputs(*arguments: str) -> tuple[str, ...]:
    return outputs_from(build_parser().parse_args(["convert", "a.wav", *arguments]))


def test_wav_and_midi_are_written_by_default() -> None:
    assert outputs() == ("wav", "midi")
    assert outputs("--csv", "--pitch-curve") == ("wav", "midi", "csv", "pitch_curve")
    assert outputs("--backing", "keep", "--voice") == ("wav", "midi", "cover", "voice")


def test_without_audio_the_other_outputs_are_written() -> None:
    assert outputs("--no-audio") == ("midi",)
    assert outputs("--no-audio", "--bend", "--voice") == ("midi", "bend", "voice")
    with pytest.raises(ValueError, match="leave out one of --no-audio and --backing keep"):
        outputs("--no-audio", "--backing", "keep")


def test_every_kind_of_output_has_an_option() -> None:
    every = [f"--{kind.replace('_', '-')}" for kind in OUTPUTS]
    assert set(outputs(*every)) == set(ENDINGS)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("convert a.wav --strength 0.5 --swing keep", ["--strength", "--swing"]),
        ("convert a.wav --strength 0.5 --quantize 1/8", []),
        ("convert a.wav --strength 0.5 --preset score", []),
        ("convert a.wav --no-audio --mono --reverb=0.3", ["--reverb", "--mono"]),
        ("convert a.wav --source voice --separator none", ["--separator"]),
        ("convert a.wav --separator none --transpose 2 --overwrite --bend", []),
        ("render a.mid --sound-font b.sf2", ["--sound-font"]),
        ("render a.mid --sound-font b.sf2 --sound reference --overwrite", []),
        ("live --transpose 2 --bend --fast --overwrite", ["--transpose", "--bend", "--overwrite", "--fast"]),
        ("live --transpose 2 --midi-out virtual --input a.wav --fast", []),
        ("sing a.mid --lyrics la --overwrite", []),
        ("info", []),
    ],
)
def test_options_without_effect_are_named(words, said):
    found = ignored_options(build_parser().parse_args(words.split()), words.split())
    assert [line.split()[0] for line in found] == said


def test_wrong_usage_is_one_line(capsys):
    for words, start in (([], "the following arguments"), (["convert", "a.wav", "--sound", "x"], "argument --sound")):
        with pytest.raises(SystemExit) as ended:
            build_parser().parse_args(words)
        assert ended.value.code == 2
        err = capsys.readouterr().err
        assert err.startswith(f"hummingface: error: {start}")
        assert err.count("\n") == 1
        assert err.rstrip().endswith("--help")
