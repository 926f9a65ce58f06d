"""Lightning's conventions: a data module, and checkpoints that open without other arguments."""

from __future__ import annotations

import csv

import pytest
import pytorch_lightning as pl
import torch

from hf_model.config import ConfigError, to_mapping
from hf_model.training.checkpoints import LAST
from hf_model.training.module import CURVE, ShardsDataModule, TrainingModule, build_task, write_curve
from tests.tiny_shards import tiny_task


@pytest.mark.parametrize("kind", ["transcriber", "direct"])
def test_checkpoint_opens_by_itself(kind, uninterrupted):
    folder, _ = uninterrupted(kind)
    opened = TrainingModule.load_from_checkpoint(folder / "checkpoints" / LAST, map_location="cpu")
    state = torch.load(folder / "checkpoints" / LAST, weights_only=True)
    assert to_mapping(opened.task.settings) == to_mapping(tiny_task(kind).settings)
    assert opened.hparams["kind"] == kind
    assert opened.best == state["best"]
    assert all(torch.equal(opened.state_dict()[name], value) for name, value in state["state_dict"].items())


@pytest.mark.filterwarnings("ignore")
def test_plain_lightning_trains_on_the_data_module(shards, tmp_path):
    task = tiny_task("direct", steps=2, validate_every=2)
    data = ShardsDataModule(shards, task.columns, task.fit)
    module = TrainingModule(task, len(data.whole_validation))
    before = {name: value.clone() for name, value in module.model.state_dict().items()}
    trainer = pl.Trainer(
        max_steps=2, default_root_dir=tmp_path, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, num_sanity_val_steps=0, accelerator="cpu", log_every_n_steps=1,
    )  # fmt: skip
    trainer.fit(module, datamodule=data)
    data.close()
    assert trainer.global_step == 2
    assert module.best["step"] == 2
    assert any(not torch.equal(before[name], value) for name, value in module.model.state_dict().items())


def test_learning_curve_is_written_beside_the_weights(uninterrupted):
    folder, figures = uninterrupted("transcriber")
    with (folder / "model" / CURVE).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    fit = tiny_task("transcriber").fit
    validated = [int(row["step"]) for row in rows if row["valid_conpoff"]]
    assert validated == [*range(fit.validate_every, fit.steps, fit.validate_every), fit.steps]
    best = next(row for row in rows if int(row["step"]) == figures["step"] and row["valid_conpoff"])
    assert float(best["valid_conpoff"]) == pytest.approx(figures["conpoff"], abs=1e-5)
    assert [row["step"] for row in rows if row["train_loss"]] == ["10"]


def test_curve_has_a_column_for_each_figure(tmp_path):
    write_curve(tmp_path / "a.csv", [{"step": 10.0, "train_loss": 0.5}, {"step": 20.0, "valid_loss": 0.25}])
    assert (tmp_path / "a.csv").read_text(encoding="utf-8") == "step,train_loss,valid_loss\n10,0.5,\n20,,0.25\n"


def test_missing_start_weights_do_not_prevent_opening():
    settings = to_mapping(tiny_task("transcriber").settings)
    task = build_task("transcriber", {**settings, "start": "no/such/folder", "start_share": 0.5})
    assert (task.settings.start, task.settings.start_share) == ("", 0.0)
    with pytest.raises(ConfigError, match="allowed is one of"):
        build_task("orchestra", {})
