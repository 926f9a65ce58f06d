"""Melodies in ABC notation with their bars: the collections of folk tunes that music21 installs.

Licences: O'Neill's (1903) and Aird's (1778-1801) and Ryan's (1883) printed collections are in the public domain, and
were transcribed by volunteers. The Essen folk songs may be used for non-commercial purposes only: they are for
measuring, and no weights that ship are fitted to them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

SHARPS, FLATS = "FCGDAEB", "BEADGCF"
_NATURAL = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_MODES = {
    "": 0,
    "maj": 0,
    "ion": 0,
    "m": -3,
    "min": -3,
    "aeo": -3,
    "dor": -2,
    "phr": -4,
    "lyd": 1,
    "mix": -1,
    "loc": -5,
}
_TOKEN = re.compile(
    r'"[^"]*"|![^!]*!|\{[^}]*\}|\[[A-Za-z]:[^\]]*\]|\((?P<tuplet>\d)(?::\d*)*'
    r"|(?P<bar>:*\|+[\]:]*|\|\||::|\[\d|\|\d)|(?P<broken>[<>]+)"
    r"|(?:\[)?(?P<accidental>[_^=]*)(?P<note>[A-Ga-gzx])(?P<octave>[,']*)(?P<length>\d*/*\d*)(?P<tie>-?)"
)
_TUPLETS = {2: Fraction(3, 2), 3: Fraction(2, 3), 4: Fraction(3, 4), 5: Fraction(2, 5), 6: Fraction(1, 3)}

COLLECTIONS = {"essen": "essenFolksong", "ryan": "ryansMammoth", "oneill": "oneills1850", "aird": "airdsAirs"}


@dataclass
class Tune:
    """A melody.

    Attributes
    ----------
    name : str
        File and number.
    meter : str
        "3/4", as written; "C" is "4/4".
    key : str
        As written.
    notes : list of (Fraction, Fraction, int)
        Onset and duration in quarters, MIDI number.
    letters : list of str
        The letter of each note, "A" to "G".
    bars : list of Fraction
        Bar lines in quarters.
    """

    name: str
    meter: str
    key: str = "C"
    notes: list[tuple[Fraction, Fraction, int]] = field(default_factory=list)
    letters: list[str] = field(default_factory=list)
    bars: list[Fraction] = field(default_factory=list)

    @property
    def bar_length(self) -> Fraction:
        """Quarters in a bar."""
        upper, _, lower = self.meter.partition("/")
        return Fraction(4 * int(upper), int(lower))

    @property
    def key_name(self) -> str | None:
        """The key as "D minor"; modes with a minor third are minor, the others major. None if it is no key."""
        found = re.match(r"\s*([A-G][#b]?)\s*(m|min|aeo|dor|phr)?(?![a-z])", self.key)
        return None if found is None else f"{found[1]} {'minor' if found[2] else 'major'}"

    def longest_strain(self) -> Tune:
        """Cut the longest run of whole bars, with its pick-up; the first of ``bars`` is at 0."""
        starts = [0, *(k for k in range(1, len(self.bars)) if self.bars[k] - self.bars[k - 1] != self.bar_length)]
        runs = [(a, b - 1) for a, b in pairwise([*starts, len(self.bars)])]
        first, last = max(runs, key=lambda run: run[1] - run[0], default=(0, -1))
        if last <= first:
            return replace(self, notes=[], letters=[], bars=[])
        begin, end = self.bars[first], self.bars[last]
        before = max(self.bars[first - 1] if first else Fraction(0), begin - self.bar_length)
        kept = [k for k, (onset, _, _) in enumerate(self.notes) if before <= onset < end]
        notes = [(self.notes[k][0] - begin, *self.notes[k][1:]) for k in kept]
        bars = [bar - begin for bar in self.bars[first : last + 1]]
        return replace(self, notes=notes, letters=[self.letters[k] for k in kept], bars=bars)


def read_collection(name: str) -> Iterator[Tune]:
    """Read the tunes in one metre of a collection: "essen", "ryan", "oneill", "aird"."""
    spec = find_spec("music21")
    if spec is None or spec.origin is None:
        msg = "the collections of tunes come with music21: pip install 'hummingface[score]'"
        raise ImportError(msg)
    folder = Path(spec.origin).parent / "corpus" / COLLECTIONS[name]
    for path in sorted(folder.glob("*.abc")):
        yield from parse_tunes(path.read_text(encoding="utf-8", errors="replace"), path.stem)


def parse_tunes(text: str, name: str = "") -> Iterator[Tune]:
    """Parse the tunes of an ABC file; those without a metre, with changing metres or several voices are left out.

    Chords in brackets are not read: their bars are not whole.
    """
    for number, part in enumerate(re.split(r"(?m)^X:", text)[1:]):
        tune = _parse(part, f"{name}-{number}")
        if tune is not None and len(tune.notes) >= 12:
            yield tune


def _parse(text: str, name: str) -> Tune | None:
    fields: dict[str, str] = {}
    body: list[str] = []
    for raw in text.splitlines()[1:]:
        line = raw.split("%")[0].strip()
        if re.match(r"[A-Za-z]:", line) and line[0] not in "|":
            if line[0] in "VP" or (line[0] in "MLK" and body):
                return None
            fields.setdefault(line[0], line[2:].strip())
        elif "K" in fields and line:
            body.append(line.rstrip("\\"))
    meter = {"C": "4/4", "C|": "4/4"}.get(fields.get("M", ""), fields.get("M", ""))
    if not re.fullmatch(r"\d+/\d+", meter) or "[M:" in "".join(body):
        return None
    default = Fraction(1, 8) if float(Fraction(meter)) >= 0.75 else Fraction(1, 16)
    found = re.match(r"\s*(\d+)/(\d+)", fields.get("L", ""))
    unit = Fraction(int(found[1]), int(found[2])) if found else default
    return _read_notes(" ".join(body), Tune(name, meter, fields.get("K", "C")), unit * 4)


def _read_notes(body: str, tune: Tune, unit: Fraction) -> Tune:
    signature = key_signature(tune.key)
    altered: dict[str, int] = {}
    now, in_tuplet, factor, pending, is_tied = Fraction(0), 0, Fraction(1), Fraction(1), False
    for token in _TOKEN.finditer(body):
        if token["tuplet"]:
            in_tuplet, factor = int(token["tuplet"]), _TUPLETS.get(int(token["tuplet"]), Fraction(1))
        elif token["bar"]:
            altered.clear()
            if not tune.bars or tune.bars[-1] != now:
                tune.bars.append(now)
        elif token["broken"] and tune.notes:
            shift = Fraction(1, 2 ** len(token["broken"]))
            first, second = (2 - shift, shift) if token["broken"][0] == ">" else (shift, 2 - shift)
            onset, length, key = tune.notes[-1]
            if onset + length == now:
                tune.notes[-1] = (onset, length * first, key)
                now = onset + length * first
                pending = second
        elif token["note"]:
            length = _length(token["length"]) * unit * pending * (factor if in_tuplet else 1)
            in_tuplet, pending = max(0, in_tuplet - 1), Fraction(1)
            if token["note"] not in "zx":
                pitch = _pitch(token["accidental"], token["note"], token["octave"], signature, altered)
                if is_tied and tune.notes and tune.notes[-1][2] == pitch:
                    tune.notes[-1] = (tune.notes[-1][0], tune.notes[-1][1] + length, pitch)
                else:
                    tune.notes.append((now, length, pitch))
                    tune.letters.append(token["note"].upper())
            is_tied = bool(token["tie"])
            now += length
    return tune


def _length(text: str) -> Fraction:
    upper, slash, lower = text.partition("/")
    if not slash:
        return Fraction(int(upper or 1))
    halves = 1 + lower.count("/")
    digits = lower.strip("/")
    return Fraction(int(upper or 1), int(digits) if digits else 2**halves)


def _pitch(accidental: str, letter: str, octave: str, signature: dict[str, int], altered: dict[str, int]) -> int:
    name = letter.upper()
    if accidental:
        altered[name] = accidental.count("^") - accidental.count("_")
    number = 60 + _NATURAL[name] + altered.get(name, signature.get(name, 0))
    return number + 12 * (letter.islower() + octave.count("'") - octave.count(","))


def key_signature(key: str) -> dict[str, int]:
    """Give the altered letters of a key such as "Am", "F# min" or "D mix"."""
    found = re.match(r"\s*([A-G])([#b]?)\s*([A-Za-z]*)", key)
    if found is None:
        return {}
    fifths = SHARPS.index(found[1]) - 1 + 7 * ((found[2] == "#") - (found[2] == "b"))
    fifths += _MODES.get(found[3].lower()[:3], 0)
    letters = SHARPS if fifths >= 0 else FLATS
    return dict.fromkeys(letters[: abs(fifths)], 1 if fifths >= 0 else -1)
