"""The list of tasks: their defaults are options that they have, and what is given overrules them."""

import pytest

from elman.data.examples import Example
from elman.models.options import TrainOptions, option_names
from elman.models.parts import Parts
from elman.models.task import settled
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


@pytest.mark.parametrize(("text", "tokenizer"), [("Anna", "char"), ("a film that is long", "word")])
def test_what_is_left_to_the_data_is_settled_by_it_and_defaults_follow(text: str, tokenizer: str) -> None:
    facts = task_named("classify")
    parts = Parts([Example(text, "a", "line 1"), Example(text, "b", "line 2")], [], None, [])
    found = settled(facts, facts.kind, parts, {"layers": 2})
    assert found.tokenizer == tokenizer
    assert found.hidden == facts.by_tokenizer.get(tokenizer, facts.defaults)["hidden"]
    assert found.layers == 2
    given = settled(facts, facts.kind, parts, {"tokenizer": "byte", "hidden": 7})
    assert (given.tokenizer, given.hidden) == ("byte", 7)


def test_a_task_without_anything_to_settle_keeps_its_options() -> None:
    facts = task_named("tag")
    assert settled(facts, facts.kind, None, {"hidden": 9}) == TrainOptions(**facts.filled({"hidden": 9}))
