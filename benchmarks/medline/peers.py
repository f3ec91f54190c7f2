# SPDX-License-Identifier: Apache-2.0
"""The same work in Python, on one thread: pubmed_parser, PySBD, and transformers' fast tokenizer.

    peers.py MODEL FILE [parse|all]

parse: pubmed_parser's records; all: then the sentences of their titles and abstracts by PySBD, then the token ids of
these by BertTokenizerFast, 1,000 sentences a call. Imports and opening the tokenizer are not counted. Writes one JSON
object with the seconds of each step alone.
"""

from __future__ import annotations

import os

os.environ.update(TOKENIZERS_PARALLELISM="false", RAYON_NUM_THREADS="1", OMP_NUM_THREADS="1", TRANSFORMERS_VERBOSITY="error")

import json
import sys
import time

import pubmed_parser


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
    model, path, what = sys.argv[1:]
    answer = {}
    for _ in zip(range(20), pubmed_parser.parse_medline_xml(path)):  # warms up
        pass
    with Step() as step:
        texts = [(r["title"], r["abstract"]) for r in pubmed_parser.parse_medline_xml(path)]
    answer["parse"] = {**step.seconds, "records": len(texts), "text_bytes": sum(len(t.encode()) for pair in texts for t in pair)}
    if what == "all":
        import pysbd
        from transformers import BertTokenizerFast

        splitter = pysbd.Segmenter(language="en", clean=False)
        tokenizer = BertTokenizerFast.from_pretrained(model)
        splitter.segment("It warms up. So does this.")
        tokenizer(["It warms up.", "So does this."])
        with Step() as step:
            sentences = [s for pair in texts for text in pair if text for s in splitter.segment(text)]
        answer["split"] = {**step.seconds, "sentences": len(sentences)}
        with Step() as step:
            tokens = 0
            for first in range(0, len(sentences), 1000):
                ids = tokenizer(sentences[first : first + 1000], truncation=True, max_length=512)["input_ids"]
                tokens += sum(map(len, ids))
        answer["tokenize"] = {**step.seconds, "tokens": tokens}
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
