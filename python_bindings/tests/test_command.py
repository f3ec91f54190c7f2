# SPDX-License-Identifier: Apache-2.0
"""The command: all goes to the C command, but Parquet, whose rows are those of JSON Lines and whose words are the C
command's."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

from adesieve import _command_line, command, screening

PROGRAM = command.binary()
if PROGRAM is None:
    pytest.skip("the command is not built: not beside the library, not in PATH", allow_module_level=True)

MODEL_LABELS = ["--labels", "not ADE,ADE", "--precision", "f32", "--threads", "1"]


@pytest.fixture
def pq():
    return pytest.importorskip("pyarrow.parquet")


@pytest.fixture(scope="module")
def medline(data):
    """Small files, of which one has deletions, one sections, one other abstracts."""
    return [str(file) for file in sorted((data / "medline").glob("*.xml")) if file.stat().st_size < 50_000]


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch, tiny):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ADESIEVE_MODEL", str(tiny))
    monkeypatch.setenv("NO_COLOR", "1")
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def c_command(*arguments, **how):
    how = {"capture_output": True, "text": True, "stdin": subprocess.DEVNULL, **how}
    return subprocess.run([PROGRAM, *map(str, arguments)], **how)


def python(*arguments, **how):
    """In a process of its own, as the console script runs it."""
    paths = {**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(command.__file__))}
    how = {"capture_output": True, "text": True, "stdin": subprocess.DEVNULL, "env": paths, **how}
    return subprocess.run([sys.executable, "-m", "adesieve", *map(str, arguments)], **how)


def parquet(*arguments):
    return command.main([str(argument) for argument in arguments])


def broken(path):
    path.write_text("<PubmedArticleSet><oops")
    return path


# ---- Which of the two -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(_command_line.FLAGS))
def test_the_table_is_the_commands(name):
    said = {}
    text = c_command(name, "--help").stdout
    for letter, option, value in re.findall(r"^  (?:-(\w),|   ) --([\w-]+)( \S+)?$", text, re.M):
        said[option] = (letter, bool(value))
    known = {option: (letter, False) for option, letter in _command_line.FLAGS[name].items()}
    known.update({option: (letter, True) for option, letter in _command_line.VALUES[name].items()})
    assert known == said


@pytest.mark.parametrize(
    "line, is_parquet",
    [
        ("-f parquet -o x y", True),
        ("-fparquet y", True),
        ("-aqfparquet y", True),
        ("--format=parquet y", True),
        ("--format parquet y", True),
        ("-o x.parquet y", True),
        ("-o X.PARQUET y", True),
        ("-f jsonl -o x.parquet y", False),
        ("-f parquet -f tsv y", False),
        ("-f tsv -f parquet y", True),
        ("-- -f parquet", False),
        ("-o -f parquet", False),
        ("--state parquet y", False),
    ],
)
def test_which(line, is_parquet):
    assert _command_line.read("screen", line.split()).is_parquet() is is_parquet


def test_all_else_is_the_c_commands(medline, tmp_path):
    for arguments in (["--version"], ["export", "--help"], ["frobnicate"], ["screen", "-q", "--all", medline[1]], []):
        mine, its = python(*arguments), c_command(*arguments)
        assert (mine.returncode, mine.stdout, mine.stderr) == (its.returncode, its.stdout, its.stderr)
    assert python("screen", "-q", medline[0], broken(tmp_path / "b.xml")).returncode == 3


def test_it_never_runs_itself(tmp_path, monkeypatch):
    """Scripts of the name are passed over, wherever they come from."""
    script = tmp_path / "adesieve"
    script.write_text(f"#!{sys.executable}\nfrom adesieve.command import main\nraise SystemExit(main())\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(command._ffi, "_places", lambda: [])
    packaged = os.path.join(os.path.dirname(command.__file__), "bin", "adesieve")
    if not os.path.exists(packaged):
        assert command.binary() is None and command.main(["--version"]) == 1
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "adesieve").symlink_to(PROGRAM)
    monkeypatch.setenv("PATH", f"{tmp_path}:{tmp_path / 'real'}")
    assert os.path.samefile(command.binary(), packaged if os.path.exists(packaged) else PROGRAM)


# ---- screen -----------------------------------------------------------------------------------------------------


def assert_equal(row, line, documents=False):
    """A row of the Parquet file and one of JSON Lines, value for value."""
    if line.get("deleted"):
        assert row["part"] == "deleted" and (row["pmid"], row["source"]) == (line["pmid"], line["source"])
        assert row.get("text") is None and row["score"] is None
        return
    renamed = {"hits": "n_hits", "sentences": "n_sentences"} if documents else {}
    for name, value in line.items():
        mine = row[renamed.get(name, name)]
        if name == "score" and value is not None:
            assert np.float32(mine) == np.float32(value)
        else:
            assert mine == value, name


@pytest.mark.parametrize(
    "options",
    [
        ["--all", "--other-abstracts", "all"],
        ["-t", "0.5", "--no-section-label", "--limit", "9"],
        ["--all", "--metadata", "--max-length", "20"],
        ["--document", "--all", "--metadata"],
        ["--document", "--no-text", "--no-deleted"],
    ],
)
def test_rows_are_those_of_jsonl(options, medline, tmp_path, pq, capfd):
    options = [*MODEL_LABELS, *options]
    its = c_command("screen", *options, "-f", "jsonl", "-o", "rows.jsonl", *medline)
    assert parquet("screen", *options, "-f", "parquet", "-o", "rows.parquet", *medline) == its.returncode == 0
    lines = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    rows = pq.read_table("rows.parquet").to_pylist()
    assert len(lines) == len(rows) > 3
    for row, line in zip(rows, lines):
        assert_equal(row, line, "--document" in options)
    assert ("text" in rows[0]) == ("--no-text" not in options)

    def said(text):  # but for times
        return [re.sub(r"\d+\.\d s|\d+ sentences/s", "", line) for line in text.splitlines()]

    assert said(capfd.readouterr().err) == said(its.stderr)


def nearly(value):
    """Numbers as the C command rounds them."""
    if isinstance(value, dict):
        return {name: nearly(one) for name, one in value.items()}
    return f"{value:.6g}" if isinstance(value, float) else value


def test_calibrated(root, medline, pq, tmp_path, capfd):
    model = root / "models" / "tfidf-logreg"
    if not (model / "calibration.json").exists():
        pytest.skip("no calibrated model in the tree")
    options = ["-m", model, "-t", "recall=0.9", "--calibrated", "--prevalence", "0.05", medline[-2]]
    its = c_command("screen", *options, "-o", "rows.jsonl")
    assert parquet("screen", *options, "-o", "rows.parquet", "--stats", "stats.json") == its.returncode == 0
    lines = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    rows = pq.read_table("rows.parquet").to_pylist()
    assert len(rows) == len(lines) > 0
    for row, line in zip(rows, lines):
        assert_equal(row, line)
    mine = capfd.readouterr().err
    assert mine.splitlines()[0] == its.stderr.splitlines()[0] and "recall=0.9" in mine
    c_command("screen", *options, "-q", "-o", "rows.jsonl", "--stats", "its.json")
    stats, other = (json.loads((tmp_path / name).read_text()) for name in ("stats.json", "its.json"))
    for name in set(other) - {"seconds", "profile", "peak_memory_bytes", *(n for n in other if "per_second" in n)}:
        assert nearly(stats[name]) == nearly(other[name]), name
    assert set(stats) == set(other) and set(stats["seconds"]) == set(other["seconds"])
    assert list(stats["profile"]) == list(other["profile"])
    for command in ("parquet", "jsonl"):  # and with the stages that a network has
        name, say = f"{command}.json", parquet if command == "parquet" else c_command
        on = ["--precision", "f32", "--device", "cpu", "--stats", name]
        say("screen", "-q", "-f", command, "-o", "some", *on, medline[0])
    mine, its_own = (json.loads((tmp_path / name).read_text())["profile"] for name in ("parquet.json", "jsonl.json"))
    assert list(mine) == list(its_own) and (mine["tokens"], mine["texts"]) == (its_own["tokens"], its_own["texts"])
    assert mine["operations"] == its_own["operations"] > 0 and mine["products"] > 0
    assert screening.provenance("rows.parquet")["operating_point"]["threshold"] == stats["threshold"]
    assert parquet("screen", "--calibrated", "-o", "x.parquet", medline[0]) == 1  # the tiny model has none
    assert not os.path.exists("x.parquet")


@pytest.mark.parametrize(
    "line, status, message",
    [
        ("-f parquet IN", 2, "cannot go to standard output"),
        ("-f parquet -o - IN", 2, "name a file with -o"),
        ("-f parquet -o x", 2, "no FILE is given"),
        ("-f parquet -o x - -", 2, "standard input ('-') can be read only once"),
        ("-f parquet -o x --threads 0 IN", 2, "'--threads' needs a whole number"),
        ("-f parquet -o x --treads 1 IN", 2, "did you mean '--threads'?"),
        ("-f parquet -o x --quiet=1 IN", 2, "'--quiet' takes no value"),
        ("-f parquet IN -o", 2, "'-o' needs a value"),
        ("-f parquet -o x -t 1.5 IN", 2, "from 0 to 1"),
        ("-f parquet -o x --parts p IN", 2, "'--parts' does not go with Parquet"),
        ("-f parquet --output-dir d IN", 2, "'--output-dir' does not go with Parquet"),
        ("-f parquet -o x --dry-run IN", 2, "'--dry-run' does not go with Parquet"),
        ("-f parquet -o x --manifest m IN", 2, "'--manifest' does not go with Parquet"),
        ("-f parquet -o x --metrics-file m IN", 2, "'--metrics-file' does not go with Parquet"),
        ("-f parquet -o x --state s --abandon-output IN", 2, "'--abandon-output' does not go with Parquet"),
        ("-f parquet -o x --no-store-text IN", 2, "'--no-store-text' needs '--state'"),
        ("-f parquet -o pipe IN", 1, "pipe is no regular file"),
        ("-f parquet -o no/x IN", 1, "no/x: cannot be written"),
        ("-f parquet -o x nothing.xml", 1, "nothing.xml cannot be read"),
        ("-f parquet -o in.xml in.xml", 1, "would overwrite in.xml, an input"),
        ("-f parquet -o in.xml .", 1, "would overwrite ./in.xml, an input"),
        ("-f parquet -o in.xml.md5 .", 1, "the MD5 sum of an input"),
        ("-f parquet -o s --state s IN", 2, "a file of the store"),
        ("-f parquet -o x --stats x IN", 2, "would overwrite x"),
        ("-f parquet -o m/config.json -m m IN", 1, "a file of the model"),
        ("-f parquet -o x -m nothing IN", 1, "-m takes a folder"),
        ("-f parquet -o x --files-from nothing", 1, "nothing: No such file"),
        ("-f parquet -o x --files-from damaged.gz", 1, "damaged.gz: Error -3 while decompressing"),
        ("-f parquet -o x --max-length 100000 IN", 2, "max_length"),
        ("-f parquet -o x broken.xml", 1, "broken.xml:1"),
        ("-f parquet -o x texts.csv", 1, "use: adesieve classify"),
    ],
)
def test_refusals(line, status, message, medline, tmp_path, tiny, capfd, pq):
    os.mkfifo("pipe")
    os.symlink(tiny, "m")
    (tmp_path / "damaged.gz").write_bytes(b"\x1f\x8b\x08\0" + 5 * b"garbage")
    broken(tmp_path / "broken.xml")
    (tmp_path / "in.xml").write_text("<PubmedArticleSet></PubmedArticleSet>")
    (tmp_path / "texts.csv").write_text("text\nRash.\n")
    assert parquet("screen", *(medline[0] if word == "IN" else word for word in line.split())) == status
    said = capfd.readouterr()
    assert message in said.err and said.err.startswith("adesieve screen: error: ") and said.out == ""
    assert not os.path.exists("x") and not [name for name in os.listdir() if name.endswith(".part")]


def test_inputs_that_fail(medline, tmp_path, pq, capfd):
    bad = broken(tmp_path / "b.xml")
    line = ["-o", "x.parquet", medline[0], bad, "nothing.xml"]
    assert parquet("screen", *line) == 3
    said = capfd.readouterr().err
    assert said.count(": error: ") == 2 and "failed     2 inputs" in said
    its = c_command("screen", "-o", "x.jsonl", *line[2:])
    assert [s for s in its.stderr.splitlines() if "error" in s] == [s for s in said.splitlines() if "error" in s]
    assert pq.read_table("x.parquet").num_rows == len((tmp_path / "x.jsonl").read_text().splitlines())
    os.remove("x.parquet")
    assert parquet("screen", "--fail-fast", "-q", *line) == 1 and parquet("screen", "-q", "-o", "x.parquet", bad) == 1
    said = capfd.readouterr().err
    assert said.count("error") == 2 and not os.path.exists("x.parquet")


def test_lists_and_messages(medline, tmp_path, pq, capfd, monkeypatch):
    (tmp_path / "list").write_text("\n".join(medline[:2]) + "\n")
    assert parquet("screen", "--log-json", "--progress", "always", "-a", "-o", "x.parquet", "--files-from", "list") == 0
    said = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert [one["file"]["name"] for one in said if "file" in one] == [os.path.basename(name) for name in medline[:2]]
    assert {one["command"] for one in said} == {"screen"} and {one["level"] for one in said} <= {"note", "detail"}
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(medline[0].encode())))
    assert parquet("screen", "-qa", "-o", "y.parquet", "--files-from", "-", medline[1]) == 0
    assert capfd.readouterr().err == "" and pq.read_table("x.parquet") == pq.read_table("y.parquet")


def test_state(medline, pq, capfd):
    line = ["screen", "-a", "--state", "s", "-o", "x.parquet", medline[0]]
    assert parquet(*line) == 0
    rows = pq.read_table("x.parquet").num_rows
    assert rows and parquet(*line) == 0 and pq.read_table("x.parquet").num_rows == rows
    assert "no input was new: x.parquet stays as it was" in capfd.readouterr().err
    assert parquet(*line, medline[1]) == 0
    assert "x.parquet: is replaced by the rows of this run; 1 input was done before" in capfd.readouterr().err
    assert set(pq.read_table("x.parquet").column("source").to_pylist()) == {os.path.basename(medline[1])}
    assert json.loads(c_command("export", "--summary", "-f", "jsonl", "s").stdout or "{}") is not None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt(number, tmp_path, pq):
    body = "<Abstract><AbstractText>" + "Rash after amoxicillin. " * 150 + "</AbstractText></Abstract>"
    records = (
        f"<PubmedArticle><MedlineCitation><PMID>{i}</PMID><Article><ArticleTitle>A.</ArticleTitle>{body}</Article>"
        f"</MedlineCitation></PubmedArticle>"
        for i in range(1, 2001)
    )
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.xml").write_text(f"<PubmedArticleSet>{''.join(records)}</PubmedArticleSet>")
    (tmp_path / "x.parquet").write_bytes(b"old")
    paths = {**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(command.__file__))}
    start = """
        import signal, sys
        signal.signal(signal.SIGINT, signal.default_int_handler)
        from adesieve.command import main
        sys.exit(main())
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(start), "screen", "--threads", "1", "-a", "-o", "x.parquet", "in"],
        env=paths,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        while not [name for name in os.listdir() if name.endswith(".part")]:
            assert child.poll() is None
            time.sleep(0.02)
        time.sleep(0.2)
        child.send_signal(number)
        said = child.communicate(timeout=20)[1]
    assert child.returncode == 130 and said == "adesieve screen: error: interrupted; no output was written.\n"
    assert sorted(os.listdir()) == ["in", "x.parquet"] and (tmp_path / "x.parquet").read_bytes() == b"old"


def test_interrupt_behind_the_new_name(medline, tmp_path, pq, monkeypatch, capfd):
    """What is written is not denied."""
    real = os.replace

    def replace(source, target):
        real(source, target)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", replace)
    assert parquet("screen", "-q", "-o", "x.parquet", medline[0]) == 130
    assert "interrupted when x.parquet was written already" in capfd.readouterr().err
    assert pq.read_table("x.parquet").num_rows and os.listdir(tmp_path) == ["x.parquet"]


def test_help_beside_the_format():
    for line in (["--help"], ["-f", "parquet", "--help"], ["-o", "x.parquet", "-h"]):
        done = python("screen", *line)
        wanted = c_command("screen", "--help").stdout + command.HELP
        assert (done.returncode, done.stdout, done.stderr) == (0, wanted, "")


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams(closed, medline, tmp_path, pq):
    paths = {**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(command.__file__))}
    line = f'"$0" -m adesieve screen -a -o x.parquet "$1" {closed}'
    done = subprocess.run(["sh", "-c", line, sys.executable, medline[0]], env=paths, capture_output=True, text=True)
    assert done.returncode == 0 and "Traceback" not in done.stderr and pq.read_table("x.parquet").num_rows
    for line in (f'"$0" -m adesieve --version {closed}', f'"$1" --version {closed}'):
        done = subprocess.run(["sh", "-c", line, sys.executable, PROGRAM], env=paths, capture_output=True, text=True)
        assert done.returncode == (1 if closed != "2>&-" else 0) and "Traceback" not in done.stderr


def test_a_program_that_cannot_be_run(medline, tmp_path, monkeypatch, capfd):
    (tmp_path / "adesieve").write_bytes(b"\x7fELF, but no further")
    (tmp_path / "adesieve").chmod(0o755)
    monkeypatch.setattr(command, "binary", lambda: str(tmp_path / "adesieve"))
    assert parquet("screen", "-o", "x.parquet", medline[0]) == 1
    assert "cannot be run" in capfd.readouterr().err


def test_without_pyarrow(medline, tmp_path):
    code = """
        import sys
        sys.modules["pyarrow"] = None
        from adesieve.command import main
        sys.exit(main(["screen", "-f", "parquet", "-o", "x", sys.argv[1]]))
    """
    paths = {**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(command.__file__))}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), medline[0]], env=paths, capture_output=True, text=True
    )
    assert done.returncode == 1 and "adesieve[arrow]" in done.stderr and "Traceback" not in done.stderr


# ---- classify ---------------------------------------------------------------------------------------------------


def test_classify(tmp_path, sentences, pq, capfd):
    (tmp_path / "in.txt").write_text("\n".join(text.replace("\n", " ") for text in sentences[:50]) + "\n\n")
    options = [*MODEL_LABELS, "--with-text", "-t", "0.5", "in.txt"]
    assert parquet("classify", *options, "-f", "parquet", "-o", "x.parquet") == 0
    mine = capfd.readouterr().err
    its = c_command("classify", *options, "-o", "x.jsonl")
    assert len(mine.splitlines()) == len(its.stderr.splitlines())
    lines = [json.loads(line) for line in (tmp_path / "x.jsonl").read_text().splitlines()]
    rows = pq.read_table("x.parquet").to_pylist()
    assert len(rows) == len(lines) == 51
    for row, line in zip(rows, lines):
        assert np.array_equal(np.float32(row["scores"]), np.float32(list(line["scores"].values())))
        assert np.array_equal(np.float32(row["logits"]), np.float32(line["logits"]))
        assert np.float32(row["score"]) == np.float32(line["score"])
        for name in ("label", "hit", "tokens", "unknown", "truncated", "text"):
            assert row[name] == line[name]
    assert json.loads(pq.read_metadata("x.parquet").metadata[b"adesieve"])["labels"] == ["not ADE", "ADE"]
    assert parquet("classify", "-q", "-o", "y.parquet", "nothing.txt") == 1 and not os.path.exists("y.parquet")
    assert parquet("classify", "-f", "parquet", "in.txt") == 2
    killed = tmp_path / "killed"  # in the middle of a row
    killed.write_text("#!/bin/sh\nprintf '{\"scores\": {\"a\"'; kill -9 $$\n")
    killed.chmod(0o755)
    capfd.readouterr()
    from adesieve import _command_parquet

    wanted = _command_line.read("classify", ["-o", "y.parquet", "in.txt"])
    assert _command_parquet.run(str(killed), wanted) == 137 and not os.path.exists("y.parquet")
    assert "ended by signal 9; no output was written" in capfd.readouterr().err
    assert parquet("classify", "-o", "in.txt", "-f", "parquet", "in.txt") == 1
    assert (tmp_path / "in.txt").read_text().startswith(sentences[0][:20])
