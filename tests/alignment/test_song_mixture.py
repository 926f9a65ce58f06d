"""Made songs: the labels lie where the voice is, whoever sings, and the songs of the test stay out."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest

from hf_model.alignment import align as stage
from hf_model.alignment import song_mixture, song_pairs
from hf_model.alignment.align import AlignSettings
from hf_model.alignment.band_audio import BAND_SAMPLE_RATE
from hf_model.alignment.manifest import Pair, read_manifest, voice_path
from hf_model.alignment.song_mixture import MixtureJob, make_mixture, sing_song
from hf_model.alignment.song_pairs import SONGS, is_song_test_song, song_jobs
from hf_model.audio.io import read_audio, write_audio
from hf_model.notes.note import Note
from hf_model.singer.synthesis import Song as Sung
from tests.corpora.test_pop909_songs import write_song

RATE = BAND_SAMPLE_RATE


def clicking_singer(score, _seed, _config):
    """A singer who is 0.2 s late and whose notes are clicks."""
    notes = [Note(note.onset + 0.2, note.offset + 0.2, note.pitch) for note in score]
    audio = np.zeros(int((notes[-1].offset + 0.3) * RATE), np.float32)
    audio[[round(note.onset * RATE) for note in notes]] = 1.0
    return Sung(audio, RATE, notes, np.zeros(1))


@pytest.fixture
def quiet_band(monkeypatch: pytest.MonkeyPatch) -> None:
    """A band without FluidSynth: soft noise."""
    noise = lambda parts, n, font, reverb: 1e-3 * np.random.default_rng(0).normal(size=(2, n)).astype(np.float32)  # noqa: E731, ARG005
    monkeypatch.setattr(song_mixture, "render_band", noise)
    monkeypatch.setattr(song_mixture, "find_font", Path)


MELODY = [Note(1.0, 1.5, 60.0), Note(1.5, 2.0, 62.0), Note(3.0, 3.5, 64.0), Note(4.0, 4.5, 65.0)]


@pytest.mark.parametrize("seed", range(4))
def test_labels_lie_on_the_sound_and_on_the_beat(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(song_mixture, "sing", clicking_singer)
    voice, notes = sing_song(MELODY, np.random.default_rng(seed), 6 * RATE)
    clicks = np.flatnonzero(np.abs(voice) > 0.3 * np.abs(voice).max()) / RATE
    assert [note.onset for note in notes] == pytest.approx(clicks.tolist(), abs=1.5 / RATE)
    assert [note.onset for note in notes] == pytest.approx([note.onset for note in MELODY], abs=1.5 / RATE)


def test_nobody_sings_when_the_lead_is_left_out() -> None:
    voice, notes = sing_song(MELODY, np.random.default_rng(0), RATE, leave_out=True)
    assert not notes
    assert not voice.any()


@pytest.mark.usefixtures("quiet_band")
def test_a_mixture_has_its_length_and_notes_that_are_sung(tmp_path: Path) -> None:
    path = write_song(tmp_path)
    made = make_mixture(MixtureJob(path, seed=5, seconds=6.0))
    again = make_mixture(MixtureJob(path, seed=5, seconds=6.0))
    assert made.mix.shape == made.voice.shape == (2, 6 * RATE)
    assert made.notes
    assert all(0 <= note.onset < note.offset <= 6.0 for note in made.notes)
    assert np.array_equal(made.mix, again.mix)
    inside = np.zeros(6 * RATE, np.bool_)
    for note in made.notes:
        inside[int(note.onset * RATE) : int(note.offset * RATE)] = True
    power = np.square(made.voice).mean(axis=0)
    assert power[inside].mean() > 4 * power[~inside].mean()


@pytest.mark.usefixtures("quiet_band")
def test_a_recorded_voice_keeps_its_labels(tmp_path: Path) -> None:
    path = write_song(tmp_path)
    audio = np.zeros(4 * 16000, np.float32)
    audio[[16000, 32000]] = 1.0
    pair = Pair("1", "ssvd", "ssvd-1", "MIT", "train", len(audio), 16000, (Note(1.0, 1.5, 60.0), Note(2.0, 2.5, 62.0)))
    (tmp_path / "ssvd" / "voice").mkdir(parents=True)
    write_audio(voice_path(tmp_path, "ssvd", "1"), audio, 16000)
    job = MixtureJob(path, seed=1, seconds=6.0, pair=pair, aligned=tmp_path)
    voice, notes = song_mixture._recorded_voice(job, np.random.default_rng(1), 6 * RATE) or (None, [])
    assert voice is not None
    peaks = [int(np.abs(voice[int((note.onset - 0.1) * RATE) :][: RATE // 5]).argmax()) for note in notes]
    assert peaks == pytest.approx([0.1 * RATE, 0.1 * RATE], abs=2)


class Identity:
    """A separator that takes everything for the voice."""

    def separate(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        yield from blocks


@pytest.mark.usefixtures("quiet_band")
def test_align_makes_songs_without_those_of_the_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(song_pairs, "load_separator", lambda _name: Identity())
    song_pairs._separator.cache_clear()
    raw, folder = tmp_path / "raw", tmp_path / "aligned"
    for name in ("001", "045", "002"):
        write_song(raw, name)
    (raw / "corpora.json").write_text("{}")
    folder.mkdir()
    report = stage.align(raw, folder, AlignSettings(made_phrases=0, songs=3, song_seconds=6.0))
    pairs = read_manifest(folder / SONGS / "manifest.parquet")
    assert report[SONGS]["kept"] == 3
    assert {pair.singer for pair in pairs} == {"songs-001", "songs-002"}
    assert is_song_test_song("045")
    for pair in pairs:
        audio, rate = read_audio(voice_path(folder, SONGS, pair.pair_id))
        assert (rate, audio.shape) == (16000, (1, 96000))
        assert pair.notes
    song_pairs._separator.cache_clear()


def test_recorded_singers_take_turns_and_some_songs_have_none(tmp_path: Path) -> None:
    from hf_model.alignment.manifest import write_manifest

    for name in ("001", "002", "003"):
        write_song(tmp_path, name)
    (tmp_path / "ssvd").mkdir()
    pairs = [Pair(str(n), "ssvd", f"ssvd-{n // 3}", "MIT", "train", 16000, 16000) for n in range(4)]
    write_manifest(tmp_path / "ssvd" / "manifest.parquet", pairs)
    jobs = song_jobs(tmp_path, tmp_path, 20, 4, 6.0, 0, "none")
    assert [job.singer for job in jobs[20:]] == ["ssvd-0", "ssvd-1", "ssvd-0", "ssvd-1"]
    assert [number for number, job in enumerate(jobs[:20]) if not job.mixture.lead] == [5, 11, 17]
    assert len({job.pair_id for job in jobs}) == 24
