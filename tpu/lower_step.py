"""Lowers the training step of a config to HLO for a TPU, on TensorFlow.

Run by `compile_check.py --backend tensorflow` in an environment of its own,
with tensorflow-tpu in TensorFlow's place: `make tpu-check-tensorflow`. What
comes out is one replica's step, gradients summed over all of them, which the
same compiler takes as JAX's step. The equations are those that training runs;
the state comes and goes as tensors, for there is no TPU to hold variables.

An operation that a TPU lacks is refused here, by name.
"""

import argparse
import contextlib
import json
import os
import re
import sys
from unittest import mock

import without_tpu

os.environ.update(without_tpu.environment("tensorflow"))

import keras
import step_model
import tensorflow as tf

from gpt3_keras.backend.tensorflow import training
from gpt3_keras.config import load_config


def lower(model, rows, length, num_replicas):
    """One replica's training step as a serialised HLO module.

    Args:
        model: from `step_model.build`.
        rows: int, of this replica.
        length: int, T.
        num_replicas: int, over which sums and gradients are summed.

    Returns:
        bytes. Its parameters are the state, group by group, and the batch.

    Raises:
        tf.errors.InvalidArgumentError: an operation has no TPU kernel.
    """
    variables = [v for g in step_model.variable_groups(model) for v in g]

    def step(state, token_ids, padding_mask, targets, weights):
        pairs = zip(variables, state, strict=True)
        data = (
            {"token_ids": token_ids, "padding_mask": padding_mask},
            targets,
            weights,
        )
        with (
            _on_tensors(model.optimizer),
            _summed_over(num_replicas),
            keras.StatelessScope(state_mapping=list(pairs)) as scope,
        ):
            logs = training.train_step(model, data)
        new = [scope.get_current_value(v) for v in variables]
        return list(logs.values()), [
            old if value is None else value
            for value, old in zip(new, state, strict=True)
        ]

    def spec(dtype):
        return tf.TensorSpec((rows, length), dtype)

    function = tf.function(step, jit_compile=True, autograph=False)
    concrete = function.get_concrete_function(
        [tf.TensorSpec(v.shape, v.dtype) for v in variables],
        spec("int32"),
        spec("bool"),
        spec("int32"),
        spec("float32"),
    )
    from tensorflow.python.eager.polymorphic_function import compiler_ir

    generate = compiler_ir.from_concrete_function(concrete)
    return generate(stage="hlo_serialized", platform_name="TPU")


@contextlib.contextmanager
def _on_tensors(optimizer):
    """An optimizer that updates Keras' variables, not TensorFlow's.

    Keras' own for TensorFlow hands each update to a strategy, which wants
    variables that lie on a device. The equations of an update are the same.
    """
    (base,) = (
        kind
        for kind in type(optimizer).__mro__
        if kind.__name__ == "BaseOptimizer"
    )
    # Asked of TensorFlow's variables, before tensors stand for them.
    keys = {
        id(variable): optimizer._var_key(variable)
        for variable in optimizer._trainable_variables
    }
    changes = {
        "_backend_update_step": base._backend_update_step,
        "_apply_weight_decay": base._apply_weight_decay,
        "assign": lambda self, variable, value: variable.assign(value),
        "assign_add": lambda self, variable, value: variable.assign_add(value),
        "assign_sub": lambda self, variable, value: variable.assign_sub(value),
        "_var_key": lambda self, variable: keys[id(variable)],
    }
    with contextlib.ExitStack() as stack:
        for name, function in changes.items():
            bound = function.__get__(optimizer)
            stack.enter_context(mock.patch.object(optimizer, name, bound))
        yield


@contextlib.contextmanager
def _summed_over(num_replicas):
    """Sums over replicas by the operation that TPUStrategy uses."""
    groups = [list(range(num_replicas))]

    def undo_unless(strategy, is_fine, variables, before):
        for variable, old in zip(variables, before, strict=True):
            variable.assign(tf.where(is_fine, variable.value, old))

    def all_reduce(sums, gradients):
        def over_all(x):
            return tf.raw_ops.CrossReplicaSum(input=x, group_assignment=groups)

        total = over_all(tf.stack(tf.nest.flatten(sums)))
        sums = tf.nest.pack_sequence_as(sums, tf.unstack(total))
        return sums, [over_all(gradient) for gradient in gradients]

    with (
        mock.patch.object(training, "_all_reduce", all_reduce),
        mock.patch.object(training, "_undo_unless", undo_unless),
        mock.patch.object(training, "on_tpu", return_value=True),
    ):
        yield


def _reason(error):
    """What TensorFlow refused, in one line."""
    text = " ".join(str(error).split())
    found = re.search(
        r"unsupported operations?[^:]*: (.*?)(?:\.|$)", text, re.I
    )
    return (found[0] if found else text)[:400]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", required=True)
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--replicas", type=int, required=True)
    parser.add_argument("--micro-batches", type=int, required=True)
    parser.add_argument("--output", required=True, help="writes the HLO")
    arguments = parser.parse_args()
    config = step_model.for_tpu(load_config(arguments.config, arguments.set))
    model = step_model.build(config)
    model.micro_batches = arguments.micro_batches
    try:
        hlo = lower(
            model,
            config.data.batch_size // arguments.replicas,
            config.data.sequence_length,
            arguments.replicas,
        )
    except (tf.errors.OpError, NotImplementedError) as error:
        print(f"lower_step: error: {_reason(error)}", file=sys.stderr)
        return 1
    with open(arguments.output, "wb") as file:
        file.write(hlo)
    groups = step_model.variable_groups(model)
    sizes = [sum(v.value.numpy().nbytes for v in group) for group in groups]
    facts = {
        "num_state": sum(map(len, groups)),
        "parameter_bytes": sizes[0],
        "optimizer_bytes": sizes[2],
    }
    print(json.dumps(facts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
