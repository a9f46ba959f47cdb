"""Do the same work on many items, spread over the cores of this machine or of a cluster, with a progress bar."""

import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sized
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache, partial
from itertools import islice
from typing import Any, Generic, NamedTuple, TypeVar

from fakeface.core.cores import available_cores

Item = TypeVar("Item")
Result = TypeVar("Result")

SCHEDULER = "FAKEFACE_SCHEDULER"
"""The environment variable that names a Dask scheduler. It is no parameter: where work is done changes no result."""
MIN_TASK_ITEMS, MAX_TASK_ITEMS = 32, 256
TASK_S = 0.5
"""So long should a task take on a cluster, or longer: what one costs there, some 15 ms of CPU all in all, is little beside."""


class Done(NamedTuple, Generic[Result]):
    """What was made of a batch of items, and how long it took."""

    results: list[Result]
    seconds: float


class TaskSize:
    """How many items go to a cluster at a time, by how long the batches before took."""

    def __init__(self) -> None:
        self.items = MIN_TASK_ITEMS

    def learn(self, done: Done[Any]) -> None:
        items = round(len(done.results) * TASK_S / max(done.seconds, 1e-9))
        self.items = min(max(items, MIN_TASK_ITEMS), 2 * self.items, MAX_TASK_ITEMS)


def on_all_cores(
    function: Callable[[Item], Result], items: Iterable[Item], title: str | None, *, total: int | None = None
) -> Iterator[Result]:
    """Yield `function` of each item, in the items' order; with a title also show a progress bar.

    `total` is the number of items where `items` has no length. Items are taken, and results held, a few at a time. Threads
    suffice: Pillow decodes and resizes without Python's lock.
    """
    threads = available_cores()
    with ThreadPoolExecutor(threads) as executor, _progress(items, title, total) as advance:

        def submit(batch: list[Item]) -> "Future[Done[Result]]":
            return executor.submit(_each, function, batch)

        yield from _in_order(submit, _batches(items, lambda: 1), lambda: 4 * threads, advance)


def side_by_side(functions: Iterable[Callable[[], Result]]) -> list[Result]:
    """What each gives, in their order: the first runs in this thread, the others meanwhile, as far as there are cores.

    Their threads are this process's own, kept for the next call; so none of the functions may call this.
    """
    first, *others = functions
    waiting = [_kept_threads().submit(other) for other in others]
    return [first(), *(future.result() for future in waiting)]


@cache
def _kept_threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(available_cores())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_kept_threads.cache_clear)  # a forked process has none of its parent's threads


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

    with connected(scheduler) as cluster, _progress(items, title, total) as advance:
        submit, size = cluster.submitter(partial(_each, function)), TaskSize()
        yield from _in_order(submit, _batches(items, lambda: size.items), lambda: 2 * cluster.threads(), advance, size.learn)


def _in_order(
    submit: Callable[[list[Item]], "Future[Done[Result]]"],
    batches: Iterable[list[Item]],
    most_waiting: Callable[[], int],
    advance: Callable[[], object],
    learn: Callable[[Done[Any]], None] = lambda _: None,
) -> Iterator[Result]:
    waiting: deque[Future[Done[Result]]] = deque()

    def results() -> Iterator[Result]:
        done = waiting.popleft().result()
        learn(done)
        for result in done.results:
            yield result
            advance()

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


def _each(function: Callable[[Item], Result], items: list[Item]) -> Done[Result]:
    started = time.perf_counter()
    return Done([function(item) for item in items], time.perf_counter() - started)


def _batches(items: Iterable[Item], size: Callable[[], int]) -> Iterator[list[Item]]:
    remaining = iter(items)
    return iter(lambda: list(islice(remaining, size())), [])


@contextmanager
def _progress(items: Iterable[Item], title: str | None, total: int | None) -> Iterator[Callable[[], object]]:
    """What to call for each item that is done; with a title it moves a bar, hidden where stderr is no terminal."""
    if title is None:
        yield lambda: None
        return
    from tqdm import tqdm  # who judges one photo should not wait for it

    with tqdm(total=len(items) if isinstance(items, Sized) else total, desc=title, unit="image", disable=None) as bar:
        yield bar.update
