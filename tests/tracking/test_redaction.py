from urllib.parse import quote

import pytest

from fakeface.tracking.redaction import redacted, redacted_values


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://me:pw@host:5000/a", "http://***@host:5000/a"),
        ("postgresql+psycopg2://me:pw@host/db", "postgresql+psycopg2://***@host/db"),
        ("https://ghp_abc@github.com/x.git", "https://***@github.com/x.git"),
        ("http://me:p@ss@host/a", "http://***@host/a"),
        ("https:/me:pw@host/photos", "https:/***@host/photos"),
        ("https://host/w?name=1&password=pw&sig=x%2Fy", "https://host/w?name=1&password=***&sig=***"),
        ("could not connect: host=h user=u password=pw", "could not connect: host=h user=u password=***"),
        ("{'Authorization': 'Basic bWU6cHc='}", "{'Authorization': 'Basic ***'}"),
    ],
)  # fmt: skip
def test_credentials_are_hidden_and_the_rest_is_not(text: str, expected: str) -> None:
    assert redacted(text) == expected


@pytest.mark.parametrize(
    "text",
    ["/home/me@work/photos", "file:///home/me@work", "me@example.org", "epoch 3 at 12:30 of http://host:5000/", "Basic facts"],
)
def test_other_text_stays(text: str) -> None:
    assert redacted(text) == text


@pytest.mark.parametrize("password", ["geheim77", "ge/heim?7", "gé heim+&=", "p@ss:word"])
def test_the_stores_password_is_hidden_however_a_library_spells_it(monkeypatch: pytest.MonkeyPatch, password: str) -> None:
    encoded = quote(password, safe="")
    for uri in (f"http://me:{encoded}@host", f"http://me:{password}@host", f"mysql://host/db?password={encoded}"):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        for spelled in (password, encoded, encoded.replace("%20", "+"), quote(encoded, safe="")):
            if spelled == password and uri.startswith("mysql"):
                continue
            assert spelled not in redacted(f"no driver for {spelled!s}, of {uri!r}: {quote(uri, safe='')}")


@pytest.mark.parametrize("name", ["MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN", "AWS_SECRET_ACCESS_KEY", "PGPASSWORD"])
def test_secrets_in_the_environment_are_hidden(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "ge heim")
    assert redacted("401 for ge heim, ge%20heim and ge+heim") == "401 for ***, *** and ***"


def test_values_that_are_no_text_stay() -> None:
    assert redacted_values({"lr": 0.1, "root": "http://me:pw@host", "on": True}) == {
        "lr": 0.1,
        "root": "http://***@host",
        "on": True,
    }
