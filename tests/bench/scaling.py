"""Step time, memory and bytes moved against the number of devices.

The devices are virtual ones of this machine's processor and share its cores:
what grows with their number is the cost of spreading a step, and no step gets
faster. The global batch stays the same. On JAX rows are split, and for the
meshes also weights; on TensorFlow a MirroredStrategy splits rows.

Each measurement is a process of its own. Bytes are those of the collectives in
the compiled program, counted once for each place (JAX), or what the all-reduce
of gradients and sums takes in (TensorFlow, which reduces outside of XLA).

    python tests/bench/scaling.py [--steps 10]
"""

import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
VOCABULARY, HIDDEN, ROWS, LENGTH = 8192, 128, 8, 64
JAX = ("1x1", "2x1", "4x1", "8x1", "4x2", "2x4")
TENSORFLOW = ("1x1", "2x1", "4x1", "8x1")


def make_model():
    import gpt3_keras as gk

    model = gk.GPT3CausalLM(
        gk.GPT3Backbone(
            vocabulary_size=VOCABULARY,
            num_heads=4,
            hidden_dim=HIDDEN,
            max_sequence_length=LENGTH,
            pointer_hidden_dims=(64, 64),
        )
    )
    model.compile(optimizer="adamw")
    return model


def batch():
    import numpy as np

    ids = np.random.default_rng(0).integers(1, VOCABULARY, (ROWS, LENGTH + 1))
    ids = ids.astype("int32")
    x = {
        "token_ids": ids[:, :-1],
        "padding_mask": np.ones((ROWS, LENGTH), "bool"),
    }
    return x, ids[:, 1:], np.ones((ROWS, LENGTH), "float32")


def strategy_of(mesh, backend):
    """The strategy of a mesh such as "4x2": rows over 4, weights over 2."""
    from gpt3_keras.config_training import RuntimeConfig
    from gpt3_keras.training import strategies

    sizes = [int(size) for size in mesh.split("x")]
    if mesh == "1x1":
        runtime = RuntimeConfig(strategy="off")
    elif sizes[1] > 1:
        runtime = RuntimeConfig(strategy="model_parallel", mesh=sizes)
    else:
        runtime = RuntimeConfig(strategy="mirrored", num_devices=sizes[0])
    if backend == "jax":
        import jax

        jax.config.update("jax_num_cpu_devices", sizes[0] * sizes[1])
    return strategies.make_strategy(runtime)


def measure(mesh, num_steps):
    """A process's figures: median seconds of a step, peak bytes, moved."""
    import keras

    backend = keras.backend.backend()
    strategy = strategy_of(mesh, backend)
    if backend == "jax":
        keras.distribution.set_distribution(strategy.distribution)
        model = make_model()
    else:
        with strategy.scope():
            model = make_model()
    x, y, weights = batch()
    times = []

    class Clock(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            self.start = time.perf_counter()

        def on_train_batch_end(self, batch, logs=None):
            float(logs["loss"])  # Waits for the step.
            times.append(time.perf_counter() - self.start)

    model.fit(
        x,
        y,
        sample_weight=weights,
        batch_size=ROWS,
        epochs=num_steps + 2,
        shuffle=False,
        verbose=0,
        callbacks=[Clock()],
    )
    peak_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    moved = 0
    if backend == "jax":
        moved = moved_on_jax(model)
    elif mesh != "1x1":
        learns = sum(w.numpy().nbytes for w in model.trainable_weights)
        moved = learns * int(mesh.partition("x")[0])
    return {
        "step_secs": statistics.median(times[2:]),
        "least_secs": min(times[2:]),
        "largest_secs": max(times[2:]),
        "first_step_secs": times[0],
        "peak_bytes": peak_bytes,
        "moved_bytes": moved,
    }


def moved_on_jax(model):
    """Bytes that the collectives of the compiled step give."""
    import keras

    if keras.distribution.distribution() is None:
        return 0
    from tests.backend.jax_program import step_program
    from tpu import hlo

    found = hlo.collectives(step_program(model, batch()))
    return sum(num_bytes for _, num_bytes in found.values())


def run(backend, mesh, num_steps):
    """The figures of a process of its own."""
    process = subprocess.run(
        [
            *(sys.executable, __file__, "--measure", mesh),
            *("--steps", str(num_steps)),
        ],
        check=True,
        cwd=ROOT,
        env={
            **os.environ,
            "KERAS_BACKEND": backend,
            "JAX_PLATFORMS": "cpu",
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "PYTHONPATH": str(ROOT),
        },
        capture_output=True,
        text=True,
    )
    return json.loads(process.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--quick", action="store_true", help="two meshes")
    parser.add_argument("--measure", metavar="MESH", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure, arguments.steps)))
        return
    for backend, meshes in (("tensorflow", TENSORFLOW), ("jax", JAX)):
        alone = None
        for mesh in meshes[:2] if arguments.quick else meshes:
            found = run(
                backend, mesh, 3 if arguments.quick else arguments.steps
            )
            alone = alone or found
            for figure, unit in (
                ("step_secs", "s"),
                ("peak_bytes", "bytes"),
                ("moved_bytes", "bytes"),
            ):
                value, peer = found[figure], alone[figure]
                line = {
                    "name": f"scaling/{backend}/{mesh}/{figure}",
                    "value": float(f"{value:.4g}"),
                    "unit": unit,
                    "peer": float(f"{peer:.4g}"),
                    "ratio": float(f"{value / peer:.4g}") if peer else None,
                }
                if figure == "step_secs":
                    line["least"] = float(f"{found['least_secs']:.4g}")
                    line["largest"] = float(f"{found['largest_secs']:.4g}")
                print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
