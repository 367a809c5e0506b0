"""Sizes: counted from the arguments, as the built model counts them."""

import itertools
import re
import time

import pytest

from gpt3_keras.models import sizes
from gpt3_keras.models.backbone import GPT3Backbone
from tests.models import small

CHOICES = {
    "num_layers": (1, 3),
    "rnn": ("gru", "lstm"),
    "position_encoding": ("learned", "sinusoidal"),
    "share_pointer_parameters": (False, True),
    "tie_word_embeddings": (True, False),
    "pointer_hidden_dims": ((), (6, 10)),
}


def arguments(**changes):
    """All of the backbone's arguments, tiny unless `changes` says otherwise."""
    made = small.backbone_arguments(
        **{name: options[0] for name, options in CHOICES.items()}
    )
    return {**made, "max_parameters": 500_000_000, **changes}


def total(config):
    return sum(sizes.parameter_counts(config).values())


def refusal(config):
    with pytest.raises(ValueError, match="max_parameters") as error:
        sizes.check_size(config)
    return str(error.value)


@pytest.mark.parametrize(
    "combination", list(itertools.product(*CHOICES.values()))
)
def test_counts_are_the_built_model_s(combination):
    config = arguments(**dict(zip(CHOICES, combination, strict=True)))
    backbone = GPT3Backbone(**config)
    counts = sizes.parameter_counts(config)
    assert total(config) == backbone.count_params()
    embedding = backbone.token_embedding.count_params()
    output_matrix = counts.get("output_matrix", 0)
    assert counts["token_embedding"] + output_matrix == embedding
    for part in ("encoder", "generator", "position_embedding"):
        built = getattr(backbone, part).count_params()
        assert counts.get(part, 0) == built, part
    shared = 0
    if config["share_pointer_parameters"]:
        shared = backbone.encoder.blocks[-1].attention.count_params()
    pointer = counts["pointer"] + counts["pointer_position_bias"]
    assert pointer == backbone.pointer.count_params() - shared


def test_no_part_is_empty_or_left_out():
    counts = sizes.parameter_counts(arguments(tie_word_embeddings=False))
    assert list(counts) == [
        "token_embedding",
        "output_matrix",
        "position_embedding",
        "encoder",
        "pointer",
        "pointer_position_bias",
        "generator",
    ]
    assert all(counts.values())


def test_the_limit_itself_is_allowed():
    config = arguments()
    size = total(config)
    sizes.check_size({**config, "max_parameters": size})
    refusal({**config, "max_parameters": size - 1})


def test_the_message():
    config = arguments(
        vocabulary_size=50257,
        num_layers=24,
        num_heads=16,
        hidden_dim=2048,
        max_sequence_length=2048,
        pointer_hidden_dims=(64, 768),
    )
    assert (
        refusal(config)
        == """\
The model must not have more than max_parameters weights. Received: \
1,274,179,137 weights, max_parameters=500,000,000.
  part                         weights   share
  token_embedding          102,926,336    8.1%
  position_embedding         4,194,304    0.3%
  encoder                1,107,988,480   87.0%
  pointer                    8,705,601    0.7%
  pointer_position_bias      4,194,304    0.3%
  generator                 46,170,112    3.6%
  total                  1,274,179,137  100.0%
With the other arguments as they are, num_layers=7 or hidden_dim=1216 would \
fit."""
    )


@pytest.mark.parametrize("num_heads", [1, 2, 12, 16, 24, 64, 96])
@pytest.mark.parametrize("max_parameters", [10**7, 10**8, 10**9])
def test_the_suggested_sizes_fit_and_the_next_larger_do_not(
    num_heads, max_parameters
):
    config = arguments(
        vocabulary_size=3000,
        num_layers=20,
        num_heads=num_heads,
        hidden_dim=32 * 192,
        max_parameters=max_parameters,
    )
    found = {
        name: int(size)
        for name, size in re.findall(
            r"(num_layers|hidden_dim)=(\d+)", refusal(config)
        )
    }
    assert "hidden_dim" in found
    for name, size in found.items():
        assert total({**config, name: size}) <= max_parameters
    if "num_layers" in found:
        more = {**config, "num_layers": found["num_layers"] + 1}
        assert total(more) > max_parameters
    hidden_dim = found["hidden_dim"]
    assert hidden_dim % num_heads == 0
    is_wide = hidden_dim % 64 == 0 or hidden_dim % (8 * num_heads) == 0
    for larger in range(hidden_dim + 1, config["hidden_dim"]):
        good = larger % num_heads == 0 and (
            not is_wide or larger % 64 == 0 or larger % (8 * num_heads) == 0
        )
        if good:
            assert total({**config, "hidden_dim": larger}) > max_parameters
            break


def test_narrow_heads_are_better_than_nothing():
    config = arguments(num_heads=16, hidden_dim=256, max_parameters=30_000)
    assert total({**config, "hidden_dim": 64}) > 30_000
    assert "hidden_dim=32 would fit" in refusal(config)


@pytest.mark.parametrize(
    ("changes", "advice"),
    [
        (
            {"vocabulary_size": 100_000, "max_parameters": 10_000},
            "With the other arguments as they are, vocabulary_size=973 would "
            "fit.",
        ),
        (
            {"max_sequence_length": 10_000, "max_parameters": 10_000},
            "With the other arguments as they are, max_sequence_length=85 "
            "would fit.",
        ),
        (
            {"max_parameters": 9},
            "No smaller num_layers, hidden_dim, vocabulary_size or "
            "max_sequence_length alone would fit: lower several of them, or "
            "raise max_parameters.",
        ),
    ],
)
def test_when_neither_depth_nor_width_helps(changes, advice):
    config = arguments(num_heads=8, **changes)
    assert refusal(config).splitlines()[-1] == advice
    for name, size in re.findall(r"(\w+)=(\d+) would", advice):
        limit = config["max_parameters"]
        assert total({**config, name: int(size)}) <= limit
        assert total({**config, name: int(size) + 1}) > limit


@pytest.mark.parametrize(
    "changes",
    [
        {"hidden_dim": 10**6, "num_layers": 1},
        {"num_layers": 10**40},
        {"vocabulary_size": 10**13},
        {"max_sequence_length": 10**9},
    ],
)
def test_a_huge_model_is_refused_at_once(changes):
    start_secs = time.perf_counter()
    with pytest.raises(ValueError, match="not have more than max_parameters"):
        GPT3Backbone(**arguments(**changes))
    assert time.perf_counter() - start_secs < 0.2


@pytest.mark.parametrize("widths", [(0,), (8, 2.5), ("wide",)])
def test_the_pointer_s_widths_must_be_positive(widths):
    message = (
        "pointer_hidden_dims must be positive integers. Received: "
        f"pointer_hidden_dims={widths}."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        GPT3Backbone(**arguments(pointer_hidden_dims=widths))
