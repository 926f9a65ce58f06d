"""Shards: writing and reading, splits by singer, resuming, and error messages."""

import errno
import json
import multiprocessing
import os
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from hf_model.alignment import manifest
from hf_model.alignment.manifest import Pair
from hf_model.audio.grid import PIANO_STFT, VOICE_STFT
from hf_model.audio.io import read_audio, to_mono, write_audio
from hf_model.audio.stft import stft
from hf_model.config import ConfigError
from hf_model.files import file_sha256, temporary_path, write_json
from hf_model.notes.note import Note
from hf_model.parallel.dask_cluster import DaskWorkers
from hf_model.parallel.workers import Workers
from hf_model.shards.index import COLUMNS, ShardIndex
from hf_model.shards.manifest import SPLITS, ShardError, read_shard_manifest
from hf_model.shards.plan import StftSettings, assign_splits
from hf_model.shards.writer import write_shards

SMALL = StftSettings(segment_frames=64, rows_per_shard=4, valid_fraction=0.2, test_fraction=0.2)
ALL_TRAIN = StftSettings(segment_frames=64, rows_per_shard=4, valid_fraction=0.0, test_fraction=0.0)


def make_aligned(
    folder: Path, n_pairs: int = 3, seconds: float = 1.5, corpus: str = "tiny", role: str = "train"
) -> list[Pair]:
    """Write pairs of noise; pair number k has one note of pitch 60 + k from 0.5 to 1.0 s."""
    pairs = []
    for name in ("voice", "piano"):
        (folder / corpus / name).mkdir(parents=True)
    for number in range(n_pairs):
        pair = Pair(
            f"p{number}", corpus, f"singer{number}", "CC0-1.0", role, round(seconds * 16000), 16000,
            notes=(Note(0.5, 1.0, 60.0 + number, velocity=70),),
        )  # fmt: skip
        random = np.random.default_rng(number)
        voice = 0.1 * random.standard_normal(pair.n_samples).astype(np.float32)
        piano = 0.1 * random.standard_normal((2, pair.piano_n_samples)).astype(np.float32)
        write_audio(manifest.voice_path(folder, corpus, pair.pair_id), voice, 16000)
        write_audio(manifest.piano_path(folder, corpus, pair.pair_id), piano, 44100)
        pairs.append(pair)
    manifest.write_manifest(folder / corpus / "manifest.parquet", pairs)
    return pairs


@pytest.fixture
def aligned(tmp_path: Path) -> Path:
    make_aligned(tmp_path / "aligned")
    return tmp_path / "aligned"


def write(aligned: Path, name: str = "stft", settings: StftSettings = ALL_TRAIN, workers: Workers = 1) -> Path:
    folder = aligned.parent / name
    folder.mkdir(exist_ok=True)
    write_shards(aligned, folder, settings, workers)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_spectra_are_those_of_the_whole_recording(aligned: Path) -> None:
    index = ShardIndex(write(aligned), "train", columns=COLUMNS)
    for name, config in (("voice", VOICE_STFT), ("piano", PIANO_STFT)):
        samples = to_mono(read_audio(aligned / "tiny" / name / "p1.flac")[0])
        whole = stft(torch.from_numpy(samples), config).numpy()
        items = [item for item in index if item["pair_id"] == "p1"]
        read = np.concatenate([item[f"{name}_stft"][: item["n_frames"]] for item in items])
        assert read.shape == whole.shape
        np.testing.assert_allclose(read, whole, atol=np.abs(whole).max() * 1e-3)
        assert not items[-1][f"{name}_stft"][items[-1]["n_frames"] :].any()


def test_note_times_start_at_the_segment(aligned: Path) -> None:
    items = [item for item in ShardIndex(write(aligned), "train") if item["pair_id"] == "p2"]
    assert [item["n_frames"] for item in items] == [64, 64, 23]
    np.testing.assert_allclose(items[0]["notes"], [[0.5, 1.0, 62, 70]])
    np.testing.assert_allclose(items[1]["notes"], [[0.5 - 0.64, 1.0 - 0.64, 62, 70]], atol=1e-6)
    assert items[2]["notes"].shape == (0, 4)
    assert items[2]["notes"].dtype == np.float32


def test_shards_have_equal_rows_and_any_reading_order(aligned: Path) -> None:
    folder = write(aligned)
    index = ShardIndex(folder, "train")
    assert [entry["rows"] for entry in index.files] == [4, 4, 1]
    assert len(index) == 9
    in_order = [(item["pair_id"], item["segment"]) for item in index]
    assert in_order == [(f"p{pair}", segment) for pair in range(3) for segment in range(3)]
    for number in (8, 0, 5, 5, 3, -1):
        item = index[number]
        assert (item["pair_id"], item["segment"]) == in_order[number]
    assert [(row["pair_id"], row["segment"]) for row in index.rows()] == in_order
    with pytest.raises(IndexError, match="segment is 9, allowed is 0 to 8"):
        index[9]


def test_row_groups_of_several_rows_read_the_same(aligned: Path) -> None:
    settings = StftSettings(segment_frames=64, rows_per_shard=6, rows_per_group=3, valid_fraction=0, test_fraction=0)
    grouped = ShardIndex(write(aligned, "grouped", settings), "train")
    assert pq.read_metadata(grouped.folder / grouped.files[0]["path"]).num_row_groups == 2
    for one, other in zip(ShardIndex(write(aligned), "train"), grouped, strict=True):
        np.testing.assert_array_equal(one["voice_stft"], other["voice_stft"])
        np.testing.assert_array_equal(one["notes"], other["notes"])


def test_metadata_has_schema_stft_and_licence(aligned: Path) -> None:
    folder = write(aligned)
    entry = json.loads((folder / "manifest.json").read_text())["files"][0]
    metadata = pq.read_metadata(folder / entry["path"]).metadata
    assert json.loads(metadata[b"voice_stft"]) == {
        "sample_rate": 16000, "n_fft": 1024, "win_length": 1024, "hop_length": 160,
    }  # fmt: skip
    assert json.loads(metadata[b"piano_stft"])["hop_length"] == 441
    assert json.loads(metadata[b"licences"]) == ["CC0-1.0"]
    assert metadata[b"schema_version"] == b"2"
    ShardIndex(folder, "train").verify()


def test_voice_spectra_invert_to_audio_by_the_metadata(aligned: Path) -> None:
    index = ShardIndex(write(aligned), "train")
    settings = json.loads(pq.read_metadata(index.folder / index.files[0]["path"]).metadata[b"voice_audio"])
    assert (settings.pop("inverse"), settings.pop("window"), settings.pop("sample_rate")) == ("istft", "hann", 16000)
    spectrum = torch.from_numpy(index[1]["voice_stft"].T.copy())
    audio = torch.istft(spectrum, **settings, window=torch.hann_window(settings["win_length"])).numpy()
    recording = to_mono(read_audio(aligned / "tiny" / "voice" / "p0.flac")[0])
    assert len(audio) == 63 * 160
    np.testing.assert_allclose(audio, recording[64 * 160 : 127 * 160], atol=2e-4)


def test_shards_without_the_inverse_in_their_metadata_are_read(aligned: Path) -> None:
    folder = write(aligned)
    expected = [item["voice_stft"] for item in ShardIndex(folder, "train")]
    listing = json.loads((folder / "manifest.json").read_text())
    for entry in listing["files"]:
        path = folder / entry["path"]
        table = pq.read_table(path)
        older = {key: value for key, value in table.schema.metadata.items() if key != b"voice_audio"}
        pq.write_table(table.replace_schema_metadata(older), path, row_group_size=1)
        entry |= {"bytes": path.stat().st_size, "sha256": file_sha256(path)}
    del listing["content_sha256"]  # older manifests have none
    (folder / "manifest.json").write_text(json.dumps(listing))
    index = ShardIndex(folder, "train")
    index.verify()
    for item, spectrum in zip(index, expected, strict=True):
        np.testing.assert_array_equal(item["voice_stft"], spectrum)


@pytest.mark.slow
def test_bytes_and_errors_are_those_of_one_worker(aligned: Path, dask_workers: DaskWorkers) -> None:
    assert contents(write(aligned, "one")) == contents(write(aligned, "two", workers=dask_workers))
    (aligned / "tiny" / "voice" / "p1.flac").unlink()
    with pytest.raises(ShardError, match=r"p1\.flac"):
        write(aligned, "three", workers=dask_workers)


def test_without_piano(aligned: Path) -> None:
    folder = write(aligned, settings=StftSettings(piano=False, valid_fraction=0, test_fraction=0))
    assert "piano_stft" not in pq.read_schema(next(folder.glob("train/*"))).names
    assert len(ShardIndex(folder, "train")) == 3
    with pytest.raises(ShardError, match=r"set stft\.piano to true"):
        ShardIndex(folder, "train", columns=("piano_stft",))


def test_split_by_singer_is_stable() -> None:
    def pair(number: int, singer: str, role: str = "train") -> Pair:
        return Pair(str(number), "c", singer, "MIT", role, 16000, 16000)

    many = [pair(number, f"s{number // 3}") for number in range(600)]
    splits = assign_splits(many, 0.1, 0.2)
    counts = {name: list(splits.values()).count(name) for name in SPLITS}
    assert counts["train"] > 120
    assert counts["valid"] > 8
    assert counts["test"] > 20
    fewer = assign_splits(many[:300], 0.1, 0.2)
    assert all(splits[singer] == split for singer, split in fewer.items())
    assert set(assign_splits(many[:9], 0.01, 0.01).values()) == set(SPLITS)
    measured = assign_splits([*many, pair(1, "m", "measure"), pair(2, "s0", "measure")], 0.1, 0.2)
    assert measured["m"] == measured["s0"] == "test"


def test_measure_only_pairs_are_in_the_test_split(aligned: Path) -> None:
    make_aligned(aligned, corpus="other", role="measure")
    for entry in read_shard_manifest(write(aligned))["files"]:
        assert entry["corpus"] == "tiny" or entry["split"] == "test"


def test_pairs_left_out_by_align_have_no_rows(aligned: Path) -> None:
    path = aligned / "tiny" / "manifest.parquet"
    first, *rest = manifest.read_manifest(path)
    manifest.write_manifest(path, [replace(first, kept=False, reason="quality 0.1"), *rest])
    assert {row["pair_id"] for row in ShardIndex(write(aligned), "train").rows()} == {"p1", "p2"}


def test_interrupted_run_keeps_finished_shards(aligned: Path) -> None:
    folder = write(aligned)
    wanted = contents(folder)
    last = max(folder.glob("train/*"))
    last.unlink()
    (folder / "manifest.json").unlink()
    (folder / "train" / "tiny-00099.parquet").write_bytes(b"of another run")
    kept = {path: path.stat().st_mtime_ns for path in folder.glob("train/tiny-0000*")}
    write(aligned)
    assert contents(folder) == wanted
    assert all(path.stat().st_mtime_ns == when for path, when in kept.items())
    # a shard whose recording has changed is written again
    write_audio(aligned / "tiny" / "voice" / "p0.flac", np.zeros(24000, dtype=np.float32), 16000)
    write(aligned)
    assert not ShardIndex(folder, "train")[0]["voice_stft"].any()


def test_leftovers_of_a_killed_run_are_removed(aligned: Path) -> None:
    folder = write(aligned)
    for path in (folder / "manifest.json", folder / "train" / "tiny-00000.parquet"):
        left = temporary_path(path)
        left.with_name(left.name.replace(f".{os.getpid()}-", ".999999999-")).touch()
    expected = {name: content for name, content in contents(folder).items() if not name.endswith(".part")}
    assert contents(write(aligned)) == expected


def test_a_bad_recording_is_an_error_that_names_it(aligned: Path) -> None:
    bad = aligned / "tiny" / "piano" / "p1.flac"
    bad.write_bytes(bad.read_bytes()[:2000])
    with pytest.raises(ShardError, match=r"p1\.flac.*on_error to skip"):
        write(aligned)


def test_bad_recording_is_skipped_on_request(aligned: Path) -> None:
    (aligned / "tiny" / "voice" / "p1.flac").unlink()
    settings = StftSettings(on_error="skip", valid_fraction=0, test_fraction=0)
    folder = write(aligned, settings=settings)
    assert {row["pair_id"] for row in ShardIndex(folder, "train").rows()} == {"p0", "p2"}
    [skipped] = read_shard_manifest(folder)["skipped"]
    assert skipped["pair_id"] == "p1"
    assert "p1.flac" in skipped["reason"]


def test_recording_of_another_length_is_refused(aligned: Path) -> None:
    write_audio(aligned / "tiny" / "voice" / "p0.flac", np.zeros(100, dtype=np.float32), 16000)
    with pytest.raises(ShardError, match="has 100 samples instead of 24000"):
        write(aligned)


def test_errors_name_a_corrupt_shard_and_the_remedy(aligned: Path) -> None:
    folder = write(aligned)
    path = folder / "train" / "tiny-00001.parquet"
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    path.write_bytes(flipped)
    index = ShardIndex(folder, "train")
    index[0]
    with pytest.raises(ShardError, match=r"tiny-00001\.parquet: damaged .*dvc repro --force stft"):
        [index[number] for number in range(4, 8)]
    with pytest.raises(ShardError, match=r"tiny-00001\.parquet: its sha256"):
        index.verify()
    path.write_bytes(whole[:-100])
    with pytest.raises(ShardError, match=r"tiny-00001\.parquet: has \d+ bytes instead of"):
        ShardIndex(folder, "train")
    path.unlink()
    with pytest.raises(ShardError, match=r"tiny-00001\.parquet: is missing; rebuild it"):
        ShardIndex(folder, "train")


def test_other_schema_versions_and_folders_are_errors(aligned: Path, tmp_path: Path) -> None:
    folder = write(aligned)
    path = folder / "manifest.json"
    write_json(path, read_shard_manifest(folder) | {"schema_version": 99}, digest=True)
    with pytest.raises(ShardError, match="schema_version is 99, this version reads 2"):
        ShardIndex(folder, "train")
    with pytest.raises(ShardError, match=r"manifest\.json"):
        ShardIndex(tmp_path, "train")
    with pytest.raises(ValueError, match="split is 'dev'"):
        ShardIndex(folder, "dev")
    with pytest.raises(ValueError, match="columns has 'audio'"):
        ShardIndex(folder, "train", columns=("audio",))


def test_a_full_disk_is_an_error_before_writing(aligned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type(shutil.disk_usage(aligned))(100, 100, 1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(ShardError, match=r"the disk is too full, the shards need about"):
        write(aligned)


def test_a_full_disk_leaves_no_partial_files(aligned: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hf_model.files.temporary_path", lambda path: path.with_suffix(".x.part"))
    folder = aligned.parent / "stft"
    (folder / "train").mkdir(parents=True)
    (folder / "train" / "tiny-00000.x.part").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left") as caught:
        write(aligned)
    assert caught.value.errno == errno.ENOSPC
    assert list((folder / "train").iterdir()) == []


def _ids(index: ShardIndex) -> list[str]:
    return [index[number]["pair_id"] for number in range(len(index))]


def _opened_here(index: ShardIndex) -> bool:
    index[0]
    return index._process == os.getpid()


def test_index_survives_fork_and_pickle(aligned: Path) -> None:
    index = ShardIndex(write(aligned), "train")
    expected = _ids(index)
    assert _ids(pickle.loads(pickle.dumps(index))) == expected
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.apply(_ids, (index,)) == expected
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=lambda: sender.send(_opened_here(index)))
    child.start()
    assert receiver.recv()
    child.join()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rows_per_shard": 5, "rows_per_group": 2}, "rows_per_shard % rows_per_group is 1"),
        ({"on_error": "ignore"}, "on_error is 'ignore'"),
        ({"valid_fraction": 0.9, "test_fraction": 0.9}, "valid_fraction"),
    ],
)
def test_invalid_settings_are_errors(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        StftSettings(**settings)  # type: ignore[arg-type]


def test_the_manifest_of_pairs_is_read_back(tmp_path: Path) -> None:
    pairs = make_aligned(tmp_path)
    assert manifest.read_manifests(tmp_path) == pairs
    path = tmp_path / "tiny" / "manifest.parquet"
    path.write_bytes(b"nothing")
    with pytest.raises(manifest.PairError, match=r"manifest\.parquet: is damaged .*dvc repro --force align"):
        manifest.read_manifests(tmp_path)
    with pytest.raises(manifest.PairError, match=r"no manifest\.parquet"):
        manifest.read_manifests(tmp_path / "tiny")
    with pytest.raises(manifest.PairError, match="role is 'other'"):
        Pair("p", "c", "s", "MIT", "other", 1, 1)


def test_test_singers_are_in_the_test_split() -> None:
    many = [Pair(str(n), "c", f"singer-{n}", "MIT", "train", 16000, 16000) for n in range(40)]
    before = assign_splits(many, 0.1, 0.1)
    named = next(singer for singer, split in before.items() if split == "train")
    assert assign_splits(many, 0.1, 0.1, (named,)) == before | {named: "test"}
