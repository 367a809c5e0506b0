"""How fast text becomes batches, raw and prepared, and in how much memory.

Prints one JSON line a figure. Reads the English and French novels, or what is
named.

    python tests/bench/data_pipeline.py
    python tests/bench/data_pipeline.py --text my_notes/ --quick
"""

import os
import pathlib
import resource
import statistics
import tempfile
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import turns

import gpt3_keras as gk
from gpt3_keras.data import shards
from gpt3_keras.data.sources import find_files


def peak_megabytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def read(name, source, tokenizer, num_epochs):
    """Reads a dataset to its end."""
    start = time.perf_counter()
    dataset = gk.text_dataset(
        source,
        tokenizer,
        sequence_length=256,
        batch_size=8,
        split="all",
        num_epochs=num_epochs,
    )
    num_batches, first_secs = 0, None
    for _ in dataset:
        if not num_batches:
            first_secs = time.perf_counter() - start
        num_batches += 1
    seconds = time.perf_counter() - start
    turns.report(f"{name}_first_batch", first_secs, "s")
    turns.report(f"{name}_reading", num_batches * 8 * 256 / seconds, "tokens/s")


def tokenizing_speed(text, tokenizer):
    """Tokens a second of the tokenizer alone, paragraph by paragraph."""
    texts = [
        pathlib.Path(file.path).read_text("utf-8").splitlines()
        for file in find_files(text)
    ]
    start = time.perf_counter()
    num_tokens = sum(
        sum(map(len, tokenizer.encode_batch(lines))) for lines in texts
    )
    return num_tokens / (time.perf_counter() - start)


def preparing(text, folder, tokenizer, num_turns):
    """Prints how fast shards are made, the tokenizer alone in turns beside it.

    Returns:
        Path of the last ones.
    """
    ours, alone = [], []
    for turn in range(num_turns):
        output = os.path.join(folder, f"prepared_{turn}")
        start = time.perf_counter()
        manifest = shards.prepare(text, output, tokenizer)
        seconds = time.perf_counter() - start
        ours.append(manifest.num_tokens / seconds)
        alone.append(tokenizing_speed(text, tokenizer))
    turns.report(
        "preparing/to tokenizer",
        statistics.median(ours),
        "tokens/s",
        peer=statistics.median(alone),
        spread=turns.spread(ours),
        peer_spread=turns.spread(alone),
        num_tokens=manifest.num_tokens,
        cores=len(os.sched_getaffinity(0)),
    )
    return output


def main():
    parser = turns.parser(__doc__.splitlines()[0])
    novels = [
        f"{turns.DATA}/novels_en/ENG*.txt",
        f"{turns.DATA}/novels_fr/FRA*.txt",
    ]
    parser.add_argument("--text", nargs="+", default=novels)
    arguments = parser.parse_args()
    num_epochs, num_turns = 4, arguments.turns
    if arguments.quick:
        num_epochs = num_turns = 1

    tokenizer = gk.GPT3Tokenizer()
    tokenizer.encode_batch(["warm"])
    before = peak_megabytes()
    with tempfile.TemporaryDirectory() as folder:
        output = preparing(arguments.text, folder, tokenizer, num_turns)
        start = time.perf_counter()
        shards.verify(output)
        turns.report("verifying", time.perf_counter() - start, "s")
        read("text", arguments.text, tokenizer, 1)
        turns.report("memory_once_through", peak_megabytes() - before, "MB")
        read("shards", output, tokenizer, num_epochs)
        if not arguments.quick:
            read("text_again", arguments.text, tokenizer, num_epochs)
            turns.report("memory_many_times", peak_megabytes() - before, "MB")


if __name__ == "__main__":
    main()
