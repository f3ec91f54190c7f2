"""What a training run is made of: every setting, read from a TOML file, checked, written into the run's log."""

from __future__ import annotations

import dataclasses
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Recipe:
    """The defaults are those of transformers' Trainer; a TOML file changes them."""

    # -- data
    distinct: bool = False
    """Each sentence once, though the corpus repeats it for each of its relations."""
    max_length: int = 128
    """Tokens a sentence, the two special ones included."""
    # -- optimization
    epochs: int = 3
    batch: int = 16
    bucket: int = 1
    """Batches that are sorted by length together; 1 keeps the shuffled order."""
    learning_rate: float = 2e-5
    layer_decay: float = 1.0
    """The learning rate of a layer is this times that of the layer above it; the heads have the full one."""
    warmup: float = 0.0
    """Share of all steps with a rising learning rate; it then falls linearly to 0."""
    weight_decay: float = 0.0
    """Not on biases and LayerNorm."""
    clip: float = 1.0
    label_smoothing: float = 0.0
    precision: str = "auto"
    """auto: f16 on a GPU, bf16 on a processor that computes in it, else f32; or f32, bf16, f16. Weights stay f32."""
    # -- helps
    tag_weight: float = 0.0
    """Weight of a second head's loss, which tags drug and effect words; the head is thrown away afterwards."""
    drug_swap: float = 0.0
    effect_swap: float = 0.0
    """Share of sentences in which drugs, or effects, are exchanged for others of the training data."""
    average: float = 0.0
    """Decay of the running average of the weights that is evaluated and kept instead of the last weights; 0 = none."""
    # -- choice
    choose_by: str = "weighted_f1"
    """Measure on the validation part that picks the epoch: weighted_f1, f1 (of the ADE class), or mean_f1 (the mean of
    f1 on all rows and f1 on the distinct ones that are not in train.csv)."""
    seed: int = 42
    """Of the order, of dropout and of swaps."""
    head_seed: int = 42
    """Of the heads' first values. Runs that share it can be averaged."""

    def __post_init__(self) -> None:
        for name, low, high in (("max_length", 3, 4096), ("epochs", 1, 1000), ("batch", 1, 4096), ("bucket", 1, 100000),
                                ("learning_rate", 0, 1), ("layer_decay", 0, 1), ("warmup", 0, 1), ("weight_decay", 0, 1),
                                ("clip", 0, 1e6), ("label_smoothing", 0, 0.99), ("tag_weight", 0, 100),
                                ("drug_swap", 0, 1), ("effect_swap", 0, 1), ("average", 0, 0.99999)):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name} is {value}; {low} to {high} are possible")
        for name, choices in (("precision", ("auto", "f32", "bf16", "f16")),
                              ("choose_by", ("weighted_f1", "f1", "mean_f1"))):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} is {getattr(self, name)!r}; {', '.join(choices)} are possible")

    def as_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def read_recipe(path: Path, **changes: Any) -> Recipe:
    """The recipe in a TOML file, with changes from the command line (None = unchanged)."""
    with path.open("rb") as stream:
        try:
            values = tomllib.load(stream)
        except tomllib.TOMLDecodeError as problem:
            raise ValueError(f"{path}: {problem}") from None
    kinds = {field.name: type(field.default) for field in dataclasses.fields(Recipe)}
    for name, value in values.items():
        if name not in kinds:
            raise ValueError(f"{path}: there is no setting {name!r}; there are {', '.join(kinds)}")
        if kinds[name] is float and isinstance(value, int) and not isinstance(value, bool):
            values[name] = float(value)
        elif type(value) is not kinds[name]:
            raise ValueError(f"{path}: {name} is {value!r}, not of type {kinds[name].__name__}")
    try:
        return Recipe(**{**values, **{name: value for name, value in changes.items() if value is not None}})
    except ValueError as problem:
        raise ValueError(f"{path}: {problem}") from None
