"""Parent runs: the folds of a cross-validation and the sets of a sweep are nested below one run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from statistics import fmean, stdev
from typing import Any

PARENT_TAG = "mlflow.parentRunId"
GROUP_TAG = "group"
"""Tag of a parent run: the name of its group."""


def find_parent(client: Any, experiment_id: str, group: str) -> str:
    """Return the id of the parent run of a group; it is created if there is none.

    Parameters
    ----------
    client : MlflowClient
    experiment_id : str
    group : str
        "folds", or the name of a sweep.
    """
    wanted = group.replace("'", "")
    found = client.search_runs([experiment_id], f"tags.{GROUP_TAG} = '{wanted}' and tags.model = 'group'")
    if found:
        return str(found[0].info.run_id)
    tags = {GROUP_TAG: wanted, "model": "group"}
    run = client.create_run(experiment_id, run_name=wanted, tags=tags)
    client.set_terminated(run.info.run_id, "FINISHED")
    return str(run.info.run_id)


def nest_sweeps(client: Any, experiment_id: str) -> int:
    """Nest the runs of each sweep (tag ``sweep``: "<plan>/<set>") below a parent run; returns how many were moved."""
    moved: dict[str, int] = {}
    for run in client.search_runs([experiment_id], max_results=10_000):
        plan = run.data.tags.get("sweep", "").partition("/")[0]
        if plan and PARENT_TAG not in run.data.tags:
            client.set_tag(run.info.run_id, PARENT_TAG, find_parent(client, experiment_id, plan))
            moved[plan] = moved.get(plan, 0) + 1
    for plan in moved:
        summarize_group(client, experiment_id, plan)
    return sum(moved.values())


def summarize_group(client: Any, experiment_id: str, group: str) -> None:
    """Log the mean, the standard deviation and the number of its runs' best and test figures to a parent run."""
    parent = find_parent(client, experiment_id, group)
    children = client.search_runs([experiment_id], f"tags.`{PARENT_TAG}` = '{parent}'", max_results=10_000)
    for name, value in summary(child.data.metrics for child in children).items():
        client.log_metric(parent, name, value)


def summary(metrics: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Average the figures that all runs have: ``best/...`` and ``test/...``, with ``_sd`` and the number ``runs``.

    Returns
    -------
    dict
        ``<name>``, ``<name>_sd`` for two runs and more, and ``runs``.
    """
    rows = list(metrics)
    shared = set.intersection(*(set(row) for row in rows)) if rows else set()
    figures = {"runs": float(len(rows))}
    for name in sorted(name for name in shared if name.startswith(("best/", "test/"))):
        values = [row[name] for row in rows]
        figures[name] = fmean(values)
        if len(values) > 1:
            figures[f"{name}_sd"] = stdev(values)
    return figures
