"""Bring runs home: ``python -m stages.merge DB_OR_FOLDER... --into URI`` copies them into one MLflow."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from stages import _run
from stages._merge import find, merge
from stages._mlflow import DEFAULT_URI

EXAMPLES = """\
examples:
  python -m stages.merge data/scratch/sweeps/rates                 # every mlflow.db below, into the mlflow.db here
  python -m stages.merge /scratch/me/hummingface --into http://127.0.0.1:5000
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m stages.merge",
        description="Copy MLflow runs into one place. Again adds what is new, and doubles nothing.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", nargs="+", help="an mlflow.db, a folder to search for them, or the URI of a server")
    parser.add_argument("--into", default=DEFAULT_URI, metavar="URI", help="default: %(default)s")
    options = parser.parse_args(arguments)
    sources = [uri for source in options.source for uri in find(source)]
    for number, uri in enumerate(sources, 1):
        done = merge(uri, options.into)
        told = f"{done.new} runs new, {done.updated} brought up to date, {done.points} points, {done.files} files"
        print(f"{number}/{len(sources)} {uri}: {told}", flush=True)


if __name__ == "__main__":
    _run.main(main)
