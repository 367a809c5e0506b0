"""GRU and LSTM forward and backward, ours beside Keras' and the bare products.

D = 512, on TensorFlow, on TensorFlow under XLA, and on JAX; Keras' layer as its
own options run it best there. The floor is the products alone: the inputs', the
recurrent one of each step, and their gradients.

    python tests/bench/recurrence.py [--shapes 8x128 4x256] [--turns 7]
"""

import itertools

import turns

UNITS = 512
MODES = ("tensorflow", "xla", "jax")
OURS, PEER, FLOOR = "gpt3_keras", "keras", "matmuls"
_RUNS = 3  # In a turn.


def make(name, options):
    mode, cell, shape = options
    rows, length = map(int, shape.split("x"))
    if name == FLOOR:
        run = floor(cell, rows, length, mode)
    else:
        run = layer(name, cell, rows, length, mode)

    def turn():
        for _ in range(_RUNS):
            run()

    return turn, {}


def layer(name, cell, rows, length, mode):
    """A function that computes states and all gradients of a layer."""
    import keras
    import numpy as np

    from gpt3_keras.layers.recurrent import Recurrent

    if name == OURS:
        made = Recurrent(UNITS, cell)
    else:
        kind = {"gru": keras.layers.GRU, "lstm": keras.layers.LSTM}[cell]
        made = kind(UNITS, return_sequences=True)
    made.build((rows, length, UNITS))
    draw = np.random.default_rng(0)
    x, upstream = draw.normal(size=(2, rows, length, UNITS)).astype("float32")
    return (of_jax if mode == "jax" else of_tensorflow)(
        made, x, upstream, mode == "xla"
    )


def of_tensorflow(made, x, upstream, jit_compile):
    import tensorflow as tf

    x, upstream = tf.constant(x), tf.constant(upstream)

    @tf.function(jit_compile=jit_compile)
    def gradients(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(made(x) * upstream)
        return tape.gradient(loss, [x, *(w.value for w in made.weights)])

    return lambda: [each.numpy() for each in gradients(x)]


def of_jax(made, x, upstream, _):
    import jax

    weights = [w.value for w in made.trainable_variables]
    others = [w.value for w in made.non_trainable_variables]

    @jax.jit
    def gradients(weights, x):
        def loss(weights, x):
            states, _ = made.stateless_call(weights, others, x)
            return (states * upstream).sum()

        return jax.grad(loss, (0, 1))(weights, x)

    return lambda: jax.block_until_ready(gradients(weights, x))


def floor(cell, rows, length, mode):
    """The products alone, by the same library."""
    import numpy as np

    num_gates = {"gru": 3, "lstm": 4}[cell]
    width, num_tokens = num_gates * UNITS, rows * length
    draw = np.random.default_rng(0)
    shapes = [
        (num_tokens, UNITS),
        (UNITS, width),
        (num_tokens, width),
        (rows, UNITS),
        (rows, width),
    ]
    arrays = [
        0.01 * draw.normal(size=shape).astype("float32") for shape in shapes
    ]
    if mode == "jax":
        import jax

        def repeat(product, start):
            return jax.lax.fori_loop(0, length, lambda _, x: product(x), start)

        run = jax.jit(lambda *arrays: products(repeat, *arrays))
        return lambda: jax.block_until_ready(run(*arrays))
    import tensorflow as tf

    def repeat(product, start):
        return tf.while_loop(
            lambda i, _: i < length,
            lambda i, x: (i + 1, product(x)),
            (0, start),
            maximum_iterations=length,
        )[1]

    arrays = [tf.constant(array) for array in arrays]
    run = tf.function(
        lambda *arrays: products(repeat, *arrays), jit_compile=mode == "xla"
    )
    return lambda: [each.numpy() for each in run(*arrays)]


def products(repeat, x, kernel, upstream, state, d_product):
    """Three products before the loops or after them, and two loops."""
    num_gates = kernel.shape[1] // kernel.shape[0]

    def forward(state):
        return (state @ kernel)[:, :UNITS]

    def backward(d_state):
        return (d_state @ transposed)[:, :UNITS]

    from keras import ops

    transposed = ops.transpose(kernel)
    wide = repeat(lambda d: ops.tile(backward(d), [1, num_gates]), d_product)
    return (
        x @ kernel,
        upstream @ transposed,
        ops.transpose(x) @ upstream,  # Of the inputs' kernel,
        ops.transpose(x + 1.0) @ upstream,  # and of the recurrent one.
        repeat(forward, state),
        wide,
    )


def measure(mode, cell, shape, num_turns):
    """Prints the figures of one recurrence."""
    backend = "jax" if mode == "jax" else "tensorflow"
    options = [mode, cell, shape]
    contenders = {
        name: turns.Contender(name, options, backend)
        for name in (OURS, PEER, FLOOR)
    }
    turns.compare(contenders.values(), num_turns)
    own, peers = contenders.pop(OURS), list(contenders.values())
    turns.report_speed(
        f"recurrence/{cell}/{shape}/{mode}/time",
        own,
        peers,
        lambda secs: 1000 * secs / _RUNS,
        "ms",
    )


def main():
    parser = turns.parser(__doc__.splitlines()[0])
    parser.add_argument("--shapes", nargs="+", default=["8x128", "4x256"])
    parser.add_argument("--modes", nargs="+", choices=MODES, default=MODES)
    parser.add_argument("--cells", nargs="+", default=["gru", "lstm"])
    arguments = parser.parse_args()
    num_turns = arguments.turns
    if arguments.quick:
        arguments.shapes, arguments.modes = ["8x128"], ["tensorflow"]
        arguments.cells, num_turns = ["gru"], 3
    for case in itertools.product(
        arguments.modes, arguments.cells, arguments.shapes
    ):
        measure(*case, num_turns)


if __name__ == "__main__":
    if not turns.serve(make):
        main()
