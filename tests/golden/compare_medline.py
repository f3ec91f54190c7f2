#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares the MEDLINE reader with an independent one written on ElementTree.

    python3 tests/golden/compare_medline.py [--lxml] PROGRAM FILE...

PROGRAM is tests/golden/medline_parts.c, built. Nothing but Python's own library is needed; --lxml parses with lxml.
Three things must hold for every record of every file:
- each field equals that of the independent reading (`records`);
- no character of a title or abstract section is lost or added: the text's characters are those of all text nodes
  (itertext), in order, but for white space, and for "^(", "_(" and ")", as often as there are superscripts and
  subscripts that hold text;
- the numbers of records, abstracts and deletions are those that a plain count of elements gave (COUNTS).
Exit status 0 when all holds. ADE_TEST_WRONG=1 puts a mistake into the independent reading, and the comparison must
fail."""
import calendar
import collections
import gzip
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree

WHITE = re.compile(r"[ \t\r\n]+")
CHILD_MARKS = {"msup": {1: "^"}, "msub": {1: "_"}, "msubsup": {1: "_", 2: "^"}}

# Counted as elements: MedlineCitation, those with Abstract, PMIDs of any kind, PMIDs in DeleteCitation.
COUNTS = {
    "medline16n0902.xml.gz": (604, 526, 4225, 1),
    "pubmed20n1016.xml.gz": (26, 24, 292, 262),
    "pubmed26n1334.xml.gz": (30, 27, 32, 0),
    "pubmed-29768149.xml": (1, 1, 3, 0),
    "pubmed1.xml": (2, 1, 2, 0),
    "pubmed2.xml": (2, 2, 2, 0),
    "pubmed4.xml": (1, 1, 50, 0),
    "pubmed5.xml": (1, 1, 41, 0),
    "pubmed_no_rows.xml": (2, 0, 2, 0),
}


def parse(path, lxml=False):
    """The root element."""
    with open(path, "rb") as stream:
        packed = stream.read(2) == b"\x1f\x8b"
    with gzip.open(path) if packed else open(path, "rb") as stream:
        if not lxml:
            return xml.etree.ElementTree.parse(stream).getroot()
        import lxml.etree
        quiet = lxml.etree.XMLParser(remove_comments=True, remove_pis=True, resolve_entities=False, load_dtd=False,
                                     no_network=True)
        return lxml.etree.parse(stream, quiet).getroot()


# ---- Text ------------------------------------------------------------------------------------------------------------


def local(element):
    return element.tag.rsplit("}", 1)[-1]


def collapse(text):
    return WHITE.sub(" ", text or "").strip(" ")


def mark_of(parent, index, child):
    """What the child is to its neighbours: "^", "_" or nothing."""
    marks = CHILD_MARKS.get(local(parent))
    if marks:
        return marks.get(index)
    return {"sup": "^", "sub": "_"}.get(child.tag)


def marked(element):
    """All text below the element, in order, with the marks."""
    out = [element.text or ""]
    for index, child in enumerate(element):
        inner, mark = marked(child), mark_of(element, index, child)
        if mark:
            inner = f"{mark}({inner})" if inner.strip(" \t\r\n") else ""
        out += [inner, child.tail or ""]
    return "".join(out)


def text(element):
    return "" if element is None else collapse(marked(element))


def attribute(element, name):
    return collapse(element.get(name)) or None


def lost_or_added(ours, element):
    """Why `ours` cannot be the text of the element; None if it can. Looks at text nodes only, not at `marked`."""
    ours = WHITE.sub("", ours)
    nodes = WHITE.sub("", "".join(element.itertext()))
    rest = iter(ours)
    if not all(character in rest for character in nodes):
        return f"text nodes are missing or in another order: {nodes!r}"
    expected = collections.Counter()
    for parent in element.iter():
        for index, child in enumerate(parent):
            mark = mark_of(parent, index, child)
            if mark and WHITE.sub("", "".join(child.itertext())):
                expected.update(mark + "()")
    added = collections.Counter(ours) - collections.Counter(nodes)
    return None if added == expected else f"characters were added: {added}, but the marks are {expected}"


# ---- Records ---------------------------------------------------------------------------------------------------------

MONTHS = {name.lower(): number for number, name in enumerate(calendar.month_name) if name}


def number(value, low, high):
    return int(value) if re.fullmatch("[0-9]{1,18}", value) and low <= int(value) <= high else None


def date(element):
    """What is right of a PubDate or DateRevised."""
    if element is None:
        return ""
    part = {name: collapse(element.findtext(name)) for name in ("Year", "Month", "Day", "MedlineDate")}
    if re.fullmatch("[1-9][0-9]{3}", part["Year"]):
        year = part["Year"]
    else:
        found = re.search(r"(?<![0-9])[1-9][0-9]{3}(?![0-9])", part["MedlineDate"])
        if not found:
            return ""
        year = found[0]
    names = [n for name, n in MONTHS.items() if len(part["Month"]) >= 3 and name.startswith(part["Month"].lower())]
    month = names[0] if names else number(part["Month"], 1, 12)
    if not month:
        return year
    day = number(part["Day"], 1, calendar.monthrange(int(year), month)[1])
    return f"{year}-{month:02}" + (f"-{day:02}" if day else "")


def items(elements):
    return [item for item in map(text, elements) if item]


def first(elements):
    return next(iter(items(elements)), "")


def heading(element):
    names = [element.find("DescriptorName"), *element.findall("QualifierName")]
    if not text(names[0]):
        return ""
    return "/".join(("*" if name.get("MajorTopicYN") == "Y" else "") + text(name) for name in names if text(name))


def sections(abstract, other):
    return [([attribute(s, "Label"), attribute(s, "NlmCategory"), text(s)] +
             ([attribute(abstract, "Language") or "eng", abstract.get("Type", ""), True] if other
              else [None, None, False]), s) for s in abstract.findall("AbstractText")]


def records(root):
    """Of each record the fields, and the elements of title and sections."""
    empty = dict(deleted=False, book=False, has_article=False, has_abstract=False, title="", sections=[], date="",
                 date_revised="", journal="", doi="", languages=[], publication_types=[], chemicals=[], mesh=[],
                 retracted=False, mesh_adverse_effects=False, mesh_chemically_induced=False)
    for child in root:
        if child.tag == "DeleteCitation":
            for pmid in child.findall("PMID"):
                yield dict(empty, pmid=int(pmid.text), version=int(pmid.get("Version", 1)), deleted=True), None, []
            continue
        book = child.find("BookDocument")
        citation = child if child.tag == "MedlineCitation" else child.find("MedlineCitation")
        record = book if book is not None else citation
        article = book if book is not None else record.find("Article")
        pmid = record.find("PMID")
        title, parts, journal, when, ids, types = None, [], "", None, [], []
        if book is not None:
            title = book.find("ArticleTitle")
            if title is None:
                title = book.find("Book/BookTitle")
            journal = text(book.find("Book/BookTitle"))
            when = book.find("Book/PubDate")
            ids = book.findall("ArticleIdList/ArticleId") + child.findall("PubmedBookData/ArticleIdList/ArticleId")
            types = items(book.findall("PublicationType"))
        elif article is not None:
            title = article.find("ArticleTitle")
            when = article.find("Journal/JournalIssue/PubDate")
            types = items(article.findall("PublicationTypeList/PublicationType"))
        if book is None:
            journal = first(record.findall("MedlineJournalInfo/MedlineTA") + record.findall("Article/Journal/Title"))
            ids = record.findall("Article/ELocationID") + child.findall("PubmedData/ArticleIdList/ArticleId")
        if article is not None:
            for abstract in article.findall("Abstract"):
                parts += sections(abstract, False)
        for abstract in record.findall("OtherAbstract"):
            parts += sections(abstract, True)
        headings = [h for h in record.findall("MeshHeadingList/MeshHeading") if heading(h)]
        qualifiers = {text(q) for h in headings for q in h.findall("QualifierName")}
        yield dict(
            empty, pmid=int(pmid.text), version=int(pmid.get("Version", 1)), book=book is not None,
            has_article=article is not None, has_abstract=article is not None and article.find("Abstract") is not None,
            title=text(title), sections=[part for part, _ in parts], date=date(when),
            date_revised=date(record.find("DateRevised")), journal=journal,
            doi=first(e for e in ids if "doi" in (e.get("EIdType"), e.get("IdType")) and e.get("ValidYN") != "N"),
            languages=items(article.findall("Language")) if article is not None else [], publication_types=types,
            chemicals=items(record.findall("ChemicalList/Chemical/NameOfSubstance")),
            mesh=list(map(heading, headings)),
            retracted="Retracted Publication" in types or any(
                note.get("RefType") == "RetractionIn"
                for note in record.findall("CommentsCorrectionsList/CommentsCorrections")),
            mesh_adverse_effects="adverse effects" in qualifiers,
            mesh_chemically_induced="chemically induced" in qualifiers), title, [element for _, element in parts]


# ---- The comparison --------------------------------------------------------------------------------------------------


def read(program, path):
    """What the reader makes of the file."""
    output = subprocess.run([program, path], capture_output=True, check=True).stdout.decode()
    return [json.loads(line) for line in output.split("\n") if line]


def check_counts(path, ours, root):
    expected = COUNTS.get(os.path.basename(path))
    if not expected:
        return []
    found = (sum(not r["deleted"] for r in ours), sum(r["has_abstract"] for r in ours),
             sum(1 for _ in root.iter("PMID")), sum(r["deleted"] for r in ours))
    return [] if found == expected else [f"{path}: records, abstracts, PMIDs, deletions are {found}, not {expected}"]


def compare(program, path, lxml):
    """(records, characters, faults)"""
    root = parse(path, lxml)
    ours, theirs = read(program, path), list(records(root))
    faults = check_counts(path, ours, root)
    characters = 0
    if os.environ.get("ADE_TEST_WRONG") == "1":
        theirs[0][0]["title"] += "!"
    if len(ours) != len(theirs):
        faults.append(f"{path}: {len(ours)} records, expected {len(theirs)}")
    for mine, (expected, title, elements) in zip(ours, theirs):
        for field in {**mine, **expected}:
            if mine.get(field) != expected.get(field):
                faults.append(f"{path}: PMID {expected['pmid']}, {field}\n  reader   {mine.get(field)}\n"
                              f"  expected {expected.get(field)}")
        texts = [mine["title"]] if title is not None else []
        texts += [section[2] for section in mine["sections"]]
        for part, element in zip(texts, ([title] if title is not None else []) + elements):
            characters += len(part)
            fault = lost_or_added(part, element)
            if fault:
                faults.append(f"{path}: PMID {expected['pmid']}: {fault}\n  reader   {part!r}")
    return len(theirs), characters, faults


def main():
    arguments = [a for a in sys.argv[1:] if a != "--lxml"]
    program, files = arguments[0] if arguments else None, arguments[1:]
    if not files:
        sys.exit(__doc__)
    total = characters = wrong = 0
    for path in files:
        n, size, faults = compare(program, path, "--lxml" in sys.argv)
        total, characters, wrong = total + n, characters + size, wrong + len(faults)
        for fault in faults:
            print(fault)
    print(f"{total} records, {characters} characters of text in {len(files)} files; {wrong} differences")
    return wrong != 0


if __name__ == "__main__":
    sys.exit(main())
