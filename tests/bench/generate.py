"""Tokens a second of writing, ours beside its peers, by prompt and batch.

Ours, KerasHub's `GPT2CausalLM` and GPT-2 of Hugging Face on PyTorch where
`transformers` is installed: the same number of weights (within 2 %), 50,257
tokens. A turn is one call of `generate`, which reads the prompt too; all was
compiled before. Beams are searched by each package's own sampler. Beside them
the floor of one row: reading all matrices of ours once a token, as fast as
products with a vector read them.

    python tests/bench/generate.py [--prompts 32+96 512+512] [--batches 1 8 32]
        [--samplers greedy top_p beam] [--turns 5]
"""

import importlib.util
import itertools
import os

import train_step
import turns
from train_step import HIDDEN
from train_step import OURS
from train_step import VOCABULARY

KERAS_HUB, TRANSFORMERS = "keras_hub_tensorflow", "transformers"
FLOOR = "matrix_reads"
SAMPLERS = ("greedy", "top_p", "beam")
_TOP_P, _NUM_BEAMS = 0.9, 4


def lengths_of(text):
    """(tokens of the prompt, new tokens) of "32+96"."""
    prompt, new = map(int, text.split("+"))
    return prompt, new


def make(name, options):
    prompt, batch, sampler = options
    num_read, num_new = lengths_of(prompt)
    if name == FLOOR:
        return make_floor(num_new)
    maker = make_transformers if name == TRANSFORMERS else make_keras
    return maker(name, num_read, num_new, int(batch), sampler)


def prompts(batch, length):
    return train_step.tokens(batch, length - 1)


def make_keras(
    name, num_read, num_new, batch, sampler, convert=lambda model: model
):
    import keras_hub
    import numpy as np

    import gpt3_keras as gk

    total = num_read + num_new
    build = train_step.ours if name == OURS else train_step.keras_hub_gpt2
    model = convert(build(total))
    samplers = {
        "greedy": keras_hub.samplers.GreedySampler,
        "top_p": lambda: keras_hub.samplers.TopPSampler(p=_TOP_P, seed=1),
        "beam": lambda: keras_hub.samplers.BeamSampler(num_beams=_NUM_BEAMS),
    }
    if name == OURS:
        samplers["beam"] = lambda: gk.BeamSearchSampler(num_beams=_NUM_BEAMS)
    model.compile(sampler=samplers[sampler]())
    token_ids = np.zeros((batch, total), "int32")
    token_ids[:, :num_read] = prompts(batch, num_read)
    x = {
        "token_ids": token_ids,
        "padding_mask": np.tile(np.arange(total) < num_read, (batch, 1)),
    }

    def run():
        model.generate(x, max_length=total, stop_token_ids=None)

    return run, {"num_weights": model.count_params()}


def make_transformers(name, num_read, num_new, batch, sampler):
    import torch
    import transformers

    config = transformers.GPT2Config(
        vocab_size=VOCABULARY,
        n_positions=num_read + num_new,
        n_embd=HIDDEN,
        n_layer=2,
        n_head=train_step.HEADS,
    )
    model = transformers.GPT2LMHeadModel(config).eval()
    ids = torch.tensor(prompts(batch, num_read), dtype=torch.long)
    options = {
        "greedy": {"do_sample": False},
        "top_p": {"do_sample": True, "top_p": _TOP_P, "top_k": 0},
        "beam": {"do_sample": False, "num_beams": _NUM_BEAMS},
    }[sampler]

    def run():
        model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=num_new,
            min_new_tokens=num_new,
            pad_token_id=0,
            **options,
        )

    num_weights = sum(p.numel() for p in model.parameters())
    return run, {"num_weights": num_weights}


def make_floor(num_new):
    """One product with a vector for each of the matrices that a token reads."""
    import tensorflow as tf

    shapes = [
        *[(HIDDEN, 5 * HIDDEN), (HIDDEN, 6 * HIDDEN)] * 2,
        (HIDDEN, 2 * HIDDEN),
        (HIDDEN, VOCABULARY),
    ]
    kernels = [tf.random.normal(shape) for shape in shapes]

    @tf.function
    def write():
        x = tf.random.normal((1, HIDDEN))
        for _ in tf.range(num_new):
            corner = sum(tf.matmul(x, kernel)[0, 0] for kernel in kernels)
            x += 1e-30 * corner  # Nothing is moved out of the loop.
        return x

    return lambda: write().numpy(), {}


def measure(prompt, batch, sampler, num_turns):
    """Prints the figures of one kind of writing."""
    names = [OURS, KERAS_HUB, TRANSFORMERS]
    if importlib.util.find_spec("transformers") is None:
        names.remove(TRANSFORMERS)
    if batch == 1 and sampler == "greedy":
        names.append(FLOOR)
    options = [prompt, str(batch), sampler]
    contenders = {name: turns.Contender(name, options) for name in names}
    turns.compare(contenders.values(), num_turns)
    own, peers = contenders.pop(OURS), list(contenders.values())
    num_tokens = batch * lengths_of(prompt)[1]
    name = f"generate/{sampler}/{prompt}/batch {batch}"
    turns.report_speed(
        f"{name}/speed", own, peers, lambda secs: num_tokens / secs, "tokens/s"
    )
    turns.report_fact(f"{name}/peak_mb", own, peers, "peak_mb", "MB")


def main():
    parser = turns.parser(__doc__.splitlines()[0], num_turns=5)
    parser.add_argument("--prompts", nargs="+", default=["32+96", "512+512"])
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 8, 32])
    parser.add_argument(
        "--samplers", nargs="+", choices=SAMPLERS, default=SAMPLERS
    )
    arguments = parser.parse_args()
    num_turns = arguments.turns
    if arguments.quick:
        arguments.prompts, arguments.batches = ["32+96"], [1]
        arguments.samplers, num_turns = ["greedy"], 3
    for case in itertools.product(
        arguments.prompts, arguments.batches, arguments.samplers
    ):
        measure(*case, num_turns)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if not turns.serve(make):
        main()
