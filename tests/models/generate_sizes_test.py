"""Writing rows of other sizes, for which nothing is traced again."""

import keras_hub
import numpy as np
import pytest
from keras import backend

from gpt3_keras.backend.jax.functions import padded_sizes
from gpt3_keras.samplers import SeededSampler
from gpt3_keras.samplers_beam import BeamSearchSampler
from tests import sweep
from tests.models import small

# (lengths of the prompts, tokens to add)
SIZES = [((4, 7, 1), 5), ((3,), 9), ((5, 2), 2), ((9, 8, 7, 6), 3)]
SAMPLERS = {
    "greedy": keras_hub.samplers.GreedySampler,
    "seeded": lambda: SeededSampler(top_p=0.8, seed=3),
    "beams": lambda: BeamSearchSampler(num_beams=2),
    "keras_hub_beam": lambda: keras_hub.samplers.BeamSampler(num_beams=2),
    "contrastive": lambda: keras_hub.samplers.ContrastiveSampler(
        k=2, alpha=0.3
    ),
}


def write(model, lengths, num_new):
    return model.generate(
        small.rows(*lengths), max_new_tokens=num_new, stop_token_ids=None
    )


@pytest.mark.parametrize(
    "sampler", sweep.cases(SAMPLERS, ["greedy", "seeded", "beams"])
)
def test_rows_of_all_sizes_are_written_by_one_trace(sampler):
    traced, eager = small.model(), small.model()
    eager.set_weights(traced.get_weights())
    traced.compile(sampler=SAMPLERS[sampler]())
    eager.compile(sampler=SAMPLERS[sampler](), run_eagerly=True)
    step, traces = traced.generate_step, []

    def counted(*arguments):
        traces.append(arguments)
        return step(*arguments)

    traced.generate_step = counted
    for sizes in SIZES:
        outputs, expected = (write(m, *sizes) for m in (traced, eager))
        for name, values in expected.items():
            np.testing.assert_array_equal(outputs[name], values)
    if backend.backend() == "tensorflow":
        assert len(traces) == 1


def test_other_stop_tokens_are_heeded():
    model = small.model()
    model.compile(sampler="greedy")
    prompts = small.rows(4)
    free = model.generate(prompts, max_new_tokens=6, stop_token_ids=None)
    stop = int(free["token_ids"][0, 6])
    stopped = model.generate(prompts, max_new_tokens=6, stop_token_ids=[stop])
    first = free["token_ids"][0, 4:].tolist().index(stop)
    assert stopped["token_ids"].shape == (1, 4 + first + 1)


@pytest.mark.parametrize(
    ("sizes", "padded"),
    [
        ((1, 1, 1024), (1, 64)),
        ((3, 64, 1024), (4, 64)),
        ((4, 65, 1024), (4, 128)),
        ((5, 65, 100), (8, 100)),
    ],
)
def test_few_programs_are_compiled_for_many_sizes(sizes, padded):
    assert padded_sizes(*sizes) == padded
