"""List of components (SBOM, CycloneDX 1.6): the installed packages that the program needs, and the weights.

``python -m bench.reliability.sbom --extra app --out sbom.json``. Scanners for known vulnerabilities read it.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any
from urllib.parse import quote

from hf_model import __version__
from hf_model.files import file_sha256, write_json
from hf_model.weights import WEIGHTS, read_config

NAME = "hummingface"
_REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*)\s*(?:\[(?P<extras>[^\]]*)\])?[^;]*(?:;(?P<marker>.*))?")


def components(extras: Iterable[str] = ()) -> dict[str, Any]:
    """List the components of this installation.

    Parameters
    ----------
    extras : iterable of str
        Of the package: "app", "train", ...

    Returns
    -------
    dict
        CycloneDX 1.6; the same installation gives the same content.

    Raises
    ------
    PackageNotFoundError
        If the package is not installed.
    """
    packages = [_package(found) for found in _needed(extras)]
    own = {"type": "application", "name": NAME, "version": __version__, "purl": _purl(NAME, __version__)}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {**own, "bom-ref": NAME, "licenses": [{"license": {"id": "MIT"}}]}},
        "components": sorted([*packages, *_weights()], key=lambda component: str(component["bom-ref"])),
    }


def _needed(extras: Iterable[str]) -> list[Distribution]:
    """Find the installed distributions that the package needs, directly or not."""
    found: dict[str, Distribution] = {}
    waiting = [(NAME, frozenset(extras))]
    seen = set()
    while waiting:
        name, wanted = waiting.pop()
        if (name, wanted) in seen:
            continue
        seen.add((name, wanted))
        try:
            package = distribution(name)
        except PackageNotFoundError:  # for another platform or another Python
            if name == NAME:
                raise
            continue
        if name != NAME:
            found[name] = package
        for requirement in package.requires or []:
            parts = _REQUIREMENT.match(requirement)
            if parts and _applies(parts["marker"] or "", wanted):
                own = frozenset(filter(None, re.split(r"[,\s]+", parts["extras"] or "")))
                waiting.append((_normalized(parts["name"]), own))
    return list(found.values())


def _applies(marker: str, extras: frozenset[str]) -> bool:
    """Whether a requirement belongs to the extras; other conditions hold if the package is installed."""
    named = re.findall(r"extra\s*==\s*['\"]([^'\"]+)['\"]", marker)
    return not named or any(name in extras for name in named)


def _package(package: Distribution) -> dict[str, Any]:
    name, licence = _normalized(package.metadata["Name"]), _licence(package)
    component = {
        "type": "library",
        "bom-ref": f"{name}@{package.version}",
        "name": name,
        "version": package.version,
        "purl": _purl(name, package.version),
    }
    return {**component, "licenses": [{"license": {"name": licence}}]} if licence else component


def _licence(package: Distribution) -> str:
    metadata: Any = package.metadata
    classifiers = [line.rpartition(" :: ")[2] for line in metadata.get_all("Classifier") or [] if "License ::" in line]
    text = metadata.get("License-Expression") or ", ".join(classifiers) or metadata.get("License") or ""
    return str(text).strip().partition("\n")[0][:100]


def _weights() -> list[dict[str, Any]]:
    found = []
    paths = [path for config in WEIGHTS.glob("*/config.json") for path in config.parent.iterdir()]
    for path in sorted(paths):
        if path.name in ("config.json", "README.md") or not path.is_file():
            continue
        name = f"weights/{path.parent.name}" + ("" if path.suffix == ".safetensors" else f"/{path.name}")
        component = {
            "type": "machine-learning-model",
            "bom-ref": name,
            "name": name,
            "version": __version__,
            "hashes": [{"alg": "SHA-256", "content": file_sha256(path)}],
        }
        licence = read_config(path.parent).get("licence")
        found.append({**component, "licenses": [{"license": {"name": str(licence)}}]} if licence else component)
    return found


def _normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _purl(name: str, version: str) -> str:
    return f"pkg:pypi/{name}@{quote(version)}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the list: ``python -m bench.reliability.sbom``."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.reliability.sbom", description="Write the list of components."
    )
    parser.add_argument("--extra", action="append", default=[], help="of the package; may be repeated")
    parser.add_argument("--out", type=Path, default=Path("sbom.json"))
    chosen = parser.parse_args(arguments)
    content = components(chosen.extra)
    write_json(chosen.out, content)
    sys.stdout.write(f"{chosen.out}: {len(content['components'])} components\n")


if __name__ == "__main__":
    main()
