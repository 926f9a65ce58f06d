"""Stages as programs: errors in one line, and their calls."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from types import SimpleNamespace

import pytest
import yaml

from stages import _run, evaluate, train
from stages.tracking import evaluation, runs
from tests.fakes import tones

NAMES = ("download", "align", "stft", "train", "instruments", "analysis", "render", "evaluate")


@pytest.fixture
def workplace(tmp_path, root, monkeypatch):
    """An empty repository with the real parameters."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text((root / "params.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    return tmp_path


def change(workplace, section, **values):
    content = yaml.safe_load((workplace / "params.yaml").read_text(encoding="utf-8"))
    part = content
    for key in section.split("."):
        part = part[key]
    part.update(values)
    (workplace / "params.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")


def run(name, monkeypatch, capsys, *arguments):
    """Run a stage like ``python -m``; returns its exit code and stderr."""
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    monkeypatch.setattr(_run.signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit) as stop:
        runpy.run_module(f"stages.{name}", run_name="__main__")
    return stop.value.code, capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:.*found in sys.modules")
@pytest.mark.parametrize("name", NAMES)
def test_unknown_setting_is_one_line(name, workplace, monkeypatch, capsys):
    section = "train.transcriber" if name == "train" else name
    change(workplace, section, surprise=1)
    code, text = run(name, monkeypatch, capsys, *(["transcriber"] if name == "train" else []))
    assert code == 1
    assert text.startswith(f"error: unknown setting {section}.surprise; known: ")
    assert text.count("\n") == 1
    assert not (workplace / "data").exists()


@pytest.mark.usefixtures("workplace")
@pytest.mark.filterwarnings("ignore:.*found in sys.modules")
@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("align", "data/raw"),
        ("stft", "data/aligned"),
        ("instruments", "data/raw"),
        ("analysis", "data/raw"),
        ("evaluate", "recordings.json"),
    ],
)
def test_missing_input_is_one_line(name, missing, monkeypatch, capsys):
    code, text = run(name, monkeypatch, capsys)
    assert code == 1
    assert missing in text
    assert text.count("\n") == 1


@pytest.mark.usefixtures("workplace")
@pytest.mark.filterwarnings("ignore:.*found in sys.modules")
@pytest.mark.parametrize(
    ("name", "output"),
    [("download", "data/raw"), ("align", "data/aligned"), ("stft", "data/stft"), ("render", "data/rendered")],
)
def test_stage_that_is_running_is_not_started_again(name, output, monkeypatch, capsys):
    with _run.output(output) as folder:
        (folder / "half").touch()
        code, text = run(name, monkeypatch, capsys)
        assert (code, text) == (1, f"error: {output}: another process is writing it; wait until it ends\n")
        assert [path.name for path in folder.iterdir()] == ["half"]


@pytest.mark.usefixtures("workplace")
@pytest.mark.filterwarnings("ignore:.*found in sys.modules")
def test_unknown_model_is_refused(monkeypatch, capsys):
    code, text = run("train", monkeypatch, capsys, "orchestra")
    assert (code, text.count("\n")) == (1, 1)
    assert "'orchestra', allowed is one of transcriber, synthesizer, direct" in text


@pytest.mark.parametrize("profile", ["default", "full"])
def test_every_profile_is_valid_for_every_stage(profile, root, tmp_path):
    from hf_model.alignment.align import AlignSettings
    from hf_model.corpora.catalogue import DownloadSettings
    from hf_model.evaluation.evaluate import EvaluateSettings
    from hf_model.evaluation.render_test_set import RenderSettings
    from hf_model.shards.writer import StftSettings
    from hf_model.training.tasks import TASKS

    content = yaml.safe_load((root / "params.yaml").read_text(encoding="utf-8"))
    content["profile"] = profile
    params = tmp_path / "params.yaml"
    params.write_text(yaml.safe_dump(content), encoding="utf-8")
    classes = {"download": DownloadSettings, "align": AlignSettings, "stft": StftSettings}
    classes |= {"render": RenderSettings, "evaluate": EvaluateSettings}
    classes |= {f"train.{kind}": settings for kind, (settings, _) in TASKS.items()}
    for section, settings in classes.items():
        assert isinstance(_run.settings(section, settings, params), settings)
    assert set(_run.all_settings(params)) == set(_run.SECTIONS)


@pytest.fixture
def tracker(monkeypatch):
    """A stand-in for MLflow that records its calls."""
    tracker = SimpleNamespace(begun=[], ended=[], finished=[], run_id="r", log_metrics=None)
    tracker.finish = lambda status="FINISHED": tracker.finished.append(status)
    monkeypatch.setattr(runs, "start_run", lambda *args, **kwargs: tracker.begun.append((args, kwargs)) or tracker)
    monkeypatch.setattr(runs, "end_run", lambda *args: tracker.ended.append(args[1:]))
    monkeypatch.setattr(sys, "argv", ["train", "direct"])
    return tracker


def train_with(monkeypatch, function):
    monkeypatch.setattr("hf_model.training.trainer.train", function)
    train.main()


def test_training_writes_a_model_and_clears_its_checkpoints(workplace, monkeypatch, tracker, capsys):
    def fake(task, shards, folder, checkpoints, **options):
        assert list(checkpoints.iterdir()) == []
        (checkpoints / "last.ckpt").touch()
        (folder / "config.json").touch()
        assert (shards.as_posix(), options["loggers"]) == ("data/stft", [tracker])
        assert task.fit.steps > 0
        return {"loss": 0.25}

    train_with(monkeypatch, fake)
    assert [path.name for path in (workplace / "data" / "model" / "direct").iterdir()] == ["config.json"]
    assert list((workplace / "data" / "scratch" / "checkpoints").iterdir()) == []
    assert tracker.begun[0][1] == {"resumed": False}
    assert tracker.ended[0][0] == "direct"
    assert capsys.readouterr().out == "direct: loss 0.25\n"


def test_interrupted_training_keeps_checkpoint_and_run(workplace, monkeypatch, tracker):
    def stop(task, shards, folder, checkpoints, **options):  # noqa: ARG001
        checkpoints.mkdir(parents=True, exist_ok=True)
        (checkpoints / "last.ckpt").touch()
        raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            train_with(monkeypatch, stop)
    assert [kwargs["resumed"] for _, kwargs in tracker.begun] == [False, True]
    assert tracker.begun[0][0] == tracker.begun[1][0]
    assert tracker.finished == ["KILLED", "KILLED"]
    assert [path.name for path in (workplace / "data" / "model").iterdir()] == [".direct.lock"]


def test_checkpoint_depends_on_settings_and_data(workplace):
    from hf_model.training.tasks import TASKS

    settings = TASKS["direct"][0]()
    first = train.training_key(settings)
    assert train.training_key(settings) == first
    (workplace / "data" / "stft").mkdir(parents=True)
    (workplace / "data" / "stft" / "manifest.json").write_text("{}", encoding="utf-8")
    assert train.training_key(settings) != first


def test_other_processes_write_nothing(workplace, monkeypatch, tracker):
    monkeypatch.setenv("LOCAL_RANK", "1")
    train_with(monkeypatch, lambda *_, **__: {"loss": 1.0})
    assert tracker.ended == []
    assert not (workplace / "data" / "model").exists()


def test_evaluate_writes_its_reports(workplace, monkeypatch):
    import numpy as np
    import soundfile

    from hf_model.evaluation.evaluate import Measured
    from hf_model.evaluation.metrics import note_errors, note_scores
    from hf_model.evaluation.render_test_set import Item
    from hf_model.notes.note import Note

    notes = [Note(0.1, 0.4, 60.0)]
    item = Item("made", "one", "voice.wav", "voice.wav", 22050, 0.0, tuple(notes))
    soundfile.write("voice.wav", tones([60]), 16000)
    item.path(evaluate.RENDERED, "").parent.mkdir(parents=True)
    soundfile.write(item.path(evaluate.RENDERED, "_sampled.wav"), np.zeros(22050), 44100)
    one = Measured(item, notes, notes, {"hummingface": note_scores(notes, notes)}, {}, note_errors(notes, notes))
    logged = []
    monkeypatch.setattr(evaluate, "measure_all", lambda *_: [one])
    monkeypatch.setattr(evaluation, "log_evaluation", lambda *args: logged.append(args))
    evaluate.main()
    metrics = json.loads((workplace / "reports" / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["notes"]["made"]["hummingface"]["conpoff"] == 1.0
    assert {path.name for path in (workplace / "reports").iterdir()} == {
        ".plots.lock",
        "errors.csv",
        "index.html",
        "metrics.json",
        "plots",
        "recordings.csv",
        "recordings.parquet",
        "reliability.csv",
        "summary.json",
    }
    summary = json.loads((workplace / "reports" / "summary.json").read_text(encoding="utf-8"))
    assert summary["made"] == {"con": 1.0, "conp": 1.0, "conpoff": 1.0}
    assert (workplace / "reports" / "errors.csv").read_text(encoding="utf-8").startswith("corpus,kind,errors,")
    (example,) = logged[0][2]
    assert (example.name, list(example.sounds)) == ("made_one", ["voice", "reference", "sampled"])


@pytest.mark.slow
def test_stages_run_without_dvc_and_mlflow(workplace, root):
    """Without DVC, MLflow and pandas settings are read and errors are one line."""
    change(workplace, "train.direct", surprise=1)
    code = (
        "import sys, runpy\n"
        "for name in ('dvc', 'mlflow', 'pandas', 'mir_eval'):\n    sys.modules[name] = None\n"
        "sys.argv = ['train', 'direct']\nrunpy.run_module('stages.train', run_name='__main__')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": str(root)}, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: unknown setting train.direct.surprise")
