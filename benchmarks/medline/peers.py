# SPDX-License-Identifier: Apache-2.0
"""The same work in Python, on one thread: pubmed_parser, PySBD, and transformers' fast tokenizer.

    peers.py MODEL FILE

pubmed_parser's records, then the sentences of their titles and abstracts by PySBD, then the token ids of these by
BertTokenizerFast, 1,000 sentences a call. Imports and opening are not counted. Writes one JSON object with the seconds
of each step alone.
"""

from __future__ import annotations

import os

os.environ.update(
    TOKENIZERS_PARALLELISM="false", RAYON_NUM_THREADS="1", OMP_NUM_THREADS="1", TRANSFORMERS_VERBOSITY="error"
)

import itertools
import json
import sys
import time

import pubmed_parser
import pysbd
from transformers import BertTokenizerFast


class Step:
    def __enter__(self) -> Step:
        self.start, self.cpu = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = {
            "seconds": time.perf_counter() - self.start,
            "cpu_seconds": time.process_time() - self.cpu,
        }


def main() -> None:
    model, path = sys.argv[1:]
    splitter = pysbd.Segmenter(language="en", clean=False)
    tokenizer = BertTokenizerFast.from_pretrained(model)
    for record in itertools.islice(pubmed_parser.parse_medline_xml(path), 20):  # warms up
        tokenizer(splitter.segment(record["title"]))
    with Step() as parse:
        texts = [(r["title"], r["abstract"]) for r in pubmed_parser.parse_medline_xml(path)]
    with Step() as split:
        sentences = [s for pair in texts for text in pair if text for s in splitter.segment(text)]
    with Step() as tokenize:
        tokens = 0
        for first in range(0, len(sentences), 1000):
            ids = tokenizer(sentences[first : first + 1000], truncation=True, max_length=512)["input_ids"]
            tokens += sum(map(len, ids))
    text_bytes = sum(len(text.encode()) for pair in texts for text in pair)
    answer = {
        "parse": {**parse.seconds, "records": len(texts), "text_bytes": text_bytes},
        "split": {**split.seconds, "sentences": len(sentences)},
        "tokenize": {**tokenize.seconds, "tokens": tokens},
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
