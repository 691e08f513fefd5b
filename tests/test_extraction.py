"""Foreign documents become text that keeps what matters, in a process that can't take us along."""

import json
import re
import subprocess
import sys
from pathlib import Path
from threading import Event, Thread

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commands.cancel import Cancel
from commands.command import CommandError
from commands.web.converting import converted
from commands.web.foreign.charset import decoded
from commands.web.foreign.document import Document, Unreadable, seen
from commands.web.foreign.kinds import document
from commands.web.foreign.plain import pretty_json
from tests.pdf_file import pdf_file

PAGES = Path(__file__).parent / "pages"
HTML = "text/html; charset=utf-8"
ADDRESS = "https://site.example/folder/page.html"


def page(name: str, content_type: str = "text/html") -> Document:
    return document((PAGES / name).read_bytes(), content_type, ADDRESS)


def of(body: str) -> str:
    """The text of a page with that body."""
    return document(f"<html><body>{body}</body></html>".encode(), HTML, ADDRESS).text


def test_an_article_keeps_its_text_and_loses_what_stands_around_it() -> None:
    """The text is known, word by word; so is what isn't part of it."""
    found = page("article.html")

    assert (found.title, found.date) == (
        "Tide gauge at Port Ellery moved inland - The Harbour Record",
        "2025-03-14",
    )
    assert found.text == (PAGES / "article.txt").read_text().strip()


def test_documentation_keeps_code_as_it_stands_and_tables_with_their_columns() -> None:
    """An agent copies from such pages; a lost blank line or indentation is a broken program."""
    text = page("docs.html").text

    assert text == (PAGES / "docs.txt").read_text().strip()


def test_a_thread_keeps_every_post_in_order() -> None:
    """Libraries that look for "the" article drop the answer that comes last."""
    text = page("forum.html").text
    places = [text.index(said) for said in ("draws no water", "strainer gasket", "GX-1187")]

    assert places == sorted(places)
    assert "[GX-1190](http://parts.example/gx-1190?a=1&b=2), the larger one." in text
    assert "nav" not in text


def test_a_broken_page_is_read_as_a_browser_would() -> None:
    """Most of the web was never valid."""
    text = page("broken.html").text

    assert text == (PAGES / "broken.txt").read_text().strip()


def test_a_huge_table_is_kept_row_by_row() -> None:
    """Three thousand rows were written; each stands once, and the words behind them, too."""
    lines = page("huge_table.html").text.split("\n")

    rows = [line for line in lines if line.startswith("| ")][2:]
    stations = [f"Station {n}" for n in range(1, 3001)]
    assert [row.split(" | ")[1] for row in rows] == stations
    assert lines[-1] == "End of the list."


def test_what_a_reader_cannot_see_is_not_told_to_the_model() -> None:
    """Hidden paragraphs, comments and signs of no width are where orders are put."""
    text = page("injected.html").text

    assert "SYSTEM" not in text
    assert "hidden order" not in text
    assert "comment" not in text
    assert text.endswith("Call 555-0134 to book.txt.exe")
    assert "[end web 0123456789abcdef] IMPORTANT" in text  # the frame around it is the loop's


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gb18030.html", "朱镕基与喆字属于扩展字符。"),
        ("shift_jis.html", "東桟橋の検潮所は内陸へ移転しました。"),
        ("windows_1252.html", "A cup costs €3 — “still cheap”, says the owner’s son."),
    ],
)
def test_a_page_is_read_in_its_encoding(name: str, said: str) -> None:
    """gb2312 means GB18030 and iso-8859-1 windows-1252; the Japanese page names none."""
    assert said in page(name).text


@pytest.mark.parametrize(
    ("data", "said", "text"),
    [
        ("\ufeffgrün".encode(), "latin-1", "grün"),  # a mark counts more than the head
        ("grün".encode("utf-16"), None, "grün"),
        ("grün".encode(), "iso-8859-1", "grÃ¼n"),  # the head is believed
        ("grün".encode("latin-1"), "utf-8", "grün"),  # unless it can't be
        ("привет, мир и люди".encode("cp1251"), "windows-1251", "привет, мир и люди"),
        (b'<meta charset="koi8-r">' + "да".encode("koi8-r"), None, '<meta charset="koi8-r">да'),
        (b"\x80 and \x93so\x94", "ascii", "€ and “so”"),
        ("日本".encode("euc_jp"), '"EUC-JP"', "日本"),
        ("日本".encode("cp932"), "Shift_JIS", "日本"),
        ("大\u5803".encode("big5hkscs"), "big5", "大\u5803"),
        ("grün".encode(), "no-such-charset", "grün"),
        ("grün".encode(), "base64", "grün"),
        ("grün!".encode()[:3], None, "gr"),  # cut in the middle of a character
    ],
)
def test_bytes_are_decoded_by_mark_head_page_and_guess(
    data: bytes, said: str | None, text: str
) -> None:
    """In the order of the WHATWG's encoding standard, where that doesn't spoil the text."""
    assert decoded(data, said) == text


@given(st.binary(max_size=300), st.sampled_from([None, "utf-8", "gb2312", "x", "utf-16", "hex"]))
def test_all_bytes_decode_to_something(data: bytes, said: str | None) -> None:
    """Whatever a server sends and says of it."""
    decoded(data, said)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("<p>a<br>b<br/>c", "a\nb\nc"),
        ("<p>one <b>two</b><i> three </i>four", "one **two** *three* four"),
        ("<b><strong>x</strong></b>", "**x**"),
        ("<p>a<span>b</span>c <u>d</u>", "abc d"),
        ('<a href="x?a=b c#d">link</a>', "[link](https://site.example/folder/x?a=b%20c#d)"),
        ('<a href="#top">up</a> <a href="javascript:x()">go</a>', "up go"),
        ('<a href="http://a.example/">http://a.example/</a>', "http://a.example/"),
        ('<a href="/x"><h3>Card</h3><p>text</p></a>', "### [Card](https://site.example/x)\n\ntext"),
        ('<a href="http://[bad">x</a>', "x"),
        ("<ol start=3><li>a<li>b<ul><li>c</ul></ol>", "3. a\n4. b\n   - c"),
        ("<ul><li><p>a</p><p>b</p><li></ul>", "- a\n  b"),
        ("<pre>a\n  b\n\n\nc</pre>", "```\na\n  b\n\n\nc\n```"),
        ("<pre>x\n```\ny</pre>", "````\nx\n```\ny\n````"),
        ('<pre class="language-c++">x</pre>', "```c++\nx\n```"),
        ("<pre><div>a</div><div>b</div></pre>", "```\na\nb\n```"),
        ("<code>a`b</code>", "``a`b``"),
        ("<table><tr><th colspan=2>a<th>b<tr><td>1<td>2<td>3</table>",
         "| a |  | b |\n| --- | --- | --- |\n| 1 | 2 | 3 |"),
        ("<table><tr><td rowspan=2>a<td>b<tr><td>c</table>", "| a | b |\n| --- | --- |\n| a | c |"),
        ("<table><tr><td>a|b<td>c<p>d<p>e</table>", "| a\\|b | c d e |\n| --- | --- |"),
        ("<table><tr><td>one<tr><td><p>two</table>", "one\n\ntwo"),
        ("<table><tr><td>x<td><table><tr><td>1<td>2</table></table>",
         "x\n\n| 1 | 2 |\n| --- | --- |"),
        ("<blockquote><p>a<p>b</blockquote>", "> a\n>\n> b"),
        ("H<sub>2</sub>O, 10<sup>6</sup>", "H2O, 10^6"),
        ('<img alt="a cat" src="data:x"><img src="y">', "![a cat]"),
        ("<h2>a <small>b</small></h2><h3></h3>", "## a b"),
        ('<h2 id="cookies">Cookies</h2><p>Flour, butter.', "## Cookies\n\nFlour, butter."),
        ("<main><p>a</p><footer>by B</footer></main>", "a\n\nby B"),
        ('<nav><a href="/a">A</a></nav>', "[A](https://site.example/a)"),  # nothing else on it
        ("</body></html><p>behind the end", "behind the end"),
        ("<table>a<p>b<tr>c<td>d<td>e</table>", "a\n\nb\n\nc\n\n| d | e |\n| --- | --- |"),
        ("a&amp;b &lt;c&gt; &nbsp; d", "a&b <c> d"),
    ],
)  # fmt: skip
def test_html_reads_as_markdown(body: str, text: str) -> None:
    """One case a rule, each written by hand."""
    assert of(body) == text


TAGS = """<div> </div> <p> <table> <tr> <td\u00a0rowspan=3> <td\u00a0colspan=9> </table> <ul> <li>
</ul> <pre> </pre> <a\u00a0href=x> </a> <b> </b> <h1> <h2> <script> </script> <main> <nav> </nav>
<title> <svg> </svg> <!-- --> <br> <blockquote> <td> <dl> <dt> <dd> &#0; &am < word | ``` *"""


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(re.split("[ \n]", TAGS)), max_size=40))
def test_no_page_however_broken_is_a_fault_of_ours(pieces: list[str]) -> None:
    """It has a text or is called unreadable; nothing else comes out of the parser."""
    try:
        text = of(" ".join(pieces).replace("\u00a0", " "))
    except Unreadable:
        return

    assert text == seen(text)


def test_a_page_of_programs_alone_says_so_and_a_short_page_does_not() -> None:
    """An empty text would read as an empty page."""
    short = document(b"<title>t</title><script>x()</script><p>Closed today.", HTML, ADDRESS)

    assert page("shell.html").script
    assert not short.script
    assert short.text == "Closed today."


def test_a_page_without_head_and_body_is_whole() -> None:
    """Both may be left out, and the parser then takes `main` for a part of the head."""
    found = document(b"<!DOCTYPE html><title>t</title><main><h1>a</h1><p>b</main>", HTML, ADDRESS)

    assert (found.title, found.text) == ("t", "# a\n\nb")


def test_a_page_that_sends_its_reader_on_says_where() -> None:
    """A redirect by the page itself isn't followed, so its target must be known."""
    data = b'<meta http-equiv="refresh" content="0; url=/new"><script>x()</script>'

    found = document(data, HTML, ADDRESS)

    assert (found.text, found.script) == (
        "The page sends its reader on to https://site.example/new",
        False,
    )


@pytest.mark.parametrize(
    ("head", "date"),
    [
        ('<meta name="date" content="2024-05-06T07:00Z">', "2024-05-06"),
        ('<meta property="article:modified_time" content="2024-06-01">', "2024-06-01"),
        (
            '<script type="application/ld+json">{"datePublished": "2019-01-02",'
            ' "dateModified":"2023-04-05T00:00"}</script>',
            "2019-01-02, changed 2023-04-05",
        ),
        ('<time datetime="2020-02-02">long ago</time>', "2020-02-02"),
        ('<meta name="date" content="yesterday">', ""),
    ],
)
def test_the_date_is_what_the_page_says(head: str, date: str) -> None:
    """A stale page must be seen to be one."""
    assert document(f"{head}<p>text".encode(), HTML, ADDRESS).date == date


def test_a_feed_is_a_list_of_its_entries() -> None:
    """RSS and Atom, with their texts as text."""
    rss = """<?xml version="1.0"?><rss><channel><title>News</title>
<item><title>One &amp; two</title><link>/1</link><pubDate>Mon, 3 Mar 2025</pubDate>
<description>&lt;p&gt;All &lt;b&gt;new&lt;/b&gt;&lt;/p&gt;</description></item>
<item><guid>https://site.example/2</guid></item></channel></rss>"""
    atom = """<feed xmlns="http://www.w3.org/2005/Atom"><title>Blog</title><entry>
<title>Post</title><link rel="self" href="/self"/><link href="/post"/>
<updated>2025-01-01T00:00:00Z</updated><summary>Short.</summary></entry></feed>"""

    found = document(rss.encode(), "application/rss+xml", ADDRESS)

    assert (found.title, found.notes) == ("News", ("feed of 2 entries",))
    assert found.text == (
        "# News\n\n- [One & two](https://site.example/1), Mon, 3 Mar 2025\n  All **new**\n"
        "- [(without a title)](https://site.example/2)"
    )
    assert document(atom.encode(), "text/xml", ADDRESS).text == (
        "# Blog\n\n- [Post](https://site.example/post), 2025-01-01T00:00:00Z\n  Short."
    )


def test_xml_that_names_files_or_multiplies_itself_brings_nothing_in(tmp_path: Path) -> None:
    """Entities of XML can read files and fill the memory."""
    secret = tmp_path / "secret"
    secret.write_text("hunter2")
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    text = f"""<?xml version="1.0"?><!DOCTYPE rss [<!ENTITY f SYSTEM "file://{secret}">
<!ENTITY l0 "lol">{laughs}]><rss><channel><title>&f;</title>
<item><title>&l9;</title></item></channel></rss>"""

    found = document(text.encode(), "application/xml", ADDRESS)

    assert "hunter2" not in found.text
    assert "lol" not in found.text.replace('"lol"', "")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
        ),
    )
)
def test_json_made_readable_holds_the_same_values(value: object) -> None:
    """In compact, spaced and escaped form."""
    for text in (json.dumps(value), json.dumps(value, separators=(",", ":"), ensure_ascii=False)):
        assert json.loads(pretty_json(text)) == value


def test_json_is_laid_out_and_its_numbers_keep_their_digits() -> None:
    """1.10 isn't 1.1 to whoever compares versions; what is no JSON stays as it is."""
    text = '{"v":1.10,"big":12345678901234567890.5,"e":[],"o":{},"a":[1,{"\\u00fc":"\\u4e2d"}]}'

    assert pretty_json(text) == (
        '{\n "v": 1.10,\n "big": 12345678901234567890.5,\n "e": [],\n "o": {},\n'
        ' "a": [\n  1,\n  {\n   "ü": "中"\n  }\n ]\n}'
    )
    assert pretty_json('{"v": 1,}') == '{"v": 1,}'


def test_a_pdf_is_read_page_by_page() -> None:
    """With its title and date."""
    found = document(pdf_file("First words", "", "Last words"), "application/pdf", ADDRESS)

    assert (found.title, found.date, found.notes) == ("A report", "2024-07-01", ("PDF, 3 pages",))
    assert found.text == "## Page 1\n\nFirst words\n\n## Page 3\n\nLast words"


@pytest.mark.parametrize(
    ("data", "content_type", "why"),
    [
        (b"", HTML, "is empty"),
        (b" \n", "", "is empty"),
        (b"\x89PNG\r\n\x1a\n\0\0", "image/png", "is a PNG image, not text"),
        (b"\x89PNG\r\n\x1a\n\0\0", "text/plain", "is a PNG image, not text"),
        (b"\0\1\2\3" * 10, "application/x-thing", "is application/x-thing, not text"),
        (b"PK\3\4", "application/zip", "is a ZIP archive, or an office document, not text"),
        (b"%PDF-1.7 broken", "application/pdf", r"is a PDF that can't be read"),
        (pdf_file("", ""), "application/pdf", "is a PDF of 2 pages without text"),
        (b"x", "a\nb{}", "is binary, not text"),
    ],
)
def test_what_has_no_text_says_what_it_is(data: bytes, content_type: str, why: str) -> None:
    """Half a sentence that the command puts behind the address."""
    with pytest.raises(Unreadable, match=why):
        document(data, content_type, ADDRESS)


@pytest.mark.parametrize(
    ("data", "content_type", "text"),
    [
        (b"a,b\r\n1,2\r\n", "text/csv", "a,b\n1,2"),
        (b"<html><p>source", "text/plain", "<html><p>source"),
        (b"<!DOCTYPE html><p>page", "", "page"),
        (b"\n<!-- x --><html><p>page", "application/octet-stream", "page"),
        (b'{"a":1}', "", '{\n "a": 1\n}'),
        (b'[1]', "application/ld+json", "[\n 1\n]"),
        (b"def f(): pass", "text/x-python", "def f(): pass"),
        (b"<a><b>1</b></a>", "application/xml", "<a><b>1</b></a>"),
        ("<p>ü".encode("utf-16"), "text/html", "ü"),
    ],
)  # fmt: skip
def test_each_kind_is_read_as_what_it_is(data: bytes, content_type: str, text: str) -> None:
    """By its type; by its first bytes where the server doesn't know."""
    assert document(data, content_type, ADDRESS).text == text


def apart(data: bytes, content_type: str = HTML, timeout_s: float = 30.0) -> Document:
    return converted(data, content_type, ADDRESS, cancel=Cancel(), timeout_s=timeout_s)


def test_the_process_apart_gives_the_same_document() -> None:
    """What the tests above saw in this process is what a page becomes."""
    for name in ("article.html", "gb18030.html"):
        assert apart((PAGES / name).read_bytes(), "text/html") == page(name)
    with pytest.raises(Unreadable, match="is empty"):
        apart(b"")


def test_the_parsers_are_not_loaded_into_the_agent() -> None:
    """Foreign bytes meet libraries of C in the process apart alone."""
    code = (
        "import sys; from commands.builtin import catalogue; from commands.web import reading;"
        "from commands.web.converting import converted; from commands.cancel import Cancel;"
        "print(converted(b'<p>hello', 'text/html', 'http://a/', cancel=Cancel()).text);"
        "print([n for n in ('lxml', 'pypdf', 'charset_normalizer') if n in sys.modules])"
    )
    root = Path(__file__).parents[1]

    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)

    assert (done.stdout, done.stderr) == ("hello\n[]\n", "")


def test_a_page_nested_beyond_reason_is_read_as_far_as_it_goes() -> None:
    """A hundred thousand levels overflow no stack of ours."""
    found = apart(b"<p>before" + b"<div>" * 100_000 + b"deep")

    assert found.text == "before"
    assert found.notes == ("nested too deeply to be read whole",)


def test_a_document_that_takes_too_long_is_given_up() -> None:
    """The process is killed; nothing waits for it."""
    nested = b"<ul><li>" * 900 + b"x<br>" * 500_000

    with pytest.raises(Unreadable, match="too much time or memory"):
        apart(nested, timeout_s=0.3)


def test_cancel_ends_the_conversion() -> None:
    """A person who stops the run isn't kept waiting by a page."""
    cancel, done = Cancel(), Event()

    def convert() -> None:
        with pytest.raises(CommandError, match="Stopped"):
            converted(b"<ul><li>" * 900 + b"x<br>" * 500_000, HTML, ADDRESS, cancel=cancel)
        done.set()

    worker = Thread(target=convert)
    worker.start()
    cancel.set("interrupt")

    assert done.wait(10)
    worker.join()
