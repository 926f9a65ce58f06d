"""Songs of POP909 with all tracks, on a small song in the published layout."""

from pathlib import Path

import numpy as np
import pytest

from hf_model.corpora.pop909_songs import chord_pitch_classes, cut_excerpt, read_song
from hf_model.corpora.records import CorpusError


def write_song(folder: Path, name: str = "001", seconds: int = 12) -> Path:
    """Write a song: a melody of one note a second, two chords, a beat every half second, four to the bar."""
    import pretty_midi

    midi = pretty_midi.PrettyMIDI(resolution=960)
    for track, pitches in (("MELODY", (60, 62, 64, 65)), ("BRIDGE", (72, 74)), ("PIANO", (48, 52, 55))):
        part = pretty_midi.Instrument(0, name=track)
        for second in range(seconds):
            pitch = pitches[second % len(pitches)]
            part.notes.append(pretty_midi.Note(80, pitch, second + 0.1, second + 0.8))
        midi.instruments.append(part)
    home = folder / "pop909" / "POP909" / name
    home.mkdir(parents=True)
    midi.write(str(home / f"{name}.mid"))
    beats = [f"{0.5 * number} 1.0 {float(number % 4 == 0)}\n" for number in range(2 * seconds)]
    (home / "beat_midi.txt").write_text("".join(beats))
    (home / "chord_midi.txt").write_text(f"0 4 C:maj\n4 8 A:min7\n8 {seconds} N\n")
    (home / "key_audio.txt").write_text(f"0 {seconds} C:maj\n")
    return home / f"{name}.mid"


def test_a_song_has_all_tracks_beats_and_chords(tmp_path: Path) -> None:
    song = read_song(write_song(tmp_path))
    assert (len(song.melody), len(song.bridge), len(song.piano)) == (12, 12, 12)
    assert song.beats[:3].tolist() == [0.0, 0.5, 1.0]
    assert np.flatnonzero(song.downbeats)[:3].tolist() == [0, 4, 8]
    assert song.chord_at(1.0) == (0, 4, 7)
    assert song.chord_at(5.0) == (9, 0, 4, 7)
    assert song.chord_at(9.0) == ()


def test_a_song_without_beats_is_refused(tmp_path: Path) -> None:
    path = write_song(tmp_path)
    path.with_name("beat_midi.txt").unlink()
    with pytest.raises(CorpusError, match="no beat_midi"):
        read_song(path)


def test_an_excerpt_is_moved_stretched_and_transposed(tmp_path: Path) -> None:
    part = cut_excerpt(read_song(write_song(tmp_path)), start=2.0, seconds=4.0, stretch=2.0, shift=-1)
    # two seconds of the song: the notes at 2.1 and 3.1 s, twice as slow, a semitone lower
    assert [(round(note.onset, 3), round(note.offset, 3), note.pitch) for note in part.melody] == [
        (0.2, 1.6, 63.0),
        (2.2, 3.6, 64.0),
    ]
    assert part.beats[np.flatnonzero(part.downbeats)].tolist() == [-4.0, 0.0, 4.0, 8.0]
    assert part.chord_at(1.0) == (11, 3, 6)


def test_notes_of_the_band_are_cut_and_melody_notes_left_out(tmp_path: Path) -> None:
    part = cut_excerpt(read_song(write_song(tmp_path)), start=2.5, seconds=1.0)
    assert part.melody == []
    assert [(note.onset, round(note.offset, 3)) for note in part.piano] == [(0.0, 0.3), (pytest.approx(0.6), 1.0)]


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("C:maj", (0, 4, 7)),
        ("Bb:min7/b3", (10, 1, 5, 8)),
        ("F#:sus4", (6, 11, 1)),
        ("Cb:maj9(11)", (11, 3, 6)),
        ("N", ()),
    ],
)
def test_pitch_classes_of_chords(name: str, classes: tuple[int, ...]) -> None:
    assert chord_pitch_classes(name) == classes
    assert chord_pitch_classes(name, 12) == classes
    assert chord_pitch_classes("C:min", 2) == (2, 5, 9)


def test_the_melody_is_one_voice(tmp_path: Path) -> None:
    song = read_song(write_song(tmp_path))
    assert all(one.offset <= other.onset for one, other in zip(song.melody, song.melody[1:], strict=False))
    assert song.melody[0].onset == pytest.approx(0.1, abs=1e-3)
    assert song.melody[0].pitch == 60.0
