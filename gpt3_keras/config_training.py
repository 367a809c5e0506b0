"""The sections that say how a model learns, and on what machines."""

import dataclasses

from gpt3_keras.config_sections import LossWeights
from gpt3_keras.config_sections import Section

MODULES = ("embeddings", "encoder", "pointer", "generator")
PRECISIONS = ("auto", "float32", "mixed_bfloat16", "mixed_float16")
MONITORED = (
    "loss",
    "pointer_mrr",
    "intent_accuracy",
    "slot_accuracy",
    "joint_accuracy",
)
DATA_KINDS = ("text", "task")
STRATEGIES = (
    "off",
    "mirrored",
    "multi_worker_mirrored",
    "tpu",
    "model_parallel",
)


@dataclasses.dataclass
class PhaseConfig(Section):
    """One stretch of a run.

    Args:
        name: how progress and history call it.
        steps: updates.
        data: "text" for the plain text of `data`, "task" for `task`.
        context_weight: of a task's context in the loss, in this phase; null
            for that of `task`. At 1 a task's rows are a language model's.
        trainable: the modules that learn; the others stand still.
        loss_weights: this phase's own, or null for those of `losses`.
    """

    section = "training.phases"
    name: str = "all"
    steps: int = 1000
    data: str = "text"
    context_weight: float | None = None
    trainable: list[str] = dataclasses.field(
        default_factory=lambda: list(MODULES)
    )
    loss_weights: LossWeights | None = None

    def validate(self):
        self._require(bool(self.name), "name must not be empty", "name")
        self._require_at_least(1, "steps")
        self._require_choice(DATA_KINDS, "data")
        if self.context_weight is not None:
            self._require_at_least(0, "context_weight")
        self._require(
            bool(self.trainable) and set(self.trainable) <= set(MODULES),
            f"trainable must name some of {', '.join(MODULES)}",
            "name",
            "trainable",
        )


@dataclasses.dataclass
class ScheduleConfig(Section):
    """The learning rate; `schedules.CosineDecayWithNoise` has the equation.

    Args:
        start, end: of the cosine over all phases.
        warmup_steps: updates over which the rate rises linearly to `start`.
        epoch_decay: factor on the rate every `decay_epochs` epochs.
        decay_epochs: epochs from one such factor to the next.
        steps_per_epoch: updates in an epoch; null counts the training text.
        noise_probability: share of the updates whose rate is disturbed.
        noise_scale: standard deviation of the disturbance, as a share of
            the rate.
    """

    section = "training.learning_rate"
    start: float = 1e-4
    end: float = 5e-5
    warmup_steps: int = 0
    epoch_decay: float = 0.99
    decay_epochs: int = 10
    steps_per_epoch: int | None = None
    noise_probability: float = 0.0
    noise_scale: float = 0.0

    def validate(self):
        self._require_at_least(0, "end", "warmup_steps", "noise_scale")
        self._require_positive("start", "decay_epochs", "steps_per_epoch")
        self._require(
            self.end <= self.start, "end must be at most start", "end", "start"
        )
        self._require(
            0 < self.epoch_decay <= 1,
            "epoch_decay must be in (0, 1]",
            "epoch_decay",
        )
        self._require_shares("noise_probability")


@dataclasses.dataclass
class ClippingConfig(Section):
    """Bounds on the gradient of a whole step; null sets none.

    Args:
        value: on each number of each gradient, the article's choice.
        norm: on the norm of each variable's gradient.
        global_norm: on the norm of all gradients together.
    """

    section = "training.clipping"
    value: float | None = None
    norm: float | None = None
    global_norm: float | None = None

    def validate(self):
        keys = ("value", "norm", "global_norm")
        self._require_positive(*keys)
        given = [key for key in keys if self.get(key) is not None]
        self._require(
            len(given) < 2, "only one kind of clipping may be set", *given
        )


@dataclasses.dataclass
class EarlyStoppingConfig(Section):
    """What is best, and when a phase ends before its last step.

    Args:
        metric: of the validation; phases whose model has no such metric go by
            the loss. Of all but the loss, more is better.
        patience: validations without a better one that are waited for; null
            never stops.
        min_delta: by how much one must be better to count.
    """

    section = "training.early_stopping"
    metric: str = "loss"
    patience: int | None = None
    min_delta: float = 0.0

    def validate(self):
        self._require_choice(MONITORED, "metric")
        self._require_positive("patience")
        self._require_at_least(0, "min_delta")


@dataclasses.dataclass
class TrainingConfig(Section):
    """How the model learns.

    Args:
        seed: of the weights, the dropout, the noise and the order of rows.
        precision: "float32", "mixed_bfloat16", "mixed_float16", or "auto":
            what the devices compute fastest.
        micro_batches: parts that a batch is cut into, one after the other;
            memory is that of one part, the result that of the whole.
        trainable_layers: only the encoder's first N blocks learn; null: all.
        learning_rate: its schedule.
        weight_decay: AdamW's.
        clipping: bounds on the gradient.
        validation_steps: updates from one validation to the next; null: an
            epoch's.
        early_stopping: when the validations end a phase.
        checkpoint_steps: updates from one checkpoint to the next.
        keep_checkpoints: how many of them stay, the best not counted.
        phases: what is trained, in order.
    """

    section = "training"
    seed: int = 0
    precision: str = "auto"
    micro_batches: int = 1
    trainable_layers: int | None = None
    learning_rate: ScheduleConfig = dataclasses.field(
        default_factory=ScheduleConfig
    )
    weight_decay: float = 0.0
    clipping: ClippingConfig = dataclasses.field(default_factory=ClippingConfig)
    validation_steps: int | None = 500
    early_stopping: EarlyStoppingConfig = dataclasses.field(
        default_factory=EarlyStoppingConfig
    )
    checkpoint_steps: int = 500
    keep_checkpoints: int = 3
    phases: list[PhaseConfig] = dataclasses.field(
        default_factory=lambda: [PhaseConfig()]
    )

    @property
    def num_steps(self):
        return sum(phase.steps for phase in self.phases)

    def validate(self):
        self._require_seed()
        self._require_choice(PRECISIONS, "precision")
        self._require_at_least(0, "weight_decay")
        self._require_at_least(
            1, "micro_batches", "checkpoint_steps", "keep_checkpoints"
        )
        self._require_positive("validation_steps", "trainable_layers")
        names = [phase.name for phase in self.phases]
        if not names or len(set(names)) < len(names):
            raise ValueError(
                "training.phases must be a list of phases, each with a name "
                f"of its own. Received: names={names}."
            )
        warmup_steps = self.learning_rate.warmup_steps
        if warmup_steps >= self.num_steps:
            raise ValueError(
                "warmup_steps must be less than the steps of all phases. "
                f"Received: training.learning_rate.warmup_steps={warmup_steps},"
                f" steps={self.num_steps}."
            )


@dataclasses.dataclass
class RuntimeConfig(Section):
    """On what a run runs. Nothing here changes what comes out of it.

    Args:
        strategy: "off" for one device, "mirrored" for all devices of one
            machine, "multi_worker_mirrored" for several machines, "tpu"; and
            "model_parallel", on JAX, for weights that are split, too.
        num_devices: of this machine; null takes every GPU there is. Without
            a GPU the processor is divided into so many devices.
        mesh: of model_parallel: into how many parts rows and weights are
            split; the product is the number of devices.
        worker_hosts: "host:port" of every worker, the first being the chief;
            empty where the variable TF_CONFIG describes the cluster.
        task_index: this machine's place among `worker_hosts`.
        startup_timeout_secs: how long the workers wait for each other.
        tpu: name or address of the TPU, "local" for this machine's.
        rematerialize: whether the backward pass computes what the forward
            pass of each module had computed again, instead of keeping it.
        steps_per_execution: updates in one call of the compiled function.
        jit_compile: whether the step is compiled with XLA.
        deterministic: whether operations that are faster when they may
            round differently each time are kept from it (GPUs).
    """

    section = "runtime"
    strategy: str = "off"
    num_devices: int | None = None
    mesh: list[int] = dataclasses.field(default_factory=list)
    worker_hosts: list[str] = dataclasses.field(default_factory=list)
    task_index: int = 0
    startup_timeout_secs: int = 600
    tpu: str = "local"
    rematerialize: bool = False
    steps_per_execution: int = 1
    jit_compile: bool = False
    deterministic: bool = False

    def validate(self):
        self._require_choice(STRATEGIES, "strategy")
        self._require_positive("num_devices")
        self._require_at_least(1, "steps_per_execution", "startup_timeout_secs")
        self._require(
            0 <= self.task_index < max(len(self.worker_hosts), 1),
            "task_index must be the place of one of worker_hosts",
            "task_index",
            "worker_hosts",
        )
        self._require(
            not self.worker_hosts or self.strategy == "multi_worker_mirrored",
            "worker_hosts needs the strategy multi_worker_mirrored",
            "worker_hosts",
            "strategy",
        )
        is_split = self.strategy == "model_parallel"
        self._require(
            (len(self.mesh) == 2 and min(self.mesh) > 0)
            if is_split
            else not self.mesh,
            "mesh must be two positive numbers with the strategy "
            "model_parallel, and empty without",
            "mesh",
            "strategy",
        )
        self._require(
            self.strategy != "off" or self.num_devices in (None, 1),
            "more than one device needs a strategy",
            "num_devices",
            "strategy",
        )
