# SPDX-License-Identifier: Apache-2.0
"""The mirror equals the header: structures by a compiled probe, enums, functions and the version by its text."""

from __future__ import annotations

import ctypes
import pickle
import re
import shutil
import subprocess

import pytest

import adesieve
from adesieve import _ffi, errors


@pytest.fixture(scope="module")
def header(root) -> str:
    text = (root / "include" / "adesieve.h").read_text(encoding="utf-8")
    return re.sub(r"/\*.*?\*/", "", text, flags=re.S)


def declared_structs(header: str) -> dict[str, list[str]]:
    """Name -> members, in order."""
    found = {}
    for body, name in re.findall(r"typedef struct \w+ \{(.*?)\} (\w+);", header, flags=re.S):
        members = []
        for line in body.split(";"):
            if line.strip():
                members += [re.search(r"(\w+)\s*$", part).group(1) for part in line.split(",")]
        found[name] = members
    return found


def test_every_struct_is_mirrored(header):
    mirror = {name: [field[0] for field in struct._fields_] for name, struct in _ffi.STRUCTS.items()}
    assert mirror == declared_structs(header)


def test_layout(header, root, tmp_path):
    """sizeof, offsetof and the size of every member, as the C compiler has them."""
    cc = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if cc is None:
        pytest.skip("no C compiler")
    lines = []
    for name, members in declared_structs(header).items():
        lines.append(f'printf("{name} %zu\\n", sizeof({name}));')
        for member in members:
            lines.append(
                f'printf("{name}.{member} %zu %zu\\n", offsetof({name}, {member}), sizeof((({name} *)0)->{member}));'
            )
    source = "#include <adesieve.h>\n#include <stdio.h>\nint main(void) {\n" + "\n".join(lines) + "\nreturn 0; }\n"
    (tmp_path / "probe.c").write_text(source)
    probe = tmp_path / "probe"
    subprocess.run([cc, "-I", root / "include", tmp_path / "probe.c", "-o", probe], check=True)
    said = subprocess.run([probe], check=True, capture_output=True, text=True).stdout.splitlines()
    mirror = []
    for name, struct in _ffi.STRUCTS.items():
        mirror.append(f"{name} {ctypes.sizeof(struct)}")
        for field in struct._fields_:
            descriptor = getattr(struct, field[0])
            mirror.append(f"{name}.{field[0]} {descriptor.offset} {descriptor.size}")
    assert sorted(mirror) == sorted(said)


def test_the_library_tells_every_size(header):
    library = _ffi.load()
    for name in declared_structs(header):
        assert library.ade_struct_size(name.encode()) == ctypes.sizeof(_ffi.STRUCTS[name]), name
    assert library.ade_struct_size(b"ade_nothing") == 0 == library.ade_struct_size(None)


def test_every_status_has_a_class(header):
    for status in adesieve.Status:
        if status in (adesieve.Status.OK, adesieve.Status.END):
            continue
        error = errors.error_of(status, "why")
        assert type(error) is not adesieve.Error and isinstance(error, adesieve.Error)
        assert error.status is status and str(error) == "why"
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is type(error) and again.status is status and str(again) == "why"
        assert type(error)("why").status is status
    assert isinstance(errors.error_of(3, ""), OSError) and isinstance(errors.error_of(6, ""), ValueError)


def test_enums_both_ways(header):
    found = {}
    for name, body in re.findall(r"typedef enum (\w+) \{(.*?)\}", header, flags=re.S):
        prefix = name.upper() + "_"
        members = re.findall(r"(\w+)\s*=\s*(\d+)", body)
        found[name] = {member.removeprefix(prefix): int(value) for member, value in members}
    statuses = header[header.index("#define ADE_STATUS_MAP") : header.index("typedef enum ade_status")]
    found["ade_status"] = {name: int(value) for name, value in re.findall(r"X\((\w+), (\d+), ", statuses)}
    for name, members in found.items():
        # ADE_LOG_DEBUG, not ADE_LOG_LEVEL_DEBUG
        short = re.compile("^ADE_(LOG|MODEL|CALIBRATION)_")
        found[name] = {short.sub("", m): v for m, v in members.items() if "FORCE_32_BITS" not in m}
    assert found == {name: {m.name: m.value for m in e} for name, e in _ffi.ENUMS.items()}


def test_every_function_is_bound(header):
    declared = re.findall(r"ADE_API\s[\w\s]*?\*?\s*\*?(ade_\w+)\(([^)]*)\)", header)
    arguments = {name: 0 if text.strip() == "void" else text.count(",") + 1 for name, text in declared}
    assert arguments == {name: len(takes) for name, _, takes in _ffi.FUNCTIONS}


def test_version(header):
    numbers = [re.search(rf"#define ADE_VERSION_{part} (\d+)", header).group(1) for part in ("MAJOR", "MINOR", "PATCH")]
    assert ".".join(numbers) == adesieve.__version__ == adesieve.library_version()


def test_status_names():
    for status in _ffi.Status:
        assert _ffi.load().ade_status_name(status) == b"ADE_" + status.name.encode()
    assert _ffi.Status(12345) is _ffi.Status.INTERNAL


def test_init_macros(header):
    """What an untouched structure holds is what its INIT macro gives: zeros but for the threshold."""
    assert re.search(r"ADE_SCREEN_OPTIONS_INIT\s*\\?\s*\{[^}]*?, 0, -1\.0,", header)
    for struct in _ffi.STRUCTS.values():
        if issubclass(struct, _ffi._Sized):
            made = struct()
            assert made.struct_size == ctypes.sizeof(struct)
            assert not any(bytes(made)[4:])
