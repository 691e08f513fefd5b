"""What of a page is kept by ours and by others, and the time: `python bench/extraction.py`.

The pages are those of the tests, each with its text beside it as a reader would want it. Ours
passes the tests, so its shares are whole by construction: they tell what the others lose, not
how ours does on pages of the world. Libraries that aren't installed are left out.
"""

import re
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from time import perf_counter

sys.path.insert(0, str(Path(__file__).parent.parent))

from commands.cancel import Cancel
from commands.web.converting import converted
from commands.web.foreign.kinds import document

PAGES = Path(__file__).parent.parent / "tests" / "pages"
ADDRESS = "https://site.example/folder/page.html"
JUDGED = ("article", "docs", "forum", "broken", "gb18030")  # each with its text beside it
AROUND = re.compile(r"\b(?:nav|footer|sidebar|cookies|script|Skip)\b|首页导航")
_TIMES = 5

Way = Callable[[bytes], str]


def main() -> None:
    """Print a table of what is kept, then of time, then the cost of the process apart."""
    ways = {"ours": ours, **others()}
    print(f"{'page':<12}{'':<14}{'words kept':>11}{'rows':>9}{'code lines':>12}{'around':>8}")
    for name in JUDGED:
        for way, extract in ways.items():
            print(f"{name:<12}{way:<14}{judged(name, extract)}")
    data = (PAGES / "huge_table.html").read_bytes()
    for way, extract in ways.items():
        text = extract(data)
        rows = sum(f"Station {n} " in text for n in range(1, 3001))
        print(f"{'huge_table':<12}{way:<14}{'':>11}{rows:>4}/3000")
    for name in (*JUDGED, "huge_table"):
        data = (PAGES / f"{name}.html").read_bytes()
        cost = "   ".join(f"{way} {1e3 * seconds(x, data):8.2f} ms" for way, x in ways.items())
        print(f"{name:<12}{len(data):>8,} bytes   {cost}")
    data = (PAGES / "article.html").read_bytes()
    print(f"a read outside the network (process apart): {1e3 * seconds(apart, data):.0f} ms")


def judged(name: str, extract: Way) -> str:
    """How much of the page's text is there: words, rows of tables, lines of code in their order."""
    wanted = (PAGES / f"{name}.txt").read_text()
    found = extract((PAGES / f"{name}.html").read_bytes())
    words = set(re.findall(r"\w+", wanted))
    kept = len(words & set(re.findall(r"\w+", found))) / len(words)
    rows = [cells(line) for line in wanted.split("\n") if line.startswith("| ")]
    rows = [row for row in rows if row and set("".join(row)) - set("- ")]
    there = [cells(line) for line in found.split("\n") if line.lstrip().startswith("|")]
    code = re.findall(r"```\w*\n(.*?)\n```", wanted, re.S)
    lines = sum(len(block.split("\n")) for block in code if block in found)
    every = sum(len(block.split("\n")) for block in code)
    around = len(AROUND.findall(found)) - len(AROUND.findall(wanted))
    held = sum(row in there for row in rows)
    return f"{kept:>10.0%} {held:>5}/{len(rows)} {lines:>8}/{every:<3}{max(around, 0):>6}"


def cells(line: str) -> list[str]:
    """The texts of a row without marks, whatever a library puts around them."""
    bare = re.sub(r"\]\([^)]*\)|[`\[\]*\\]", "", line)
    return [cell.strip() for cell in bare.strip().strip("|").split("|")]


def ours(data: bytes) -> str:
    return document(data, "text/html", ADDRESS).text


def apart(data: bytes) -> str:
    return converted(data, "text/html", ADDRESS, cancel=Cancel()).text


def others() -> dict[str, Way]:
    """Other libraries, set up to keep as much as they can."""
    found: dict[str, Way] = {}
    if find_spec("trafilatura"):
        import trafilatura

        found["trafilatura"] = lambda data: (
            trafilatura.extract(
                data,
                output_format="markdown",
                include_links=True,
                include_tables=True,
                include_formatting=True,
                favor_recall=True,
                url=ADDRESS,
            )
            or ""
        )
    if find_spec("markdownify"):
        import markdownify

        found["markdownify"] = lambda data: str(markdownify.markdownify(data, heading_style="ATX"))
    return found


def seconds(extract: Way, data: bytes) -> float:
    """The median of a few runs."""
    taken: list[float] = []
    for _ in range(_TIMES):
        began = perf_counter()
        extract(data)
        taken.append(perf_counter() - began)
    return median(taken)


if __name__ == "__main__":
    main()
