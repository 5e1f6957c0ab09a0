"""How a run trains: for how long, in which batches, at which rate, with what noise."""

from dataclasses import dataclass

from elman.models.option import option


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """Options of the group "Training": see `elman.models.options.TrainOptions`."""

    minutes: float | None = option(None, "Train for so many minutes (10 if no budget is given).", within="more than 0")
    epochs: float | None = option(None, "Train for so many passes over the data.", within="more than 0")
    steps: int | None = option(None, "Train for so many updates.", within="more than 0")
    max_epochs: float | None = option(
        None, "With a budget in minutes, at most so many passes: small data is learnt by then.", within="more than 0"
    )
    batch: int = option(32, "Streams, or windows of a series, that are read side by side.", within="at least 1")
    batch_tokens: int = option(1024, "Tokens of a batch of sequences, their padding among them.", within="at least 1")
    bptt: int = option(
        64, "Steps of a window: how far gradients go back. State is carried further.", within="at least 1"
    )
    lr: float = option(3e-3, "Highest learning rate; warm-up before it, cosine after it.", within="more than 0")
    warmup: int = option(100, "Updates of warm-up.", within="0 or more")
    clip: float = option(1.0, "Largest norm of the gradient; 0 for no clipping.", within="0 or more")
    weight_decay: float = option(0.1, "AdamW's weight decay, on matrices only.", within="0 or more")
    smoothing: float = option(
        0.0,
        "Label smoothing: the part of the target that goes to all classes alike.",
        within="at least 0 and less than 1",
    )
    word_dropout: float = option(
        0.0, "How often training reads a token as the unknown one.", within="at least 0 and less than 1"
    )
    rare_dropout: float = option(
        0.0,
        "How often training reads a word that it has n times as the unknown one: this / (this + n).",
        within="0 or more",
    )
    noise: float | None = option(
        None, "White noise in training sounds, so many decibels fainter than they are or less. None: none."
    )
    shift: float = option(
        0.0,
        "How far training moves at most: sounds, in seconds; series, by a part of their length; pictures, of their side.",
        within="0 or more",
    )
    gain: float = option(
        0.0, "Decibels that training sounds are made louder or fainter by at most.", within="0 or more"
    )
    amplitude: float = option(
        0.0,
        "How much larger or smaller training makes windows of series: by e to the power of n, normal with this deviation.",
        within="0 or more",
    )
    time_mask: float = option(0.0, "Seconds that training masks at most; two masks a sound.", within="0 or more")
    frequency_mask: float = option(
        0.0, "Part of the bands that training masks at most; two masks a sound.", within="a part, from 0 to 1"
    )
    zoom: float = option(
        0.0,
        "Part by which training scales the sides of pictures up or down, at most.",
        within="at least 0 and less than 1",
    )
    turn: float = option(0.0, "Degrees by which training turns pictures at most.", within="0 or more")
    stretch: float = option(
        0.0,
        "How much faster or slower training plays series and video, at most: 0.5 for half as much.",
        within="at least 0 and less than 1",
    )
    flip: bool = option(False, "Mirror half of the clips in training: only where left and right are no matter.")
    cache: int = option(1024, "Megabytes of decoded media that training keeps in memory.", within="at least 1")
    averaging: float = option(
        0.0,
        "Validate and keep a running mean of the weights, with this decay: 0.99 is over some 100 updates; 0 for none.",
        within="at least 0 and less than 1",
    )
    validations: int = option(12, "How often to validate over the whole budget.", within="at least 1")
    patience: int = option(4, "Stop after so many validations without a better one; 0 for never.", within="0 or more")
    probe_every: int = option(
        0,
        "Look through time every so many updates: how far back gradients reach, what is saturated; 0 for never.",
        within="0 or more",
    )
    seed: int = option(0, "Seed of initial weights and dropout.", within="a whole number from 0 to 2⁶³ - 1")
    device: str = option("auto", "Where to run.", choices=("auto", "cpu", "cuda", "mps"))
    engine: str = option("auto", "What runs the cells.", choices=("auto", "scan", "native", "torch", "reference"))
    precision: str = option("fp32", "Precision of products.", choices=("fp32", "bf16"))
