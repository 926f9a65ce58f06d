"""MLflow's page: the stored comparison, and databases that cannot be shown."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest

from stages.tracking import ui
from stages.tracking.client import absolute_uri

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.xdist_group("mlflow")]


@pytest.fixture
def uri(mlflow_folder, empty_mlflow_database):
    (mlflow_folder / "mlflow.db").write_bytes(empty_mlflow_database)
    return absolute_uri("sqlite:///mlflow.db")


def test_page_opens_on_the_comparison(uri):
    import mlflow

    client = mlflow.MlflowClient(uri)
    run = client.create_run(ui.find_experiment(client, "hummingface", uri))
    client.log_metric(run.info.run_id, "test/made/conpoff", 0.5)
    client.log_metric(run.info.run_id, "test/made/conp", 0.5)
    path = ui.prepare(uri, "test/ssvd/conpoff")
    experiment = mlflow.MlflowClient(uri).get_experiment_by_name("hummingface")
    assert path == f"#/experiments/{experiment.experiment_id}/runs?viewStateShareKey={ui.VIEW}"
    stored = json.loads(experiment.tags[ui.VIEW_TAG])
    assert stored["selectedColumns"][0] == stored["orderByKey"] == "metrics.`test/ssvd/conpoff`"
    assert stored["selectedColumns"][1] == "metrics.`test/made/conpoff`"
    assert "metrics.`test/made/conp`" not in stored["selectedColumns"]
    assert "attributes.`Dataset`" in stored["selectedColumns"]


def test_older_database_is_one_line_with_the_command(uri):
    with closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as database:
        database.execute("update alembic_version set version_num = '451aebb31d03'")
        database.commit()
    with pytest.raises(ui.PageError) as caught:
        ui.main(["--no-browser"])
    assert str(caught.value).endswith(f"keep a copy and run: mlflow db upgrade {uri}")
    assert "\n" not in str(caught.value)


def test_a_folder_is_refused(monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "mlruns")
    with pytest.raises(ui.PageError, match="allowed is sqlite"):
        ui.main([])


def test_a_server_is_only_named(monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setattr(ui, "prepare", lambda *_: "#/experiments/1/runs")
    ui.main([])
    assert capsys.readouterr().out == "the runs are on a server: http://127.0.0.1:9/#/experiments/1/runs\n"
