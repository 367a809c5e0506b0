"""What libtpu must be told where there is no TPU."""


def environment(backend):
    """Variables of the environment, to be set before a backend is imported.

    libtpu shall not look for devices, nor for the machine that has them.

    Args:
        backend: str, Keras' backend.

    Returns:
        A dict of str.
    """
    return {
        "KERAS_BACKEND": backend,
        "JAX_PLATFORMS": "cpu",
        "TPU_SKIP_MDS_QUERY": "1",
        "TPU_ACCELERATOR_TYPE": "v5litepod-4",
        "TPU_WORKER_HOSTNAMES": "localhost",
        "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
        "TPU_LOG_DIR": "disabled",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
