"""Tests of training/: what they need beyond numpy (torch, scikit-learn, matplotlib, the corpus) is skipped where it is
missing. ADE_CORPUS names a folder with DRUG-AE.rel and ADE-NEG.txt."""

import random
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "training"))

if sys.version_info < (3, 11):  # tomllib
    collect_ignore_glob = ["test_*.py"]


@pytest.fixture
def data() -> Path:
    return ROOT / "tests" / "data"


WORDS = "rash nausea after therapy with drugs was seen in two patients who had severe hepatic failure".split()


def write_corpus(folder: Path, seed: int, abstracts: int = 300) -> Path:
    """A corpus of the same form: several relations a sentence, repeated sentences, some in several abstracts."""
    rng = random.Random(seed)

    def sentence(i: int) -> str:
        return f"{' '.join(rng.choices(WORDS, k=rng.randint(3, 9)))}, \"case\" {i}."

    relations, negatives, count = [], [], 0
    for pmid in rng.sample(range(10 ** 6, 10 ** 8), abstracts):
        for _ in range(min(40, int(rng.expovariate(0.15)) + 1)):
            count += 1
            if rng.random() < 0.25:
                text = sentence(count)
                for _ in range(rng.randint(1, 3)):
                    relations.append(f"{pmid}|{text}|rash|1|5|drug|7|11")
            else:
                text = "A case report." if rng.random() < 0.004 else sentence(count)
                negatives += [f"{pmid} NEG {text}"] * (1 + (rng.random() < 0.02))
    rng.shuffle(negatives)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "DRUG-AE.rel").write_text("\n".join(relations) + "\n")
    (folder / "ADE-NEG.txt").write_text("\n".join(negatives) + "\n")
    return folder
