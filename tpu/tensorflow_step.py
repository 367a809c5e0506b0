"""The training step of TensorFlow's backend, compiled for a TPU topology."""

import functools
import json
import os
import pathlib
import subprocess
import tempfile
import time

import jax
import numpy as np
import step_model
from compiled_step import Report
from compiled_step import devices_of
from compiled_step import refusal
from hlo import collectives
from jax.interpreters import mlir
from jaxlib import _jax
from jaxlib import xla_client
from jaxlib.mlir import ir

from gpt3_keras.training import flops

_LOWERING = pathlib.Path(__file__).with_name("lower_step.py")


class TensorFlowStep:
    """A replica's training step on each chip, rows split, weights whole.

    TensorFlow lowers it, in an environment of its own; the compiler is the
    same as for JAX.

    Args:
        config: an `ExperimentConfig`.
        arguments: list of str, `--config` and `--set` that made it.
        topology: str, such as `"v5e:2x4"`.
        python: str, the interpreter of the environment that lowers.

    Raises:
        ValueError: the topology is unknown, or the rows are not split evenly.
    """

    def __init__(self, config, arguments, topology, python):
        self.config = step_model.for_tpu(config)
        self.arguments = arguments
        self.topology = topology
        self.devices = devices_of(topology)
        self.python = python
        self.rows = config.data.batch_size
        self.length = config.data.sequence_length
        if self.rows % len(self.devices):
            raise ValueError(
                "data.batch_size must be a multiple of the topology's chips. "
                f"Received: data.batch_size={self.rows}, "
                f"{len(self.devices)} chips."
            )
        self.facts = {}

    @functools.cached_property
    def model(self):
        """The model, made once more on this side, for what it counts."""
        return step_model.build(self.config)

    def num_parameters(self):
        """Numbers that the model learns."""
        return self.model.count_params()

    def model_flops(self):
        """FLOPs that a step of the model needs, however it is computed."""
        return flops.train_step_flops(
            self.model.backbone, self.rows, self.length
        )

    def compile(self, micro_batches):
        """The `Report` of the step with its rows in so many parts."""
        report = Report(self.rows, micro_batches)
        hlo = self._lower(report)
        if hlo is None:
            return report
        num_replicas = len(self.devices)
        options = xla_client.CompileOptions()
        options.num_replicas, options.num_partitions = num_replicas, 1
        options.device_assignment = xla_client.DeviceAssignment.create(
            np.arange(num_replicas).reshape(num_replicas, 1)
        )
        start_secs = time.perf_counter()
        try:
            with mlir.make_ir_context():
                compiled = self.devices[0].client.compile(
                    _updated_in_place(hlo, self.facts["num_state"]),
                    _jax.DeviceList(tuple(self.devices)),
                    options,
                )
        except jax.errors.JaxRuntimeError as error:
            report.error = refusal(error)
            return report
        finally:
            report.compile_secs = time.perf_counter() - start_secs
        report.peak_bytes = (
            compiled.get_compiled_memory_stats().peak_memory_in_bytes
        )
        report.parameter_bytes = self.facts["parameter_bytes"]
        report.optimizer_bytes = self.facts["optimizer_bytes"]
        (module,) = compiled.hlo_modules()
        report.collectives = collectives(module.to_string())
        return report

    def _lower(self, report):
        """The step as HLO, or None, and then the report says why."""
        # JAX has left the place of its own libtpu there.
        environment = dict(os.environ)
        environment.pop("TPU_LIBRARY_PATH", None)
        with tempfile.NamedTemporaryFile(suffix=".hlo") as file:
            process = subprocess.run(
                [
                    *(self.python, str(_LOWERING), *self.arguments),
                    *("--replicas", str(len(self.devices))),
                    *("--micro-batches", str(report.micro_batches)),
                    *("--output", file.name),
                ],
                env=environment,
                capture_output=True,
                text=True,
            )
            if process.returncode:
                lines = process.stderr.strip().splitlines()
                report.error = lines[-1] if lines else "TensorFlow failed"
                return None
            self.facts = json.loads(process.stdout.splitlines()[-1])
            return file.read()


def _updated_in_place(hlo, num_state):
    """The module with each variable's new value in the place of its old one.

    As variables on a TPU are updated. State comes first among the parameters,
    and last among the results.
    """
    module = ir.Module.parse(
        _jax.mlir.xla_computation_to_mlir_module(xla_client.XlaComputation(hlo))
    )
    (main,) = (
        operation
        for operation in module.body.operations
        if operation.attributes["sym_name"].value == "main"
    )
    first = len(main.type.results) - num_state
    i32 = ir.IntegerType.get_signless(32)
    attributes = []
    for i in range(len(main.type.inputs)):
        names = {}
        if i < num_state:
            place = ir.IntegerAttr.get(i32, first + i)
            names["tf.aliasing_output"] = place
        attributes.append(ir.DictAttr.get(names))
    main.attributes["arg_attrs"] = ir.ArrayAttr.get(attributes)
    return module
