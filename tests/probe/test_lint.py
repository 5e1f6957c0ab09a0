"""The state linter: each fault is found in a run that has it, and not in the same run without it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faulty
import numpy as np
import pytest
import safetensors.torch
import tiny
import torch
from faulty import Network, Padded, Windows
from task_data import SIGNAL_TASKS, TEXT_TASKS

import elman
from elman.models.language import LanguageModel
from elman.models.options import TrainOptions
from elman.models.tasks import TASKS, task_named
from elman.probe.batches import find_padding, follows, mapped, tensors
from elman.probe.findings import CODES, LINT, Lint
from elman.probe.lint import WatchedParts, lint_end, lint_start

PAGES = Path(__file__).parents[2] / "docs" / "lint"


def start(task: Any) -> Lint:
    lint = Lint()
    lint_start(task, lint)
    assert lint.unchecked == {}
    return lint


def codes(lint: Lint) -> list[str]:
    return [finding.code for finding in lint.findings]


@pytest.mark.parametrize(
    "task",
    [
        Windows(),
        Windows(shuffled=True, carried=False),
        Padded(),
        Padded(batch_first=True),
        Padded(told_by="mask"),
        Padded(told_by="marker"),
    ],
    ids=repr,
)
def test_a_run_without_a_fault_has_no_findings(task: Any) -> None:
    assert start(task).findings == []


@pytest.mark.parametrize(
    ("task", "code", "words"),
    [
        (Windows(shuffled=True), "state-across-documents", "step 1 goes on with the state of step 0"),
        (
            Windows(shuffled=True, carried=False, network=Network(faulty.CLASSES, hoards=True)),
            "state-across-documents",
            "keeps a state from batch to batch",
        ),
        (Windows(carried=False), "state-never-carried", "first 6 windows goes on where the one before it ended"),
        (Windows(ignored=True), "state-never-carried", "changes nothing"),
        (Windows(lost=True), "state-never-carried", "gives none"),
        (Padded(scored=True), "padding-scored", "the loss goes from"),
        (Padded(read=True), "padding-scored", "the loss goes from"),
        (Padded(scored=True, batch_first=True), "padding-scored", "the loss goes from"),
        (Padded(scored=True, told_by="mask"), "padding-scored", "the loss goes from"),
        (Padded(divided=True), "loss-scaled-by-padding", "half the loss"),
        (Padded(divided=True, told_by="mask"), "loss-scaled-by-padding", "half the loss"),
        (Padded(scale=1e4), "saturated-from-start", "of the gates stand at an end"),
        (Padded(scale=1e4, network=Network(faulty.WIDTH)), "saturated-from-start", "scale the inputs"),
    ],
)
def test_a_fault_is_found_and_nothing_else(task: Any, code: str, words: str) -> None:
    lint = start(task)
    assert codes(lint) == [code]
    assert words in lint.findings[0].sentence


def test_the_state_that_passes_the_start_of_a_document_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "text.txt"
    path.write_text(tiny.TEXT, encoding="utf-8")
    options = {**tiny.OPTIONS, "steps": 2, "validations": 1}
    assert not found(elman.train(path, out=tmp_path / "right", quiet=True, **options).run)

    def read(self: LanguageModel, tokens_TB: torch.Tensor, state: Any = None) -> Any:
        return self.recurrent(self.embedding(tokens_TB), state)

    monkeypatch.setattr(LanguageModel, "read", read)
    wrong = found(elman.train(path, out=tmp_path / "wrong", quiet=True, **options).run)
    assert [finding["code"] for finding in wrong] == ["state-across-documents"]
    assert "carried across documents" in wrong[0]["sentence"]


def found(run: Path) -> list[dict[str, str]]:
    return json.loads((run / LINT).read_text(encoding="utf-8"))["findings"]


def test_a_network_that_remembers_beyond_its_window_is_found_and_one_that_forgets_is_not() -> None:
    for bias, expected in ((12.0, ["window-below-horizon"]), (-12.0, [])):
        lint = Lint()
        lint_end(Windows(network=Network(faulty.CLASSES, forget_bias=bias)), {}, lint)
        assert lint.unchecked == {}
        assert codes(lint) == expected


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ({"validation": {"accuracy": 0.6, "baseline_accuracy": 0.5}}, []),
        ({"validation": {"accuracy": 0.5, "baseline_accuracy": 0.5}}, ["no-better-than-trivial"]),
        (
            {
                "validation": {"accuracy": 0.6, "baseline_accuracy": 0.5},
                "test": {"accuracy": 0.4, "baseline_accuracy": 0.5},
            },
            ["no-better-than-trivial"],
        ),
        ({"validation": {"loss_nats": 1.0}}, []),
    ],
)
def test_a_network_is_compared_with_the_trivial_answer(scores: Mapping[str, Any], expected: list[str]) -> None:
    lint = Lint()
    lint_end(Padded(), scores, lint)
    assert codes(lint) == expected


@dataclass(frozen=True)
class Data:
    """The parts of some data."""

    train: list[float]
    valid: list[float]
    test: list[float] | None


def test_what_is_fitted_to_more_than_the_training_part_is_found() -> None:
    data = Data([1.0, 2.0], [3.0], [4.0])

    def mean(*parts: Any) -> float:
        return float(np.mean([value for part in parts for value in part]))

    watched = WatchedParts(data)
    assert isinstance(watched.parts, Data)
    assert mean(watched.parts.train) == 1.5
    assert watched.finding() is None
    assert mean(watched.parts.train, watched.parts.test or []) == pytest.approx(7 / 3)
    assert "the test part was read" in str(watched.finding())
    mean(watched.parts.valid)
    assert "the test and the validation part" in str(watched.finding())
    assert type(data) is Data


@pytest.mark.parametrize("task", [Windows(), Padded(), Windows(network=Network(faulty.CLASSES, hoards=True))])
def test_looking_disturbs_nothing(task: Any) -> None:
    torch.manual_seed(3)
    state = {name: value.clone() for name, value in task.network.state_dict().items()}
    hoard = task.network.hoard
    before = torch.get_rng_state(), np.random.get_state()[1].tolist()  # type: ignore[index]
    task.network.train()
    lint = Lint()
    lint_start(task, lint)
    lint_end(task, {}, lint)
    after = torch.get_rng_state(), np.random.get_state()[1].tolist()  # type: ignore[index]
    assert torch.equal(before[0], after[0])
    assert before[1] == after[1]
    assert all(torch.equal(value, state[name]) for name, value in task.network.state_dict().items())
    assert all(parameter.grad is None for parameter in task.network.parameters())
    assert task.network.hoard is hoard
    assert task.network.training


def test_a_run_that_is_linted_ends_bit_for_bit_as_one_that_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "text.txt").write_text(tiny.TEXT, encoding="utf-8")
    options = {**tiny.OPTIONS, "dropout": 0.3}
    linted = elman.train(tmp_path / "text.txt", out=tmp_path / "linted", quiet=True, **options).run
    assert Lint.read(linted).checked
    monkeypatch.setattr("elman.training.run.lint_start", lambda *_: None)
    monkeypatch.setattr("elman.training.run.lint_end", lambda *_: [])
    alone = elman.train(tmp_path / "text.txt", out=tmp_path / "alone", quiet=True, **options).run
    for name in ("model.safetensors", "checkpoint.safetensors"):
        one, other = (safetensors.torch.load_file(run / name) for run in (linted, alone))
        assert one.keys() == other.keys()
        assert all(torch.equal(value, other[key]) for key, value in one.items() if "seconds" not in key), name


def test_a_check_that_fails_is_said_and_ends_nothing(tmp_path: Path) -> None:
    class Odd(Windows):
        def loss(self, batch: Any, state: Any) -> Any:  # noqa: ARG002
            raise RuntimeError("not today")

    lint = Lint()
    lint_start(Odd(), lint)
    assert lint.unchecked["state-never-carried"] == "RuntimeError: not today"
    assert lint.findings == []
    (note,) = lint.notes(CODES)
    assert "could not check" in note
    assert "state-never-carried" in note
    assert lint.notes(["no-better-than-trivial"]) == []
    lint.save(tmp_path)
    assert json.loads((tmp_path / LINT).read_text(encoding="utf-8"))["unchecked"] == lint.unchecked


def test_every_code_has_a_page_that_says_what_to_do_and_every_page_a_code() -> None:
    assert {path.stem for path in PAGES.glob("*.md")} - {"README"} == set(CODES)
    for code in CODES:
        text = (PAGES / f"{code}.md").read_text(encoding="utf-8")
        assert text.startswith(f"# {code}\n")
        assert "## What to do" in text


def test_padding_is_what_lies_beyond_lengths_and_holds_one_value() -> None:
    lengths = torch.tensor([2, 5])
    x = torch.randn(5, 2, 3)
    assert find_padding((x, lengths)) is None
    x[2:, 0] = 0
    padding = find_padding((x, lengths))
    assert padding is not None
    assert padding.amount == 3
    disturbed = tensors(padding.disturbed((x, lengths)))[0]
    assert torch.equal(disturbed[:2], x[:2])
    assert (disturbed[2:, 0] != 0).all()
    doubled = tensors(padding.doubled((x, lengths)))[0]
    assert torch.equal(doubled[:5], x)
    assert doubled.shape == (10, 2, 3)
    assert (doubled[5:] == 0).all()


def test_classes_are_not_taken_for_lengths() -> None:
    assert find_padding((torch.randn(9, 4, 2), torch.tensor([0, 1, 2, 9]))) is None


def test_windows_that_go_on_are_told_from_those_that_do_not() -> None:
    stream = torch.randint(7, (21, 3))
    first, second = ((stream[at : at + 10], stream[at + 1 : at + 11]) for at in (0, 10))
    assert follows(second, first) is True
    assert follows(first, second) is False
    assert follows((torch.randn(10, 3), torch.randint(7, (10, 3))), first) is None


def test_a_batch_keeps_its_kind() -> None:
    batch = {"a": [torch.zeros(2), "text"], "b": (torch.ones(1), None), "c": Data([1.0], [], None)}
    twice = mapped(batch, lambda number, tensor: tensor + number + 1)
    assert twice["a"][0].tolist() == [1, 1]
    assert twice["b"][0].tolist() == [3]
    assert twice["a"][1] == "text"
    assert twice["c"] == batch["c"]


# Windows of series are all of one length.
_WITHOUT_PADDING = ("forecast",)


def test_each_task_that_is_not_tried_out_elsewhere_is_tried_out_here() -> None:
    assert {name for name, _ in (*TEXT_TASKS, *SIGNAL_TASKS)} | {"lm"} == set(TASKS)


@pytest.mark.parametrize(("name", "make"), [*TEXT_TASKS, *SIGNAL_TASKS])
def test_elman_s_own_tasks_have_none_of_the_faults(tmp_path: Path, name: str, make: Any) -> None:
    facts = task_named(name)
    tokens = 30 if (name, make) in TEXT_TASKS else 120
    options = TrainOptions(**facts.filled({"hidden": 8, "embedding": 8, "batch_tokens": tokens, "steps": 1}))
    data = facts.kind.read(make(tmp_path), options)
    watched, lint = WatchedParts(data), Lint()
    task = facts.kind.task(data, facts.kind.fit(watched.parts, options), options)
    lint.check("scale-from-test", watched.finding)
    lint_start(task, lint)
    lint_end(task, {}, lint)
    assert lint.unchecked == {}
    assert lint.findings == []
    padded = any(find_padding(task.batch(step)) for step in range(task.steps_per_epoch))
    assert padded == (name not in _WITHOUT_PADDING)
