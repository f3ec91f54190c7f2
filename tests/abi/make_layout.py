#!/usr/bin/env python3
"""Writes layout.c: a program that prints sizeof and offsetof of every public struct, as include/adesieve.h has them.

Usage: make_layout.py path/to/adesieve.h > layout.c
"""

from __future__ import annotations

import re
import sys
from pathlib import Path


def structs(header: str) -> list[tuple[str, list[str]]]:
    """Each struct with a body: its name and its members, in order."""
    bare = re.sub(r"/\*.*?\*/", "", header, flags=re.S)
    found = []
    for name, body in re.findall(r"typedef struct (ade_\w+) \{(.*?)\} \1;", bare, flags=re.S):
        members = []
        for declaration in body.split(";"):
            parts = [re.sub(r"[\s*]", " ", part).split() for part in declaration.split(",")]
            members += [words[-1] for words in parts if words]
        found.append((name, members))
    return found


def enums(header: str) -> list[str]:
    """Every enum type."""
    return re.findall(r"^\} (ade_\w+);", re.sub(r"typedef struct .*?\} ade_\w+;", "", header, flags=re.S), flags=re.M)


def main() -> None:
    header = Path(sys.argv[1]).read_text(encoding="utf-8")
    print("/* SPDX-License-Identifier: Apache-2.0")
    print(" * sizeof and offsetof of every public struct, to be compared with layout.txt. Made by make_layout.py. */")
    print('#include "adesieve.h"\n\n#include <stdio.h>\n')
    print("#define SIZE(type) printf(#type \" %u\\n\", (unsigned)sizeof(type))")
    print("#define AT(type, member) \\\n    printf(#type \".\" #member \" %u %u\\n\", (unsigned)offsetof(type, member), "
          "(unsigned)sizeof(((type *)0)->member))\n")
    print("int main(void) {")
    for name in enums(header):
        print(f"    SIZE({name});")
    for name, members in structs(header):
        print(f"    SIZE({name});")
        for member in members:
            print(f"    AT({name}, {member});")
    print("    return 0;\n}")


if __name__ == "__main__":
    main()
