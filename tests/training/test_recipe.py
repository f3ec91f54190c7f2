"""recipe.py: bad settings are refused with a sentence."""

import pytest

from conftest import ROOT
from recipe import Recipe, read_recipe


@pytest.mark.parametrize("path", sorted((ROOT / "training" / "recipes").glob("*.toml")), ids=lambda path: path.name)
def test_the_recipes_are_valid(path):
    read_recipe(path)


def test_the_card_recipe_is_the_published_one():
    recipe = read_recipe(ROOT / "training" / "recipes" / "card.toml")
    assert (recipe.epochs, recipe.learning_rate, recipe.batch, recipe.max_length, recipe.seed) == (3, 2e-5, 16, 128, 42)
    assert (recipe.warmup, recipe.weight_decay, recipe.clip, recipe.choose_by) == (0.0, 0.0, 1.0, "weighted_f1")
    assert not recipe.distinct and recipe.tag_weight == recipe.drug_swap == recipe.average == 0


@pytest.mark.parametrize("text, says", [
    ("epochs = 0", "epochs is 0; 1 to 1000"),
    ("epochs = 2.5", "epochs is 2.5, not of type int"),
    ("epochs = true", "epochs is True, not of type int"),
    ("learning_rate = '1e-4'", "not of type float"),
    ("learning_rate = nan", "learning_rate is nan"),
    ("warm_up = 0.1", "there is no setting 'warm_up'"),
    ("precision = 'f64'", "precision is 'f64'"),
    ("choose_by = 'test_f1'", "choose_by is 'test_f1'"),
    ("max_length = 2", "max_length is 2"),
    ("epochs = ", "recipe.toml"),
])
def test_bad_settings(tmp_path, text, says):
    path = tmp_path / "recipe.toml"
    path.write_text(text + "\n")
    with pytest.raises(ValueError, match=says) as caught:
        read_recipe(path)
    assert str(path) in str(caught.value)


def test_whole_numbers_are_good_for_fractions_and_the_command_line_wins(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text("weight_decay = 0\nseed = 1\n")
    recipe = read_recipe(path, seed=7, epochs=None)
    assert recipe == Recipe(weight_decay=0.0, seed=7) and isinstance(recipe.weight_decay, float)
