"""Measure what accompanies a melody, on songs and folk tunes that nothing was fitted on; --fit fits the rhythms.

Writes reports/accompaniment.md and a picture of one song: the arranger's piano, the left hand, the band.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import numpy as np

from bench.music import music_chords
from bench.music.band_measures import bass_clashes, onset_agreement, outside_key, parallel_thirds, second_voice
from bench.music.music_folk import COLLECTIONS, perform
from bench.sound.figure import Figure, mean_interval
from hf_model.corpora.abc_tunes import read_collection
from hf_model.corpora.pop909_excerpts import is_rule_test_song, read_excerpts
from hf_model.corpora.pop909_songs import Song, read_song
from hf_model.corpora.readers.scores import load_pop909_spans
from hf_model.corpora.records import CorpusError
from hf_model.evaluation.report import markdown_table
from hf_model.music.accompaniment import accompany
from hf_model.music.chords import estimate_chords
from hf_model.music.ensemble.band import write_band
from hf_model.music.ensemble.rhythms import MODEL, RhythmModel
from hf_model.music.key import Key, estimate_key, parse_key
from hf_model.music.tempo import Tempo, estimate_tempo
from hf_model.notes.note import Note
from hf_model.plotting import BACKGROUND, PHRASE_COLOURS, REFERENCE_COLOUR, TEXT, style_axes
from hf_model.training.accompaniment.rhythm_fitting import HIGHEST_BASS, fit_rhythms, read_bars
from hf_model.training.meter_fitting import FAMILIES, UNITS
from hf_model.weights import write_tensors

REPORTS = Path(__file__).parents[2] / "reports"
N_TUNES = 40
PICTURED, PICTURE_BARS = "015", 8

HEAD = """# Accompaniment

`python -m bench accompaniment --mirror FOLDER@OPTION@`. How to use it: docs/more.md. Nothing was fitted on these songs.

## Chords

Weighted chord symbol recall of major and minor triads, and of roots, on excerpts of 35 s of the songs of POP909 whose
number is a multiple of 5: *as written* with the annotated key and beats, *performed* with those estimated from jittered
notes.

"""

BETWEEN = """

## Bass, chords, second voice

Means. Clashes: minor seconds and tritones of bass and melody on strong beats. Onsets of the arranger: those of the
piano of POP909, within 60 ms. The bass agrees with the arranger no better than the rule (root on the first and the
third beat); bass and chords together do. A third below each note is simpler, but moves in larger steps and leaves
the chord. Metre and tempo of the folk tunes are given, their key is estimated.
"""

Row = dict[str, float]
Tunes = dict[str, Row]
"""The measures of one tune by what accompanies it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--mirror", required=True, type=Path, help="folder with the layout of the public sources")
    parser.add_argument("--songs", type=int, default=0, metavar="N", help="the first N of each kind only (all)")
    parser.add_argument(
        "--fit", action="store_true", help="fit weights/rhythms on the other songs instead of measuring"
    )


def run(options: argparse.Namespace) -> list[Figure]:
    """Measure, or fit."""
    if options.fit:
        fit(options.mirror)
        return []
    recalls = music_chords.recalls(read_excerpts(options.mirror, held_out=True, limit=options.songs or None))
    chords = music_chords.table(recalls)
    print("\n".join(chords), flush=True)
    songs = list(islice(_songs(options.mirror, held_out=True), options.songs or None))
    pop = [_measure_song(song, key) for song, key in songs]
    folk = {family: list(_measure_folk(family, options.songs or N_TUNES)) for family in ("triple", "compound")}
    option = f" --songs {options.songs}" if options.songs else ""
    text = HEAD.replace("@OPTION@", option) + "\n".join(chords) + _describe(pop, folk)
    (REPORTS / "accompaniment.md").write_text(text, encoding="utf-8")
    print(text)
    _draw(next(item for item in songs if item[0].name == PICTURED))
    return _figures(recalls, pop, folk)


def _figures(recalls: music_chords.Recalls, pop: Sequence[Tunes], folk: Mapping[str, Sequence[Tunes]]) -> list[Figure]:
    found = []
    for kind in ("as written", "performed"):
        network, rules = (
            mean_interval([majmin for majmin, _ in recalls[method, kind]])
            for method in (music_chords.NETWORK, music_chords.RULES)
        )
        found.append(
            Figure(f"chords for a melody {kind}, majmin, songs held out", network, f"rules {rules}", "", "above")
        )
    rule = "left hand (rules)"
    for title, rows in {"songs": pop, **{f"tunes in {family} time": rows for family, rows in folk.items()}}.items():
        for measure in ("bass clashes with the melody", "outside the key"):
            band, rules = (mean_interval([row[name][measure] for row in rows]) for name in ("band", rule))
            found.append(Figure(f"band, {title}: {measure}", band, f"rules {rules}"))
    for measure in ("bass onsets of the arranger, F1", "onsets of the arranger, F1"):
        band, rules = (mean_interval([row[name][measure] for row in pop]) for name in ("band", rule))
        found.append(Figure(f"band, songs: {measure}", band, f"rules {rules}"))
    return found


def fit(mirror: Path) -> None:
    """Count the rhythms of the training songs, and write weights/rhythms."""
    bars = [bar for song, _ in _songs(mirror, held_out=False) for bar in read_bars(song)]
    save(fit_rhythms(bars), len(bars))


def save(model: RhythmModel, n_bars: int) -> None:
    """Write weights/rhythms."""
    tensors = {"fifths": model.fifths.astype(np.float32)}
    for voice, table in model.tables.items():
        tensors[f"{voice}_onsets"] = table.onsets.astype(np.uint8)
        tensors[f"{voice}_given"] = table.given.astype(np.float32)
        tensors[f"{voice}_following"] = table.following.astype(np.float32)
    trained_on = "POP909 (MIT): the songs whose number is no multiple of 5"
    write_tensors(MODEL, tensors, {"kind": "rhythms", "bars": n_bars, "trained_on": trained_on, "licence": "MIT"})


def _songs(mirror: Path, *, held_out: bool) -> Iterator[tuple[Song, Key]]:
    for folder in sorted(path for path in (mirror / "pop909" / "POP909").iterdir() if path.is_dir()):
        if is_rule_test_song(folder.name) != held_out:
            continue
        keys = load_pop909_spans(folder / "key_audio.txt")
        try:
            song = read_song(folder / f"{folder.name}.mid")
        except CorpusError:
            continue
        if keys:
            yield song, parse_key(keys[0].name)


def _tempo(song: Song) -> Tempo:
    """Give the annotated beats; bars of six beats are two of three."""
    first = np.flatnonzero(song.downbeats)
    is_triple = np.median(np.diff(first)) in {3, 6}
    bpm = 60.0 / float(np.median(np.diff(song.beats)))
    return Tempo(bpm, 1.0, tuple(song.beats.tolist()), int(first[0]), (3, 4) if is_triple else (4, 4), 1.0)


def _bass(notes: Sequence[Note]) -> list[Note]:
    """Give the lowest line of an accompaniment: notes below E3 with nothing below them."""
    low = [note for note in notes if note.pitch < HIGHEST_BASS]
    lowest: dict[float, Note] = {}
    for note in low:
        at = round(note.onset, 2)
        if at not in lowest or note.pitch < lowest[at].pitch:
            lowest[at] = note
    return sorted(lowest.values())


def _measure_song(song: Song, key: Key) -> dict[str, Row]:
    """Measure the arranger's piano, the left hand and the band of a song."""
    tempo = _tempo(song)
    chords = estimate_chords(song.melody, key, tempo)
    parts = {part.name: list(part.notes) for part in write_band(song.melody, chords, tempo, key)}
    left = accompany(song.melody, chords, tempo)
    inside = [note for note in song.piano if song.melody[0].onset <= note.onset <= song.melody[-1].offset]
    rows = {}
    for name, bass, harmony in (
        ("arranger", _bass(inside), inside),
        ("left hand (rules)", _bass(left), left),
        ("band", parts["bass"], [*parts["bass"], *parts["chords"]]),
    ):
        rows[name] = {
            "outside the key": outside_key(harmony, key),
            "bass clashes with the melody": bass_clashes(bass, song.melody, tempo),
            "bass onsets of the arranger, F1": onset_agreement(bass, _bass(inside)),
            "onsets of the arranger, F1": onset_agreement(harmony, inside),
        }
    return rows | _second_voices(song.melody, parts.get("second voice", []), key)


def _second_voices(melody: Sequence[Note], voice: Sequence[Note], key: Key) -> dict[str, Row]:
    thirds = parallel_thirds(melody, key)
    return {
        "second voice": second_voice(voice, melody) | {"outside the key": outside_key(voice, key)},
        "thirds below (rules)": second_voice(thirds, melody) | {"outside the key": outside_key(thirds, key)},
    }


def _measure_folk(family: str, n_tunes: int) -> Iterator[dict[str, Row]]:
    """Measure performed folk tunes, with their metre given and everything else estimated."""
    tunes = [tune.longest_strain() for name in COLLECTIONS for tune in read_collection(name)]
    usable = [
        tune
        for tune in tunes
        if tune.meter in UNITS
        and FAMILIES[UNITS[tune.meter][0]] == family
        and len(tune.bars) >= 7
        and len(tune.notes) >= 20
    ]
    for number in np.random.default_rng(5).permutation(len(usable))[:n_tunes]:
        tune = usable[int(number)]
        notes, bpm, _ = perform(tune, family, np.random.default_rng([5, int(number)]))
        tempo, key = estimate_tempo(notes, bpm=bpm, meter=UNITS[tune.meter][0]), estimate_key(notes)
        chords = estimate_chords(notes, key, tempo)
        parts = {part.name: list(part.notes) for part in write_band(notes, chords, tempo, key)}
        left = accompany(notes, chords, tempo)
        rows = {
            name: {
                "outside the key": outside_key(harmony, key),
                "bass clashes with the melody": bass_clashes(bass, notes, tempo),
            }
            for name, bass, harmony in (
                ("left hand (rules)", _bass(left), left),
                ("band", parts["bass"], [*parts["bass"], *parts["chords"]]),
            )
        }
        yield rows | _second_voices(notes, parts.get("second voice", []), key)


def _describe(pop: Sequence[dict[str, Row]], folk: dict[str, list[dict[str, Row]]]) -> str:
    kinds = {f"{len(pop)} songs of POP909": pop} | {
        f"{len(rows)} performed tunes in {family} time": rows for family, rows in folk.items()
    }
    text = BETWEEN
    for title, rows in kinds.items():
        for is_voice in (False, True):
            names = [name for name in rows[0] if ("voice" in name or "thirds" in name) == is_voice]
            measures = list(rows[0][names[0]])
            table = [[name, *(_mean(rows, name, measure) for measure in measures)] for name in names]
            text += f"\n{title}\n\n" + "\n".join(markdown_table(" | " + " | ".join(measures), table)) + "\n"
    return text + f"\n![Song {PICTURED}: melody in white](accompaniment.png)\n"


def _mean(rows: Sequence[dict[str, Row]], name: str, measure: str) -> str:
    return f"{np.nanmean([row[name].get(measure, np.nan) for row in rows]):.3f}"


def _draw(item: tuple[Song, Key]) -> None:
    """Draw eight bars of a song three times."""
    song, key = item
    tempo = _tempo(song)
    chords = estimate_chords(song.melody, key, tempo)
    band = write_band(song.melody, chords, tempo, key)
    first = int(np.searchsorted(tempo.beats, song.melody[0].onset))
    first += (tempo.downbeat - first) % tempo.beats_per_bar
    start, end = tempo.beats[first], tempo.beats[first + PICTURE_BARS * tempo.beats_per_bar]
    rolls = {
        "the arranger's piano": [song.piano],
        "left hand": [accompany(song.melody, chords, tempo)],
        "band: second voice, chords, bass": [list(part.notes) for part in band if not part.is_drum],
    }
    draw_rolls(rolls, song.melody, (start, end), REPORTS / "accompaniment.png")


def draw_rolls(
    rolls: dict[str, list[list[Note]]], melody: Sequence[Note], span: tuple[float, float], path: Path
) -> None:
    """Draw piano rolls with the melody in white, one below the other."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 9), facecolor=BACKGROUND)
    every = figure.subplots(len(rolls), 1, sharex=True, sharey=True)
    for axes, (title, parts) in zip(every, rolls.items(), strict=True):
        style_axes(axes)
        for colour, notes in zip((REFERENCE_COLOUR, *PHRASE_COLOURS), [list(melody), *parts], strict=False):
            inside = [note for note in notes if note.offset > span[0] and note.onset < span[1]]
            axes.barh(
                [note.pitch for note in inside],
                [note.duration for note in inside],
                left=[note.onset for note in inside],
                height=0.8,
                color=colour,
            )
        axes.set_xlim(*span)
        axes.set_ylabel("MIDI number", color=TEXT)
        axes.set_title(title, color=TEXT, fontsize=10, loc="left")
    every[-1].set_xlabel("seconds", color=TEXT)
    figure.tight_layout()
    figure.savefig(path, format="png", dpi=80, facecolor=BACKGROUND)
