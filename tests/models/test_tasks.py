"""The list of tasks: their defaults are options that they have, and what is given overrules them."""

import pytest

from elman.models.options import TrainOptions, option_names
from elman.models.tasks import TASKS, TaskFacts, task_named, tasks_with

every_task = pytest.mark.parametrize("facts", TASKS.values(), ids=lambda facts: facts.name)


@every_task
def test_a_task_has_defaults_for_options_that_it_has_and_no_others(facts: TaskFacts) -> None:
    named = {*facts.defaults, *(name for own in facts.by_tokenizer.values() for name in own)}
    assert named <= set(option_names())
    for name in named:
        assert name in facts.options or not tasks_with(name), name
    assert TrainOptions(**facts.filled({})).task == facts.name


def test_words_have_defaults_of_their_own_and_what_is_given_overrules_them() -> None:
    facts = task_named("lm")
    of_words = facts.by_tokenizer["word"]
    assert of_words["embedding"] != TrainOptions().embedding
    assert facts.filled({})["task"] == "lm"
    assert "embedding" not in facts.filled({"tokenizer": "char"})
    assert facts.filled({"tokenizer": "word"})["embedding"] == of_words["embedding"]
    assert facts.filled({"tokenizer": "word", "embedding": 7})["embedding"] == 7
