"""Drug and effect mentions of the corpus' relations: where they stand in a sentence, and sentences with others in their
place.

``DRUG-AE.rel`` holds a relation a line, eight fields separated by vertical bars: PMID, sentence, effect, its begin and
end, drug, its begin and end. The offsets count in the abstract, whose text is not in the corpus; within a sentence only
the distance of the two mentions is known.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Iterable

NONE, DRUG, EFFECT = 0, 1, 2
"""Classes of a token: outside of every mention, in a drug's, in an effect's."""
N_TAGS = 3

Span = tuple[int, int, int]
"""First character, the one behind the last, DRUG or EFFECT."""


def _places(sentence: str, mention: str) -> list[int]:
    return [match.start() for match in re.finditer(re.escape(mention), sentence)] if mention else []


def _locate(sentence: str, effect: str, drug: str, distance: int) -> tuple[int, int] | None:
    """Where effect and drug begin; the pair whose distance is that of the corpus, else the first of each."""
    effects, drugs = _places(sentence, effect), _places(sentence, drug)
    for e in effects:
        if e + distance in drugs:
            return e, e + distance
    return (effects[0], drugs[0]) if effects and drugs else None


def read_mentions(relations: Path, wanted: Iterable[str]) -> dict[str, list[Span]]:
    """Spans of the sentences in ``wanted``, sorted, each once. Mentions of other sentences are not looked at, so that
    nothing of a test part can reach training."""
    sentences = set(wanted)
    found: dict[str, set[Span]] = defaultdict(set)
    with relations.open(encoding="utf-8") as stream:
        for number, line in enumerate(stream, start=1):
            fields = line.rstrip("\n").split("|")
            if len(fields) != 8:
                raise ValueError(f"{relations}: line {number}: {len(fields)} fields instead of 8")
            _, sentence, effect, effect_begin, _, drug, drug_begin, _ = fields
            if sentence not in sentences:
                continue
            place = _locate(sentence, effect, drug, int(drug_begin) - int(effect_begin))
            if place is not None:
                found[sentence].add((place[0], place[0] + len(effect), EFFECT))
                found[sentence].add((place[1], place[1] + len(drug), DRUG))
    return {sentence: sorted(spans) for sentence, spans in found.items()}


def tags_of(offsets: list[tuple[int, int]], spans: list[Span]) -> list[int]:
    """A class a token; a drug's mention wins within an effect's ("lithium toxicity")."""
    tags = [NONE] * len(offsets)
    for kind in (EFFECT, DRUG):
        for begin, end, span_kind in spans:
            if span_kind != kind:
                continue
            for i, (first, last) in enumerate(offsets):
                if first < last and first < end and last > begin:
                    tags[i] = kind
    return tags


@dataclass
class Swapper:
    """Puts other drugs and effects of the training data in a mention's place, so that a model learns how an adverse
    effect is reported rather than which drugs and effects it has met."""

    drug_rate: float
    effect_rate: float
    spans: dict[str, list[Span]]
    drugs: list[str] = field(default_factory=list)
    effects: list[str] = field(default_factory=list)
    _known: re.Pattern[str] | None = None

    def __post_init__(self) -> None:
        drugs, effects = set(), set()
        for sentence, spans in self.spans.items():
            for begin, end, kind in spans:
                (drugs if kind == DRUG else effects).add(sentence[begin:end])
        self.drugs, self.effects = sorted(drugs), sorted(effects)
        # In sentences without relations drugs are not marked; names of five letters and more are safe to look for.
        names = sorted({name.lower() for name in drugs if len(name) >= 5}, key=lambda name: (-len(name), name))
        if names:
            self._known = re.compile(r"(?<!\w)(?:" + "|".join(map(re.escape, names)) + r")(?!\w)", re.IGNORECASE)

    def __call__(self, sentence: str, rng: random.Random) -> tuple[str, list[Span]]:
        """The sentence and its spans, perhaps with other mentions. Equal names get equal replacements."""
        spans = self.spans.get(sentence)
        marked = spans is not None
        if spans is None:
            spans = [(m.start(), m.end(), DRUG) for m in self._known.finditer(sentence)] if self._known else []
        change_drugs, change_effects = rng.random() < self.drug_rate, rng.random() < self.effect_rate
        if not spans or not (change_drugs or change_effects):
            return sentence, spans if marked else []
        instead: dict[tuple[str, int], str] = {}
        text, moved, at = "", [], 0
        for begin, end, kind in spans:
            if begin < at:  # within a mention that was handled: it is left out, whether that one was changed or not
                continue
            name = sentence[begin:end]
            if change_drugs if kind == DRUG else change_effects:
                key = (name.lower(), kind)
                if key not in instead:
                    instead[key] = rng.choice(self.drugs if kind == DRUG else self.effects)
                new = instead[key]
                if begin == 0 or name[:1].isupper() and not name.isupper():
                    new = new[:1].upper() + new[1:]
            else:
                new = name
            text += sentence[at:begin]
            moved.append((len(text), len(text) + len(new), kind))
            text += new
            at = end
        return text + sentence[at:], moved if marked else []
