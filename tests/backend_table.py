"""What works on which backend, and the test that shows it.

    python -m tests.backend_table

prints the README's table. `tests/backend_table_test.py` holds README to it,
and the tests that are named to what there is.
"""

BACKENDS = ("TensorFlow", "JAX", "PyTorch")
TESTED, COMPILED, NONE = "tested here", "compiled for", "not available"

_AGREEMENT = "backend/agreement_test.py"
_MESHES = "backend/jax_meshes_test.py"
_COMMANDS = "cli_backends_test.py"

# A feature, and for each backend its status and, where it is tested, the test.
ROWS = (
    (
        "losses, gradients, `fit`, micro-batches, dropout, clipping",
        (TESTED, _AGREEMENT),
        (TESTED, _AGREEMENT),
        (TESTED, _AGREEMENT),
    ),
    (
        "`generate`, `score`, `evaluate`",
        (TESTED, _AGREEMENT),
        (TESTED, _AGREEMENT),
        (TESTED, _AGREEMENT),
    ),
    (
        "rematerialisation",
        (TESTED, "layers/rematerialization_test.py"),
        (TESTED, _AGREEMENT),
        (TESTED, _AGREEMENT),
    ),
    (
        "checkpoints that go on on another backend",
        (TESTED, _AGREEMENT),
        (TESTED, _AGREEMENT),
        (TESTED, _AGREEMENT),
    ),
    (
        "`gpt3-keras train`, `evaluate`, `generate`, `export`",
        (TESTED, "cli_test.py"),
        (TESTED, _COMMANDS),
        (TESTED, _COMMANDS),
    ),
    (
        "SavedModel (written by TensorFlow)",
        (TESTED, "serving/saved_model_test.py"),
        (TESTED, _COMMANDS),
        (TESTED, _COMMANDS),
    ),
    (
        "killed and resumed, bit for bit",
        (TESTED, "training/resume_test.py"),
        (TESTED, _COMMANDS),
        (TESTED, _COMMANDS),
    ),
    (
        "step compiled by XLA",
        (TESTED, "backend/train_step_test.py"),
        (TESTED, _AGREEMENT),
        (NONE, None),
    ),
    (
        "rows over the devices of one machine",
        (TESTED, "conformance/exactness_test.py"),
        (TESTED, _MESHES),
        (NONE, None),
    ),
    (
        "weights over devices",
        (NONE, None),
        (TESTED, _MESHES),
        (NONE, None),
    ),
    (
        "rows over several machines",
        (TESTED, "conformance/exactness_test.py"),
        (TESTED, "backend/jax_processes_test.py"),
        (NONE, None),
    ),
    (
        "TPU",
        (COMPILED, None),
        (COMPILED, None),
        (NONE, None),
    ),
)


def table():
    """The table in Markdown."""
    lines = [
        f"| | {' | '.join(BACKENDS)} |",
        f"|---|{'---|' * len(BACKENDS)}",
    ]
    for feature, *cells in ROWS:
        words = " | ".join(status for status, _ in cells)
        lines.append(f"| {feature} | {words} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
