# SPDX-License-Identifier: Apache-2.0
"""What a benchmark says about the machine and the sources, and what it reads from the machine."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def say(*words: object) -> None:
    print(*words, file=sys.stderr, flush=True)


def processor() -> str:
    found: dict[str, str] = {}
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            key, _, value = line.partition(":")
            found.setdefault(key.strip(), value.strip())
    names = [found.get("model name", platform.machine())]
    if "cpu family" in found:
        names.append(f"family {found['cpu family']} model {found['model']}")
    wanted = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "avx_vnni", "amx_bf16", "amx_int8")
    return ", ".join(names + [flag for flag in wanted if flag in found.get("flags", "").split()])


def commit() -> str:
    git = ["git", "-C", str(ROOT)]
    head = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True).stdout.strip()
    dirty = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True).stdout.strip()
    return head + (" with local changes" if dirty else "")


def processor_flags() -> set[str]:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            return next((set(line.partition(":")[2].split()) for line in file if line.startswith("flags")), set())
    except OSError:
        return set()


def has_bf16() -> bool:
    """Whether the processor multiplies bf16 itself."""
    return bool({"avx512_bf16", "amx_bf16"} & processor_flags())


def has_avx512() -> bool:
    """As x86-64-v4 has it."""
    return {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"} <= processor_flags()


def memory_mib(name: str) -> float:
    """Of this process, by its name in /proc/self/status."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith(name):
                return int(line.split()[1]) / 1024
    return 0.0


class Energy:
    """The processors' own energy counters (RAPL), all packages together; empty where they cannot be read."""

    def __init__(self, folder: Path = Path("/sys/class/powercap")) -> None:
        self.counters: list[tuple[Path, int]] = []
        for zone in sorted(folder.glob("*:*")) if folder.is_dir() else []:
            if zone.name.count(":") != 1:  # a part of a package, which the package counts already
                continue
            try:
                int((zone / "energy_uj").read_text())
                self.counters.append((zone / "energy_uj", int((zone / "max_energy_range_uj").read_text())))
            except (OSError, ValueError):
                pass

    def read(self) -> list[int]:
        return [int(path.read_text()) for path, _ in self.counters]

    def joules_since(self, before: list[int]) -> float | None:
        if not self.counters:
            return None
        wraps = [largest for _, largest in self.counters]
        return sum((b - a) % (w + 1) for a, b, w in zip(before, self.read(), wraps)) / 1e6
