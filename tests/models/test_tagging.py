"""The tagger: what it says of a sentence depends on that sentence alone, keeps to the scheme, and survives its folder."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from elman.cells import CELLS
from elman.data.examples import Sentence
from elman.data.tag_schemes import Scheme, check_scheme
from elman.data.vocabulary import UNKNOWN_ID
from elman.data.words import WordReader
from elman.errors import DataError, ModelFolderError
from elman.models.folder import load, save_description, save_weights
from elman.models.tagger import TaggingConfig
from elman.models.tagging import TaggingModel
from elman.models.tagging_scores import score_tags, usual_tags

SENTENCES = [["Ada", "met", "Bo", "Li", "."], ["no"], [], ["Ada", "Ada", "saw", "nobody", "there", "."]]
ENTITIES = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]


def make_model(labels: list[str] | None = None, scheme: Scheme = "IOB2", **sizes: Any) -> TaggingModel:
    """Random weights, large, float64, in evaluation mode."""
    torch.manual_seed(0)
    labels = labels or ENTITIES
    reader = WordReader.fit([sentence * 2 for sentence in SENTENCES])
    sizes = {"hidden": 6, "embedding": 5, "character_hidden": 4, "character_embedding": 3, **sizes}
    config = TaggingConfig(len(reader.words), len(reader.characters), len(labels), **sizes)
    model = TaggingModel(config, reader, labels, scheme, np.arange(len(reader.words)) % len(labels)).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2)
        if model.crf is not None:
            model.crf.transitions.normal_()
    return model


def gold(sentence: list[str]) -> tuple[str, ...]:
    return tuple("B-PER" if word in ("Ada", "Bo") else "I-PER" if word == "Li" else "O" for word in sentence)


def tagged(sentences: list[list[str]]) -> list[Sentence]:
    return [Sentence(tuple(words), gold(words), f"a.conllu, line {n}") for n, words in enumerate(sentences, 1)]


@pytest.mark.parametrize("crf", [True, False], ids=["crf", "softmax"])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_a_sentence_is_tagged_as_if_it_were_alone(crf: bool, bidirectional: bool) -> None:
    model = make_model(crf=crf, bidirectional=bidirectional, layers=2)
    together = list(model.predict(SENTENCES))
    for sentence, found in zip(SENTENCES, together, strict=True):
        (alone,) = model.predict_batch([sentence])
        assert found.words == sentence
        assert found.tags == alone.tags
        assert len(found.tags) == len(found.probabilities) == len(sentence)
        assert found.probabilities == pytest.approx(alone.probabilities, rel=1e-12)
        assert all(0 < probability <= 1 for probability in found.probabilities)


@pytest.mark.parametrize("crf", [True, False], ids=["crf", "softmax"])
def test_scores_do_not_depend_on_which_sentences_share_a_batch(crf: bool) -> None:
    model = make_model(crf=crf)
    sentences = tagged([sentence for sentence in SENTENCES if sentence])
    whole = model.score(sentences)
    parts = [model.score([sentence]) for sentence in sentences]
    assert whole.words.confusion.tolist() == sum(part.words.confusion for part in parts).tolist()
    assert whole.words.loss_nats * 12 == pytest.approx(sum(p.words.loss_nats * p.words.examples for p in parts))


def test_without_a_field_the_loss_is_cross_entropy() -> None:
    model = make_model(crf=False)
    batch = model.reader.read(SENTENCES)
    tags_TB = torch.randint(len(ENTITIES), batch.words_TB.shape)
    valid_TB = torch.arange(len(tags_TB))[:, None] < batch.lengths_B
    expected = torch.nn.functional.cross_entropy(model(batch)[valid_TB], tags_TB[valid_TB])
    torch.testing.assert_close(model.loss(batch, tags_TB), expected, check_dtype=False)


@pytest.mark.parametrize("cell", [name for name in CELLS if name != "conv_lstm"])
def test_any_cell_reads_words_and_their_characters(cell: str) -> None:
    model = make_model(cell=cell, hidden=8, embedding=8, character_hidden=8).train()
    batch = model.reader.read(SENTENCES)
    model.loss(batch, torch.zeros_like(batch.words_TB)).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


@pytest.mark.parametrize("options", [{"connections": "residual"}, {"connections": "dense"}, {"locked_dropout": True}])
def test_options_of_layers_act(options: dict[str, Any]) -> None:
    model = make_model(layers=2, dropout=0.3, layer_options=options).train()
    batch = model.reader.read(SENTENCES)
    assert model.loss(batch, torch.zeros_like(batch.words_TB)).isfinite()


def test_characters_tell_words_apart_that_the_vocabulary_does_not() -> None:
    model = make_model()
    batch = model.reader.read([["mets", "stem"]])
    assert batch.words_TB.tolist() == [[UNKNOWN_ID], [UNKNOWN_ID]]
    spelt_UH = model._spell(batch.characters_CU, batch.character_lengths_U)
    assert (spelt_UH[0] - spelt_UH[1]).abs().max() > 1e-3


def test_words_are_forgotten_in_training_alone() -> None:
    model = make_model(word_dropout=0.5)
    batch = model.reader.read(SENTENCES)
    torch.testing.assert_close(model(batch), model(batch), rtol=0, atol=0)
    model.train()
    assert not torch.equal(model(batch), model(batch))


def test_a_field_never_breaks_the_scheme() -> None:
    model = make_model()
    for words in (["Li", "x"] * 20, ["."] * 30):
        (found,) = model.predict_batch([words])
        assert check_scheme(found.tags, "IOB2") is None
    free = make_model(crf=False).predict_batch([["Li", "x", "Bo", "no"] * 20])[0].tags
    assert check_scheme(free, "IOB2") is not None


def test_without_a_tag_outside_nothing_is_forbidden() -> None:
    model = make_model(["B-A", "E-A"], scheme="BIOES")
    assert len(model.predict_batch([["Ada"]])[0].tags) == 1


def test_text_is_taken_apart_by_what_the_vocabulary_knows() -> None:
    model = make_model()
    assert model.split(" Ada met Bo. ") == ["Ada", "met", "Bo", "."]
    # It knows no brackets.
    assert model.split("(Ada) met... x!") == ["(Ada)", "met", ".", ".", ".", "x!"]
    assert model.split("... .") == ["...", "."]
    assert model.split("") == []
    (answer,) = model.answer(["Ada saw nobody."])
    assert answer["words"] == ["Ada", "saw", "nobody", "."]
    assert list(answer) == ["text", "words", "tags", "probabilities"]


def test_a_folder_gives_the_same_answers(tmp_path: Path) -> None:
    # A folder keeps float32.
    model = make_model(layers=2, cell_options={"layer_norm": True}).float().double()
    save_description(tmp_path, model, {})
    save_weights(tmp_path, model)
    again = load(tmp_path).double()
    assert (again.labels, again.scheme, again.config, again.reader) == (
        model.labels,
        model.scheme,
        model.config,
        model.reader,
    )
    assert list(again.predict(SENTENCES)) == list(model.predict(SENTENCES))
    sentences = tagged(SENTENCES[:2])
    assert again.score(sentences).to_dict() == model.score(sentences).to_dict()
    assert again.description()["output layer"] == "conditional random field"


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("config.json", '"B-LOC",', "", "belong to different models"),
        ("config.json", '"IOB2"', '"IOB9"', "no scheme 'IOB9'"),
        ("config.json", '"nfc"', '"nfx"', "normalisation='nfx'"),
        ("vocabularies.json", '"ada", ', "", "belong to different models"),
        ("vocabularies.json", '"ada", ', '"ada", "ada", ', "more than once"),
        ("vocabularies.json", '"words"', '"wrods"', "damaged: 'words'"),
        ("vocabularies.json", '"usual_tags": [0', '"usual_tags": [9', "belong to different models"),
        ("vocabularies.json", "{", "", "damaged"),
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


def test_scores_are_those_of_their_definitions() -> None:
    rows = [np.array([1, 2, 0]), np.array([1, 0])]
    guesses = [np.array([1, 0, 0]), np.array([1, 0])]
    scores = score_tags(rows, guesses, [np.zeros(3, int), np.ones(2, int)], 1.5, ENTITIES, "IOB2")
    assert scores.to_dict() == pytest.approx(
        {
            "accuracy": 4 / 5,
            "entity_f1": 0.5,
            "entity_precision": 0.5,
            "entity_recall": 0.5,
            "loss_nats": 1.5,
            "tokens": 5,
            "examples": 2,
            "baseline_accuracy": 2 / 5,
            # In B B the first is an entity of one word, as it should be; the second is none.
            "baseline_entity_f1": 2 * 1 / (2 + 2),
        }
    )
    assert scores.words.confusion[2].tolist() == [1, 0, 0, 0, 0]
    plain = score_tags(rows, guesses, rows, 1.5, ENTITIES, "plain").to_dict()
    assert not [name for name in plain if "entity" in name]
    assert plain["baseline_accuracy"] == 1
    with pytest.raises(DataError, match="nothing to score"):
        score_tags([], [], [], 0.0, ENTITIES, "plain")


def test_the_usual_tag_of_a_word_is_its_most_frequent_one() -> None:
    words, tags = [2, 2, 2, 3, 3, 1, 1], [4, 4, 0, 2, 1, 4, 3]
    usual = usual_tags(np.array(words), np.array(tags), size=5, unknown=1)
    # 0 and 4 aren't there, and 1 is unknown: 4 is the most frequent of all. Of 1 and 2, once each, the first is taken.
    assert usual.tolist() == [4, 4, 4, 1, 4]


def test_a_tag_that_the_model_does_not_know_is_named_with_its_place() -> None:
    odd = Sentence(("Ada", "Bo"), ("O", "B-ORG"), "b.conll, line 7")
    with pytest.raises(DataError, match=r"b\.conll, line 7: the tag 'B-ORG' of the word 'Bo' is not among .*O, B-PER"):
        make_model().score([*tagged(SENTENCES[:1]), odd])


def test_vocabularies_are_plain_json(tmp_path: Path) -> None:
    model = make_model()
    save_description(tmp_path, model, {})
    found = json.loads((tmp_path / "vocabularies.json").read_text(encoding="utf-8"))
    assert found["words"] == model.reader.words.to_list()
    assert len(found["usual_tags"]) == model.config.words
