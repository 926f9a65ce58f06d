"""Copy runs from one MLflow into another: parameters, metric histories, tags, artifacts and models.

``python -m stages.tracking.merge SOURCE... --into URI``. The tag ``merged.run_id`` of a copy is the id of the original
run, so that merging again copies only what is new: nothing is duplicated, and a run that was merged before it ended is
updated. Experiments keep their names; the runs of a sweep are nested below one run.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hf_model.config import mask_passwords
from stages import _run
from stages.tracking.client import (
    DATABASES,
    DEFAULT_URI,
    absolute_uri,
    find_experiment,
    quiet_mlflow,
    reason,
    set_environment,
)
from stages.tracking.groups import nest_sweeps
from stages.tracking.run_copy import MergeResult, RunCopy, original_id

EXAMPLES = """\
examples:
  python -m stages.tracking.merge data/scratch/sweeps/rates            # every mlflow.db below, into the mlflow.db here
  python -m stages.tracking.merge /scratch/me/hummingface --into http://127.0.0.1:5000
"""


class MergeError(RuntimeError):
    """A source that cannot be read, or a target that cannot be written; the message is one line."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m stages.tracking.merge",
        description="Copy MLflow runs into one place. Running it again copies only what is new.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("source", nargs="+", help="an mlflow.db, a folder to search for them, or the URI of a server")
    parser.add_argument("--into", default=DEFAULT_URI, metavar="URI", help="default: %(default)s")
    options = parser.parse_args(arguments)
    sources = [uri for source in options.source for uri in find_uris(source)]
    for number, uri in enumerate(sources, 1):
        result = merge(uri, options.into)
        summary = f"{result.new} new runs, {result.updated} updated, {result.points} points, {result.files} files"
        print(f"{number}/{len(sources)} {mask_passwords(uri)}: {summary}", flush=True)


def find_uris(source: str) -> list[str]:
    """List the tracking URIs of a source: a URI, a database file, or a folder that is searched for databases.

    Raises
    ------
    MergeError
        If there are none.
    """
    if source.startswith(DATABASES):
        path = Path(source.removeprefix("sqlite:///"))
        if source.startswith("sqlite:") and not path.is_file():
            raise MergeError(f"{source}: {path} does not exist")
        return [source]
    path = Path(source)
    found = sorted(path.rglob("mlflow.db")) if path.is_dir() else [path] if path.is_file() else []
    if not found:
        raise MergeError(f"{source}: no mlflow.db there")
    return [absolute_uri(f"sqlite:///{one}") for one in found]


def merge(source_uri: str, target_uri: str) -> MergeResult:
    """Copy every run of one tracking URI into another, or the new parts of it.

    Raises
    ------
    MergeError
        If either cannot be used, or both are the same.
    """
    if not target_uri.startswith(DATABASES):
        shown = mask_passwords(target_uri)
        raise MergeError(f"--into is {shown!r}, allowed is an MLflow server or sqlite:///FILE")
    source_uri, target_uri = absolute_uri(source_uri), absolute_uri(target_uri)
    if source_uri == target_uri:
        raise MergeError(f"{source_uri}: source and target are the same; merge into another one")
    set_environment()
    import mlflow

    result = MergeResult()
    try:
        with quiet_mlflow():
            source, target = mlflow.MlflowClient(source_uri), mlflow.MlflowClient(target_uri)
            for experiment in source.search_experiments():
                runs = list(_search_runs(source, experiment.experiment_id))
                if not runs:
                    continue
                target_id = find_experiment(target, experiment.name, target_uri)
                copies = {original_id(one): one.info.run_id for one in _search_runs(target, target_id)}
                for run in runs:
                    copy = RunCopy(source, target, source_uri, run, result)
                    copies[original_id(run)] = copy.copy_into(target_id, copies.get(original_id(run), ""))
                nest_sweeps(target, target_id)
    except Exception as error:
        known = ("mlflow.", "sqlalchemy.", "alembic.")
        if not (isinstance(error, OSError) or type(error).__module__.startswith(known)):
            raise
        raise MergeError(mask_passwords(f"{source_uri} into {target_uri}: {reason(error)}")) from error
    return result


def _search_runs(client: Any, experiment_id: str) -> Iterator[Any]:
    token = None
    while True:
        page = client.search_runs([experiment_id], max_results=1000, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


if __name__ == "__main__":
    _run.main(main)
