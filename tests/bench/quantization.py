"""Smaller weights: what they cost in perplexity, and what they gain.

A run's model as it is, with its weights in bfloat16, and after Keras'
`quantize("int8")`: the perplexity of a text, and the size of its preset on the
disk. Then the sizes of `generate.py`, one row, 32 + 96 tokens, greedy: tokens a
second, in turns, beside KerasHub's `GPT2CausalLM` in float32.

    python tests/bench/quantization.py --workdir gpt3_keras_demo --text FILE
        [--turns 5]
"""

import os
import pathlib
import tempfile
import warnings

import generate
import turns
from train_step import OURS

KINDS = ("float32", "bfloat16", "int8")
_PROMPT, _BATCH, _SAMPLER = "32+96", 1, "greedy"


def convert(model, kind):
    """The model with weights of that kind; `model` itself may be changed."""
    import gpt3_keras as gk

    if kind == "int8":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Layers without any weights.
            model.quantize("int8")
    if kind != "bfloat16":
        return model
    config = model.backbone.get_config()
    backbone = gk.GPT3Backbone.from_config({**config, "dtype": "bfloat16"})
    backbone.set_weights(model.backbone.get_weights())
    return gk.GPT3CausalLM(backbone, model.preprocessor)


def make(name, options):
    if name not in KINDS:
        return generate.make(name, options)
    prompt, batch, sampler = options
    return generate.make_keras(
        OURS,
        *generate.lengths_of(prompt),
        int(batch),
        sampler,
        convert=lambda model: convert(model, name),
    )


def measure_model(workdir, text):
    """Prints perplexity and size for each kind of weights."""
    import gpt3_keras as gk
    from gpt3_keras.evaluation import perplexity

    preset = max(workdir.glob("checkpoints/*/model"))
    peers = {}
    for kind in KINDS:
        model = convert(gk.GPT3CausalLM.from_preset(str(preset)), kind)
        dataset = gk.text_dataset(
            str(text),
            model.preprocessor.tokenizer,
            sequence_length=model.backbone.max_sequence_length,
            batch_size=8,
            split="all",
            shuffle_buffer=0,
        )
        with tempfile.TemporaryDirectory() as folder:
            model.save_to_preset(folder)
            size = (pathlib.Path(folder) / "model.weights.h5").stat().st_size
        read = perplexity.corpus_perplexity(
            gk.GPT3CausalLM(model.backbone), dataset
        )
        figures = {"perplexity": read["perplexity"], "size_mb": size / 1e6}
        for name, value in figures.items():
            unit = "MB" if name == "size_mb" else "perplexity"
            peer = peers.setdefault(name, value)
            turns.report(f"quantization/{kind}/{name}", value, unit, peer=peer)


def measure_speed(num_turns):
    """Prints tokens a second of each kind, and of KerasHub's model."""
    options = [_PROMPT, str(_BATCH), _SAMPLER]
    contenders = {
        name: turns.Contender(name, options)
        for name in (*KINDS, generate.KERAS_HUB)
    }
    turns.compare(contenders.values(), num_turns)
    peer = contenders.pop(generate.KERAS_HUB)
    num_tokens = _BATCH * generate.lengths_of(_PROMPT)[1]
    for kind, own in contenders.items():
        turns.report_speed(
            f"quantization/{kind}/speed",
            own,
            [peer],
            lambda secs: num_tokens / secs,
            "tokens/s",
        )


def main():
    parser = turns.parser(__doc__.splitlines()[0], num_turns=5)
    parser.add_argument("--workdir", type=pathlib.Path, help="of a run")
    parser.add_argument("--text", type=pathlib.Path, help="to be read")
    arguments = parser.parse_args()
    if arguments.workdir:
        measure_model(arguments.workdir, arguments.text)
    measure_speed(3 if arguments.quick else arguments.turns)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if not turns.serve(make):
        main()
