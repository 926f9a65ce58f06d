"""Words to syllables, and syllables to notes."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_model.config import ConfigError
from hf_model.lyrics.phonemes import ARPABET, VOWELS, SungSyllable, syllabify
from hf_model.lyrics.pronunciation import ENGLISH, PORTUGUESE, pronounce, spell
from hf_model.lyrics.text import LyricsError, divide, set_lyrics
from hf_model.lyrics.timing import SOUNDS
from hf_model.singer.voice import VOWELS as SINGER_VOWELS


def _written(syllables: list[SungSyllable | None]) -> list[str]:
    return ["_" if syllable is None else syllable.text for syllable in syllables]


def _sounds(syllable: SungSyllable) -> str:
    return " ".join(part for part in (*syllable.onset, syllable.vowel, syllable.vowel_end, *syllable.coda) if part)


@pytest.mark.parametrize(
    ("word", "syllables"),
    [
        ("star", ["s t A r"]),
        ("twinkle", ["t w I ng", "k V l"]),
        ("wonder", ["w V n", "d er"]),
        ("strength", ["s t r E ng k th"]),
        ("extra", ["E k", "s t r V"]),
        ("singing", ["s I ng", "I ng"]),
        ("I", ["a I"]),
        ("you're", ["j U r"]),
        ("goin'", ["g o U", "V n"]),
    ],
)
def test_english_words(word: str, syllables: list[str]) -> None:
    assert [_sounds(syllable) for syllable in pronounce(word)] == syllables


@pytest.mark.parametrize(
    ("word", "syllables"),
    [
        ("coração", ["k o", "r a", "s a U n"]),
        ("estrelinha", ["e", "s t r e", "l i", "n j a"]),
        ("brilha", ["b r i", "l j a"]),
        ("mãe", ["m a I n"]),
        ("rosa", ["h o", "z a"]),
        ("carro", ["k a", "h u"]),
        ("quero", ["k e", "r u"]),
        ("água", ["a", "g w a"]),
        ("noite", ["n o I", "ch i"]),
        ("bem", ["b e I n"]),
        ("gente", ["zh e n", "ch i"]),
        ("homem", ["o", "m e I n"]),
    ],
)
def test_portuguese_words(word: str, syllables: list[str]) -> None:
    assert [_sounds(syllable) for syllable in pronounce(word, "pt")] == syllables


@pytest.mark.parametrize(
    ("word", "sounds"),
    [("blick", "b l I k"), ("fape", "f e I p"), ("cemmer", "s E m er"), ("quoost", "k w u s t"), ("xyz", "k s i z")],
)
def test_words_that_the_dictionary_lacks(word: str, sounds: str) -> None:
    assert " ".join(part for sound in spell(word, ENGLISH) for part in sound) == sounds


def test_a_word_without_a_vowel_is_one_syllable() -> None:
    assert syllabify([("p",), ("s",), ("t",)]) == [SungSyllable(("p", "s", "t"), "@")]
    assert syllabify([]) == []


def test_every_sound_can_be_sung() -> None:
    spelled = [
        part for rules in (ENGLISH, PORTUGUESE) for text in rules.values() for part in text.replace("+", " ").split()
    ]
    for part in (*(part for sound in ARPABET.values() for part in sound), *spelled):
        assert part in SINGER_VOWELS if part in VOWELS else part in SOUNDS, part


def test_hyphens_holds_and_punctuation() -> None:
    syllables = divide("Twin-kle, lit-tle__ star!\n(how) -- _ I")
    assert _written(syllables) == ["Twin", "kle,", "lit", "tle", "_", "_", "star!", "(how)", "_", "I"]
    assert syllables[0] == SungSyllable(("t", "w"), "I", "", ("ng",), "Twin", goes_on=True)


def test_hyphens_decide_when_they_differ_from_the_dictionary() -> None:
    assert len(divide("fire")) == len(pronounce("fire"))
    assert _written(divide("fi-i-re")) == ["fi", "i", "re"]


@pytest.mark.parametrize("text", ["", "  \n", "123 ... --", "_ _"])
def test_lyrics_without_words_are_refused(text: str) -> None:
    with pytest.raises(LyricsError, match="no words"):
        divide(text)


def test_too_long_lyrics_are_refused() -> None:
    with pytest.raises(LyricsError, match="at most"):
        divide("la " * 50_000)


def test_left_over_words_and_notes_are_told() -> None:
    exact = set_lyrics("one two", 2)
    assert (_written(exact.syllables), exact.warnings) == (["one", "two"], ())
    fewer = set_lyrics("one two three four", 2)
    assert fewer.warnings == ("4 syllables for 2 notes: the last 2 are not sung (three four)",)
    more = set_lyrics("one two", 5)
    assert _written(more.syllables) == ["one", "two", "one", "two", "one"]
    assert more.warnings == ("2 syllables for 5 notes: the lyrics are repeated",)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=40), st.integers(1, 12), st.sampled_from(["en", "pt"]))
def test_any_text_gives_a_syllable_a_note_or_is_refused(text: str, n_notes: int, language: str) -> None:
    try:
        setting = set_lyrics(text, n_notes, language)
    except LyricsError:
        return
    assert len(setting.syllables) == n_notes
    assert setting.syllables[0] is not None


def test_unknown_language() -> None:
    with pytest.raises(ConfigError, match="language"):
        pronounce("la", "xx")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from hf_model.lyrics import pronunciation

    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    pronunciation._dictionary.cache_clear()
    with pytest.raises(ConfigError, match=r"pip install 'hummingface\[lyrics\]'"):
        pronounce("star")
