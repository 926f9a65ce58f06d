"""Runs in MLflow: one for each training and its evaluation, a served model, and failures that stop nothing."""

from __future__ import annotations

import builtins
import io
import json

import pytest
import soundfile

from hf_model.transcriber.config import TranscriberConfig
from hf_model.transcriber.network import TranscriberNetwork
from stages.tracking import evaluation, runs
from stages.tracking.client import Tracker, absolute_uri
from tests.fakes import tones

# MLflow's own warnings; one worker, as the empty database takes seconds to create
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.xdist_group("mlflow")]


@pytest.fixture
def place(mlflow_folder, root, empty_mlflow_database):
    """A folder to track in, with a tiny model."""
    (mlflow_folder / "mlflow.db").write_bytes(empty_mlflow_database)
    content = {"profiles": {"default": {}}, "stft": {"segment_frames": 512}, "train": {}, "evaluate": {}}
    (mlflow_folder / "params.yaml").write_text(json.dumps(content), encoding="utf-8")
    (mlflow_folder / "dvc.lock").write_text("locked", encoding="utf-8")
    (mlflow_folder / "hf_model").symlink_to(root / "hf_model")
    model = TranscriberNetwork(TranscriberConfig(channels=8))
    model.save_pretrained(mlflow_folder / "data" / "model" / "transcriber")
    return mlflow_folder


def client():
    import mlflow

    return mlflow.MlflowClient(absolute_uri("sqlite:///mlflow.db"))


def train(place, key="k", resumed=False):
    tracker = runs.start_run(
        "transcriber", key, {"fit": {"steps": 3, "seed": 0, "learning_rate": 1e-3}}, resumed=resumed
    )
    for step in (10, 20):
        tracker.log_metrics({"train/loss": 1 / step, "epoch": 0.0}, step)
    runs.end_run(tracker, "transcriber", place / "data" / "model" / "transcriber", {"conpoff": 0.7})
    return tracker.run_id


def test_training_is_one_run(place):
    run_id = train(place)
    run = client().get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["train/fit/steps"] == "3"
    assert run.data.params["train/fit/seed"] == "0"
    assert run.data.params["stft/segment_frames"] == "512"
    assert run.data.metrics == {"train/loss": 1 / 20, "best/conpoff": 0.7}
    assert [point.step for point in client().get_metric_history(run_id, "train/loss")] == [10, 20]
    assert run.info.run_name == "transcriber · default · lr 1e-3"
    assert run.data.tags["model"] == "transcriber"
    assert run.data.tags["profile"] == "default"
    assert run.data.tags["mlflow.source.name"] == "stages/train.py"
    assert len(run.data.tags["dvc.lock"]) == 64
    names = {artifact.path for artifact in client().list_artifacts(run_id, "model_folder")}
    assert {"model_folder/config.json", "model_folder/model.safetensors"} <= names
    assert (place / "mlartifacts").is_dir()
    assert not (place / "mlruns").exists()


def test_logged_model_is_served(place):
    import mlflow

    run_id = train(place)
    (version,) = client().search_model_versions("name='hummingface-transcriber'")
    assert version.run_id == run_id
    model = mlflow.pyfunc.load_model("models:/hummingface-transcriber/1")
    assert model.metadata.signature.inputs.input_types() == [mlflow.types.DataType.binary]
    files = [path for path in (place / "mlartifacts" / "models").rglob("*") if path.is_file()]
    assert any(path.name == "input_example.json" for path in files)
    assert not [path.name for path in files if path.suffix in (".pkl", ".pickle", ".pt", ".pth", ".joblib")]
    voice = io.BytesIO()
    soundfile.write(voice, tones([60, 64], 22050)[:15_001], 22050, format="WAV")
    (answer,) = model.predict([voice.getvalue()])
    piano, sample_rate = soundfile.read(io.BytesIO(answer.audio))
    assert (len(piano), sample_rate) == (30_002, 44100)
    assert isinstance(json.loads(answer.notes), list)


def test_resumed_training_continues_its_run(place):
    first = runs.start_run("transcriber", "same", {}, resumed=False)
    first.finish("KILLED")
    assert train(place, "same", resumed=True) == first.run_id
    assert train(place, "other", resumed=True) != first.run_id
    assert train(place, "same", resumed=False) != first.run_id


@pytest.mark.usefixtures("place")
def test_repeated_steps_are_not_logged_twice():
    first = runs.start_run("transcriber", "k", {}, resumed=False)
    for step in (10, 20, 30):
        first.log_metrics({"train/loss": 1 / step}, step)
    first.flush()  # then killed, after a checkpoint at step 10
    again = runs.start_run("transcriber", "k", {}, resumed=True)
    for step in (20, 30, 40):
        again.log_metrics({"train/loss": 1 / step, "valid/f1": step}, step)
    again.finish()
    assert again.run_id == first.run_id
    points = client().get_metric_history(first.run_id, "train/loss")
    assert [(point.step, point.value) for point in points] == [(step, 1 / step) for step in (10, 20, 30, 40)]
    assert [point.step for point in client().get_metric_history(first.run_id, "valid/f1")] == [20, 30, 40]


def test_training_killed_before_a_checkpoint_continues_its_run(place):
    first = runs.start_run("transcriber", "k", {}, resumed=False)
    assert train(place, "k", resumed=False) == first.run_id


def test_run_of_another_database_is_not_continued(place, empty_mlflow_database, monkeypatch):
    (place / "other.db").write_bytes(empty_mlflow_database)
    first = runs.start_run("transcriber", "k", {}, resumed=False)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///other.db")
    assert runs.start_run("transcriber", "k", {}, resumed=True).run_id not in ("", first.run_id)


def test_unknown_weights_get_a_new_run(place):
    tracker = runs.find_run_of_weights("transcriber", place / "data" / "model" / "transcriber")
    assert client().get_run(tracker.run_id).data.tags["trained"] == "elsewhere"
    assert client().get_run(tracker.run_id).data.params["train/model/channels"] == "8"
    again = runs.find_run_of_weights("transcriber", place / "data" / "model" / "transcriber")
    assert again.run_id == tracker.run_id


def test_training_continues_without_mlflow(place, monkeypatch, capsys):
    (place / "mlflow.db").unlink()
    true_import = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name == "mlflow":
            raise ImportError(name)
        return true_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    train(place)
    evaluation.log_evaluation({}, place, [])
    assert "MLflow is not installed" in capsys.readouterr().out
    assert not (place / "mlflow.db").exists()


def test_broken_tracker_is_reported_once(place, capsys):
    tracker = runs.start_run("transcriber", "k", {}, resumed=False)

    class Broken:
        def __getattr__(self, name):
            raise ConnectionError("the server\nis gone")

    tracker.client = Broken()
    for step in range(100):
        tracker.log_metrics({"loss": 1.0}, step)
    tracker.log_artifact(place / "params.yaml")
    tracker.tag({"a": "b"})
    tracker.finish()
    assert capsys.readouterr().out == "MLflow: sending metrics failed (the server is gone); continuing without it\n"


def test_file_store_is_refused(place, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", str(place / "mlruns"))
    assert runs.start_run("transcriber", "k", {}, resumed=False).client is None
    assert "use sqlite" in capsys.readouterr().out


@pytest.mark.usefixtures("place")
def test_unreachable_server_stops_nothing(monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    assert runs.start_run("transcriber", "k", {}, resumed=False).client is None
    assert "continuing without it" in capsys.readouterr().out


@pytest.mark.usefixtures("place")
def test_only_the_first_process_tracks(monkeypatch):
    monkeypatch.setenv("SLURM_PROCID", "3")
    assert runs.start_run("transcriber", "k", {}, resumed=False).client is None


def test_tracker_has_the_methods_of_a_lightning_logger():
    from pytorch_lightning.loggers import Logger

    tracker = Tracker()
    for name in (
        "log_hyperparams",
        "log_graph",
        "after_save_checkpoint",
        "save",
        "finalize",
        "log_metrics",
        "name",
        "version",
    ):
        assert hasattr(Logger, name)
        assert hasattr(tracker, name)
    tracker.log_hyperparams({})
    tracker.log_graph(None)
    tracker.after_save_checkpoint(None)
    tracker.save()
    tracker.finalize("success")
