"""The schema of the listing (CSV), apart from the other tables', which `scan` need not wait for at every `dvc repro`."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One file below data.root, as `scan` found it: its `path` relative to data.root, with forward slashes.

    `reason` says why the file cannot be read; it then has no `bytes` and no `sha256`, and a name that is not UTF-8 is escaped.
    """

    path: str
    bytes: int | None
    sha256: str
    reason: str
