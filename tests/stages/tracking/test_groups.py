"""Parent runs of folds and sweeps."""

from __future__ import annotations

import json
import os

import pytest

from stages.tracking import groups, merge, runs
from stages.tracking.client import find_experiment

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.xdist_group("mlflow")]


@pytest.fixture
def place(mlflow_folder, empty_mlflow_database):
    (mlflow_folder / "params.yaml").write_text(json.dumps({"profiles": {"default": {}}, "train": {}}), encoding="utf-8")
    (mlflow_folder / "mlflow.db").write_bytes(empty_mlflow_database)
    return mlflow_folder


@pytest.mark.usefixtures("place")
def test_runs_of_a_group_are_nested(monkeypatch):
    monkeypatch.setenv("HUMMINGFACE_GROUP", "folds")
    trackers = [runs.start_run("direct", str(fold), {}, resumed=False) for fold in range(2)]
    for tracker, value in zip(trackers, (0.5, 0.7), strict=True):
        tracker.log_figures({"best/conp": value, "train/loss": 1.0})
        tracker.finish()
    client = trackers[0].client
    experiment = client.get_run(trackers[0].run_id).info.experiment_id
    groups.summarize_group(client, experiment, "folds")
    parent = client.get_run(groups.find_parent(client, experiment, "folds"))
    assert parent.info.run_name == "folds"
    for tracker in trackers:
        assert client.get_run(tracker.run_id).data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert parent.data.metrics == {"runs": 2.0, "best/conp": 0.6, "best/conp_sd": pytest.approx(0.1414, abs=1e-4)}


@pytest.mark.usefixtures("place")
def test_a_nested_run_has_its_tags_and_ends_with_its_block(monkeypatch):
    monkeypatch.delenv("HUMMINGFACE_GROUP", raising=False)
    with runs.nested_run("folds", "transcriber", "fold 0", {}, {"held_out": "a, b"}) as tracker:
        tracker.log_figures({"best/conp": 0.5})
    with pytest.raises(KeyError), runs.nested_run("folds", "transcriber", "fold 1", {}, {}) as failed:
        raise KeyError
    client = tracker.client
    run = client.get_run(tracker.run_id)
    parent = client.get_run(run.data.tags["mlflow.parentRunId"])
    assert (run.info.run_name, run.data.tags["held_out"], run.info.status) == ("fold 0", "a, b", "FINISHED")
    assert (parent.info.run_name, parent.data.metrics["best/conp"]) == ("folds", 0.5)
    assert client.get_run(failed.run_id).info.status == "FAILED"
    assert "HUMMINGFACE_GROUP" not in os.environ


def test_merged_sweeps_are_nested_once(place, empty_mlflow_database):
    import mlflow

    (place / "job").mkdir()
    (place / "job" / "mlflow.db").write_bytes(empty_mlflow_database)
    source = f"sqlite:///{place / 'job' / 'mlflow.db'}"
    there = mlflow.MlflowClient(source)
    home = find_experiment(there, "hummingface", source)
    for number in range(2):
        run = there.create_run(home, tags={"sweep": f"rates/00{number}-x", "model": "direct"})
        there.set_terminated(run.info.run_id, "FINISHED", 10)
    there.create_run(home, tags={"model": "direct"})
    for _ in range(2):
        merge.main(["job", "--into", "sqlite:///mlflow.db"])
        here = mlflow.MlflowClient(f"sqlite:///{place / 'mlflow.db'}")
        found = here.search_runs([find_experiment(here, "hummingface", "")])
        parents = [run for run in found if run.data.tags["model"] == "group"]
        nested = [run for run in found if "mlflow.parentRunId" in run.data.tags]
        assert [run.info.run_name for run in parents] == ["rates"]
        assert sorted(run.data.tags["sweep"] for run in nested) == ["rates/000-x", "rates/001-x"]


def test_summary_averages_what_all_runs_have():
    assert groups.summary([]) == {"runs": 0.0}
    rows = [{"test/a": 1.0, "loss": 2.0}, {"test/a": 3.0, "test/b": 1.0, "loss": 4.0}]
    assert groups.summary(rows) == {"runs": 2.0, "test/a": 2.0, "test/a_sd": pytest.approx(2**0.5)}
