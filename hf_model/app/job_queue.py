"""The line of jobs, by Gradio's queue: one conversion at a time, so that memory is one conversion's."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gradio
from gradio.events import api

from hf_model.app.jobs import listen, play
from hf_model.app.limits import PageError
from hf_model.app.sessions import Sessions
from hf_model.inference import Models

FAILED = "Something went wrong on the server. Please try again."

_LOG = logging.getLogger(__name__)


def build_line(sessions: Sessions, models: Models) -> gradio.Blocks:
    """Give the two jobs, ``listen`` (function 0) and ``play`` (function 1), with one line before both."""
    limits = sessions.limits

    def listen_job(recording: str, start: float, settings: dict[str, Any]) -> dict[str, Any]:
        def tell(share: float, what: str) -> None:
            gradio.Info(what, title=f"{share:.2f}")  # the line's way to send word while a job runs

        with _in_words():
            session = sessions.find(recording)
            try:
                return listen(session, start, settings, models, limits, tell)
            except BaseException:
                if session.part is None:  # nothing of it is of use
                    sessions.forget(recording)
                raise

    def play_job(recording: str, notes: list[Any], settings: dict[str, Any]) -> dict[str, Any]:
        with _in_words():
            return play(sessions.find(recording), notes, settings, models, limits)

    blocks = gradio.Blocks(analytics_enabled=False)
    with blocks:
        for job, name in ((listen_job, "listen"), (play_job, "play")):
            api(job, api_name=name, concurrency_id="piano", concurrency_limit=1)
    blocks.queue(max_size=limits.waiting, api_open=False)
    return blocks


@contextmanager
def _in_words() -> Iterator[None]:
    """Tell the visitor what went wrong, but nothing of the server: that goes to its log."""
    try:
        yield
    except PageError as error:
        raise gradio.Error(str(error), print_exception=False) from error
    except Exception as error:  # whatever it is, the next visitor is served
        _LOG.exception("a conversion failed")
        raise gradio.Error(FAILED, print_exception=False) from error
