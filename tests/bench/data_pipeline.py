"""How fast text becomes batches, raw and prepared, and in how much memory.

Prints one JSON line a figure. Reads the English and French novels, or what is
named.

    python tests/bench/data_pipeline.py
    python tests/bench/data_pipeline.py --text my_notes/ --quick
"""

import argparse
import os
import pathlib
import resource
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


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    novels = [
        f"{turns.DATA}/novels_en/ENG*.txt",
        f"{turns.DATA}/novels_fr/FRA*.txt",
    ]
    parser.add_argument("--text", nargs="+", default=novels)
    parser.add_argument("--quick", action="store_true", help="once through")
    arguments = parser.parse_args()
    num_epochs = 1 if arguments.quick else 4

    tokenizer = gk.GPT3Tokenizer()
    tokenizer.encode_batch(["warm"])
    before = peak_megabytes()
    with tempfile.TemporaryDirectory() as folder:
        output = os.path.join(folder, "prepared")
        start = time.perf_counter()
        manifest = shards.prepare(arguments.text, output, tokenizer)
        seconds = time.perf_counter() - start
        turns.report(
            "preparing",
            manifest.num_tokens / seconds,
            "tokens/s",
            peer=tokenizing_speed(arguments.text, tokenizer),
            num_tokens=manifest.num_tokens,
            cores=len(os.sched_getaffinity(0)),
            load=round(os.getloadavg()[0], 1),
        )
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
