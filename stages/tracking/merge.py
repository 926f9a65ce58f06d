"""Runs copied from one MLflow into another: parameters, curves with their steps and times, tags, artifacts, models.

A run remembers where it came from in the tag ``merged.run_id``, so that merging again adds only what is new: nothing is
doubled, and what was merged while it still ran is brought up to date. Experiments keep their names.
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

from stages import _run
from stages.tracking.client import ARTIFACTS, DATABASES, DEFAULT_URI, absolute, experiment_id, hushed, keep_calm

FROM = "merged.run_id"
"""Tag: the run's id where it was tracked first."""

FILES = "merged.artifacts"
"""Tag: a hash of all artifacts that were copied, so that they are not copied twice."""

BATCH = 500


class MergeError(RuntimeError):
    """A source that cannot be read, or a place that cannot be written; one line."""


@dataclass
class Merged:
    """What a merge did."""

    new: int = 0
    updated: int = 0
    points: int = 0
    files: int = 0


def find(source: str) -> list[str]:
    """List the tracking URIs that an argument means.

    Raises
    ------
    MergeError
        If there is nothing there.
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
    return [absolute(f"sqlite:///{one}") for one in found]


def merge(source: str, into: str) -> Merged:
    """Copy every run of one tracking URI into another, or what is new of it.

    Raises
    ------
    MergeError
        If either cannot be used, or both are the same.
    """
    if not into.startswith(DATABASES):
        raise MergeError(f"--into is {into!r}, allowed is an MLflow server or sqlite:///FILE")
    source, into = absolute(source), absolute(into)
    if source == into:
        raise MergeError(f"{source}: is what it would be merged into; merge into another one")
    keep_calm()
    import mlflow

    done = Merged()
    try:
        with hushed():
            here, there = mlflow.MlflowClient(source), mlflow.MlflowClient(into)
            for experiment in here.search_experiments():
                known = None
                for run in _runs(here, experiment.experiment_id):
                    if known is None:
                        home = experiment_id(there, experiment.name, into)
                        known = {origin(one): one.info.run_id for one in _runs(there, home)}
                    copy = _Copy(here, there, source, run, done)
                    known[origin(run)] = copy.to(known.get(origin(run), ""), home)
    except Exception as error:
        if not type(error).__module__.startswith(("mlflow.", "sqlalchemy.")):
            raise
        raise MergeError(f"{source} into {into}: {' '.join(str(error).split())[:300]}") from error
    return done


def origin(run: Any) -> str:
    """Give the id that a run had where it was tracked first."""
    return str(run.data.tags.get(FROM, run.info.run_id))


@dataclass
class _Copy:
    """One run on its way."""

    here: Any
    there: Any
    source: str
    run: Any
    done: Merged

    def to(self, run_id: str, home: str) -> str:
        """Bring it into an experiment, or bring what is there up to date; its id there."""
        before = vars(self.done).copy()
        is_new = not run_id
        if is_new:
            # The tag comes with the run: a merge that is killed here finds it again.
            info = self.run.info
            tags = {name: value for name, value in self.run.data.tags.items() if name != FILES} | {
                FROM: origin(self.run)
            }
            created = self.there.create_run(home, start_time=info.start_time, tags=tags, run_name=info.run_name)
            run_id = created.info.run_id
        target = self.there.get_run(run_id)
        changed = self._parameters_and_tags(target)
        self._points(target)
        self._artifacts(target)
        changed |= self._models(target)
        changed |= self._status(target)
        self.done.new += is_new
        self.done.updated += not is_new and (changed or before != vars(self.done))
        return str(run_id)

    def _parameters_and_tags(self, target: Any) -> bool:
        from mlflow.entities import Param, RunTag

        params = [Param(k, v) for k, v in self.run.data.params.items() if k not in target.data.params]
        tags = [
            RunTag(k, v)
            for k, v in self.run.data.tags.items()
            if target.data.tags.get(k) != v and k not in (FROM, FILES)
        ]
        for start in range(0, max(len(params), len(tags)), 100):
            part = slice(start, start + 100)
            self.there.log_batch(target.info.run_id, params=params[part], tags=tags[part])
        return bool(params or tags)

    def _points(self, target: Any) -> None:
        """Add the points of all curves that are not there yet, with their steps and times."""
        missing = []
        for name in self.run.data.metrics:
            there = set()
            if name in target.data.metrics:
                there = {_point(one) for one in self.there.get_metric_history(target.info.run_id, name)}
            history = self.here.get_metric_history(self.run.info.run_id, name)
            missing += [one for one in history if _point(one) not in there]
        from mlflow.entities import Metric

        metrics = [Metric(one.key, one.value, one.timestamp, one.step) for one in missing]
        for start in range(0, len(metrics), BATCH):
            self.there.log_batch(target.info.run_id, metrics=metrics[start : start + BATCH])
        self.done.points += len(metrics)

    def _artifacts(self, target: Any) -> None:
        folder = self._local(self.run.info.artifact_uri)
        if folder is None:
            return
        files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
        digest = _digest(files)
        if not files or target.data.tags.get(FILES) == digest:
            return
        for name, path in files.items():
            parent = Path(name).parent.as_posix()
            self.there.log_artifact(target.info.run_id, str(path), None if parent == "." else parent)
        self.done.files += len(files)
        self.there.set_tag(target.info.run_id, FILES, digest)

    def _models(self, target: Any) -> bool:
        """Bring the models that the run logged, so that they are served there too."""
        from mlflow.entities import LoggedModelOutput

        outputs = self.run.outputs.model_outputs if self.run.outputs else []
        known = {
            self.there.get_logged_model(one.model_id).tags.get(FROM)
            for one in (target.outputs.model_outputs if target.outputs else [])
        }
        brought = False
        for one in outputs:
            model = self.here.get_logged_model(one.model_id)
            first = model.tags.get(FROM, model.model_id)
            folder = self._local(model.artifact_location)
            if first in known or folder is None or model.status != "READY":
                continue
            brought = True
            copy = self.there.create_logged_model(
                target.info.experiment_id,
                model.name,
                source_run_id=target.info.run_id,
                tags={**model.tags, FROM: first},
                params=model.params,
                model_type=model.model_type,
            )
            self.there.log_model_artifacts(copy.model_id, str(folder))
            self._rename(copy.model_id, folder, {one.model_id: copy.model_id, self.run.info.run_id: target.info.run_id})
            self.there.finalize_logged_model(copy.model_id, "READY")
            self.there.log_outputs(target.info.run_id, [LoggedModelOutput(copy.model_id, one.step)])
            self.done.files += sum(path.is_file() for path in folder.rglob("*"))
        return brought

    def _rename(self, model_id: str, folder: Path, names: dict[str, str]) -> None:
        """Let the description of a model call it and its run as they are called there: MLflow looks them up."""
        if not (folder / "MLmodel").is_file():
            return
        text = (folder / "MLmodel").read_text(encoding="utf-8")
        for old, new in names.items():
            text = text.replace(old, new)
        with TemporaryDirectory() as scratch:
            path = Path(scratch) / "MLmodel"
            path.write_text(text, encoding="utf-8")
            self.there.log_model_artifact(model_id, str(path))

    def _status(self, target: Any) -> bool:
        info = self.run.info
        if (info.status, info.end_time) == (target.info.status, target.info.end_time):
            return False
        if info.end_time is None:
            self.there.update_run(target.info.run_id, info.status)
        else:
            self.there.set_terminated(target.info.run_id, info.status, info.end_time)
        return True

    def _local(self, uri: str) -> Path | None:
        """Find artifacts on this disk, where they were written or beside a database that was moved; else fetch them."""
        parts = urlsplit(uri)
        if parts.scheme not in ("", "file"):
            import mlflow

            return Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, tracking_uri=self.source))
        written = Path(unquote(parts.path))
        if written.is_dir():
            return written
        database = Path(self.source.removeprefix("sqlite:///"))
        _, found, rest = str(written).rpartition(f"/{ARTIFACTS}/")
        moved = database.with_name(ARTIFACTS) / rest
        return moved if found and moved.is_dir() else None


def _runs(client: Any, experiment: str) -> Iterator[Any]:
    token = None
    while True:
        page = client.search_runs([experiment], max_results=1000, page_token=token)
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


EXAMPLES = """\
examples:
  python -m stages.tracking.merge data/scratch/sweeps/rates            # every mlflow.db below, into the mlflow.db here
  python -m stages.tracking.merge /scratch/me/hummingface --into http://127.0.0.1:5000
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m stages.tracking.merge",
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
