"""What the export computes: text in, text out, all of it in one graph.

Every check is in the graph too. TensorFlow answers a request that breaks a
rule with an `InvalidArgumentError` that names the rule and the value.
"""

import tensorflow as tf

from gpt3_keras.models import objective
from gpt3_keras.samplers import SeededSampler

_TEXT = tf.TensorSpec([None], "string", name="text")
_ROWS = [
    tf.TensorSpec([None, None], "int32", name="token_ids"),
    tf.TensorSpec([None, None], "bool", name="padding_mask"),
]
_RAGGED_ROWS = tf.RaggedTensorSpec([None, None], "int32")
_OPTIONS = [
    tf.TensorSpec([], "int32", name="max_new_tokens"),
    tf.TensorSpec([], "float32", name="temperature"),
    tf.TensorSpec([], "int32", name="top_k"),
    tf.TensorSpec([], "float32", name="top_p"),
    tf.TensorSpec([], "int32", name="seed"),
]


def servable(model, options):
    """The functions of an export, and the weights that they read.

    Args:
        model: a `GPT3CausalLM` with a preprocessor.
        options: dict from each name in `_OPTIONS` to its default.

    Returns:
        A `tf.Module` with the functions `generate`, `generate_ids` and
        `score`, from which nothing that trains can be reached, and a dict of
        functions by signature.
    """
    tokenize, detokenize, write = _shared_functions(model)
    generate, generate_ids = _generate_functions(
        model, options, tokenize, detokenize, write
    )

    @tf.function(input_signature=[_TEXT], autograph=False)
    def score(text):
        return _score(model, tokenize(text))

    @tf.function(input_signature=[_TEXT], autograph=False)
    def generate_by_default(text):
        return generate(text)

    module = tf.Module(name="gpt3_keras")
    module.weights = [weight.value for weight in model.backbone.weights]
    module.generate = generate
    module.generate_ids = generate_ids
    module.score = score
    return module, {
        "serving_default": generate,
        "generate": generate_by_default,
        "generate_ids": generate_ids,
        "score": score,
    }


def _generate_functions(model, options, tokenize, detokenize, write):
    """Writing on from text and from ids; each option has its default."""
    tokenizer = model.preprocessor.tokenizer
    defaults = [tf.constant(options[x.name], x.dtype) for x in _OPTIONS]
    length, temperature_, k, p, seed_ = defaults

    @tf.function(input_signature=[_TEXT, *_OPTIONS], autograph=False)
    def generate(
        text,
        max_new_tokens=length,
        temperature=temperature_,
        top_k=k,
        top_p=p,
        seed=seed_,
    ):
        prompts = tokenize(text)
        if model.preprocessor.add_start_token:
            start = tf.fill([tf.shape(text)[0], 1], tokenizer.start_token_id)
            prompts = tf.concat([start, prompts], axis=1)
        rows = write(prompts, max_new_tokens, temperature, top_k, top_p, seed)
        return {
            "generated_text": detokenize(rows),
            "completion": detokenize(_new_tokens(rows, prompts)),
        }

    @tf.function(input_signature=[*_ROWS, *_OPTIONS], autograph=False)
    def generate_ids(
        token_ids,
        padding_mask,
        max_new_tokens=length,
        temperature=temperature_,
        top_k=k,
        top_p=p,
        seed=seed_,
    ):
        prompts = tf.ragged.boolean_mask(token_ids, padding_mask)
        rows = write(prompts, max_new_tokens, temperature, top_k, top_p, seed)
        return {
            "token_ids": rows.to_tensor(tokenizer.pad_token_id),
            "padding_mask": tf.sequence_mask(rows.row_lengths()),
        }

    return generate, generate_ids


def _shared_functions(model):
    """Tokenizer and decoding loop, each one graph however often it is used."""
    tokenizer = model.preprocessor.tokenizer

    @tf.function(input_signature=[_TEXT], autograph=False)
    def tokenize(text):
        return tf.cast(tokenizer.tokenize(text), "int32")

    @tf.function(input_signature=[_RAGGED_ROWS], autograph=False)
    def detokenize(rows):
        special = tf.constant(tokenizer.special_token_ids, "int32")
        is_text = tf.reduce_all(rows.values[:, None] != special, axis=-1)
        return tokenizer.detokenize(
            tf.ragged.boolean_mask(rows, rows.with_values(is_text))
        )

    @tf.function(input_signature=[_RAGGED_ROWS, *_OPTIONS], autograph=False)
    def write(prompts, max_new_tokens, temperature, top_k, top_p, seed):
        sampler = SeededSampler(temperature, top_k, top_p, seed)
        return _write(model, prompts, max_new_tokens, sampler)

    return tokenize, detokenize, write


def _write(model, prompts, max_new_tokens, sampler):
    """Writes on from ragged prompts; returns ragged rows, prompts included."""
    tokenizer = model.preprocessor.tokenizer
    lengths = tf.cast(prompts.row_lengths(), "int32")
    checks = [
        *_check_prompts(model.backbone, prompts, lengths, max_new_tokens),
        *_check_sampler(sampler),
    ]
    with tf.control_dependencies(checks):
        token_ids = tf.pad(
            prompts.to_tensor(tokenizer.pad_token_id),
            [[0, 0], [0, max_new_tokens]],
            constant_values=tokenizer.pad_token_id,
        )
    mask = tf.sequence_mask(lengths, tf.shape(token_ids)[1])
    written = model.generate_step(
        {"token_ids": token_ids, "padding_mask": mask},
        stop_token_ids=[tokenizer.end_token_id],
        sampler=sampler,
    )
    kept = tf.reduce_sum(tf.cast(written["padding_mask"], "int32"), axis=-1)
    return tf.RaggedTensor.from_tensor(
        written["token_ids"], tf.minimum(kept, lengths + max_new_tokens)
    )


def _new_tokens(rows, prompts):
    """What `rows` have after their prompts."""
    position = tf.ragged.range(rows.row_lengths())
    start = tf.gather(prompts.row_lengths(), rows.value_rowids())
    is_new = rows.with_values(position.values >= start)
    return tf.ragged.boolean_mask(rows, is_new)


def _score(model, rows):
    """Log-probability, token count and perplexity of ragged rows.

    As `GPT3CausalLM.score`: a row that begins with the start token already is
    not given another.
    """
    start_id = model.preprocessor.tokenizer.start_token_id
    max_length = model.backbone.max_sequence_length
    ended = tf.concat([rows, tf.fill([rows.nrows(), 1], -1)], axis=1)
    first = tf.gather(ended.values, ended.row_starts())
    contexts = tf.cast(first == start_id, "int64")
    starts = tf.RaggedTensor.from_row_lengths(
        tf.fill([tf.reduce_sum(1 - contexts)], start_id), 1 - contexts
    )
    num_tokens = tf.cast(rows.row_lengths() - contexts, "int32")
    # At least 1, the width where all texts are empty.
    longest = tf.reduce_max(tf.concat([num_tokens, [1]], axis=0))
    fits = _require(
        longest <= max_length,
        "A sequence to score must fit max_sequence_length. Received: {} "
        f"tokens, max_sequence_length={max_length}.",
        longest,
    )
    with tf.control_dependencies([fits]):
        padded = tf.concat([starts, rows], axis=1).to_tensor()
    padded = tf.pad(padded, [[0, 0], [0, longest + 1 - tf.shape(padded)[1]]])
    mask = tf.sequence_mask(num_tokens, longest)
    x = {"token_ids": padded[:, :-1], "padding_mask": mask}
    log_probs = objective.token_log_probs(model, x, padded[:, 1:])
    log_probs = tf.where(mask, log_probs, 0.0)
    log_prob = tf.reduce_sum(tf.cast(log_probs, "float64"), axis=-1)
    nats = tf.math.divide_no_nan(-log_prob, tf.cast(num_tokens, "float64"))
    return {
        "log_prob": tf.cast(log_prob, "float32"),
        "num_tokens": num_tokens,
        "perplexity": tf.cast(tf.exp(nats), "float32"),
    }


def _check_prompts(backbone, prompts, lengths, max_new_tokens):
    """The rules of `GPT3CausalLM.generate`, as operations."""
    max_length = backbone.max_sequence_length
    vocabulary_size = backbone.vocabulary_size
    longest = tf.reduce_max(tf.concat([lengths, [0]], axis=0))
    ids = prompts.values
    wrong = tf.boolean_mask(ids, (ids < 0) | (ids >= vocabulary_size))
    return [
        _require(
            (tf.size(lengths) > 0) & tf.reduce_all(lengths > 0),
            "Every prompt must have at least one token. Received: prompts of "
            "{} tokens.",
            lengths,
        ),
        _require(
            tf.size(wrong) == 0,
            "Token ids must be in [0, vocabulary_size). Received: {}, "
            f"vocabulary_size={vocabulary_size}.",
            wrong,
        ),
        _require(
            max_new_tokens >= 1,
            "max_new_tokens must be positive. Received: max_new_tokens={}.",
            max_new_tokens,
        ),
        _require(
            max_new_tokens <= max_length - longest,
            "Prompt and new tokens must fit the model's max_sequence_length. "
            "Received: prompts of up to {} tokens, max_new_tokens={}, "
            f"max_sequence_length={max_length}.",
            longest,
            max_new_tokens,
        ),
    ]


def _check_sampler(sampler):
    """The rules of `SeededSampler`, as operations."""
    temperature = sampler.noise_temperature
    return [
        _require(
            (temperature >= 0.0) & tf.math.is_finite(temperature),
            "temperature must be at least 0. Received: temperature={}.",
            temperature,
        ),
        _require(
            sampler.top_k >= 0,
            "top_k must be at least 0. Received: top_k={}.",
            sampler.top_k,
        ),
        _require(
            (sampler.top_p > 0.0) & (sampler.top_p <= 1.0),
            "top_p must be in (0, 1]. Received: top_p={}.",
            sampler.top_p,
        ),
    ]


def _require(condition, message, *values):
    """An operation that fails with `message` unless `condition` holds."""
    return tf.debugging.Assert(
        condition, [tf.strings.format(message, values)], summarize=1
    )
