"""Checkpoint files: after a kill at any moment an intact one is left."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest
import torch

from hf_model.files import temporary_path
from hf_model.shards.index import ShardIndex
from hf_model.shards.manifest import ShardError
from hf_model.training import checkpoints, trainer
from hf_model.training.checkpoints import (
    BEST,
    LAST,
    PREVIOUS,
    CheckpointError,
    add_checkpoint,
    is_intact,
    load_best,
    newest_checkpoint,
    save_best,
)
from hf_model.training.tasks import TranscriberTask
from tests.tiny_shards import tiny_task


def write(path: Path, step: int) -> Path:
    torch.save({"step": step, "weights": torch.full((1000,), float(step))}, path)
    return path


def step_of(path: Path | None, name: str = "step") -> int:
    assert path is not None
    return torch.load(path, weights_only=True)[name]


def test_the_last_two_checkpoints_are_kept(tmp_path):
    assert newest_checkpoint(tmp_path) is None
    for step in (1, 2, 3):
        add_checkpoint(write(tmp_path / "fresh", step), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [LAST, PREVIOUS]
    assert (step_of(tmp_path / LAST), step_of(tmp_path / PREVIOUS)) == (3, 2)
    assert newest_checkpoint(tmp_path) == tmp_path / LAST


@pytest.mark.parametrize("n_renames", [0, 1])
def test_a_kill_between_two_renames_leaves_the_previous_one(n_renames, tmp_path, monkeypatch):
    for step in (1, 2):
        add_checkpoint(write(tmp_path / "fresh", step), tmp_path)
    replace, done = Path.replace, []

    def replace_or_die(self, target):
        if len(done) == n_renames:
            raise KeyboardInterrupt
        done.append(target)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", replace_or_die)
    with pytest.raises(KeyboardInterrupt):
        add_checkpoint(write(tmp_path / "fresh", 3), tmp_path)
    assert step_of(newest_checkpoint(tmp_path)) == 2


def test_damage_anywhere_is_detected(tmp_path):
    content = write(tmp_path / "intact", 1).read_bytes()
    assert is_intact(tmp_path / "intact")
    assert not is_intact(tmp_path / "absent")
    for place in range(0, len(content), 97):
        (tmp_path / "cut").write_bytes(content[:place])
        assert not is_intact(tmp_path / "cut"), place
    # A flipped bit in the padding between the parts is harmless; within the weights it must be detected.
    start = content.index(torch.full((1000,), 1.0).numpy().tobytes())
    for place in range(start, start + 4000, 97):
        (tmp_path / "flipped").write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        assert not is_intact(tmp_path / "flipped"), place


def test_a_damaged_checkpoint_does_not_replace_the_previous_one(tmp_path):
    for step in (1, 2):
        add_checkpoint(write(tmp_path / "fresh", step), tmp_path)
    (tmp_path / LAST).write_bytes(b"cut")
    with pytest.warns(UserWarning, match=r"last\.ckpt: damaged"):
        assert step_of(newest_checkpoint(tmp_path)) == 1
    add_checkpoint(write(tmp_path / "fresh", 2), tmp_path)
    assert (step_of(tmp_path / LAST), step_of(tmp_path / PREVIOUS)) == (2, 1)


def test_the_best_weights_are_loaded_with_their_figures(tmp_path):
    assert load_best(tmp_path) is None
    save_best(tmp_path, {"a": torch.tensor([1.0])}, {"conpoff": 0.5})
    save_best(tmp_path, {"a": torch.tensor([2.0])}, {"conpoff": 0.6})
    assert load_best(tmp_path) == ({"a": torch.tensor([2.0])}, {"conpoff": 0.6})
    assert [path.name for path in tmp_path.iterdir()] == [BEST]


def test_damaged_best_weights_are_never_loaded(tmp_path):
    weights, figures = {"a.weight": torch.arange(40.0) / 7, "b": torch.tensor([3])}, {"conpoff": 0.5, "step": 3.0}
    save_best(tmp_path, weights, figures)
    content = (tmp_path / BEST).read_bytes()
    directory = content.index(b"PK\x01\x02")
    places = random.Random(0).sample(range(len(content)), 200)
    changes = [(place, mask) for place in places for mask in (1, 0x80)]
    changes += [(place, mask) for place in range(directory, len(content)) for mask in (8, 0x10)]
    n_detected = 0
    for place, mask in changes:
        (tmp_path / BEST).write_bytes(content[:place] + bytes([content[place] ^ mask]) + content[place + 1 :])
        try:
            loaded = load_best(tmp_path)
        except CheckpointError as error:
            assert str(error).startswith(f"{tmp_path / BEST}: damaged; delete last.ckpt")  # noqa: PT017
            n_detected += 1
        else:  # a byte between the parts, or one that is not used
            assert loaded[1] == figures, (place, mask)
            assert loaded[0].keys() == weights.keys(), (place, mask)
            assert all(torch.equal(loaded[0][name], value) for name, value in weights.items()), (place, mask)
    assert n_detected > len(changes) / 3
    for size in range(0, len(content), 97):
        (tmp_path / BEST).write_bytes(content[:size])
        with pytest.raises(CheckpointError, match=r"best\.ckpt: damaged"):
            load_best(tmp_path)


def test_missing_best_weights_are_an_error_if_required(tmp_path):
    with pytest.raises(CheckpointError, match=r"best\.ckpt: missing; delete last\.ckpt"):
        load_best(tmp_path, required=True)


def flip_weights(path: Path) -> None:
    """Flip a bit of the largest tensor of the best weights."""
    largest = max(load_best(path.parent)[0].values(), key=torch.Tensor.numel)
    content = bytearray(path.read_bytes())
    content[content.index(largest.numpy().tobytes())] ^= 1
    path.write_bytes(content)


def train(shards: Path, folder: Path, max_steps: int | None = None, **fit):
    task = tiny_task("transcriber", **fit)
    options = {"progress": False, "checkpoint_every": 2, "max_steps": max_steps}
    return trainer.train(task, shards, folder / "model", folder / "checkpoints", **options)


@pytest.mark.parametrize("damage", [flip_weights, Path.unlink])
def test_resumed_training_replaces_damaged_best_weights(damage, shards, tmp_path):
    train(shards, tmp_path, max_steps=6)
    damage(tmp_path / "checkpoints" / BEST)
    with pytest.warns(UserWarning, match=r"best\.ckpt: damaged or missing; the weights of the next validation"):
        figures = train(shards, tmp_path)
    assert figures["step"] in (8, 10)
    assert load_best(tmp_path / "checkpoints")[1]["step"] == figures["step"]
    assert (tmp_path / "model" / "model.safetensors").is_file()


@pytest.mark.parametrize("damage", [flip_weights, Path.unlink])
def test_damage_after_the_last_step_is_an_error_with_a_remedy(damage, shards, tmp_path):
    expected = train(shards, tmp_path / "expected", keep="mean")
    train(shards, tmp_path, max_steps=10, keep="mean")
    (tmp_path / "model" / "model.safetensors").unlink()
    damage(tmp_path / "checkpoints" / BEST)
    with pytest.raises(CheckpointError, match=r"best\.ckpt: (damaged|missing); delete last\.ckpt in this folder"):
        train(shards, tmp_path, keep="mean")
    assert not (tmp_path / "model" / "model.safetensors").exists()
    (tmp_path / "checkpoints" / LAST).unlink()
    with pytest.warns(UserWarning, match=r"best\.ckpt: damaged or missing"):
        figures = train(shards, tmp_path, keep="mean")
    assert figures | {"seconds": 0.0} == expected | {"seconds": 0.0}
    written, wanted = ((folder / "model" / "model.safetensors") for folder in (tmp_path, tmp_path / "expected"))
    assert written.read_bytes() == wanted.read_bytes()


# ------------------------------------------------------------------------------------------- full disk, purged scratch
@pytest.fixture
def full_disk(monkeypatch):
    """Switch: from now on the disk is full for new files."""

    def switch():
        def full(path):
            written = path.with_name("written.part")
            written.unlink(missing_ok=True)
            written.symlink_to("/dev/full")
            return written

        monkeypatch.setattr(checkpoints, "temporary_path", full)

    yield switch
    monkeypatch.undo()


def test_full_disk_names_the_folder_and_what_was_kept(shards, tmp_path, full_disk, monkeypatch):
    expected = train(shards, tmp_path / "expected")
    train(shards, tmp_path, max_steps=4)
    full_disk()
    folder = tmp_path / "checkpoints"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    message = rf"^{folder}: last.ckpt cannot be written \(No space left on device\); last.ckpt of step 4 was kept"
    for _ in range(3):
        with pytest.raises(CheckpointError, match=message):
            train(shards, tmp_path)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before, "tries leave nothing"
    monkeypatch.undo()
    assert train(shards, tmp_path) | {"seconds": 0.0} == expected | {"seconds": 0.0}


def test_full_disk_at_the_first_checkpoint(shards, tmp_path, full_disk):
    full_disk()
    with pytest.raises(CheckpointError, match=r"there is no earlier checkpoint: .* from the beginning$"):
        train(shards, tmp_path)
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_checkpoints_use_no_other_folder(shards, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "absent"))
    train(shards, tmp_path, max_steps=4)
    assert step_of(tmp_path / "checkpoints" / LAST, "global_step") == 4


def test_parts_of_killed_runs_are_removed(shards, tmp_path):
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    killed = temporary_path(folder / LAST)
    killed.with_name(killed.name.replace(f".{os.getpid()}-", ".999999999-")).write_bytes(b"half")
    train(shards, tmp_path, max_steps=4)
    assert sorted(path.name for path in folder.iterdir()) == [BEST, LAST, PREVIOUS]


def test_shards_purged_during_a_training_are_named(shards, tmp_path, monkeypatch):
    expected = train(shards, tmp_path / "expected")
    copy, removed = shutil.copytree(shards, tmp_path / "stft"), tmp_path / "removed"
    file, losses = ShardIndex._file, TranscriberTask.losses
    # as with many shards, of which few are open at a time
    monkeypatch.setattr(ShardIndex, "_file", lambda self, number: self._open.clear() or file(self, number))

    def purge(self, model, batch, step):
        if step == 5:
            copy.rename(removed)
        return losses(self, model, batch, step)

    monkeypatch.setattr(TranscriberTask, "losses", purge)
    with pytest.raises(ShardError, match=r"stft.*\.parquet: is missing; rebuild it: dvc repro --force stft$"):
        train(copy, tmp_path)
    monkeypatch.undo()
    assert step_of(newest_checkpoint(tmp_path / "checkpoints"), "global_step") == 6, "the next batch was read already"
    removed.rename(copy)
    assert train(copy, tmp_path) | {"seconds": 0.0} == expected | {"seconds": 0.0}
