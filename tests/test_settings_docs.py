"""What docs/settings.md and docs/local-models.md show is what the program takes.

`python -m tests.test_settings_docs` writes the table of keys anew.
"""

import re
from pathlib import Path

from autoagent.configuration import options, settings
from autoagent.configuration.ai_settings import parse as parse_ai_settings
from autoagent.configuration.options import OPTIONS
from autoagent.configuration.settings import DEFAULTS, Settings
from autoagent.configuration.sources import ALSO_IN_FILES, VARIABLES
from autoagent.models.servers import LOCAL_PORTS

DOCS = Path(__file__).parent.parent / "docs"
_BEGIN, _END = "<!-- keys -->\n", "<!-- /keys -->"
# What only variables set has no line in --help.
_SAID = {
    "api_key": "the key",
    "organization": "who pays, when a key belongs to several",
    "azure_key": "the key for Azure",
    "azure_version": "Azure's older interface, by its date",
    "azure_deployment": "the model's deployment on Azure",
    "azure_embedding_deployment": "that for memory",
    "bell": "at the end of a run, or a question, after a minute at a terminal: auto, never, always",
    "keep_days": "days that a session is kept after its last word; none: without end",
    "keep_size": "bytes that sessions and checkpoints may take (5G); none: without limit",
    "command_timeout": "how long a command may run when the model doesn't say",
    "model_timeout": "how long the model may be silent",
    "command_cpu": "CPU time of each process of a command",
    "command_memory": "share of the machine's memory for all in the cage",
    "command_processes": "processes in the cage at once",
    "command_open_files": "open files of each process",
    "command_file_size": "the largest file a command may write",
    "command_output": "how much of a command's output is read",
    "command_scratch": "each of /tmp, /var/tmp, /dev/shm and the home folder",
    "searxng_url": "the SearXNG that web_search asks",
    "tavily_key": "the key for Tavily, asked by web_search",
    "brave_key": "the key for Brave Search, asked by web_search",
    "max_agents": "how many sub-agents work at once; the next one waits",
    "agent_depth": "how deep sub-agents may stand beneath each other",
    "local_ports": "where a server on this machine is looked for",
}


def page(name: str) -> str:
    return (DOCS / name).read_text("utf-8")


def blocks(name: str, language: str) -> list[str]:
    """The fenced texts of a page in that language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page(name), re.DOTALL | re.MULTILINE)


def table() -> str:
    """Every key: its name in files ("-": in variables only), its variables, what it is."""
    lines = ["| key | variables | |", "|---|---|---|"]
    for key in DEFAULTS:
        if key == "resume":
            continue
        names = ", ".join(name for name, of in VARIABLES.items() if of == key)
        said = OPTIONS[key].help.replace("|", "\\|") if key in OPTIONS else _SAID[key]
        file = f"`{key}`" if key in OPTIONS or key in ALSO_IN_FILES else "-"
        lines.append(f"| {file} | {names} | {said} |")
    return "\n".join([*lines, ""])


def loaded(folder: Path, *argv: str) -> Settings:
    work = folder / "home" / "work"
    work.mkdir(parents=True)
    return settings.load(options.parse([*argv]), {"HOME": str(work.parent)}, cwd=work)


def test_the_table_holds_every_key(tmp_path: Path) -> None:
    """Made from the table of options: python -m tests.test_settings_docs."""
    shown = page("settings.md").partition(_BEGIN)[2].partition(_END)[0]

    assert shown == table()


def test_the_files_shown_are_read_as_they_stand(tmp_path: Path) -> None:
    """People copy them."""
    (toml,) = blocks("settings.md", "toml")
    dotenv, azure = (block.replace("…", "x") for block in blocks("settings.md", "ini"))
    (tmp_path / "a.toml").write_text(toml)
    (tmp_path / "a.env").write_text(dotenv + azure)

    found = loaded(
        tmp_path, "--config", str(tmp_path / "a.toml"), "--env-file", str(tmp_path / "a.env")
    )

    assert found.notices == ()
    assert (found.max_steps, found.max_cost, found.max_time_s) == (50, 1.5, 1800)
    assert (found.azure, found.model, found.embedding_model) == (True, "my-gpt", "my-embeddings")
    assert [str(host) for host in found.allow_host] == ["example.org", "example.com:8080"]


def test_the_ai_settings_shown_are_read(tmp_path: Path) -> None:
    """The form that Auto-GPT writes."""
    (text,) = blocks("settings.md", "yaml")

    found = parse_ai_settings(tmp_path, text.encode())

    assert (found.name, len(found.goals), found.budget) == ("Port-GPT", 2, 1.5)


def test_the_ports_shown_are_those_that_are_tried() -> None:
    """The table of servers."""
    shown = re.findall(r"^\| [\w. ]+ \| (\d+) \|", page("local-models.md"), re.MULTILINE)

    assert tuple(map(int, shown)) == LOCAL_PORTS == DEFAULTS["local_ports"]


def main() -> None:
    """Put the table of keys into the page."""
    head, rest = page("settings.md").split(_BEGIN)
    rest = rest.split(_END, 1)[1]
    (DOCS / "settings.md").write_text(f"{head}{_BEGIN}{table()}{_END}{rest}", "utf-8")


if __name__ == "__main__":
    main()
