"""Write tunes as MusicXML, and read them with music21, verovio and MuseScore: bars, metres and rests.

The tunes are well-known ones, performed with errors of onset and breaths, and songs of POP909 that were sung and
transcribed. MuseScore's own importer is asked if ``musescore3`` or ``mscore`` is installed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import tempfile
from fractions import Fraction
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from bench.music.excerpts import sing_all, sung
from bench.music.tunes import TUNES, WellKnownTune
from hf_model.corpora.abc_tunes import read_collection
from hf_model.corpora.pop909_excerpts import read_excerpts
from hf_model.export.musicxml import write_musicxml
from hf_model.music.arrangement import Arranged, Arrangement, arrange
from hf_model.music.meter import METERS
from hf_model.notes.note import Note

SHORTEST_REST = Fraction(1, 4)
"""Quarters: a sixteenth."""

N_FOLK, N_SUNG = 20, 20
MUSESCORE = ("musescore3", "mscore3", "mscore", "musescore")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--mirror", required=True, type=Path, help="folder with the layout of the public sources")
    parser.add_argument("--out", type=Path, help="folder in which the scores are kept")


def run(options: argparse.Namespace) -> None:
    """Print a line for each score with a fault, and the number of faultless ones by reader."""
    tunes = [(tune.name, perform(tune)) for tune in TUNES] + folk_tunes(N_FOLK) + sung_songs(options.mirror, N_SUNG)
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.out or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        paths = []
        for number, (name, arranged) in enumerate(tunes):
            path = folder / f"{number:02d}_{''.join(c if c.isalnum() else '_' for c in name)}.musicxml"
            write_musicxml(path, arranged, name)
            paths.append(path)
        readers = {"music21": [by_music21(path, one) for path, (_, one) in zip(paths, tunes, strict=True)]}
        readers["verovio"] = [by_verovio(path, one) for path, (_, one) in zip(paths, tunes, strict=True)]
        programs = [found for found in map(shutil.which, MUSESCORE) if found]
        if programs:
            readers["MuseScore"] = by_musescore(programs[0], paths, [one for _, one in tunes], Path(scratch))
    for reader, faults in readers.items():
        for (name, _), found in zip(tunes, faults, strict=True):
            if found:
                print(f"{reader}: {name}: {'; '.join(found)}")
        print(f"{reader}: {sum(not found for found in faults)} of {len(faults)} scores without a fault")


def perform(tune: WellKnownTune, seed: int = 0) -> Arranged:
    """Perform a tune with errors of 20 ms, breaths after long notes, and a tuning of 10 cents a note."""
    rng = np.random.default_rng([seed, *tune.name.encode()])
    notes = []
    for onset, offset, key in tune.notes:
        end = offset - rng.uniform(0.0, min(0.12, 0.3 * (offset - onset)))
        start = 0.5 + onset + float(np.clip(rng.normal(0.0, 0.02), -0.05, 0.05))
        notes.append(Note(start, 0.5 + end, key + rng.normal(0.0, 0.1)))
    settings = Arrangement(tempo=tune.bpm, meter=tune.meter)
    return arrange(notes, notes[-1].offset + 0.5, settings)


def folk_tunes(n: int) -> list[tuple[str, Arranged]]:
    """Perform strains of Ryan's Mammoth Collection in all metres."""
    found: list[tuple[str, Arranged]] = []
    for tune in read_collection("ryan"):
        strain = tune.longest_strain()
        wanted = sum(one.tempo.meter_name == strain.meter for _, one in found) < n // 3
        if strain.meter not in METERS or len(strain.bars) < 7 or not wanted or len(found) == n:
            continue
        quarter = 0.5 if strain.meter != "6/8" else 0.35
        bpm = 60.0 / (quarter * (1.5 if strain.meter == "6/8" else 1.0))
        first = strain.notes[0][0]
        seconds = [(float(o - first) * quarter, float(o - first + d) * quarter, key) for o, d, key in strain.notes]
        name = f"{strain.name} {strain.meter}"
        found.append((name, perform(WellKnownTune(name, strain.meter, bpm, "C major", tuple(seconds)))))
    return found


def sung_songs(mirror: Path, n: int) -> list[tuple[str, Arranged]]:
    """Arrange songs that were sung and transcribed, as the program does by default."""
    excerpts = read_excerpts(mirror, held_out=True, limit=n)
    sing_all(excerpts, os.cpu_count() or 1)
    return [(f"song {one.song}", arrange(found[0], found[2])) for one in excerpts if (found := sung(one))[0]]


def by_music21(path: Path, arranged: Arranged) -> list[str]:
    """List the faults that music21 sees."""
    from music21 import converter

    score = converter.parse(path)
    faults = []
    for part in score.parts:
        bars = list(part.getElementsByClass("Measure"))
        whole = bars[0].timeSignature.barDuration.quarterLength
        if bars[0].timeSignature.ratioString != arranged.tempo.meter_name:
            faults.append(f"metre {bars[0].timeSignature.ratioString}")
        faults += [f"bar {bar.number} has {bar.highestTime}" for bar in bars[1:] if bar.highestTime != whole]
        rests = [rest.quarterLength for rest in part.recurse().getElementsByClass("Rest")]
        if rests and min(rests) < SHORTEST_REST:
            faults.append(f"a rest of {min(rests)} quarters")
    return faults


def by_verovio(path: Path, arranged: Arranged) -> list[str]:
    """List the faults of the MEI that verovio makes, and whether every page is engraved."""
    import verovio

    toolkit = verovio.toolkit()
    if not toolkit.loadFile(str(path)):
        return ["not read"]
    root = ElementTree.fromstring(toolkit.getMEI())
    mei = "{http://www.music-encoding.org/ns/mei}"
    metre = next(root.iter(f"{mei}meterSig"))
    faults = []
    if f"{metre.get('count')}/{metre.get('unit')}" != arranged.tempo.meter_name:
        faults.append(f"metre {metre.attrib}")
    with path.open("rb") as file:
        n_bars = file.read().count(b"<measure ")
    if len(list(root.iter(f"{mei}measure"))) * len(list(root.iter(f"{mei}staffDef"))) != n_bars:
        faults.append(f"{len(list(root.iter(f'{mei}measure')))} bars of {n_bars}")
    short = [rest.get("dur") for rest in root.iter(f"{mei}rest") if int(rest.get("dur") or 0) > 16]
    faults += [f"a rest of 1/{short[0]}"] if short else []
    faults += [] if all("<svg" in toolkit.renderToSVG(page + 1) for page in range(toolkit.getPageCount())) else ["page"]
    return faults


def by_musescore(program: str, paths: list[Path], arranged: list[Arranged], scratch: Path) -> list[list[str]]:
    """List the faults of the scores that MuseScore's importer makes: bars of another length, the metre, rests."""
    outputs = [scratch / f"{number}.mscx" for number in range(len(paths))]
    job = scratch / "job.json"
    pairs = [{"in": str(path.resolve()), "out": str(output)} for path, output in zip(paths, outputs, strict=True)]
    job.write_text(json.dumps(pairs), encoding="utf-8")
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "XDG_RUNTIME_DIR": str(scratch)}
    subprocess.run([program, "-j", str(job)], check=False, capture_output=True, env=environment, timeout=900)
    return [_musescore_faults(output, one) for output, one in zip(outputs, arranged, strict=True)]


def _musescore_faults(path: Path, arranged: Arranged) -> list[str]:
    if not path.is_file():
        return ["not imported"]
    root = next(score for score in ElementTree.parse(path).getroot().iter("Score"))
    staff = next(found for found in root.findall("Staff"))
    metre = next(staff.iter("TimeSig"))
    name = f"{metre.findtext('sigN')}/{metre.findtext('sigD')}"
    faults = [] if name == arranged.tempo.meter_name else [f"metre {name}"]
    bars = staff.findall("Measure")
    faults += [f"bar {number} is {bar.get('len')}" for number, bar in enumerate(bars) if number and bar.get("len")]
    short = {rest.findtext("durationType") for rest in staff.iter("Rest")} & {"32nd", "64th", "128th"}
    return faults + [f"a rest of a {kind}" for kind in short]
