"""The model's equations once more: NumPy, float64, loops, from the papers.

Written to be read beside the papers, not to be fast, and apart from the
package: nothing here imports it. `kernel` and `bias` stand side by side as a
pair wherever a dense layer is meant; that of the keys is its kernel alone.
"""

import math

import numpy as np


def sigmoid(x):
    return np.exp(-np.logaddexp(0.0, -np.asarray(x, "float64")))


def softmax(x):
    shifted = np.asarray(x, "float64") - np.max(x, axis=-1, keepdims=True)
    return np.exp(shifted) / np.exp(shifted).sum(axis=-1, keepdims=True)


def log_softmax(x):
    shifted = np.asarray(x, "float64") - np.max(x, axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def gelu(x):
    """x times the normal distribution function of x."""
    erf = np.vectorize(math.erf)
    return x * 0.5 * (1.0 + erf(x / math.sqrt(2.0)))


def dense(x, weights):
    kernel, bias = weights
    return x @ kernel + bias


def layer_norm(x, gamma, beta, epsilon):
    mean = x.mean(axis=-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(axis=-1, keepdims=True)
    return gamma * (x - mean) / np.sqrt(variance + epsilon) + beta


def causal(padding_mask):
    """readable[b, t, j]: j is t itself, or real and before t."""
    batch, length = padding_mask.shape
    readable = np.zeros((batch, length, length), bool)
    for b in range(batch):
        for t in range(length):
            readable[b, t, t] = True
            for j in range(t):
                readable[b, t, j] = padding_mask[b, j]
    return readable


def attention(states, memory, readable, weights, num_heads):
    """Vaswani et al. 2017, eq. 1 and section 3.2.2, a query at a time."""
    head_dim = states.shape[-1] // num_heads
    queries = dense(states, weights["query"])
    keys = memory @ weights["key"]
    values = dense(memory, weights["value"])
    read = np.zeros_like(queries)
    for b, t in np.ndindex(states.shape[:2]):
        sources = np.flatnonzero(readable[b, t])
        for head in range(num_heads):
            part = slice(head * head_dim, (head + 1) * head_dim)
            scores = [queries[b, t, part] @ keys[b, s, part] for s in sources]
            probs = softmax(np.array(scores) / math.sqrt(head_dim))
            read[b, t, part] = probs @ values[b, sources, part]
    return dense(read, weights["output"])


def gru(projection, kernel, bias):
    """Cho et al. 2014, eqs. 5-8, the reset gate after the product."""
    batch, length, width = projection.shape
    size = width // 3
    states = np.zeros((batch, length, size))
    for b in range(batch):
        h = np.zeros(size)
        for t in range(length):
            x_z, x_r, x_n = np.split(projection[b, t], 3)
            u_z, u_r, u_n = np.split(h @ kernel + bias, 3)
            z, r = sigmoid(x_z + u_z), sigmoid(x_r + u_r)
            h = z * h + (1.0 - z) * np.tanh(x_n + r * u_n)
            states[b, t] = h
    return states


def lstm(projection, kernel):
    """Hochreiter & Schmidhuber 1997 with a forget gate: states and cells."""
    batch, length, width = projection.shape
    size = width // 4
    states = np.zeros((batch, length, size))
    cells = np.zeros((batch, length, size))
    for b in range(batch):
        h, c = np.zeros(size), np.zeros(size)
        for t in range(length):
            i, f, g, o = np.split(projection[b, t] + h @ kernel, 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
            states[b, t], cells[b, t] = h, c
    return states, cells


def pointer(states, padding_mask, weights):
    """Scores (-inf where unreadable) and gate logits of the pointer.

    Vinyals et al. 2015, eq. 3 with a dot product for the score; the gate is
    See et al. 2017, eq. 8 with a deeper network.
    """
    batch, length, size = states.shape
    readable = causal(padding_mask)
    share = weights["predecessor_share"]
    scores = np.full((batch, length, length), -np.inf)
    gates = np.zeros((batch, length))
    for b, t in np.ndindex(batch, length):
        query = dense(states[b, t], weights["query"])
        for j in np.flatnonzero(readable[b, t]):
            before = states[b, j - 1] if j else np.zeros(size)
            mixed = share * before + (1.0 - share) * states[b, j]
            score = query @ (mixed @ weights["key"]) / math.sqrt(size)
            scores[b, t, j] = score + weights["position_bias"][t, j]
        context = softmax(scores[b, t]) @ states[b]
        x = np.concatenate([states[b, t], context])
        for layer in weights["gate_denses"]:
            x = gelu(dense(x, layer))
        gates[b, t] = dense(x, weights["gate_output"])[0]
    return scores, gates


def mixture(generation_logits, pointer_logits, gate_logits, token_ids):
    """See et al. 2017, eq. 9, as probabilities; scores may be -inf."""
    probs = softmax(generation_logits)
    for b, t in np.ndindex(probs.shape[:2]):
        gate = sigmoid(gate_logits[b, t])
        probs[b, t] *= gate
        for j, copied in enumerate(softmax(pointer_logits[b, t])):
            probs[b, t, token_ids[b, j]] += (1.0 - gate) * copied
    return probs


def mixture_sum(
    states, kernel, targets, log_generate, log_copy, weights, terms
):
    """sum_i w_i (a (-log p_i) + b (-log P_gen,i)) over tokens, by hand."""
    total = 0.0
    for i, target in enumerate(targets):
        generated = log_softmax(kernel @ states[i])[target]
        mixed = np.logaddexp(log_generate[i] + generated, log_copy[i])
        total -= weights[i] * (terms[0] * mixed + terms[1] * generated)
    return total


def weights_of(layer):
    """A dense layer's (kernel, bias), float64."""
    return tuple(np.asarray(w, "float64") for w in layer.get_weights())


def kernel_of(layer):
    """The kernel of a dense layer that has no bias, float64."""
    (kernel,) = layer.get_weights()
    return np.asarray(kernel, "float64")


def attention_weights(layer):
    return {
        "query": weights_of(layer.query_dense),
        "key": kernel_of(layer.key_dense),
        "value": weights_of(layer.value_dense),
        "output": weights_of(layer.output_dense),
    }


def recurrent(inputs, layer):
    """The states of a `Recurrent` layer, from its weights."""
    projection = dense(inputs, weights_of(layer.input_dense))
    kernel = np.asarray(layer.recurrent_kernel, "float64")
    bias = np.asarray(layer.recurrent_bias, "float64")
    if layer.cell == "gru":
        return gru(projection, kernel, bias)
    return lstm(projection + bias, kernel)[0]


def norm(x, layer):
    """A LayerNormalization, from its weights."""
    gamma, beta = weights_of(layer)
    return layer_norm(x, gamma, beta, layer.epsilon)


def autoregressive_block(states, readable, layer, memory=None):
    """x <- x + Attention(LN x); x <- x + Linear(RNN(LN x))."""
    normed = norm(states, layer.attention_norm)
    states = states + attention(
        normed,
        normed if memory is None else memory,
        readable,
        attention_weights(layer.attention),
        layer.num_heads,
    )
    read = recurrent(norm(states, layer.recurrent_norm), layer.recurrent)
    return states + dense(read, weights_of(layer.recurrent_dense))


def randomize(layer, seed=0):
    """Gives every weight of a layer numbers that are none of its defaults."""
    generator = np.random.default_rng(seed)
    layer.set_weights(
        [generator.normal(0.0, 0.4, w.shape) for w in layer.get_weights()]
    )
    return layer


def states(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)
