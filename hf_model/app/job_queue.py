"""The job queue: one conversion at a time, so that memory is bounded, and clients by turns."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from hf_model.app.jobs import Progress
from hf_model.app.limits import BusyError, Limits, PageError
from hf_model.parallel.memory import release_freed_memory

BUSY = "The server is busy. Please try again in a minute."
TOO_MANY_JOBS = "Too many conversions of yours are waiting. Please wait until they are done."
FAILED = "Something went wrong on the server. Please try again."

Message = dict[str, Any]
"""For JSON, with one of the keys "waiting" (number of jobs before this one), "step" (and "share", 0 to 1), "result" and
"error" (a sentence for the user). The last two end a job."""

Work = Callable[[Progress], dict[str, Any]]
"""What a job does, in a thread; it gives the result."""

Result = TypeVar("Result")

_LOG = logging.getLogger(__name__)


class AbandonedError(Exception):
    """The client of a job has gone: raised inside the job, at its next step."""


@dataclass(eq=False)
class Job:
    """One job of one client.

    Attributes
    ----------
    client : str
        Whose job it is, as :func:`hf_model.app.connections.client_of` names it.
    work : callable
    messages : asyncio.Queue of Message
        What is to be sent to the client.
    waiting : int
        The last number of jobs before this one that was announced.
    is_abandoned : bool
    """

    client: str
    work: Work
    messages: asyncio.Queue[Message] = field(default_factory=asyncio.Queue)
    waiting: int = -1
    is_abandoned: bool = False


class JobQueue:
    """The jobs that wait, and the one that runs. All methods belong to the event loop's thread."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._waiting: list[Job] = []
        self._running: Job | None = None
        self._served: dict[str, int] = {}
        self._added = asyncio.Event()

    def add(self, client: str, work: Work) -> Job:
        """Add a job.

        Raises
        ------
        BusyError
            If too many jobs wait, of this client or of all.
        """
        if len(self._waiting) >= self.limits.waiting:
            raise BusyError(BUSY)
        if sum(job.client == client for job in self._waiting) >= self.limits.waiting_per_client:
            raise BusyError(TOO_MANY_JOBS)
        job = Job(client, work)
        self._waiting.append(job)
        self._announce()
        self._added.set()
        return job

    def leave(self, job: Job) -> None:
        """Drop a job whose client has gone; one that runs ends at its next step."""
        job.is_abandoned = True
        if job in self._waiting:
            self._waiting.remove(job)
            self._announce()

    async def run(self) -> None:
        """Run the jobs one by one, until cancelled."""
        thread = ThreadPoolExecutor(1, thread_name_prefix="conversion")
        try:
            while True:
                while not self._waiting:
                    self._added.clear()
                    await self._added.wait()
                job = self._running = self._in_order()[0]
                self._waiting.remove(job)
                present = {other.client for other in self._waiting}
                turn = max(self._served.values(), default=0) + 1
                self._served = {client: n for client, n in self._served.items() if client in present}
                self._served[job.client] = turn
                self._announce()
                loop = asyncio.get_running_loop()
                outcome = await loop.run_in_executor(thread, _attempt, job, loop)
                self._running = None
                job.messages.put_nowait(outcome)
        finally:
            for job in [*self._waiting, *([self._running] if self._running else [])]:
                self.leave(job)
            # A thread inside native code while the interpreter shuts down aborts the process.
            await asyncio.to_thread(thread.shutdown)

    def _in_order(self) -> list[Job]:
        """Sort the waiting jobs: the first of every client, the last one served at the end; then the second, ..."""
        own: Counter[str] = Counter()
        numbered = []
        for job in self._waiting:
            numbered.append(((own[job.client], self._served.get(job.client, 0)), job))
            own[job.client] += 1
        return [job for _, job in sorted(numbered, key=lambda entry: entry[0])]

    def _announce(self) -> None:
        """Tell every waiting job how many are before it."""
        for number, job in enumerate(self._in_order(), start=self._running is not None):
            if job.waiting != number:
                job.waiting = number
                job.messages.put_nowait({"waiting": number})


class OneByOne:
    """Work beside the jobs, in a thread: one at a time, and at most ``limits.late`` wait.

    Otherwise it would take every thread of the server. All methods belong to the event loop's thread.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._lock = asyncio.Lock()
        self._n_present = 0

    async def run(self, work: Callable[..., Result], *arguments: Any) -> Result:
        """Do something when it is its turn, and give the result.

        Raises
        ------
        BusyError
            If too much waits.
        """
        if self._n_present > self.limits.late:
            raise BusyError(BUSY)
        self._n_present += 1
        try:
            async with self._lock:
                return await asyncio.to_thread(work, *arguments)
        finally:
            self._n_present -= 1


def _attempt(job: Job, loop: asyncio.AbstractEventLoop) -> Message:
    """Run a job in a thread: a PageError is for the user; any other exception is logged, and nothing of it is shown."""

    def progress(share: float, step: str) -> None:
        if job.is_abandoned:
            raise AbandonedError
        loop.call_soon_threadsafe(job.messages.put_nowait, {"share": round(share, 3), "step": step})

    try:
        return {"result": job.work(progress)}
    except AbandonedError:
        return {"error": FAILED}
    except PageError as error:
        return {"error": str(error)}
    except Exception:  # noqa: BLE001 - the queue must go on
        _LOG.exception("a conversion failed")
        return {"error": FAILED}
    finally:
        release_freed_memory()  # glibc keeps a little more after each job, for hours
