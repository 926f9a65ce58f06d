"""A band for a melody: second voice, chords, bass and drums."""

from __future__ import annotations

from collections.abc import Sequence

from hf_model.music.chords import Chord
from hf_model.music.ensemble.bars import read_song
from hf_model.music.ensemble.drums import play_drums
from hf_model.music.ensemble.rhythm_section import play_bass, play_chords
from hf_model.music.ensemble.rhythms import RhythmModel, default_rhythms
from hf_model.music.ensemble.second_voice import play_second_voice
from hf_model.music.key import Key
from hf_model.music.tempo import Tempo
from hf_model.notes.note import Note
from hf_model.notes.part import Part

PROGRAMS = {"second voice": 48, "chords": 25, "bass": 33}
"""Programs of General MIDI, from 0: strings, a steel guitar, a bass guitar."""


def write_band(
    melody: Sequence[Note],
    chords: Sequence[Chord],
    tempo: Tempo,
    key: Key,
    style: str = "plain",
    model: RhythmModel | None = None,
) -> tuple[Part, ...]:
    """Write the parts of a band.

    Parameters
    ----------
    melody : sequence of Note
        Piano keys, sorted by onset.
    chords : sequence of Chord
    tempo : Tempo
        Beats and metre.
    key : Key
        Of the melody.
    style : str
        Of the chords: one of :data:`hf_model.music.accompaniment.STYLES`.
    model : RhythmModel, optional
        By default the one that ships.

    Returns
    -------
    tuple of Part
        "second voice", "chords", "bass" and "drums"; those without notes are left out. All end with the melody.
    """
    if not melody or not chords:
        return ()
    song = read_song(melody, chords, tempo)
    if not song.beats:
        return ()
    model = model or default_rhythms()
    bass = play_bass(song, model)
    notes = {"second voice": play_second_voice(song, key), "chords": play_chords(song, model, style), "bass": bass}
    parts = [Part(name, PROGRAMS[name], tuple(played)) for name, played in notes.items()]
    parts.append(Part("drums", 0, tuple(play_drums(song, bass)), is_drum=True))
    return tuple(part for part in parts if part.notes)
