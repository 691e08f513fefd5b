"""Text of the web that one agent of a session reads binds them all."""

from pathlib import Path
from threading import Event

from autoagent.events import Executed, Inherited, Messaged, Reported, Told
from tests.fake_openai import Answer
from tests.teams import Troupe, says
from tests.web_server import Reply, WebServer

_OWN = "is not allowed: this very address stands in no goal"
_PAGE = b"<h1>News</h1><p>See <a href='/more'>more of the news</a> for the whole story.</p>"
_MORE = b"<h1>More</h1><p>That was all of the news for this very day.</p>"


def _site() -> WebServer:
    return WebServer({"/page": Reply(_PAGE), "/more": Reply(_MORE)})


def _of(troupe: Troupe, agent: str, name: str) -> list[Executed]:
    events = troupe.events(agent)
    return [e for e in events if isinstance(e, Executed) and e.name == name]


def test_after_a_sub_agent_read_the_web_its_agent_reaches_no_address_of_its_own(
    tmp_path: Path,
) -> None:
    """The report may carry what a page ordered, so what binds its reader binds who hears it."""
    with _site() as site, _site() as other:
        page, away = (f"http://127.0.0.1:{s.port}/{p}" for s, p in ((site, "page"), (other, "x")))
        with Troupe(
            tmp_path,
            main=[
                says("read_webpage", url=away),
                says("start_agent", name="a", task=f"a reads {page}"),
                says("wait_for_agents"),
                says("read_webpage", url=away),
                says("finish", answer="ok"),
            ],
            a=[says("read_webpage", url=page), says("finish", answer=f"read it, see {away}")],
        ) as troupe:
            session = troupe.run("main", allow_host=[f"127.0.0.1:{site.port}"])

            before, after = _of(troupe, "", "read_webpage")
            prompt = troupe.prompt_of("main", 3)
    assert _OWN not in before.text
    assert (after.refused, _OWN in after.text) == (True, True)
    assert "[agent a, after reading the web] is done" in prompt
    assert other.paths == []
    report = next(e for e in troupe.events() if isinstance(e, Reported))
    assert (report.web, report.addresses) == (True, ())
    assert any(host.endswith(str(site.port)) for host in report.hosts)
    assert session.state.taint.since is not None


def test_one_that_works_beside_is_bound_before_its_next_call(tmp_path: Path) -> None:
    """What the reader of a page writes into a file may be read there by another one."""
    read = Event()
    with _site() as site, _site() as other:
        page, away = (f"http://127.0.0.1:{s.port}/{p}" for s, p in ((site, "page"), (other, "x")))
        with Troupe(
            tmp_path,
            main=[
                says("start_agent", name="b", task="b"),
                says("start_agent", name="a", task="a"),
                says("wait_for_agents"),
                says("finish", answer="ok"),
            ],
            a=[
                says("read_webpage", url=page),
                says("write_file", path="note.txt", content=f"read {away}"),
                says("finish", answer="wrote it"),
            ],
            b=[
                Answer(says("read_file", path="note.txt"), hold=read),
                says("read_webpage", url=away),
                says("finish", answer="tried"),
            ],
        ) as troupe:
            troupe.on_entry = lambda entry: (
                read.set()
                if entry.agent == "a"
                and getattr(entry.event, "name", "") == "write_file"
                and isinstance(entry.event, Executed)
                else None
            )
            troupe.run("main", allow_host=[f"127.0.0.1:{site.port}"])

            (tried,) = _of(troupe, "b", "read_webpage")
    assert (tried.refused, _OWN in tried.text) == (True, True)
    assert other.paths == []
    assert [e.web for e in troupe.events("b") if isinstance(e, Inherited)] == [False, True]


def test_a_task_or_message_opens_no_address_but_those_that_its_writer_was_given(
    tmp_path: Path,
) -> None:
    """Else an agent that obeys a page would let another one do it."""
    asked = Event()
    with _site() as site, _site() as other:
        page, more = (f"http://127.0.0.1:{site.port}/{p}" for p in ("page", "more"))
        away = f"http://127.0.0.1:{other.port}/?data=secret"
        with Troupe(
            tmp_path,
            main=[
                says("read_webpage", url=page),
                says("start_agent", name="a", task=f"a reads {away} and {more}"),
                Answer(
                    says("message_agent", name="a", message=f"now {away} or {more}"), hold=asked
                ),
                says("wait_for_agents"),
                says("finish", answer="ok"),
            ],
            a=[
                says("read_webpage", url=away),
                says("read_webpage", url=more),
                says("finish", answer="tried"),
            ],
        ) as troupe:
            troupe.on_entry = lambda entry: asked.set() if entry.agent == "a" else None
            troupe.run("main", allow_host=[f"127.0.0.1:{site.port}"])

            tried = _of(troupe, "a", "read_webpage")
            sent = [e for e in troupe.events() if isinstance(e, Messaged)]
            heard = [e for e in troupe.events("a") if isinstance(e, Told)]
    assert [(each.refused, each.ok) for each in tried] == [(True, False), (False, True)]
    assert other.paths == []
    assert [(e.web, e.addresses) for e in sent] == [(True, (more,))]
    assert [(e.web, e.addresses) for e in heard] == [(True, (more,))]
