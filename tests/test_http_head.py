"""The heads of messages, read by a proxy: any bytes are a request or are refused."""

from hypothesis import given
from hypothesis import strategies as st

from commands.sandbox.http_head import BadMessage, read_request


@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_or_are_refused(noise: bytes) -> None:
    """Nothing a client sends may be a traceback of ours."""
    with_line = b"GET http://a.test/ HTTP/1.1\r\n" + noise
    for head in (noise, with_line):
        try:
            request = read_request(head + b"\r\n\r\n")
        except BadMessage:
            continue
        assert request.name == "a.test"


VISIBLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20)


@given(st.lists(st.tuples(st.sampled_from(["X-A", "Accept", "Cookie"]), VISIBLE), max_size=5))
def test_ordinary_fields_are_passed_on_as_they_came(fields: list[tuple[str, str]]) -> None:
    """In order, each as often as it stood there."""
    lines = ["GET http://a.test/x HTTP/1.1", *(f"{name}: {value}" for name, value in fields)]

    request = read_request("\r\n".join([*lines, "", ""]).encode())

    assert request.fields == tuple((name, value.strip()) for name, value in fields)
    assert request.head() == read_request(request.head(through="")).head()
