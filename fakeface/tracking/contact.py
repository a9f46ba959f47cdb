"""Patience with a store: what talks to it runs in a thread of its own, which is left behind if the store does not answer."""

import re
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

from fakeface.core.console import tell
from fakeface.tracking.redaction import redacted
from fakeface.tracking.store import Store, import_mlflow, open_store, sqlite_file, store_label, store_uri

T = TypeVar("T")

NOTICE_S = 3.0
"""A wait longer than this is announced."""
TOUCH_LIMIT_S = 10.0
SHORT_LIMIT_S = 8.0
LONG_LIMIT_S = 300.0
"""Of a job with large files, or in a local file, of which it is known that the store answers."""
_TRANSIENT = re.compile(
    r"timed? ?out|no answer|refused|unreachable|reset by peer|aborted|disconnect|closed the connection|resol(?:ve|ution)|"
    r"is locked|could not be acquired|"
    r"too many (?:connections|clients|5\d\d)|error code (?:429|5\d\d)|starting up|shutting down",
    re.IGNORECASE,
)
_PERMANENT = re.compile(r"certificate", re.IGNORECASE)


def is_transient(error: BaseException) -> bool:
    """Whether the same may work later, as far as its words tell."""
    return bool(_TRANSIENT.search(str(error))) and not _PERMANENT.search(str(error))


class Contact:
    """A thread that talks to the store which the environment names. After the first failure it does nothing more.

    `remedy` of a failed job says what logs it later: it is printed only where that may help.
    """

    def __init__(self) -> None:
        self.has_failed = False
        self._uri = ""
        self._store: Store | None = None
        self._jobs: SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = SimpleQueue()
        self._file: Path | None = None
        threading.Thread(target=self._work, name="MLflow", daemon=True).start()

    def do(self, job: Callable[[Store], T], remedy: str, *, is_long: bool = False) -> T | None:
        """What the job returns; None, with a warning, if the store fails, or does not answer within 20 s."""
        if self.has_failed:
            return None
        try:
            self._find_store()
            if self._store is None or is_long:
                self._wait_for(self._touch, TOUCH_LIMIT_S)
            return self._wait_for(lambda: job(self._open()), LONG_LIMIT_S if is_long or self._file else SHORT_LIMIT_S)
        except Exception as error:  # noqa: BLE001 - tracking must never end a training or a report
            self.has_failed = True
            reason = redacted(" ".join(str(error).split()) or type(error).__name__)[:300]
            hope = f"; {remedy}" if is_transient(error) else ""
            tell(f"warning: MLflow{self._place()}: {reason}{hope}")
            return None

    def _find_store(self) -> None:
        """Import MLflow, which takes seconds that are not the store's."""
        if not self._uri:
            self._uri = store_uri()
            self._file = sqlite_file(self._uri)
            import_mlflow(self._uri)

    def _place(self) -> str:
        return f" at {store_label(self._uri)}" if self._uri else ""

    def _touch(self) -> None:
        """Fails soon where the store cannot be reached; a new local database is made later, which takes its time."""
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
        else:
            store = self._open()
            store.client.get_experiment(store.experiment_id)

    def _open(self) -> Store:
        if self._store is None:
            self._store = open_store(self._uri)
        return self._store

    def _wait_for(self, action: Callable[[], T], limit_s: float) -> T:
        future: Future[T] = Future()
        self._jobs.put((action, future))
        if wait([future], min(NOTICE_S, limit_s)).not_done:
            if self._file is None:
                tell(f"MLflow{self._place()} is slow to answer; waiting at most {limit_s:.0f} s")
            if wait([future], limit_s - NOTICE_S).not_done:
                raise TimeoutError(f"no answer within {limit_s:.0f} s")
        return future.result()

    def _work(self) -> None:
        while not self.has_failed:
            action, future = self._jobs.get()
            try:
                future.set_result(action())
            except BaseException as error:  # noqa: BLE001 - raised where the job was given
                future.set_exception(error)
