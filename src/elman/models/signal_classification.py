"""A recurrent classifier of series, sound and video: the class of a whole sequence of frames.

    input layer      e_t = E(x_t), of features or of a picture                see `elman.models.frame_layers`
    recurrent layers h_t = [forward cell; backward cell](e_1 … e_T)          dropout between layers
    pooling          p = the maximum of h_1 … h_T over time, or another way    see `elman.layers.pooling`
    output layer     P(class | x_1 … x_T) = softmax(V p + c)                with dropout before it

With the cell `conv_lstm` (pictures only) steps are maps, not vectors, and so are h_t; each is averaged over its area.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from elman.axes import Float, Int, Tensor
from elman.data.bad_rows import BadRows
from elman.data.examples import Reading
from elman.data.frames import FrameScale
from elman.data.signals import Cache, read_all
from elman.data.text import Source
from elman.engines import Engine
from elman.errors import DataError, ModelFolderError, OptionError
from elman.layers import ConvLSTM, Dropout, Pooling, RecurrentLayers
from elman.models.class_scores import ClassScores
from elman.models.classifier import Classifier, both_ways_in_words
from elman.models.folder import CONFIG, build, entry, read_network_config
from elman.models.frame_layers import Frames
from elman.models.options import TrainOptions
from elman.models.stack import StackConfig

_MAPS_CELL = "conv_lstm"
# Bytes of what was read that stay in memory when nothing is learnt.
_ROOM = 1 << 28


@dataclass(frozen=True)
class SignalConfig(StackConfig):
    """A classifier's sizes and options: what `config.json` holds under "network".

    features   of a frame, or channels of a picture        height, width   of a picture; 0 where frames are rows of features
    For the others see `elman.models.frame_layers` and the options of `elman train`.
    """

    features: int
    classes: int
    height: int = 0
    width: int = 0
    frames: str = "flat"
    channels: int = 32
    stack: int = 1
    differences: bool = False
    bidirectional: bool = True
    pooling: str = "max"

    @classmethod
    def of(cls, options: TrainOptions, features: int, classes: int, height: int = 0, width: int = 0) -> "SignalConfig":
        """What the options of `elman train` say of a network for such data."""
        return cls(
            features=features,
            classes=classes,
            height=height,
            width=width,
            frames=options.frames,
            channels=options.channels,
            stack=options.stack,
            differences=options.differences,
            cell=options.cell,
            hidden=options.hidden,
            layers=options.layers,
            embedding=options.embedding,
            dropout=options.dropout,
            bidirectional=options.bidirectional,
            pooling=options.pooling,
            cell_options=options.cell_options,
            layer_options=options.layer_options,
        )

    @property
    def picture(self) -> tuple[int, int] | None:
        return (self.height, self.width) if self.height else None

    @property
    def recurrent_in_words(self) -> str:
        return both_ways_in_words(super().recurrent_in_words, self.cell, self.bidirectional)


class SignalClassifier(Classifier):
    """Frames (T, B, D), or pictures (T, B, C, height, width), and lengths (B) in, logits (B, V) out: V classes, `labels`.

    `scale` has mean and deviation of each feature, or channel, over the training part. Initialiser: recurrent layers as their
    cell says, all others as torch's.
    """

    task: ClassVar[str]
    steps_at_once = 1 << 13

    def __init__(
        self,
        config: SignalConfig,
        labels: Sequence[str],
        most_frequent: str,
        scale: FrameScale,
        front: Any = None,
        engine: Engine | str = Engine.AUTO,
    ) -> None:
        super().__init__()
        self.config = config
        self.labels = list(labels)
        self.most_frequent = most_frequent
        self.scale = scale
        self.front = front
        self.cache = Cache(_ROOM)
        self.maps = config.cell == _MAPS_CELL
        self.frames = Frames(
            scale.mean,
            scale.deviation,
            layer=config.frames,
            size=config.embedding,
            picture=config.picture,
            channels=config.channels,
            stack=config.stack,
            differences=config.differences,
            causal=not config.bidirectional,
            dropout=config.dropout,
            maps=self.maps,
        )
        self.recurrent = self._recurrent(engine)
        size = config.hidden * (1 + config.bidirectional) if self.maps else self.recurrent.output_size
        self.pooling = Pooling(config.pooling, size, 1 + config.bidirectional)
        self.dropout = Dropout(config.dropout)
        self.output = nn.Linear(size, config.classes)

    def _recurrent(self, engine: Engine | str) -> RecurrentLayers:
        config = self.config
        if not self.maps:
            return config.recurrent_layers(self.frames.output_size, engine, config.bidirectional)
        if config.picture is None or config.frames != "conv":
            raise OptionError("--cell conv_lstm reads maps of pictures: take it for video, with --frames conv.")
        channels, height, width = self.frames.step_shape
        return ConvLSTM(
            channels,
            config.hidden,
            (height, width),
            num_layers=config.layers,
            dropout=config.dropout if config.layers > 1 else 0.0,
            bidirectional=config.bidirectional,
            engine=engine,
            **config.cell_options,
            **config.layer_options,
        )

    def forward(self, x_TB: Tensor, lengths_B: Int[Tensor, "B"]) -> Float[Tensor, "B V"]:
        e, lengths_B = self.frames(x_TB, lengths_B)
        h, _ = self.recurrent(self.dropout(e), lengths=lengths_B)
        h_TBH = h.mean((-2, -1)) if self.maps else h
        return self.output(self.dropout(self.pooling(h_TBH, lengths_B)))

    def batch(self, sequences: Sequence[Any]) -> tuple[Tensor, Int[Tensor, "B"]]:
        """Signals, or the frames of some as arrays, side by side: (T, B, …), padded with zeros, and lengths (B)."""
        return self.padded(read_all(sequences, lambda signal: signal.frames()))

    def padded(self, arrays: Sequence[np.ndarray]) -> tuple[Tensor, Int[Tensor, "B"]]:
        """Arrays of frames side by side, padded with zeros, and their lengths."""
        lengths_B = torch.tensor([len(array) for array in arrays])
        shape = (max(1, int(lengths_B.max())), len(arrays), *arrays[0].shape[1:])
        x_TB = np.zeros(shape, arrays[0].dtype)
        for place, array in enumerate(arrays):
            x_TB[: len(array), place] = array
        return torch.from_numpy(x_TB).to(self.device), lengths_B.to(self.device)

    # What a kind of signal adds: how its data is read, and what of it the folder keeps.

    def read(
        self, sources: Sequence[Source], encoding: str, bad: BadRows, labelled: bool, **columns: Any
    ) -> Reading[Any]:
        """The examples of some sources, as they were in training."""
        raise NotImplementedError

    @classmethod
    def front_from_folder(cls, folder: Path, config: dict[str, Any]) -> Any:
        """What makes frames of files, from `config.json`; None where there is nothing to make."""
        raise NotImplementedError

    def front_for_folder(self) -> dict[str, Any]:
        """What `front_from_folder` reads."""
        raise NotImplementedError

    def input_in_words(self) -> dict[str, str]:
        """What is read, for `elman info`."""
        raise NotImplementedError

    def evaluate(
        self,
        data: Source | Sequence[Source],
        encoding: str = "utf-8",
        *,
        bad: BadRows | None = None,
        watch: Callable[[float], None] | None = None,
        **columns: Any,
    ) -> ClassScores:
        """Scores on labelled data. Raises `DataError` for what can't be read, and for a label that the model doesn't know.

        `columns` are those of a table, by their options, where they aren't guessed. Bad rows go into `bad`; without it the
        first is an error.
        """
        sources = [data] if isinstance(data, Source) else list(data)
        return self.score(self.read(sources, encoding, bad or BadRows(strict=True), True, **columns).items, watch)

    @classmethod
    def from_folder(
        cls, folder: Path, config: dict[str, Any], engine: Engine | str = Engine.AUTO
    ) -> "SignalClassifier":
        """The network that a folder describes, without its weights. Raises `ModelFolderError`."""
        network = read_network_config(folder, SignalConfig, config["network"])
        labels = entry(folder, config, "labels", list)
        usual = entry(folder, config, "most_frequent", str)
        if len(labels) != network.classes:
            raise ModelFolderError(
                f"{folder / CONFIG} has {network.classes} classes in 'network', but there are {len(labels)} labels: "
                "they belong to different models."
            )
        try:
            scale = FrameScale.from_dict(entry(folder, config, "frames", dict), network.features)
        except DataError as error:
            raise ModelFolderError(f"{folder / CONFIG} is damaged: {error}") from error
        front = cls.front_from_folder(folder, config)
        return build(folder, lambda: cls(network, labels, usual, scale, front, engine))

    def save_vocabularies(self, folder: Path) -> dict[str, Any]:  # noqa: ARG002
        """What `config.json` says of the classes, of what frames are made of, and of their scale."""
        return {
            "labels": self.labels,
            "most_frequent": self.most_frequent,
            **self.front_for_folder(),
            "frames": self.scale.to_dict(),
        }

    def description(self) -> dict[str, str]:
        """The parts of the network in words."""
        config = self.config
        layer = f"{config.frames}, {self.frames.output_size} a step"
        layer += f", {config.stack} frames a step" if config.stack > 1 else ""
        layer += ", with differences" if config.differences else ""
        return {
            "classes": self.classes_in_words,
            **self.input_in_words(),
            "input layer": layer,
            "recurrent": config.recurrent_in_words,
            "pooling": config.pooling,
            "dropout": f"{config.dropout:g}",
        }
