"""Parts of a band: what they play follows from chords and beats; and their sound, where FluidSynth is installed."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from hf_model.alignment import band, band_audio
from hf_model.alignment.band import KICK, LOWEST_BASS, Part, write_band
from hf_model.alignment.band_audio import BAND_SAMPLE_RATE, TEST_FONT, TRAIN_FONTS, find_font, render_band
from hf_model.corpora.pop909_songs import Song
from hf_model.corpora.records import Span
from hf_model.notes.note import Note

SECONDS = 8.0


def song() -> Song:
    """Eight seconds: C major, then A minor, at 120 bpm; the singer rests in the second half."""
    chords = [Span(0.0, 4.0, "C:maj"), Span(4.0, 8.0, "A:min")]
    beats = np.arange(-4, 20) * 0.5
    melody = [Note(0.5, 1.0, 64.0), Note(1.0, 3.9, 67.0)]
    return Song("001", melody, [Note(0.0, 1.0, 72.0)], [Note(0.0, 9.0, 48.0)], beats, np.arange(24) % 4 == 0, chords)


def test_the_bass_plays_the_chords_lowest_tones() -> None:
    for seed in range(6):
        notes = band._bass(song(), SECONDS, np.random.default_rng(seed)).notes
        roots_and_fifths = {True: {0, 7}, False: {9, 4}}
        assert notes
        assert all(round(note.pitch) % 12 in roots_and_fifths[note.onset < 4.0] for note in notes)
        assert all(LOWEST_BASS <= note.pitch < LOWEST_BASS + 12 for note in notes)


def test_the_drums_begin_every_bar_with_the_kick() -> None:
    part = band._drums(song(), SECONDS, np.random.default_rng(0))
    kicks = {round(note.onset, 3) for note in part.notes if note.pitch == KICK}
    assert part.is_drum
    assert {0.0, 2.0, 4.0, 6.0} <= kicks


def test_solos_play_only_where_the_singer_rests() -> None:
    notes = band._fills(song(), SECONDS, np.random.default_rng(1)).notes
    assert notes
    assert all(note.onset >= 3.9 for note in notes)


def test_the_seed_decides_the_band_which_ends_with_the_song() -> None:
    one, two, other = (write_band(song(), SECONDS, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert one == two != other
    assert all(0 <= note.onset < note.offset <= SECONDS for part in one for note in part.notes)


def test_training_never_uses_the_sound_font_of_the_test() -> None:
    assert TEST_FONT not in TRAIN_FONTS


def test_a_missing_program_or_font_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError, match=r"no\.sf2.*timgm6mb-soundfont"):
        find_font("no.sf2")
    monkeypatch.setattr(band_audio.shutil, "which", lambda _name: None)
    with pytest.raises(FileNotFoundError, match="apt-get install fluidsynth"):
        render_band([], 100, Path("font.sf2"))


def installed_font() -> Path | None:
    for name in (TEST_FONT, *TRAIN_FONTS):
        try:
            return find_font(name)
        except FileNotFoundError:
            continue
    return None


@pytest.mark.skipif(
    shutil.which("fluidsynth") is None or installed_font() is None, reason="FluidSynth or a sound font is not installed"
)
def test_parts_sound_when_they_play() -> None:
    font = installed_font()
    assert font is not None
    audio = render_band([Part(0, (Note(1.0, 1.4, 60.0, 100),))], 2 * BAND_SAMPLE_RATE, font, reverb=0)
    level = np.abs(audio).max(axis=0)
    first = int(np.argmax(level > 0.05 * level.max()))
    assert audio.shape == (2, 2 * BAND_SAMPLE_RATE)
    assert abs(first / BAND_SAMPLE_RATE - 1.0) < 0.01
    assert level[: BAND_SAMPLE_RATE // 2].max() < 1e-4 * level.max()


@pytest.mark.skipif(shutil.which("fluidsynth") is None, reason="FluidSynth is not installed")
def test_a_broken_sound_font_is_reported(tmp_path: Path) -> None:
    (tmp_path / "bad.sf2").write_bytes(b"no sound font")
    with pytest.raises(OSError, match="could not play"):
        render_band([Part(0, (Note(0.0, 0.2, 60.0),))], 4410, tmp_path / "bad.sf2")
