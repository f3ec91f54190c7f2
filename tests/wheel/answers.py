# SPDX-License-Identifier: Apache-2.0
"""Three lines by the Python of an environment that has adesieve installed, and whether what they say is right.

answers.py VERSION [bundled]: `bundled` where the library must use the copies that came with it, as out of a wheel.
"""

import adesieve

clf = adesieve.Classifier(device="cpu", precision="f32")
rows = clf(["Severe rash developed two days after the first dose of amoxicillin.", "No adverse event was observed."])

# ---- Right is what transformers says of the same model ----------------------------------------------------------
import os  # noqa: E402
import sys  # noqa: E402

for row, (label, score) in zip(rows, [("ADE", 0.9962723), ("not ADE", 0.9999994)]):
    assert row["label"] == label and abs(row["score"] - score) < 1e-4, rows
package = os.path.dirname(os.path.realpath(adesieve.__file__))
assert package.startswith(os.path.realpath(sys.prefix) + os.sep), package
assert os.path.dirname(os.path.realpath(adesieve.library_path())) == package, adesieve.library_path()
assert adesieve.__version__ == adesieve.library_version() == sys.argv[1]
if sys.argv[2:] == ["bundled"]:
    with open("/proc/self/maps") as maps:
        mapped = {line.rstrip("\n").partition("/")[2] for line in maps if ".so" in line}
    for name in ("libdnnl", "libgomp", "libjansson", "libmd", "libsqlite3", "libutf8proc"):
        used = {"/" + path for path in mapped if os.path.basename(path).startswith((name + ".", name + "-"))}
        ours = {path for path in used if path.startswith(os.path.dirname(package))}
        assert ours, (name, used)
print("python %d.%d: %s %.7f" % (sys.version_info[:2] + (rows[0]["label"], rows[0]["score"])))
