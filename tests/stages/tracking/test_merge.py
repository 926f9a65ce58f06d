"""Runs come home: everything of them, once, however often and however early they are merged."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from stages.tracking import merge, runs
from stages.tracking.client import experiment_id
from stages.tracking.merge import FILES, FROM, MergeError, find

pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow's own
RUNS, DATABASES = 20, 4


def client(uri: str):
    import mlflow

    return mlflow.MlflowClient(uri)


@pytest.fixture
def place(tracked):
    (tracked / "params.yaml").write_text(json.dumps({"profiles": {"default": {}}, "train": {}}), encoding="utf-8")
    return tracked


def database(folder: Path, content: bytes) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "mlflow.db").write_bytes(content)
    return f"sqlite:///{folder.resolve() / 'mlflow.db'}"


def fill(uri: str, names, experiment="hummingface") -> list[str]:
    """Track runs as jobs do; the last of them is left running."""
    from mlflow.entities import Metric, Param, RunTag

    there = client(uri)
    home, made = experiment_id(there, experiment, uri), []
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
    """All that there is of all runs, by experiment and first id."""
    there, found = client(uri), {}
    for experiment in there.search_experiments():
        for run in there.search_runs([experiment.experiment_id]):
            tags = {name: value for name, value in run.data.tags.items() if name not in (FROM, FILES)}
            folder = Path(run.info.artifact_uri.removeprefix("file://"))
            info = run.info
            key = experiment.name, run.data.tags.get(FROM, info.run_id)
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


def test_twenty_runs_merged_twice_lose_nothing_and_double_nothing(place, empty_database, capsys):
    each = RUNS // DATABASES
    sources = [database(place / "jobs" / str(number), empty_database) for number in range(DATABASES)]
    for number, uri in enumerate(sources):
        fill(uri, range(number * each, (number + 1) * each), experiment="other" if number == 3 else "hummingface")
    home = database(place / "home", empty_database)
    merge.main(["jobs", "--into", home])
    expected = {key: run for uri in sources for key, run in everything(uri).items()}
    assert len(expected) == RUNS
    assert sum(len(curve) for run in expected.values() for curve in run["curves"].values()) == RUNS * 33
    assert everything(home) == expected
    capsys.readouterr()
    merge.main(["jobs", "--into", home])
    assert everything(home) == expected
    told = capsys.readouterr().out.splitlines()
    assert all("0 runs new, 0 brought up to date, 0 points, 0 files" in line for line in told)
    assert len(told) == DATABASES


def test_what_was_merged_half_done_is_brought_up_to_date(place, empty_database, capsys):
    from mlflow.entities import Metric

    source, home = (database(place / name, empty_database) for name in ("job", "home"))
    there = client(source)
    run_id = there.create_run(experiment_id(there, "e", source)).info.run_id
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
    assert "0 runs new, 1 brought up to date, 2 points, 1 files" in capsys.readouterr().out


def test_a_merge_that_was_killed_is_completed(place, empty_database, monkeypatch):
    source, home = (database(place / name, empty_database) for name in ("job", "home"))
    fill(source, range(2))
    monkeypatch.setattr("stages.tracking.merge._Copy._artifacts", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        merge.main(["job", "--into", home])
    monkeypatch.undo()
    monkeypatch.chdir(place)
    merge.main(["job", "--into", home])
    assert everything(home) == everything(source)


def test_a_moved_folder_and_a_second_home(place, empty_database):
    """Artifacts lie beside the database that was copied from a cluster; a merged run may be merged on."""
    source = database(place / "cluster", empty_database)
    fill(source, [1])
    expected = everything(source)
    (place / "cluster").rename(place / "laptop")
    first, second = (database(place / name, empty_database) for name in ("first", "second"))
    merge.main(["laptop", "--into", first])
    merge.main(["first", "laptop", "--into", second])
    assert everything(first) == everything(second) == expected


def test_a_training_comes_home_with_its_model(place, root, empty_database):
    import mlflow

    from hf_model.transcriber.network import Transcriber, TranscriberConfig

    (place / "hf_model").symlink_to(root / "hf_model")
    Transcriber(TranscriberConfig(channels=8)).save_pretrained(place / "data" / "model" / "transcriber")
    home = database(place / "home", empty_database)
    (place / "mlflow.db").write_bytes(empty_database)
    tracker = runs.begin("transcriber", "k", {}, resumed=False)
    runs.end(tracker, "transcriber", place / "data" / "model" / "transcriber", {"conpoff": 0.5})
    merge.main(["mlflow.db", "--into", home])
    merge.main(["mlflow.db", "--into", home])
    (run,) = client(home).search_runs([client(home).get_experiment_by_name("hummingface").experiment_id])
    (output,) = run.outputs.model_outputs
    assert run.data.tags[FROM] == tracker.run_id
    mlflow.set_tracking_uri(home)
    model = mlflow.pyfunc.load_model(f"models:/{output.model_id}")
    assert model.metadata.get_model_info().artifact_path


def test_what_cannot_be_merged_is_one_line(place, empty_database):
    source = database(place / "job", empty_database)
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


def test_servers_are_taken_as_they_are():
    assert find("http://127.0.0.1:5000") == ["http://127.0.0.1:5000"]
