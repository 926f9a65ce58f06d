"""The images of the page: what their Dockerfiles say. No engine builds them here."""

from __future__ import annotations

import fnmatch
import json
import re
import shlex
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from bench.speed.container import read_dockerfile
from hf_model.app import routes
from hf_model.cli.parser import build_parser

ROOT = Path(__file__).resolve().parents[1]
IMAGES = {"Dockerfile": ROOT / "Dockerfile", "space": ROOT / "space" / "Dockerfile"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(params=IMAGES)
def instructions(request: pytest.FixtureRequest) -> list[tuple[str, str]]:
    return read_dockerfile(IMAGES[request.param])


def last_stage(instructions: list[tuple[str, str]]) -> list[tuple[str, str]]:
    first = max(at for at, (name, _) in enumerate(instructions) if name == "FROM")
    return instructions[first:]


def test_base_images_name_a_version(instructions) -> None:
    bases = [arguments.split()[0] for name, arguments in instructions if name == "FROM"]
    assert bases
    assert all(re.fullmatch(r"python:3\.1[123]-slim-\w+", base) for base in bases)


def test_the_server_is_not_root(instructions) -> None:
    users = [arguments for name, arguments in last_stage(instructions) if name == "USER"]
    assert users
    assert int(users[-1]) >= 1000
    after = [name for name, _ in instructions[instructions.index(("USER", users[-1])) :]]
    assert "RUN" not in after
    assert "COPY" not in after


def test_only_the_page_is_installed_and_pinned(instructions) -> None:
    installed = [one for name, one in instructions if name == "RUN" and "pip install" in one]
    assert len(installed) == 1
    assert re.search(r"-c \S*constraints\.txt", installed[0])
    assert re.findall(r"\[([a-z,]+)\]", installed[0]) == ["app"]


def test_the_command_is_accepted_and_its_port_is_exposed(instructions) -> None:
    final = dict(last_stage(instructions))
    command = json.loads(final.get("ENTRYPOINT") or final["CMD"])
    options = build_parser().parse_args(command[1:])
    assert (command[0], options.host, str(options.port)) == ("hummingface", "0.0.0.0", final["EXPOSE"])


def test_the_health_check_asks_an_existing_route() -> None:
    check = dict(last_stage(read_dockerfile(IMAGES["Dockerfile"])))["HEALTHCHECK"]
    program = json.loads(check[check.index("[") :])[2]
    compile(program, "health check", "exec")
    assert "'127.0.0.1', 7860" in program
    assert "'GET', '/health'" in program
    assert '"/health"' in Path(routes.__file__).read_text(encoding="utf-8")


def test_what_is_copied_exists_and_is_not_ignored() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split("\n")
    kept = [line[1:] for line in ignored if line.startswith("!")]
    for name, arguments in read_dockerfile(IMAGES["Dockerfile"]):
        if name == "COPY" and "--from" not in arguments:
            for source in shlex.split(arguments)[:-1]:
                assert (ROOT / source).exists(), source
                assert any(fnmatch.fnmatch(source, pattern) for pattern in kept), source


def closure(names: set[str]) -> set[str]:
    """Return the distributions with all that they require on this machine."""
    found: set[str] = set()
    while names:
        name = names.pop()
        found.add(name)
        try:
            needed = map(Requirement, requires(name) or ())
        except PackageNotFoundError:  # of other systems only
            continue
        names |= {canonicalize_name(one.name) for one in needed if not one.marker or one.marker.evaluate({"extra": ""})}
        names -= found
    return found


def test_neither_torch_nor_the_pipeline_is_in_an_image() -> None:
    extras = PROJECT["optional-dependencies"]
    texts = [*PROJECT["dependencies"], *extras["app"], *extras["score"]]
    names = {canonicalize_name(Requirement(text).name) for text in texts} - {"hummingface"}
    everything = closure(names)
    assert {"onnxruntime", "starlette", "music21"} <= everything
    assert not everything & {"torch", "scipy", "dvc", "mlflow", "pytorch-lightning", "pytest"}


def test_the_space_serves_the_port_of_its_card() -> None:
    card = (ROOT / "space" / "README.md").read_text(encoding="utf-8")
    assert re.search(r"^sdk: docker$", card, re.MULTILINE)
    assert re.search(r"^app_port: (\d+)$", card, re.MULTILINE)[1] == dict(read_dockerfile(IMAGES["space"]))["EXPOSE"]
