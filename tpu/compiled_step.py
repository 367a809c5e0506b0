"""The training step of a config, compiled for a TPU topology by libtpu."""

import dataclasses
import math
import re
import time

import jax
import keras
import numpy as np
import step_model
from hlo import collectives
from jax.experimental import topologies

from gpt3_keras import backend
from gpt3_keras.training import flops
from gpt3_keras.training import layout


@dataclasses.dataclass
class Report:
    """What the compiler says of one step.

    Args:
        rows: rows of a step, over all chips.
        micro_batches: parts that a chip's rows are cut into.
        error: the compiler's refusal in one line, or None.
        peak_bytes: of HBM, on one chip; None where it was refused.
        parameter_bytes, optimizer_bytes: of these, what is kept between
            steps.
        flops: of one chip's step, as the compiler counts them; loops once.
        collectives: dict from a kind to (number, bytes) in the program.
        compile_secs: how long the compiler took.
    """

    rows: int
    micro_batches: int
    error: str | None = None
    peak_bytes: int | None = None
    parameter_bytes: int | None = None
    optimizer_bytes: int | None = None
    flops: float | None = None
    collectives: dict = dataclasses.field(default_factory=dict)
    compile_secs: float = 0.0

    @property
    def activation_bytes(self):
        """What the step needs beside what is kept."""
        return self.peak_bytes - self.parameter_bytes - self.optimizer_bytes


class Step:
    """The training step of a config on a topology.

    Args:
        config: an `ExperimentConfig`.
        topology: str, such as `"v5e:2x4"`.

    Raises:
        ValueError: the config or the topology cannot be used.
    """

    def __init__(self, config, topology):
        self.config = step_model.for_tpu(config)
        self.topology = topology
        self.devices = devices_of(topology)
        self.rows = config.data.batch_size
        self.length = config.data.sequence_length
        self.model = step_model.build(self.config)
        self._spread()

    def _spread(self):
        """Says which of the devices have what of rows and weights."""
        shape = self.config.runtime.mesh
        if shape and math.prod(shape) != len(self.devices):
            raise ValueError(
                "runtime.mesh must have as many devices as the topology. "
                f"Received: runtime.mesh={shape}, {self.topology}."
            )
        names = [f"tpu:{i}" for i in range(len(self.devices))]
        self.distribution = layout.distribution(shape, names)
        mesh = self.distribution.device_mesh
        self.mesh = jax.sharding.Mesh(
            np.array(self.devices).reshape(mesh.shape), mesh.axis_names
        )
        # The step asks for it, to cut rows so that each chip keeps its own.
        keras.distribution.set_distribution(self.distribution)

    def _sharding(self, *axes):
        spec = jax.sharding.PartitionSpec(*axes)
        return jax.sharding.NamedSharding(self.mesh, spec)

    def _state(self):
        """Shapes of the trainer's state, and where each lies."""
        model = self.model
        by_name = {
            variable.path.replace("/", "_"): variable
            for variable in model.trainable_variables
        }

        def spec(variable, like):
            axes = self.distribution.get_variable_layout(like).axes
            value = variable.value
            sharding = self._sharding(*axes)
            return jax.ShapeDtypeStruct(
                value.shape, value.dtype, sharding=sharding
            )

        def weight_of(moment):
            """The weight that a variable of the optimizer belongs to."""
            name = moment.path.rpartition("/")[2]
            for key, weight in by_name.items():
                if name.startswith(f"{key}_") and weight.shape == moment.shape:
                    return weight
            return moment

        groups = step_model.variable_groups(model)
        return tuple(
            [spec(v, weight_of(v) if group is groups[2] else v) for v in group]
            for group in groups
        )

    def _batch(self):
        """Shapes of a batch, its rows over the devices."""

        def spec(dtype):
            return jax.ShapeDtypeStruct(
                (self.rows, self.length),
                dtype,
                sharding=self._sharding(layout.ROWS),
            )

        x = {"token_ids": spec("int32"), "padding_mask": spec("bool")}
        return x, spec("int32"), spec("float32")

    def compile(self, micro_batches):
        """The `Report` of the step with its rows in so many parts."""
        self.model.micro_batches = micro_batches
        report = Report(self.rows, micro_batches)
        state = self._state()
        step = jax.jit(
            lambda *arguments: backend.train_step(self.model, *arguments),
            donate_argnums=0,
            out_shardings=(
                None,
                tuple([spec.sharding for spec in group] for group in state),
            ),
        )
        start_secs = time.perf_counter()
        try:
            compiled = step.lower(state, self._batch()).compile()
        except jax.errors.JaxRuntimeError as error:
            report.error = refusal(error)
            return report
        finally:
            report.compile_secs = time.perf_counter() - start_secs
        report.peak_bytes = compiled.memory_analysis().peak_memory_in_bytes
        report.parameter_bytes = _bytes_of(state[0])
        report.optimizer_bytes = _bytes_of(state[2])
        report.flops = compiled.cost_analysis().get("flops")
        report.collectives = collectives(compiled.as_text())
        return report

    def num_parameters(self):
        """Numbers that the model learns."""
        return self.model.count_params()

    def model_flops(self):
        """FLOPs that a step of the model needs, however it is computed."""
        return flops.train_step_flops(
            self.model.backbone, self.rows, self.length
        )


def devices_of(topology):
    """The devices of a topology that is not there."""
    try:
        return topologies.get_topology_desc(
            platform="tpu", topology_name=topology
        ).devices
    except Exception as error:
        reason = str(error).strip().splitlines()[0]
        raise ValueError(
            "--topology must be one that libtpu knows, such as v5e:2x4. "
            f"Received: --topology={topology} ({reason})."
        ) from None


def _bytes_of(specs):
    """Bytes on one chip."""
    return sum(
        math.prod(s.sharding.shard_shape(s.shape)) * s.dtype.itemsize
        for s in specs
    )


def refusal(error):
    """A compiler's refusal in one line."""
    text = " ".join(str(error).split())
    found = re.search(
        r"RESOURCE_EXHAUSTED.*?Used ([\d.]+\w?) of ([\d.]+\w?) hbm", text
    )
    if found:
        return f"wants {found[1]} of {found[2]} HBM"
    return text[:300]
