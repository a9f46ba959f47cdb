"""What a server of MLflow's runs of a registered model ("models from code"): photos in base64 in, a verdict per face out.

MLflow keeps a copy of this file beside the networks, and runs it where the model is loaded: nothing is unpickled.
"""

import base64
import binascii
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.exceptions import MlflowException

from fakeface.detector import load_detectors
from fakeface.photos.images import ImageError
from fakeface.predictor import decode_photo, judge
from fakeface.reporting.judgements import as_json

COLUMN = "photo"
MAX_PHOTOS = 32
"""In one request; more come in several, and no request holds up the others for long."""


class WrongInputError(MlflowException):  # type: ignore[misc]
    """An answer 400 of one line. The server writes all that it was sent before a message: this one stays as it is."""

    def __init__(self, line: str) -> None:
        self._line = line
        super().__init__(line, error_code=mlflow.protos.databricks_pb2.INVALID_PARAMETER_VALUE)

    @property
    def message(self) -> str:
        return self._line

    @message.setter
    def message(self, _: str) -> None:
        pass


class Judge(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """Both models on each face of each photo, as `fakeface predict --json` prints it."""

    def load_context(self, context: Any) -> None:
        self.detectors = load_detectors(Path(context.artifacts["models"]))

    def predict(
        self,
        context: Any,  # noqa: ARG002 - MLflow's signature
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,  # noqa: ARG002
    ) -> list[dict[str, Any]]:
        """An object per row of the table `model_input`: `faces`, the largest first, empty where there is none."""
        rows = list(model_input[COLUMN])
        if len(rows) > MAX_PHOTOS:
            raise WrongInputError(f"{len(rows)} photos: expected at most {MAX_PHOTOS} in a request")
        photos = [decoded(row, f"photo {number}") for number, row in enumerate(rows, 1)]
        return [{"faces": [as_json(found, self.detectors) for found in judge(photo, self.detectors)]} for photo in photos]


def decoded(text: Any, where: str) -> Any:
    """Raises WrongInputError where the text is no image in base64."""
    try:
        return decode_photo(base64.b64decode(text, validate=True), where)
    except (binascii.Error, TypeError, ValueError):
        raise WrongInputError(f"{where}: not base64") from None
    except ImageError as error:
        raise WrongInputError(str(error)) from None


mlflow.models.set_model(Judge())
