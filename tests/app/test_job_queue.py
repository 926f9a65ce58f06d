"""The job queue: order, limits, progress, errors, and clients that go."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable

import pytest

from hf_model.app.job_queue import BUSY, FAILED, TOO_MANY_JOBS, JobQueue, Message, OneByOne
from hf_model.app.limits import BusyError, Limits, PageError

LIMITS = Limits(waiting=6, waiting_per_client=4, late=5)


def in_queue(test: Callable[[JobQueue], Awaitable[None]]) -> JobQueue:
    """Run a test while the queue runs its jobs."""
    queue = JobQueue(LIMITS)

    async def run() -> None:
        running = asyncio.create_task(queue.run())
        try:
            async with asyncio.timeout(30):
                await test(queue)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    asyncio.run(run())
    return queue


async def messages_of(job) -> list[Message]:
    messages: list[Message] = []
    while not messages or not messages[-1].keys() & {"result", "error"}:
        messages.append(await job.messages.get())
    return messages


def test_a_job_tells_its_place_its_steps_and_its_result() -> None:
    def work(progress):
        progress(1 / 3, "Half of it")
        return {"notes": 3}

    async def test(queue: JobQueue) -> None:
        assert await messages_of(queue.add("a", work)) == [
            {"waiting": 0},
            {"share": 0.333, "step": "Half of it"},
            {"result": {"notes": 3}},
        ]

    in_queue(test)


def test_only_one_job_runs_at_a_time() -> None:
    running, most = 0, 0

    def work(_progress):
        nonlocal running, most
        running += 1
        most = max(most, running)
        threading.Event().wait(0.01)
        running -= 1
        return {}

    async def test(queue: JobQueue) -> None:
        await asyncio.gather(*(messages_of(queue.add(str(number), work)) for number in range(5)))

    in_queue(test)
    assert most == 1


def test_clients_take_turns() -> None:
    done: list[str] = []
    release = threading.Event()

    def job_of(name: str):
        return lambda _progress: (release.wait(10) and done.append(name)) or {}

    async def test(queue: JobQueue) -> None:
        first = queue.add("a", job_of("a0"))
        while await first.messages.get() != {"waiting": 0}:
            pass
        await asyncio.sleep(0.05)  # it runs
        jobs = {name: queue.add(name[0], job_of(name)) for name in ("a1", "a2", "a3", "b1", "b2", "c1")}
        waiting = {}
        for name, job in jobs.items():
            while not job.messages.empty():
                waiting[name] = job.messages.get_nowait()["waiting"]
        assert waiting == {"b1": 1, "c1": 2, "a1": 3, "b2": 4, "a2": 5, "a3": 6}, "the running job is one of them"
        release.set()
        await asyncio.gather(*(messages_of(job) for job in jobs.values()))

    in_queue(test)
    assert done == ["a0", "b1", "c1", "a1", "b2", "a2", "a3"]


def test_the_number_of_waiting_jobs_is_limited() -> None:
    async def test() -> None:
        queue = JobQueue(LIMITS)  # it does not run
        jobs = [queue.add("a", lambda _progress: {}) for _ in range(4)]
        with pytest.raises(BusyError, match=TOO_MANY_JOBS):
            queue.add("a", lambda _progress: {})
        queue.add("b", lambda _progress: {})
        queue.add("c", lambda _progress: {})
        with pytest.raises(BusyError, match=BUSY):
            queue.add("d", lambda _progress: {})
        queue.leave(jobs[0])
        queue.add("d", lambda _progress: {})

    asyncio.run(test())


def test_errors_for_the_user_are_told_and_others_logged(caplog: pytest.LogCaptureFixture) -> None:
    def refuse(_progress):
        msg = "This recording is silent."
        raise PageError(msg)

    def fail(_progress):
        msg = "/secret/path"
        raise RuntimeError(msg)

    async def test(queue: JobQueue) -> None:
        assert (await messages_of(queue.add("a", refuse)))[-1] == {"error": "This recording is silent."}
        assert not caplog.records
        assert (await messages_of(queue.add("a", fail)))[-1] == {"error": FAILED}
        assert "/secret/path" in caplog.text
        assert (await messages_of(queue.add("a", lambda _progress: {})))[-1] == {"result": {}}, "the queue goes on"

    in_queue(test)


def test_a_waiting_job_without_its_client_does_not_run() -> None:
    release, ran = threading.Event(), []

    async def test(queue: JobQueue) -> None:
        queue.add("a", lambda _progress: (release.wait(10) and {}) or {})
        gone = queue.add("a", lambda _progress: ran.append("gone") or {})
        last = queue.add("a", lambda _progress: ran.append("last") or {})
        queue.leave(gone)
        release.set()
        await messages_of(last)

    in_queue(test)
    assert ran == ["last"]


def test_running_job_ends_when_its_client_goes(caplog: pytest.LogCaptureFixture) -> None:
    started, goes_on, steps = threading.Event(), threading.Event(), []

    def work(progress):
        started.set()
        goes_on.wait(10)
        progress(0.5, "next")
        steps.append("next")
        return {}

    async def test(queue: JobQueue) -> None:
        job = queue.add("a", work)
        await asyncio.to_thread(started.wait, 10)
        queue.leave(job)
        goes_on.set()
        await messages_of(queue.add("b", lambda _progress: {}))

    in_queue(test)
    assert steps == []
    assert not caplog.records


def test_stopping_waits_for_the_running_job() -> None:
    started, finished = threading.Event(), threading.Event()

    def work(progress):
        started.set()
        threading.Event().wait(0.1)
        finished.set()
        progress(0.5, "next")
        raise AssertionError

    async def test(queue: JobQueue) -> None:
        queue.add("a", work)
        await asyncio.to_thread(started.wait, 10)

    in_queue(test)
    assert finished.is_set()


def test_work_beside_the_jobs_is_done_one_by_one_and_bounded() -> None:
    """Otherwise slow scores take every thread of the server, and no other visitor is answered."""
    running, most = 0, 0

    def work(number: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        time.sleep(0.01)
        running -= 1
        return number

    async def run() -> list[int | BaseException]:
        writing = OneByOne(LIMITS)
        asked = (writing.run(work, number) for number in range(LIMITS.late + 3))
        found = await asyncio.gather(*asked, return_exceptions=True)
        assert await writing.run(work, 7) == 7, "later there is room again"
        return found

    found = asyncio.run(run())
    assert found[: LIMITS.late + 1] == list(range(LIMITS.late + 1))
    assert [str(error) for error in found[LIMITS.late + 1 :]] == [BUSY, BUSY]
    assert most == 1
