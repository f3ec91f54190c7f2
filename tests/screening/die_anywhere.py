# SPDX-License-Identifier: Apache-2.0
"""A run that ends between any two of its changes to files, or within one, is gone on with without a trace.

    die_anywhere.py --command PATH DIE_AT MODE

DIE_AT is die_at.c, built. Every call that writes, syncs, renames, removes or makes a file is a place to die: before it,
after it, and with half of what it writes. ADE_TEST_ALL=1 takes all of them, else some; every third time the run that
goes on dies, too. Modes: see whole_run.py."""
import os
import random
import shutil
import signal
import sys

import common
import whole_run
from common import check


def test(command, arguments):
    die_at, mode = os.path.abspath(arguments[0]), arguments[1]
    seed = int(os.environ.get("ADE_TEST_SEED", "1"))
    chance = random.Random(f"die {mode} {seed}")
    if command.sanitized:
        print("nothing can be preloaded before a sanitizer", file=sys.stderr)
        return common.SKIPPED
    whole_run.make_files(command.new("in"), 4)
    work = command.new("work")
    run = ["screen", "-q", "in", "--state", "work/store.sqlite", *whole_run.outputs(mode, "work"), *common.HALF]
    plain = dict(command.environment)

    def start(at=None, how=None):
        command.environment = {**plain, "LD_PRELOAD": die_at, "ADE_DIE_COUNT": command.at("count")}
        if at:
            command.environment.update(ADE_DIE_AT=str(at), ADE_DIE_HOW=how)
        result = command.run(*run)
        command.environment = plain
        return result

    result = start()
    check(result.status == 0, f"the undisturbed run ended with {result.status}\n{result.err}")
    expected, rows = whole_run.results(work)
    calls = int(common.read(command.at("count")))
    check(calls > 50, f"only {calls} calls change a file")
    places = [(at, how) for at in range(1, calls + 1) for how in ("before", "half", "after")]
    if not common.ALL:
        # Spread over the run, with the first and the last ones.
        places = [places[min(int((i + chance.random()) * len(places) / 16), len(places) - 1)] for i in range(16)]
    deaths = 0
    for i, (at, how) in enumerate(places):
        shutil.rmtree(work)
        os.mkdir(work)
        what = f"{mode}, seed {seed}: {how} call {at} of {calls}"
        result = start(at, how)
        check(result.status in (0, -signal.SIGKILL), f"{what}: exit status {result.status}\n{result.err}")
        deaths += result.status != 0
        if i % 3 == 0:
            second = chance.randrange(1, calls)
            what += f", then before call {second}"
            start(second, "before")
        result = command.run(*run)
        check(result.status == 0, f"{what}: the run that goes on ended with {result.status}\n{result.err}")
        whole_run.compare(work, expected, rows, what)
    check(deaths >= len(places) * 0.8, f"only {deaths} of {len(places)} runs died")
    print(f"{mode}: {calls} calls, {len(places)} places, {deaths} deaths")
    return 0


common.main("die_anywhere", test)
