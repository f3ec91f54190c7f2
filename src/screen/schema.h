/* SPDX-License-Identifier: Apache-2.0
 * The tables of a store. SQLite keeps the comments: `sqlite3 STORE .schema` shows them to whoever wants to query it,
 * for example the hits of case reports that are not retracted, best first:
 *
 *     SELECT h.pmid, h.score, h.text FROM hits h JOIN documents d USING (pmid)
 *     WHERE d.publication_types LIKE '%Case Reports%' AND NOT d.retracted ORDER BY h.score DESC;
 *
 * A change that an older adesieve would misread raises ADE_STORE_VERSION. */
#ifndef ADE_SCHEMA_H
#define ADE_SCHEMA_H

static const char *const ade__schema[] = { /* a statement each, or a table with its index */
    "CREATE TABLE settings (   -- what scores and hits depend on; a run with others is refused\n"
    "    name  TEXT PRIMARY KEY,\n"
    "    value TEXT NOT NULL\n"
    ") WITHOUT ROWID;\n",

    "CREATE TABLE totals (     -- numbers of rows, so that nobody has to count 40 million of them\n"
    "    name  TEXT PRIMARY KEY, -- 'records' (not deleted), 'deleted', 'documents', 'hits'\n"
    "    value INTEGER NOT NULL\n"
    ") WITHOUT ROWID;\n",

    "CREATE TABLE runs (       -- one row a run; one that was interrupted and gone on with is one run\n"
    "    id      INTEGER PRIMARY KEY,\n"
    "    began   TEXT NOT NULL, -- UTC\n"
    "    ended   TEXT,          -- UTC; NULL = not complete\n"
    "    facts   TEXT NOT NULL, -- JSON: an object for each start, with its time, version, device, ..\n"
    "    note    TEXT,          -- the client's own: where its output is, and how far\n"
    "    summary TEXT           -- JSON: one object of counts; NULL = not complete\n"
    ");\n",

    "CREATE TABLE files (      -- one row a file that is done; a file whose content changed has one for each content\n"
    "    id            INTEGER PRIMARY KEY,\n"
    "    name          TEXT NOT NULL, -- without its folder\n"
    "    path          TEXT,          -- as it was opened last\n"
    "    year          INTEGER,       -- of pubmed26n1334: 26; NULL = not named so, so it has no place in the order\n"
    "    number        INTEGER,       -- of pubmed26n1334: 1334 (a number above 2^63 - 1 is shown as negative)\n"
    "    size          INTEGER NOT NULL, -- bytes as stored\n"
    "    mtime         INTEGER,       -- time of last change, nanoseconds since 1970; NULL = unknown\n"
    "    md5           TEXT,          -- of the file as stored; NULL = unknown\n"
    "    bytes_xml     INTEGER NOT NULL DEFAULT 0,\n"
    "    citations     INTEGER NOT NULL DEFAULT 0, -- new_citations + revised + unchanged + superseded\n"
    "    new_citations INTEGER NOT NULL DEFAULT 0,\n"
    "    revised       INTEGER NOT NULL DEFAULT 0, -- with another text than before: screened again\n"
    "    unchanged     INTEGER NOT NULL DEFAULT 0, -- with the same text: not screened again\n"
    "    superseded    INTEGER NOT NULL DEFAULT 0, -- older than what was known: left out\n"
    "    deleted       INTEGER NOT NULL DEFAULT 0, -- named by DeleteCitation\n"
    "    sentences     INTEGER NOT NULL DEFAULT 0,\n"
    "    screened      INTEGER NOT NULL DEFAULT 0, -- of the sentences\n"
    "    hits          INTEGER NOT NULL DEFAULT 0, -- of the sentences screened\n"
    "    rows          INTEGER NOT NULL DEFAULT 0, -- rows that the run gave\n"
    "    tokens        INTEGER NOT NULL DEFAULT 0,\n"
    "    run           INTEGER NOT NULL REFERENCES runs(id),\n"
    "    done_at       TEXT           -- UTC\n"
    ");\n"
    "CREATE INDEX files_by_name ON files(name);\n",

    "CREATE TABLE records (    -- what is known of each PMID ever met\n"
    "    pmid          INTEGER PRIMARY KEY,\n"
    "    version       INTEGER NOT NULL,\n"
    "    hash          INTEGER,       -- of title, labels and texts, 64 bits; NULL = deleted\n"
    "    file          INTEGER NOT NULL REFERENCES files(id), -- that named it last\n"
    "    deleted       INTEGER NOT NULL, -- 1: a tombstone\n"
    "    n_sentences   INTEGER NOT NULL,\n"
    "    n_screened    INTEGER NOT NULL, -- sentences with a letter or digit\n"
    "    n_hits        INTEGER NOT NULL, -- sentences with score >= threshold\n"
    "    score         REAL,          -- the highest; NULL = no sentence was screened\n"
    "    noisy_or      REAL,          -- 1 - product of (1 - score) over its sentences; NULL = as above\n"
    "    best_sentence INTEGER,       -- which has the highest score, from 0; NULL = as above\n"
    "    scores        BLOB           -- of each sentence: float32, little-endian; NaN = not screened\n"
    ");\n"
    "CREATE INDEX records_deleted ON records(pmid) WHERE deleted = 1;\n",

    "CREATE TABLE documents (  -- records with a hit: what a reviewer needs. Lists: one item a line\n"
    "    pmid                    INTEGER PRIMARY KEY REFERENCES records(pmid),\n"
    "    title                   TEXT, -- NULL = the store keeps no texts\n"
    "    journal                 TEXT,\n"
    "    date                    TEXT, -- of publication: '2016', '2016-05' or '2016-05-31'\n"
    "    date_revised            TEXT,\n"
    "    doi                     TEXT,\n"
    "    languages               TEXT, -- 'eng'\n"
    "    publication_types       TEXT, -- 'Case Reports'\n"
    "    mesh                    TEXT, -- descriptor/qualifiers, a star before each major topic\n"
    "    chemicals               TEXT,\n"
    "    book                    INTEGER NOT NULL, -- 1: a chapter or book of Bookshelf\n"
    "    retracted               INTEGER NOT NULL, -- 1: a retracted publication\n"
    "    mesh_adverse_effects    INTEGER NOT NULL, -- 1: a heading has the qualifier 'adverse effects'\n"
    "    mesh_chemically_induced INTEGER NOT NULL  -- 1: .. 'chemically induced'\n"
    ");\n",

    "CREATE TABLE hits (       -- sentences with score >= threshold\n"
    "    pmid          INTEGER NOT NULL REFERENCES documents(pmid),\n"
    "    sentence      INTEGER NOT NULL, -- from 0 through the record, the title first\n"
    "    part          TEXT NOT NULL,    -- 'title', 'abstract', 'other_abstract'\n"
    "    section_index INTEGER NOT NULL, -- from 0 through the record's abstract sections; 0 for a title\n"
    "    section       TEXT,             -- label of the section; NULL = it has none\n"
    "    text          TEXT,             -- the sentence; NULL = the store keeps no texts\n"
    "    start_byte    INTEGER NOT NULL, -- [start, end) in the part's (section's) text, UTF-8\n"
    "    end_byte      INTEGER NOT NULL,\n"
    "    start_char    INTEGER NOT NULL, -- the same in Unicode code points\n"
    "    end_char      INTEGER NOT NULL,\n"
    "    label_id      INTEGER NOT NULL, -- the label with the highest score\n"
    "    label         TEXT,\n"
    "    score         REAL NOT NULL,    -- the positive label's probability\n"
    "    tokens        INTEGER NOT NULL, -- given to the model\n"
    "    unknown       INTEGER NOT NULL, -- of these, not in the vocabulary\n"
    "    truncated     INTEGER NOT NULL, -- 1: longer than the model takes; its end was left out\n"
    "    replaced      INTEGER NOT NULL, -- invalid UTF-8 that was replaced\n"
    "    PRIMARY KEY (pmid, sentence)\n"
    ") WITHOUT ROWID;\n",

    "CREATE TABLE parts (      -- texts of the records with a hit, in which start and end count\n"
    "    pmid          INTEGER NOT NULL REFERENCES documents(pmid),\n"
    "    position      INTEGER NOT NULL, -- from 0 through the record\n"
    "    part          TEXT NOT NULL,    -- as in hits\n"
    "    section_index INTEGER NOT NULL, -- as in hits\n"
    "    section       TEXT,             -- as in hits\n"
    "    text          TEXT NOT NULL,\n"
    "    PRIMARY KEY (pmid, position)\n"
    ") WITHOUT ROWID;\n",
};

#endif
