# SPDX-License-Identifier: Apache-2.0
"""A run that is killed at any moment and started again ends with the bytes and the store of one that was not.

    kill_resume.py --command PATH jsonl|csv|folder|document

Eight files with new, unchanged, revised, retracted and deleted records. The moments are spread over the whole run: half
of them over its time, half over its steps (so that many fall between two files, however fast these follow each
other). ADE_TEST_SEED=N chooses others; ADE_TEST_ALL=1 takes 50 instead of 12."""
import os
import random
import selectors
import shutil
import signal
import time

import common
from common import check

OUTPUTS = {
    "jsonl": ["-o", "out.jsonl", "--parts", "parts.jsonl"],
    "csv": ["-o", "out.csv", "--all", "--metadata"],
    "folder": ["--output-dir", "out", "-f", "tsv"],
    "document": ["-o", "out.jsonl", "--document", "--metadata"],
}


def make_files(folder):
    """Eight files, in which most records come more than once."""
    records = [record.numbered(1000 + i) for i, record in enumerate(common.real_records()[:150])]
    new = [records[i * 15:(i + 1) * 15] for i in range(10)]

    def write(name, contents, deleted=()):
        common.write_file(os.path.join(folder, name), contents, deleted)

    write("before.xml", new[0])
    write("pubmed26n0001.xml.gz", new[1] + new[2])
    write("pubmed26n0002.xml", new[3] + [r.touched(2027) for r in new[1][:8]] + new[0][:4], deleted=[1020, 1021, 77])
    write("pubmed26n0003.xml.gz", [r.with_sentence("Rash was seen in one of them.") for r in new[2][:8]] + new[4])
    write("pubmed26n0004.xml", new[5] + [new[1][5], new[1][6].numbered(new[1][6].pmid, 2)], deleted=[1032, 1075])
    write("pubmed26n0005.xml.gz", [r.retracted() for r in new[3][:6] if "</PublicationTypeList>" in r.xml] + new[6])
    write("pubmed26n0006.xml", [], deleted=[r.pmid for r in new[4][:7]])
    write("pubmed26n0007.xml.gz", new[7] + [new[7][2].with_sentence("Twice in a file.")] + new[4][:2])


class Killer:
    def __init__(self, command, arguments):
        self.command, self.arguments = command, arguments
        self.times = []  # of an undisturbed run: of each line that tells of a file, then of its end
        self.killed = 0

    def follow(self, until, signals=()):
        """Runs the command. until(lines so far, seconds, seconds since the last line): kill it now? None: never."""
        process = self.command.start(*self.arguments, stdout=-3, stderr=-1)  # DEVNULL, PIPE
        began = last = time.monotonic()
        text, times = b"", []
        with selectors.DefaultSelector() as selector:
            selector.register(process.stderr, selectors.EVENT_READ)
            os.set_blocking(process.stderr.fileno(), False)
            sent = False
            while True:
                if selector.select(0.002):
                    piece = os.read(process.stderr.fileno(), 65536)
                    if not piece:
                        break
                    before = text.count(b" citation")
                    text += piece
                    for _ in range(text.count(b" citation") - before):
                        last = time.monotonic()
                        times.append(last - began)
                now = time.monotonic()
                if until and not sent and until(len(times), now - began, now - last):
                    sent = True
                    for number in signals:
                        process.send_signal(number)
                if now - began > 120:
                    process.kill()
                    raise common.Failed("no end after 120 seconds")
        status = process.wait()
        process.stderr.close()
        times.append(time.monotonic() - began)
        return status, text.decode(errors="replace"), times

    def measure(self):
        status, text, self.times = self.follow(None)
        check(status == 0, f"the undisturbed run ended with {status}\n{text}")

    def moment(self, chance, share):
        """When to kill: at `share` of the whole, by time or by steps."""
        end = self.times[-1]
        if chance.random() < 0.5:
            return lambda lines, seconds, since: seconds >= share * end
        step = min(int(share * len(self.times)), len(self.times) - 1)
        gap = (self.times[step] - (self.times[step - 1] if step else 0)) * chance.random()
        return lambda lines, seconds, since: lines >= step and since >= gap

    def kill(self, chance, share, number):
        """False: the run was over before."""
        status, text, _ = self.follow(self.moment(chance, share), (number,))
        check(status in (0, -number) or (number != signal.SIGKILL and status == 130),
              f"killed by {number.name}, the run ended with {status}\n{text}")
        if status == -number and number != signal.SIGKILL:  # before main() could install its handler
            check(not text, f"{number.name} killed a run at work:\n{text}")
        if status == 130:
            check("interrupted" in text, f"{number.name}: nothing is said of it\n{text}")
        self.killed += status != 0
        return status != 0


def results(work):
    """All that the run has left but the store, and the store's rows."""
    left = common.tree(work)
    for name, content in left.items():
        check(not name.endswith(".part") and "adesieve" not in name, f"{name} ({len(content)} bytes) was left behind")
    store = left.pop("store.sqlite", None)
    check(store is not None, "there is no store")
    left.pop("out/manifest.json", None)  # tells of the last start, with its times
    return left, common.store_rows(os.path.join(work, "store.sqlite"))


def test(command, arguments):
    mode = arguments[0]
    seed = int(os.environ.get("ADE_TEST_SEED", "1"))
    chance = random.Random(f"{mode} {seed}")
    n = 50 if common.ALL else 12
    folder = command.new("in")
    make_files(folder)

    work = command.new("work")
    outputs = [os.path.join("work", word) if word.startswith(("out", "parts")) else word for word in OUTPUTS[mode]]
    killer = Killer(command, ["screen", "in", "--state", "work/store.sqlite", *outputs, *common.HALF])
    killer.measure()
    expected, rows = results(work)
    check(len(rows["files"]) == 9 and len(rows["hits"]) > 300, "the undisturbed run did not do what it should")
    check(sum(row[rows["files"][0].index("unchanged")] for row in rows["files"][1:]) >= 15, "too little is unchanged")

    # A store changes nothing of the rows.
    shutil.rmtree(work)
    os.mkdir(work)
    command.run("screen", "in", "-q", *outputs, *common.HALF, status=0)
    plain = common.tree(work)
    plain.pop("out/manifest.json", None)
    check(plain == expected, "with a store, a run gives other rows than without one")

    for i in range(n):
        shutil.rmtree(work)
        os.mkdir(work)
        number = signal.SIGKILL if i % 3 else chance.choice((signal.SIGINT, signal.SIGTERM))
        shares = [(i + chance.random()) / n] + [chance.random() for _ in range(chance.choice((0, 0, 1, 1, 2, 3)))]
        for share in shares:
            killer.kill(chance, share, number)
            if common.WRONG == "kill" and i == n // 2:
                for name in list(common.tree(work)):
                    if name.endswith((".part", ".tsv", ".jsonl", ".csv")):
                        os.truncate(os.path.join(work, name), len(expected[min(expected)]) // 3)
        what = f"moment {i + 1} of {n} (seed {seed}, {number.name} at {', '.join(f'{s:.3f}' for s in shares)})"
        status, text, _ = killer.follow(None)
        check(status == 0, f"{what}: the run that goes on ended with {status}\n{text}")
        left, found = results(work)
        check(left.keys() == expected.keys(), f"{what}: {sorted(left)}, not {sorted(expected)}")
        for name, content in expected.items():
            check(left[name] == content, f"{what}: {name} has {len(left[name])} bytes, not the same {len(content)}")
        common.same_rows(found, rows, what)
        ended, summary, _ = common.last_run(os.path.join(work, "store.sqlite"))
        check(ended and summary, f"{what}: the store does not know that the run is complete")
    check(killer.killed * 2 >= n, f"only {killer.killed} kills came in time, of {n} runs")
    print(f"{mode}: {n} runs, {killer.killed} kills; an undisturbed run takes {killer.times[-1]:.2f} s")


common.main("kill_resume", test)
