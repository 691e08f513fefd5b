"""How many of 200 questions find their fact among ten: `python bench/quality.py`.

python bench/quality.py --embeddings URL MODEL asks a server for vectors too, through the
program's own client (the key is OPENAI_API_KEY, if it needs one).

What it is: 200 facts of the kind that an agent or a person notes, each with a question in other
words and two near misses (bench/questions.jsonl), all written for this by one author before
anything was measured, in English. Facts and near misses stand in one store, about 600 rows. The
questions are hard: three of five share no word with their fact but the likes of "the", which no
ranking by words can find. It compares ways of ranking with each other; it says little of how well
any of them does on other texts, and nothing about what a real run notes. The yardstick is SQLite's
FTS5 by itself: the words of the question joined by OR, bm25, the ten best.
"""

import json
import os
import re
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from yardstick import figure

from memory_store import open_store

K = 10
Vectors = Mapping[str, Sequence[float]]
Ranking = Callable[[str], Sequence[str]]


def main(url: str = "", model: str = "") -> None:
    """Print one line a way of ranking."""
    cases = [json.loads(line) for line in _questions().read_text("utf-8").splitlines()]
    asked = [(case["question"], case["fact"]) for case in cases]
    texts = [text for case in cases for text in (case["fact"], *case["near"])]
    vectors = embedded([*texts, *(question for question, _ in asked)], url, model) if url else {}
    print(f"{len(asked)} questions, {len(texts)} texts")
    report("FTS5 bm25, any word of the question", asked, plain(texts))
    with tempfile.TemporaryDirectory() as folder, open_store(f"{folder}/s.sqlite") as store:
        for text in texts:
            store.add(text, vector=vectors.get(text), model=model)

        def by_words(question: str) -> list[str]:
            return [hit.memory.text for hit in store.nearest(question, k=K)]

        def mixed(question: str) -> list[str]:
            hits = store.nearest(question, vector=vectors[question], model=model, k=K)
            return [hit.memory.text for hit in hits]

        def by_vector(question: str) -> list[str]:
            hits = store.nearest("", vector=vectors[question], model=model, k=K)
            return [hit.memory.text for hit in hits]

        report("the store, words alone", asked, by_words)
        if vectors:
            report(f"the store, vectors of {model} alone", asked, by_vector)
            report("the store, vectors and words", asked, mixed)


def report(what: str, asked: Sequence[tuple[str, str]], ranking: Ranking) -> None:
    found = [ranking(question) for question, _ in asked]
    pairs = [(texts, fact) for texts, (_, fact) in zip(found, asked, strict=True)]
    in_ten = sum(fact in texts for texts, fact in pairs) / len(pairs)
    first = sum(fact in texts[:1] for texts, fact in pairs) / len(pairs)
    shown = sum(map(len, found)) / len(pairs)
    figure(f"{what}: recall@{K}", f"{in_ten:.3f} (first: {first:.3f}; {shown:.1f} found)")


def plain(texts: Sequence[str]) -> Ranking:
    """FTS5 with the store's tokenizer, and nothing else of it."""
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE VIRTUAL TABLE t USING fts5(text, tokenize = 'porter unicode61')")
    connection.executemany("INSERT INTO t VALUES (?)", [(text,) for text in texts])

    def ranked(question: str) -> list[str]:
        words = " OR ".join(f'"{word}"' for word in re.findall(r"\w+", question))
        sql = "SELECT text FROM t WHERE t MATCH ? ORDER BY bm25(t) LIMIT ?"
        return [text for (text,) in connection.execute(sql, (words, K))]

    return ranked


def embedded(texts: Sequence[str], url: str, model: str) -> Vectors:
    """The vector of each text by a server's model."""
    from autoagent.models.openai_model import OpenAIModel
    from commands.cancel import Cancel

    key = os.environ.get("OPENAI_API_KEY", "none")
    with OpenAIModel(name="none", base_url=url, api_key=key, embedding_model=model) as client:
        given = client.embed(texts, cancel=Cancel())
    if given is None:
        sys.exit(f"{url} has no embeddings by {model}.")
    return dict(zip(texts, given.vectors, strict=True))


def _questions() -> Path:
    return Path(__file__).with_name("questions.jsonl")


if __name__ == "__main__":
    if sys.argv[1:] and (len(sys.argv) != 4 or sys.argv[1] != "--embeddings"):
        sys.exit("usage: python bench/quality.py [--embeddings URL MODEL]")
    main(*sys.argv[2:])
