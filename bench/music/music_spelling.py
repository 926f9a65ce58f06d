"""The part ``spelling`` of ``music``: names of the notes of printed melodies, their keys given.

The rule was chosen on the even half of the tunes; the odd half is reported.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

from hf_model.corpora.abc_tunes import read_collection
from hf_model.export.spelling import LETTERS, spell_line
from hf_model.music.key import Key, parse_key

NATURAL = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}

DIATONIC = {"major": range(-1, 6), "minor": range(-4, 3)}
"""Fifths above the tonic of the notes of a scale."""


@dataclass(frozen=True)
class Melody:
    """A printed melody: piano keys, and the places of their names and of the tonic on the line of fifths."""

    name: str
    key: Key
    tonic: int
    keys: list[int]
    places: list[int]


def measure(half: int = 1) -> None:
    """Print the shares of right names: all notes, and those outside the scale; by one window of names, and as now."""
    print(
        "\nspelling: notes right; notes outside the scale right; before: twelve fixed names a key, after: by neighbours"
    )
    for name in ("essen", "ryan", "chorales"):
        melodies = [melody for melody in _read(name) if zlib.crc32(melody.name.encode()) % 2 == half]
        before, after = ([_compare(melody, spell(melody)) for melody in melodies] for spell in (_fixed, _by_line))
        print(f"{name}: {len(melodies)} melodies; before {_shares(before)}; after {_shares(after)}")


def _compare(melody: Melody, spelled: Sequence[int]) -> tuple[int, int, int, int]:
    """Count notes, right ones, notes outside the scale, and right ones of them."""
    right = [place == found for place, found in zip(melody.places, spelled, strict=True)]
    outside = [place - melody.tonic not in DIATONIC[melody.key.mode] for place in melody.places]
    both = sum(is_right and is_outside for is_right, is_outside in zip(right, outside, strict=True))
    return len(right), sum(right), sum(outside), both


def _shares(counts: Sequence[tuple[int, int, int, int]]) -> str:
    n_notes, right, n_outside, right_outside = map(sum, zip(*counts, strict=True))
    return f"{right / n_notes:.4f} of {n_notes}, {right_outside / max(1, n_outside):.3f} of {n_outside}"


def _fixed(melody: Melody) -> list[int]:
    """Spell by twelve adjacent names: in major up to the raised first, in minor up to the leading tone."""
    lowest = melody.tonic - (4 if melody.key.mode == "major" else 6)
    return [lowest + (key * 7 - lowest) % 12 for key in melody.keys]


def _by_line(melody: Melody) -> list[int]:
    """Spell as scores are written; a key such as Cb major has the names of its own, not of B major."""
    spelled = spell_line(melody.keys, melody.key)
    other = melody.tonic - (melody.key.fifths + 3 * (melody.key.mode == "minor"))
    return [place + other for place in spelled if place is not None]


def _read(name: str) -> Iterator[Melody]:
    if name == "chorales":
        yield from _read_chorales()
        return
    for tune in read_collection(name):
        if tune.key_name:
            keys = [key for _, _, key in tune.notes]
            places = [_place(letter, key) for letter, key in zip(tune.letters, keys, strict=True)]
            yield Melody(tune.name, parse_key(tune.key_name), _tonic(tune.key_name), keys, places)


def _read_chorales() -> Iterator[Melody]:
    """Read the sopranos of Bach's chorales; the key is that of the last note of the bass, and of the signature."""
    spec = find_spec("music21")
    if spec is None or spec.origin is None:
        msg = "the chorales come with music21: pip install 'hummingface[score]'"
        raise ImportError(msg)
    for path in sorted((Path(spec.origin).parent / "corpus" / "bach").glob("bwv*.mxl")):
        with zipfile.ZipFile(path) as archive:
            inside = next(name for name in archive.namelist() if name.endswith("xml") and "META" not in name)
            root = ElementTree.fromstring(archive.read(inside))
        parts = root.findall("part")
        soprano, bass = _read_part(parts[0]), _read_part(parts[-1])
        tonic = bass[-1][1]
        mode = "major" if abs(tonic - int(parts[0].findtext(".//key/fifths") or 0)) < 2 else "minor"
        keys, places = map(list, zip(*soprano, strict=True))
        yield Melody(path.stem, Key(7 * tonic % 12, mode), tonic, keys, places)


def _read_part(part: ElementTree.Element) -> list[tuple[int, int]]:
    """Read the keys and places of a part's notes."""
    found = []
    for note in part.iter("note"):
        is_tied = any(tie.get("type") == "stop" for tie in note.findall("tie"))
        if note.find("pitch") is None or note.find("chord") is not None or is_tied:
            continue
        letter, octave = note.findtext("pitch/step") or "C", int(note.findtext("pitch/octave") or 4)
        key = 12 * (octave + 1) + NATURAL[letter] + int(float(note.findtext("pitch/alter") or 0))
        found.append((key, _place(letter, key)))
    return found


def _place(letter: str, key: int) -> int:
    return LETTERS.index(letter) - 1 + 7 * ((key - NATURAL[letter] + 6) % 12 - 6)


def _tonic(name: str) -> int:
    tonic = name.split()[0]
    return LETTERS.index(tonic[0]) - 1 + 7 * (tonic.count("#") - tonic.count("b"))
