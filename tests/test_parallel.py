"""Jobs over processes: in order, lazily, and an error stops everything."""

from collections.abc import Iterator

import pytest

from hf_model.parallel import run_all


def double(number: int) -> int:
    if number == 13:
        msg = "thirteen"
        raise ValueError(msg)
    return 2 * number


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_jobs(workers: int) -> None:
    assert list(run_all(double, range(9), workers=workers, title="doubling")) == [0, 2, 4, 6, 8, 10, 12, 14, 16]


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_a_job_is_raised_here(workers: int) -> None:
    with pytest.raises(ValueError, match="thirteen"):
        list(run_all(double, [1, 13, 2], workers=workers))


def test_jobs_are_drawn_as_results_leave() -> None:
    drawn = []

    def jobs() -> Iterator[int]:
        for number in range(1000):
            drawn.append(number)
            yield number

    results = run_all(double, jobs(), workers=2)
    assert next(results) == 0
    assert len(drawn) < 20
    results.close()  # type: ignore[attr-defined]
