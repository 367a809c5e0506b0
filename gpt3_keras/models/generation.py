"""Writing on from prompts: one pass over them, then one position a step."""

import itertools

from keras import ops

from gpt3_keras import backend
from gpt3_keras import functional
from gpt3_keras.models import prompts


def write(
    model, inputs, max_length, max_new_tokens, stop_token_ids, strip_prompt
):
    """What `GPT3CausalLM.generate` does; see there."""
    is_text = prompts.is_text(inputs)
    rows, single = prompts.token_rows(inputs, model.preprocessor)
    prompts.check_ids(rows, model.backbone.vocabulary_size)
    if is_text and model.preprocessor.add_start_token:
        start_id = prompts.default_start_token_id(model.preprocessor)
        rows = [[start_id, *row] for row in rows]
    if max_length is None and max_new_tokens is None:
        max_length = _default_max_length(model, inputs)
    length = prompts.total_length(
        rows, max_length, max_new_tokens, model.backbone.max_sequence_length
    )
    pad_id = 0
    if model.preprocessor is not None:
        pad_id = model.preprocessor.tokenizer.pad_token_id
    if stop_token_ids == "auto":
        stop_token_ids = _default_stop_token_ids(model)
    num_rows, padded_length = backend.padded_sizes(
        len(rows), length, model.backbone.max_sequence_length
    )
    spare = [rows[0]] * (num_rows - len(rows))
    x = prompts.pad([*rows, *spare], padded_length, pad_id)
    outputs = model.make_generate_function()(x, stop_token_ids)
    rows = prompts.new_rows(
        {
            name: ops.convert_to_numpy(values)[: len(rows), :length]
            for name, values in outputs.items()
        },
        [len(row) for row in rows],
        max_new_tokens,
        strip_prompt,
    )
    if not is_text:
        return prompts.pad(rows, max(map(len, rows), default=0), pad_id)
    special = set(model.preprocessor.tokenizer.special_token_ids)
    rows = [[i for i in row if i not in special] for row in rows]
    texts = list(model.preprocessor.tokenizer.detokenize(rows))
    return texts[0] if single else texts


def _default_max_length(model, inputs):
    if isinstance(inputs, dict):
        return len(inputs["token_ids"][0])
    if model.preprocessor is not None:
        return model.preprocessor.sequence_length
    return model.backbone.max_sequence_length


def _default_stop_token_ids(model):
    if model.preprocessor is None:
        raise ValueError(
            'stop_token_ids="auto" needs a preprocessor. Pass ids, or '
            "None to write until the length is reached. Received: "
            "preprocessor=None."
        )
    return [model.preprocessor.tokenizer.end_token_id]


def generate_step(model, inputs, stop_token_ids, sampler):
    """What `GPT3CausalLM.generate_step` does; see there."""
    token_ids, padding_mask = inputs["token_ids"], inputs["padding_mask"]
    padding_mask = ops.cast(padding_mask, "bool")
    # Padding is often the end token: samplers must not take it for an end.
    blank = next(
        i for i in itertools.count() if i not in (stop_token_ids or ())
    )
    token_ids = ops.where(padding_mask, token_ids, blank)
    lengths = ops.sum(ops.cast(padding_mask, "int32"), axis=-1)
    outputs, cache = model.backbone.prefill(token_ids, padding_mask)
    cache, set_position = backend.decoding_cache(cache)
    head = _head(model.backbone)

    def next_position(prompt, cache, index):
        position = index - 1
        token = ops.take(prompt, position[None], axis=1)
        outputs, cache = model.backbone.decode(
            token, cache, position, set_position
        )
        log_probs = model.mixture.decode(
            head(outputs["generator_states"]),
            outputs["pointer_logits"],
            outputs["gate_logits"],
            prompt,
        )
        return (
            ops.squeeze(log_probs, axis=1),
            ops.squeeze(outputs["generator_states"], axis=1),
            cache,
        )

    token_ids = sampler(
        next=next_position,
        prompt=token_ids,
        cache=cache,
        index=ops.min(lengths),
        mask=padding_mask,
        stop_token_ids=stop_token_ids,
        hidden_states=outputs["generator_states"],
        model=model,
    )
    kept = functional.until_stop(token_ids, padding_mask, stop_token_ids)
    return {"token_ids": token_ids, "padding_mask": kept}


def _head(backbone):
    """The vocabulary head for a loop: a function of states, to logits.

    The output matrix is turned once, to (D, V): a product with the few rows
    of a step then reads memory in order.
    """
    dtype = backbone.token_embedding.compute_dtype
    kernel = ops.transpose(ops.cast(backbone.output_kernel(), dtype))
    return lambda states: ops.matmul(ops.cast(states, dtype), kernel)
