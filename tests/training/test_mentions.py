"""mentions.py: spans, tags of tokens, and sentences with other mentions."""

import random
import re

import pytest

from mentions import DRUG, EFFECT, NONE, Swapper, read_mentions, tags_of

SENTENCE = "Rash after amoxicillin; the rash and a fever came back with amoxicillin and Ibuprofen."


def relation(sentence, effect, effect_at, drug, drug_at, shift=1000):
    return f"1|{sentence}|{effect}|{shift + effect_at}|{shift + effect_at + len(effect)}|{drug}|{shift + drug_at}|" \
           f"{shift + drug_at + len(drug)}"


def places(text, word):
    return [m.start() for m in re.finditer(word, text)]


@pytest.fixture
def relations(tmp_path):
    drugs = places(SENTENCE, "amoxicillin")
    lines = [relation(SENTENCE, "rash", SENTENCE.index("rash"), "amoxicillin", drugs[1]),
             relation(SENTENCE, "fever", SENTENCE.index("fever"), "Ibuprofen", SENTENCE.index("Ibuprofen")),
             relation(SENTENCE, "fever", SENTENCE.index("fever"), "amoxicillin", drugs[1]),
             relation("Lithium toxicity.", "Lithium toxicity", 0, "Lithium", 0),
             relation("Not wanted: rash by lead.", "rash", 12, "lead", 20)]
    path = tmp_path / "DRUG-AE.rel"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_spans_are_the_mentions_that_the_distance_names(relations):
    spans = read_mentions(relations, [SENTENCE, "Lithium toxicity.", "no relation"])
    assert set(spans) == {SENTENCE, "Lithium toxicity."}
    assert [(SENTENCE[b:e], kind) for b, e, kind in spans[SENTENCE]] == [
        ("rash", EFFECT), ("fever", EFFECT), ("amoxicillin", DRUG), ("Ibuprofen", DRUG)]
    # Of two places of the name the second: the first has another distance from the effect.
    assert spans[SENTENCE][2][0] == places(SENTENCE, "amoxicillin")[1]


def test_a_malformed_line_is_named(tmp_path):
    path = tmp_path / "DRUG-AE.rel"
    path.write_text("1|a|b\n")
    with pytest.raises(ValueError, match="line 1: 3 fields"):
        read_mentions(path, ["a"])


def test_tags_of_tokens():
    offsets = [(0, 0), (0, 3), (3, 7), (8, 16), (16, 17), (0, 0)]  # [CLS] lit ##hium toxicity . [SEP]
    assert tags_of(offsets, [(0, 7, DRUG), (0, 16, EFFECT)]) == [NONE, DRUG, DRUG, EFFECT, NONE, NONE]
    assert tags_of(offsets, []) == [NONE] * 6


def rest(text, spans):
    """What is left of a sentence without its mentions."""
    pieces, at = [], 0
    for begin, end, _ in spans:
        pieces.append(text[at:begin])
        at = end
    return pieces + [text[at:]]


@pytest.mark.parametrize("rates", [(1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (0.5, 0.5)])
def test_swapped_spans_hold_a_known_mention_and_all_else_stays(relations, rates):
    spans = read_mentions(relations, [SENTENCE])
    swapper = Swapper(*rates, spans)
    known = {DRUG: {"amoxicillin", "ibuprofen"}, EFFECT: {"rash", "fever"}}
    changed = 0
    for seed in range(50):
        text, moved = swapper(SENTENCE, random.Random(seed))
        assert len(moved) == len(spans[SENTENCE])
        assert rest(text, moved) == rest(SENTENCE, spans[SENTENCE])
        for (begin, end, kind), (old_begin, old_end, old_kind) in zip(moved, spans[SENTENCE]):
            assert kind == old_kind and text[begin:end].lower() in known[kind]
            if rates[0 if kind == DRUG else 1] == 0.0:
                assert text[begin:end] == SENTENCE[old_begin:old_end]
        changed += text != SENTENCE
    assert changed > 5


def test_equal_names_get_equal_replacements():
    sentence = "Aspirin rash: aspirin was stopped."
    swapper = Swapper(1.0, 0.0, {sentence: [(0, 7, DRUG), (8, 12, EFFECT), (14, 21, DRUG)],
                                 "x lithium": [(2, 9, DRUG)], "x cisplatin": [(2, 11, DRUG)]})
    seen = set()
    for seed in range(30):
        text, moved = swapper(sentence, random.Random(seed))
        first, second = text[slice(*moved[0][:2])], text[slice(*moved[2][:2])]
        assert first.lower() == second.lower() and first[0].isupper()
        seen.add(second.lower())
    assert seen == {"aspirin", "lithium", "cisplatin"}


def test_sentences_without_relations_are_swapped_but_not_tagged():
    swapper = Swapper(1.0, 1.0, {"x lithium": [(2, 9, DRUG)], "x cisplatin": [(2, 11, DRUG)], "x tin": [(2, 5, DRUG)]})
    found = set()
    for seed in range(30):
        text, spans = swapper("No effect of lithium, or of lithiums.", random.Random(seed))
        assert spans == [] and text.startswith("No effect of ") and text.endswith(", or of lithiums.")
        found.add(text[13:-len(", or of lithiums.")])
    assert found == {"lithium", "cisplatin", "tin"}
    assert swapper("Nothing here.", random.Random(0)) == ("Nothing here.", [])


def test_no_rate_no_change(relations):
    spans = read_mentions(relations, [SENTENCE])
    assert Swapper(0.0, 0.0, spans)(SENTENCE, random.Random(1)) == (SENTENCE, spans[SENTENCE])
