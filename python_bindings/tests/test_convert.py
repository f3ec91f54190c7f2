# SPDX-License-Identifier: Apache-2.0
"""adesieve.convert: pickled weights to safetensors. What needs PyTorch is skipped where it is not installed."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest

import adesieve
from adesieve import convert as module
from adesieve import errors
from adesieve.convert import convert, main

SENTENCES = ["Rash after amoxicillin.", "No rash.", "Intravenous azithromycin-induced ototoxicity.", ""]


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="PyTorch is not installed")


@pytest.fixture
def bare(tiny, tmp_path):
    """The tiny model without its weights."""
    folder = shutil.copytree(tiny, tmp_path / "model")
    (folder / "model.safetensors").unlink()
    return folder


@pytest.fixture
def state(torch, tiny):
    return pytest.importorskip("safetensors.torch").load_file(tiny / "model.safetensors")


@pytest.fixture
def pickled(torch, state, bare):
    torch.save(state, bare / "pytorch_model.bin")
    return bare


def logits(folder):
    with adesieve.Classifier(folder, "cpu", "f32", threads=1) as clf:
        return clf.logits(SENTENCES)


def tensors_of(folder):
    """Names, types, shapes and bytes of all tensors, by the format's definition alone."""
    found = {}
    for path in sorted(folder.glob("*.safetensors")):
        data = path.read_bytes()
        end = 8 + int.from_bytes(data[:8], "little")
        for name, entry in json.loads(data[8:end]).items():
            if name != "__metadata__":
                first, last = entry["data_offsets"]
                assert name not in found
                found[name] = entry["dtype"], entry["shape"], data[end + first : end + last]
    return found


def metadata_of(path):
    data = path.read_bytes()
    return json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]


def leftovers(folder):
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


# ---- Without PyTorch --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["tf_model.h5", "model.ckpt.index", "flax_model.msgpack"])
def test_other_frameworks(bare, name):
    (bare / name).write_bytes(b"x")
    with pytest.raises(errors.Unsupported, match=f"only in {name}, of (TensorFlow|Flax).*from_(tf|flax)=True"):
        convert(bare)


def test_nothing_to_convert(tiny, bare, tmp_path):
    with pytest.raises(errors.Unsupported, match="in model.safetensors already"):
        convert(tiny, tmp_path / "out")
    with pytest.raises(errors.BadModel, match="no pickled weights"):
        convert(bare)
    with pytest.raises(errors.InputOutput, match="nowhere: cannot be read as a folder"):
        convert(tmp_path / "nowhere")
    with pytest.raises(errors.InputOutput, match="has no file x.pt; it has config.json"):
        convert(bare, weights="x.pt")
    (bare / "optimizer.pt").write_bytes(b"x")  # trainers' own pickles do not count
    (bare / "rng_state_0.pth").write_bytes(b"x")
    with pytest.raises(errors.BadModel, match="no pickled weights"):
        convert(bare)
    (bare / "a.pt").write_bytes(b"x")
    (bare / "b.ckpt").write_bytes(b"x")
    with pytest.raises(errors.BadModel, match="could be any of a.pt, b.ckpt; .* --weights"):
        convert(bare)
    (bare / "pytorch_model-00001-of-00002.bin").write_bytes(b"x")
    with pytest.raises(errors.BadModel, match="shard .* and no pytorch_model.bin.index.json"):
        convert(bare)


@pytest.mark.parametrize(
    ("index", "said"),
    [
        ("{", "is not JSON"),
        ("[]", "is not JSON with an object"),
        ("[" * 100_000, "is not JSON with an object"),
        ('{"weight_map": ["a"]}', "is not JSON with an object"),
        ('{"weight_map": {}}', "is empty"),
        ('{"weight_map": {"a": "../x.bin"}}', "no plain name"),
        ('{"weight_map": {"a": 7}}', "no plain name"),
        ('{"weight_map": {"a": "gone.bin"}}', 'names the file "gone.bin", which is not in the folder'),
    ],
)
def test_bad_index(bare, index, said):
    (bare / "pytorch_model.bin.index.json").write_text(index)
    with pytest.raises(errors.BadModel, match=f"index.json: .*{said}"):
        convert(bare)


def test_targets(bare, tmp_path):
    (bare / "pytorch_model.bin").write_bytes(b"x")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("x")
    for target in (tmp_path / "full", tmp_path / "full" / "x"):
        with pytest.raises(errors.InputOutput, match="not an empty folder"):
            convert(bare, target)
    for wrong in ({"dtype": "f8"}, {"shard_bytes": 0}, {"shard_bytes": "5GB"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            convert(bare, **wrong)


def test_arguments(bare, capsys):
    for wrong in (
        [],
        [str(bare), "--dtype", "int8"],
        [str(bare), "-o", "x", "--remove"],
        [str(bare), "--remove", "--no-check"],
        [str(bare), "--max-shard-size", "0"],
        [str(bare), "--max-shard-size", "nan"],
        [str(bare), "--max-shard-size", "inf"],
    ):
        with pytest.raises(SystemExit) as left:
            main(wrong)
        assert left.value.code == 2
    capsys.readouterr()
    assert main([str(bare)]) == 1
    out, err = capsys.readouterr()
    assert out == "" and err.startswith(f"adesieve.convert: error: {bare}: holds no pickled weights")
    with pytest.raises(SystemExit) as left:
        main(["--help"])
    assert left.value.code == 0 and "examples:" in capsys.readouterr().out


def test_command(bare, root):
    made = subprocess.run(
        [sys.executable, "-m", "adesieve.convert", str(bare)],
        env={**os.environ, "PYTHONPATH": str(root / "python_bindings")},
        capture_output=True,
        text=True,
    )
    assert (made.returncode, made.stdout) == (1, "") and "no pickled weights" in made.stderr


def test_absent_packages(bare, monkeypatch):
    (bare / "pytorch_model.bin").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match="torch"):
        convert(bare)


def test_old_torch(bare, monkeypatch):
    class Old:
        __version__ = "2.5.1+cpu"

    (bare / "pytorch_model.bin").write_bytes(b"x")
    monkeypatch.setattr(module, "need", lambda name, extra: Old)
    with pytest.raises(ImportError, match="before 2.6 a pickle could .* pip install -U torch"):
        convert(bare)


def test_the_library_names_the_command(bare):
    (bare / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(adesieve.Error, match="pytorch_model.bin.*python -m adesieve.convert") as error:
        adesieve.Classifier(bare, "cpu")
    assert error.value.status is adesieve.Status.UNSUPPORTED


# ---- With it ----------------------------------------------------------------------------------------------------


def test_in_place(pickled, tiny, capsys):
    before = {path.name: path.read_bytes() for path in pickled.iterdir()}
    assert main([str(pickled)]) == 0
    told = capsys.readouterr().out
    assert tensors_of(pickled) == tensors_of(tiny)
    assert np.array_equal(logits(pickled).view(np.uint32), logits(tiny).view(np.uint32))
    assert "adesieve opens it: BertForSequenceClassification, 5 layers" in told and "labels LABEL_0, LABEL_1" in told
    assert leftovers(pickled) == []
    made = {path.name: path.read_bytes() for path in pickled.iterdir()}
    assert made.pop("model.safetensors") and made == before
    metadata = metadata_of(pickled / "model.safetensors")
    assert metadata["format"] == "pt" and metadata["source"] == "pytorch_model.bin" and "changes" not in metadata
    assert len(metadata["source_sha256"]) == 64 and adesieve.__version__ in metadata["converted_by"]
    assert main([str(pickled)]) == 1  # nothing left to do
    assert "already" in capsys.readouterr().err


def test_remove(pickled, capsys):
    assert main([str(pickled), "--remove"]) == 0
    assert not (pickled / "pytorch_model.bin").exists() and "removed pytorch_model.bin" in capsys.readouterr().out


def test_checked_before_removal(pickled, capsys):
    """Weights that adesieve cannot run are written, but what they were made from stays."""
    config = json.loads((pickled / "config.json").read_text())
    (pickled / "config.json").write_text(json.dumps({**config, "architectures": ["ModernBertForMaskedLM"]}))
    assert main([str(pickled), "--remove"]) == 1
    assert "adesieve cannot run this folder" in capsys.readouterr().err
    assert (pickled / "pytorch_model.bin").exists() and (pickled / "model.safetensors").exists()


def test_another_folder(pickled, tiny, tmp_path, torch):
    (pickled / "LICENSE").write_text("a licence")
    (pickled / ".hidden").write_text("x")
    (pickled / "runs").mkdir()
    torch.save({"x": 1}, pickled / "training_args.bin")
    done = convert(pickled, tmp_path / "out")
    assert done.folder == tmp_path / "out" and done.written == ("model.safetensors",)
    texts = {path.name for path in tiny.iterdir()} - {"model.safetensors"}
    assert set(done.copied) == texts | {"LICENSE"}
    assert {path.name for path in done.folder.iterdir()} == texts | {"LICENSE", "model.safetensors"}
    assert np.array_equal(logits(done.folder), logits(tiny))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "out"]
    assert not (pickled / "model.safetensors").exists()
    assert os.stat(done.folder).st_mode & 0o777 == os.stat(pickled / "runs").st_mode & 0o777
    (tmp_path / "empty").mkdir()
    assert convert(pickled / "pytorch_model.bin", tmp_path / "empty").tensors == done.tensors  # a file will do, too
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("there")
    convert(pickled, tmp_path / "link")
    assert tensors_of(tmp_path / "there") == tensors_of(tiny) and (tmp_path / "link").is_symlink()


def test_links(pickled, tiny, tmp_path):
    """A download cache keeps files elsewhere, behind links."""
    cache = tmp_path / "cache"
    cache.mkdir()
    for path in pickled.iterdir():
        (cache / path.name).symlink_to(path)
    done = convert(cache, tmp_path / "out")
    assert not any(path.is_symlink() for path in done.folder.iterdir()) and tensors_of(done.folder) == tensors_of(tiny)


@pytest.mark.parametrize("shard_bytes", [100_000, 1])
def test_shards(torch, state, bare, tiny, shard_bytes):
    names = sorted(state)
    halves = {"pytorch_model-00001-of-00002.bin": names[::2], "pytorch_model-00002-of-00002.bin": names[1::2]}
    for name, held in halves.items():
        torch.save({f"module.{key}": state[key] for key in held}, bare / name)
    weight_map = {f"module.{key}": name for name, held in halves.items() for key in held}
    (bare / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": weight_map}))
    done = convert(bare, shard_bytes=shard_bytes)
    assert done.prefix == "module." and done.source == (*halves, "pytorch_model.bin.index.json")
    assert done.written[-1] == "model.safetensors.index.json" and len(done.written) > 3
    index = json.loads((bare / "model.safetensors.index.json").read_text())
    assert index["metadata"]["total_size"] == done.bytes == sum(len(data) for *_, data in tensors_of(bare).values())
    assert set(index["weight_map"]) == set(names) and set(index["weight_map"].values()) == set(done.written[:-1])
    for name in done.written[:-1]:
        kept = [key for key, file in index["weight_map"].items() if file == name]
        assert len(kept) == 1 or (bare / name).stat().st_size < shard_bytes + 10_000
    assert tensors_of(bare) == tensors_of(tiny)
    assert np.array_equal(logits(bare), logits(tiny))
    assert leftovers(bare) == []


def test_shards_become_one(torch, state, bare, tiny):
    names = sorted(state)
    for number in (1, 2):
        half = {key: state[key] for key in names[number - 1 :: 2]}
        torch.save(half, bare / f"pytorch_model-0000{number}-of-00002.bin")
    weight_map = {key: f"pytorch_model-0000{1 + i % 2}-of-00002.bin" for i, key in enumerate(names)}
    (bare / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": weight_map}))
    assert convert(bare).written == ("model.safetensors",)
    assert tensors_of(bare) == tensors_of(tiny)
    shutil.copy(bare / "pytorch_model-00001-of-00002.bin", bare / "pytorch_model-00002-of-00002.bin")
    (bare / "model.safetensors").unlink()
    with pytest.raises(errors.BadModel, match="is in two files"):
        convert(bare)
    torch.save({key: state[key] for key in names[3::2]}, bare / "pytorch_model-00002-of-00002.bin")
    with pytest.raises(errors.BadModel, match=f'names the tensor "{names[1]}", which is in none'):
        convert(bare)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "model."])
def test_training_checkpoint(torch, state, bare, tiny, prefix):
    checkpoint = {
        "epoch": 3,
        "state_dict": {prefix + name: torch.nn.Parameter(tensor, False) for name, tensor in state.items()},
        "optimizer": {"state": {}, "param_groups": [{"lr": 1e-4}]},
    }
    torch.save(checkpoint, bare / "last.ckpt")
    done = convert(bare)
    assert (done.entry, done.prefix, done.source) == ("state_dict", prefix, ("last.ckpt",))
    assert tensors_of(bare) == tensors_of(tiny)
    changes = metadata_of(bare / "model.safetensors")["changes"]
    assert changes == f'taken from the entry "state_dict"; "{prefix}" taken off the names'


def test_one_name_with_prefix_is_a_name(torch, state, bare):
    torch.save({**state, "module.extra": torch.zeros(3)}, bare / "pytorch_model.bin")
    assert convert(bare).prefix == "" and "module.extra" in tensors_of(bare)


def test_old_layout(torch, state, bare, tiny):
    torch.save(state, bare / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    convert(bare)
    assert tensors_of(bare) == tensors_of(tiny)


def test_compressed(torch, state, bare, tiny):
    """PyTorch would map the compressed bytes as they are and call them weights."""
    torch.save(state, bare / "stored.bin")
    with zipfile.ZipFile(bare / "stored.bin") as source, zipfile.ZipFile(bare / "pytorch_model.bin", "w") as target:
        for entry in source.infolist():
            target.writestr(entry.filename, source.read(entry), zipfile.ZIP_DEFLATED)
    (bare / "stored.bin").unlink()
    convert(bare)
    assert tensors_of(bare) == tensors_of(tiny)


def test_names_that_are_no_utf8(pickled, capsys):
    name = os.fsdecode(b"model\xff.bin")
    (pickled / "pytorch_model.bin").rename(pickled / name)
    assert main([str(pickled)]) == 1
    assert "model?.bin: has a name that is no UTF-8" in capsys.readouterr().err


def test_shared_and_strided(torch, state, bare, tiny):
    state["cls.decoder.weight"] = state["bert.embeddings.word_embeddings.weight"]  # tied
    key = "bert.encoder.layer.0.intermediate.dense.weight"
    state[key] = state[key].t().contiguous().t()  # columns first in memory
    block = torch.arange(10.0)
    state["left"], state["right"] = block[:5], block[3:]
    torch.save(state, bare / "pytorch_model.bin")
    assert convert(bare, bare.parent / "half", dtype="f16").shared == 2  # whatever they are stored as
    done = convert(bare)
    assert done.shared == 2
    found = tensors_of(bare)
    assert found.pop("cls.decoder.weight") == found["bert.embeddings.word_embeddings.weight"]
    assert found.pop("left")[2] == np.arange(5, dtype="f4").tobytes()
    assert found.pop("right")[2] == np.arange(3, 10, dtype="f4").tobytes()
    assert found == tensors_of(tiny)


def test_types_are_kept(torch, bare):
    kinds = "float64 float32 float16 bfloat16 int64 int32 int16 int8 uint8 bool".split()
    torch.save({kind: torch.ones(2, 3).to(getattr(torch, kind)) for kind in kinds}, bare / "pytorch_model.bin")
    special = torch.tensor([float("nan"), float("inf"), -0.0, 1e-45])
    torch.save({**torch.load(bare / "pytorch_model.bin"), "special": special}, bare / "pytorch_model.bin")
    done = convert(bare)
    found = tensors_of(bare)
    assert [found[kind][0] for kind in kinds] == "F64 F32 F16 BF16 I64 I32 I16 I8 U8 BOOL".split()
    assert found["special"][2] == special.numpy().tobytes() and done.dtypes["float32"] == 2


def test_another_type(torch, pickled, tmp_path):
    done = convert(pickled, tmp_path / "half", dtype="f16")
    assert done.dtypes == {"float16": done.tensors - 1, "int64": 1}  # position_ids stay
    assert np.allclose(logits(done.folder), logits_of_rounded(torch, pickled, tmp_path), atol=0, rtol=0)
    assert metadata_of(done.folder / "model.safetensors")["changes"] == "floats to float16"
    torch.save({"a": torch.tensor([1.0, 7e4]), "n": torch.arange(3)}, pickled / "pytorch_model.bin")
    with pytest.raises(errors.BadModel, match='"a" holds 70000, which float16 cannot hold; choose bf16 or f32'):
        convert(pickled, tmp_path / "over", dtype="f16")
    assert not (tmp_path / "over").exists()
    convert(pickled, tmp_path / "wide", dtype="bf16")
    assert [tensors_of(tmp_path / "wide")[name][0] for name in "an"] == ["BF16", "I64"]


def logits_of_rounded(torch, folder, tmp_path):
    """Logits of the model whose f32 weights are those that f16 can hold."""
    other = shutil.copytree(folder, tmp_path / "rounded")
    state = torch.load(folder / "pytorch_model.bin", weights_only=True)
    rounded = {name: tensor.half().float() for name, tensor in state.items() if tensor.is_floating_point()}
    torch.save(rounded, other / "pytorch_model.bin")
    convert(other)
    return logits(other)


class Malicious:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch '{self.mark}'",)


@pytest.mark.parametrize("layout", ["zip", "old", "bare"])
def test_malicious(torch, bare, tmp_path, layout, capsys):
    mark, path = tmp_path / "ran", bare / "pytorch_model.bin"
    thing = {"classifier.bias": torch.zeros(2), "x": Malicious(mark)}
    if layout == "bare":
        path.write_bytes(pickle.dumps(Malicious(mark), protocol=2))
    else:
        torch.save(thing, path, _use_new_zipfile_serialization=layout == "zip")
    assert main([str(bare)]) == 1
    err = capsys.readouterr().err
    assert str(path) in err and "nothing of it run, since it asks for posix.system" in err, err
    assert err.count("\n") == 1 and not mark.exists()
    assert not (bare / "model.safetensors").exists() and leftovers(bare) == []
    if layout == "zip":  # the file does what it is accused of
        torch.load(path, weights_only=False)
        assert mark.exists()


def test_not_weights(torch, bare):
    path = bare / "pytorch_model.bin"
    endless = {}
    endless["model"] = endless
    for made, said in (
        (endless, "entry 'model' is dict, not a tensor"),
        (torch.nn.Linear(2, 2), "asks for torch.nn.modules.linear.Linear"),
        (torch.zeros(2), "holds a Tensor where"),
        ({}, "holds nothing where"),
        ({"a": torch.zeros(2), "epoch": 3}, "entry 'epoch' is int, not a tensor"),
        ({"a": torch.zeros(1).expand(10**12)}, "claims 1000000000000 values"),
        ({"a": torch.zeros(2, 2).to_sparse()}, "only dense tensors"),
        ({"a": torch.zeros(2, dtype=torch.complex64)}, "only dense tensors"),
        ({"a": torch.zeros(2, device="meta")}, "only dense tensors"),
    ):
        torch.save(made, path)
        with pytest.raises(errors.Error, match=f"pytorch_model.bin: .*{said}"):
            convert(bare)
    for data, said in (
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "git lfs pull"),
        (b"hello", "is not a file of PyTorch"),
    ):
        path.write_bytes(data)
        with pytest.raises(errors.BadModel, match=f"pytorch_model.bin: .*{said}"):
            convert(bare)


def test_damaged(pickled):
    path = pickled / "pytorch_model.bin"
    whole = path.read_bytes()
    for length in (1, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(errors.BadModel, match="download it again"):
            convert(pickled)
    assert leftovers(pickled) == [] and not (pickled / "model.safetensors").exists()


def test_cannot_write(pickled, tmp_path, monkeypatch):
    with pytest.raises(errors.InputOutput, match="no/out: cannot be written to"):
        convert(pickled, tmp_path / "no" / "out")
    import safetensors.torch

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(safetensors.torch, "save_file", full)
    with pytest.raises(errors.InputOutput, match="No space left"):
        convert(pickled)
    assert leftovers(pickled) == [] and not (pickled / "model.safetensors").exists()


def test_as_transformers_reads_it(pickled, tmp_path, torch):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    done = convert(pickled, tmp_path / "out")
    model = transformers.AutoModelForSequenceClassification.from_pretrained(done.folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(done.folder)
    with torch.no_grad():
        wanted = [model(**tokenizer(text, return_tensors="pt")).logits[0].numpy() for text in SENTENCES]
    assert np.allclose(logits(done.folder), wanted, atol=1e-6)
