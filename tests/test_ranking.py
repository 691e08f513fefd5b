"""The formulas of ranking: exact nearest, ties, the mix of scores, and what words count."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from memory_store import ranking, words
from memory_store.ranking import Floats, Vectors

# Few distinct values, so that most scores tie.
_COARSE = st.integers(-2, 2).map(float)
_MATRICES = hnp.arrays(np.float32, st.tuples(st.integers(0, 30), st.just(3)), elements=_COARSE)
_QUERIES = hnp.arrays(np.float32, 3, elements=_COARSE)


@given(_MATRICES, _QUERIES, st.integers(0, 35))
def test_nearest_agrees_with_a_full_stable_sort(matrix: Floats, query: Floats, k: int) -> None:
    """Taking the best apart first must be seen in the time only, ties included."""
    scores = [float(sum(a * b for a, b in zip(row, query, strict=True))) for row in matrix]
    order = sorted(range(len(scores)), key=lambda row: (-scores[row], row))[:k]

    found = ranking.nearest(matrix, query, k)

    assert found == [(row, scores[row]) for row in order]


@given(st.integers(1, 70), st.integers(1, 70), st.integers(0, 99))
def test_equal_rows_score_the_same_wherever_they_stand(count: int, dim: int, seed: int) -> None:
    """Else the last bit of a product, not the age, would decide between them."""
    row = np.random.default_rng(seed).standard_normal(dim).astype(np.float32)

    found = ranking.nearest(np.tile(row, (count, 1)), row, count)

    assert [place for place, _ in found] == list(range(count))


def test_a_float64_query_leaves_the_scores_in_float32() -> None:
    """A float64 query would convert the whole matrix at every call."""
    matrix = np.eye(3, dtype=np.float32)

    scores = ranking.cosines(matrix, np.array([0.0, 1.0, 0.0]))

    assert scores.dtype == np.float32
    assert scores.tolist() == [0.0, 1.0, 0.0]


@given(st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=8))
def test_a_unit_vector_has_length_one_or_there_is_none(numbers: list[float]) -> None:
    """Neither huge nor tiny numbers may overflow, vanish or become NaN."""
    vector = ranking.unit(numbers)

    if any(numbers):
        assert vector is not None
        assert float(vector @ vector) == pytest.approx(1, abs=1e-5)
    else:
        assert vector is None


@pytest.mark.parametrize("numbers", [[], [0.0, 0.0], [float("nan"), 1.0], [float("inf"), 1.0]])
def test_what_has_no_direction_is_no_vector(numbers: list[float]) -> None:
    """One NaN in the array would be above every floor and below every score."""
    assert ranking.unit(numbers) is None


def test_both_halves_are_divided_by_their_maximum() -> None:
    """By hand: 0.5 x 0.6/0.8 + 0.5 x 2/4, 0.5 x 0.8/0.8, and 0.5 x 4/4 for a row without vector."""
    rows = np.array([1, 2, 3], dtype=np.int64)
    dense = np.array([0.6, 0.8, 0.1], dtype=np.float32)

    found = ranking.mixed(rows, dense, {1: 2.0, 9: 4.0}, 10, floor=0.25)

    assert [row for row, _ in found] == [1, 2, 9]
    assert [score for _, score in found] == pytest.approx([0.625, 0.5, 0.5])


def test_scores_that_are_all_negative_find_nothing() -> None:
    """Divided by a negative maximum, the worst row would come out best."""
    rows = np.array([1, 2], dtype=np.int64)
    dense = np.array([-0.9, -0.1], dtype=np.float32)

    assert ranking.mixed(rows, dense, {}, 10, floor=-1.0) == []


@given(
    hnp.arrays(np.float32, st.integers(0, 12), elements=st.sampled_from([-0.5, 0.0, 0.25, 0.5, 1])),
    st.dictionaries(st.integers(1, 16), st.sampled_from([1.0, 2.0, 4.0])),
    st.integers(0, 20),
)
def test_the_mix_agrees_with_its_formula_row_by_row(
    dense: Floats, scores: dict[int, float], k: int
) -> None:
    """The k best of the vectors are taken first, which must not lose a row of the whole."""
    rows = np.arange(1, len(dense) + 1, dtype=np.int64)
    raw = {row: max(float(c), 0.0) if c >= 0.25 else 0.0 for row, c in enumerate(dense, 1)}
    most, most_words = max(raw.values(), default=0), max(scores.values(), default=0)
    whole = {
        row: (0.5 * scores.get(row, 0) / most_words if most_words else 0)
        + (0.5 * raw.get(row, 0) / most if most else 0)
        for row in {*raw, *scores}
    }
    order = sorted(whole, key=lambda row: (-whole[row], row))

    found = ranking.mixed(rows, dense, scores, k, floor=0.25)

    assert found == [(row, whole[row]) for row in order if whole[row] > 0][:k]


def test_vectors_keep_every_row_while_they_grow() -> None:
    """Doubling copies the array; rows and numbers must stay side by side."""
    vectors = Vectors(2, room=1)

    for row in range(1, 10):
        vectors.append(row, np.array([row, -row], dtype="<f4").tobytes())

    assert vectors.rows.tolist() == list(range(1, 10))
    assert vectors.matrix.tolist() == [[row, -row] for row in range(1, 10)]
    assert vectors.matrix.flags.c_contiguous


def _clustered(count: int, spread: float) -> tuple[Floats, Floats]:
    """Rows around 40 centres with a mean in common, as embeddings have, and 20 queries."""
    random = np.random.default_rng(7)
    centres = random.standard_normal((40, 96)) + 6 * random.standard_normal(96)
    drawn = centres[random.integers(0, 40, count + 20)]
    rows = (drawn + spread * random.standard_normal(drawn.shape)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows[:count], rows[count:]


def _filled(matrix: Floats, exact_to: int) -> Vectors:
    vectors = Vectors(matrix.shape[1], exact_to=exact_to)
    for row, vector in enumerate(matrix, 1):
        vectors.append(row, vector.astype("<f4").tobytes())
    return vectors


def _best(found: tuple[ranking.Rows, Floats], k: int) -> list[int]:
    rows, dense = found
    return [int(rows[at]) for at in ranking.top(dense, k)]


@pytest.mark.parametrize("spread", [0.3, 1.0])
def test_the_choice_by_signs_holds_nearly_all_of_the_exact_ten(spread: float) -> None:
    """recall@10 of 0.99 is asked for; it takes the mean off, or most signs are the same."""
    matrix, queries = _clustered(30_000, spread)
    exact, chosen = _filled(matrix, 30_000), _filled(matrix, 0)
    hits = looked_at = 0

    for query in queries:
        whole = exact.scored(query, 10, without=(), wanted=())
        some = chosen.scored(query, 10, without=(), wanted=())
        hits += len(set(_best(whole, 10)) & set(_best(some, 10)))
        looked_at += len(some[0])

    assert hits >= 0.99 * 10 * len(queries)
    assert looked_at < 0.1 * len(matrix) * len(queries)


@pytest.mark.parametrize("exact_to", [0, 10_000])
def test_hidden_rows_stay_out_and_wanted_ones_come_with_their_cosine(exact_to: int) -> None:
    """What words found needs its cosine, however far it is; what stands in the window must
    not take the place of others. Both ways of choosing give the same."""
    matrix, queries = _clustered(4000, 1.0)
    vectors = _filled(matrix, exact_to)
    dense = matrix @ queries[0]
    order = [int(at) + 1 for at in np.argsort(-dense, kind="stable")]
    nearest, farthest = order[:20], order[-3:]

    rows, found = vectors.scored(queries[0], 10, without=nearest, wanted=[*farthest, 9999])

    score = dict(zip(rows.tolist(), found.tolist(), strict=True))
    assert rows.tolist() == sorted(rows.tolist())
    assert [score[row] for row in farthest] == pytest.approx([dense[row - 1] for row in farthest])
    assert all(score.get(row, 0) == 0 for row in nearest)
    assert set(order[20:30]) <= set(_best((rows, found), 12))


def test_rows_added_later_are_chosen_too() -> None:
    """The signs follow the array, over its doubling and over a new mean."""
    matrix, _ = _clustered(9000, 1.0)
    vectors = Vectors(96, room=1, exact_to=0)

    for count in (1, 100, 3000, 3001, 9000):
        for row in range(len(vectors.rows), count):
            vectors.append(row + 1, matrix[row].astype("<f4").tobytes())
        query = matrix[count - 1]

        assert _best(vectors.scored(query, 1, without=(), wanted=()), 1) == [count]


@given(_MATRICES, _QUERIES, st.sets(st.integers(1, 30)), st.integers(1, 5))
def test_few_rows_are_chosen_whole(
    matrix: Floats, query: Floats, without: set[int], k: int
) -> None:
    """Then the choice by signs is exact, ties and hidden rows included."""
    one, other = _filled(matrix, 0), _filled(matrix, 99)

    rows, dense = one.scored(query, k, without=without, wanted=())
    every, whole = other.scored(query, k, without=without, wanted=())

    assert rows.tolist() == [row for row in every.tolist() if row not in without]
    assert dense.tolist() == [d for r, d in zip(every, whole, strict=True) if r not in without]


def test_chinese_is_indexed_by_overlapping_pairs() -> None:
    """FTS5 takes a run of Chinese for one word, which no query would ever match."""
    assert words.indexed("数据库 port 猫").split() == ["数据", "据库", "库", "port", "猫", "猫"]
    assert words.asked("数据库port") == ("数据", "据库", "port")


def test_a_query_leaves_out_function_words() -> None:
    """Else any two questions would be alike."""
    assert words.asked("How do I reach the Database?") == ("reach", "database")


@given(st.text(alphabet=st.characters(codec=None, exclude_categories=[]), max_size=200))
def test_terms_are_letters_and_digits_and_few(text: str) -> None:
    """They are put into an FTS5 query, where quotes, stars and NUL would be syntax."""
    terms = words.asked(text)

    assert all(term.isalnum() for term in terms)
    assert len(terms) <= 64
    assert len(set(terms)) == len(terms)
    words.indexed(text).encode()


def test_a_row_is_covered_by_the_weight_of_what_it_holds() -> None:
    """One rare term of two is about half of the query; one common term of five is nearly none."""
    rare = words.covering({"kiwi": [1], "plum": [2]}, 1000, floor=0.2)
    common = words.covering(
        {"run": range(500), "a": [], "b": [], "c": [], "d": []}, 1000, floor=0.2
    )

    assert rare == {1: 0.5, 2: 0.5}
    assert common == {}


def test_words_alone_are_divided_by_their_maximum_and_ties_are_older_first() -> None:
    """The same scale as the mix, so that one budget of recall serves both."""
    assert words.best({7: 2.0, 3: 2.0, 5: 4.0, 6: 0.0}, 3) == [(5, 1.0), (3, 0.5), (7, 0.5)]
