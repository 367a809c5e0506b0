"""JAX's devices, by way of `keras.distribution`; see `strategies`."""

import contextlib
import dataclasses

import jax
import keras
import numpy as np
from jax.experimental import multihost_utils

from gpt3_keras.training import layout


@dataclasses.dataclass(frozen=True)
class Distribution:
    """A strategy: the `keras.distribution` of a run, or None for one device.

    Args:
        distribution: a `keras.distribution.DataParallel` or `ModelParallel`.
    """

    distribution: object = None

    @property
    def num_replicas_in_sync(self):
        """How many devices compute."""
        if self.distribution is None:
            return 1
        return self.distribution.device_mesh.devices.size

    @contextlib.contextmanager
    def scope(self):
        """Variables that are made inside lie as the distribution says."""
        if self.distribution is not None:
            # For good: `fit` asks for it, too.
            keras.distribution.set_distribution(self.distribution)
        yield


def make_strategy(runtime):
    """The `Distribution` of a config.

    | strategy | devices |
    |---|---|
    | off | one |
    | mirrored | those of this process, each with the whole model |
    | multi_worker_mirrored | those of all processes, likewise |
    | tpu | all TPU cores of the slice, likewise |
    | model_parallel | `runtime.mesh`: rows over its first axis, weights over
      its second |

    Several devices of one processor are virtual ones: they share its cores
    and serve to try out what others will do.

    Args:
        runtime: a `RuntimeConfig`.

    Raises:
        ValueError: if there are fewer devices than asked for, or JAX has
            already started.
    """
    if runtime.strategy == "off":
        return Distribution()
    _divide_processor(runtime)
    devices = jax.devices()
    if runtime.strategy == "tpu" and devices[0].platform != "tpu":
        raise ValueError(
            "runtime.strategy=tpu needs a TPU. Received: devices of the kind "
            f"{devices[0].platform}."
        )
    if runtime.num_devices is not None:
        devices = devices[: runtime.num_devices]
    names = [f"{device.platform}:{device.id}" for device in devices]
    return Distribution(layout.distribution(runtime.mesh, names))


def _divide_processor(runtime):
    """Makes so many virtual devices of a processor without an accelerator."""
    wanted = runtime.num_devices
    if runtime.strategy == "model_parallel":
        wanted = int(np.prod(runtime.mesh))
    if wanted is None:
        return
    # Of no effect where there is an accelerator.
    with contextlib.suppress(RuntimeError):  # It has started already.
        jax.config.update("jax_num_cpu_devices", wanted)
    if len(jax.local_devices()) < wanted:
        raise ValueError(
            "runtime.num_devices and runtime.mesh must be at most the devices "
            f"there are. Received: {wanted} wanted, "
            f"{len(jax.local_devices())} there."
        )


def default_strategy():
    """One device, or the distribution that is set."""
    return Distribution(keras.distribution.distribution())


@contextlib.contextmanager
def waiting_for_workers(runtime):
    """Meets the other processes of a job; JAX gives up after a time itself.

    On TPU slices they find each other; elsewhere `runtime.worker_hosts` says
    where the first one listens.
    """
    if runtime.strategy == "multi_worker_mirrored":
        if not runtime.worker_hosts:
            raise ValueError(
                "The strategy multi_worker_mirrored needs "
                "runtime.worker_hosts. Received: runtime.worker_hosts=[]."
            )
        jax.distributed.initialize(
            runtime.worker_hosts[0],
            len(runtime.worker_hosts),
            runtime.task_index,
            initialization_timeout=runtime.startup_timeout_secs,
        )
    elif runtime.strategy == "tpu":
        with contextlib.suppress(ValueError):  # A single host.
            jax.distributed.initialize()
    yield


def is_chief(strategy):
    """Whether this process is the one of its job that writes."""
    del strategy
    return jax.process_index() == 0


def found_by_all(strategy, number):
    """The set of the numbers that the processes have; each gives its own."""
    del strategy
    if jax.process_count() == 1:
        return {number}
    found = multihost_utils.process_allgather(np.array([number]))
    return set(np.asarray(found).ravel().tolist())


def platform(strategy):
    """What kind of device is computed on."""
    del strategy
    return jax.devices()[0].platform


def on_every_replica(function, strategy):
    """A function that runs another, of a scalar, on a device, and waits."""
    del strategy
    run = jax.jit(function)
    return lambda number: run(number).block_until_ready()
