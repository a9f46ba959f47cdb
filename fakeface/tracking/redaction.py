"""Text without credentials. All that is printed about the store, logged to it or reported of a run passes through here."""

import base64
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus, unquote, unquote_plus

HIDDEN = "***"
SENSITIVE_NAME = (
    r"[\w.-]*(?:passw(?:or)?d|passphrase|pwd|token|secret|signature|credential|(?:api|access|private)[_-]?key)[\w.-]*|sig"
)
STORE_VARIABLES = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")
MIN_SECRET_LENGTH = 4
"""Anything shorter is found in any text; in a URL it is hidden all the same."""

_USER_OF_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*:/+)[^\s/?#]*@")  # one slash is what a path makes of two
_ASSIGNMENT = re.compile(rf"\b({SENSITIVE_NAME})(=|%3D)[^\s&'\",;)]+", re.IGNORECASE)
_AUTHORIZATION = re.compile(r"(Authorization\W{1,4}\w+\s+)[^\s'\"]+", re.IGNORECASE)
_STORE_USER = re.compile(r"[^:/]+:/+(?:([^:@]*):)?(.*)@")


def redacted(text: str) -> str:
    """The text with *** for whoever is named before the @ of a URL, and for every password, token or key that is known."""
    for secret in sorted(_known_secrets(), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    text = _USER_OF_URL.sub(rf"\1{HIDDEN}@", text)
    text = _AUTHORIZATION.sub(rf"\1{HIDDEN}", text)
    return _ASSIGNMENT.sub(rf"\1\2{HIDDEN}", text)


def redacted_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values by name, the texts among them redacted, those of a section within too."""
    return {name: _redacted_value(value) for name, value in values.items()}


def _redacted_value(value: Any) -> Any:
    if isinstance(value, Mapping):
        return redacted_values(value)
    return redacted(value) if isinstance(value, str) else value


def _known_secrets() -> set[str]:
    """What the environment holds of secrets, in each way that a library may spell it."""
    secrets = set()
    for user, secret in _secrets_in_environment():
        plain = {secret, unquote(secret), unquote_plus(secret)}
        quoted = {spelled for each in plain for spelled in (quote(each, safe=""), quote(each), quote_plus(each))}
        secrets |= plain | quoted | {quote(each, safe="") for each in quoted}
        secrets |= {base64.b64encode(f"{user}:{each}".encode()).decode() for each in plain}
    return {secret for secret in secrets if len(secret) >= MIN_SECRET_LENGTH}


def _secrets_in_environment() -> Iterator[tuple[str, str]]:
    """User, where there is one, and secret."""
    user = os.environ.get("MLFLOW_TRACKING_USERNAME", "")
    for name, value in os.environ.items():
        if re.fullmatch(SENSITIVE_NAME, name, re.IGNORECASE) and not value.startswith("/"):  # not the file that holds it
            yield user, value
    for uri in filter(None, map(os.environ.get, STORE_VARIABLES)):
        if match := _STORE_USER.match(uri):
            yield match[1] or "", match[2]
        for name, value in parse_qsl(uri.partition("?")[2]):
            if re.fullmatch(SENSITIVE_NAME, name, re.IGNORECASE):
                yield user, value
