# SPDX-License-Identifier: Apache-2.0
"""What a result says about where it comes from: the GPU, its driver, CUDA, the commit, the kernels' sources."""

from __future__ import annotations

import datetime
import hashlib
import os
import platform
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def output_of(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""


def kernels_hash() -> str:
    """As `(cd kernels && export LC_ALL=C && sha256sum -- * | sha256sum)` says: names and contents of all files."""
    lines = ""
    for file in sorted((ROOT / "kernels").iterdir(), key=lambda path: path.name):
        if file.is_file():
            lines += f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n"
    return hashlib.sha256(lines.encode()).hexdigest()


def commit() -> str:
    """$ADESIEVE_COMMIT where the sources came without their history."""
    given = os.environ.get("ADESIEVE_COMMIT", "")
    head = given or output_of("git", "-C", str(ROOT), "rev-parse", "--short=12", "HEAD")
    dirty = not given and output_of("git", "-C", str(ROOT), "status", "--porcelain")
    return (head or "unknown") + (" with local changes" if dirty else "")


def processor() -> str:
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def facts(emulated: bool) -> dict:
    found = {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"),
        "commit": commit(),
        "kernels_sha256": kernels_hash(),
        "emulated": emulated,
        "device": "emulator",
        "processor": processor(),
        "processors": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
    }
    if emulated:
        return found
    names = {
        "name": "device",
        "driver_version": "driver",
        "compute_cap": "compute_capability",
        "memory.total": "device_memory_mib",
        "clocks.max.sm": "max_clock_mhz",
    }
    for query, key in names.items():  # one by one: an older nvidia-smi lacks some, and refuses all
        answer = output_of("nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader,nounits").splitlines()
        found[key] = answer[0].strip() if answer else "unknown"
    release = re.search(r"release ([0-9.]+)", output_of("nvcc", "--version"))
    supported = re.search(r"CUDA Version: *([0-9.]+)", output_of("nvidia-smi"))
    found["cuda"] = release.group(1) if release else "unknown"
    found["cuda_of_driver"] = supported.group(1) if supported else "unknown"
    return found
