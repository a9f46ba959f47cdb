"""Do the same work on many items, spread over the cores, with a progress bar."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sized
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from tqdm import tqdm

from fakeface.core.cores import available_cores

Item = TypeVar("Item")
Result = TypeVar("Result")


def on_all_cores(
    function: Callable[[Item], Result], items: Iterable[Item], title: str | None, *, total: int | None = None
) -> Iterator[Result]:
    """Yield `function` of each item, in the items' order; with a title also show a progress bar.

    `total` is the number of items where `items` has no length. Items are taken, and results held, a few at a time. Threads
    suffice: Pillow decodes and resizes without Python's lock.
    """
    threads = available_cores()
    total = len(items) if isinstance(items, Sized) else total
    waiting: deque[Future[Result]] = deque()
    hidden = True if title is None else None  # None: hidden where stderr is no terminal
    with ThreadPoolExecutor(threads) as executor, tqdm(total=total, desc=title, unit="image", disable=hidden) as bar:
        try:
            for item in items:
                waiting.append(executor.submit(function, item))
                if len(waiting) > 4 * threads:
                    yield waiting.popleft().result()
                    bar.update()
            while waiting:
                yield waiting.popleft().result()
                bar.update()
        finally:
            executor.shutdown(wait=False, cancel_futures=True)
