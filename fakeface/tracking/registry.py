"""The registered models: a version for each candidate that `report` saw, and the alias of the champion among them."""

import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fakeface.core.errors import FakefaceError
from fakeface.core.files import read_json
from fakeface.core.records import OBJECTIVE_NAMES, ObjectiveName
from fakeface.detector import CARD_FILE, NETWORK_FILE, RUN_FILE
from fakeface.tracking.contact import Contact
from fakeface.tracking.redaction import redacted, redacted_values
from fakeface.tracking.relocation import NAME
from fakeface.tracking.runs import AFTER_REPORT, TRAINING_ID, find_run
from fakeface.tracking.store import Store, open_store, store_label, store_lock, store_uri

CHAMPION = "champion"
OBJECTIVE, FORCED, BEATEN = "objective", "fakeface.forced", "fakeface.in_place_of"
REQUIREMENTS = ["fakeface"]


def register(contact: Contact, models: Path, objective: ObjectiveName, code: Path, tags: Mapping[str, str]) -> None:
    """Make a version of both models in `models`, the candidate's run its source, or renew the tags of the one there is.

    `code` is what a server runs, and MLflow copies. A store that fails is warned of, as by all that `report` logs.
    """
    records = {name: read_json(models / name / RUN_FILE) for name in OBJECTIVE_NAMES}
    trainings = " ".join(str(record["training_id"]) for record in records.values())

    def job(store: Store) -> None:
        run_id = find_run(store, records[objective])
        if run_id is None:
            raise FakefaceError(f"the run of {models / objective} is missing")
        number = _number_of(store, trainings, objective) or _new_version(store, run_id, models, code, trainings, objective)
        for name, value in redacted_values(tags).items():
            store.client.set_model_version_tag(NAME, number, name, value)

    contact.do(job, AFTER_REPORT, is_long=True)


def _number_of(store: Store, trainings: str, objective: str) -> str | None:
    """The version of these two trainings with that candidate."""
    known = {TRAINING_ID: trainings, OBJECTIVE: objective}
    versions = store.client.search_model_versions(f"name='{NAME}'")
    return next((str(found.version) for found in versions if known.items() <= found.tags.items()), None)


def _new_version(store: Store, run_id: str, models: Path, code: Path, trainings: str, objective: str) -> str:
    mlflow = store.mlflow
    column = mlflow.types.ColSpec(mlflow.types.DataType.string, "photo")
    with TemporaryDirectory() as folder:
        for name in OBJECTIVE_NAMES:
            (Path(folder, "models") / name).mkdir(parents=True)
            for file in (NETWORK_FILE, CARD_FILE):
                shutil.copy(models / name / file, Path(folder, "models") / name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # MLflow's advice on hints and examples, in place of the signature that is given
            mlflow.pyfunc.save_model(
                Path(folder, NAME),
                python_model=str(code),
                artifacts={"models": str(Path(folder, "models"))},
                signature=mlflow.models.ModelSignature(mlflow.types.Schema([column])),
                pip_requirements=REQUIREMENTS,
            )
        store.client.log_artifacts(run_id, str(Path(folder, NAME)), NAME)
    try:
        store.client.create_registered_model(NAME)
    except mlflow.MlflowException:
        store.client.get_registered_model(NAME)  # it was there, or another process was faster
    tags = {TRAINING_ID: trainings, OBJECTIVE: objective}
    return str(store.client.create_model_version(NAME, f"runs:/{run_id}/{NAME}", run_id, tags).version)


@dataclass(frozen=True)
class Version:
    """A registered version, and the run of its candidate."""

    number: str
    run_id: str
    tags: Mapping[str, str]

    @property
    def uri(self) -> str:
        return f"models:/{NAME}/{self.number}"

    @property
    def objective(self) -> ObjectiveName:
        return "bce" if self.tags[OBJECTIVE] == "bce" else "ce"


class Registry:
    """The versions in an open store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def version(self, number: str | None) -> Version:
        """That one, or the newest. Raises FakefaceError where `report` has registered no such version."""
        found = [self._version(each) for each in self._store.client.search_model_versions(f"name='{NAME}'")]
        ours = {version.number: version for version in found if OBJECTIVE in version.tags}
        if number is None and ours:
            return ours[max(ours, key=int)]
        if number not in ours:
            known = f"versions {', '.join(sorted(ours, key=int))}" if ours else "a model that `report` has registered"
            raise FakefaceError(f"models:/{NAME}{f'/{number}' if number else ''}: not registered: expected {known}")
        return ours[number]

    def champion(self) -> Version | None:
        for found in self._store.client.search_registered_models(f"name='{NAME}'"):
            if CHAMPION in found.aliases:
                return self.version(str(found.aliases[CHAMPION]))
        return None

    def test_tables(self, version: Version, folder: Path) -> tuple[Path, Path]:
        """The split and the predictions that `report` logged with the version, copied into a folder."""
        split, predictions = (
            Path(self._store.client.download_artifacts(version.run_id, f"evaluation/{name}.csv", str(folder)))
            for name in ("split", "predictions")
        )
        return split, predictions

    def promote(self, version: Version, champion: Version | None, reason: str | None) -> None:
        """Tag the version with why, then move the alias, which is one step of the store's.

        Raises:
            FakefaceError: another version than `champion` has become the champion meanwhile.
        """
        client, now = self._store.client, self.champion()
        if now != champion:
            found = now.uri if now else "none"
            raise FakefaceError(f"models:/{NAME}@{CHAMPION}: {found} by now: another promotion was faster; nothing is changed")
        if reason is not None:
            client.set_model_version_tag(NAME, version.number, FORCED, redacted(reason))
        client.set_model_version_tag(NAME, version.number, BEATEN, champion.number if champion else "none")
        client.set_registered_model_alias(NAME, CHAMPION, version.number)

    def _version(self, found: Any) -> Version:
        return Version(str(found.version), str(found.run_id), dict(found.tags))


@contextmanager
def open_registry() -> Iterator[Registry]:
    """The registry of the store that the environment names; of a database's, one process at a time.

    Raises:
        FakefaceError: the store is down, or fails within the block, in one line without credentials.
    """
    uri = store_uri()
    try:
        store = open_store(uri)
        with store_lock(uri):
            yield Registry(store)
    except FakefaceError:
        raise
    except Exception as error:  # noqa: BLE001 - of MLflow, of its stores, of the network
        reason = redacted(" ".join(str(error).split()) or type(error).__name__)[:300]
        raise FakefaceError(f"MLflow at {store_label(uri)}: {reason}") from None
