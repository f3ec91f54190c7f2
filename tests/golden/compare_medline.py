#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares the XML reader with an independent one written on Python's ElementTree.

    python3 tests/golden/compare_medline.py PROGRAM FILE...

PROGRAM is tests/golden/medline_parts.c, built. For every record of every file: PMID, version, title and sections must be
equal; and, as a check of the checker, no character of a text may be lost or added but for white space and the marks
^( _( ) of superscripts and subscripts. Exit status 0 when all is equal."""
import gzip
import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET

WHITE = re.compile(r"[ \t\r\n]+")
CHILD_MARKS = {"msup": {1: "^"}, "msub": {1: "_"}, "msubsup": {1: "_", 2: "^"}}


def local(element):
    return element.tag.rsplit("}", 1)[-1]


def marked(element):
    """All text below the element, in order, with the marks."""
    marks = CHILD_MARKS.get(local(element), {})
    out = [element.text or ""]
    for index, child in enumerate(element):
        inner = marked(child)
        if marks:
            mark = marks.get(index)
        else:
            mark = {"sup": "^", "sub": "_"}.get(child.tag)
        if mark:
            inner = f"{mark}({inner})" if inner.strip(" \t\r\n") else ""
        out += [inner, child.tail or ""]
    return "".join(out)


def text(element):
    if element is None:
        return ""
    result = WHITE.sub(" ", marked(element)).strip(" ")
    plain = "".join("".join(element.itertext()).split())
    bare = re.sub(r"[\^_]\(|\)", "", "".join(result.split()))
    if bare != re.sub(r"[\^_]\(|\)", "", plain):
        sys.exit(f"the comparison itself loses text: {plain!r} became {result!r}")
    return result


def attribute(element, name):
    value = element.get(name)
    return (WHITE.sub(" ", value).strip(" ") or None) if value is not None else None


def records(path):
    with open(path, "rb") as stream:
        packed = stream.read(2) == b"\x1f\x8b"
    with gzip.open(path) if packed else open(path, "rb") as stream:
        root = ET.parse(stream).getroot()
    for child in root:
        if child.tag == "DeleteCitation":
            for pmid in child.findall("PMID"):
                yield dict(pmid=int(pmid.text), version=int(pmid.get("Version", 1)), deleted=True, has_article=False,
                           has_abstract=False, title="", sections=[])
            continue
        book = child.find("BookDocument")
        citation = child if child.tag == "MedlineCitation" else child.find("MedlineCitation")
        record = book if book is not None else citation
        article = book if book is not None else citation.find("Article")
        pmid = record.find("PMID")
        title, sections = "", []
        if article is not None:
            found = article.find("ArticleTitle")
            title = text(found if found is not None else article.find("Book/BookTitle"))
            sections = [[attribute(s, "Label"), attribute(s, "NlmCategory"), text(s)]
                        for s in article.findall("Abstract/AbstractText")]
        yield dict(pmid=int(pmid.text), version=int(pmid.get("Version", 1)), deleted=False,
                   has_article=article is not None,
                   has_abstract=article is not None and article.find("Abstract") is not None, title=title,
                   sections=sections)


def main():
    program, files = sys.argv[1], sys.argv[2:]
    if not files:
        sys.exit(__doc__)
    wrong = total = characters = 0
    for path in files:
        output = subprocess.run([program, path], capture_output=True, check=True).stdout.decode()
        ours = [json.loads(line) for line in output.split("\n") if line]
        reference = list(records(path))
        if len(ours) != len(reference):
            print(f"{path}: {len(ours)} records, expected {len(reference)}")
            wrong += 1
        for mine, theirs in zip(ours, reference):
            total += 1
            characters += len(theirs["title"]) + sum(len(s[2]) for s in theirs["sections"])
            if mine != theirs:
                wrong += 1
                print(f"{path}: PMID {theirs['pmid']}\n  reader   {mine}\n  expected {theirs}")
    print(f"{total} records, {characters} characters in {len(files)} files; {wrong} differences")
    return wrong != 0


if __name__ == "__main__":
    sys.exit(main())
