# SPDX-License-Identifier: Apache-2.0
"""The API reference is built, is whole, and leads nowhere that is not there."""

from __future__ import annotations

import ast
import enum
import importlib
import importlib.util
import inspect
import re
import subprocess
import sys
import types
from html.parser import HTMLParser

import pytest

import adesieve

#: What each page of the reference is about, and what its module needs to be imported.
PAGES = {
    "adesieve": "",
    "adesieve.convert": "",
    "adesieve.errors": "",
    "adesieve.merge": "",
    "adesieve.plan": "",
    "adesieve.ray": "",
    "adesieve.screening": "",
    "adesieve.sklearn": "sklearn",
    "adesieve.spark": "",
}


def public(module):
    """(name, object) of all that a module offers."""
    names = getattr(module, "__all__", None)
    if names is None:
        names = [
            name
            for name, value in vars(module).items()
            if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
        ]
    return [(name, getattr(module, name)) for name in names]


def members(kind):
    """(name, function) of a class's own public methods and properties, and how it is made."""
    for name, value in vars(kind).items():
        value = value.__func__ if isinstance(value, (classmethod, staticmethod)) else value
        if isinstance(value, property):
            yield name, value.fget
        elif inspect.isfunction(value) and not name.startswith("_"):
            yield name, value


def documented(doc, section):
    """The names that a section explains: "folds, seed : int" are two."""
    found = re.search(rf"^{section}\n-+\n(.*?)(?=^\w[\w ]*\n---|\Z)", doc, re.MULTILINE | re.DOTALL)
    if found is None:
        return []
    heads = re.findall(r"^(\*{0,2}\w[\w, *]*?)(?= *:|$)", found[1], re.MULTILINE)
    return [name.strip(" *") for head in heads for name in head.split(",")]


def explained(name, function, doc, family):
    """What is missing in the documentation of a function: each argument stands in its list of parameters, or in its
    text as ``argument``, or in that of its class, or in the list of a function to which it refers: "as for `name`"."""
    signature = inspect.signature(function)
    arguments = [argument for argument in signature.parameters if argument not in ("self", "cls")]
    known = documented(doc, "Parameters") + documented(doc, "Other Parameters")
    about = [inspect.getdoc(one) or "" for one in family if inspect.isclass(one)]
    elsewhere = re.findall(r"``(\w+)\b[^`]*``", "\n".join([doc, *about]))
    for other in re.findall(r"\b(?:as(?:\s+(?:for|by|in))?|see)\s+`(?:\w+\.)*(\w+)`", doc, re.IGNORECASE):
        for one in family:
            elsewhere += documented(inspect.getdoc(getattr(one, other, None)) or "", "Parameters")
    wrong = [f"{name}: {argument} is not explained" for argument in arguments if argument not in known + elsewhere]
    wrong += [f"{name}: {argument} is explained, and is no argument" for argument in known if argument not in arguments]
    return wrong


@pytest.mark.parametrize("page", PAGES)
def test_everything_is_explained(page):
    if PAGES[page]:
        pytest.importorskip(PAGES[page], reason=f"{PAGES[page]} is not installed")
    module = importlib.import_module(page)
    wrong = [] if module.__doc__ else [f"{page} has no docstring"]
    offered = [(name, value) for name, value in public(module) if not isinstance(value, str)]
    assert offered, f"{page} offers nothing"
    for name, value in offered:
        doc = inspect.getdoc(value) or ""
        if not doc or (inspect.isclass(value) and not value.__doc__):
            wrong.append(f"{name} has no docstring")
        elif inspect.isfunction(value):
            wrong += explained(name, value, doc, [module, adesieve])
        elif inspect.isclass(value) and not issubclass(value, (enum.Enum, Exception)):
            made = vars(value).get("__init__")
            if made is not None and "__dataclass_fields__" not in vars(value) and documented(doc, "Parameters"):
                wrong += explained(name, made, doc, [module, adesieve])
            for member, function in members(value):
                text = inspect.getdoc(function) or ""
                family = [value, importlib.import_module(value.__module__), adesieve]
                wrong += [] if text else [f"{name}.{member} has no docstring"]
                wrong += explained(f"{name}.{member}", function, text, family)
    assert not wrong, "\n".join(wrong)


def without_example(module):
    """What a module offers without showing how it is used. A data class, an enumeration or an exception is what others
    give, and their examples show it; its methods are called, and need one."""
    missing = []
    for name, value in public(module):
        calls = [(name, value)] if inspect.isfunction(value) else []
        if inspect.isclass(value) and not issubclass(value, (enum.Enum, Exception)):
            calls = [] if "__dataclass_fields__" in vars(value) else [(name, value)]
            calls += [(f"{name}.{member}", function) for member, function in members(value)]
        docs = [(called, inspect.getdoc(function) or "") for called, function in calls]
        missing += [called for called, doc in docs if not re.search(r"^ *>>> |::$", doc, re.MULTILINE)]
    return missing


@pytest.mark.parametrize("page", PAGES)
def test_everything_has_an_example(page):
    """test_examples.py runs them."""
    if PAGES[page]:
        pytest.importorskip(PAGES[page], reason=f"{PAGES[page]} is not installed")
    assert without_example(importlib.import_module(page)) == []


def test_a_missing_example_is_found():
    class Shown:
        """>>> Shown()"""

        def silent(self):
            """Does something."""

    module = types.SimpleNamespace(__all__=["Shown", "reached"], Shown=Shown, reached=reached)
    assert without_example(module) == ["Shown.silent", "reached"]


@pytest.mark.parametrize("page", PAGES)
def test_attributes_are_explained(page):
    """A data class says of each field what it is: beside it, or in its docstring. What the name says needs no words."""
    if PAGES[page]:
        pytest.importorskip(PAGES[page], reason=f"{PAGES[page]} is not installed")
    module = importlib.import_module(page)
    for name, value in public(module):
        if not inspect.isclass(value) or "__dataclass_fields__" not in vars(value):
            continue
        fields = [field for field in value.__dataclass_fields__ if not field.startswith("_")]
        source, doc = inspect.getsource(value), inspect.getdoc(value) or ""
        beside = re.findall(r"^    (\w+): .*#:", source, re.MULTILINE)
        told = [field for field in fields if field in beside or re.search(rf"\b{field}\b", doc)]
        assert told or "explained in" in doc, f"{page}.{name}: no field is explained"


# ---- The pages --------------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """A page's anchors, links, and code that is no link."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.loose, self._stack = set(), [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.ids.update(filter(None, [values.get("id"), values.get("name")]))
        if tag == "a" and values.get("href"):
            self.links.append(values["href"])
        if tag in ("a", "code", "pre", "script"):
            self._stack.append(tag)

    def handle_endtag(self, tag):
        if tag in self._stack:
            while self._stack.pop() != tag:
                pass

    def handle_data(self, data):
        if self._stack == ["code"]:
            self.loose.append(data)


@pytest.fixture(scope="module")
def site(root, tmp_path_factory):
    """The pages by their path in the site."""
    for package in ("pdoc", *filter(None, PAGES.values())):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    out = tmp_path_factory.mktemp("docs")
    script = root / "python_bindings" / "docs" / "build"
    done = subprocess.run([sys.executable, "-B", script, out], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Warn" not in done.stderr, done.stderr
    return {str(path.relative_to(out)): path.read_text("utf-8") for path in out.rglob("*") if path.is_file()}


def test_pages(site, root):
    guides = {f"guides/{path.stem}.html" for path in (root / "python_bindings" / "docs").glob("*.md")}
    modules = {name.replace(".", "/") + ".html" for name in PAGES}
    assert len(guides) >= 3 and set(site) == guides | modules | {"index.html", "search.js"}
    for path in guides | modules:
        assert f'"{path}"' in site["index.html"] or f'href="{path}"' in site["index.html"], path
    for name in adesieve.__all__:
        assert f'id="{name}"' in site["adesieve.html"] or name == "__version__", name
    assert adesieve.__version__ in site["index.html"]


def test_links(site):
    pages = {path: Page(text) for path, text in site.items() if path.endswith(".html")}
    count = 0
    for path, page in pages.items():
        for link in page.links:
            if re.match(r"https?:|mailto:|data:", link):
                continue
            file, _, anchor = link.partition("#")
            parts = path.split("/")[:-1] if file else path.split("/")
            for part in filter(None, file.split("/")):
                parts = parts[:-1] if part == ".." else parts if part == "." else [*parts, part]
            target = "/".join(parts)
            assert target in pages, f"{path}: {link} leads nowhere"
            assert not anchor or anchor in pages[target].ids, f"{path}: {link}: there is no such place"
            count += 1
    assert count > 200


def test_names_in_guides_are_links(site):
    """A name of the package in a guide is a link to it; one that is not is misspelt, or gone."""
    for path, text in site.items():
        if path.startswith("guides/"):
            loose = [name for name in Page(text).loose if re.fullmatch(r"adesieve(\.\w+)+", name)]
            assert not loose, f"{path}: {loose}"


@pytest.mark.parametrize("page", PAGES)
def test_references_in_docstrings(page):
    """`Name` in single backticks is a reference: there is such a name in its class, its module or the package."""
    if PAGES[page]:
        pytest.importorskip(PAGES[page], reason=f"{PAGES[page]} is not installed")
    module = importlib.import_module(page)
    known = [module, adesieve, *(value for _, value in public(module) if inspect.isclass(value))]
    # what stands in the package's files, since __all__ gathers names from several
    texts = [(page, inspect.getsource(module))]
    if page == "adesieve":
        for name, value in public(module):
            if inspect.isclass(value) or inspect.isfunction(value):
                texts.append((name, inspect.getsource(value)))
                known.append(importlib.import_module(value.__module__))
    wrong = []
    for where, source in texts:
        for node in ast.walk(ast.parse(source)):
            if not isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
                continue
            for name in re.findall(r"(?<![`\w])`([A-Za-z_][\w.]*)(?:\(\))?`(?!`)", ast.get_docstring(node) or ""):
                if not any(reached(start, name) for start in known):
                    wrong.append(f"{where}: `{name}`")
    assert not wrong, "\n".join(wrong)


def reached(start, name):
    """Whether ``start`` has ``name``, which may be dotted and begin with the package."""
    if name.startswith("adesieve."):
        parts = name.split(".")
        for length in range(len(parts), 0, -1):
            try:
                start = importlib.import_module(".".join(parts[:length]))
            except ImportError:
                continue
            if not parts[length:] or reached(start, ".".join(parts[length:])):
                return True
        return False
    for part in name.split("."):
        if part not in getattr(start, "__annotations__", {}) and not hasattr(start, part):
            return False
        start = getattr(start, part, None)
    return True


def test_usage(root, tmp_path):
    script = root / "python_bindings" / "docs" / "build"
    done = subprocess.run([sys.executable, "-B", script, "a", "b"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2 and "docs/build [FOLDER]" in done.stderr and not list(tmp_path.iterdir())
