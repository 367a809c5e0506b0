"""The demo: one small model, from text to a SavedModel, with pictures."""

import json
import os
import pathlib
import subprocess
import sys
import textwrap
import time

import numpy as np

from gpt3_keras import config as configs
from gpt3_keras.data.sources import find_files
from gpt3_keras.evaluation import perplexity
from gpt3_keras.evaluation import plots
from gpt3_keras.samplers import SeededSampler
from gpt3_keras.serving.saved_model import export_saved_model
from gpt3_keras.training import datasets
from gpt3_keras.training import experiment
from gpt3_keras.training import run as runs
from gpt3_keras.training import signals
from gpt3_keras.training import watching
from gpt3_keras.training import workdir
from gpt3_keras.training.progress import EvaluationProgress
from gpt3_keras.training.progress import Progress

_FOLDER = "gpt3_keras_demo"
_PROMPT_TOKENS = 16
_PASSAGE_TOKENS = 36
# What a server does, in a process that has never heard of this package.
_SERVE = """
import json, sys
import tensorflow as tf
import tensorflow_text

request = json.load(sys.stdin)
model = tf.saved_model.load(request["export"])
outputs = model.signatures["serving_default"](
    **{name: tf.constant(value) for name, value in request["inputs"].items()}
)
json.dump(outputs["generated_text"].numpy()[0].decode("utf-8"), sys.stdout)
"""


def run(text=None, output=None, overrides=()):
    """Trains, evaluates, writes, exports and serves a small model.

    Args:
        text: path of one's own text: a file (one document a line), a folder
            or a glob (one document a file). Defaults to the help topics that
            come with Python.
        output: a folder that is new or empty. Defaults to `gpt3_keras_demo`,
            or where that exists `gpt3_keras_demo_2` and so on.
        overrides: as `load_config` takes them.

    Returns:
        A dict of the figures that were printed.
    """
    folder = _free_folder() if output is None else pathlib.Path(output)
    workdir.check_new(folder)
    sources = _write_topics(folder) if text is None else _own_text(text)
    config = configs.load_config("demo", [*sources, *overrides])
    demo = experiment.build(config)
    figures = _measure_text(demo)
    figures["untrained_perplexity"] = _perplexity(demo)
    _say_perplexities(figures)

    start_secs = time.monotonic()
    with signals.StopRequest() as stop:
        watch = watching.Watch(demo, plots.save_pointer)
        history = runs.train(demo, folder, watch, stop)
    figures["training_secs"] = time.monotonic() - start_secs
    figures["perplexity"] = _perplexity(demo)
    print(f"Training took {figures['training_secs']:,.0f} s.")
    _say_perplexities(figures)

    plots.save_curves(history, folder / "curves.png")
    _draw_pointer(demo, folder / "pointer.png")
    _write_and_serve(demo, folder / "export" / "1")
    print(f"\nAll of it is in {folder.resolve()}:")
    for name, meaning in (
        ("config.yaml", "what was trained, and how"),
        ("checkpoints/", "the model as a KerasHub preset, and what resumes"),
        ("export/1/", "the SavedModel, text in and text out"),
        ("history.jsonl", "what training measured, step by step"),
        ("tensorboard/", "the same for TensorBoard, with samples"),
        ("curves.png", "losses and learning rate"),
        ("pointer.png", "where the pointer points in a held-out passage"),
    ):
        print(f"  {name:<14} {meaning}")
    return figures


def _free_folder():
    """The first of gpt3_keras_demo, gpt3_keras_demo_2, ... that is free."""
    number = 1
    while True:
        suffix = f"_{number}" if number > 1 else ""
        folder = pathlib.Path(f"{_FOLDER}{suffix}")
        if not folder.exists():
            return folder
        number += 1


def _write_topics(folder):
    """Python's help topics as files; overrides that train on them.

    Some topics repeat others word by word; those are left out, so that what
    is held out has not been read.
    """
    from pydoc_data.topics import topics

    kept, seen = [], set()
    for name in sorted(topics, key=lambda name: (-len(topics[name]), name)):
        lines = [line.strip() for line in topics[name].splitlines()]
        lines = [line for line in lines if len(line) > 25]
        if sum(line in seen for line in lines) <= 0.1 * len(lines):
            kept.append(name)
        seen.update(lines)
    # Sorted by length: of long and short ones alike, each eighth.
    held_out = kept[4::8]
    for name in kept:
        split = "held_out" if name in held_out else "training"
        path = folder / "text" / split / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(topics[name], encoding="utf-8")
    print(
        f"Text: {len(kept)} of Python's help topics; held out: "
        f"{', '.join(held_out)}."
    )
    train = json.dumps(str(folder / "text" / "training"))
    validation = json.dumps(str(folder / "text" / "held_out"))
    return [f"data.train={train}", f"data.validation={validation}"]


def _own_text(path):
    """Overrides that train on a text of the user's and hold out a tenth."""
    document = "line" if os.path.isfile(path) else "file"
    num_bytes = sum(file.num_bytes for file in find_files(path))
    # A small text does not give so many tokens as the config asks for.
    vocabulary_size = min(max(num_bytes // 100, 300), 4096)
    print(f"Text: {path}; of its {document}s, one in ten is held out.")
    return [
        f"data.train={json.dumps(str(path))}",
        "data.validation=null",
        f"data.document={document}",
        f"tokenizer.trained_vocabulary_size={vocabulary_size}",
    ]


def _measure_text(demo):
    """Sizes of text and model, and the unigram model's perplexity."""
    vocabulary_size = demo.model.backbone.vocabulary_size
    data = demo.config.data
    train = datasets.build_dataset(
        demo.config,
        demo.model.preprocessor.tokenizer,
        data.train,
        "train" if data.validation is None else "all",
    )
    counts = {
        name: perplexity.target_counts(
            Progress(f"reading {name}", unit="batches").track(dataset),
            vocabulary_size,
        )
        for name, dataset in (
            ("training text", train),
            ("held-out text", demo.phase_data[0].validation),
        )
    }
    training, held_out = counts.values()
    figures = {
        "num_parameters": demo.model.count_params(),
        "vocabulary_size": vocabulary_size,
        "num_training_tokens": int(training.sum()),
        "num_held_out_tokens": int(held_out.sum()),
        "unigram_perplexity": perplexity.unigram_perplexity(training, held_out),
    }
    print(
        f"Model: {figures['num_parameters']:,} parameters, a vocabulary of "
        f"{vocabulary_size:,} tokens. Training on "
        f"{figures['num_training_tokens']:,} tokens, held out "
        f"{figures['num_held_out_tokens']:,}."
    )
    return figures


def _perplexity(demo):
    with Progress("evaluating", unit="batches") as progress:
        figures = perplexity.corpus_perplexity(
            experiment.on_token_ids(demo.model),
            demo.phase_data[0].validation,
            [EvaluationProgress(progress)],
        )
    return figures["perplexity"]


def _say_perplexities(figures):
    print("Perplexity per token of the held-out text:")
    for name, key in (
        ("unigram frequencies", "unigram_perplexity"),
        ("before training", "untrained_perplexity"),
        ("after training", "perplexity"),
    ):
        if key in figures:
            print(f"  {name:<20} {figures[key]:>10,.1f}")


def _held_out_rows(demo):
    """The held-out rows of token ids, padding cut off."""
    for x, _, _ in demo.phase_data[0].validation:
        ids, mask = np.asarray(x["token_ids"]), np.asarray(x["padding_mask"])
        for row, real in zip(ids, mask, strict=True):
            yield row[real.astype(bool)].tolist()


def _draw_pointer(demo, path):
    """Draws the pointer over the held-out passage that repeats most."""

    def num_repeats(passage):
        return sum(
            token in passage[:i] for i, token in enumerate(passage)
        ), len(set(passage))

    length = _PASSAGE_TOKENS + 1
    passages = [
        row[start : start + length]
        for row in _held_out_rows(demo)
        for start in range(0, len(row) - length + 1, length)
    ]
    passage = max(passages, key=num_repeats)
    tokenizer = demo.model.preprocessor.tokenizer
    attention = demo.model.attend([passage[:-1]])
    plots.save_pointer(
        {name: value[0] for name, value in attention.items()},
        [tokenizer.detokenize([token]) for token in passage],
        path,
    )


def _write_and_serve(demo, export):
    """Writes on from a held-out text, here and in a process that serves."""
    tokenizer = demo.model.preprocessor.tokenizer
    row = next(_held_out_rows(demo))
    words = [token for token in row if token != tokenizer.end_token_id]
    prompt = tokenizer.detokenize(words[:_PROMPT_TOKENS])
    prompt = prompt.rpartition(" ")[0] or prompt  # Whole words.
    options = demo.config.generation.as_dict()
    max_new_tokens = options.pop("max_new_tokens")
    demo.model.compile(sampler=SeededSampler(**options))
    text = demo.model.generate(prompt, max_new_tokens=max_new_tokens)
    print("\nFrom the first words of a held-out text, the model writes:")
    print(textwrap.indent(text, "  | ", lambda line: True))

    export_saved_model(demo.model, export)
    print("\nExported; loading it in a process without this package ...")
    inputs = {"text": [prompt], "max_new_tokens": max_new_tokens, **options}
    _check_served(export, inputs, text)
    print("It wrote the same text.")


def _check_served(export, inputs, text):
    """Raises unless a process of its own writes `text` from the export."""
    served = subprocess.run(
        [sys.executable, "-c", _SERVE],
        input=json.dumps({"export": str(export), "inputs": inputs}),
        capture_output=True,
        check=False,
        text=True,
    )
    if served.returncode:
        raise RuntimeError(f"The export does not load:\n{served.stderr}")
    if json.loads(served.stdout) != text:
        raise RuntimeError(f"The export writes another text:\n{served.stdout}")
