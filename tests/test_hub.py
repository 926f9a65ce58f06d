"""The Hub: its names are told from folders, its protocol is spoken, and what is taken there can be read back."""

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
import pytest
import torch

from hf_model.hub import HubError, card, model_folder, push_folder
from hf_model.inference import Models
from hf_model.transcriber.network import Transcriber
from hf_model.weights import WEIGHTS

ROOT = Path(__file__).resolve().parents[1]
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(BaseHTTPRequestHandler):
    """As much of the Hub as reading one model takes."""

    files: ClassVar[dict[str, Path]] = {}

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, *, body: bool) -> None:
        path = self.path.split("?")[0]
        if re.fullmatch(r"/api/models/someone/voices(/revision/[^/]+)?", path):
            siblings = [{"rfilename": name} for name in self.files]
            self._send(json.dumps({"id": "someone/voices", "sha": COMMIT, "siblings": siblings}).encode(), body)
            return
        if re.match(r"/api/models/someone/voices/tree/", path):
            tree = [
                {"type": "file", "path": name, "size": file.stat().st_size, "oid": _tag(file)}
                for name, file in self.files.items()
            ]
            self._send(json.dumps(tree).encode(), body)
            return
        found = re.fullmatch(rf"/someone/voices/resolve/(?:main|{COMMIT})/(.+)", path)
        if found and found[1] in self.files:
            file = self.files[found[1]]
            self._send(file.read_bytes(), body, {"ETag": f'"{_tag(file)}"', "X-Repo-Commit": COMMIT})
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


def _tag(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:40]


@pytest.fixture
def hub():
    shipped = WEIGHTS / "transcriber"
    Hub.files = {path.name: path for path in shipped.iterdir()} | {"notes.txt": shipped / "README.md"}
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def run(code: str, home: Path, **environment: str) -> subprocess.CompletedProcess:
    variables = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    variables |= {"HF_HOME": str(home), "PYTHONPATH": str(ROOT), "HF_HUB_DISABLE_TELEMETRY": "1", **environment}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, env=variables)


READ = """
from hf_model.hub import HubError, model_folder
try:
    folder = model_folder({name!r})
    print(sorted(path.name for path in folder.iterdir()))
except HubError as error:
    print(error)
"""


def test_a_model_of_the_hub_is_brought_and_then_needs_no_network(hub, tmp_path):
    first = run(READ.format(name="someone/voices"), tmp_path, HF_ENDPOINT=hub)
    assert first.stdout == "['README.md', 'config.json', 'model.safetensors']\n", first.stderr
    again = run(READ.format(name="someone/voices"), tmp_path, HF_ENDPOINT="http://127.0.0.1:9", HF_HUB_OFFLINE="1")
    assert again.stdout == first.stdout, again.stderr


def test_a_model_that_the_hub_lacks(hub, tmp_path):
    told = run(READ.format(name="someone/nothing"), tmp_path, HF_ENDPOINT=hub)
    assert told.stdout.startswith("no folder someone/nothing, and no model of that name on the Hugging Face Hub: ")
    assert told.stdout.count("\n") == 1, "one line"


def test_without_the_library_the_message_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # where nobody has trained
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(HubError, match=r"no folder data/model.*pip install 'hummingface\[hub\]'"):
        model_folder("data/model")


def test_a_folder_that_exists_is_taken_first(tmp_path, monkeypatch):
    (tmp_path / "someone" / "voices").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: pytest.fail("the Hub was asked"))
    assert model_folder("someone/voices") == Path("someone/voices")


@pytest.mark.parametrize("name", ["nowhere", "/a/b", "../a/b", "a/b/c", "a b/c", "", ".a/b"])
def test_what_is_no_name_is_never_asked_for(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: pytest.fail("the Hub was asked"))
    if name == "":
        assert model_folder(name) == Path()  # the present folder, as everywhere
        return
    with pytest.raises(FileNotFoundError, match="there is no such folder"):
        model_folder(name)


def test_the_program_takes_a_name(monkeypatch):
    asked = {}

    def download(name, *, revision, allow_patterns):
        asked.update(name=name, revision=revision, patterns=allow_patterns)
        return str(WEIGHTS)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    models = Models("someone/voices")
    assert not asked, "brought when it is first needed"
    assert models.transcriber.facts["licence"] == "MIT"
    assert asked["name"] == "someone/voices"
    assert "model.safetensors" in asked["patterns"]
    assert not any("pkl" in pattern or "bin" in pattern for pattern in asked["patterns"])


class Api:
    """Keeps what would be taken to the Hub."""

    made: ClassVar[list[tuple]] = []
    files: ClassVar[dict[str, bytes]] = {}

    def __init__(self, token=None):
        self.token = token

    def create_repo(self, name, *, private, exist_ok):
        self.made.append((name, private, exist_ok, self.token))

    def upload_folder(self, *, repo_id, folder_path, commit_message):
        self.files.clear()
        self.files.update({path.name: path.read_bytes() for path in Path(folder_path).iterdir()})
        return huggingface_hub.CommitInfo(
            commit_url=f"https://huggingface.co/{repo_id}/commit/{COMMIT}",
            commit_message=commit_message,
            commit_description="",
            oid=COMMIT,
        )


@pytest.fixture
def api(monkeypatch):
    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    Api.made.clear()
    return Api


def test_what_is_taken_there_can_be_read_back(api, tmp_path):
    model = Transcriber.from_pretrained(WEIGHTS / "transcriber")
    address = model.push_to_hub("someone/voices", private=True, token="secret")
    assert address.endswith(COMMIT)
    assert api.made == [("someone/voices", True, True, "secret")]
    assert sorted(api.files) == ["README.md", "config.json", "model.safetensors"]
    for name, content in api.files.items():
        (tmp_path / name).write_bytes(content)
    again = Transcriber.from_pretrained(tmp_path)
    assert again.decoder == model.decoder != type(model.decoder)(), "the fitted decoder came along"
    assert all(torch.equal(a, b) for a, b in zip(again.parameters(), model.parameters(), strict=True))
    content = huggingface_hub.ModelCard(api.files["README.md"].decode())
    assert content.data.license == "mit"
    figures = {item.metric_type: item.metric_value for item in content.data.eval_results}
    assert figures["conpoff"] == model.facts["valid"]["conpoff"]


def test_a_card_of_ones_own_is_kept(api, tmp_path):
    (tmp_path / "config.json").write_text('{"kind": "transcriber"}', encoding="utf-8")
    (tmp_path / "secrets.txt").write_text("not for others", encoding="utf-8")
    (tmp_path / "README.md").write_text("---\nlicense: mit\n---\nMine.\n", encoding="utf-8")
    push_folder(tmp_path, "someone/voices")
    assert api.files["README.md"] == b"---\nlicense: mit\n---\nMine.\n"
    assert "secrets.txt" not in api.files, "nothing but the model leaves"


@pytest.mark.parametrize("name", ["voices", "../voices", "a/b/c"])
def test_names_that_the_hub_would_not_take(api, tmp_path, name):
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(HubError, match="expected owner/name"):
        push_folder(tmp_path, name)
    assert not api.made


def test_a_folder_without_a_model(api, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"config\.json is missing"):
        push_folder(tmp_path, "someone/voices")
    assert not api.made


def test_a_card_says_how_to_use_the_model():
    text = card({"kind": "transcriber", "licence": "MIT", "trained_on": "made voices"}, "someone/voices")
    assert "hummingface convert hum.wav --model someone/voices" in text
    assert "made voices" in text


@pytest.mark.parametrize("name", ["transcriber", "transcriber_made", "synthesizer", "piano", "partials"])
def test_every_card_that_ships_has_the_hubs_metadata(name):
    content = huggingface_hub.ModelCard((WEIGHTS / name / "README.md").read_text(encoding="utf-8"))
    assert content.data.license == "mit"
    assert content.data.library_name == "hummingface"


def test_the_transcribers_card_has_its_figures_twice_and_the_same():
    text = (WEIGHTS / "transcriber" / "README.md").read_text(encoding="utf-8")
    results = huggingface_hub.ModelCard(text).data.eval_results
    assert len(results) >= 6
    for item in results:
        assert f"{item.metric_value:.3f}".lstrip("0") in text.split("---\n", 2)[2], item
