"""One of several JAX processes that train together; see the test.

KERAS_BACKEND=jax python -m tests.backend.jax_processes_run
    NUM_PROCESSES INDEX PORT FILE
"""

import json
import sys

import jax
import keras
import numpy as np
import tensorflow as tf

from gpt3_keras.config_training import RuntimeConfig
from gpt3_keras.training import strategies
from tests.backend import jax_meshes_run


def main(num_processes, index, port, path):
    runtime = RuntimeConfig()
    if num_processes > 1:
        runtime = RuntimeConfig(
            strategy="multi_worker_mirrored",
            # JAX wants the address of the first one, and how many there are.
            worker_hosts=[f"127.0.0.1:{port}"] * num_processes,
            task_index=index,
            startup_timeout_secs=120,
        )
    with strategies.waiting_for_workers(runtime):
        strategy = strategies.make_strategy(runtime)
        strategies.check_agreement(strategy, 7)
    assert jax.process_count() == num_processes
    keras.utils.set_random_seed(0)  # The same first weights everywhere.
    with strategy.scope():
        model = jax_meshes_run.make_model()
        model.compile(
            optimizer=keras.optimizers.AdamW(1e-2, global_clipnorm=1.0),
            micro_batches=2,
            seed=3,
        )
    data = tf.data.Dataset.from_tensors(jax_meshes_run.batch())
    history = model.fit(
        data.repeat(),
        steps_per_epoch=1,
        epochs=jax_meshes_run.NUM_STEPS,
        shuffle=False,
        verbose=0,
    )
    found = {
        "losses": history.history["loss"],
        "is_chief": strategies.is_chief(strategy),
        "num_replicas": strategy.num_replicas_in_sync,
        "weights": {
            w.path: np.asarray(w.value.addressable_data(0)).tolist()
            for w in model.weights
        },
    }
    with open(path, "w", encoding="utf-8") as file:
        json.dump(found, file)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:4]), sys.argv[4])
