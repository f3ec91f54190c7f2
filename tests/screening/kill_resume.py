# SPDX-License-Identifier: Apache-2.0
"""A run that is killed at any moment and started again ends with the bytes and the store of one that was not.

    kill_resume.py --command PATH jsonl|csv|folder|document

The moments are spread over the whole run: half of them over its time, half over its steps, so that many fall between
two files, however fast these follow each other. Every third run is ended by SIGINT or SIGTERM. ADE_TEST_SEED=N chooses
other moments; ADE_TEST_ALL=1 takes 50 instead of 12."""
import os
import random
import selectors
import shutil
import signal
import time

import common
import whole_run
from common import check


class Killer:
    def __init__(self, command, arguments):
        self.command, self.arguments = command, arguments
        self.times = []  # of an undisturbed run: of each line that tells of a file, then of its end
        self.killed = self.interrupted = 0

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
        status, text, _ = self.follow(self.moment(chance, share), (number,))
        check(status in (0, -number) or (number != signal.SIGKILL and status == 130),
              f"killed by {number.name}, the run ended with {status}\n{text}")
        if status == -number and number != signal.SIGKILL:  # before main() could install its handler
            check(not text, f"{number.name} killed a run at work:\n{text}")
        if status == 130:
            check("interrupted" in text, f"{number.name}: nothing is said of it\n{text}")
            self.interrupted += 1
        self.killed += status != 0


def test(command, arguments):
    mode = arguments[0]
    seed = int(os.environ.get("ADE_TEST_SEED", "1"))
    chance = random.Random(f"{mode} {seed}")
    n = 50 if common.ALL else 12
    folder = command.new("in")
    whole_run.make_files(folder, 10)

    work = command.new("work")
    outputs = whole_run.outputs(mode, "work")
    killer = Killer(command, ["screen", "in", "--state", "work/store.sqlite", *outputs, *common.HALF])
    killer.measure()
    expected, rows = whole_run.results(work)
    check(len(rows["files"]) == 9 and len(rows["hits"]) > 200, "the undisturbed run did not do what it should")
    check(sum(row[rows["files"][0].index("unchanged")] for row in rows["files"][1:]) >= 8, "too little is unchanged")

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
        whole_run.compare(work, expected, rows, what)
    check(killer.killed * 2 >= n, f"only {killer.killed} kills came in time, of {n} runs")
    check(killer.interrupted > 0, "no run was interrupted at its work")
    print(f"{mode}: {n} runs, {killer.killed} kills, {killer.interrupted} of them with status 130; an undisturbed run "
          f"takes {killer.times[-1]:.2f} s")


common.main("kill_resume", test)
