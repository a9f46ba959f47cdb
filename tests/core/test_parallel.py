import multiprocessing
import os
import threading
import time
from collections.abc import Iterator

import pytest

from fakeface.core.cores import available_cores
from fakeface.core.parallel import on_all_cores, side_by_side
from fakeface.photos.images import ImageError


def test_results_come_in_order_and_few_wait() -> None:
    started: list[int] = []

    def square(number: int) -> int:
        started.append(number)
        time.sleep(0.001 * (number % 3))
        return number * number

    results = on_all_cores(square, range(200), "test")
    assert next(results) == 0
    assert len(started) <= 4 * (os.cpu_count() or 1) + 1
    assert list(results) == [number * number for number in range(1, 200)]


def test_the_first_failure_ends_the_work() -> None:
    done: list[int] = []

    def fail_at_three(number: int) -> None:
        if number == 3:
            raise ImageError("3.jpg", "empty file")
        done.append(number)

    def work() -> Iterator[None]:
        return on_all_cores(fail_at_three, range(10_000), "test")

    threads = threading.active_count()
    with pytest.raises(ImageError, match=r"3\.jpg"):
        list(work())
    assert len(done) < 100
    assert threading.active_count() == threads


@pytest.mark.skipif(available_cores() == 1, reason="one core")
def test_side_by_side_all_run_at_once_and_results_keep_their_order() -> None:
    meeting = threading.Barrier(2, timeout=60)

    def wait_for_the_other(name: str) -> str:
        meeting.wait()
        return name

    assert side_by_side([lambda: wait_for_the_other("ce"), lambda: wait_for_the_other("bce")]) == ["ce", "bce"]


def test_side_by_side_a_failure_is_raised() -> None:
    def fail() -> None:
        raise ImageError("3.jpg", "empty file")

    for functions in ([fail, lambda: None], [lambda: None, fail]):
        with pytest.raises(ImageError, match=r"3\.jpg"):
            side_by_side(functions)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_process_has_threads_of_its_own() -> None:
    """As a server's worker may be that was forked after its model was loaded."""
    assert side_by_side([lambda: 1, lambda: 2]) == [1, 2]
    process = multiprocessing.get_context("fork").Process(target=side_by_side, args=([lambda: 1, lambda: 2],))
    process.start()
    process.join(timeout=60)
    assert process.exitcode == 0
