"""The job queue, by Gradio: one conversion at a time, so that memory is bounded."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gradio
from gradio.events import api

from hf_model.app.jobs import convert_part, render_notes
from hf_model.app.limits import PageError
from hf_model.app.sessions import Sessions
from hf_model.inference import Models

FAILED = "Something went wrong on the server. Please try again."

_LOG = logging.getLogger(__name__)


def build_queue(sessions: Sessions, models: Models) -> gradio.Blocks:
    """Build one queue for the two jobs: ``convert_part`` (function 0) and ``render_notes`` (function 1)."""
    limits = sessions.limits

    def convert_job(recording: str, start: float, settings: dict[str, Any]) -> dict[str, Any]:
        def progress(share: float, step: str) -> None:
            gradio.Info(step, title=f"{share:.2f}")  # the queue's only way to send a message while a job runs

        with _user_errors():
            session = sessions.find(recording)
            try:
                return convert_part(session, start, settings, models, limits, progress)
            except BaseException:
                if session.part is None:  # nothing of it was converted
                    sessions.delete(recording)
                raise

    def render_job(recording: str, notes: list[Any], settings: dict[str, Any]) -> dict[str, Any]:
        with _user_errors():
            return render_notes(sessions.find(recording), notes, settings, models, limits)

    blocks = gradio.Blocks(analytics_enabled=False)
    with blocks:
        # "listen" and "play" are the public names of the two jobs in Gradio's API: kept for its existing clients.
        for job, name in ((convert_job, "listen"), (render_job, "play")):
            api(job, api_name=name, concurrency_id="piano", concurrency_limit=1)
    blocks.queue(max_size=limits.waiting, api_open=False)
    return blocks


@contextmanager
def _user_errors() -> Iterator[None]:
    """Show a PageError to the user; log any other exception, and show nothing of it."""
    try:
        yield
    except PageError as error:
        raise gradio.Error(str(error), print_exception=False) from error
    except Exception as error:  # the queue must go on
        _LOG.exception("a conversion failed")
        raise gradio.Error(FAILED, print_exception=False) from error
