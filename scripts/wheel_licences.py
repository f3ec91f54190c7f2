#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""wheel_licences.py WHEEL FOLDER: adds the licences of the libraries that auditwheel put into a wheel, and packs it.

Debian's packages hold the texts: each library's `copyright` file, and the common licences that these name. A wheel
with a library whose licence is not found is not made.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import NoReturn

COMMON = Path("/usr/share/common-licenses")


def fail(message: str) -> NoReturn:
    sys.exit(f"wheel_licences.py: error: {message}")


def owner(library: str) -> tuple[str, str]:
    """The Debian package, and its version, that holds a library of the name that it had before auditwheel's."""
    name = re.sub(r"-[0-9a-f]{8,}(\.so)", r"\1", library)
    said = subprocess.run(["dpkg-query", "-S", f"*/{name}"], capture_output=True, text=True).stdout
    packages = sorted({line.split(": ")[0] for line in said.splitlines() if line.endswith("/" + name)})
    if len(packages) != 1:
        held = " and ".join(packages) or "no Debian package"
        fail(f"the licence of {name} is not known, since {held} holds it; build the wheel where one package does")
    version = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Version}", packages[0]], capture_output=True, text=True, check=True
    ).stdout
    return packages[0].split(":")[0], version


def licences(libraries: list[str]) -> dict[str, bytes]:
    """File names and texts: a table of what is bundled, a `copyright` a package, the common licences they name."""
    texts: dict[str, bytes] = {}
    table = []
    for library in libraries:
        package, version = owner(library)
        text = Path("/usr/share/doc", package, "copyright").read_bytes()
        texts[f"{package}.copyright"] = text
        table.append(f"{library}\n    of Debian's package {package} {version}; {package}.copyright\n")
        for name in re.findall(rb"/usr/share/common-licenses/([A-Za-z0-9.+-]*[A-Za-z0-9+])", text):
            texts[f"common-licenses/{name.decode()}"] = (COMMON / name.decode()).read_bytes()
    head = (
        "adesieve itself is under the Apache License 2.0 (../LICENSE). This wheel also holds these libraries,\n"
        "unchanged but for symbols that were stripped and the names by which they find each other. Their licences are in the\n"
        "files named; what those refer to as /usr/share/common-licenses is in common-licenses.\n\n"
    )
    texts["LIBRARIES.txt"] = (head + "\n".join(table)).encode()
    return texts


def record(names: dict[str, bytes], path: str) -> bytes:
    rows = []
    for name, data in names.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        rows.append(f"{name},sha256={digest},{len(data)}\n")
    return "".join([*rows, f"{path},,\n"]).encode()


def main() -> None:
    source, folder = Path(sys.argv[1]), Path(sys.argv[2])
    # The same input gives the same bytes.
    when = time.gmtime(max(int(os.environ.get("SOURCE_DATE_EPOCH", 0)), 315532800))[:6]
    with zipfile.ZipFile(source) as wheel:
        modes = {item.filename: item.external_attr for item in wheel.infolist() if not item.is_dir()}
        files = {name: wheel.read(name) for name in modes}
    info = next(name.rpartition("/")[0] for name in files if name.endswith(".dist-info/WHEEL"))
    if not shutil.which("dpkg-query"):
        fail("the licences of the libraries in the wheel come from Debian's packages; build it on Debian or Ubuntu")
    libraries = sorted(name.partition("/")[2] for name in files if name.startswith("adesieve.libs/"))
    for name, text in sorted(licences(libraries).items()):
        files[f"{info}/licenses/bundled/{name}"] = text
    listed = f"{info}/RECORD"
    files.pop(listed)
    # As the format advises, what an installer reads first lies at the end.
    files = dict(sorted(files.items(), key=lambda item: (item[0].startswith(info), item[0])))
    files[listed] = record(files, listed)
    target = folder / source.name
    partial = target.with_suffix(".part")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as wheel:
        for name, data in files.items():
            item = zipfile.ZipInfo(name, when)
            item.external_attr = modes.get(name, 0o100644 << 16)
            item.compress_type = zipfile.ZIP_DEFLATED
            wheel.writestr(item, data)
    partial.replace(target)


main()
