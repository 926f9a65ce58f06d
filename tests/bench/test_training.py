"""Fine-tuning and the direct baseline: divisions, choices of songs, weights between two models, tables, settings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml

from bench.training import direct, finetune
from bench.training.finetune_songs import blend, choose_songs, divide
from bench.training.tree import run_stages, write_params
from bench.transcription.recordings import Recording
from hf_model.alignment.correction import Correction
from hf_model.alignment.labels.correction import Measurement
from hf_model.direct.network import Direct, DirectConfig
from hf_model.transcriber.config import TranscriberConfig
from hf_model.transcriber.network import TranscriberNetwork
from stages._run import merge_settings

BEFORE = {"songs held out": {"x": 0.5, "y": 0.7}, "clip of CSD": {"c": 0.6}}


def song(folder: Path, name: str, seconds: float) -> Recording:
    soundfile.write(folder / f"{name}.wav", np.zeros(round(seconds * 8000)), 8000)
    return Recording(
        "ssvd", name, "one", folder / f"{name}.wav", [], [], Measurement.__new__(Measurement), Correction(), 0, 1.0
    )


def part(held_out: list[str], **after: float) -> dict[str, object]:
    scores = {"songs held out": {name: after[name] for name in held_out}, "clip of CSD": {"c": after["c"]}}
    return {"held_out": held_out, "seconds": 300.0, "cpu_seconds": 120.0, "after": {"0.30": scores, "0.00": scores}}


def test_every_song_is_held_out_once() -> None:
    parts = divide(["d", "a", "c", "b", "e"], 2)
    assert parts == [["a", "c", "e"], ["b", "d"]]
    with pytest.raises(SystemExit, match="--parts is 6, allowed is 2 to the number of songs, 5"):
        divide(["d", "a", "c", "b", "e"], 6)


def test_songs_are_chosen_up_to_the_wanted_duration(tmp_path: Path) -> None:
    songs = [song(tmp_path, f"s{number}", 10.0) for number in range(8)]
    chosen = choose_songs(songs, 35.0, seed=1)
    assert [length for _, length in chosen] == [10.0, 10.0, 10.0]
    assert len({one.name for one, _ in chosen}) == 3
    assert [one.name for one, _ in choose_songs(songs, 35.0, seed=1)] == [one.name for one, _ in chosen]


def test_differences_count_each_recording_once() -> None:
    parts = [part(["x"], x=0.6, c=0.5), part(["y"], y=0.9, c=0.7)]
    after = [one["after"]["0.30"] for one in parts]  # type: ignore[index]
    assert finetune.difference(BEFORE, after, "songs held out")["mean"] == pytest.approx(0.15)
    assert finetune.difference(BEFORE, after, "clip of CSD")["mean"] == pytest.approx(0.0)


def test_the_report_has_gain_and_loss() -> None:
    text = finetune.report(BEFORE, [part(["x"], x=0.6, c=0.5), part(["y"], y=0.9, c=0.7)], "0.30")
    assert "| songs held out | 2 | 0.600 | 0.750 | +0.150 [+0.100, +0.200] |" in text
    assert "| clip of CSD | 1 | 0.600 | 0.600 | +0.000 [+0.000, +0.000] |" in text
    assert "| 30 % (profile) | +0.100" in text


def test_a_blend_lies_between_two_models(tmp_path: Path) -> None:
    config = TranscriberConfig(channels=8, width=16, dilations=(1,))
    for name, value in (("start", 0.0), ("part/data/model/transcriber", 1.0)):
        network = TranscriberNetwork(config)
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.fill_(value)
        network.save_pretrained(tmp_path / name)
    blend(tmp_path / "part", tmp_path / "start", 0.25, tmp_path / "mixed")
    mixed = TranscriberNetwork.from_pretrained(tmp_path / "mixed")
    assert all(bool(torch.allclose(one, torch.full_like(one, 0.75))) for one in mixed.parameters())


def test_a_work_folder_has_the_settings_with_changes(tmp_path: Path) -> None:
    write_params(tmp_path / "a", "direct_long", "direct", {"model": {"adversarial": 0.1}})
    content = yaml.safe_load((tmp_path / "a" / "params.yaml").read_text())
    training = content["profiles"]["direct_long"]["train"]["direct"]
    assert content["profile"] == "direct_long"
    assert (tmp_path / "a" / "data").is_dir()
    assert training["model"] == {"adversarial": 0.1}
    assert training["fit"]["steps"] > 60
    assert merge_settings({"a": {"b": 1, "c": 2}}, {"a": {"b": 3}}) == {"a": {"b": 3, "c": 2}}


def test_a_stage_that_fails_stops_the_benchmark(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"stages\.train nothing ended with exit code"):
        run_stages(tmp_path, [("stages.train", "nothing")], "")


def test_griffin_lim_iterations_change_the_phase_alone() -> None:
    model = Direct(DirectConfig(channels=4, depth=1)).eval()
    none = direct.with_iterations(model, 0)
    voice = np.random.default_rng(0).standard_normal(8000).astype(np.float32)
    assert none.config.phase_iterations == 0
    assert all(bool((one == other).all()) for one, other in zip(model.parameters(), none.parameters(), strict=True))
    assert not np.allclose(model.render(voice, 22050), none.render(voice, 22050))


def test_the_table_of_the_direct_baseline_has_intervals() -> None:
    rows = [{"long": {"con": 0.5, "conp": value, "log_mel": 10.0, "convergence": 0.8}} for value in (0.2, 0.4)]
    assert direct.cells(rows, "long")[1] == ".300 [.200, .400]"
    config = {"valid": {"step": 60.0, "log_magnitude": 2.0, "convergence": 0.9}}
    page = direct.report({"made": rows}, {"long": config}, "direct")
    assert "| long | 60 | 2.000 | 0.900 |" in page
    assert "![spectrograms of made](direct/made.png)" in page
