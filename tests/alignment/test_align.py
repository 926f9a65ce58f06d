"""The align stage on small synthetic corpora in the layout of the published ones."""

import errno
import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import numpy as np
import pytest

from hf_model.alignment import manifest, tracked_voice
from hf_model.alignment.align import AlignError, AlignSettings, align
from hf_model.alignment.tracked_voice import TrackedVoice
from hf_model.audio import io
from hf_model.audio.io import read_audio, write_audio
from hf_model.audio.reader import AudioError
from hf_model.config import ConfigError
from hf_model.corpora.catalogue import CORPORA
from hf_model.corpora.corpus import Corpus
from hf_model.corpora.records import CorpusError, ScoreRecord
from hf_model.corpora.score_file import main, read_scores, write_scores
from hf_model.notes.midi import write_midi
from hf_model.notes.note import Note, to_keys
from hf_model.notes.pitch import hz_to_pitch, pitch_to_hz
from hf_model.parallel.dask_cluster import DaskWorkers
from hf_model.parallel.workers import Workers
from hf_model.piano.sampled import SampledPiano
from hf_model.singer.composition import compose
from hf_model.singer.synthesis import SingerConfig, Song, sing

SMALL = AlignSettings(made_phrases=3, made_seconds=3.0, score_phrases=4)


@cache
def song(seed: int, seconds: float = 10.0) -> Song:
    return sing(compose(seed, seconds), seed, SingerConfig(max_lead=0.5, max_tail=0.5))


def raw_folder(tmp_path: Path, *corpora: str) -> Path:
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "corpora.json").write_text(json.dumps({name: {} for name in corpora}))
    return raw


def add_ssvd(raw: Path, name: str, singing: Song, lag: float = 0.0, hertz: float = 0.0) -> None:
    """Add a song to ssvd, with labels that are late and too high."""
    folder = raw / "ssvd" / "train&valid"
    folder.mkdir(parents=True, exist_ok=True)
    write_audio(folder / f"{name}.flac", singing.audio, singing.sample_rate)
    rows = [
        f"{note.onset + lag:.4f}\t{note.offset + lag:.4f}\t{float(hz_to_pitch(pitch_to_hz(note.pitch) + hertz)):.2f}\n"
        for note in singing.notes
    ]
    (folder / f"{name}.txt").write_text("".join(rows))


def hashes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def run(raw: Path, name: str = "aligned", settings: AlignSettings = SMALL, workers: Workers = 1) -> tuple[Path, dict]:
    folder = raw.parent / name
    folder.mkdir()
    return folder, align(raw, folder, settings, workers)


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    """Output folder and report of the corpus "made"."""
    return run(raw_folder(tmp_path_factory.mktemp("synthetic"), "made"))


def test_synthetic_pairs_have_equal_lengths(synthetic: tuple[Path, dict]) -> None:
    folder, report = synthetic
    pairs = manifest.read_manifest(folder / "made" / "manifest.parquet")
    assert len(pairs) == 3
    assert report["made"]["kept"] == report["made"]["pairs"] == 3
    assert len({pair.singer for pair in pairs}) == 3
    for pair in pairs:
        voice, rate = read_audio(manifest.voice_path(folder, "made", pair.pair_id))
        piano, piano_rate = read_audio(manifest.piano_path(folder, "made", pair.pair_id))
        assert (voice.shape, rate) == ((1, pair.n_samples), pair.voice_sample_rate)
        assert (piano.shape[1], piano_rate) == (round(pair.n_samples * 44100 / rate), 44100)
        assert np.abs(piano).max() > 0.01
        assert pair.licence == "CC0 1.0"
        assert 40 <= min(note.velocity for note in pair.notes) <= max(note.velocity for note in pair.notes) <= 110


def test_the_piano_plays_the_notes_of_the_voice(synthetic: tuple[Path, dict]) -> None:
    from hf_model.piano.transcription import piano_to_notes

    folder, _ = synthetic
    for pair in manifest.read_manifests(folder):
        piano, rate = read_audio(manifest.piano_path(folder, "made", pair.pair_id))
        transcribed = piano_to_notes(piano, rate)
        played = to_keys(pair.notes, pair.correction.tuning)
        assert [note.pitch for note in transcribed] == [note.pitch for note in played]
        np.testing.assert_allclose([note.onset for note in transcribed], [note.onset for note in played], atol=0.05)


def test_late_and_sharp_labels_are_corrected(tmp_path: Path) -> None:
    raw = raw_folder(tmp_path, "ssvd")
    # voices that the pitch tracker tracks well
    songs = {name: song(seed, 15.0) for name, seed in (("2001", 3), ("2002", 2), ("2003", 4))}
    for name, singing in songs.items():
        add_ssvd(raw, name, singing, lag=0.04, hertz=4.0)
    folder, report = run(raw)
    assert report["ssvd"]["kept"] == 3
    assert report["ssvd"]["quantiles"]["pitch_bias_hz"]["median"] == pytest.approx(4.0, abs=0.5)
    for pair in manifest.read_manifests(folder):
        truth = songs[pair.pair_id].notes
        assert np.median([a.onset - b.onset for a, b in zip(pair.notes, truth, strict=True)]) < 0.025
        assert abs(np.median([a.pitch - b.pitch for a, b in zip(pair.notes, truth, strict=True)])) < 0.15
        assert pair.quality > 0.7
        assert pair.singer.startswith("ssvd-")


def test_pairs_that_do_not_fit_are_reported(tmp_path: Path) -> None:
    raw = raw_folder(tmp_path, "ssvd")
    add_ssvd(raw, "2001", song(3))
    wrong = song(2)
    add_ssvd(raw, "2002", replace(wrong, notes=[replace(note, pitch=note.pitch + 5) for note in wrong.notes]))
    folder, report = run(raw)
    [left] = report["ssvd"]["left_out"]
    assert left["pair_id"] == "2002"
    assert "is below min_quality 0.30" in left["reason"]
    assert not manifest.voice_path(folder, "ssvd", "2002").exists()
    kept = {pair.pair_id: pair.kept for pair in manifest.read_manifests(folder)}
    assert kept == {"2001": True, "2002": False}


def test_labels_without_offsets_use_the_score(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = raw_folder(tmp_path, "hust_solfege")
    singing = song(10)
    add_ssvd(raw, "2001", singing)
    folder = raw / "hust_solfege"
    (folder / "onset&pitch").mkdir(parents=True)
    (folder / "alignment").mkdir()
    onsets = "".join(f"{note.onset:.2f}\t{note.onset + 0.03:.2f}\t{note.pitch - 20:.2f}\n" for note in singing.notes)
    (folder / "onset&pitch" / "2001.txt").write_text("onset\toffset\tpitch\n" + onsets)
    score = "".join(f"{note.pitch - 20:.2f}\t{round(note.pitch) - 20}\n" for note in singing.notes)
    (folder / "alignment" / "2001.txt").write_text("ground_note\t score_note\n" + score)
    aligned, report = run(raw)
    [pair] = manifest.read_manifests(aligned)
    assert pair.kept
    assert len(pair.notes) == len(singing.notes)
    away = [abs(one.onset - other.onset) for one, other in zip(pair.notes, singing.notes, strict=True)]
    assert np.median(away) < 0.05
    quantiles = report["hust_solfege"]["quantiles"]
    assert quantiles["score_residual"]["max"] < 0.6
    assert quantiles["score_onset_distance"]["max"] < 0.08
    # a recording that is also in ssvd is tracked and paired once, by its labels
    tracker = Mock(wraps=tracked_voice.track)
    monkeypatch.setattr(tracked_voice, "track", tracker)
    (raw / "corpora.json").write_text(json.dumps({"hust_solfege": {}, "ssvd": {}}))
    _, report = run(raw, "both")
    assert tracker.call_count == 1
    assert report["ssvd"]["kept"] == 1
    assert report["hust_solfege"]["left_out"] == [{"pair_id": "2001", "reason": "the same recording as ssvd/2001"}]


def test_voices_without_labels_are_left_out(tmp_path: Path) -> None:
    raw = raw_folder(tmp_path, "made", "vocadito")
    (raw / "vocadito" / "Audio").mkdir(parents=True)
    write_audio(raw / "vocadito" / "Audio" / "vocadito_1.wav", song(1).audio, 16000)
    _, report = run(raw)
    assert report["vocadito"]["left_out"][0]["reason"] == "neither labels nor a score"


def test_songs_of_a_packed_file_are_synthesized(tmp_path: Path) -> None:
    raw = raw_folder(tmp_path, "pop909")
    songs = [ScoreRecord("pop909", f"{k:03d}", "MIT", compose(k, 30.0)) for k in (1, 2, 3, 45)]
    path = raw / "pop909" / "scores.json.gz"
    assert write_scores(path, songs) == 4
    folder, report = run(raw)
    assert report["pop909"]["kept"] == 4
    sung = manifest.read_manifests(folder)
    # four phrases of three songs; the phrases of a song share a singer, so that no split divides it
    assert len({pair.pair_id for pair in sung}) == 4
    # song 045 is held out
    assert {pair.singer for pair in sung} == {"pop909-001", "pop909-002", "pop909-003"}
    again = read_scores(path, "pop909")
    assert [record.pair_id for record in again] == ["001", "002", "003", "045"]
    path.write_bytes(b"nothing")
    with pytest.raises(CorpusError, match=r"scores\.json\.gz: not a readable file of scores"):
        read_scores(path, "pop909")


@pytest.mark.data
def test_pop909_is_packed(mirror: Path, tmp_path: Path) -> None:
    some = tmp_path / "some" / "pop909" / "POP909"
    some.mkdir(parents=True)
    for name in ("001", "002", "003"):
        (some / name).symlink_to(mirror / "pop909" / "POP909" / name)
    assert "3 melodies" in main(["pop909", str(tmp_path / "some"), str(tmp_path)])
    assert len(read_scores(tmp_path / "pop909" / "scores.json.gz", "pop909")[0].notes) > 100


def test_melodies_of_piano_performances_are_sung(tmp_path: Path, make_midi: Callable[..., Path]) -> None:
    raw = raw_folder(tmp_path, "maestro")
    melody = [(0.5 * k, 0.5 * k + 0.45, 60 + (2, 4, 5, 7)[k % 4]) for k in range(24)]
    make_midi(raw / "maestro/2018/one.midi", {"piano": [*melody, (0.0, 12.0, 41)]})
    table = "midi_filename,audio_filename,split,duration\n2018/one.midi,2018/one.wav,train,12.0\n"
    (raw / "maestro/maestro-v3.0.0.csv").write_text(table)
    folder, report = run(raw)
    assert report["maestro"]["kept"] == SMALL.score_phrases
    pair, *_ = manifest.read_manifests(folder)
    assert (pair.corpus, pair.licence) == ("maestro", "CC BY-NC-SA 4.0")
    steps = {round(b.pitch - a.pitch) for a, b in zip(pair.notes, pair.notes[1:], strict=False)}
    assert steps <= {2, 1, -5, 0}, "the upper line, not the bass"


def add_own(folder: Path, name: str, singing: Song, transpose: int = 0, midi: bool = True) -> None:
    """Add a voice and a piano that plays the same notes more slowly."""
    folder.mkdir(exist_ok=True)
    write_audio(folder / f"{name}_voice.wav", singing.audio, singing.sample_rate)
    keys = [
        replace(key, onset=0.4 + 1.2 * key.onset, offset=0.4 + 1.2 * key.offset)
        for key in to_keys(singing.notes, transpose=transpose)
    ]
    write_audio(folder / f"{name}_piano.flac", SampledPiano.load().render(keys, 16 * 44100), 44100)
    if midi:
        write_midi(folder / f"{name}.mid", keys)


@pytest.fixture
def piano_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A corpus of the user, voices beside pianos, as the download stage leaves it; returns its folder."""
    entry = Corpus("pairs", "", "", "", "own", "voice with notes", "", folder="anywhere", labels="piano")
    monkeypatch.setitem(CORPORA, "pairs", entry)
    return tmp_path / "raw" / "pairs"


def test_own_pianos_are_warped_onto_the_voice(tmp_path: Path, piano_corpus: Path) -> None:
    singing = song(3)
    raw = raw_folder(tmp_path, "pairs")
    add_own(piano_corpus, "a", singing)
    add_own(piano_corpus, "b", singing, midi=False)
    add_own(piano_corpus, "c", singing, transpose=4)
    folder, report = run(raw)
    [left] = report["pairs"]["left_out"]
    assert left["pair_id"] == "c"
    assert "the piano would fit better -4 semitones away" in left["reason"]
    by_midi, by_transcription, _ = manifest.read_manifests(folder)
    assert (by_midi.corpus, by_midi.singer, by_midi.licence) == ("pairs", "pairs-a", "own")
    assert len(by_midi.notes) == len(singing.notes)
    assert np.median([abs(a.onset - b.onset) for a, b in zip(by_midi.notes, singing.notes, strict=True)]) < 0.06
    assert np.median([abs(a.pitch - b.pitch) for a, b in zip(by_midi.notes, singing.notes, strict=True)]) < 0.2
    assert abs(len(by_transcription.notes) - len(singing.notes)) <= 2
    piano, _ = read_audio(manifest.piano_path(folder, "pairs", "a"))
    assert piano.shape[1] == by_midi.piano_n_samples


def test_own_recordings_must_be_complete(tmp_path: Path, piano_corpus: Path) -> None:
    raw = raw_folder(tmp_path, "pairs")
    piano_corpus.mkdir(exist_ok=True)
    with pytest.raises(AlignError, match="no <name>_voice"):
        run(raw, "one")
    write_audio(piano_corpus / "x_voice.wav", np.zeros(16000, dtype=np.float32), 16000)
    with pytest.raises(AlignError, match=r"x_voice\.wav: no x_piano"):
        run(raw, "two")


def test_the_same_input_gives_the_same_bytes(synthetic: tuple[Path, dict], tmp_path: Path) -> None:
    assert hashes(synthetic[0]) == hashes(run(raw_folder(tmp_path, "made"))[0])


def test_a_recording_is_decoded_and_tracked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = raw_folder(tmp_path, "ssvd")
    names = ["2001", "2002"]
    for name, seed in zip(names, (3, 2), strict=True):
        add_ssvd(raw, name, song(seed), lag=0.04)
    decoder, tracker = Mock(wraps=io.AudioReader), Mock(wraps=tracked_voice.track)
    monkeypatch.setattr(io, "AudioReader", decoder)
    monkeypatch.setattr(tracked_voice, "track", tracker)
    folder, report = run(raw, settings=replace(SMALL, render_piano=False))
    assert report["ssvd"]["kept"] == 2
    assert [call.args[0].stem for call in decoder.call_args_list] == names
    assert tracker.call_count == 2
    assert sorted(path.name for path in (folder / "ssvd").rglob("*") if path.is_file()) == [
        "2001.flac", "2002.flac", "manifest.parquet",
    ]  # fmt: skip


def test_a_tracked_voice_is_saved_without_loss(tmp_path: Path) -> None:
    singing = song(3)
    voice = TrackedVoice(singing.audio, singing.sample_rate)
    voice.save(tmp_path / "voice")
    loaded = TrackedVoice.load(tmp_path / "voice")
    assert (loaded.sample_rate, loaded.duration) == (16000, voice.duration)
    np.testing.assert_array_equal(loaded.audio, singing.audio)
    for name, values in asdict(voice.track).items():
        np.testing.assert_array_equal(getattr(loaded.track, name), values)
    assert [path.name for path in tmp_path.iterdir()] == ["voice"]


def test_bytes_do_not_depend_on_the_workers(tmp_path: Path, dask_workers: DaskWorkers) -> None:
    raw = raw_folder(tmp_path, "made", "ssvd")
    add_ssvd(raw, "2001", song(3))
    add_ssvd(raw, "2002", song(2))
    assert hashes(run(raw, "one")[0]) == hashes(run(raw, "two", workers=dask_workers)[0])


def test_partial_files_of_dead_workers_are_removed(tmp_path: Path) -> None:
    half = tmp_path / "aligned" / "made" / "voice" / ".000001.flac.x.part"
    half.parent.mkdir(parents=True)
    half.touch()
    settings = AlignSettings(made_phrases=1, made_seconds=1.0, render_piano=False)
    align(raw_folder(tmp_path, "made"), tmp_path / "aligned", settings)
    assert [path.name for path in half.parent.iterdir()] == ["000000.flac"]


def test_a_broken_recording_is_named(tmp_path: Path) -> None:
    raw = raw_folder(tmp_path, "ssvd")
    add_ssvd(raw, "2001", song(3))
    (raw / "ssvd" / "train&valid" / "2001.flac").write_bytes(b"this is no flac")
    with pytest.raises(AudioError, match=r"2001\.flac"):
        run(raw)


def test_a_full_disk_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hf_model.audio.io.uuid4", lambda: SimpleNamespace(hex="x"))
    folder = tmp_path / "aligned"
    (folder / "made" / "piano").mkdir(parents=True)
    (folder / "made" / "piano" / ".000001.flac.x.part").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left") as caught:
        align(raw_folder(tmp_path, "made"), folder, SMALL)
    assert caught.value.errno == errno.ENOSPC


def test_nothing_to_align_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(AlignError, match="no pair could be made of nothing"):
        run(raw_folder(tmp_path))
    (tmp_path / "raw" / "corpora.json").write_text('{"made": {}}')
    with pytest.raises(AlignError, match="no pair could be made of made"):
        run(tmp_path / "raw", "other", AlignSettings(made_phrases=0))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"made_phrases": -1}, "made_phrases is -1"),
        ({"min_quality": 1.5}, "min_quality is 1.5, allowed is 0.0 to 1.0"),
        ({"made_seconds": 0.1}, "made_seconds is 0.1"),
    ],
)
def test_invalid_settings_are_errors(values: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        AlignSettings(**values)  # type: ignore[arg-type]


@pytest.mark.data
@pytest.mark.slow
def test_ssvd_labels_are_about_four_hertz_sharp(mirror: Path, tmp_path: Path) -> None:
    raw = raw_folder(tmp_path, "ssvd")
    folder = raw / "ssvd" / "train&valid"
    folder.mkdir(parents=True)
    for name in ("313", "406", "1213"):
        for suffix in ("flac", "txt"):
            (folder / f"{name}.{suffix}").symlink_to(mirror / "ssvd" / "train&valid" / f"{name}.{suffix}")
    aligned, report = run(raw, settings=replace(SMALL, render_piano=False))
    assert 4.0 < report["ssvd"]["quantiles"]["pitch_bias_hz"]["median"] < 6.0
    corrections = {pair.pair_id: pair.correction for pair in manifest.read_manifests(aligned)}
    # one series of recordings is labelled about 30 ms later than the others
    assert corrections["1213"].onset_lag > 0.02
    assert abs(corrections["406"].onset_lag) < 0.015
    assert all(correction.residual < 0.2 for correction in corrections.values())
    assert isinstance(manifest.read_manifests(aligned)[0].notes[0], Note)
