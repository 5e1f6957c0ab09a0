"""The tagger: what it says of a sentence depends on that sentence alone, keeps to the scheme, and survives its folder."""

from pathlib import Path
from typing import Any

import pytest
import torch

import elman
from elman.cells import CELLS
from elman.data.bad_rows import BadRows
from elman.data.examples import Sentence
from elman.data.tag_schemes import Scheme, check_scheme
from elman.data.vocabulary import UNKNOWN_ID, Vocabulary
from elman.data.words import WordReader
from elman.errors import DataError, ModelFolderError, OptionError
from elman.models.folder import load, save_description, save_weights
from elman.models.options import TrainOptions
from elman.models.parts import Parts
from elman.models.tag_scores import UsualTags, score_tags
from elman.models.tagging import TaggingConfig, TaggingModel
from elman.models.tasks import task_named

WORDS = [["Ada", "met", "Bo", "Li", "."], ["no"], [], ["Ada", "Ada", "saw", "nobody", "there", "."]]
ENTITIES = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]


def tagged(sentences: list[list[str]]) -> list[Sentence]:
    tags = {"Ada": "B-PER", "Bo": "B-PER", "Li": "I-PER"}
    return [
        Sentence(tuple(words), tuple(tags.get(word, "O") for word in words), f"a.conll, line {number}")
        for number, words in enumerate(sentences, 1)
    ]


def make_model(labels: list[str] | None = None, scheme: Scheme = "IOB2", **sizes: Any) -> TaggingModel:
    """Random weights, large, float64, in evaluation mode."""
    torch.manual_seed(0)
    reader, names = WordReader.fit(WORDS), Vocabulary.fit(labels or ENTITIES, closed=True)
    sizes = {"hidden": 6, "embedding": 5, "character_hidden": 4, "character_embedding": 3, **sizes}
    config = TaggingConfig(words=len(reader.words), characters=len(reader.characters), labels=len(names), **sizes)
    model = TaggingModel(config, reader, names, scheme, UsualTags.fit(tagged(WORDS)))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2)
        if model.crf is not None:
            model.crf.transitions.normal_()
    return model.double().eval()


every_output = pytest.mark.parametrize("output", ["crf", "softmax"])


@every_output
@pytest.mark.parametrize("bidirectional", [True, False])
def test_a_sentence_is_tagged_as_if_it_were_alone(output: str, bidirectional: bool) -> None:
    model = make_model(output=output, bidirectional=bidirectional, layers=2)
    for words, found in zip(WORDS, model.tag(WORDS), strict=True):
        (alone,) = model.tag([words])
        assert found.tags == alone.tags
        assert len(found.tags) == len(found.probabilities) == len(words)
        assert found.probabilities == pytest.approx(alone.probabilities, rel=1e-12)
        assert all(0 < probability <= 1 for probability in found.probabilities)


def test_nothing_to_tag_is_no_error() -> None:
    model = make_model()
    assert model.tag([]) == []
    assert [found.tags for found in model.tag([[], []])] == [(), ()]
    assert model.answer([[]]) == [{"words": [], "tags": [], "probabilities": []}]


@every_output
def test_scores_do_not_depend_on_which_sentences_share_a_batch(output: str) -> None:
    model, sentences = make_model(output=output), tagged([words for words in WORDS if words])
    whole, parts = model.score(sentences), [model.score([sentence]) for sentence in sentences]
    for name in ("accuracy", "loss_nats"):
        total = sum(getattr(part, name) * part.tokens for part in parts)
        assert getattr(whole, name) * whole.tokens == pytest.approx(total)


@every_output
def test_the_loss_is_that_of_the_scores_and_is_by_word(output: str) -> None:
    model, sentences = make_model(output=output), tagged([words for words in WORDS if words])
    batch = model.reader.read([sentence.words for sentence in sentences])
    tags_TB = torch.zeros_like(batch.words_TB)
    for column, sentence in enumerate(sentences):
        tags_TB[: len(sentence.words), column] = torch.from_numpy(model.labels.encode(sentence.tags or ()))
    assert model.loss(batch, tags_TB).item() == pytest.approx(model.score(sentences).loss_nats)


@every_output
def test_probabilities_of_a_word_add_up_to_one(output: str) -> None:
    model = make_model(output=output)
    batch = model.reader.read(WORDS)
    total_TB = model.marginals(model(batch), batch.lengths_B).sum(-1)
    valid_TB = torch.arange(len(total_TB))[:, None] < batch.lengths_B
    torch.testing.assert_close(total_TB, valid_TB.to(total_TB), rtol=0, atol=1e-6)


@pytest.mark.parametrize("cell", [name for name in CELLS if name != "conv_lstm"])
def test_any_cell_reads_words_and_their_characters(cell: str) -> None:
    model = make_model(cell=cell, hidden=8, embedding=8, character_hidden=8).train()
    batch = model.reader.read(WORDS)
    model.loss(batch, torch.full_like(batch.words_TB, model.labels.index["O"])).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


@pytest.mark.parametrize("options", [{"connections": "residual"}, {"connections": "dense"}, {"weight_drop": 0.2}])
def test_options_of_layers_are_taken(options: dict[str, Any]) -> None:
    model = make_model(layers=2, dropout=0.3, layer_options=options).train()
    assert model(model.reader.read(WORDS)).isfinite().all()


def test_locked_dropout_draws_one_mask_for_all_words() -> None:
    model = make_model(dropout=0.5, layer_options={"locked_dropout": True}).train()
    x_TBD = model._drop(torch.ones(4, 3, 50, dtype=torch.float64))
    assert (x_TBD == x_TBD[0]).all()
    assert set(x_TBD.unique().tolist()) == {0, 2}


def test_characters_tell_words_apart_that_the_vocabulary_does_not() -> None:
    model = make_model()
    batch = model.reader.read([["mets", "stem"]])
    assert batch.words_TB.tolist() == [[UNKNOWN_ID], [UNKNOWN_ID]]
    emissions_TBV = model(model.reader.read([["mets"], ["stem"]]))
    assert (emissions_TBV[:, 0] - emissions_TBV[:, 1]).abs().max() > 1e-3


def test_words_are_forgotten_in_training_alone() -> None:
    model = make_model(word_dropout=0.5)
    batch = model.reader.read(WORDS)
    torch.testing.assert_close(model(batch), model(batch), rtol=0, atol=0)
    model.train()
    assert not torch.equal(model(batch), model(batch))


def test_answers_are_those_of_evaluation_and_leave_training_as_it_was() -> None:
    model = make_model(dropout=0.5, word_dropout=0.5)
    expected = model.tag(WORDS)
    assert model.train().tag(WORDS) == expected
    assert model.training


def test_a_field_never_breaks_the_scheme() -> None:
    found = {}
    for output in ("crf", "softmax"):
        model = make_model(output=output)
        with torch.no_grad():
            # Everything speaks for going on with an entity that nothing began.
            model.output.bias[model.labels.index["I-PER"]] = 20
        found[output] = model.tag([["Li", "x", "Bo", "no"] * 5])[0].tags
    assert check_scheme(found["softmax"], "IOB2") == "I-PER at word 1 begins the sentence"
    assert found["crf"] == ("B-PER", *["I-PER"] * 19)


def test_tags_that_leave_a_length_without_a_sequence_are_no_error() -> None:
    """A scheme without O: by its rules a sentence of one word has no tags."""
    (found,) = make_model(["B-A", "E-A"], scheme="BIOES").tag([["Ada"]])
    assert len(found.tags) == 1


def test_a_folder_gives_the_same_answers(tmp_path: Path) -> None:
    # A folder keeps float32.
    model = make_model(layers=2, cell_options={"layer_norm": True}).float().double()
    save_description(tmp_path, model, {})
    save_weights(tmp_path, model)
    again = load(tmp_path).double()
    for name in ("labels", "scheme", "config", "reader", "baseline"):
        assert getattr(again, name) == getattr(model, name)
    assert again.tag(WORDS) == model.tag(WORDS)
    sentences = tagged(WORDS[:2])
    assert again.score(sentences) == model.score(sentences)


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("config.json", '"B-LOC",', "", "belong to different models"),
        ("config.json", '"IOB2"', '"IOB9"', "belong to different models"),
        ("config.json", '"crf"', '"crff"', "output='crff' is not known"),
        ("vocabulary.json", '"nobody", ', "", "belong to different models"),
        ("vocabulary.json", '"nobody", ', '"nobody", "nobody", ', "more than once"),
        ("vocabulary.json", '"words"', '"wrods"', "damaged: 'words'"),
        ("vocabulary.json", "{", "", "damaged"),
    ],
)
def test_a_folder_that_is_damaged_is_an_error(tmp_path: Path, name: str, old: str, new: str, message: str) -> None:
    model = make_model()
    save_description(tmp_path, model, {})
    save_weights(tmp_path, model)
    text = (tmp_path / name).read_text(encoding="utf-8")
    assert old in text
    (tmp_path / name).write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ModelFolderError, match=message):
        load(tmp_path)


def test_an_output_that_there_is_not_is_an_error() -> None:
    with pytest.raises(OptionError, match="output='crff' is not known: did you mean 'crf'"):
        make_model(output="crff")


def test_scores_are_those_of_their_definitions() -> None:
    sentences = [Sentence(("a", "b", "c"), ("B-A", "I-A", "O"), ""), Sentence(("d", "e"), ("B-A", "O"), "")]
    found, usual = [("B-A", "O", "O"), ("B-A", "O")], [("O",) * 3, ("B-A", "B-A")]
    assert score_tags(sentences, found, 7.5, "IOB2", usual).to_dict() == pytest.approx(
        {
            "accuracy": 4 / 5,
            "entity_f1": 1 / 2,
            "entity_precision": 1 / 2,
            "entity_recall": 1 / 2,
            "loss_nats": 1.5,
            "tokens": 5,
            "sentences": 2,
            # c is O as it should be, d is B-A.
            "baseline_accuracy": 2 / 5,
            # Of two entities one is found, and two are said to be there.
            "baseline_entity_f1": 1 / 2,
        }
    )
    plain = score_tags(sentences, found, 7.5, "plain", usual).to_dict()
    assert not [name for name in plain if "entity" in name]
    with pytest.raises(DataError, match="nothing to score"):
        score_tags([], [], 0.0, "plain", [])


def test_the_usual_tag_of_a_word_is_its_most_frequent_one() -> None:
    tags = ("V", "V", "N", "D", "A", "N", "N")
    usual = UsualTags.fit([Sentence(("a", "a", "a", "b", "b", "c", "c"), tags, "")])
    # Of A and D, once each, the first is taken; of what wasn't there, the most frequent of all.
    assert usual.tag([["a", "b", "c"], [], ["A"]]) == [("V", "A", "N"), (), ("N",)]


def test_a_tag_that_the_model_does_not_know_is_named_with_its_place() -> None:
    odd = Sentence(("Ada", "Bo"), ("O", "B-ORG"), "b.conll, line 7")
    with pytest.raises(DataError, match=r"b\.conll, line 7: the label 'B-ORG' is not known: .*O"):
        make_model().score([*tagged(WORDS[:1]), odd])


def conll(sentences: list[Sentence]) -> str:
    return "".join(
        "".join(f"{word}\t{tag}\n" for word, tag in zip(s.words, s.tags or (), strict=True)) + "\n" for s in sentences
    )


SMALL: dict[str, Any] = {
    "task": "tag",
    "hidden": 8,
    "embedding": 8,
    "character_hidden": 4,
    "character_embedding": 4,
    "layers": 1,
    "dropout": 0.1,
    "averaging": 0.0,
    "batch_tokens": 60,
    "lr": 0.03,
    "steps": 60,
    "warmup": 5,
    "validations": 3,
    "device": "cpu",
    "quiet": True,
}
# Whether Bo is a person or a place is said by the word before; Li goes on with a person alone.
ENTRIES = [
    Sentence(tuple(words.split()), tuple(tags.split()), "")
    for person in ("Ada", "Bo", "Kim")
    for words, tags in (
        (f"met {person} Li .", "O B-PER I-PER O"),
        (f"in {person} .", "O B-LOC O"),
        (f"met {person} in Bo", "O B-PER O B-LOC"),
    )
] * 4


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "train.conll"
    path.write_text(conll(ENTRIES), encoding="utf-8")
    return path


def test_it_learns_from_columns_and_scores_what_was_held_out(tmp_path: Path, data: Path) -> None:
    result = elman.train(data, out=tmp_path / "run", test_fraction=0.2, **SMALL)
    assert result.test_scores is not None
    for scores in (result.scores, result.test_scores):
        assert scores["accuracy"] == scores["entity_f1"] == 1
        assert scores["baseline_accuracy"] < 1
        assert scores["baseline_entity_f1"] < 1
    assert result.test_scores["sentences"] == 7
    assert "Li/I-PER" in result.sample or "Bo/B-LOC" in result.sample

    model = elman.load(tmp_path / "run")
    (answer,) = model.answer([["met", "Bo", "Li", "in", "Ada"]])
    assert answer["tags"] == ["O", "B-PER", "I-PER", "O", "B-LOC"]
    assert model.evaluate(data).to_dict()["entity_f1"] == 1
    assert "entity F1 100.00%" in model.headline(result.scores)


def test_vocabularies_tags_and_scheme_come_from_the_training_part_alone(tmp_path: Path, data: Path) -> None:
    valid = tmp_path / "valid.conll"
    valid.write_text("unheard\tO\nof\tB-PER\n\nmet\tO\n", encoding="utf-8")
    kind = task_named("tag").kind
    from elman.models.options import TrainOptions

    options = TrainOptions(**task_named("tag").filled({"valid": (str(valid),), "hidden": 4}))
    read = kind.read([data], options)
    model = kind.fit(read, options)
    assert model.reader.words.encode(["unheard", "met"]).tolist() == [UNKNOWN_ID, model.reader.words.index["met"]]
    assert "u" not in model.reader.characters.index
    valid.write_text("met\tB-ORG\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"valid\.conll, line 1: the label 'B-ORG' is not known"):
        elman.train(data, out=tmp_path / "no", valid=str(valid), **SMALL)
    assert not (tmp_path / "no").exists()


def test_sentences_that_break_the_scheme_are_bad_rows_everywhere(tmp_path: Path, data: Path) -> None:
    broken = "x\tO\nLi\tI-PER\n\n"
    data.write_text(data.read_text(encoding="utf-8") + broken, encoding="utf-8")
    result = elman.train(data, out=tmp_path / "run", valid=str(data), **{**SMALL, "steps": 2})
    assert result.scores["sentences"] == len(ENTRIES)
    # To score it would be an infinite loss.
    scores = elman.load(tmp_path / "run").evaluate(data, bad=BadRows()).to_dict()
    assert scores["sentences"] == len(ENTRIES)
    assert scores["loss_nats"] == pytest.approx(result.scores["loss_nats"])
    for train in (
        lambda: elman.train(data, out=tmp_path / "no", strict=True, **SMALL),
        lambda: elman.load(tmp_path / "run").evaluate(data),
    ):
        with pytest.raises(DataError, match=r"its tags break the scheme IOB2: I-PER at word 2 follows O"):
            train()


def test_a_batch_is_a_function_of_the_step_and_every_sentence_comes_once_an_epoch(data: Path) -> None:
    from elman.models.options import TrainOptions

    facts = task_named("tag")
    options = TrainOptions(**facts.filled({"hidden": 4, "embedding": 4, "batch_tokens": 20}))
    read = facts.kind.read([data], options)
    first, second = (facts.kind.task(read, facts.kind.fit(read, options), options) for _ in range(2))
    epoch = [first.batch(step) for step in range(first.steps_per_epoch)]
    assert sum(len(words.lengths_B) for words, _ in epoch) == len(read.train)
    assert sum(map(first.size, epoch)) == sum(len(sentence.words) for sentence in read.train)
    for step in (len(epoch) - 1, 0):
        words, tags_TB = second.batch(step)
        assert tags_TB.equal(epoch[step][1])
        assert words.words_TB.equal(epoch[step][0].words_TB)
        assert words.characters_CU.equal(epoch[step][0].characters_CU)
    assert not first.carries_state(1)
    assert first.fingerprint == second.fingerprint


def test_one_tag_alone_or_no_data_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "train.conll"
    path.write_text("a\tX\nb\tX\n\n" * 20, encoding="utf-8")
    with pytest.raises(DataError, match="the same tag"):
        elman.train(path, out=tmp_path / "run", **SMALL)
    with pytest.raises(DataError, match="nothing to tag"):
        elman.train(**SMALL)


def test_rare_words_are_forgotten_in_training_as_often_as_their_equation_says() -> None:
    facts = task_named("tag")
    words = ["common"] * 9 + ["rare"]
    sentence = Sentence(tuple(words), tuple("A" if word == "rare" else "B" for word in words), "a.conll, line 1")
    options = TrainOptions(**facts.filled({"hidden": 4, "rare_dropout": 1.0, "dropout": 0.0}))
    parts = Parts([sentence], [sentence], None, [])
    network = facts.kind.fit(parts, options)
    task = facts.kind.task(parts, network, options)
    numbers = network.reader.numbers(["common", "rare"])
    assert task._forget.rates_V[numbers].tolist() == pytest.approx([0.1, 0.5])

    read: list[torch.Tensor] = []
    network.loss = lambda batch, _: read.append(batch.words_TB) or torch.zeros(())
    torch.manual_seed(0)
    for _ in range(400):
        task.loss(task.batch(0), None)
    unknown_T = (torch.stack(read) == UNKNOWN_ID).double().mean((0, 2))
    assert unknown_T[:9].mean() == pytest.approx(0.1, abs=0.03)
    assert unknown_T[9] == pytest.approx(0.5, abs=0.1)
