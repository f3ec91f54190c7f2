# SPDX-License-Identifier: Apache-2.0
"""Folders whose weights are pickled, made into folders that adesieve opens: ``python -m adesieve.convert FOLDER``.

``pytorch_model.bin``, its shards and training checkpoints are pickles, and unpickling can run whatever code their
author put in. adesieve therefore reads safetensors alone. This module turns the one into the other, once, with
PyTorch's restricted reader (``weights_only``), which builds tensors and refuses everything else. Values keep their
bits.

It needs PyTorch and safetensors (``pip install 'adesieve[convert]'``); what it writes needs neither.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import pickle
import re
import secrets
import shutil
import sys
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Union

from . import errors
from ._optional import need
from ._version import __version__

__all__ = ["Conversion", "convert", "main"]

PathLike = Union[str, "os.PathLike[str]"]

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
PICKLED = "pytorch_model.bin"
PICKLED_INDEX = "pytorch_model.bin.index.json"
SHARD_BYTES = 5_000_000_000  #: as in the shards that transformers wrote for years

#: Endings of files that are never copied: weights and other pickles (training_args.bin runs code, too).
_LEFT_BEHIND = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".h5", ".msgpack", ".ot", ".onnx", ".safetensors", ".index")
#: Pickles that trainers leave beside the weights.
_NOT_WEIGHTS = re.compile(r"(optimizer|scheduler|scaler|training_args|rng_state.*|random_states.*)\.(bin|pt|pth|pkl)")
#: Under which a training checkpoint keeps the model among other things.
_WRAPPERS = ("state_dict", "model_state_dict", "model", "module")
_DEEPEST = 8  # of these in each other
#: What DistributedDataParallel, torch.compile and Lightning put before every name.
_PREFIXES = ("module.", "_orig_mod.", "model.")
_DTYPES = {"f32": "float32", "f16": "float16", "bf16": "bfloat16", "f64": "float64"}
_STORABLE = frozenset("float64 float32 float16 bfloat16 int64 int32 int16 int8 uint8 bool".split())
#: From 2.6 on, weights_only keeps its promise for files of the old layout, too (CVE-2025-32434).
_TORCH = (2, 6)

_OTHERS = {
    "tf_model.h5": ("TensorFlow", "from_tf=True"),
    "model.ckpt.index": ("TensorFlow", "from_tf=True"),
    "flax_model.msgpack": ("Flax", "from_flax=True"),
}


@dataclass(frozen=True)
class Conversion:
    """What `convert` did."""

    folder: Path  #: where the safetensors are
    source: tuple[str, ...]  #: the pickled files that were read, and their index
    written: tuple[str, ...]  #: names in ``folder``: one file, or shards and their index
    copied: tuple[str, ...]  #: names of the files that came along, with another folder as the target
    tensors: int
    values: int  #: of all tensors together
    bytes: int  #: of the tensors, as written
    dtypes: dict[str, int]  #: tensors per data type, as written
    entry: str  #: the entry of a training checkpoint that held the model; ``""`` where it was the whole file
    prefix: str  #: what was taken off the front of every name; ``""`` for nothing
    shared: int  #: tensors that shared memory with another one and are now stored by themselves


@dataclass(frozen=True)
class _Tensor:
    file: int  #: index of the pickled file
    key: str  #: its name there
    name: str  #: its name from now on
    bytes: int  #: as written


def convert(
    folder: PathLike,
    output: PathLike | None = None,
    *,
    weights: str | None = None,
    dtype: str | None = None,
    shard_bytes: int = SHARD_BYTES,
) -> Conversion:
    """Writes a folder's pickled weights as safetensors.

    Parameters
    ----------
    folder : path
        With ``pytorch_model.bin``, or its shards and their index, or one training checkpoint. The path of such a file
        does as well.
    output : path, optional
        A folder to be made, with the weights and copies of the files that belong to them: configuration, tokenizer,
        licence, cards. By default the safetensors appear in ``folder``, and nothing in it is changed.
    weights : str, optional
        The name of the file in ``folder`` to take, where there are several.
    dtype : {"f32", "f16", "bf16", "f64"}, optional
        What floating-point tensors are stored as. By default what they are.
    shard_bytes : int
        A file is no larger than this, or holds one tensor; more than one file gets an index.

    Returns
    -------
    Conversion

    Raises
    ------
    Unsupported
        Weights of TensorFlow or Flax; a pickle that asks for more than tensors, of which nothing is run.
    BadModel
        No weights, files that are cut off or contradict each other, values that ``dtype`` cannot hold.
    InputOutput
        A file cannot be read or written. There is then no new file: all appear together at the end.
    ImportError
        PyTorch or safetensors is not installed, or PyTorch is older than 2.6.

    Notes
    -----
    Memory is bounded by one file in and one file out, and files of the usual layout are mapped, not read.

    Examples
    --------
    >>> from adesieve.convert import convert
    >>> try:
    ...     convert("tests/data/tiny_bert_cls")
    ... except adesieve.errors.Unsupported as error:
    ...     print(error)
    tests/data/tiny_bert_cls: has its weights in model.safetensors already; adesieve opens it as it is
    """
    if dtype is not None and dtype not in _DTYPES:
        raise ValueError(f"dtype is {dtype!r}; it can be {', '.join(map(repr, _DTYPES))}")
    if not isinstance(shard_bytes, int) or shard_bytes < 1:
        raise ValueError(f"shard_bytes is {shard_bytes!r}; a number of bytes above 0 is needed")
    root = Path(os.fspath(folder))
    if weights is None and root.is_file():
        root, weights = root.parent, root.name
    target = root if output is None else Path(os.fspath(output))
    files, index = _find(root, weights, in_place=output is None)
    source = [*files, *index]
    if output is not None:
        _check_target(target)
    torch = _torch()
    need("safetensors", "convert")
    entry, prefix, tensors = _survey(torch, root, files, dtype)
    if index:
        _check_index(root / index[0], {tensor.key for tensor in tensors})
    groups = _groups(tensors, shard_bytes)
    digests = ",".join(_digest(root / name) for name in source)
    changes = [f'taken from the entry "{entry}"'] * bool(entry) + [f'"{prefix}" taken off the names'] * bool(prefix)
    changes += [f"floats to {_DTYPES[dtype]}"] if dtype else []
    metadata = {
        "format": "pt",
        "converted_by": f"adesieve {__version__}",
        "source": ",".join(source),
        "source_sha256": digests,
        **({"changes": "; ".join(changes)} if changes else {}),
    }
    with _stage(target, inside=output is None) as stage:
        written, counts, values, shared = _write(torch, root, files, groups, dtype, metadata, stage)
        copied = [] if output is None else _copy(root, stage)
        for name in written:
            _sync(stage / name)
        _publish(stage, target, written, inside=output is None)
    return Conversion(
        folder=target,
        source=tuple(source),
        written=tuple(written),
        copied=tuple(copied),
        tensors=len(tensors),
        values=values,
        bytes=sum(tensor.bytes for tensor in tensors),
        dtypes=dict(sorted(counts.items())),
        entry=entry,
        prefix=prefix,
        shared=shared,
    )


# ---- Finding ----------------------------------------------------------------------------------------------------


def _find(root: Path, weights: str | None, in_place: bool) -> tuple[list[str], list[str]]:
    """The names of the pickled files, and of their index where there is one."""
    try:
        present = sorted(entry.name for entry in os.scandir(root) if entry.is_file())
    except OSError as error:
        raise errors.InputOutput(
            f"{root}: cannot be read as a folder ({error.strerror}); give the folder of a checkpoint"
        ) from error
    safe = next((name for name in (SINGLE, INDEX) if name in present), None)
    if safe is not None and (in_place or weights is None):
        raise errors.Unsupported(f"{root}: has its weights in {safe} already; adesieve opens it as it is")
    if weights is not None:
        if weights not in present:
            raise errors.InputOutput(f"{root}: has no file {weights}; it has {', '.join(present) or 'none'}")
        return _shards(root, present, weights) if weights.endswith(".index.json") else ([weights], [])
    if PICKLED in present:
        return [PICKLED], []
    if PICKLED_INDEX in present:
        return _shards(root, present, PICKLED_INDEX)
    for name, (framework, option) in _OTHERS.items():
        if name in present:
            raise errors.Unsupported(
                f"{root}: has its weights only in {name}, of {framework}, which this command does not read; convert "
                f"them with transformers before 5 and {framework}: from transformers import "
                f"AutoModelForSequenceClassification as A; A.from_pretrained(FOLDER, {option}).save_pretrained(OUT)"
            )
    found = [
        name for name in present if name.endswith((".bin", ".pt", ".pth", ".ckpt")) and not _NOT_WEIGHTS.fullmatch(name)
    ]
    if not found:
        raise errors.BadModel(
            f"{root}: holds no pickled weights ({PICKLED}, {PICKLED_INDEX} or a .pt, .pth or .ckpt file); give the "
            "folder of a whole checkpoint"
        )
    stray = next((name for name in found if re.fullmatch(r"pytorch_model-\d+-of-\d+\.bin", name)), None)
    if stray is not None:
        raise errors.BadModel(f"{root}: holds the shard {stray} and no {PICKLED_INDEX} beside it; download that, too")
    if len(found) > 1:
        raise errors.BadModel(
            f"{root}: could be any of {', '.join(found)}; name the one that holds the model by --weights"
        )
    return found, []


def _shards(root: Path, present: Sequence[str], index: str) -> tuple[list[str], list[str]]:
    where = root / index
    try:
        weight_map = json.loads(where.read_text("utf-8"))["weight_map"]
        names = list(dict.fromkeys(weight_map.values()))
    except OSError as error:
        raise errors.InputOutput(f"{where}: cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise errors.BadModel(
            f'{where}: is not JSON with an object "weight_map" that says which file holds a tensor ({error!r}); '
            "download it again"
        ) from error
    for name in names:
        if not isinstance(name, str) or name in ("", ".", "..") or re.search(r"[/\\]", name):
            raise errors.BadModel(f"{where}: names the file {name!r}, which is no plain name in the same folder")
        if name not in present:
            raise errors.BadModel(f'{where}: names the file "{name}", which is not in the folder; download it')
    if not names:
        raise errors.BadModel(f'{where}: its "weight_map" is empty; download it again')
    return sorted(names), [index]


def _check_index(where: Path, found: set[str]) -> None:
    absent = next((name for name in json.loads(where.read_text("utf-8"))["weight_map"] if name not in found), None)
    if absent is not None:
        raise errors.BadModel(
            f'{where}: names the tensor "{absent}", which is in none of the files; download them all again'
        )


def _check_target(target: Path) -> None:
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise errors.InputOutput(f"{target}: is there and not an empty folder; name another one, or remove it")
    if target.exists() and target.samefile("."):
        raise errors.InputOutput(f"{target}: is the folder that this runs in and would be replaced; name another one")


# ---- Reading ----------------------------------------------------------------------------------------------------


def _torch() -> Any:
    torch = need("torch", "convert")
    version = tuple(int(part) for part in re.findall(r"\d+", torch.__version__)[:2])
    if version < _TORCH:
        raise ImportError(
            f"PyTorch {torch.__version__} is installed; before {_TORCH[0]}.{_TORCH[1]} a pickle could get round "
            "weights_only and run code (CVE-2025-32434); pip install -U torch",
            name="torch",
        )
    return torch


def _load(torch: Any, path: Path) -> Any:
    """The file's contents, by the restricted unpickler. Whatever else stands in it is refused and not run."""
    try:
        with open(path, "rb") as file:
            start = file.read(64)
        if not start:
            raise errors.BadModel(f"{path}: is empty; download it again")
        if start.startswith(b"version https://git-lfs"):
            raise errors.BadModel(
                f"{path}: is the note that Git keeps in place of a large file, not the file; run git lfs pull"
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on protocols and TorchScript; the errors below say more
            return torch.load(path, map_location="cpu", weights_only=True, mmap=_can_be_mapped(path))
    except pickle.UnpicklingError as error:
        asked = re.search(r"GLOBAL ([\w.]+)", str(error))
        if asked is None:
            raise errors.BadModel(
                f"{path}: is not a file of PyTorch, or is cut off or damaged; download it again"
            ) from error
        raise errors.Unsupported(
            f"{path}: was refused and nothing of it run, since it asks for {asked[1]}, which is no tensor and could "
            "be code; if you made the file, save the weights alone: torch.save(model.state_dict(), PATH); if you did "
            "not, ask its author for safetensors"
        ) from error
    except errors.Error:
        raise
    except OSError as error:
        if error.filename is not None:
            raise errors.InputOutput(f"{path}: cannot be read ({error.strerror})") from error
        raise errors.BadModel(f"{path}: is cut off or damaged; download it again") from error
    except UnicodeEncodeError as error:
        why = "has a name that is no UTF-8, which PyTorch cannot open; rename it"
        raise errors.InputOutput(f"{path}: {why}") from error
    except Exception as error:  # garbage can fail anywhere in a reader of pickles: KeyError, EOFError, struct.error, ..
        if "TorchScript" in str(error):
            raise errors.Unsupported(
                f"{path}: is a TorchScript archive, which holds a program; save the weights alone where it was made: "
                "torch.save(model.state_dict(), PATH)"
            ) from error
        raise errors.BadModel(
            f"{path}: is not a file of PyTorch, or is cut off or damaged ({_first_line(error)}); download it again"
        ) from error


def _can_be_mapped(path: Path) -> bool:
    """Whether tensors lie in the file as they are. PyTorch would map compressed ones as they lie, without a word."""
    if not zipfile.is_zipfile(path):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return all(entry.compress_type == zipfile.ZIP_STORED for entry in archive.infolist())
    except (zipfile.BadZipFile, NotImplementedError, ValueError):
        return False  # its reader will say why


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _state(torch: Any, path: Path) -> tuple[str, Mapping[str, Any]]:
    """The tensors by name, and the entry that held them."""
    found, entry = _load(torch, path), ""
    for _ in range(_DEEPEST):  # a dictionary can hold itself
        if not isinstance(found, Mapping):
            break
        inner = next((key for key in _WRAPPERS if isinstance(found.get(key), Mapping)), None)
        if inner is None:
            break
        found, entry = found[inner], f"{entry}/{inner}" if entry else inner
    if not isinstance(found, Mapping) or not found:
        what = "nothing" if isinstance(found, Mapping) else f"a {type(found).__name__}"
        raise errors.BadModel(f"{path}: holds {what} where tensors with names should be; it is no checkpoint")
    for name, tensor in found.items():
        _check(torch, path, name, tensor)
    return entry, found


def _check(torch: Any, path: Path, name: object, tensor: Any) -> None:
    if not isinstance(name, str) or not isinstance(tensor, torch.Tensor):
        raise errors.BadModel(
            f"{path}: its entry {name!r} is {type(tensor).__name__}, not a tensor; save the weights alone: "
            "torch.save(model.state_dict(), PATH)"
        )
    kind = str(tensor.dtype).partition(".")[2]
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.device.type != "cpu" or kind not in _STORABLE:
        raise errors.Unsupported(
            f'{path}: tensor "{name}" is {kind}, {tensor.layout} on {tensor.device.type}; only dense tensors of floats '
            "and integers are converted: save the model without quantization"
        )
    # A view of stride 0 can claim any size in a file of any size.
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise errors.BadModel(
            f'{path}: tensor "{name}" claims {tensor.numel()} values and has fewer in the file; it is no weight of a '
            "model"
        )


def _survey(torch: Any, root: Path, files: Sequence[str], dtype: str | None) -> tuple[str, str, list[_Tensor]]:
    """What the files hold, one at a time: the entry, the prefix of all names, and the tensors."""
    held: list[tuple[int, str, int]] = []
    where: dict[str, str] = {}
    entry = ""
    for number, name in enumerate(files):
        entry, state = _state(torch, root / name)
        for key, tensor in state.items():
            if key in where:
                raise errors.BadModel(
                    f'{root}: tensor "{key}" is in two files, {where[key]} and {name}; download all files again'
                )
            where[key] = name
            size = tensor.element_size()
            if dtype is not None and tensor.is_floating_point():
                size = getattr(torch, _DTYPES[dtype]).itemsize
            held.append((number, key, tensor.numel() * size))
    prefix = ""
    while True:
        more = next(
            (
                part
                for part in _PREFIXES
                if all(key.startswith(prefix + part) and key != prefix + part for key in where)
            ),
            None,
        )
        if more is None:
            break
        prefix += more
    return entry, prefix, [_Tensor(number, key, key[len(prefix) :], size) for number, key, size in held]


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


# ---- Writing ----------------------------------------------------------------------------------------------------


def _groups(tensors: Sequence[_Tensor], limit: int) -> list[list[_Tensor]]:
    """The tensors of each file to be written, in order."""
    groups: list[list[_Tensor]] = [[]]
    size = 0
    for tensor in tensors:
        if groups[-1] and size + tensor.bytes > limit:
            groups.append([])
            size = 0
        groups[-1].append(tensor)
        size += tensor.bytes
    return groups


def _write(
    torch: Any,
    root: Path,
    files: Sequence[str],
    groups: Sequence[Sequence[_Tensor]],
    dtype: str | None,
    metadata: dict[str, str],
    stage: Path,
) -> tuple[list[str], Counter[str], int, int]:
    """The names written, tensors per data type, values, and tensors that had shared memory."""
    from safetensors.torch import save_file  # type: ignore[import-not-found, unused-ignore]

    names, counts, values, shared = [], Counter[str](), 0, 0
    weight_map: dict[str, str] = {}
    opened, state = -1, None
    for number, group in enumerate(groups, 1):
        name = SINGLE if len(groups) == 1 else f"model-{number:05}-of-{len(groups):05}.safetensors"
        out: dict[str, Any] = {}
        storages: set[tuple[int, int]] = set()
        for item in group:
            if item.file != opened:
                state = None  # the file before is let go first
                opened, state = item.file, _state(torch, root / files[item.file])[1]
            assert state is not None
            tensor = state[item.key].detach()
            storage = item.file, tensor.untyped_storage().data_ptr()
            if dtype is not None and tensor.is_floating_point():
                tensor = _cast(torch, root / files[item.file], item.key, tensor, dtype)
            if tensor.numel() and storage in storages:
                shared += 1
                tensor = tensor.clone(memory_format=torch.contiguous_format)
            storages.add(storage)
            out[item.name] = tensor.contiguous()
            weight_map[item.name] = name
            counts[str(tensor.dtype).partition(".")[2]] += 1
            values += tensor.numel()
        try:
            save_file(out, stage / name, metadata=metadata)
        except Exception as error:  # the package has error classes of its own, also for a full disk
            raise errors.InputOutput(f"{stage / name}: cannot be written ({_first_line(error)})") from error
        names.append(name)
    if len(groups) > 1:
        total = sum(item.bytes for group in groups for item in group)
        index = {"metadata": {**metadata, "total_size": total}, "weight_map": dict(sorted(weight_map.items()))}
        try:
            (stage / INDEX).write_text(json.dumps(index, indent=2) + "\n", "utf-8")
        except OSError as error:
            raise errors.InputOutput(f"{stage / INDEX}: cannot be written ({error.strerror})") from error
        names.append(INDEX)
    return names, counts, values, shared


def _cast(torch: Any, path: Path, name: str, tensor: Any, dtype: str) -> Any:
    cast = tensor.to(getattr(torch, _DTYPES[dtype]))
    lost = torch.isfinite(tensor) & ~torch.isfinite(cast)
    if bool(lost.any()):
        raise errors.BadModel(
            f'{path}: tensor "{name}" holds {float(tensor[lost].flatten()[0]):g}, which {_DTYPES[dtype]} cannot hold; '
            "choose bf16 or f32"
        )
    return cast


def _copy(root: Path, stage: Path) -> list[str]:
    """Copies what belongs to the weights: plain files that are neither hidden nor weights."""
    names = sorted(
        entry.name
        for entry in os.scandir(root)
        if entry.is_file() and not entry.name.startswith(".") and not entry.name.endswith(_LEFT_BEHIND)
    )
    names = [name for name in names if not name.endswith((".bin.index.json", ".safetensors.index.json"))]
    for name in names:
        try:
            shutil.copyfile(root / name, stage / name)
        except OSError as error:
            raise errors.InputOutput(f"{root / name}: cannot be copied to {stage} ({error.strerror})") from error
    return names


@contextlib.contextmanager
def _stage(target: Path, inside: bool) -> Iterator[Path]:
    """A folder on the target's file system in which everything is made ready; gone at the end, whatever happens."""
    target = Path(os.path.realpath(target))  # a link's own name could not be given to a folder
    stage = (target if inside else target.parent) / f".{target.name}.convert-{secrets.token_hex(8)}"
    try:
        stage.mkdir()
    except OSError as error:
        raise errors.InputOutput(
            f"{target}: cannot be written to ({error.strerror}); name a folder that can be made by -o"
        ) from error
    try:
        yield stage
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _publish(stage: Path, target: Path, written: Sequence[str], inside: bool) -> None:
    try:
        if inside:
            for name in written:  # the index comes last: until then there are no weights to be found
                os.replace(stage / name, target / name)
        else:
            os.rename(stage, os.path.realpath(target))
        _sync(target)
    except OSError as error:
        raise errors.InputOutput(f"{target}: the finished files cannot be put there ({error.strerror})") from error


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# ---- The command ------------------------------------------------------------------------------------------------


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m adesieve.convert",
        description="Writes the pickled weights of a PyTorch checkpoint as safetensors, which adesieve opens. "
        "Nothing in a pickle is run: what is not a tensor is refused.",
        epilog="examples:\n"
        "  python -m adesieve.convert biobert-ade                      beside what is there\n"
        "  python -m adesieve.convert biobert-ade -o biobert-f16 --dtype f16\n"
        "  python -m adesieve.convert runs/7/last.ckpt -o model        a training checkpoint; its config.json and\n"
        "                                                              tokenizer are expected beside it\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", metavar="FOLDER", help="a checkpoint's folder, or the file with its weights")
    parser.add_argument("-o", "--output", metavar="OUT", help="a folder to make, with all that belongs to the model")
    parser.add_argument("--weights", metavar="NAME", help="which file of FOLDER holds the weights")
    parser.add_argument("--dtype", choices=list(_DTYPES), help="store floating-point tensors so (default: as they are)")
    parser.add_argument(
        "--max-shard-size", metavar="GB", type=float, default=SHARD_BYTES / 1e9, help="default: %(default)g"
    )
    parser.add_argument("--remove", action="store_true", help="remove the pickled files once the new ones are checked")
    parser.add_argument("--no-check", action="store_true", help="do not open the folder with adesieve afterwards")
    parser.add_argument("--version", action="version", version=f"adesieve {__version__}")
    return parser


def _checked(folder: Path) -> str:
    """Opens the folder as its users will, classifies a sentence, and says what it is."""
    from .classifier import Classifier

    with Classifier(folder, "cpu", "f32", threads=1) as clf:
        clf.logits("Rash after amoxicillin.")
        info = clf.info
        return (
            f"adesieve opens it: {info['architecture']}, {info['n_layers']} layers, {info['n_parameters']:,} "
            f"parameters, labels {', '.join(clf.labels)} (positive: {info['positive_label']})"
        )


def _told(done: Conversion) -> Iterator[str]:
    dtypes = ", ".join(f"{count} {name}" for name, count in done.dtypes.items())
    yield f"read {', '.join(done.source)}: {done.tensors} tensors, {done.values:,} values"
    if done.entry:
        yield f'took its entry "{done.entry}", which holds the model'
    if done.prefix:
        yield f'took "{done.prefix}" off the front of every name'
    if done.shared:
        yield f"stored {done.shared} tensors by themselves that shared memory with others"
    yield f"wrote {', '.join(str(done.folder / name) for name in done.written)} ({done.bytes / 1e6:,.1f} MB; {dtypes})"
    if done.copied:
        yield f"copied {', '.join(done.copied)}"


def _plain(text: str) -> str:
    """Without what would drive the terminal, or could not be written there: names are anybody's."""
    return "".join("?" if c < " " or "\x7f" <= c < "\xa0" or "\ud800" <= c < "\ue000" else c for c in text)


def main(arguments: Sequence[str] | None = None) -> int:
    """``python -m adesieve.convert``.

    Parameters
    ----------
    arguments : sequence of str, optional
        By default those of the process.

    Returns
    -------
    int
        The exit status: 0 done, 1 failed; wrong usage leaves by ``SystemExit`` with 2.

    Examples
    --------
    >>> from adesieve.convert import main
    >>> main(["no/such/folder"])  # the reason goes to standard error
    1
    """
    parser = _arguments()
    given = parser.parse_args(arguments)
    if given.remove and given.output is not None:
        parser.error("--remove is for a conversion in place; with -o the pickled files stay")
    if given.remove and given.no_check:
        parser.error("--remove is for weights that were checked; leave out --no-check")
    if not 1 <= given.max_shard_size * 1e9 < 1e18:
        parser.error(f"--max-shard-size is {given.max_shard_size:g}; a number of gigabytes above 0 is needed")
    try:
        done = convert(
            given.folder,
            given.output,
            weights=given.weights,
            dtype=given.dtype,
            shard_bytes=int(given.max_shard_size * 1e9),
        )
        for line in _told(done):
            print(_plain(line))
        if not given.no_check:
            try:
                print(_checked(done.folder))
            except errors.Error as error:
                raise type(error)(
                    f"the weights were written and are whole, but adesieve cannot run this folder: {error}",
                    error.status,
                ) from error
        if given.remove:
            for name in done.source:
                os.remove(done.folder / name)
            print(_plain(f"removed {', '.join(done.source)}"))
    except (errors.Error, ImportError, OSError) as error:
        print(f"adesieve.convert: error: {_plain(str(error))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
