"""Damaged manifests and shards: one line that names the file and says how to rebuild it, never other values."""

from __future__ import annotations

import json
import pickle
import random
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from torch._utils import ExceptionWrapper

from hf_model.files import write_json
from hf_model.shards.index import COLUMNS, ShardIndex
from hf_model.shards.manifest import ShardError, read_shard_manifest

REMEDY = "; rebuild it: dvc repro --force stft"


@pytest.fixture
def folder(shards: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(shards, tmp_path / "stft"))


def contents(folder: Path) -> list[dict[str, object]]:
    index = ShardIndex(folder, "valid", columns=COLUMNS)
    items = [read(number) for number in range(len(index)) for read in (index.__getitem__, index.packed)]
    return [{k: v.tobytes() if hasattr(v, "tobytes") else v for k, v in item.items()} for item in items]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"files": None}, "files is None, expected list"),
        ({"files": [3]}, r"files\[0\] is int, expected a mapping"),
        ({"files": [{}]}, r"files\[0\].path is missing, expected str"),
        ({"segment_frames": True}, "segment_frames is True, expected int"),
        ({"rows_per_group": -1}, "rows_per_group is -1, expected int"),
        ({"piano": 1}, "piano is 1, expected bool"),
        ({"voice_stft": {"n_fft": 5}}, r"missing setting voice_stft\."),
    ],
)
def test_manifest_of_wrong_types_is_refused(folder: Path, change: dict[str, object], message: str) -> None:
    write_json(folder / "manifest.json", read_shard_manifest(folder) | change)
    with pytest.raises(ShardError, match=rf"manifest\.json: {message}[^\n]*{REMEDY}$"):
        ShardIndex(folder, "train")


def test_every_missing_entry_of_a_manifest_is_named(folder: Path) -> None:
    whole = read_shard_manifest(folder)
    for name in ("voice_stft", "piano_stft", "piano", "segment_frames", "rows_per_group", "files", "schema_version"):
        write_json(folder / "manifest.json", {key: value for key, value in whole.items() if key != name})
        with pytest.raises(ShardError, match=rf"manifest\.json: {name} .*{REMEDY}$"):
            ShardIndex(folder, "train")
    for name in whole["files"][0]:
        entry = {key: value for key, value in whole["files"][0].items() if key != name}
        write_json(folder / "manifest.json", whole | {"files": [entry]})
        with pytest.raises(ShardError, match=rf"files\[0\].{name} is missing.*{REMEDY}$"):
            ShardIndex(folder, "train")


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"\xff\xfe{}", b'{"files": [', b"[" * 100_000])
def test_manifest_that_is_no_object_is_refused(folder: Path, content: bytes) -> None:
    (folder / "manifest.json").write_bytes(content)
    with pytest.raises(ShardError, match=rf"manifest\.json [^\n]*{REMEDY}$"):
        ShardIndex(folder, "train")


def test_any_changed_byte_of_a_manifest_is_refused(folder: Path) -> None:
    path = folder / "manifest.json"
    content, whole, messages = path.read_bytes(), read_shard_manifest(folder), []
    for place in range(0, len(content), 3):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        try:
            assert whole.items() <= read_shard_manifest(folder).items(), f"byte {place}: other values"
        except ShardError as error:
            messages.append(str(error))
    assert len(messages) > len(content) / 4
    assert all(str(path) in message and REMEDY in message for message in messages)


def test_manifest_without_a_digest_is_read(folder: Path) -> None:
    path = folder / "manifest.json"
    older = json.loads(path.read_text())
    assert len(older.pop("content_sha256")) == 64
    path.write_text(json.dumps(older))
    assert read_shard_manifest(folder) == older


def test_changed_bytes_of_a_shard_never_give_other_values(folder: Path) -> None:
    expected = contents(folder)
    path = folder / ShardIndex(folder, "valid").files[0]["path"]
    content = path.read_bytes()
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    columns = pq.read_metadata(path).row_group(0)
    headers = [columns.column(number).data_page_offset for number in range(columns.num_columns)]
    rng = random.Random(0)
    places = [rng.randrange(footer, len(content)) for _ in range(40)] + [rng.randrange(len(content)) for _ in range(20)]
    places += [start + rng.randrange(40) for start in headers for _ in range(3)]
    messages = []
    for place in places:
        path.write_bytes(content[:place] + bytes([content[place] ^ (1 << rng.randrange(8))]) + content[place + 1 :])
        try:
            assert contents(folder) == expected, f"byte {place}: other values"
        except ShardError as error:
            messages.append(str(error))
    assert len(messages) > len(places) / 3
    assert all(message.startswith(f"{path}: ") and message.endswith(REMEDY) for message in messages)
    assert not any("\n" in message for message in messages)


def test_shards_removed_while_they_are_read_are_named(folder: Path) -> None:
    index = ShardIndex(folder, "train")
    index[0]
    for entry in index.files:
        (folder / entry["path"]).unlink()
    elsewhere = pickle.loads(pickle.dumps(index))  # as in another process: opens its files anew
    with pytest.raises(ShardError, match=rf"\.parquet: is missing{REMEDY}$"):
        elsewhere[0]


def test_message_from_a_loading_process_is_one_line() -> None:
    try:
        raise ShardError("a.parquet: damaged; rebuild it")
    except ShardError:
        wrapper = ExceptionWrapper(where="in DataLoader worker process 0")  # type: ignore[no-untyped-call]
    with pytest.raises(ShardError) as caught:
        wrapper.reraise()  # type: ignore[no-untyped-call]
    assert str(caught.value) == "a.parquet: damaged; rebuild it"
