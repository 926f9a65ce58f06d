"""The Hugging Face Hub: names and folders, download from a local server, upload, and model cards."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import huggingface_hub
import numpy as np
import pytest

from hf_model.config import ConfigError
from hf_model.hub import HubError, model_folder, push_folder, write_card
from hf_model.inference import Models
from hf_model.transcriber.config import TranscriberConfig
from hf_model.transcriber.network import TranscriberNetwork
from hf_model.transcriber.transcriber import Transcriber
from hf_model.weights import WEIGHTS

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(BaseHTTPRequestHandler):
    """The requests of the Hub API that a download needs."""

    files: ClassVar[dict[str, Path]] = {}

    def do_GET(self) -> None:
        self._respond(body=True)

    def do_HEAD(self) -> None:
        self._respond(body=False)

    def _respond(self, *, body: bool) -> None:
        path = self.path.split("?")[0]
        if re.fullmatch(r"/api/models/someone/voices(/revision/[^/]+)?", path):
            siblings = [{"rfilename": name} for name in self.files]
            self._send(json.dumps({"id": "someone/voices", "sha": COMMIT, "siblings": siblings}).encode(), body)
            return
        if re.match(r"/api/models/someone/voices/tree/", path):
            tree = [
                {"type": "file", "path": name, "size": file.stat().st_size, "oid": _etag(file)}
                for name, file in self.files.items()
            ]
            self._send(json.dumps(tree).encode(), body)
            return
        match = re.fullmatch(rf"/someone/voices/resolve/(?:main|{COMMIT})/(.+)", path)
        if match and match[1] in self.files:
            file = self.files[match[1]]
            self._send(file.read_bytes(), body, {"ETag": f'"{_etag(file)}"', "X-Repo-Commit": COMMIT})
            return
        self.send_response(404)
        self.send_header("X-Error-Code", "RepoNotFound")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, content: bytes, body: bool, headers: dict[str, str] | None = None) -> None:
        self.send_response(200)
        for name, value in {"Content-Length": str(len(content)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


def _etag(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:40]


@pytest.fixture
def hub():
    folder = WEIGHTS / "transcriber"
    Hub.files = {path.name: path for path in folder.iterdir()} | {"notes.txt": folder / "README.md"}
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def run(code: str, root: Path, home: Path, **environment: str) -> subprocess.CompletedProcess:
    variables = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    variables |= {"HF_HOME": str(home), "PYTHONPATH": str(root), "HF_HUB_DISABLE_TELEMETRY": "1", **environment}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env=variables)


DOWNLOAD = """
from hf_model.hub import HubError, model_folder
try:
    folder = model_folder({name!r})
    print(sorted(path.name for path in folder.iterdir()))
except HubError as error:
    print(error)
"""


def test_model_is_downloaded_once(hub, root, tmp_path):
    first = run(DOWNLOAD.format(name="someone/voices"), root, tmp_path, HF_ENDPOINT=hub)
    names = ["README.md", "config.json", "context.onnx", "model.onnx", "model.safetensors"]
    assert first.stdout == f"{names}\n", first.stderr
    repeated = run(
        DOWNLOAD.format(name="someone/voices"), root, tmp_path, HF_ENDPOINT="http://127.0.0.1:9", HF_HUB_OFFLINE="1"
    )
    assert repeated.stdout == first.stdout, repeated.stderr


def test_missing_model_is_reported(hub, root, tmp_path):
    ran = run(DOWNLOAD.format(name="someone/nothing"), root, tmp_path, HF_ENDPOINT=hub)
    assert ran.stdout.startswith("no folder someone/nothing, and no such model on the Hugging Face Hub: ")
    assert ran.stdout.count("\n") == 1, "one line"


def test_missing_library_is_reported_with_its_install_command(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(HubError, match=r"no folder data/model.*pip install 'hummingface\[hub\]'"):
        model_folder("data/model")


def test_existing_folder_takes_precedence(tmp_path, monkeypatch):
    (tmp_path / "someone" / "voices").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: pytest.fail("a request to the Hub"))
    assert model_folder("someone/voices") == Path("someone/voices")


@pytest.mark.parametrize("name", ["nowhere", "/a/b", "../a/b", "a/b/c", "a b/c", "", ".a/b"])
def test_invalid_names_are_not_requested(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: pytest.fail("a request to the Hub"))
    if name == "":
        assert model_folder(name) == Path()  # the working folder
        return
    with pytest.raises(FileNotFoundError, match="there is no such folder"):
        model_folder(name)


def test_models_are_loaded_by_name(monkeypatch):
    request = {}

    def download(name, *, revision, allow_patterns):
        request.update(name=name, revision=revision, patterns=allow_patterns)
        return str(WEIGHTS)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    models = Models("someone/voices")
    assert not request, "downloaded on first use"
    assert models.transcriber.facts["licence"] == "MIT"
    assert request["name"] == "someone/voices"
    assert "model.safetensors" in request["patterns"]
    assert not any("pkl" in pattern or "bin" in pattern for pattern in request["patterns"])


class Api:
    """Records uploads instead of sending them."""

    created: ClassVar[list[tuple]] = []
    files: ClassVar[dict[str, bytes]] = {}

    def __init__(self, token=None):
        self.token = token

    def create_repo(self, name, *, private, exist_ok):
        self.created.append((name, private, exist_ok, self.token))

    def create_branch(self, name, *, branch, exist_ok):
        self.created.append((name, branch, exist_ok))

    def upload_folder(self, *, repo_id, folder_path, commit_message, revision, create_pr):
        assert revision in {None, "v2"}
        self.files.clear()
        self.files.update({path.name: path.read_bytes() for path in Path(folder_path).iterdir()})
        return huggingface_hub.CommitInfo(
            commit_url=f"https://huggingface.co/{repo_id}/commit/{COMMIT}",
            commit_message=commit_message,
            commit_description="",
            oid=COMMIT,
            pr_url=f"https://huggingface.co/{repo_id}/discussions/7" if create_pr else None,
        )


@pytest.fixture
def api(monkeypatch):
    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    Api.created.clear()
    return Api


def test_uploaded_model_can_be_loaded(api, tmp_path):
    model = Transcriber.from_pretrained(WEIGHTS / "transcriber")
    url = model.push_to_hub("someone/voices", private=True, token="secret")
    assert url.endswith(COMMIT)
    assert api.created == [("someone/voices", True, True, "secret")]
    assert sorted(api.files) == ["README.md", "config.json", "context.onnx", "model.onnx", "model.safetensors"]
    for name, content in api.files.items():
        (tmp_path / name).write_bytes(content)
    loaded = Transcriber.from_pretrained(tmp_path)
    assert loaded.decoder == model.decoder != type(model.decoder)(), "with the tuned decoder settings"
    voice = np.random.default_rng(0).normal(0, 0.1, 8000).astype(np.float32)
    assert all(np.array_equal(a, b) for a, b in zip(loaded.posteriors(voice), model.posteriors(voice), strict=True))
    assert api.files["README.md"] == (WEIGHTS / "transcriber" / "README.md").read_bytes()
    assert huggingface_hub.ModelCard(api.files["README.md"].decode()).data.license == "mit"


def test_a_trained_network_gets_a_card_with_its_metrics(api):
    network = TranscriberNetwork(TranscriberConfig(channels=4, width=8, dilations=(1,)))
    network.push_to_hub("someone/voices", licence="MIT", valid={"conpoff": 0.9})
    assert sorted(api.files) == ["README.md", "config.json", "context.onnx", "model.onnx", "model.safetensors"]
    content = huggingface_hub.ModelCard(api.files["README.md"].decode())
    assert content.data.license == "mit"
    assert [(item.metric_type, item.metric_value) for item in content.data.eval_results] == [("conpoff", 0.9)]


def test_a_branch_or_a_pull_request_can_be_pushed(api, tmp_path):
    (tmp_path / "config.json").write_text('{"kind": "transcriber"}', encoding="utf-8")
    url = push_folder(tmp_path, "someone/voices", revision="v2", commit_message="Louder")
    assert url.endswith(COMMIT)
    assert api.created == [("someone/voices", False, True, None), ("someone/voices", "v2", True)]
    api.created.clear()
    assert push_folder(tmp_path, "someone/voices", create_pr=True).endswith("/discussions/7")
    assert not api.created, "the repository belongs to somebody else"


def test_existing_card_is_kept(api, tmp_path):
    (tmp_path / "config.json").write_text('{"kind": "transcriber"}', encoding="utf-8")
    (tmp_path / "secrets.txt").write_text("secret", encoding="utf-8")
    (tmp_path / "README.md").write_text("---\nlicense: mit\n---\nMine.\n", encoding="utf-8")
    push_folder(tmp_path, "someone/voices")
    assert api.files["README.md"] == b"---\nlicense: mit\n---\nMine.\n"
    assert "secrets.txt" not in api.files, "only the files of the model are uploaded"


@pytest.mark.parametrize("name", ["voices", "../voices", "a/b/c"])
def test_upload_needs_a_valid_name(api, tmp_path, name):
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(HubError, match="expected owner/name"):
        push_folder(tmp_path, name)
    assert not api.created


def test_upload_needs_a_model(api, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"config\.json is missing"):
        push_folder(tmp_path, "someone/voices")
    assert not api.created


@pytest.mark.parametrize("content", ["[]", "null", "{", "3"])
def test_damaged_config_is_not_uploaded(api, tmp_path, content):
    (tmp_path / "config.json").write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"config\.json (is not valid JSON|must hold a JSON object).*; copy"):
        push_folder(tmp_path, "someone/voices")
    assert not api.created


@pytest.mark.parametrize("settings", [None, [], "text"])
def test_card_of_no_settings_is_refused(settings):
    with pytest.raises(ConfigError, match="the settings of someone/voices must be a mapping, got"):
        write_card(settings, "someone/voices")


def test_card_of_odd_figures_has_none():
    assert "results" not in write_card({"kind": ["x"], "valid": [1, 2], "licence": None}, "someone/voices")


def test_card_has_the_usage_and_training_data():
    text = write_card({"kind": "transcriber", "licence": "MIT", "trained_on": "synthetic voices"}, "someone/voices")
    assert "hummingface convert hum.wav --model someone/voices" in text
    assert "synthetic voices" in text


@pytest.mark.parametrize(
    "name", ["transcriber", "transcriber_made", "transcriber_songs", "synthesizer", "piano", "partials"]
)
def test_shipped_cards_have_metadata(name):
    content = huggingface_hub.ModelCard((WEIGHTS / name / "README.md").read_text(encoding="utf-8"))
    assert content.data.license == "mit"
    assert content.data.library_name == "hummingface"


def test_metrics_in_text_and_metadata_of_the_card_agree():
    text = (WEIGHTS / "transcriber" / "README.md").read_text(encoding="utf-8")
    results = huggingface_hub.ModelCard(text).data.eval_results
    assert len(results) >= 6
    for item in results:
        assert f"{item.metric_value:.3f}".lstrip("0") in text.split("---\n", 2)[2], item
