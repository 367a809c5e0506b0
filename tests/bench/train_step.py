"""Tokens a second and memory of the train step, ours beside its peers.

Ours, KerasHub's `GPT2CausalLM` on TensorFlow and on JAX, and GPT-2 of Hugging
Face on PyTorch where `transformers` is installed: the same number of weights
(within 2 %), V = 50,257, AdamW, all called as their users call them. Beside
them the floor: the matrix products of our step alone, forward and backward.

    python tests/bench/train_step.py [--shapes 4x128 8x256 4x1024] [--turns 7]
"""

import importlib.util

import turns

VOCABULARY, HIDDEN, HEADS = 50257, 512, 8
SHAPES = ("4x128", "8x256", "4x1024")
OURS = "gpt3_keras"
PEERS = ("keras_hub_tensorflow", "keras_hub_jax", "transformers")
FLOOR = "matmuls"
STEPS = 2  # In a turn.
_CHUNK = 512  # Tokens of the vocabulary head at a time.


def shape_of(text):
    """(rows, tokens in a row) of "8x256"."""
    rows, length = map(int, text.split("x"))
    return rows, length


def make(name, options):
    shape, precision = options
    rows, length = shape_of(shape)
    if name == FLOOR:
        return make_floor(rows, length, precision)
    if name == "transformers":
        return make_transformers(rows, length, precision)
    return make_keras(name, rows, length, precision)


def tokens(rows, length):
    import numpy as np

    ids = np.random.default_rng(0).integers(0, VOCABULARY, (rows, length + 1))
    return ids.astype("int32")


def make_keras(name, rows, length, precision, num_layers=1):
    import keras
    import numpy as np
    import tensorflow as tf

    keras.config.set_dtype_policy(precision)
    ids = tokens(rows, length)
    x = {
        "token_ids": ids[:, :-1],
        "padding_mask": np.ones((rows, length), "bool"),
    }
    y, weight = ids[:, 1:], np.ones((rows, length), "float32")
    optimizer = keras.optimizers.AdamW(1e-4)
    build = ours if name == OURS else keras_hub_gpt2
    model = build(length, num_layers)
    model.compile(optimizer=optimizer, **compile_options(name))
    # The tuner of tf.data sleeps when `fit` ends, up to seconds, and `fit`
    # waits for it.
    options = tf.data.Options()
    options.autotune.enabled = False
    dataset = tf.data.Dataset.from_tensors((x, y, weight)).repeat()
    dataset = dataset.with_options(options)

    def run():
        model.fit(dataset, steps_per_epoch=STEPS, verbose=0, shuffle=False)

    return run, {"num_weights": model.count_params()}


def compile_options(name):
    import keras

    if name == OURS:
        return {}
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return {"loss": loss, "weighted_metrics": []}


def ours(length, num_layers=1):
    import gpt3_keras as gk

    backbone = gk.GPT3Backbone(
        vocabulary_size=VOCABULARY,
        num_layers=num_layers,
        num_heads=HEADS,
        hidden_dim=HIDDEN,
        max_sequence_length=length,
    )
    return gk.GPT3CausalLM(backbone)


def keras_hub_gpt2(length, num_layers=1):
    """With one layer more, which has the weights of a generator's block."""
    import keras_hub

    backbone = keras_hub.models.GPT2Backbone(
        vocabulary_size=VOCABULARY,
        num_layers=num_layers + 1,
        num_heads=HEADS,
        hidden_dim=HIDDEN,
        intermediate_dim=4 * HIDDEN,
        max_sequence_length=length,
    )
    return keras_hub.models.GPT2CausalLM(backbone)


def make_transformers(rows, length, precision):
    import torch
    import transformers

    config = transformers.GPT2Config(
        vocab_size=VOCABULARY,
        n_positions=length,
        n_embd=HIDDEN,
        n_layer=2,
        n_head=HEADS,
    )
    model = transformers.GPT2LMHeadModel(config).train()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4)
    ids = torch.tensor(tokens(rows, length)[:, :-1], dtype=torch.long)
    half = precision == "mixed_bfloat16"

    def run():
        for _ in range(STEPS):
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=half):
                loss = model(input_ids=ids, labels=ids).loss
            loss.backward()
            optimizer.step()

    num_weights = sum(p.numel() for p in model.parameters())
    return run, {"num_weights": num_weights}


def make_floor(rows, length, precision):
    """The products of our step: each forward, and for both its gradients."""
    import tensorflow as tf

    dtype = {"float32": "float32", "mixed_bfloat16": "bfloat16"}[precision]
    width, num_tokens = HIDDEN, rows * length

    def factors(number, *shapes):
        return [
            [tf.cast(tf.random.normal(shape), dtype) for shape in shapes]
            for _ in range(number)
        ]

    def of_layers(number, read, made):
        shapes = (num_tokens, read), (read, made), (num_tokens, made)
        return factors(number, *shapes)

    layers = [
        *of_layers(2, width, 5 * width),  # Attention and the recurrence's own.
        *of_layers(2, width, 3 * width),  # What the recurrences read.
        *of_layers(1, width, 2 * width),  # The pointer's query and key.
        *of_layers(1, 2 * width, 64),
        *of_layers(1, 64, 768),
    ]
    # Queries, keys and values: two attentions and the pointer.
    split = (rows * HEADS, length, width // HEADS)
    whole = (rows, length, width)
    attentions = [*factors(2, split, split), *factors(1, whole, whole)]
    chunk = min(_CHUNK, num_tokens)
    head = factors(1, (chunk, width), (VOCABULARY, width), (chunk, VOCABULARY))
    recurrences = factors(
        2,
        (width, 3 * width),
        (rows, width),
        (num_tokens, width),
        (num_tokens, 3 * width),
    )

    def corner(x):
        return tf.cast(tf.reshape(x, [-1])[0], "float32")

    def of_layer(x, kernel, upstream):
        return (
            corner(tf.matmul(x, kernel))
            + corner(tf.matmul(upstream, kernel, transpose_b=True))
            + corner(tf.matmul(x, upstream, transpose_a=True))
        )

    def of_head(x, kernel, upstream):
        return (
            corner(tf.matmul(x, kernel, transpose_b=True))
            + corner(tf.matmul(upstream, kernel))
            + corner(tf.matmul(upstream, x, transpose_a=True))
        )

    def of_attention(left, right):
        scores = tf.matmul(left, right, transpose_b=True)
        total = corner(tf.matmul(scores, right))
        total += corner(tf.matmul(right, left, transpose_b=True))
        # The gradients to values, queries and keys.
        for one, factor in ((left, False), (right, True), (left, True)):
            total += corner(tf.matmul(scores, one, transpose_a=factor))
        return total

    def of_recurrence(kernel, state, x, upstream):
        total = corner(tf.matmul(x, upstream, transpose_a=True))
        for _ in tf.range(length):
            state = tf.matmul(state, kernel)[:, :width]
        for _ in tf.range(length):
            wide = tf.tile(state, [1, 3])
            state = tf.matmul(wide, kernel, transpose_b=True)
        return total + corner(state)

    @tf.function
    def step():
        total = sum(of_layer(*each) for each in layers)
        total += sum(of_attention(*each) for each in attentions)
        for each in recurrences:
            total += of_recurrence(*each)
        for _ in tf.range(num_tokens // chunk):
            # Depends on `total`: nothing is moved out of the loop.
            (x, kernel, upstream) = head[0]
            x += tf.cast(1e-30 * total, dtype)
            total += of_head(x, kernel, upstream)
        return total

    def run():
        for _ in range(STEPS):
            step().numpy()

    return run, {}


def contender(name, shape, precision):
    backend = "jax" if name.endswith("jax") else "tensorflow"
    return turns.Contender(name, [shape, precision], backend)


def measure(shape, precision, num_turns):
    """Prints the figures of one shape and precision."""
    rows, length = shape_of(shape)
    names = [OURS, *PEERS, FLOOR]
    if importlib.util.find_spec("transformers") is None:
        names.remove("transformers")
    if precision != "float32":
        # Under XLA bfloat16 is slower than float32 on a processor.
        names.remove("keras_hub_jax")
    contenders = {name: contender(name, shape, precision) for name in names}
    turns.compare(contenders.values(), num_turns)
    own, peers = contenders.pop(OURS), list(contenders.values())
    num_tokens = STEPS * rows * length
    name = f"train_step/{shape}/{precision}"
    turns.report_speed(
        f"{name}/speed", own, peers, lambda secs: num_tokens / secs, "tokens/s"
    )
    for fact, unit in (
        ("peak_mb", "MB"),
        ("first_secs", "s"),
        ("num_weights", "weights"),
    ):
        turns.report_fact(f"{name}/{fact}", own, peers, fact, unit)


def main():
    parser = turns.parser(__doc__.splitlines()[0])
    parser.add_argument("--shapes", nargs="+", default=SHAPES)
    parser.add_argument(
        "--precisions", nargs="+", default=["float32", "mixed_bfloat16"]
    )
    arguments = parser.parse_args()
    num_turns = arguments.turns
    if arguments.quick:
        arguments.shapes, num_turns = ["4x128"], 3
        arguments.precisions = ["float32"]
    for shape in arguments.shapes:
        for precision in arguments.precisions:
            measure(shape, precision, num_turns)


if __name__ == "__main__":
    if not turns.serve(make):
        main()
