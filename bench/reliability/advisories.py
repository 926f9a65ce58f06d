"""Compare the pinned versions with a downloaded advisory database, without a network.

The database is a zip file of advisories in the OSV format, such as the export of osv.dev for PyPI
(https://storage.googleapis.com/osv-vulnerabilities/PyPI/all.zip) or of the advisory database of PyPA. Exit code 1 if a
pinned version is affected. ``make audit`` asks the service of PyPI instead.

Reference: the Open Source Vulnerability format, https://ossf.github.io/osv-schema
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import zipfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version

MAX_ADVISORY_BYTES = 2**22


@dataclass(frozen=True)
class Finding:
    """An advisory that affects a pinned version."""

    name: str
    version: str
    advisory: str
    summary: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("database", type=Path, help="zip file of OSV advisories")
    parser.add_argument("--constraints", type=Path, default=Path("constraints.txt"), help="the pinned versions")


def run(arguments: argparse.Namespace) -> None:
    """Print the advisories that affect a pinned version."""
    try:
        pins = read_pins(arguments.constraints.read_text(encoding="utf-8"))
        advisories = list(read_advisories(arguments.database))
    except (OSError, zipfile.BadZipFile, ValueError) as error:
        sys.exit(f"the advisories cannot be compared: {error}")
    if not advisories:
        sys.exit(f"{arguments.database} has no advisories in the OSV format")
    findings = find_affected(pins, advisories)
    for finding in findings:
        print(f"{finding.name} {finding.version}: {finding.advisory} {finding.summary}")
    n_versions = sum(len(versions) for versions in pins.values())
    print(f"{n_versions} versions, {len(advisories)} advisories: {len(findings)} affected")
    if findings:
        sys.exit(1)


def read_pins(text: str) -> dict[str, set[str]]:
    """Read ``name==version`` lines: the versions of each package, by normalised name."""
    pins: dict[str, set[str]] = defaultdict(set)
    for line in text.splitlines():
        try:
            requirement = Requirement(line.partition("#")[0].strip())
        except InvalidRequirement:
            continue
        pins[normalise(requirement.name)] |= {pin.version for pin in requirement.specifier if pin.operator == "=="}
    return dict(pins)


def normalise(name: str) -> str:
    """Return the name of a package as PyPI compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_advisories(path: Path) -> Iterator[Mapping[str, Any]]:
    """Read the JSON files of a zip file that are advisories; withdrawn ones are left out.

    Raises
    ------
    OSError, zipfile.BadZipFile
        For a missing file, or one that is no zip file.
    ValueError
        For damaged JSON.
    """
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            if entry.filename.endswith(".json") and entry.file_size <= MAX_ADVISORY_BYTES:
                advisory = json.loads(archive.read(entry))
                if isinstance(advisory, dict) and "affected" in advisory and "withdrawn" not in advisory:
                    yield advisory


def find_affected(pins: Mapping[str, set[str]], advisories: list[Mapping[str, Any]]) -> list[Finding]:
    """Find the advisories that affect a pinned version, sorted by name."""
    findings = set()
    for advisory in advisories:
        for affected in advisory["affected"]:
            package = affected.get("package", {})
            if package.get("ecosystem") != "PyPI":
                continue
            name = normalise(str(package.get("name")))
            for version in pins.get(name, ()):
                if is_affected(version, affected):
                    findings.add(Finding(name, version, str(advisory.get("id")), str(advisory.get("summary", ""))))
    return sorted(findings, key=lambda finding: (finding.name, finding.version, finding.advisory))


def is_affected(version: str, affected: Mapping[str, Any]) -> bool:
    """Evaluate the versions and ranges of one affected package.

    Events of a range are evaluated in the order of their versions: "introduced" begins it, "fixed" ends it before that
    version, and "last_affected" after it.
    """
    if version in affected.get("versions", ()):
        return True
    tested = Version(version)
    for span in affected.get("ranges", ()):
        if span.get("type") != "ECOSYSTEM":
            continue
        inside = False
        for limit, kind in sorted(_events(span)):
            if kind == "introduced" and tested >= limit:
                inside = True
            elif (kind == "fixed" and tested >= limit) or (kind == "last_affected" and tested > limit):
                inside = False
        if inside:
            return True
    return False


def _events(span: Mapping[str, Any]) -> Iterator[tuple[Version, str]]:
    for event in span.get("events", ()):
        for kind, version in event.items():
            try:
                yield Version("0.dev0" if version == "0" else version), kind
            except InvalidVersion:  # older than the rules for versions: no pin is
                continue
