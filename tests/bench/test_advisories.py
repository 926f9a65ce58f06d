"""The comparison of pinned versions with advisories."""

from __future__ import annotations

import argparse
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from bench.reliability import advisories

AFFECTED = {
    "package": {"ecosystem": "PyPI", "name": "Some_Package"},
    "ranges": [
        {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.4"}, {"introduced": "2.0rc1"}]},
        {"type": "ECOSYSTEM", "events": [{"introduced": "1.7"}, {"last_affected": "1.8"}]},
        {"type": "GIT", "events": [{"introduced": "0"}]},
    ],
    "versions": ["1.5.post1"],
}


@pytest.mark.parametrize(
    ("version", "is_affected"),
    [
        ("0.1", True),
        ("1.4rc1", True),
        ("1.4", False),
        ("1.5.post1", True),
        ("1.6", False),
        ("1.7", True),
        ("1.8", True),
        ("1.8.1", False),
        ("2.0b1", False),
        ("2.0", True),
        ("10.0", True),
    ],
)
def test_versions_in_ranges(version: str, is_affected: bool) -> None:
    assert advisories.is_affected(version, AFFECTED) == is_affected


def test_pins_of_several_platforms() -> None:
    text = (
        "# comment\nSome.Package==1.0 ; python_version < '3.12'\nsome-package==1.9 ; python_version >= '3.12'\n-e .\n"
    )
    assert advisories.read_pins(text) == {"some-package": {"1.0", "1.9"}}


def _run(folder: Path, pins: str, entries: dict[str, Any]) -> None:
    with zipfile.ZipFile(folder / "all.zip", "w") as archive:
        for name, entry in entries.items():
            archive.writestr(name, json.dumps(entry))
    (folder / "pins.txt").write_text(pins)
    advisories.run(argparse.Namespace(database=folder / "all.zip", constraints=folder / "pins.txt"))


def test_an_affected_version_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entries = {
        "OSV-1.json": {"id": "OSV-1", "summary": "reads any file", "affected": [AFFECTED]},
        "OSV-2.json": {"id": "OSV-2", "affected": [AFFECTED], "withdrawn": "2026-01-01T00:00:00Z"},
        "OSV-3.json": {
            "id": "OSV-3",
            "affected": [{**AFFECTED, "package": {"ecosystem": "npm", "name": "some-package"}}],
        },
    }
    with pytest.raises(SystemExit) as stopped:
        _run(tmp_path, "some-package==1.2\nother==1.2\n", entries)
    assert stopped.value.code == 1
    assert capsys.readouterr().out.splitlines() == [
        "some-package 1.2: OSV-1 reads any file",
        "2 versions, 2 advisories: 1 affected",
    ]


def test_no_affected_version(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _run(tmp_path, "some-package==1.6\n", {"OSV-1.json": {"id": "OSV-1", "affected": [AFFECTED]}})
    assert capsys.readouterr().out == "1 versions, 1 advisories: 0 affected\n"


@pytest.mark.parametrize("content", [b"", b"no zip file", b"PK\x05\x06" + bytes(18)])
def test_a_database_without_advisories(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "all.zip").write_bytes(content)
    (tmp_path / "pins.txt").write_text("numpy==2.0\n")
    with pytest.raises(SystemExit, match=r"cannot be compared|has no advisories"):
        advisories.run(argparse.Namespace(database=tmp_path / "all.zip", constraints=tmp_path / "pins.txt"))
