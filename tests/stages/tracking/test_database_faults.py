"""Databases of MLflow that cannot be used: one line says why; a training continues, a merge ends with exit code 1."""

from __future__ import annotations

import json
import runpy
import sqlite3
import sys
from contextlib import closing

import pytest

from stages import _run
from stages.tracking import client, merge, runs
from stages.tracking.merge import MergeError

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.xdist_group("mlflow")]

OLDEST = "451aebb31d03"
"""The first revision of MLflow's schema."""


def damage(path):
    path.write_bytes(b"x" * 100 + path.read_bytes()[100:])


def cut(path):
    path.write_bytes(path.read_bytes()[:5000])


def schema(revision):
    def change(path):
        with closing(sqlite3.connect(path)) as database:
            database.execute("update alembic_version set version_num = ?", (revision,))
            database.commit()

    return change


FAULTS = {
    "damaged": (damage, "is damaged; restore a copy, or rename it to begin a new one"),
    "cut": (cut, "is damaged; restore a copy, or rename it to begin a new one"),
    "older": (
        schema(OLDEST),
        "was written by an older version of MLflow; keep a copy and run: mlflow db upgrade URI",
    ),
    "newer": (
        schema("f" * 12),
        "was written by a newer version of MLflow; install that one, or use another database",
    ),
}


@pytest.fixture
def place(mlflow_folder, empty_mlflow_database):
    (mlflow_folder / "params.yaml").write_text(json.dumps({"profiles": {"default": {}}, "train": {}}), encoding="utf-8")
    (mlflow_folder / "mlflow.db").write_bytes(empty_mlflow_database)
    return mlflow_folder


@pytest.mark.parametrize("fault", FAULTS)
def test_training_continues_with_one_line(place, capfd, fault):
    change, message = FAULTS[fault]
    change(place / "mlflow.db")
    tracker = runs.start_run("direct", "key", {}, resumed=False)
    tracker.log_figures({"loss": 1.0})
    tracker.finish()
    assert tracker.client is None
    printed = capfd.readouterr()
    uri = f"sqlite:///{place / 'mlflow.db'}"
    message = message.replace("upgrade URI", f"upgrade {uri}")
    assert printed.out == f"MLflow: {uri} cannot be used (the database {message}); continuing without it\n"
    assert printed.err == ""


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("is_source", [True, False])
def test_merge_ends_with_one_line(place, empty_mlflow_database, fault, is_source):
    change, message = FAULTS[fault]
    good, bad = place / "mlflow.db", place / "bad.db"
    bad.write_bytes(empty_mlflow_database)
    change(bad)
    uris = [f"sqlite:///{path}" for path in ((bad, good) if is_source else (good, bad))]
    with pytest.raises(MergeError, match=message):
        merge.merge(*uris)
    assert good.read_bytes() == empty_mlflow_database


def test_locked_database_is_reported(place, capfd):
    with closing(sqlite3.connect(place / "mlflow.db", isolation_level=None)) as other:
        other.execute("begin exclusive")
        tracker = runs.start_run("direct", "key", {}, resumed=False)
    assert tracker.client is None
    assert "the database is locked by another process; wait for it" in capfd.readouterr().out


def test_database_that_becomes_read_only_is_reported_once(place, capfd):
    tracker = runs.start_run("direct", "key", {}, resumed=False)
    assert tracker.client is not None
    with closing(sqlite3.connect(place / "mlflow.db")) as database:  # as with a read-only disk, for root as well
        refuse = "select raise(abort, 'attempt to write a readonly database');"
        database.executescript(f"create trigger refuse before insert on metrics begin {refuse} end;")
    tracker.log_figures({"loss": 1.0})
    tracker.finish()
    printed = capfd.readouterr()
    assert printed.out.count("MLflow: ") == 1
    assert "the database cannot be written: its file or its folder is read-only" in printed.out
    assert "Traceback" not in printed.err


def test_passwords_of_a_server_are_not_shown(place, capfd, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://ada:s3cret@127.0.0.1:9/runs")
    assert client.connect() is None
    with pytest.raises(MergeError) as caught:
        merge.merge(f"sqlite:///{place / 'mlflow.db'}", "ftp://ada:s3cret@127.0.0.1:9")
    assert "s3cret" not in str(caught.value) + "".join(capfd.readouterr())


@pytest.mark.usefixtures("place")
def test_clock_set_back_changes_nothing(monkeypatch):
    import time

    tracker = runs.start_run("direct", "key", {}, resumed=False)
    tracker.log_metrics({"loss": 2.0}, 1)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 365 * 24 * 3600)
    tracker.log_metrics({"loss": 1.0}, 2)
    tracker.finish()
    run = tracker.client.get_run(tracker.run_id)
    assert run.info.status == "FINISHED"
    points = tracker.client.get_metric_history(tracker.run_id, "loss")
    assert sorted((point.step, point.value) for point in points) == [(1, 2.0), (2, 1.0)]
    assert run.data.metrics["loss"] == 1.0, "the last step, not the latest time"


def test_merge_as_a_command_ends_with_exit_code_1(place, monkeypatch, capfd):
    damage(place / "mlflow.db")
    (place / "source").mkdir()
    (place / "source" / "mlflow.db").write_bytes((place / "mlflow.db").read_bytes())
    monkeypatch.setattr(sys, "argv", ["merge", "source"])
    monkeypatch.setattr(_run.signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit) as stop:  # its errors then belong to the module __main__
        runpy.run_module("stages.tracking.merge", run_name="__main__")
    assert stop.value.code == 1
    printed = capfd.readouterr().err
    assert printed.startswith("error: sqlite:///")
    assert printed.count("\n") == 1
