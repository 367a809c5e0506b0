"""A table of performance, from what the benchmarks wrote.

    python -m tests.performance_table

prints it. Each line of a benchmark is one figure, kept in
`tests/bench/results/<benchmark>.jsonl`; what is not there has no row.
"""

import functools
import json

from tests import rooms

RESULTS = rooms.ROOT / "tests" / "bench" / "results"
_HUB, _JAX = "keras_hub_tensorflow", "keras_hub_jax"
_FACE = "transformers"
PEERS = {
    _HUB: "KerasHub GPT-2, TensorFlow",
    _JAX: "KerasHub GPT-2, JAX",
    _FACE: "Hugging Face GPT-2, PyTorch",
    "matmuls": "its matrix products alone",
    "matrix_reads": "reading its matrices",
    "keras": "Keras' layer",
    "tokenizer": "its tokenizer alone",
    "padded_batches": "a plain loop of padded batches",
    "python -c pass": "Python itself",
    "imports": "importing TensorFlow and KerasHub",
}

# What it is called, the benchmark, the figure's name, and the peers.
ROWS = (
    *(
        (
            f"training, {shape.replace('x', ' x ')} tokens, {precision}",
            "train_step",
            f"train_step/{shape}/{precision}/speed",
            peers,
        )
        for precision, peers in (
            ("float32", (_HUB, _JAX, _FACE, "matmuls")),
            ("mixed_bfloat16", (_HUB, "matmuls")),
        )
        for shape in ("4x128", "8x256", "4x1024")
    ),
    (
        "peak memory, 8 x 256 tokens",
        "train_step",
        "train_step/8x256/float32/peak_mb",
        (_HUB, _JAX, _FACE),
    ),
    (
        "from nothing to the first steps, 8 x 256",
        "train_step",
        "train_step/8x256/float32/first_secs",
        (_HUB, _JAX),
    ),
    *(
        (
            f"writing {prompt.replace('+', ' + ')}, {sampler}, batch {batch}",
            "generate",
            f"generate/{sampler}/{prompt}/batch {batch}/speed",
            (_HUB, _FACE, "matrix_reads"),
        )
        for prompt in ("32+96", "512+512")
        for sampler in ("greedy", "top_p", "beam")
        for batch in (1, 8, 32)
    ),
    *(
        (
            f"{cell.upper()}, {shape.replace('x', ' x ')}, {mode}",
            "recurrence",
            f"recurrence/{cell}/{shape}/{mode}/time",
            ("keras", "matmuls"),
        )
        for mode in ("tensorflow", "xla", "jax")
        for cell in ("gru", "lstm")
        for shape in ("8x128",)
    ),
    (
        "preparing text, both cores",
        "data_pipeline",
        "preparing",
        ("tokenizer",),
    ),
    (
        "reading LAMBADA passages",
        "evaluation",
        "evaluation/lambada",
        ("padded_batches",),
    ),
    (
        "`gpt3-keras --help`",
        "startup",
        "startup/gpt3-keras --help",
        ("python -c pass",),
    ),
    (
        "the demo's first step",
        "startup",
        "startup/first_step",
        ("imports",),
    ),
)


@functools.cache
def figures(benchmark):
    """A benchmark's lines by name, none where it has not been run."""
    path = RESULTS / f"{benchmark}.jsonl"
    if not path.exists():
        return {}
    lines = path.read_text("utf-8").splitlines()
    return {line["name"]: line for line in map(json.loads, lines)}


def table():
    """The table in Markdown; what was not measured has no row."""
    lines = ["| figure | gpt3_keras | beside it | ratio |", "|---|---|---|---|"]
    for label, benchmark, name, peers in ROWS:
        for peer in peers:
            line = figures(benchmark).get(f"{name}/to {peer}")
            if line:
                lines.append(_row(label, line, PEERS[peer]))
    return "\n".join(lines)


def _row(label, line, peer):
    value, other = (
        f"{_number(line[key])} {line['unit']}" for key in ("value", "peer")
    )
    return f"| {label} | {value} | {other}, {peer} | {line['ratio']:.2f} |"


def _number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    print(table())
