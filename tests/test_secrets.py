"""Secrets: found by name or form, and gone from every text in each of their spellings."""

import base64
import json
import textwrap
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoagent.configuration.secrets import Redactor, found_in

KEY = "sk-test/9f8e+7d6c5b4a=3210"
REDACTOR = Redactor({"OPENAI_API_KEY": KEY})
# Without the signs of a replacement, which could otherwise form a secret of their own.
VALUES = st.text(st.characters(exclude_characters="[]", codec="utf-8"), min_size=12, max_size=40)


@pytest.mark.parametrize(
    "spelled",
    [
        KEY,
        quote(KEY, safe=""),
        quote(KEY, safe="").lower(),
        quote(KEY),
        json.dumps(KEY)[1:-1],
    ],
)
def test_each_spelling_becomes_the_name(spelled: str) -> None:
    """An agent's commands print addresses and JSON as well as variables."""
    assert REDACTOR.clean(f"a {spelled} b") == "a [secret OPENAI_API_KEY] b"


@pytest.mark.parametrize("before", ["", "u", "us", "user:", "Basic "])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_base64_is_found_wherever_the_secret_begins_in_it(before: str, encode: object) -> None:
    """A basic-auth header encodes `user:KEY`, so the key's own base64 never appears."""
    assert callable(encode)
    encoded = encode(f"{before}{KEY}\nrest".encode()).decode()

    assert REDACTOR.holds(encoded) == "OPENAI_API_KEY"
    # What is left of it tells at most the bits that it shared with its neighbours.
    assert KEY[1:-1].encode() not in base64.b64decode(REDACTOR.clean(encoded)[:4] + "====")


def test_wrapped_base64_is_found() -> None:
    """`base64` breaks lines after 76 characters, and keys are longer than that."""
    key = "sk-proj-" + "aB3_" * 40
    encoded = base64.b64encode(key.encode()).decode()
    wrapped = textwrap.fill(encoded, 76, subsequent_indent="  ")

    cleaned = Redactor({"K": key}).clean(f"key:\n{wrapped}\nend")

    assert cleaned.startswith("key:\n[secret K]")
    assert len(cleaned) < 30


def test_a_short_value_stays() -> None:
    """`PASSWORD=test` would take every "test" out of every text."""
    assert Redactor({"PASSWORD": "eleven-char"}).clean("eleven-char") == "eleven-char"


def test_blanks_are_no_secret() -> None:
    """A variable of blanks would take the indentation out of every program."""
    assert Redactor({"KEY": " " * 20}).clean(" " * 40) == " " * 40


def test_a_secret_that_begins_with_another_is_taken_out_whole() -> None:
    """Otherwise the tail of the longer one would stay."""
    redactor = Redactor({"SHORT": "abcdefghijkl", "LONG": "abcdefghijkl-mnopqr"})

    assert redactor.clean("abcdefghijkl-mnopqr abcdefghijkl") == "[secret LONG] [secret SHORT]"


def test_the_rest_of_the_text_is_untouched() -> None:
    """Redaction must not alter what a command receives otherwise."""
    text = "sk-test/ \ud800 [x] \x00 9f8e+7d6c5b4a\r\n"

    assert REDACTOR.clean(text) == text
    assert REDACTOR.holds(text) is None


def test_nothing_is_shown_of_a_redactor() -> None:
    """It ends up in tracebacks and logs."""
    assert KEY not in repr(REDACTOR)


@given(st.lists(VALUES, min_size=1, max_size=4), st.text(), st.text())
def test_no_secret_survives(values: list[str], before: str, after: str) -> None:
    """The law, for any values in any text."""
    named = {f"S{number}": value for number, value in enumerate(values)}
    secrets = [value.strip() for value in values if len(value.strip()) >= 12]

    cleaned = Redactor(named).clean(after.join([before, *values, after]))

    assert [secret for secret in secrets if secret in cleaned] == []


@given(VALUES, st.binary(max_size=9), st.binary(max_size=9))
def test_no_secret_survives_in_base64(value: str, before: bytes, after: bytes) -> None:
    """Whatever stands around it in the encoded bytes."""
    redactor = Redactor({"S": value})
    encoded = base64.b64encode(before + value.encode() + after).decode()

    expected = "S" if len(value.strip()) >= 12 else None

    assert redactor.holds(encoded) == expected


@given(st.text())
def test_a_clean_text_comes_back_as_it_is(text: str) -> None:
    """Nothing but secrets is ever replaced."""
    assert REDACTOR.clean(text) == text


def test_variables_are_secret_by_their_name_or_a_password_in_them() -> None:
    """What is masked in an environment, and what is ordinary there."""
    variables = {
        "OPENAI_API_KEY": "k",
        "github_token": "t",
        "DB_PASSWORD": "p",
        "DATABASE_URL": "postgres://app:hunter2hunter2@db/app",
        "GOOGLE_KEY_FILE": "/home/me/key.json",
        "AUTOAGENT_MAX_TOKENS": "2000000",
        "GIT_COMMIT": "0f4c2d5e6a7b8c9d0e1f0f4c2d5e6a7b8c9d0e1f",
        "HOME": "/home/me",
    }

    assert found_in(variables) == {
        "OPENAI_API_KEY": "k",
        "github_token": "t",
        "DB_PASSWORD": "p",
        "DATABASE_URL": "hunter2hunter2",
    }


def test_in_a_dotenv_what_looks_drawn_by_lot_is_secret_too() -> None:
    """Its names are anybody's; but an address or a word must stay usable."""
    variables = {
        "STRIPE": "sk_live_51H8abcDEF",
        "LONGER": "sk_live_51H8abcDEFghiJKL",
        "APP_URL": "http://localhost:3000/start",
        "MODE": "development",
    }

    assert found_in(variables, drawn=True) == {"LONGER": "sk_live_51H8abcDEFghiJKL"}
