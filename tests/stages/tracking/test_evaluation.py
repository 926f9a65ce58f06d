"""What an evaluation adds to the runs: the same names of metrics for every model, pictures and sounds on one page."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile

from hf_model.evaluation.page.sounds import Example
from hf_model.transcriber.config import TranscriberConfig
from hf_model.transcriber.network import TranscriberNetwork
from stages.tracking import evaluation, runs

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.xdist_group("mlflow")]

REPORT = {
    "notes": {
        "made": {"hummingface": {"conp": 0.8, "conpoff": 0.6}, "pyin": {"conp": 0.5}, "ahead_of_pyin": {"conp": 0.3}},
        "ssvd": {"hummingface": {"conp": 0.7, "conpoff": 0.5}},
    },
    "sound": {
        "made": {
            "neural": {"log_mel_distance": 3.5, "same_length": 1.0, "labels_conpoff": 0.4},
            "direct": {"log_mel_distance": 9.0, "labels_conpoff": 0.1},
        }
    },
    "unlabelled": {"vocadito": {"notes": 12.0}},
}


def test_models_share_the_names_of_metrics():
    named = {kind: evaluation.named_metrics(kind, REPORT) for kind in ("transcriber", "synthesizer", "direct")}
    assert [named[kind]["test/made/conpoff"] for kind in named] == [0.6, 0.4, 0.1]
    assert named["transcriber"]["test/all/conpoff"] == pytest.approx(0.55)
    assert named["transcriber"]["baseline/made/pyin/conp"] == 0.5
    assert named["transcriber"]["unlabelled/vocadito/notes"] == 12.0
    assert not [name for name in named["transcriber"] if name.startswith("sound/") or "ahead" in name]
    assert named["synthesizer"]["sound/made/log_mel_db"] == 3.5
    assert named["direct"]["sound/made/log_mel_db"] == 9.0


def test_evaluation_is_added_to_the_run_of_its_model(mlflow_folder, empty_mlflow_database):
    import mlflow

    (mlflow_folder / "mlflow.db").write_bytes(empty_mlflow_database)
    (mlflow_folder / "params.yaml").write_text(json.dumps({"profiles": {"default": {}}, "train": {}}), encoding="utf-8")
    models, reports = mlflow_folder / "data" / "model", mlflow_folder / "reports"
    TranscriberNetwork(TranscriberConfig(channels=8)).save_pretrained(models / "transcriber")
    (mlflow_folder / "hf_model").mkdir()  # the code of the served model
    (reports / "plots").mkdir(parents=True)
    (reports / "plots" / "table.png").write_bytes(b"picture")
    soundfile.write("voice.wav", np.zeros(100), 16000)
    sounds = {"voice": mlflow_folder / "voice.wav"}
    evaluation.log_evaluation(REPORT, reports, [Example("made_1", sounds)], models)
    tracker = runs.find_run_of_weights("transcriber", models / "transcriber")
    client = mlflow.MlflowClient()
    run = client.get_run(tracker.run_id)
    assert run.data.metrics["test/made/conpoff"] == 0.6
    folders = ("", "reports/plots", "examples/made_1/voice")
    kept = {one.path for folder in folders for one in client.list_artifacts(tracker.run_id, folder) if not one.is_dir}
    assert kept == {"listen.html", "reports/plots/table.png", "examples/made_1/voice/voice.wav"}
