"""Checkpoint files: after a kill at any moment an intact one is left."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from hf_model.training.checkpoints import (
    BEST,
    LAST,
    PREVIOUS,
    add_checkpoint,
    is_intact,
    load_best,
    newest_checkpoint,
    save_best,
)


def write(path: Path, step: int) -> Path:
    torch.save({"step": step, "weights": torch.full((1000,), float(step))}, path)
    return path


def step_of(path: Path | None) -> int:
    assert path is not None
    return torch.load(path, weights_only=True)["step"]


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
