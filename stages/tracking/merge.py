"""Copy runs from one MLflow into another: parameters, metric histories, tags, artifacts and models.

``python -m stages.tracking.merge SOURCE... --into URI``. The tag ``merged.run_id`` of a copy is the id of the original
run, so that merging again copies only what is new: nothing is duplicated, and a run that was merged before it ended is
updated. Experiments keep their names; the runs of a sweep are nested below one run.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import unquote, urlsplit

from hf_model.config import mask_passwords
from stages import _run
from stages.tracking.client import (
    ARTIFACTS,
    DATABASES,
    DEFAULT_URI,
    absolute_uri,
    find_experiment,
    quiet_mlflow,
    reason,
    set_environment,
)
from stages.tracking.groups import nest_sweeps

ORIGIN_TAG = "merged.run_id"
"""Tag: the id of the original run, or of the original model."""

ARTIFACTS_TAG = "merged.artifacts"
"""Tag: a hash of all copied artifacts, so that they are not copied twice."""

MAX_METRICS, MAX_PARAMS = 500, 100
"""Entries that are sent together."""

EXAMPLES = """\
examples:
  python -m stages.tracking.merge data/scratch/sweeps/rates            # every mlflow.db below, into the mlflow.db here
  python -m stages.tracking.merge /scratch/me/hummingface --into http://127.0.0.1:5000
"""


class MergeError(RuntimeError):
    """A source that cannot be read, or a target that cannot be written; the message is one line."""


@dataclass
class MergeResult:
    """Numbers of new runs, updated runs, copied points of metrics and copied files."""

    new: int = 0
    updated: int = 0
    points: int = 0
    files: int = 0


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
                    copy = _RunCopy(source, target, source_uri, run, result)
                    copies[original_id(run)] = copy.copy_into(target_id, copies.get(original_id(run), ""))
                nest_sweeps(target, target_id)
    except Exception as error:
        known = ("mlflow.", "sqlalchemy.", "alembic.")
        if not (isinstance(error, OSError) or type(error).__module__.startswith(known)):
            raise
        raise MergeError(mask_passwords(f"{source_uri} into {target_uri}: {reason(error)}")) from error
    return result


def original_id(run: Any) -> str:
    """Return the id of a run where it was tracked first."""
    return str(run.data.tags.get(ORIGIN_TAG, run.info.run_id))


@dataclass
class _RunCopy:
    """The copying of one run."""

    source: Any
    target: Any
    source_uri: str
    run: Any
    result: MergeResult

    def copy_into(self, experiment_id: str, run_id: str) -> str:
        """Copy the run, or update the existing copy ``run_id``; returns the id of the copy."""
        before = vars(self.result).copy()
        is_new = not run_id
        if is_new:
            # The tag is set with the creation: if this process is killed, the next merge finds the copy.
            info = self.run.info
            tags = {name: value for name, value in self.run.data.tags.items() if name != ARTIFACTS_TAG}
            tags[ORIGIN_TAG] = original_id(self.run)
            created = self.target.create_run(
                experiment_id, start_time=info.start_time, tags=tags, run_name=info.run_name
            )
            run_id = created.info.run_id
        copy = self.target.get_run(run_id)
        changed = self._copy_parameters_and_tags(copy)
        self._copy_inputs(copy)
        self._copy_metrics(copy)
        self._copy_artifacts(copy)
        changed |= self._copy_models(copy)
        changed |= self._copy_status(copy)
        self.result.new += is_new
        self.result.updated += not is_new and (changed or before != vars(self.result))
        return str(run_id)

    def _copy_parameters_and_tags(self, copy: Any) -> bool:
        from mlflow.entities import Param, RunTag

        params = [Param(k, v) for k, v in self.run.data.params.items() if k not in copy.data.params]
        tags = [
            RunTag(k, v)
            for k, v in self.run.data.tags.items()
            if copy.data.tags.get(k) != v and k not in (ORIGIN_TAG, ARTIFACTS_TAG)
        ]
        for start in range(0, max(len(params), len(tags)), MAX_PARAMS):
            part = slice(start, start + MAX_PARAMS)
            self.target.log_batch(copy.info.run_id, params=params[part], tags=tags[part])
        return bool(params or tags)

    def _copy_inputs(self, copy: Any) -> None:
        """Copy the data sets of the run that the copy lacks."""
        known = {one.dataset.digest for one in copy.inputs.dataset_inputs}
        missing = [one for one in self.run.inputs.dataset_inputs if one.dataset.digest not in known]
        if missing:
            self.target.log_inputs(copy.info.run_id, missing)

    def _copy_metrics(self, copy: Any) -> None:
        """Copy the missing points of all metrics, with their steps and times."""
        from mlflow.entities import Metric

        missing = []
        for name in self.run.data.metrics:
            known = set()
            if name in copy.data.metrics:
                known = {_point(one) for one in self.target.get_metric_history(copy.info.run_id, name)}
            history = self.source.get_metric_history(self.run.info.run_id, name)
            missing += [one for one in history if _point(one) not in known]
        metrics = [Metric(one.key, one.value, one.timestamp, one.step) for one in missing]
        for start in range(0, len(metrics), MAX_METRICS):
            self.target.log_batch(copy.info.run_id, metrics=metrics[start : start + MAX_METRICS])
        self.result.points += len(metrics)

    def _copy_artifacts(self, copy: Any) -> None:
        folder = self._local_folder(self.run.info.artifact_uri)
        if folder is None:
            return
        files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
        digest = _digest(files)
        if not files or copy.data.tags.get(ARTIFACTS_TAG) == digest:
            return
        for name, path in files.items():
            parent = Path(name).parent.as_posix()
            self.target.log_artifact(copy.info.run_id, str(path), None if parent == "." else parent)
        self.result.files += len(files)
        self.target.set_tag(copy.info.run_id, ARTIFACTS_TAG, digest)

    def _copy_models(self, copy: Any) -> bool:
        """Copy the logged models of the run, so that the target can serve them."""
        from mlflow.entities import LoggedModelOutput

        outputs = self.run.outputs.model_outputs if self.run.outputs else []
        known = {
            self.target.get_logged_model(one.model_id).tags.get(ORIGIN_TAG)
            for one in (copy.outputs.model_outputs if copy.outputs else [])
        }
        changed = False
        for one in outputs:
            model = self.source.get_logged_model(one.model_id)
            original = model.tags.get(ORIGIN_TAG, model.model_id)
            folder = self._local_folder(model.artifact_location)
            if original in known or folder is None or model.status != "READY":
                continue
            changed = True
            created = self.target.create_logged_model(
                copy.info.experiment_id,
                model.name,
                source_run_id=copy.info.run_id,
                tags={**model.tags, ORIGIN_TAG: original},
                params=model.params,
                model_type=model.model_type,
            )
            self.target.log_model_artifacts(created.model_id, str(folder))
            ids = {one.model_id: created.model_id, self.run.info.run_id: copy.info.run_id}
            self._replace_ids(created.model_id, folder, ids)
            self.target.finalize_logged_model(created.model_id, "READY")
            self.target.log_outputs(copy.info.run_id, [LoggedModelOutput(created.model_id, one.step)])
            self.result.files += sum(path.is_file() for path in folder.rglob("*"))
        return changed

    def _replace_ids(self, model_id: str, folder: Path, ids: dict[str, str]) -> None:
        """Replace the ids of model and run in the model's description: MLflow looks them up there."""
        if not (folder / "MLmodel").is_file():
            return
        text = (folder / "MLmodel").read_text(encoding="utf-8")
        for old, new in ids.items():
            text = text.replace(old, new)
        with TemporaryDirectory() as scratch:
            path = Path(scratch) / "MLmodel"
            path.write_text(text, encoding="utf-8")
            self.target.log_model_artifact(model_id, str(path))

    def _copy_status(self, copy: Any) -> bool:
        info = self.run.info
        if (info.status, info.end_time) == (copy.info.status, copy.info.end_time):
            return False
        if info.end_time is None:
            self.target.update_run(copy.info.run_id, info.status)
        else:
            self.target.set_terminated(copy.info.run_id, info.status, info.end_time)
        return True

    def _local_folder(self, uri: str) -> Path | None:
        """Return a folder with artifacts: on this disk, in the folder of a moved database, or downloaded."""
        parts = urlsplit(uri)
        if parts.scheme not in ("", "file"):
            import mlflow

            return Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, tracking_uri=self.source_uri))
        written = Path(unquote(parts.path))
        if written.is_dir():
            return written
        database = Path(self.source_uri.removeprefix("sqlite:///"))
        _, found, rest = str(written).rpartition(f"/{ARTIFACTS}/")
        moved = database.with_name(ARTIFACTS) / rest
        return moved if found and moved.is_dir() else None


def _search_runs(client: Any, experiment_id: str) -> Iterator[Any]:
    token = None
    while True:
        page = client.search_runs([experiment_id], max_results=1000, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _point(metric: Any) -> tuple[int, int, str]:
    return metric.step, metric.timestamp, repr(float(metric.value))


def _digest(files: dict[str, Path]) -> str:
    digest = hashlib.sha256()
    for name, path in files.items():
        with path.open("rb") as file:
            digest.update(f"{name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    return digest.hexdigest()


if __name__ == "__main__":
    _run.main(main)
