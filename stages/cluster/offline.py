"""Packages and corpora for nodes without internet: ``python -m stages.cluster.offline FOLDER``, on a machine with it.

Writes the packages for the nodes' Python, at the versions of constraints.txt, to ``FOLDER/wheels``, and the corpora of
params.yaml to ``FOLDER/mirror``. The nodes need that folder and this repository; the command prints how to use it.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from hf_model.config import ConfigError, check_choice
from hf_model.corpora.catalogue import DownloadSettings
from hf_model.corpora.download import MIRROR_VARIABLE, download
from stages import _run

CONSTRAINTS = Path("constraints.txt")
EXTRAS = ("train", "pipeline")
PLATFORM = "manylinux_2_28_x86_64"
"""Platform of the nodes; pip also accepts wheels for older ones."""

OLDER = ("manylinux_2_27_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64", "linux_x86_64")
TORCH_INDEX = "https://download.pytorch.org/whl/"
EXAMPLES = """\
examples:
  python -m stages.cluster.offline /scratch/me/offline --torch cu128                  # everything for dvc repro
  python -m stages.cluster.offline /scratch/me/offline --extra train --python 3.12    # everything for a training
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    parser = argparse.ArgumentParser(
        prog="python -m stages.cluster.offline",
        description="Fetch packages and corpora into a folder, for nodes without internet.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, help="on a disk that the nodes share")
    parser.add_argument("--extra", default="pipeline", help=f"extra to install: {', '.join(EXTRAS)} (%(default)s)")
    parser.add_argument("--python", default=here, help="Python of the nodes, 3.11-3.13 (%(default)s)")
    parser.add_argument("--torch", default="", metavar="BUILD", help="build in PyTorch's index: cpu, cu126, cu128, ...")
    parser.add_argument("--corpora", nargs="*", metavar="NAME", help="instead of those in params.yaml")
    parser.add_argument("--no-wheels", action="store_true", help="only corpora")
    parser.add_argument("--no-data", action="store_true", help="only packages")
    options = parser.parse_args(arguments)
    check_choice("--extra", options.extra, EXTRAS)
    check_choice("--python", options.python, ("3.11", "3.12", "3.13"))
    folder = options.folder.resolve()
    if not options.no_wheels:
        download_wheels(folder / "wheels", f".[{options.extra}]", options.python, options.torch)
    if not options.no_data:
        download_corpora(folder / "mirror", options.corpora)
    print(f"\nOn the nodes, in this repository, with Python {options.python}:")
    print(f"  python -m pip install --no-index --find-links {shlex.quote(str(folder / 'wheels'))} \\")
    print(f"      -c {CONSTRAINTS} 'hummingface[{options.extra}]'")
    print(f"  export {MIRROR_VARIABLE}={shlex.quote(str(folder / 'mirror'))}")


def download_wheels(folder: Path, project: str, python: str, torch: str = "") -> None:
    """Build a project's wheel and download its dependencies, at the versions of constraints.txt.

    Parameters
    ----------
    folder : Path
        Existing wheels are not downloaded again.
    project : str
        Folder with a pyproject.toml, and extras: ".[train]".
    python : str
        Python version of the nodes.
    torch : str
        Build in PyTorch's own index; empty for PyPI, or the machine's find-links.

    Raises
    ------
    ConfigError
        When pip fails.
    """
    folder.mkdir(parents=True, exist_ok=True)
    source, _, extras = project.partition("[")
    _pip("wheel", "--no-deps", "--wheel-dir", str(folder), source)
    name = tomllib.loads(Path(source, "pyproject.toml").read_text(encoding="utf-8"))["project"]["name"]
    # The path, not the name: a package of the same name may exist on an index.
    own = str(max(folder.glob(f"{name}-*.whl"), key=lambda path: path.stat().st_mtime))
    platforms = [word for one in (PLATFORM, *OLDER) for word in ("--platform", one)]
    index = ["--extra-index-url", TORCH_INDEX + torch] if torch else []
    _pip(
        "download", "--only-binary=:all:", "--python-version", python, *platforms, *index, "--find-links", str(folder),
        "--constraint", str(CONSTRAINTS), "--dest", str(folder), f"{own}[{extras}" if extras else own,
    )  # fmt: skip
    found = list(folder.glob("*.whl"))
    print(f"{folder}: {len(found)} wheels, {sum(path.stat().st_size for path in found) / 1e6:,.0f} MB")


def download_corpora(folder: Path, corpora: Sequence[str] | None = None) -> None:
    """Download corpora into the layout of a mirror; by default those of params.yaml."""
    settings = _run.settings("download", DownloadSettings)
    if corpora is not None:
        settings = DownloadSettings(tuple(corpora), settings.accept_license)
    with _run.output(folder) as partial:
        for name, result in download(settings, partial, cache=folder.with_name("downloads")).items():
            print(f"{folder / name}: {result.files} files, {result.bytes / 1e6:.1f} MB")


def _pip(*words: str) -> None:
    """Call pip; an environment made by uv has none, then that of its base Python."""
    python = sys.executable if find_spec("pip") else getattr(sys, "_base_executable", sys.executable)
    command = [python, "-m", "pip", "--disable-pip-version-check", *words]
    if subprocess.run(command, check=False).returncode:
        raise ConfigError(f"pip {words[0]} failed, see its output above; finished downloads are kept, so try again")


if __name__ == "__main__":
    _run.main(main)
