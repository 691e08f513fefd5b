"""Counting tokens by rule: near enough, never far under, and quick on any text."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoagent.tokens import counter_for, estimate

_ANY = st.text(st.characters(exclude_categories=[]), max_size=200)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        ("one", 1),
        ("one two three", 3),  # a blank belongs to what follows
        ("1234567", 3),  # 123 456 7
        ("unbelievable", 2),  # runs of up to seven letters
        ("a\n    b", 3),  # a line break with its indentation is one
        ("==", 1),
        ("===", 2),
        ("東京都", 3),
        ("\ud800", 1),
    ],
)
def test_a_text_counts_as_the_rule_says(text: str, tokens: int) -> None:
    """Each kind of piece by hand."""
    assert estimate(text) == tokens


@settings(deadline=None, max_examples=300)
@given(_ANY, _ANY)
def test_two_texts_together_count_as_their_sum_but_for_the_join(first: str, second: str) -> None:
    """Parts are counted once each and added up, so a prompt's size may rest on that."""
    together = estimate(first + second)

    assert abs(together - estimate(first) - estimate(second)) <= 1


@settings(deadline=None)
@given(_ANY, _ANY)
def test_more_text_is_never_fewer_tokens_by_more_than_one(first: str, second: str) -> None:
    """A cut can only make a prompt smaller."""
    assert estimate(first + second) >= max(estimate(first), estimate(second)) - 1


@settings(deadline=None)
@given(_ANY)
def test_no_sign_is_more_than_a_token_and_seven_letters_are_one_at_least(text: str) -> None:
    """Bounds that hold for any text: a share in tokens bounds its characters and back."""
    written = sum(not character.isspace() for character in text)

    assert (written + 6) // 7 <= estimate(text) <= len(text)


@pytest.mark.parametrize("table", [None, b"", b"half of a tab"])
def test_without_a_whole_table_on_this_disk_the_rule_counts(
    tmp_path: Path, table: bytes | None
) -> None:
    """A broken table would be fetched anew: contact with a host that no goal needs."""
    if table is not None:
        (tmp_path / hashlib.sha1(_TABLE.encode()).hexdigest()).write_bytes(table)

    assert counter_for("gpt-5", {"TIKTOKEN_CACHE_DIR": str(tmp_path)}) is estimate


def test_models_of_others_are_counted_by_the_rule(tmp_path: Path) -> None:
    """A table of OpenAI's says nothing about them."""
    assert counter_for("llama-4", {"TIKTOKEN_CACHE_DIR": str(tmp_path)}) is estimate


_TABLE = "https://openaipublic.blob.core.windows.net/encodings/o200k_base.tiktoken"


def test_each_character_alone_is_one_token_but_for_a_blank() -> None:
    """The rule names its characters range by range: none may have been forgotten."""
    counts = {chr(code): estimate(chr(code)) for code in range(0x3100)}

    assert [c for c, count in counts.items() if count != 1] == [" "]


def test_two_signs_count_as_one_where_neither_is_a_letter_a_digit_or_a_blank() -> None:
    """By Unicode's own categories, up to where characters begin that count alone."""
    signs = [c for c in map(chr, range(0x2E80)) if not _is_apart(c)]
    others = [c for c in map(chr, range(0x3100)) if _is_apart(c) and c != " "]

    assert {estimate(sign + "!") for sign in signs} == {1}
    assert {estimate("!" + other) for other in others} == {2}


def _is_apart(character: str) -> bool:
    """Of a script's letters (Latin, and all from Greek on), a digit, blank, or beyond U+2E80."""
    code = ord(character)
    letters = 0xC0 <= code <= 0x24F or 0x370 <= code <= 0x1FFF or code >= 0x2E80
    return letters or character.isspace() or (character.isascii() and character.isalnum())
