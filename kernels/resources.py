#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Registers, shared memory and spills of every CUDA kernel, in the table of README.md.

    kernels/resources.py            compiles the kernels and writes the numbers into the table
    kernels/resources.py --check    fails where the table differs, and where a hot kernel spills

Columns of numbers are written by this program, all others by hand: a kernel that the table lacks gets an empty row, and
--check fails until it is filled. Numbers hold for one version of nvcc, which the table names; with another version only
spills are checked. A kernel is hot unless it is there for odd sizes: "generic" or "any" in its name, or instance <0>.
"""

import argparse
import concurrent.futures
import glob
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
README = os.path.join(HERE, "README.md")
BEGIN, END = "<!-- kernels: begin -->", "<!-- kernels: end -->"
BY_HAND = 3  # columns: kernel, what it computes, bytes and target


def die(text):
    sys.exit(f"resources.py: error: {text}")


def find_nvcc():
    for candidate in (os.environ.get("CUDACXX"), shutil.which("nvcc"), "/usr/local/cuda/bin/nvcc"):
        if candidate and os.path.exists(candidate):
            return candidate
    return None


def compile_kernels(nvcc, source, architecture):
    """{demangled kernel instance: (registers, shared bytes, stack bytes, spilled bytes)} of one file."""
    command = [nvcc, "-std=c++17", "-I", os.path.join(HERE, "..", "include"), "-I", HERE, "-cubin", "-Xptxas", "-v",
               f"-arch=sm_{architecture}", "-o", os.devnull, source]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        die(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    name, found = None, {}
    for line in (done.stdout + done.stderr).splitlines():
        if match := re.search(r"Compiling entry function '(\S+)'", line):
            name, frame = match[1], (0, 0)
        elif match := re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", line):
            frame = (int(match[1]), int(match[2]) + int(match[3]))
        elif name and (match := re.search(r"Used (\d+) registers", line)):
            shared = re.search(r"(\d+) bytes smem", line)
            found[name] = (int(match[1]), int(shared[1]) if shared else 0, *frame)
            name = None
    return found


def demangle(names):
    filt = shutil.which("c++filt") or die("there is no c++filt; install binutils")
    lines = subprocess.run([filt], input="\n".join(names), capture_output=True, text=True, check=True).stdout.splitlines()
    plain = {}
    for mangled, line in zip(names, lines):
        line = line.replace("(anonymous namespace)::", "").replace("(bool)1", "true").replace("(bool)0", "false")
        line = re.sub(r"\((?:unsigned )?\w+\)(?=\d)", "", line)  # (int)8, (ade_act_kind)0 -> the number
        match = re.match(r"(?:void )?(\w+)(?:<(.*)>)?\(", line) or die(f"a kernel's name is not understood: {line}")
        plain[mangled] = (match[1], match[2] or "")
    return plain


def natural(text):
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", text)]


def measure(nvcc, architectures):
    """{kernel: {instance: {architecture: numbers}}}, in the order of the files."""
    sources = sorted(glob.glob(os.path.join(HERE, "*_cuda.cu")) + glob.glob(os.path.join(HERE, "cuda_*.cu")))
    jobs = [(source, architecture) for source in sources for architecture in architectures]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(lambda job: compile_kernels(nvcc, *job), jobs))
    kernels = {}
    for (_, architecture), found in zip(jobs, results):
        for mangled, (kernel, instance) in demangle(list(reversed(found))).items():  # ptxas lists the last one first
            kernels.setdefault(kernel, {}).setdefault(instance, {})[architecture] = found[mangled]
    return {kernel: dict(sorted(instances.items(), key=lambda item: natural(item[0])))
            for kernel, instances in kernels.items()}


def is_hot(kernel, instance):
    return instance != "0" and not {"generic", "any"} & set(kernel.split("_"))


def numbers(instances, architectures):
    """The columns of a kernel: its instances, then registers per architecture, shared memory and spills of all."""
    def column(pick):
        values = [pick(instance) for instance in instances]
        return str(values[0]) if len(set(values)) == 1 else ", ".join(map(str, values))

    def worst(index):
        return column(lambda instance: max(instances[instance][a][index] for a in architectures))

    names = ", ".join(f"<{instance}>" for instance in instances) if list(instances) != [""] else ""
    return [f"`{names}`" if names else "", *(column(lambda i, a=a: instances[i][a][0]) for a in architectures),
            worst(1), worst(3)]


def rows_of(text):
    """The hand-written columns of the table as it is: {kernel: cells}, and the nvcc that it names."""
    rows, version = {}, None
    for line in text.splitlines():
        if match := re.search(r"nvcc (\d+\.\d+)", line):
            version = match[1]
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.startswith("| `") and len(cells) > BY_HAND:
            rows[cells[0].strip("`")] = cells[1:BY_HAND]
    return rows, version


def table(kernels, by_hand, architectures, version):
    heads = ["kernel", "computes", "bytes moved; target", "instances",
             *(f"registers sm_{a}" for a in architectures), "shared bytes", "spilled bytes"]
    lines = [f"By nvcc {version}, written by `resources.py`; registers a thread, and shared bytes a block, of each instance:",
             "", "| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for kernel, instances in kernels.items():
        cells = [f"`{kernel}`", *by_hand.get(kernel, [""] * (BY_HAND - 1)), *numbers(instances, architectures)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare with README.md instead of writing it")
    parser.add_argument("--arch", type=int, action="append", help="compile for sm_ARCH instead of 80 and 90")
    options = parser.parse_args()
    architectures = options.arch or [80, 90]

    nvcc = find_nvcc()
    if not nvcc:
        print("resources.py: skipped: there is no nvcc")
        sys.exit(77)
    said = subprocess.run([nvcc, "--version"], capture_output=True, text=True, check=True).stdout
    version = re.search(r"release (\d+\.\d+)", said)[1]
    kernels = measure(nvcc, architectures)
    if not kernels:
        die("no kernel was found")

    with open(README, encoding="utf-8") as file:
        text = file.read()
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        die(f"README.md needs the lines {BEGIN} and {END} once each")
    before, rest = text.split(BEGIN)
    old, after = rest.split(END)
    by_hand, old_version = rows_of(old)
    new = table(kernels, by_hand, architectures, version)

    complaints = []
    for kernel, instances in kernels.items():
        if not all(by_hand.get(kernel, [""])):
            complaints.append(f"README.md does not say what {kernel} computes, moves and aims at")
        for instance, found in instances.items():
            for architecture, (_, _, stack, spilled) in found.items():
                if (spilled or stack) and is_hot(kernel, instance):
                    complaints.append(f"{kernel}<{instance}> on sm_{architecture}: {spilled} bytes spilled, "
                                      f"{stack} bytes of stack")
    if not options.check:
        if options.arch:
            print(new)
        else:
            with open(README, "w", encoding="utf-8") as file:
                file.write(f"{before}{BEGIN}\n{new}\n{END}{after}")
    elif options.arch is None and old_version == version:
        if old.strip() != new:
            complaints.append("the table of README.md is out of date; run kernels/resources.py. It should be:\n" + new)
    elif options.arch is None:
        print(f"resources.py: the table is by nvcc {old_version} and this is {version}: only spills were checked")
    for complaint in complaints:
        print(f"resources.py: {complaint}", file=sys.stderr)
    if not complaints:
        count = sum(len(instances) for instances in kernels.values())
        print(f"resources.py: {len(kernels)} kernels, {count} instances, no spills in the hot ones")
    sys.exit(1 if complaints else 0)


if __name__ == "__main__":
    main()
