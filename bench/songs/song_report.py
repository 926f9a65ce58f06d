"""The report of songs: tables, and pictures of mix, separated voice and notes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.songs.song_sets import INSTRUMENTAL, KARAOKE, MADE, OWN_STEMS, STEMS
from hf_model.audio.grid import VOICE_STFT
from hf_model.evaluation.plots import save_small
from hf_model.evaluation.report import format_interval, format_number, markdown_table
from hf_model.notes.note import Note
from hf_model.plotting import ACCENT, BACKGROUND, REFERENCE_COLOUR, TEXT, pitch_spectrogram, style_axes

PICTURE_SECONDS = 8.0
LOWEST, HIGHEST = 40, 88
"""MIDI numbers of the pictures."""

NOTES_HEAD = "system | COn | COnP | COnPOff | octave errors, % | false notes a minute in rests | voiced recall"
KARAOKE_HEAD = "system | onset and pitch | with a shift for each song | false notes a minute in rests | voiced recall"
REST_HEAD = "system | false notes a minute"

TITLES = {
    KARAOKE: "Songs with karaoke notes (ultrastar), three songs",
    f"{KARAOKE}, unseen": "Two more songs with karaoke notes, measured once, after all choices were made",
    STEMS: "Four songs with stems (everythingisfree): the mix against the notes of its own lead stem",
    OWN_STEMS: "The same, the notes of the lead stem found by the transcriber of songs",
    MADE: "Made songs, voice as loud as the band; song, voice and sound font unseen in training",
    INSTRUMENTAL: "Made songs without a singer",
}

INTRODUCTION = """# Transcription of songs

Written by `python -m bench songs --mirror FOLDER` (and once with `--unseen`). Each system transcribes the mix as it is,
and the voice that the separator leaves of it; ours also this voice with a tenth of the accompaniment ("blended"). What
ships leaves out notes that do not belong to the lead vocal (`hf_model.transcriber.lead`: doubtful ones, ones beside it
in stereo, soft phrases under the band), and moves leaps by an octave that the partials do not have
(`hf_model.preparation.octaves`). 95 % bootstrap intervals over windows of ten seconds, all notes pooled. The made
songs and the two unseen ones were measured before phrases were judged, with limits of 18 and 12 dB on single notes.
COn, COnP, COnPOff: F1 of correct onsets; and pitches; and offsets (50 ms, 50 cents, the larger of 50 ms and 20 % of the
duration). Karaoke notes: onset within 150 ms, pitch within 50 cents up to the octave; their authors place whole songs
early or late, so that a second column allows each song, for every system alike, its best constant shift within 0.3 s.
Rests are those of two seconds and more.

The lead stems' notes are found by a transcriber themselves: the default one leaves out a part of what is sung, so that
more complete transcriptions of the mix seem wrong; the transcriber of songs, as the reference, prefers itself. Both are
given. Against the default transcriber's notes the transcriber of songs scores no higher on the lead stem itself, which
is what a perfect separation would give: the two differ on short notes that are as loud there as the others.
"""


def write_song_report(path: Path, report: Mapping[str, Any]) -> str:
    """Write the report as markdown, and return it."""
    lines = [INTRODUCTION]
    for name in (title for title in TITLES if title in report):
        lines += [f"## {TITLES[name]}", ""]
        head, row = _table_of(name)
        lines += [*markdown_table(head, [[system, *row(one)] for system, one in report[name].items()]), ""]
        if (path.parent / f"songs_{name}.png").is_file():
            lines += [f"![mix, separated voice, notes](songs_{name}.png)", ""]
    text = "\n".join(lines)
    path.write_text(text, encoding="utf-8")
    return text


def _table_of(name: str) -> tuple[str, Any]:
    if name.startswith(KARAOKE):
        return KARAOKE_HEAD, lambda one: [
            *(format_interval(one[key]) for key in ("folded", "folded_shifted")),
            *_rests(one),
        ]
    if name == INSTRUMENTAL:
        return REST_HEAD, lambda one: _rests(one)[:1]
    return NOTES_HEAD, _note_row


def _note_row(one: Mapping[str, Any]) -> list[str]:
    scores = [format_interval(one[key]) for key in ("con", "conp", "conpoff")]
    return [*scores, format_number(one["octave_error_percent"], 1), *_rests(one)]


def _rests(one: Mapping[str, Any]) -> list[str]:
    return [format_number(one["false_notes_a_minute"], 1), format_number(one["voiced_recall"])]


def save_song_picture(
    path: Path,
    name: str,
    sounds: Mapping[str, NDArray[np.float32]],
    reference: Sequence[Note],
    estimate: Sequence[Note],
    start: float,
) -> None:
    """Draw eight seconds of the mix and of the separated voice, with the reference and the notes found.

    Parameters
    ----------
    path : Path
    name : str
        Of the song.
    sounds : mapping of str to ndarray, shape (sample,)
        Mono at 16 kHz; the notes are drawn over the last one.
    reference, estimate : sequence of Note
    start : float
        Seconds.
    """
    from matplotlib.figure import Figure

    rate, stop = VOICE_STFT.sample_rate, start + PICTURE_SECONDS
    figure = Figure(figsize=(11.0, 7.0), facecolor=BACKGROUND, layout="constrained")
    for axes, (kind, audio) in zip(figure.subplots(len(sounds), 1, sharex=True), sounds.items(), strict=True):
        axes.imshow(
            pitch_spectrogram(audio[round(start * rate) : round(stop * rate)], LOWEST, HIGHEST),
            origin="lower", aspect="auto", cmap="magma", vmin=-45.0, vmax=0.0, extent=(start, stop, LOWEST, HIGHEST),
        )  # fmt: skip
        axes.set_title(f"{name}: {kind}", color=TEXT, loc="left", fontsize=11)
        style_axes(axes)
    for notes, colour, width in ((reference, REFERENCE_COLOUR, 4.0), (estimate, ACCENT, 1.8)):
        for note in notes:
            if note.offset > start and note.onset < stop:
                axes.plot((note.onset, note.offset), (note.pitch, note.pitch), color=colour, lw=width)
    axes.set_title("white: reference   orange: transcribed", color=TEXT, loc="right", fontsize=9)
    axes.set_xlim(start, stop)
    axes.set_ylim(LOWEST, HIGHEST)
    axes.set_xlabel("seconds", color=TEXT)
    save_small(figure, path)
