#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares the MEDLINE reader with the package pubmed_parser, and explains each difference.

    python3 tests/golden/compare_pubmed_parser.py PROGRAM FILE...

PROGRAM is tests/golden/medline_parts.c, built. Needs the packages lxml and pubmed_parser (0.5.1).
A difference is allowed only by a rule of RULES. Each rule has a condition that is looked up in the XML of the very
record, and a value that pubmed_parser must then give; nothing else passes. Exit status 0 when all is explained."""
import collections
import gzip
import sys
import tempfile

import lxml.etree
import pubmed_parser
from pubmed_parser import medline_parser

import compare_medline as plain

RULES = {
    # whole records
    "old root": "MedlineCitation directly below the root: the file gives no records at all",
    "no article": "a record without Article: AttributeError, and with it the rest of the file is lost",
    "book": "books are left out",
    "deletion": "DeleteCitation is left out",
    "not by the DTD": "what the DTD asks for is missing or empty: an exception, and the rest of the file is lost",
    # texts
    "white space": "runs of white space and line ends stay as they are",
    "marks": "superscripts and subscripts lose their place: 10^(9) is 109",
    "nested": "text of elements inside inline elements is lost",
    "joined": "sections are joined by line feeds, with labels between them; an abstract of one section loses its label",
    "other abstract": "OtherAbstract is left out",
    # other fields
    "mesh star": "a major descriptor is not marked; the star of a qualifier stands behind it",
    "journal": "has the journal's full title and MedlineTA as two fields; the reader gives one",
    "doi pii": "only the last ELocationID is looked at, and no ArticleId if there is one",
}


CRASHES = (AttributeError, IndexError, TypeError)


class Unexplained(Exception):
    pass


def flat(element):
    """What pubmed_parser's stringify_children can see: two levels."""
    parts = [element.text]
    for child in element:
        parts += [child.text, child.tail]
    return "".join(filter(None, parts))


def expected_text(ours, element, used):
    """The reader's text as pubmed_parser must give it, but for white space."""
    value, nodes = ours, plain.collapse("".join(element.itertext()))
    if value != nodes:
        if not any(e.tag in ("sup", "sub") or plain.local(e) in plain.CHILD_MARKS for e in element.iter()):
            raise Unexplained(f"{value!r} is not the text {nodes!r}")
        if plain.lost_or_added(value, element):
            raise Unexplained(plain.lost_or_added(value, element))
        used.add("marks")
        value = nodes
    seen = plain.collapse(flat(element))
    if value != seen:
        if not any(len(child) for child in element):
            raise Unexplained(f"{value!r} is not {seen!r}, and nothing is nested")
        used.add("nested")
        value = seen
    return value


def same(field, theirs, expected):
    if theirs != expected:
        raise Unexplained(f"{field}: pubmed_parser gives {theirs!r}, explained would be {expected!r}")


def same_text(field, theirs, expected, used):
    if theirs != expected:
        used.add("white space")
    same(field, plain.collapse(theirs), plain.collapse(expected))


def compare_texts(ours, theirs, citation, used):
    article = citation.find("Article")
    title = article.find("ArticleTitle")
    same_text("title", theirs["title"], expected_text(ours["title"], title, used) if title is not None else "", used)
    own = [s for s in ours["sections"] if not s[5]]
    if len(own) != len(ours["sections"]):
        used.add("other abstract")
    elements = article.findall("Abstract/AbstractText")
    texts = [expected_text(section[2], element, used) for section, element in zip(own, elements)]
    if len(own) == 1:
        if own[0][0]:
            used.add("joined")
        abstract = texts[0]
    else:
        parts = []
        for section, words in zip(own, texts):
            parts += ([] if section[0] == "UNASSIGNED" else ["\n", section[0] or ""]) + [words]
        abstract = "\n".join(parts)
        if parts:
            used.add("joined")
    same_text("abstract", theirs["abstract"], abstract.strip(), used)


def coded(names, elements):
    """"UI:name; .." as pubmed_parser writes lists."""
    if len(names) != len(elements):
        raise Unexplained(f"{names} for {len(elements)} elements")
    return "; ".join(f"{element.get('UI', '')}:{name}" for name, element in zip(names, elements))


def compare_lists(ours, theirs, citation, used):
    same("languages", theirs["languages"], ";".join(ours["languages"]))
    same("publication types", theirs["publication_types"],
         coded(ours["publication_types"], citation.findall("Article/PublicationTypeList/PublicationType")))
    same("chemicals", theirs["chemical_list"],
         coded(ours["chemicals"], citation.findall("ChemicalList/Chemical/NameOfSubstance")))
    headings = []
    for heading, element in zip(ours["mesh"], citation.findall("MeshHeadingList/MeshHeading"), strict=True):
        names, elements = heading.split("/"), list(element)
        if len(names) != len(elements):
            raise Unexplained(f"heading {heading}")
        words = []
        for name, e in zip(names, elements):
            if name.startswith("*"):
                used.add("mesh star")
                name = name[1:] + ("*" if e.tag == "QualifierName" else "")
            words.append(f"{e.get('UI')}:{name}")
        headings.append(" / ".join(words))
    same("mesh", theirs["mesh_terms"], "; ".join(headings))


def compare_rest(ours, theirs, citation, used):
    same("pmid", theirs["pmid"], str(ours["pmid"]))
    if theirs["journal"] != ours["journal"]:
        used.add("journal")
    same("journal", ours["journal"], plain.collapse(theirs["medline_ta"]) or plain.collapse(theirs["journal"]))
    locations = citation.findall("Article/ELocationID")
    doi = ours["doi"]
    if theirs["doi"] != doi and locations and locations[-1].get("EIdType") != "doi":
        used.add("doi pii")
        doi = ""
    same("doi", theirs["doi"], doi)
    same("date", theirs["pubdate"], ours["date"])


def records_of_file(path):
    """How many records parse_medline_xml gives for the file; None when it breaks off."""
    with tempfile.NamedTemporaryFile(suffix=".xml.gz") as packed: # it reads nothing else
        with open(path, "rb") as stream:
            data = stream.read()
        packed.write(data if data[:2] == b"\x1f\x8b" else gzip.compress(data))
        packed.flush()
        try:
            return sum(1 for _ in pubmed_parser.parse_medline_xml(packed.name, year_info_only=False))
        except CRASHES:
            return None


def compare(program, path, used):
    """(records compared, faults)"""
    root = plain.parse(path, lxml=True)
    ours, faults, n = plain.read(program, path), [], 0
    articles, elements = len(root.findall("PubmedArticle")), []
    if root.find("MedlineCitation") is not None:
        used["old root"] += 1
    for child in root:
        elements += child.findall("PMID") if child.tag == "DeleteCitation" else [child]
    if len(ours) != len(elements):
        return 0, [f"{path}: {len(ours)} records, but {len(elements)} elements"]
    broken = 0
    for record, element in zip(ours, elements):
        if record["deleted"] or record["book"]:
            used["deletion" if record["deleted"] else "book"] += 1
            continue
        if element.tag == "MedlineCitation": # as it would be below PubmedArticleSet
            wrapped = lxml.etree.Element("PubmedArticle")
            wrapped.append(element)
            element = wrapped
        citation, rules = element.find("MedlineCitation"), set()
        try:
            theirs = medline_parser.parse_article_info(element, False, False, False, False, parse_subs=True)
        except CRASHES as error:
            broken += 1
            if not record["has_article"]:
                used["no article"] += 1
            elif citation.find("Article/Journal/JournalIssue/PubDate") is None or any(
                    e.text is None for e in citation.iter("Language", "NameOfSubstance", "DescriptorName")):
                used["not by the DTD"] += 1
            else:
                faults.append(f"{path}: PMID {record['pmid']}: pubmed_parser fails: {error!r}")
            continue
        try:
            compare_texts(record, theirs, citation, rules)
            compare_lists(record, theirs, citation, rules)
            compare_rest(record, theirs, citation, rules)
            n += 1
        except Unexplained as fault:
            faults.append(f"{path}: PMID {record['pmid']}: {fault}")
        used.update(rules)
    got = records_of_file(path)
    if got != (None if broken and articles else articles):
        faults.append(f"{path}: as a whole pubmed_parser gives {got} of {articles} records")
    return n, faults


def main():
    program, files = (sys.argv[1:2] or [None])[0], sys.argv[2:]
    if not files:
        sys.exit(__doc__)
    used, total, wrong = collections.Counter(), 0, 0
    for path in files:
        n, faults = compare(program, path, used)
        total, wrong = total + n, wrong + len(faults)
        for fault in faults:
            print(fault)
    for rule, text in RULES.items():
        print(f"{used[rule]:6} x {rule}: {text}")
    unknown = set(used) - set(RULES)
    if unknown:
        sys.exit(f"rules without an explanation: {unknown}")
    print(f"{total} records compared with pubmed_parser in {len(files)} files; {wrong} differences unexplained")
    return wrong != 0


if __name__ == "__main__":
    sys.exit(main())
