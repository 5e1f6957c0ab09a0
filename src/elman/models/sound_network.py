"""What networks over sound have in common: frames in, a vector of logits a step out, whole or as sound arrives.

    sound → log-mel frames, standardised → `stack` of them joined and projected → recurrent layers → logits

A network that reads forwards only is *causal*: it answers while sound arrives, in constant memory, and what it answers is what
it would of the whole.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from elman.axes import Float, Int, Tensor
from elman.data.augment_sound import SoundAugmentation
from elman.data.bad_rows import BadRows
from elman.data.buckets import in_order
from elman.data.examples import Clip
from elman.data.frames import FrameScale, pad_frames
from elman.data.log_mel import LogMel
from elman.data.sound import check_libraries, read_sound, sound_rate
from elman.engines import Engine
from elman.errors import DataError, ModelFolderError
from elman.layers import Dropout, FrameInput
from elman.models.folder import CONFIG
from elman.models.options import TrainOptions
from elman.models.parts import most_frequent
from elman.models.stack import StackConfig

# Frames of a batch when nothing is learnt.
_FRAMES = 1 << 14
_HIGHEST_RATE = 16000
# So many files are asked for their rate.
_ASKED = 200


@dataclass(frozen=True)
class SoundConfig(StackConfig):
    """Sizes and options of a network over sound: `classes` logits a step; for the rest see `LogMel` and `FrameInput`."""

    classes: int
    rate: int = 16000
    mels: int = 40
    window: float = 25.0
    hop: float = 10.0
    stack: int = 1
    bidirectional: bool = False

    @property
    def log_mel(self) -> LogMel:
        """How sound becomes frames."""
        return LogMel(self.rate, self.mels, self.window, self.hop)

    @property
    def step_seconds(self) -> float:
        """Seconds from a step to the next."""
        return self.stack * self.log_mel.hop_seconds

    @property
    def recurrent_in_words(self) -> str:
        both = "bidirectional " if self.bidirectional else ""
        return super().recurrent_in_words.replace(f" x {self.cell}", f" x {both}{self.cell}", 1)


def sound_sizes(options: TrainOptions, paths: Iterable[str]) -> dict[str, Any]:
    """The fields of a `SoundConfig` but for `classes`, as options say; the rate, if they don't, as most of the files have."""
    rate = options.rate
    if rate is None:
        asked = list(dict.fromkeys(paths))[:_ASKED]
        rate = min(int(most_frequent(str(sound_rate(path)) for path in asked)), _HIGHEST_RATE)
    return {
        "rate": rate,
        **{name: getattr(options, name) for name in ("mels", "window", "hop", "stack", "bidirectional")},
        **{name: getattr(options, name) for name in ("cell", "hidden", "layers", "embedding", "dropout")},
        "cell_options": options.cell_options,
        "layer_options": options.layer_options,
    }


class SoundNetwork(nn.Module):
    """Standardised frames (T, B, D) and lengths (B) in, logits (S, B, V) and their lengths out; S steps of `stack` frames.

    Initialiser: recurrent layers as their cell says, the others as `torch.nn.Linear`.
    """

    def __init__(self, config: Any, scale: FrameScale, engine: Engine | str = Engine.AUTO) -> None:
        super().__init__()
        check_libraries()
        self.config = config
        self.scale = scale
        self.log_mel = config.log_mel
        self.input = FrameInput(config.mels, config.stack, config.embedding)
        self.dropout = Dropout(config.dropout)
        self.recurrent = config.recurrent_layers(config.embedding, engine, config.bidirectional)
        self.output = nn.Linear(self.recurrent.output_size, config.classes)

    def forward(
        self, x_TBD: Float[Tensor, "T B D"], lengths_B: Int[Tensor, "B"]
    ) -> tuple[Float[Tensor, "S B V"], Int[Tensor, "B"]]:
        e_SBE, lengths_B = self.input(x_TBD, lengths_B)
        h_SBH, _ = self.recurrent(self.dropout(e_SBE), lengths=lengths_B)
        return self.output(self.dropout(h_SBH)), lengths_B

    @property
    def causal(self) -> bool:
        """Whether an output depends on nothing that comes after it, so that sound can be answered as it arrives."""
        return not (self.recurrent.bidirectional or self.recurrent.reverse)

    @property
    def parameter_count(self) -> int:
        """Numbers that training adjusts."""
        return sum(parameter.numel() for parameter in self.parameters())

    @property
    def device(self) -> torch.device:
        return self.output.weight.device

    def batch(self, sequences: Sequence[np.ndarray]) -> tuple[Float[Tensor, "T B D"], Int[Tensor, "B"]]:
        """Standardised frames (T, D) side by side, and their lengths."""
        x_TBD, lengths_B = pad_frames(sequences, self.config.stack)
        return torch.from_numpy(x_TBD).to(self.device), torch.from_numpy(lengths_B).to(self.device)

    @torch.no_grad()
    def each(
        self, frames: Sequence[np.ndarray] | Any, lengths: Sequence[int]
    ) -> Iterator[tuple[np.ndarray, Float[Tensor, "S B V"], Int[Tensor, "B"]]]:
        """Places, logits and their lengths, batch by batch of like length. `frames[place]` are standardised here."""
        was_training = self.training
        self.eval()
        try:
            for places in in_order(lengths, _FRAMES):
                yield places, *self(*self.batch([self.scale(frames[place]) for place in places]))
        finally:
            self.train(was_training)

    @torch.no_grad()
    def logits(self, samples_N: np.ndarray) -> Float[Tensor, "S V"]:
        """The logits of a whole sound at the network's rate."""
        frames_TD = self.log_mel.frames(samples_N)
        return next(self.each([frames_TD], [len(frames_TD)]))[1][:, 0]

    def stream(self, rate: int) -> "SoundStream":
        """What makes logits of sound as it arrives, `rate` samples a second. Raises `DataError` if the network isn't causal."""
        if not self.causal:
            raise DataError(
                "this model reads from both ends, so it must have all of a sound: it can't answer as it arrives."
            )
        return SoundStream(self, rate)

    def sound_description(self) -> dict[str, str]:
        """The parts of the network in words."""
        config = self.config
        joined = f", {config.stack} joined" if config.stack > 1 else ""
        return {
            "sound": f"{config.rate:,} samples a second, {config.mels} bands every {config.hop:g} ms{joined}",
            "input layer": f"projection to {config.embedding}",
            "recurrent": config.recurrent_in_words,
            "reads": "as sound arrives" if self.causal else "from both ends",
            "dropout": f"{config.dropout:g}",
        }


class SoundStream:
    """Samples in, logits out, as soon as they can be told; the state is carried from one call to the next."""

    def __init__(self, network: SoundNetwork, rate: int) -> None:
        self._network = network
        self._frames = network.log_mel.stream(rate)
        self._rest_TD = np.zeros((0, network.log_mel.mels), np.float32)
        self._state: Any = None

    def accept(self, samples_N: np.ndarray) -> Float[Tensor, "S V"]:
        """The logits of the steps that are complete with these samples."""
        return self._step(self._frames.accept(samples_N), last=False)

    def finish(self) -> Float[Tensor, "S V"]:
        """Those of the rest, frames that don't make a step of their own among them."""
        return self._step(self._frames.finish(), last=True)

    @torch.no_grad()
    def _step(self, frames_TD: np.ndarray, last: bool) -> Float[Tensor, "S V"]:
        network = self._network
        x_TD = np.concatenate([self._rest_TD, network.scale(frames_TD)])
        ready = len(x_TD) if last else len(x_TD) - len(x_TD) % network.config.stack
        x_TD, self._rest_TD = x_TD[:ready], x_TD[ready:]
        if not ready:
            return torch.zeros(0, network.config.classes)
        network.eval()
        e_SBE, _ = network.input(*network.batch([x_TD]))
        h_SBH, self._state = network.recurrent(e_SBE, self._state)
        return network.output(h_SBH)[:, 0].cpu()


def scale_of(folder: Path, config: dict[str, Any], mels: int) -> FrameScale:
    """The scale that `config.json` holds. Raises `ModelFolderError`."""
    try:
        return FrameScale.from_dict(config.get("frames") or {}, mels)
    except DataError as error:
        raise ModelFolderError(f"{folder / CONFIG} is damaged: {error}") from error


def read_sounds(clips: Sequence[Clip], rate: int, bad: BadRows) -> Iterator[tuple[str, tuple[Clip, np.ndarray]]]:
    """(where, (clip, samples)) of each clip, read one by one; one that can't be read is a bad row."""
    for clip in clips:
        try:
            samples_N = read_sound(clip.path, rate, clip.start, clip.end)
        except DataError as error:
            bad.skip(clip.where, str(error).rstrip(".").removeprefix(f"{clip.where} "))
            continue
        yield clip.where, (clip, samples_N)


def augmentation_of(options: TrainOptions) -> SoundAugmentation:
    """How options want sounds to be changed."""
    return SoundAugmentation(options.noise, options.shift, options.gain, options.time_mask, options.frequency_mask)
