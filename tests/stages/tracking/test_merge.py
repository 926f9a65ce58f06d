"""Merging of MLflow runs: complete, and without duplicates when repeated."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from stages.tracking import merge, runs
from stages.tracking.artifact_copy import ARTIFACTS_TAG, ORIGIN_TAG
from stages.tracking.client import find_experiment
from stages.tracking.merge import MergeError, find_uris

# MLflow's own warnings; one worker, as the empty database takes seconds to create
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.xdist_group("mlflow")]
RUNS, DATABASES = 20, 4


def client(uri: str):
    import mlflow

    return mlflow.MlflowClient(uri)


@pytest.fixture
def place(mlflow_folder):
    (mlflow_folder / "params.yaml").write_text(json.dumps({"profiles": {"default": {}}, "train": {}}), encoding="utf-8")
    return mlflow_folder


def database(folder: Path, content: bytes) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mlflow.db").write_bytes(content)
    return f"sqlite:///{folder.resolve() / 'mlflow.db'}"


def fill(uri: str, names, experiment="hummingface") -> list[str]:
    """Track runs like jobs do."""
    from mlflow.entities import Metric, Param, RunTag

    there = client(uri)
    home, made = find_experiment(there, experiment, uri), []
    for name in names:
        run_id = there.create_run(home, start_time=1000 + name, run_name=f"run-{name}").info.run_id
        points = [Metric("loss", 1 / (step + name + 1), 5000 + 7 * step, step) for step in range(30)]
        points += [Metric("odd", math.nan, 1, 0), Metric("odd", math.inf, 2, 1), Metric("odd", 3.0, 2, 1)]
        params, tags = [Param("seed", str(name)), Param("long", "x" * 400)], [RunTag("model", "transcriber")]
        there.log_batch(run_id, points, params, tags)
        there.log_text(run_id, f"text {name}", "reports/deep/note.txt")
        there.log_text(run_id, f"{name}", "top.txt")
        there.set_terminated(run_id, "FAILED" if name % 3 else "FINISHED", 9000 + name)
        made.append(run_id)
    return made


def everything(uri: str) -> dict[tuple[str, str], dict]:
    """Return the content of all runs, by experiment and original id."""
    there, found = client(uri), {}
    for experiment in there.search_experiments():
        for run in there.search_runs([experiment.experiment_id]):
            tags = {name: value for name, value in run.data.tags.items() if name not in (ORIGIN_TAG, ARTIFACTS_TAG)}
            folder = Path(run.info.artifact_uri.removeprefix("file://"))
            info = run.info
            key = experiment.name, run.data.tags.get(ORIGIN_TAG, info.run_id)
            assert key not in found, "doubled"
            found[key] = {
                "info": (info.run_name, info.status, info.start_time, info.end_time),
                "params": run.data.params,
                "tags": tags,
                "last": {name: repr(value) for name, value in run.data.metrics.items()},
                "curves": {
                    name: sorted(
                        (p.step, p.timestamp, repr(p.value)) for p in there.get_metric_history(info.run_id, name)
                    )
                    for name in run.data.metrics
                },
                "files": {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()},
            }
    return found


def test_merging_twice_copies_every_run_once(place, empty_mlflow_database, capsys):
    each = RUNS // DATABASES
    sources = [database(place / "jobs" / str(number), empty_mlflow_database) for number in range(DATABASES)]
    for number, uri in enumerate(sources):
        fill(uri, range(number * each, (number + 1) * each), experiment="other" if number == 3 else "hummingface")
    home = database(place / "home", empty_mlflow_database)
    merge.main(["jobs", "--into", home])
    expected = {key: run for uri in sources for key, run in everything(uri).items()}
    assert len(expected) == RUNS
    assert sum(len(curve) for run in expected.values() for curve in run["curves"].values()) == RUNS * 33
    assert everything(home) == expected
    capsys.readouterr()
    merge.main(["jobs", "--into", home])
    assert everything(home) == expected
    lines = capsys.readouterr().out.splitlines()
    assert all("0 new runs, 0 updated, 0 points, 0 files" in line for line in lines)
    assert len(lines) == DATABASES


def test_run_merged_before_its_end_is_updated(place, empty_mlflow_database, capsys):
    from mlflow.entities import Metric

    source, home = (database(place / name, empty_mlflow_database) for name in ("job", "home"))
    there = client(source)
    run_id = there.create_run(find_experiment(there, "e", source)).info.run_id
    there.log_batch(run_id, [Metric("loss", 0.5, 10, 1)])
    there.log_text(run_id, "half", "a.txt")
    merge.main(["job", "--into", home])
    assert everything(home) == everything(source)
    there.log_batch(run_id, [Metric("loss", 0.25, 20, 2), Metric("f1", 1.0, 20, 2)])
    there.log_text(run_id, "done", "a.txt")
    there.log_param(run_id, "late", "1")
    there.set_tag(run_id, "note", "new")
    there.set_terminated(run_id, "FINISHED", 30)
    merge.main(["job", "--into", home])
    assert everything(home) == everything(source)
    assert "0 new runs, 1 updated, 2 points, 1 files" in capsys.readouterr().out


def test_killed_merge_is_completed(place, empty_mlflow_database, monkeypatch):
    source, home = (database(place / name, empty_mlflow_database) for name in ("job", "home"))
    fill(source, range(2))
    monkeypatch.setattr("stages.tracking.artifact_copy.ArtifactCopy.copy_artifacts", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        merge.main(["job", "--into", home])
    monkeypatch.undo()
    monkeypatch.chdir(place)
    merge.main(["job", "--into", home])
    assert everything(home) == everything(source)


def test_moved_folder_and_second_target(place, empty_mlflow_database):
    """Artifacts are found next to a moved database; a merged run can be merged again."""
    source = database(place / "cluster", empty_mlflow_database)
    fill(source, [1])
    expected = everything(source)
    (place / "cluster").rename(place / "laptop")
    first, second = (database(place / name, empty_mlflow_database) for name in ("first", "second"))
    merge.main(["laptop", "--into", first])
    merge.main(["first", "laptop", "--into", second])
    assert everything(first) == everything(second) == expected


def test_model_of_a_training_is_merged(place, root, empty_mlflow_database):
    import mlflow

    from hf_model.transcriber.config import TranscriberConfig
    from hf_model.transcriber.network import TranscriberNetwork

    (place / "hf_model").symlink_to(root / "hf_model")
    TranscriberNetwork(TranscriberConfig(channels=8)).save_pretrained(place / "data" / "model" / "transcriber")
    home = database(place / "home", empty_mlflow_database)
    (place / "mlflow.db").write_bytes(empty_mlflow_database)
    tracker = runs.start_run("transcriber", "k", {}, resumed=False)
    runs.end_run(tracker, "transcriber", place / "data" / "model" / "transcriber", {"conpoff": 0.5})
    merge.main(["mlflow.db", "--into", home])
    merge.main(["mlflow.db", "--into", home])
    (run,) = client(home).search_runs([client(home).get_experiment_by_name("hummingface").experiment_id])
    (output,) = run.outputs.model_outputs
    assert run.data.tags[ORIGIN_TAG] == tracker.run_id
    mlflow.set_tracking_uri(home)
    model = mlflow.pyfunc.load_model(f"models:/{output.model_id}")
    assert model.metadata.get_model_info().artifact_path


def test_merge_errors(place, empty_mlflow_database):
    source = database(place / "job", empty_mlflow_database)
    (place / "empty").mkdir()
    for words, message in (
        (["empty"], "no mlflow.db there"),
        (["sqlite:///nowhere.db"], "does not exist"),
        (["job", "--into", source], "merge into another one"),
        (["job", "--into", "mlruns"], "allowed is an MLflow server or sqlite:///FILE"),
    ):
        with pytest.raises(MergeError, match=message):
            merge.main(words)
    (place / "broken.db").write_bytes(b"no database")
    with pytest.raises(MergeError, match="broken"):
        merge.main(["broken.db"])


def test_server_uri_is_unchanged():
    assert find_uris("http://127.0.0.1:5000") == ["http://127.0.0.1:5000"]
