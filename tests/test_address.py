"""Addresses and keys that can't be are refused before anything is sent."""

import pytest

from autoagent.errors import ConfigError
from autoagent.models.openai_model import OpenAIModel


@pytest.mark.parametrize(
    "url",
    [
        "localhost:8080/v1",
        "ftp://host/v1",
        "http://",
        "http://[::1",
        "http://host:99999/v1",
        "http://ho st/v1",
        "http://host/v1\nX: y",
        "https://host/v1?key=1",
    ],
)
def test_an_address_that_cannot_be_is_refused_with_an_example(url: str) -> None:
    """Bad input: a malformed URL is exit 2 and a sentence, before anything is sent."""
    with pytest.raises(ConfigError, match="looks like http://"):
        OpenAIModel(name="m", base_url=url)


def test_an_address_with_a_password_is_refused_without_showing_it() -> None:
    """It would stand in every message that names the server."""
    with pytest.raises(ConfigError) as caught:
        OpenAIModel(name="m", base_url="http://me:hunter2@host/v1")

    assert "hunter2" not in str(caught.value)


def test_a_key_that_no_header_carries_is_refused_without_showing_it() -> None:
    """A key pasted with a line break or an umlaut; the cause must be named, not the key."""
    with pytest.raises(ConfigError) as caught:
        OpenAIModel(name="m", api_key="sk-geheim-ü\n1")

    assert "geheim" not in str(caught.value)
