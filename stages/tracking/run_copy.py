"""Copying of one run from one MLflow into another: parameters, tags, data sets, metric histories, status and files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from stages.tracking.artifact_copy import ARTIFACTS_TAG, ORIGIN_TAG, ArtifactCopy

MAX_METRICS, MAX_PARAMS = 500, 100
"""Entries that are sent together."""


@dataclass
class MergeResult:
    """Numbers of new runs, updated runs, copied points of metrics and copied files."""

    new: int = 0
    updated: int = 0
    points: int = 0
    files: int = 0


def original_id(run: Any) -> str:
    """Return the id of a run where it was tracked first."""
    return str(run.data.tags.get(ORIGIN_TAG, run.info.run_id))


@dataclass
class RunCopy:
    """The copying of one run; ``result`` counts what is copied."""

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
        files = ArtifactCopy(self.source, self.target, self.source_uri, self.run)
        files.copy_artifacts(copy)
        changed |= files.copy_models(copy)
        self.result.files += files.n_files
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

    def _copy_status(self, copy: Any) -> bool:
        info = self.run.info
        if (info.status, info.end_time) == (copy.info.status, copy.info.end_time):
            return False
        if info.end_time is None:
            self.target.update_run(copy.info.run_id, info.status)
        else:
            self.target.set_terminated(copy.info.run_id, info.status, info.end_time)
        return True


def _point(metric: Any) -> tuple[int, int, str]:
    return metric.step, metric.timestamp, repr(float(metric.value))
