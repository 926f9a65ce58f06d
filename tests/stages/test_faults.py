"""Damaged and missing inputs of every stage: exit code 1, one line that names the file and how to mend it."""

from __future__ import annotations

import errno
import json
import runpy
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hf_model.config import ConfigError
from hf_model.files import write_json
from hf_model.weights import WEIGHTS
from stages import _run
from tests.stages.test_run import Settings
from tests.tiny_shards import TINY_FIT, TINY_MODELS

pytestmark = pytest.mark.filterwarnings("ignore:.*found in sys.modules")

DAMAGED = [b"", b"[1]", b"null", b"\xff\xfe\x00", b'{"made": ', b"3"]


@pytest.fixture
def workplace(tmp_path, root, monkeypatch, shards):
    """A folder with the real parameters, but a tiny training, and with pairs and shards."""
    content = yaml.safe_load((root / "params.yaml").read_text(encoding="utf-8"))
    content["train"]["transcriber"] = {"model": TINY_MODELS["transcriber"], "fit": TINY_FIT, "decoder_rounds": 2}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    shutil.copytree(shards, tmp_path / "data" / "stft")
    shutil.copytree(shards.parent / "aligned", tmp_path / "data" / "aligned")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HUMMINGFACE_WORKERS", "1")
    monkeypatch.setitem(sys.modules, "mlflow", None)
    return tmp_path


def refused(capsys, monkeypatch, name, *arguments):
    """Run a stage that must fail; returns its line."""
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    monkeypatch.setattr(_run.signal, "signal", lambda *_: None)
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        runpy.run_module(f"stages.{name}", run_name="__main__")
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert stop.value.code == 1
    assert len(lines) == 1
    return lines[0]


@pytest.mark.parametrize("content", DAMAGED)
def test_align_names_a_damaged_list_of_corpora(workplace, capsys, monkeypatch, content):
    (workplace / "data" / "raw").mkdir()
    (workplace / "data" / "raw" / "corpora.json").write_bytes(content)
    line = refused(capsys, monkeypatch, "align")
    assert "data/raw/corpora.json " in line
    assert "run dvc repro --force download" in line
    assert [path.name for path in workplace.glob("data/.*")] == [".aligned.lock"]


def test_align_names_a_changed_list_of_corpora(workplace, capsys, monkeypatch):
    path = workplace / "data" / "raw" / "corpora.json"
    write_json(path, {"made": {}}, digest=True)
    path.write_text(path.read_text().replace("made", "nade"))
    assert "data/raw/corpora.json is damaged or was edited" in refused(capsys, monkeypatch, "align")


def test_stft_names_a_damaged_manifest(workplace, capsys, monkeypatch):
    path = workplace / "data" / "aligned" / "tiny" / "manifest.parquet"
    content = path.read_bytes()
    for damaged in (b"", content[:100], content[:-1], b"PAR1" + bytes(len(content) - 8) + b"PAR1"):
        path.write_bytes(damaged)
        line = refused(capsys, monkeypatch, "stft")
        assert line.startswith("error: data/aligned/tiny/manifest.parquet: is damaged (")
        assert line.endswith("; rebuild it: dvc repro --force align")


def test_stft_names_a_missing_recording(workplace, capsys, monkeypatch):
    next((workplace / "data" / "aligned" / "tiny" / "voice").glob("*.flac")).unlink()
    line = refused(capsys, monkeypatch, "stft")
    assert ".flac: no such file" in line.lower()
    assert "rebuild it: dvc repro --force align" in line


@pytest.mark.parametrize("content", DAMAGED)
def test_training_names_a_damaged_manifest(workplace, capsys, monkeypatch, content):
    (workplace / "data" / "stft" / "manifest.json").write_bytes(content)
    line = refused(capsys, monkeypatch, "train", "transcriber")
    assert line.startswith("error: data/stft/manifest.json ")
    assert line.endswith("; rebuild it: dvc repro --force stft")
    assert not (workplace / "data" / "model" / "transcriber").exists()


def test_training_names_a_missing_shard(workplace, capsys, monkeypatch):
    next((workplace / "data" / "stft" / "train").glob("*.parquet")).unlink()
    line = refused(capsys, monkeypatch, "train", "transcriber")
    assert line.endswith(".parquet: is missing; rebuild it: dvc repro --force stft")


def test_training_names_a_damaged_start(workplace, capsys, monkeypatch):
    start = Path(shutil.copytree(WEIGHTS / "transcriber", workplace / "start"))
    content = yaml.safe_load((workplace / "params.yaml").read_text(encoding="utf-8"))
    content["train"]["transcriber"]["start"] = "start"
    (workplace / "params.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    (start / "config.json").write_text("[]")
    assert "start/config.json must hold a JSON object" in refused(capsys, monkeypatch, "train", "transcriber")
    shutil.copy(WEIGHTS / "transcriber" / "config.json", start)
    (start / "model.safetensors").write_bytes((start / "model.safetensors").read_bytes()[:-1])
    assert "start/model.safetensors is damaged" in refused(capsys, monkeypatch, "train", "transcriber")


def test_render_names_missing_shards(workplace, capsys, monkeypatch):
    path = workplace / "data" / "stft" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["files"][0] |= {"split": "test", "path": "test/tiny-00000.parquet"}
    del manifest["content_sha256"]
    path.write_text(json.dumps(manifest))
    line = refused(capsys, monkeypatch, "render")
    assert line == "error: data/stft/test/tiny-00000.parquet: is missing; rebuild it: dvc repro --force stft"


@pytest.mark.parametrize("content", [*DAMAGED, b"[3]", b'[{"corpus": 1}]'])
def test_evaluate_names_a_damaged_listing(workplace, capsys, monkeypatch, content):
    path = workplace / "data" / "rendered" / "recordings.json"
    path.parent.mkdir()
    path.write_bytes(content)
    line = refused(capsys, monkeypatch, "evaluate")
    assert "data/rendered/recordings.json" in line
    assert not (workplace / "reports").exists()


# -------------------------------------------------------------------------------------------------------------- params
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3),
    max_leaves=6,
)


@given(content=st.fixed_dictionaries({}, optional={"profile": values, "profiles": values, "align": values}))
def test_any_params_are_settings_or_a_config_error(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("params") / "params.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    try:
        assert isinstance(_run.settings("align", Settings, path), Settings)
    except ConfigError as error:
        assert "\n" not in str(error)  # noqa: PT017 - settings are right as well


@pytest.mark.parametrize(
    "text",
    ["? [a]\n: b", "a: !!timestamp 2020-99-99", "a: !!python/object:os.system x", "\x00", "[" * 9999, "a: &b *b"],
)
def test_odd_yaml_is_a_config_error(tmp_path, text):
    (tmp_path / "params.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"params\.yaml (is not valid YAML|must hold)|profile is"):
        _run.settings("align", Settings, tmp_path / "params.yaml")


# ---------------------------------------------------------------------------------------------------------------- disk
@pytest.mark.parametrize(("resume", "kept"), [(False, "no incomplete output was kept"), (True, "what is finished was")])
def test_full_disk_names_the_output(tmp_path, resume, kept):
    def write():
        with _run.output(tmp_path / "out", resume=resume) as folder:
            (folder / "part").touch()
            raise OSError(errno.EDQUOT, "Disk quota exceeded", "/elsewhere/tmp1234")

    with pytest.raises(_run.OutputError, match=rf"^{tmp_path / 'out'}: the disk is full; {kept}"):
        write()
    assert (tmp_path / ".out.partial").exists() == resume


def test_read_only_folder_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(_run.signal, "signal", lambda *_: None)

    def refuse(self, *_, **__):
        raise OSError(errno.EROFS, "Read-only file system", str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)

    def stage():
        with _run.output(tmp_path / "data" / "out"):
            pass

    with pytest.raises(SystemExit) as stop:
        _run.main(stage)
    assert stop.value.code == 1
    assert capsys.readouterr().err == f"error: {tmp_path / 'data'}: Read-only file system\n"


def test_output_that_is_a_link_stays_on_its_disk(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to(Path("disk", "out"))
    for text in ("first", "second"):
        with _run.output(tmp_path / "out") as folder:
            (folder / text).touch()
        assert [path.name for path in (tmp_path / "out").iterdir()] == [text]
    assert (tmp_path / "out").is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["disk", "out"]
    assert sorted(path.name for path in (tmp_path / "disk").iterdir()) == [".out.lock", "out"]


def test_files_beside_the_output_belong_to_it(tmp_path):
    final = tmp_path / "plots"
    for text in ("first", "second"):
        with _run.output(final, beside=("index.html", "metrics.json")) as folder:
            for name in ("index.html", "metrics.json", "plot.png"):
                (folder / name).write_text(text)
        assert {path.name: path.read_text() for path in tmp_path.rglob("*.*") if path.is_file()} == {
            ".plots.lock": "", "index.html": text, "metrics.json": text, "plot.png": text,
        }  # fmt: skip


@pytest.mark.parametrize("n_changes", range(5))
def test_killed_exchange_shows_no_mixture(tmp_path, monkeypatch, n_changes):
    """Where the last file beside an output exists, all of it is of one run."""

    @contextmanager
    def written(text):
        with _run.output(tmp_path / "plots", beside=("index.html", "metrics.json")) as folder:
            for name in ("index.html", "metrics.json", "plot.png"):
                (folder / name).write_text(text)
            yield

    with written("old"):
        pass
    done = []

    def counted(change):
        def call(*arguments, **options):
            if len(done) == n_changes:
                raise KeyboardInterrupt
            done.append(change)
            return change(*arguments, **options)

        return call

    with pytest.raises(KeyboardInterrupt), written("new"):  # noqa: PT012 - the end of the context is what is stopped
        for name in ("rename", "replace", "unlink"):
            monkeypatch.setattr(Path, name, counted(getattr(Path, name)))
    monkeypatch.undo()
    if (tmp_path / "metrics.json").exists():
        found = {path.read_text() for path in (*tmp_path.glob("*.*"), *tmp_path.glob("plots/*")) if path.is_file()}
        assert len(found - {""}) == 1
    with written("last"):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == [".plots.lock", "index.html", "metrics.json", "plots"]
    assert [path.name for path in (tmp_path / "plots").iterdir()] == ["plot.png"]
