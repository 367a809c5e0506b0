"""Compiles the training step of a config for TPUs, without any TPU.

The step is the one that `gpt3-keras train` runs on JAX, traced with the
shapes and shardings of the config and compiled by libtpu for a topology that
need not be there. What is printed of memory, FLOPs and collectives is the
compiler's; nothing has run. Rates are estimates, and say so.

    python tpu/compile_check.py --config configs/tpu_v5e_8.yaml

Environment: `make tpu-environment`. Exit code 0 if the step fits, 1 if it
does not, 2 for bad input.
"""

import argparse
import dataclasses
import json
import math
import os
import re
import sys
import time

# Before JAX is imported: libtpu shall not look for devices.
_ENVIRONMENT = {
    "KERAS_BACKEND": "jax",
    "JAX_PLATFORMS": "cpu",
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-4",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
    "TPU_LOG_DIR": "disabled",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}
# Peak dense bfloat16 FLOPs a second of a chip: the "System architecture" pages
# of Google Cloud's TPU documentation, read 2026-11.
_PEAK_FLOPS = {"v5e": 197e12, "v5p": 459e12, "v6e": 918e12, "tpu7x": 2307e12}
_UTILISATIONS = (0.2, 0.4)
_COLLECTIVES = (
    "all-reduce",
    "all-gather",
    "reduce-scatter",
    "collective-permute",
    "all-to-all",
)
_BYTES = {"f32": 4, "bf16": 2, "f16": 2, "s32": 4, "u32": 4, "pred": 1}


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


def main(argv=None):
    """Runs the check; returns the exit code."""
    arguments = _parser().parse_args(argv)
    os.environ.update(_ENVIRONMENT)
    try:
        step = Step(arguments.config, arguments.topology, arguments.set)
    except (ValueError, OSError) as error:
        line = str(error).strip().splitlines()[0]
        print(f"compile_check: error: {line}", file=sys.stderr)
        return 2
    reports = _reports(step, arguments.search)
    print(_text(step, reports))
    if arguments.json:
        with open(arguments.json, "w", encoding="utf-8") as file:
            json.dump(
                {
                    "config": arguments.config,
                    "topology": step.topology,
                    "reports": [dataclasses.asdict(r) for r in reports],
                },
                file,
                indent=2,
            )
    return 0 if reports[0].error is None else 1


def _parser():
    parser = argparse.ArgumentParser(
        description="Compiles a config's training step for TPUs that are not "
        "here, and says whether it fits.",
        epilog="example: python tpu/compile_check.py --config "
        "configs/tpu_v5e_8.yaml --topology v5e:2x4 --search",
    )
    parser.add_argument("--config", required=True, help="YAML of a run")
    parser.add_argument(
        "--topology",
        help="such as v5e:2x4; by default what the config's opening names",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="section.key=value",
        help="changes a value of the config",
    )
    parser.add_argument(
        "--search",
        action="store_true",
        help="also look for the largest micro-batch that fits",
    )
    parser.add_argument("--json", metavar="FILE", help="writes the figures")
    return parser


class Step:
    """The training step of a config on a topology.

    Args:
        config: path of the config.
        topology: str, such as `"v5e:2x4"`, or None for the config's own.
        changes: list of `section.key=value`.

    Raises:
        ValueError: the config or the topology cannot be used.
    """

    def __init__(self, config, topology, changes):
        from jax.experimental import topologies

        from gpt3_keras.config import load_config

        self.config = load_config(config, changes)
        self.topology = topology or _own_topology(config)
        try:
            devices = topologies.get_topology_desc(
                platform="tpu", topology_name=self.topology
            ).devices
        except Exception as error:
            reason = str(error).strip().splitlines()[0]
            raise ValueError(
                "--topology must be one that libtpu knows, such as v5e:2x4. "
                f"Received: --topology={self.topology} ({reason})."
            ) from None
        self.devices = devices
        self.chip = self.topology.partition(":")[0]
        self.rows = self.config.data.batch_size
        self._build()

    def _build(self):
        """Makes the model and its optimizer, as training does."""
        import keras

        from gpt3_keras.models.tokenizer import GPT3Tokenizer
        from gpt3_keras.training import datasets
        from gpt3_keras.training import experiment
        from gpt3_keras.training import phases
        from gpt3_keras.training.state import RunState

        precision = self.config.training.precision
        if precision == "auto":
            precision = "mixed_bfloat16"
        self.config = self.config.replace(training={"precision": precision})
        keras.utils.set_random_seed(0)
        model = experiment.build_model(self.config, GPT3Tokenizer())
        self.model = experiment.on_token_ids(model)
        data = datasets.PhaseData(
            None, None, self.rows, self.config.data.sequence_length, 1000
        )
        # The last phase, in which everything learns.
        last = len(self.config.training.phases) - 1
        phases.prepare(self.model, self.config, RunState(phase=last), data)
        self.mesh, self.layout = self._mesh()

    def _mesh(self):
        """The mesh of devices, and a function from a variable to its axes."""
        import jax
        import keras
        import numpy as np

        from gpt3_keras.training import layout

        shape = tuple(self.config.runtime.mesh) or (len(self.devices), 1)
        if math.prod(shape) != len(self.devices):
            raise ValueError(
                "runtime.mesh must have as many devices as the topology. "
                f"Received: runtime.mesh={list(shape)}, {self.topology}."
            )
        names = [f"tpu:{i}" for i in range(len(self.devices))]
        if shape[1] == 1:
            distribution = layout.Replicas(names)
            axes = layout.ROWS
            mesh = jax.sharding.Mesh(np.array(self.devices), (axes,))
        else:
            distribution = layout.Shards(shape, names)
            mesh = jax.sharding.Mesh(
                np.array(self.devices).reshape(shape),
                (layout.ROWS, layout.WEIGHTS),
            )
        # The step asks for it, to cut rows so that each chip keeps its own.
        keras.distribution.set_distribution(distribution)
        return mesh, distribution

    def _sharding(self, variable, like=None):
        import jax

        path = (variable if like is None else like).path
        shape = tuple(variable.shape)
        axes = (None,) * len(shape)
        if hasattr(self.layout, "axes"):
            axes = self.layout.axes(path, shape)
        return jax.sharding.NamedSharding(
            self.mesh, jax.sharding.PartitionSpec(*axes)
        )

    def _state(self):
        """Shapes of the trainer's state, and where each lies."""
        import jax

        model = self.model

        def spec(variable, like=None):
            value = variable.value
            return jax.ShapeDtypeStruct(
                value.shape,
                value.dtype,
                sharding=self._sharding(variable, like),
            )

        named = {v.path.replace("/", "_"): v for v in model.trainable_variables}

        def of_optimizer(variable):
            name = variable.path.rpartition("/")[2]
            like = next(
                (named[key] for key in named if name.startswith(f"{key}_")),
                None,
            )
            if like is None or tuple(like.shape) != tuple(variable.shape):
                return spec(variable)
            return spec(variable, like)

        return (
            [spec(v) for v in model.trainable_variables],
            [spec(v) for v in model.non_trainable_variables],
            [of_optimizer(v) for v in model.optimizer.variables],
            [spec(v) for v in model.metrics_variables],
        )

    def compile(self, rows, micro_batches):
        """The `Report` of a step of so many rows, in so many parts."""
        import jax

        from gpt3_keras import backend
        from gpt3_keras.training import layout

        self.model.micro_batches = micro_batches
        report = Report(rows, micro_batches)
        sharding = jax.sharding.NamedSharding(
            self.mesh, jax.sharding.PartitionSpec(layout.ROWS)
        )
        shape = (rows, self.config.data.sequence_length)
        x, y, weights = (
            jax.ShapeDtypeStruct(shape, dtype, sharding=sharding)
            for dtype in ("int32", "int32", "float32")
        )
        mask = jax.ShapeDtypeStruct(shape, "bool", sharding=sharding)
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
        data = {"token_ids": x, "padding_mask": mask}, y, weights
        try:
            compiled = step.lower(list(state), data).compile()
        except jax.errors.JaxRuntimeError as error:
            report.error = _reason(error)
            report.compile_secs = time.perf_counter() - start_secs
            return report
        report.compile_secs = time.perf_counter() - start_secs
        memory = compiled.memory_analysis()
        report.peak_bytes = memory.peak_memory_in_bytes
        report.parameter_bytes = _bytes_of(state[0])
        report.optimizer_bytes = _bytes_of(state[2])
        report.flops = compiled.cost_analysis().get("flops")
        report.collectives = collectives(compiled.as_text())
        return report

    def model_flops(self, rows):
        """FLOPs that a step of the model needs, however it is computed."""
        from gpt3_keras.training import flops

        return flops.train_step_flops(
            self.model.backbone, rows, self.config.data.sequence_length
        )


def _own_topology(path):
    """The topology that a config's opening comment names."""
    with open(path, encoding="utf-8") as file:
        found = re.search(
            r"^# hardware .*?\b(\w+:\d+x\d+(?:x\d+)?)", file.read(), re.M
        )
    if not found:
        raise ValueError(
            "The config's opening must name its topology, or --topology be "
            f"given. Received: {path}."
        )
    return found[1]


def _reports(step, searches):
    """The config's own step first; then, if asked, larger parts of it."""
    own = step.config.training.micro_batches
    reports = [step.compile(step.rows, own)]
    rows_per_chip = step.rows // len(step.devices)
    if searches:
        parts = own if reports[0].error is None else 2 * own
        while reports[0].error is None and parts > 1:
            parts //= 2
            reports.append(step.compile(step.rows, parts))
            if reports[-1].error is not None:
                break
        while reports[0].error is not None and parts <= rows_per_chip:
            reports.append(step.compile(step.rows, parts))
            if reports[-1].error is None:
                break
            parts *= 2
    return reports


def _bytes_of(specs):
    """Bytes on one chip."""
    return sum(
        math.prod(s.sharding.shard_shape(s.shape)) * s.dtype.itemsize
        for s in specs
    )


def _reason(error):
    """A compiler's refusal in one line."""
    text = " ".join(str(error).split())
    found = re.search(
        r"RESOURCE_EXHAUSTED.*?Used ([\d.]+\w?) of ([\d.]+\w?) hbm", text
    )
    if found:
        return f"wants {found[1]} of {found[2]} HBM"
    return text[:300]


def collectives(hlo):
    """From each kind of collective to how many a program has, and bytes.

    Bytes are those of the results, once for each place in the program: what
    stands in a loop moves that much in every round.
    """
    found = {}
    for line in hlo.splitlines():
        match = re.search(
            r"= (.*?) (" + "|".join(_COLLECTIVES) + r")(-start)?\(", line
        )
        if not match:
            continue
        num_bytes = 0
        for dtype, sizes in re.findall(r"(\w+)\[([\d,]*)\]", match[1]):
            shape = [int(size) for size in sizes.split(",") if size]
            num_bytes += _BYTES.get(dtype, 4) * math.prod(shape)
        number, total = found.get(match[2], (0, 0))
        found[match[2]] = number + 1, total + num_bytes
    return found


def _text(step, reports):
    """What is printed."""
    config, model = step.config, step.model
    length = config.data.sequence_length
    lines = [
        f"{step.topology}, {len(step.devices)} chips, mesh "
        f"{dict(step.mesh.shape)}: {model.count_params():,} parameters, "
        f"{config.training.precision}, T = {length}, compiled on JAX; "
        "nothing has run"
    ]
    for report in reports:
        per_chip = report.rows // len(step.devices)
        part = -(-per_chip // report.micro_batches)
        lines.append(
            f"{report.rows} rows a step, {report.micro_batches} micro-batches "
            f"of {part} rows a chip, {report.rows * length:,} tokens a step: "
            + ("fits" if report.error is None else "DOES NOT FIT")
        )
        if report.error is not None:
            lines.append(
                f"  {report.error}; larger training.micro_batches, "
                "runtime.rematerialize=true, a smaller data.batch_size, or "
                "runtime.strategy=model_parallel take less"
            )
            continue
        lines += _details(step, report)
    fitting = [r for r in reports if r.error is None]
    if len(reports) > 1 and fitting:
        rows = max(
            -(-r.rows // len(step.devices) // r.micro_batches) for r in fitting
        )
        lines.append(f"largest micro-batch that fits: {rows} rows a chip")
    return "\n".join(lines)


def _details(step, report):
    gibibyte = 2.0**30
    lines = [
        f"  HBM of a chip {report.peak_bytes / gibibyte:.2f} GiB: parameters "
        f"{report.parameter_bytes / gibibyte:.2f}, optimizer "
        f"{report.optimizer_bytes / gibibyte:.2f}, activations, gradients "
        f"and buffers {report.activation_bytes / gibibyte:.2f}",
        f"  compiled in {report.compile_secs:.0f} s",
    ]
    for kind, (number, num_bytes) in sorted(report.collectives.items()):
        lines.append(
            f"  {kind}: {number} in the program, {num_bytes / 2**20:.1f} MiB"
        )
    flops = step.model_flops(report.rows)
    lines.append(f"  model FLOPs of a step {flops:.3g}")
    peak = _PEAK_FLOPS.get(step.chip)
    if peak:
        tokens = report.rows * step.config.data.sequence_length
        for share in _UTILISATIONS:
            secs = flops / (share * peak * len(step.devices))
            lines.append(
                f"  estimate at {share:.0%} of the published peak: "
                f"{tokens / secs:,.0f} tokens/s"
            )
    return lines


if __name__ == "__main__":
    sys.exit(main())
