"""Tags and entities: read as conlleval reads them, scored as seqeval's strict mode does."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from jenga_core.contracts import Ragged
from jenga_text import tags as bio
from jenga_text.entity_metrics import EntityMetrics
from jenga_text.viterbi import constrained

TYPES = ("LOC", "PER")
TAGS = st.lists(st.sampled_from(["O", "B-LOC", "I-LOC", "B-PER", "I-PER"]), min_size=1, max_size=9)


def numbers(tags: list[str]) -> list[int]:
    return [0 if t == "O" else 1 + 2 * TYPES.index(t[2:]) + (t[0] == "I") for t in tags]


def spans_of(lengths: list[int]) -> Ragged:
    """Words of three characters, a blank between two."""
    return Ragged.of([[(0, 4 * at, 4 * at + 3) for at in range(n)] for n in lengths])


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("O B-PER I-PER O", [(1, 3, "PER")]),
        ("I-PER I-PER B-PER O I-LOC", [(0, 2, "PER"), (2, 3, "PER"), (4, 5, "LOC")]),  # IOB1
        ("S-LOC B-PER I-PER E-PER", [(0, 1, "LOC"), (1, 4, "PER")]),  # BIOES
        ("U-LOC B-PER L-PER U-PER", [(0, 1, "LOC"), (1, 3, "PER"), (3, 4, "PER")]),  # BILOU
        ("B-PER I-LOC I-LOC", [(0, 1, "PER"), (1, 3, "LOC")]),
        ("B-a-b I-a-b", [(0, 2, "a-b")]),
        ("", []),
    ],
)
def test_all_schemes_read_by_one_rule(tags: str, expected: list[tuple[int, int, str]]) -> None:
    assert bio.read(tags.split())[0] == expected


def test_what_begins_with_i_is_counted() -> None:
    assert bio.read(["O", "I-PER", "I-PER", "B-LOC"])[1] == 1


@pytest.mark.parametrize("wrong", ["PER", "X-PER", "B-", "", "o"])
def test_what_is_no_tag_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="is no tag"):
        bio.read([wrong])


@settings(deadline=None)
@given(st.lists(TAGS, min_size=1, max_size=5))
def test_entities_of_flat_tokens_are_those_of_each_sentence(sentences: list[list[str]]) -> None:
    flat = np.array([n for tags in sentences for n in numbers(tags)])
    row = np.repeat(np.arange(len(sentences)), [len(tags) for tags in sentences])
    spans = spans_of([len(tags) for tags in sentences]).values
    found = bio.entities(flat, row, spans, 0)
    expected = [
        (at, 4 * a, 4 * b - 1, TYPES.index(label))
        for at, tags in enumerate(sentences)
        for a, b, label in bio.read(tags)[0]
    ]
    assert list(zip(found.row, found.start, found.end, found.label, strict=True)) == expected


@settings(deadline=None)
@given(st.lists(st.tuples(TAGS, st.randoms(use_true_random=False)), min_size=1, max_size=6))
def test_scores_are_seqevals_strict_ones(pairs: list[tuple[list[str], object]]) -> None:
    """Gold sentences as read (always legal), predictions legal: there strict IOB2 has no rule of its own."""
    metrics = pytest.importorskip("seqeval.metrics", reason="seqeval is the oracle of this test")
    from seqeval.scheme import IOB2

    gold = [legal(tags) for tags, _ in pairs]
    guess = [legal([rng.choice(["O", tag]) for tag in tags]) for tags, rng in pairs]  # type: ignore[attr-defined]
    mine = compute(gold, guess)
    if all(tag == "O" for tags in gold + guess for tag in tags):
        assert np.isnan(mine["f1"])
        return
    options = {"mode": "strict", "scheme": IOB2, "zero_division": 0}
    assert mine["f1"] == pytest.approx(metrics.f1_score(gold, guess, **options))
    for name in ("precision", "recall"):
        theirs = getattr(metrics, f"{name}_score")(gold, guess, **options)
        assert mine[name] == pytest.approx(theirs) or (np.isnan(mine[name]) and theirs == 0)


def legal(tags: list[str]) -> list[str]:
    out = ["O"] * len(tags)
    for a, b, label in bio.read(tags)[0]:
        out[a:b] = [f"B-{label}", *[f"I-{label}"] * (b - a - 1)]
    return out


def compute(gold: list[list[str]], guess: list[list[str]]) -> dict[str, float]:
    entities = [[(4 * a, 4 * b - 1, TYPES.index(k)) for a, b, k in bio.read(tags)[0]] for tags in gold]
    target = {
        "spans": spans_of([len(tags) for tags in gold]),
        "gold": Ragged.of([np.array(row, np.int64).reshape(-1, 3) for row in entities]),
    }
    return EntityMetrics(TYPES, 0).compute({"tags": Ragged.of([numbers(tags) for tags in guess])}, target)


def test_a_type_that_the_model_does_not_know_is_missed() -> None:
    target = {"spans": spans_of([2]), "gold": Ragged.of([np.array([[0, 3, -1], [4, 7, 0]])])}
    found = EntityMetrics(TYPES, 0).compute({"tags": Ragged.of([[1, 1]])}, target)
    assert found == {"f1": 0.5, "precision": 0.5, "recall": 0.5}


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_viterbi_finds_the_best_legal_sequence(length: int, seed: int) -> None:
    scores = torch.randn(1, length, 5, generator=torch.Generator().manual_seed(seed))
    best, value = None, -np.inf
    for sequence in np.ndindex(*[5] * length):
        allowed = all(t == 0 or t % 2 or (at and sequence[at - 1] in (t, t - 1)) for at, t in enumerate(sequence))
        total = sum(float(scores[0, at, t]) for at, t in enumerate(sequence))
        if allowed and total > value:
            best, value = list(sequence), total
    assert constrained(scores, torch.ones(1, length, dtype=torch.bool))[0].tolist() == best


def test_padding_changes_nothing() -> None:
    scores = torch.randn(3, 6, 5, generator=torch.Generator().manual_seed(1))
    mask = torch.arange(6) < torch.tensor([[6], [2], [4]])
    together = constrained(scores, mask)
    for row, length in enumerate((6, 2, 4)):
        alone = constrained(scores[row : row + 1, :length], mask[row : row + 1, :length])
        assert together[row, :length].tolist() == alone[0].tolist()
        assert not together[row, length:].any()


def test_a_token_that_ends_where_an_entity_starts_is_no_part_of_it() -> None:
    """Nor is one that starts where it ends: pieces of words touch, and share no character."""
    spans = Ragged.of([[(-1, 0, 0), (0, 0, 3), (0, 3, 6), (0, 6, 9)], [(0, 0, 3), (0, 3, 6), (0, 6, 9)]])
    gold = Ragged.of([[(3, 6, 1)], [(0, 3, 0), (6, 9, 1)]], np.int64)
    tags, cut, behind = bio.align(gold, spans, 0)
    loc, per = 1, 3
    assert tags.values.tolist() == [0, 0, per, 0, loc, 0, per]
    assert (cut, behind) == (0, 0)
