"""Cached decoding writes what a decoder without a cache writes."""

import itertools

import keras_hub
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from gpt3_keras import samplers
from tests import sweep
from tests.models import small

PROMPTS = small.rows(4, 7, 1, 5)
LENGTH = 10

SAMPLERS = {
    "greedy": keras_hub.samplers.GreedySampler,
    "random": lambda: keras_hub.samplers.RandomSampler(seed=1),
    "top_k": lambda: keras_hub.samplers.TopKSampler(k=7, seed=2),
    "top_p": lambda: keras_hub.samplers.TopPSampler(p=0.8, seed=3),
    "beam": lambda: keras_hub.samplers.BeamSampler(num_beams=3),
    "contrastive": lambda: keras_hub.samplers.ContrastiveSampler(k=4),
    "seeded": lambda: samplers.SeededSampler(1.2, 9, 0.9, seed=5),
}

# Half of all combinations, such that any three choices meet in all ways.
ARCHITECTURES = [
    {
        "rnn": rnn,
        "position_encoding": position,
        "share_pointer_parameters": sharing,
        "num_layers": 1 + ((rnn == "gru") ^ (position == "learned") ^ sharing),
    }
    for rnn, position, sharing in itertools.product(
        ("gru", "lstm"), ("learned", "sinusoidal"), (False, True)
    )
]


def write_without_cache(model, sampler, prompts, length, stop_token_ids=None):
    """Runs the whole model on the whole row for each new token."""
    x = small.padded(prompts, length)
    prompt_mask = x["padding_mask"]

    def run(token_ids, padding_mask):
        inputs = {"token_ids": token_ids, "padding_mask": padding_mask}
        states = model.backbone(inputs)["generator_states"]
        return model(inputs), states

    def next(prompt, cache, index):
        written = np.arange(length)[None] < int(index)
        written = np.repeat(written, prompt.shape[0], axis=0)
        log_probs, states = run(prompt, ops.convert_to_tensor(written))
        return log_probs[:, index - 1], states[:, index - 1], cache

    token_ids = ops.convert_to_tensor(x["token_ids"])
    _, states = run(token_ids, ops.convert_to_tensor(prompt_mask))
    written = sampler(
        next=next,
        prompt=token_ids,
        index=min(map(len, prompts)),
        mask=ops.convert_to_tensor(prompt_mask),
        stop_token_ids=stop_token_ids,
        hidden_states=states,
        model=model,
    )
    return np.asarray(written)


def name_of(architecture):
    return "-".join(str(choice) for choice in architecture.values())


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=name_of)
def test_every_position_decoded_is_the_one_of_a_call(architecture):
    backbone = small.backbone(**architecture)
    x = small.padded(small.rows(9, 9, 9))
    expected = backbone(x)
    # The first pass sees the shortest prompt's tokens, two, and no more.
    prompts = np.arange(9)[None] < np.array([[2], [3], [5]])
    _, cache = backbone.prefill(
        ops.where(prompts, x["token_ids"], 0), ops.convert_to_tensor(prompts)
    )
    for index in range(2, 9):
        token_ids = ops.convert_to_tensor(x["token_ids"][:, index, None])
        outputs, cache = backbone.decode(
            token_ids, cache, ops.convert_to_tensor(index)
        )
        for name, value in outputs.items():
            np.testing.assert_allclose(
                value[:, 0],
                expected[name][:, index],
                rtol=1e-4,
                atol=1e-4,
                err_msg=f"{name} at {index}",
            )


@pytest.mark.parametrize("architecture", ARCHITECTURES, ids=name_of)
def test_every_architecture_decodes_with_its_cache(architecture):
    model = small.model(**architecture)
    model.compile(sampler="greedy", run_eagerly=True)
    written = model.generate(PROMPTS, max_length=LENGTH, stop_token_ids=None)
    expected = write_without_cache(model, SAMPLERS["greedy"](), PROMPTS, LENGTH)
    np.testing.assert_array_equal(written["token_ids"], expected)
    assert written["padding_mask"].all()


@pytest.mark.parametrize("in_graph", [True, False], ids=["graph", "eager"])
@pytest.mark.parametrize(
    "name", sweep.cases(SAMPLERS, ["greedy", "top_k", "beam", "seeded"])
)
def test_every_sampler_decodes_with_the_cache(name, in_graph):
    model = small.model(**({} if in_graph else small.OTHER_CHOICES))
    model.compile(sampler=SAMPLERS[name](), run_eagerly=not in_graph)
    written = model.generate(PROMPTS, max_length=LENGTH, stop_token_ids=None)
    expected = write_without_cache(model, SAMPLERS[name](), PROMPTS, LENGTH)
    np.testing.assert_array_equal(written["token_ids"], expected)
    for prompt, row in zip(PROMPTS, written["token_ids"], strict=True):
        assert row[: len(prompt)].tolist() == prompt


@pytest.mark.parametrize("name", ["greedy", "seeded", "beam"])
def test_stop_tokens_end_cached_and_uncached_rows_alike(name):
    model = small.model()
    model.compile(sampler=SAMPLERS[name](), run_eagerly=True)
    freely = model.generate(PROMPTS, max_length=LENGTH, stop_token_ids=None)
    stops = sorted({int(row[8]) for row in freely["token_ids"]})
    written = model.generate(PROMPTS, max_length=LENGTH, stop_token_ids=stops)
    expected = write_without_cache(
        model, SAMPLERS[name](), PROMPTS, LENGTH, stops
    )
    width = written["token_ids"].shape[1]
    for prompt, row, mask, reference in zip(
        PROMPTS,
        written["token_ids"],
        written["padding_mask"],
        expected[:, :width],
        strict=True,
    ):
        new = reference[len(prompt) :]
        first = np.flatnonzero(np.isin(new, stops))[:1].sum()
        end = len(prompt) + first + 1
        assert row[mask].tolist() == reference[:end].tolist()


def test_a_row_is_what_it_is_alone():
    model = small.model()
    model.compile(sampler="greedy", run_eagerly=True)
    together = model.generate(PROMPTS, max_length=LENGTH, stop_token_ids=None)
    for prompt, row in zip(PROMPTS, together["token_ids"], strict=True):
        alone = model.generate(prompt, max_length=LENGTH, stop_token_ids=None)
        assert alone["token_ids"].tolist() == [row.tolist()]


def test_the_speculative_sampler_asks_for_its_draft_model():
    model = small.model()
    model.compile(sampler=keras_hub.samplers.SpeculativeSampler())
    with pytest.raises(ValueError, match="requires a `draft_next` callable"):
        model.generate(PROMPTS, max_length=LENGTH, stop_token_ids=None)


def while_bodies(graph):
    """The graphs of the bodies of a graph's loops."""
    return [
        graph._get_function(op.get_attr("body").name).graph
        for op in graph.get_operations()
        if op.type in ("While", "StatelessWhile")
    ]


def multiplications(graph):
    """Multiplications in the matrix products of a graph."""
    total = 0
    for op in graph.get_operations():
        if op.type in ("MatMul", "BatchMatMulV2"):
            transposed = op.get_attr(
                "transpose_a" if op.type == "MatMul" else "adj_x"
            )
            depth = op.inputs[0].shape[-2 if transposed else -1]
        elif op.type == "Einsum":
            left, right = (
                op.get_attr("equation").decode().partition("->")[0].split(",")
            )
            shape = dict(zip(left, op.inputs[0].shape, strict=True))
            shape.update(zip(right, op.inputs[1].shape, strict=True))
            output = op.get_attr("equation").decode().partition("->")[2]
            depth = np.prod([shape[a] for a in shape if a not in output])
        else:
            continue
        total += int(np.prod(op.outputs[0].shape)) * int(depth)
    return total


def step_cost(model, length, num_rows):
    """Multiplications of one decoding step, and its tensors' shapes."""
    x = small.padded(small.rows(*[3] * num_rows), length)
    step = tf.function(model.generate_step).get_concrete_function(x)
    # The recurrences of the first pass come before the decoding loop.
    *_, body = while_bodies(step.graph)
    assert not while_bodies(body)
    shapes = [
        tensor.shape for op in body.get_operations() for tensor in op.outputs
    ]
    return multiplications(body), shapes


@pytest.mark.parametrize(
    "choices", [{}, small.OTHER_CHOICES], ids=["", "other"]
)
def test_a_step_reads_the_cache_and_does_not_run_the_prefix_again(choices):
    model = small.model(max_sequence_length=64, **choices)
    model.compile(sampler="greedy")
    num_rows, hidden_dim = 3, 8
    short, _ = step_cost(model, 29, num_rows)
    long, shapes = step_cost(model, 59, num_rows)
    # One more position in the cache costs a product with its key and one with
    # its value: in each block, in the generator and in the pointer.
    num_readers = model.backbone.encoder.num_layers + 2
    assert long - short == 30 * num_rows * num_readers * 2 * hidden_dim
    assert not [s for s in shapes if list(s).count(59) > 1]
