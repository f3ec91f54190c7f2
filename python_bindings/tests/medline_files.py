# SPDX-License-Identifier: Apache-2.0
"""Small MEDLINE files, made by hand."""

from __future__ import annotations


def record(pmid: int, title: str, abstract: str = "") -> str:
    body = f"<Abstract><AbstractText>{abstract}</AbstractText></Abstract>" if abstract else ""
    return (
        f'<PubmedArticle><MedlineCitation Status="MEDLINE"><PMID Version="1">{pmid}</PMID>'
        f"<Article><ArticleTitle>{title}</ArticleTitle>{body}</Article></MedlineCitation></PubmedArticle>"
    )


def write(path, *records: str, end: str = "</PubmedArticleSet>"):
    path.write_text('<?xml version="1.0"?><PubmedArticleSet>' + "".join(records) + end, encoding="utf-8")
    return path
