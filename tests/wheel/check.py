#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Looks into a wheel: check.py [--cuda] [--no-path FOLDER]... WHEEL. With --can-fail, every check is seen to fail, too.

Needs auditwheel and pyelftools. What is wrong is printed a line each; the exit status is 1 if anything is.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import io
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Callable, Dict, List

from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

ROOT = Path(__file__).resolve().parents[2]
SIZE_LIMIT = 100 * 1000 * 1000
Wrong = Callable[[str], None]
Files = Dict[str, bytes]


def version() -> str:
    """Of the header, the version's home."""
    header = (ROOT / "include" / "adesieve.h").read_text()
    return ".".join(re.findall(r"^#define ADE_VERSION_(?:MAJOR|MINOR|PATCH) +(\d+)", header, re.M))


INFO = f"adesieve-{version()}.dist-info"
LIBRARY = f"adesieve/libadesieve.so.{version().partition('.')[0]}"
PLUGIN = LIBRARY.replace("libadesieve", "libadesieve_cuda")


def elves(files: Files) -> Dict[str, ELFFile]:
    return {name: ELFFile(io.BytesIO(data)) for name, data in files.items() if data[:4] == b"\x7fELF"}


def tags(elf: ELFFile, kind: str) -> List[str]:
    attribute = {"DT_NEEDED": "needed", "DT_RPATH": "rpath", "DT_RUNPATH": "runpath"}[kind]
    return [
        getattr(tag, attribute)
        for section in elf.iter_sections() if isinstance(section, DynamicSection)
        for tag in section.iter_tags() if tag.entry.d_tag == kind
    ]


def check_names(files: Files, wrong: Wrong, cuda: bool) -> None:
    """The tree's modules and models, each as it is; library, command and plugin; nothing that nobody asked for."""
    want = {"adesieve/py.typed": b""}
    for tree, place in (("python_bindings/adesieve", "adesieve"), ("models", "adesieve/models")):
        for path in (ROOT / tree).rglob("*"):
            if path.is_file() and path.parent.name != "__pycache__":
                want[f"{place}/{path.relative_to(ROOT / tree)}"] = path.read_bytes()
    for name, data in want.items():
        if name not in files:
            wrong(f"{name} is missing")
        elif files[name] != data:
            wrong(f"{name} is not that of the source tree")
    binaries = {LIBRARY, "adesieve/bin/adesieve"} | ({PLUGIN} if cuda else set())
    for name in binaries - set(files):
        wrong(f"{name} is missing")
    for name in set(files) - set(want) - binaries:
        if not name.startswith(("adesieve.libs/", INFO + "/")):
            wrong(f"{name} should not be there")


def check_record(files: Files, wrong: Wrong) -> None:
    """RECORD lists every file once, with its hash and size: what an uninstaller goes by."""
    listed = {}
    for line in files[f"{INFO}/RECORD"].decode().splitlines():
        name, digest, size = line.rsplit(",", 2)
        if name in listed:
            wrong(f"RECORD lists {name} twice")
        listed[name] = (digest, size)
    for name in set(files) ^ set(listed):
        wrong(f"{name} is {'not in RECORD' if name in files else 'in RECORD only'}")
    for name in set(files) & set(listed) - {f"{INFO}/RECORD"}:
        digest = base64.urlsafe_b64encode(hashlib.sha256(files[name]).digest()).rstrip(b"=").decode()
        if listed[name] != (f"sha256={digest}", str(len(files[name]))):
            wrong(f"{name} is not what RECORD says")


def check_elves(files: Files, wrong: Wrong) -> None:
    """Each finds what it needs inside the wheel wherever it is unpacked, is stripped, and exports what it should."""
    inside = {name.rpartition("/")[2] for name in files}
    everywhere = re.compile(r"(libc|libm|libdl|librt|libpthread|libz|libstdc\+\+|libgcc_s|ld-linux-x86-64)\.so\.\d+$")
    for name, elf in elves(files).items():
        for path in ":".join(tags(elf, "DT_RPATH") + tags(elf, "DT_RUNPATH")).split(":"):
            if path and not re.match(r"\$ORIGIN(/|$)", path):
                wrong(f"{name} looks for libraries in {path}")
        for library in tags(elf, "DT_NEEDED"):
            if library not in inside and not everywhere.match(library):
                wrong(f"{name} needs {library}")
        if any(section.name.startswith(".debug") or section.name == ".symtab" for section in elf.iter_sections()):
            wrong(f"{name} is not stripped")
        if re.search(r"cuda|cublas|libnv", name) and name != PLUGIN:
            wrong(f"{name} is NVIDIA's")
    exports = (ROOT / "tests/abi/symbols.txt").read_text().split()
    for name, want in ((LIBRARY, exports), (PLUGIN, ["ade_plugin"])):
        if name in files:
            dynamic = elves({name: files[name]})[name].get_section_by_name(".dynsym")
            assert isinstance(dynamic, SymbolTableSection)
            found = {
                symbol.name for symbol in dynamic.iter_symbols()
                if symbol["st_shndx"] not in ("SHN_UNDEF", "SHN_ABS") and symbol["st_info"]["bind"] != "STB_LOCAL"
            }
            if found != set(want):
                wrong(f"{name} exports other names than it should: {sorted(found ^ set(want))}")


def check_licences(files: Files, wrong: Wrong) -> None:
    """The project's own, and a text for each library that is bundled and for each licence that such a text names."""
    own = files.get(f"{INFO}/licenses/LICENSE")
    if own != (ROOT / "LICENSE").read_bytes():
        wrong("the licence is missing, or not that of the source tree")
    bundled = f"{INFO}/licenses/bundled/"
    table = files.get(bundled + "LIBRARIES.txt", b"").decode()
    for name in files:
        library = name.partition("adesieve.libs/")[2]
        if library:
            row = re.search(rf"^{re.escape(library)}\n +.*; (\S+)$", table, re.M)
            if not row or not files.get(bundled + row[1]):
                wrong(f"{name} has no licence")
    for name, text in files.items():
        if name.startswith(bundled) and name.endswith(".copyright"):
            for common in re.findall(rb"/usr/share/common-licenses/([\w.+-]*[\w+])", text):
                if bundled + "common-licenses/" + common.decode() not in files:
                    wrong(f"{name} names the licence {common.decode()}, which is missing")


def check_metadata(files: Files, wrong: Wrong) -> None:
    text = files[f"{INFO}/METADATA"].decode().partition("\n\n")[0]
    for line in (
        f"Name: adesieve\nVersion: {version()}", "License-Expression: Apache-2.0", "License-File: LICENSE",
        "Requires-Python: >=3.9", "Description-Content-Type: text/markdown",
    ):
        if line not in text:
            wrong(f"the metadata lacks {line!r}")
    needs = [line for line in text.splitlines() if line.startswith("Requires-Dist:")]
    if [line for line in needs if "extra ==" not in line] != ["Requires-Dist: numpy>=1.21"]:
        wrong("numpy is not the only thing needed")
    # An error that tells a user to install an extra must name one that brings what is missing.
    extras: Dict[str, str] = {extra: "" for extra in re.findall(r"^Provides-Extra: (\S+)$", text, re.M)}
    for package, extra in re.findall(r"^Requires-Dist: ([\w-]+).* extra == \"([\w-]+)\"$", text, re.M):
        extras[extra] += f" {package} "
    for name, data in files.items():
        if name.startswith("adesieve/") and name.endswith(".py"):
            for extra in re.findall(r"adesieve\[(\w+)\]", data.decode()):
                if extra not in extras:
                    wrong(f"{name} names the extra {extra}, which does not exist")
            for package, extra in re.findall(r"""need\(\s*["'](\w+)[\w.]*["'],\s*["'](\w+)["']""", data.decode()):
                distribution = {"sklearn": "scikit-learn"}.get(package, package)
                if f" {distribution} " not in extras.get(extra, ""):
                    wrong(f"{name} says that the extra {extra} brings {distribution}, which it does not")
    if "adesieve = adesieve.command:main" not in files.get(f"{INFO}/entry_points.txt", b"").decode():
        wrong("there is no console script adesieve")


def check_paths(files: Files, wrong: Wrong, folders: List[str]) -> None:
    """No file tells where on which machine it was made."""
    for name, data in files.items():
        for folder in folders:
            if folder.encode() in data:
                wrong(f"{name} holds the path {folder}")


def run_checks(files: Files, wrong: Wrong, cuda: bool, folders: List[str]) -> None:
    check_names(files, wrong, cuda)
    check_record(files, wrong)
    check_elves(files, wrong)
    check_licences(files, wrong)
    check_metadata(files, wrong)
    check_paths(files, wrong, folders)


def check_file(path: Path, modes: Dict[str, int], wheel: str, wrong: Wrong) -> None:
    """Size, name and tag, the command's permission, and what auditwheel says."""
    size = path.stat().st_size
    if size >= SIZE_LIMIT:
        wrong(f"it has {size} bytes, more than {SIZE_LIMIT}")
    name = re.fullmatch(rf"adesieve-{re.escape(version())}-(py3-none-(manylinux_2_\d+_x86_64))\.whl", path.name)
    if not name:
        wrong(f"its name is {path.name}")
        return
    if f"Tag: {name[1]}\n" not in wheel or "Root-Is-Purelib: false\n" not in wheel:
        wrong(f"its WHEEL file does not agree with its name: {wheel!r}")
    if not modes["adesieve/bin/adesieve"] & 0o111:
        wrong("the command may not be executed")
    said = subprocess.run([sys.executable, "-m", "auditwheel", "show", str(path)], capture_output=True, text=True)
    if f'"{name[2]}"' not in re.sub(r"\s+", " ", said.stdout):
        wrong(f"auditwheel does not call it {name[2]}: {said.stdout}{said.stderr}")
    print(f"{path.name}: {size} bytes ({size / 1e6:.1f} MB), tag {name[1]}")


def see_failures(files: Files, before: List[str], cuda: bool, folders: List[str]) -> int:
    """Breaks a copy in one way after the other; the number of breaks for which no check said what it should."""
    table = f"{INFO}/licenses/bundled/LIBRARIES.txt"
    grafted = next(name for name in files if name.startswith("adesieve.libs/libdnnl"))
    metadata = f"{INFO}/METADATA"
    text = files[metadata]
    breaks = {
        "classifier.py is missing": {"adesieve/classifier.py": None},
        "config.json is not that of the source tree": {"adesieve/models/adesieve-minilm/config.json": b"{}"},
        "notes.txt should not be there": {"adesieve/notes.txt": b"x"},
        f"needs {grafted.rpartition('/')[2]}": {grafted: None},
        "not in RECORD": {f"{INFO}/RECORD": files[f"{INFO}/RECORD"].partition(b"\n")[2]},
        "is not what RECORD says": {"adesieve/__init__.py": b""},
        "looks for libraries in /build": {LIBRARY: files[LIBRARY].replace(b"$ORIGIN", b"/build/", 1)},
        "needs libdnnx": {LIBRARY: files[LIBRARY].replace(b"libdnnl", b"libdnnx")},
        "exports other names": {LIBRARY: files[LIBRARY].replace(b"ade_classify\0", b"adx_classify\0")},
        "the licence is missing": {f"{INFO}/licenses/LICENSE": None},
        f"{grafted} has no licence": {table: files[table].replace(b"libdnnl", b"libother")},
        "names the extra nothing": {"adesieve/_x.py": b"adesieve[nothing]"},
        "the extra arrow brings torch": {"adesieve/_x.py": b'need("torch", "arrow")'},
        "numpy is not the only thing needed": {metadata: text.replace(b"Requires-Dist:", b"Requires-Dist: x\nX:", 1)},
        "the metadata lacks": {metadata: text.replace(b"\nVersion: ", b"\nVersion: 9.", 1)},
        "holds the path": {"adesieve/_version.py": folders[0].encode()},
    }
    unnoticed = 0
    for want, changes in breaks.items():
        broken = {name: data for name, data in {**files, **changes}.items() if data is not None}
        said: List[str] = []
        run_checks(broken, said.append, cuda, folders)
        if not any(want in line for line in said if line not in before):
            unnoticed += 1
            print(f"wrong: a broken wheel was not noticed: {want}")
    return unnoticed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cuda", action="store_true", help="the plugin for NVIDIA GPUs must be in it")
    parser.add_argument("--no-path", action="append", default=[], help="a path that no file may hold")
    parser.add_argument("--can-fail", action="store_true")
    parser.add_argument("wheel", type=Path)
    arguments = parser.parse_args()
    with zipfile.ZipFile(arguments.wheel) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
        modes = {item.filename: item.external_attr >> 16 for item in archive.infolist()}
    folders = [str(ROOT), str(Path.home()) + "/", *arguments.no_path]
    said: List[str] = []
    run_checks(files, said.append, arguments.cuda, folders)
    check_file(arguments.wheel, modes, files[f"{INFO}/WHEEL"].decode(), said.append)
    for line in said:
        print(f"wrong: {line}")
    unnoticed = see_failures(files, said, arguments.cuda, folders) if arguments.can_fail else 0
    return 1 if said or unnoticed else 0


sys.exit(main())
