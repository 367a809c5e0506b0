"""TensorFlow's strategies: see `strategies`."""

import contextlib
import json
import os
import subprocess
import sys

import tensorflow as tf
from official.common import distribute_utils

# Waits for the end of its input, and if that does not come kills a process.
_WATCHER = """
import os, select, signal, sys
pid, secs, message = sys.argv[1:]
if not select.select([sys.stdin], [], [], float(secs))[0]:
    print(message, file=sys.stderr, flush=True)
    os.kill(int(pid), signal.SIGKILL)
"""


def make_strategy(runtime):
    """The `tf.distribute.Strategy` of a config.

    Several devices of one processor are logical ones: they share its cores
    and serve to try out what GPUs will do.

    Args:
        runtime: a `RuntimeConfig`.

    Returns:
        A strategy; for "off", the default one.

    Raises:
        ValueError: if there are fewer devices than asked for, no cluster is
            described, or TensorFlow has already started.
    """
    if runtime.strategy == "model_parallel":
        raise ValueError(
            "runtime.strategy=model_parallel needs KERAS_BACKEND=jax: "
            "TensorFlow splits rows alone. Received: KERAS_BACKEND=tensorflow."
        )
    if runtime.deterministic:
        tf.config.experimental.enable_op_determinism()
    if runtime.strategy == "multi_worker_mirrored":
        _describe_cluster(runtime)
    num_gpus = _num_gpus(runtime.num_devices)
    if runtime.strategy == "mirrored" and not num_gpus:
        return tf.distribute.MirroredStrategy(
            _logical_devices(runtime.num_devices or 1)
        )
    return distribute_utils.get_distribution_strategy(
        runtime.strategy,
        num_gpus=0 if runtime.strategy == "off" else num_gpus,
        tpu_address=runtime.tpu,
    )


def _num_gpus(num_devices):
    """How many GPUs are used: as many as wanted, or all."""
    num_gpus = len(tf.config.list_physical_devices("GPU"))
    if num_gpus and num_devices is not None and num_devices > num_gpus:
        raise ValueError(
            "runtime.num_devices must be at most the number of GPUs. "
            f"Received: runtime.num_devices={num_devices}, {num_gpus} GPUs."
        )
    return min(num_gpus, num_devices or num_gpus)


def _logical_devices(num_devices):
    """Divides the processor; returns the names of its parts."""
    (cpu,) = tf.config.list_physical_devices("CPU")
    try:
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration()] * num_devices
        )
    except RuntimeError:
        if len(tf.config.list_logical_devices("CPU")) < num_devices:
            raise ValueError(
                "The processor must be divided before TensorFlow computes "
                "anything. Received: runtime.num_devices="
                f"{num_devices} in a process that has started already."
            ) from None
    return [f"CPU:{i}" for i in range(num_devices)]


def _describe_cluster(runtime):
    if "TF_CONFIG" in os.environ:
        try:
            json.loads(os.environ["TF_CONFIG"])["cluster"]["worker"]
        except (ValueError, KeyError, TypeError):
            raise ValueError(
                "TF_CONFIG must be JSON that names the workers of a cluster. "
                f"Received: TF_CONFIG={os.environ['TF_CONFIG']!r}."
            ) from None
    elif not runtime.worker_hosts:
        raise ValueError(
            "The strategy multi_worker_mirrored needs runtime.worker_hosts, "
            "or the variable TF_CONFIG. Received: runtime.worker_hosts=[]."
        )
    else:
        distribute_utils.configure_cluster(
            ",".join(runtime.worker_hosts), runtime.task_index
        )


@contextlib.contextmanager
def waiting_for_workers(runtime):
    """Ends the process if the job's workers do not all come within a time.

    TensorFlow itself would wait for ever, and lets no other thread of the
    process run meanwhile: a process of its own looks at the clock, and ends
    this one with SIGKILL.

    Args:
        runtime: a `RuntimeConfig`.
    """
    if runtime.strategy != "multi_worker_mirrored":
        yield
        return
    _describe_cluster(runtime)
    message = (
        "gpt3-keras train: error: The workers of the job must all start "
        "within runtime.startup_timeout_secs. Received: "
        f"runtime.startup_timeout_secs={runtime.startup_timeout_secs}, "
        f"workers {_workers()}."
    )
    arguments = [str(os.getpid()), str(runtime.startup_timeout_secs), message]
    watcher = subprocess.Popen(
        [sys.executable, "-c", _WATCHER, *arguments], stdin=subprocess.PIPE
    )
    try:
        yield
    finally:
        watcher.stdin.close()  # Its end ends the watcher, as our end would.
        watcher.wait()


def _workers():
    """The addresses of a cluster's workers, as TF_CONFIG has them."""
    cluster = json.loads(os.environ["TF_CONFIG"])["cluster"]
    return ", ".join(cluster.get("chief", []) + cluster["worker"])


def is_chief(strategy):
    """Whether this process is the one of its job that writes."""
    resolver = strategy.cluster_resolver
    if resolver is None or not resolver.cluster_spec().jobs:
        return True
    jobs = resolver.cluster_spec().jobs
    first = "chief" if "chief" in jobs else "worker"
    return (resolver.task_type, resolver.task_id) == (first, 0)


def found_by_all(strategy, number):
    """The set of the numbers that the workers have; each gives its own."""
    if strategy.num_replicas_in_sync == 1:
        return {number}
    own = tf.constant([number], "int64")
    found = strategy.run(lambda: tf.identity(own))
    return set(strategy.gather(found, axis=0).numpy().tolist())


def default_strategy():
    """The strategy of the present scope: without any, one device."""
    return tf.distribute.get_strategy()


def platform(strategy):
    """What kind of device a strategy's replicas compute on."""
    if isinstance(strategy, tf.distribute.TPUStrategy):
        return "tpu"
    return "gpu" if tf.config.list_physical_devices("GPU") else "cpu"


def on_every_replica(function, strategy):
    """A function that runs another, of a scalar, everywhere, and waits.

    Both make one number out of one.
    """

    @tf.function
    def run(number):
        return strategy.run(function, args=(number,))

    def waiting(number):
        results = run(tf.constant(number))
        for result in strategy.experimental_local_results(results):
            result.numpy()

    return waiting
