"""MLflow's page, opened on a table that compares the trainings: ``python -m stages.tracking.ui``.

The table ranks the runs by their test figures, with one column for each corpus; the view is stored as a tag of the
experiment, as the page's own "share" button does. A database of another version of MLflow ends with one line.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import urllib.request
import webbrowser
from collections.abc import Sequence
from typing import Any

from hf_model.config import mask_passwords
from stages import _run
from stages.tracking.client import (
    DATABASES,
    DEFAULT_URI,
    EXPERIMENT,
    absolute_uri,
    find_experiment,
    quiet_mlflow,
    reason,
    set_environment,
)

VIEW = "comparison"
VIEW_TAG = f"mlflow.sharedViewState.{VIEW}"

METRICS = ("test/all/conpoff", "best/conpoff", "valid/loss")
COLUMNS = ("params.`train/fit/learning_rate`", "tags.`profile`", "attributes.`Source`", "attributes.`Dataset`")
MAX_CORPORA = 6
"""Corpora whose figures get a column."""

SECONDS = 60
"""Seconds to wait for the server."""


class PageError(RuntimeError):
    """The page cannot be shown; the message is one line."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m stages.tracking.ui", description="Show the training runs in MLflow's page."
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=int(os.environ.get("PORT", "5000")), help="default: %(default)s")
    parser.add_argument("--rank-by", default=METRICS[0], metavar="METRIC", help="default: %(default)s")
    parser.add_argument("--no-browser", action="store_true", help="only print the address")
    options = parser.parse_args(arguments)
    uri = absolute_uri(os.environ.get("MLFLOW_TRACKING_URI") or DEFAULT_URI)
    path = prepare(uri, options.rank_by)
    if uri.startswith(("http:", "https:")):
        print(f"the runs are on a server: {uri}/{path}")
        return
    words = ["--backend-store-uri", uri, "--workers", "1", "--host", options.host, "--port", str(options.port)]
    address = f"http://{options.host}:{options.port}"
    with subprocess.Popen([sys.executable, "-m", "mlflow", "ui", *words]) as server:
        try:
            _wait_for(server, address)
            print(f"the comparison of the runs: {address}/{path}", flush=True)
            if not options.no_browser and has_display():
                webbrowser.open(f"{address}/{path}")
            server.wait()
        except KeyboardInterrupt:
            server.terminate()
        except BaseException:
            server.terminate()
            raise
    if server.returncode > 0:
        raise PageError(f"MLflow's server ended with exit code {server.returncode}")


def prepare(uri: str, metric: str = METRICS[0]) -> str:
    """Check the database, store the view of the comparison, and return the address of the page, without the host.

    Raises
    ------
    PageError
        If the database cannot be used: it is damaged, or of another version of MLflow.
    """
    if not uri.startswith(DATABASES):
        raise PageError(f"MLFLOW_TRACKING_URI is {mask_passwords(uri)}, allowed is sqlite:///FILE or a server")
    set_environment()
    try:
        import mlflow

        with quiet_mlflow():
            client = mlflow.MlflowClient(uri)
            experiment = find_experiment(client, EXPERIMENT, uri)
            client.set_experiment_tag(
                experiment, VIEW_TAG, json.dumps(view(metric, _by_corpus(client, experiment, metric)))
            )
    except ImportError:
        raise PageError("MLflow is not installed: pip install 'hummingface[pipeline]'") from None
    except Exception as error:
        raise PageError(f"{mask_passwords(uri)}: {reason(error, uri)}") from error
    return f"#/experiments/{experiment}/runs?viewStateShareKey={VIEW}"


def _by_corpus(client: Any, experiment: str, metric: str) -> list[str]:
    """List the metrics that are the same figure of single corpora."""
    last = metric.rpartition("/")[2]
    names = {name for run in client.search_runs([experiment], max_results=200) for name in run.data.metrics}
    found = (name for name in names if name.startswith("test/") and name.endswith(f"/{last}") and name != metric)
    return sorted(found)[:MAX_CORPORA]


def view(metric: str, others: Sequence[str] = ()) -> dict[str, Any]:
    """Describe the table: ranked by a metric; its columns are that one, others, and those of all views."""
    first = f"metrics.`{metric}`"
    columns = [first, *(f"metrics.`{name}`" for name in (*others, *METRICS)), *COLUMNS]
    return {
        "searchFilter": "",
        "orderByKey": first,
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": list(dict.fromkeys(columns)),
        "runsExpanded": {},
        "runsPinned": [],
        "runsHidden": [],
        "runsVisibilityMap": {},
        "runsHiddenMode": "FIRST_10_RUNS",
        "compareRunCharts": None,
        "compareRunSections": None,
        "viewMaximized": False,
        "runListHidden": False,
        "isAccordionReordered": False,
        "groupBy": None,
        "groupsExpanded": {},
        "autoRefreshEnabled": True,
        "useGroupedValuesInCharts": True,
        "hideEmptyCharts": True,
        "globalLineChartConfig": None,
        "chartsSearchFilter": "",
    }


def has_display() -> bool:
    """Whether a browser can be opened here; a browser in the terminal would block it."""
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _wait_for(server: subprocess.Popen[bytes], address: str) -> None:
    """Wait until the server answers, or has ended."""
    end = time.monotonic() + SECONDS
    while server.poll() is None and time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=2):
                return
        except OSError:
            time.sleep(0.2)


if __name__ == "__main__":
    _run.main(main)
