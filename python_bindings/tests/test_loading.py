# SPDX-License-Identifier: Apache-2.0
"""Finding, checking and loading the library, each in a fresh interpreter."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys

import pytest


def run(root, code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    values = {k: v for k, v in os.environ.items() if not k.startswith("ADESIEVE_")}
    values["PYTHONPATH"] = str(root / "python_bindings")
    command = [sys.executable, "-c", code]  # Python would import from the working folder first
    return subprocess.run(
        command, env={**values, **environment}, cwd=root / "tests", capture_output=True, text=True, timeout=120
    )


def test_import_loads_nothing(root):
    said = run(root, "import adesieve, adesieve._ffi as f; print(f._library)", ADESIEVE_LIBRARY="/nowhere.so")
    assert said.stdout == "None\n", said.stderr


def test_modules_are_imported_when_used(root):
    code = (
        "import sys, adesieve; "
        "print('adesieve.sklearn' in sys.modules, 'ray' in sys.modules, adesieve.merge.merge.__name__)"
    )
    assert run(root, code).stdout == "False False merge\n"
    assert "has no attribute 'nothing'" in run(root, "import adesieve; adesieve.nothing").stderr


def test_a_wish_is_not_replaced(root, tmp_path):
    code = "import adesieve\ntry: adesieve.library_version()\nexcept adesieve.Error as e: print(e.status.name, e)"
    said = run(root, code, ADESIEVE_LIBRARY=str(tmp_path / "missing.so")).stdout
    assert said.startswith("UNSUPPORTED ") and f"{tmp_path}/missing.so: no such file" in said
    (tmp_path / "text.so").write_text("no library")
    assert "text.so: " in run(root, code, ADESIEVE_LIBRARY=str(tmp_path / "text.so")).stdout


def test_every_place_is_listed(root, tmp_path):
    """A copy of the package far from any library: each place that was tried has its line."""
    shutil.copytree(root / "python_bindings" / "adesieve", tmp_path / "adesieve")
    code = (
        "import adesieve\n"
        "try: print(adesieve.library_path())\n"
        "except adesieve.Error as e: print(str(e))"
    )
    said = run(root, code, PYTHONPATH=str(tmp_path)).stdout
    if said.startswith("libadesieve.so"):
        pytest.skip("the system has a libadesieve of its own")
    assert f"{tmp_path}/adesieve/libadesieve.so: no such file" in said
    assert "\n  libadesieve.so.0: " in said


def test_beside_the_package_comes_first(root, tmp_path):
    import adesieve

    shutil.copytree(root / "python_bindings" / "adesieve", tmp_path / "adesieve")
    shutil.copy(adesieve.library_path(), tmp_path / "adesieve" / "libadesieve.so")
    said = run(root, "import adesieve; print(adesieve.library_path())", PYTHONPATH=str(tmp_path))
    assert said.stdout == f"{tmp_path}/adesieve/libadesieve.so\n", said.stderr


@pytest.fixture
def made(tmp_path):
    """Compiles a stand-in library: every function, but another version, other sizes, or without one function."""
    from adesieve import _ffi

    cc = shutil.which("cc")
    if cc is None:
        pytest.skip("no C compiler")

    def make(number: int = 100, text: str = "0.1.0", without: str = "", **grown: int) -> str:
        own = ("ade_version", "ade_version_number", "ade_struct_size", without)
        functions = "".join(f"void {name}(void) {{}}\n" for name, _, _ in _ffi.FUNCTIONS if name not in own)
        sizes = "".join(
            f'if (!strcmp(name, "{name}")) return {ctypes.sizeof(struct) + grown.get(name, 0)};\n'
            for name, struct in _ffi.STRUCTS.items()
        )
        (tmp_path / "other.c").write_text(
            f'#include <string.h>\n{functions}const char *ade_version(void) {{ return "{text}"; }}\n'
            f"unsigned ade_version_number(void) {{ return {number}; }}\n"
            f"size_t ade_struct_size(const char *name) {{ {sizes} return 0; }}\n"
        )
        other = tmp_path / "other.so"
        subprocess.run([cc, "-shared", "-fPIC", tmp_path / "other.c", "-o", other], check=True)
        return str(other)

    return make


CODE = "import adesieve\ntry: print(adesieve.library_version())\nexcept adesieve.Unsupported as e: print(e)"


@pytest.mark.parametrize(
    "number, text, problem",
    [(9900, "0.99.0", None), (1, "0.0.1", "it is version 0.0.1"), (10100, "1.1.0", "it is version 1.1.0")],
)
def test_versions(root, made, number, text, problem):
    said = run(root, CODE, ADESIEVE_LIBRARY=made(number, text))
    if problem is None:
        assert said.stdout == text + "\n", said.stderr
    else:
        assert problem in said.stdout and "install the two from one release" in said.stdout, said.stderr


@pytest.mark.parametrize(
    "grown, problem",
    [
        ({"ade_screen_row": 8, "ade_screen_record": 16}, None),  # of a later library; they begin with their size
        ({"ade_screen_row": -8}, "its ade_screen_row has"),
        ({"ade_result": 4}, "its ade_result has 28 bytes, this package's 24"),
    ],
)
def test_sizes(root, made, grown, problem):
    said = run(root, CODE, ADESIEVE_LIBRARY=made(**grown))
    if problem is None:
        assert said.stdout == "0.1.0\n", said.stderr
    else:
        assert problem in said.stdout and "rebuild it" in said.stdout, said.stderr


def test_a_missing_function_is_named(root, made, tmp_path):
    said = run(root, CODE, ADESIEVE_LIBRARY=made(without="ade_screen_next"))
    assert "has no ade_screen_next" in said.stdout, said.stderr
    cc = shutil.which("cc")
    (tmp_path / "another.c").write_text("void nothing(void) {}\n")
    subprocess.run([cc, "-shared", "-fPIC", tmp_path / "another.c", "-o", tmp_path / "another.so"], check=True)
    said = run(root, CODE, ADESIEVE_LIBRARY=str(tmp_path / "another.so"))
    assert "it is not libadesieve" in said.stdout, said.stderr
