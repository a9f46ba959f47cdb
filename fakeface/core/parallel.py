"""Do the same work on many items, spread over the cores of this machine or of a cluster, with a progress bar."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sized
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import TypeVar

from tqdm import tqdm

from fakeface.core.cores import available_cores

Item = TypeVar("Item")
Result = TypeVar("Result")

SCHEDULER = "FAKEFACE_SCHEDULER"
"""The environment variable that names a Dask scheduler. It is no parameter: where work is done changes no result."""
TASK_ITEMS = 32
"""So many items go to a cluster at a time: what a task costs there, some 10 ms of CPU all in all, is little beside them."""


def on_all_cores(
    function: Callable[[Item], Result], items: Iterable[Item], title: str | None, *, total: int | None = None
) -> Iterator[Result]:
    """Yield `function` of each item, in the items' order; with a title also show a progress bar.

    `total` is the number of items where `items` has no length. Items are taken, and results held, a few at a time. Threads
    suffice: Pillow decodes and resizes without Python's lock.
    """
    threads = available_cores()
    with ThreadPoolExecutor(threads) as executor, _bar(items, title, total) as bar:

        def submit(batch: list[Item]) -> "Future[list[Result]]":
            return executor.submit(_each, function, batch)

        yield from _in_order(submit, _batches(items, 1), lambda: 4 * threads, bar)


def on_all_machines(
    function: Callable[[Item], Result], items: Iterable[Item], title: str | None, *, total: int | None = None
) -> Iterator[Result]:
    """As `on_all_cores`, or on the workers of the scheduler that FAKEFACE_SCHEDULER names, where it names one.

    There the function, items and results are pickled, and files are read where the function runs: by a partial function's
    arguments that are paths, all of which its machine has to see.

    Raises:
        FakefaceError: the scheduler cannot be reached or goes away, or a worker has other code or does not see a path.
    """
    scheduler = os.environ.get(SCHEDULER)
    if not scheduler:
        yield from on_all_cores(function, items, title, total=total)
        return
    from fakeface.core.cluster import connected

    with connected(scheduler) as cluster, _bar(items, title, total) as bar:
        submit = cluster.submitter(partial(_each, function))
        yield from _in_order(submit, _batches(items, TASK_ITEMS), lambda: 2 * cluster.threads(), bar)


def _in_order(
    submit: Callable[[list[Item]], "Future[list[Result]]"],
    batches: Iterable[list[Item]],
    most_waiting: Callable[[], int],
    bar: "tqdm[None]",
) -> Iterator[Result]:
    waiting: deque[Future[list[Result]]] = deque()

    def results() -> Iterator[Result]:
        for result in waiting.popleft().result():
            yield result
            bar.update()

    try:
        for batch in batches:
            waiting.append(submit(batch))
            while len(waiting) > most_waiting():
                yield from results()
        while waiting:
            yield from results()
    finally:
        for future in waiting:
            future.cancel()


def _each(function: Callable[[Item], Result], items: list[Item]) -> list[Result]:
    return [function(item) for item in items]


def _batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    remaining = iter(items)
    return iter(lambda: list(islice(remaining, size)), [])


def _bar(items: Iterable[Item], title: str | None, total: int | None) -> "tqdm[None]":
    hidden = True if title is None else None  # None: hidden where stderr is no terminal
    return tqdm(total=len(items) if isinstance(items, Sized) else total, desc=title, unit="image", disable=hidden)
