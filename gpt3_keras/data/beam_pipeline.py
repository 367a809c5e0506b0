"""Runs the steps of `shard_parts` on Apache Beam.

Beam is imported when it is asked for. It only moves small things: what is
heavy goes through the output's file system, which all machines must reach,
and they must be able to import this package.
"""

import contextlib
import dataclasses
import difflib
import json
import logging
import os
import re
import secrets
import threading

import tensorflow as tf

from gpt3_keras.data import runners
from gpt3_keras.data import shard_parts
from gpt3_keras.data import text_parts
from gpt3_keras.data.manifest import Shard
from gpt3_keras.data.manifest import SourceFile

_PART_BYTES = 16 << 20
_LOOK_EVERY_SECS = 2.0
# DirectRunner itself looks first for Prism, a program that it would download.
_CLASSES = {
    "DirectRunner": "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
}
# The others take options of which only their servers know.
_KNOWS_ITS_OPTIONS = ("DirectRunner", "DataflowRunner")
# What is in the scratch folder beside the parts.
_PARTS = "parts.jsonl"
_PLANNED = "planned.json"
_ASSEMBLED = "assembled.json"


def pipeline_options(runner, options):
    """What Beam is told, checked.

    Args:
        runner: one of `runners.BEAM`.
        options: strings, "key=value" or "flag".

    Returns:
        A `PipelineOptions`.

    Raises:
        ValueError: if Beam is not installed, or there is no such runner or
            option.
    """
    if runner not in runners.BEAM:
        known = ", ".join((runners.LOCAL, *runners.BEAM))
        raise ValueError(
            f"runner must be one of {known}. Received: runner={runner!r}."
        )
    beam = _import_beam(runner)
    flags = [f"--{option.removeprefix('--')}" for option in options]

    def check(parser):
        parser.error = _refuse
        _, unknown = parser.parse_known_args(flags)
        if unknown and runner in _KNOWS_ITS_OPTIONS:
            _refuse_unknown(unknown[0], parser.format_usage())

    flags.append(f"--runner={_CLASSES.get(runner, runner)}")
    made = beam.options.pipeline_options.PipelineOptions(flags)
    made.get_all_options(add_extra_args_fn=check, retain_unknown_options=True)
    return made


def _import_beam(runner):
    try:
        # Of what else could be installed for Beam it warns line by line.
        with _quiet_logging(logging.WARNING):
            import apache_beam
            import apache_beam.options.pipeline_options
    except ModuleNotFoundError:
        raise ValueError(
            'Runners but "local" need Apache Beam; install it with `pip '
            f'install "gpt3-keras[beam]"`. Received: runner={runner!r}.'
        ) from None
    return apache_beam


@contextlib.contextmanager
def _quiet_logging(level):
    """Keeps back what is logged at `level` and below."""
    before = logging.root.manager.disable
    logging.disable(max(before, level))
    try:
        yield
    finally:
        logging.disable(before)


def _refuse(message):
    raise ValueError(
        "runner_options must be what the runner takes. Received: "
        f"{message.rstrip('.')}."
    )


def _refuse_unknown(flag, usage):
    name = flag.removeprefix("--").partition("=")[0]
    near = difflib.get_close_matches(name, re.findall(r"--(\w+)", usage), 1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    _refuse(f"{name!r}, which is unknown{hint}")


def write(corpus, job, runner, options, progress):
    """Writes all shards of a corpus.

    Args:
        corpus: a `text.TextCorpus`.
        job: a `shard_parts.Job`, whose output folder is there.
        runner: one of `runners.BEAM`.
        options: what `pipeline_options` gave.
        progress: as for `shards.prepare`.

    Returns:
        A list of `SourceFile`s and a list of `Shard`s.

    Raises:
        ValueError: if a file of the corpus is wrong.
        OSError: if the runner fails.
    """
    parts = list(text_parts.split_parts(corpus.files, _PART_BYTES))
    tf.io.gfile.makedirs(job.scratch)
    lines = (json.dumps(part) + "\n" for part in parts)
    _save(job, _PARTS, "".join(lines))
    with _reporting(parts, job, progress), _telling(runner):
        _run(corpus.tokenizer, job, options)
    planned = json.loads(_load(job, _PLANNED))
    if planned["error"]:
        raise ValueError(planned["error"])
    totals = {file: counts for file, *counts in planned["totals"]}
    files = [
        SourceFile(file.key, file.num_bytes, *totals.get(number, (0, 0)))
        for number, file in enumerate(corpus.files)
    ]
    shards = [Shard(**x) for x in json.loads(_load(job, _ASSEMBLED))]
    with contextlib.suppress(tf.errors.OpError):  # A late worker's file.
        tf.io.gfile.rmtree(job.scratch)
    return files, shards


@contextlib.contextmanager
def _reporting(parts, job, progress):
    """Looks from time to time which parts are tokenised."""
    if progress is None:
        yield
        return
    sizes = {part.number: part.num_bytes() for part in parts}
    total_bytes = sum(sizes.values())
    is_over = threading.Event()

    def look():
        reported_bytes = 0
        while not is_over.wait(_LOOK_EVERY_SECS):
            with contextlib.suppress(tf.errors.OpError):
                names = tf.io.gfile.listdir(job.scratch)
                numbers = {*map(shard_parts.part_number, names)} & {*sizes}
                done_bytes = sum(sizes[number] for number in numbers)
                if done_bytes > reported_bytes:
                    reported_bytes = done_bytes
                    progress(done_bytes, total_bytes)

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        is_over.set()
        watcher.join()
    progress(total_bytes, total_bytes)


@contextlib.contextmanager
def _telling(runner):
    """Says in one line what Beam says in many."""
    # In this process nothing happens that the line would not tell.
    level = logging.ERROR if runner == "DirectRunner" else logging.NOTSET
    try:
        with _quiet_logging(level):
            yield
    except Exception as error:
        text = str(error)
        if text.startswith("KeyboardInterrupt"):  # Beam wraps that, too.
            raise KeyboardInterrupt from None
        # A worker's error comes as a traceback; its last line is the error.
        lines = re.findall(r"^(?:\w+\.)*(\w+: .+)", text, re.MULTILINE)
        reason = lines[-1] if lines else " ".join(text.split())
        reason = re.sub(r" \[while running .*\]$", "", reason)
        raise OSError(
            f"{runner} could not prepare the text: {reason.rstrip('.')}."
        ) from error


def _run(tokenizer, job, options):
    import apache_beam as beam

    pipeline = beam.Pipeline(options=options)
    _build(beam, pipeline, tokenizer, job)
    result = pipeline.run()
    try:
        state = result.wait_until_finish()
    except BaseException:
        with contextlib.suppress(Exception):
            result.cancel()
        raise
    if state != beam.runners.runner.PipelineState.DONE:
        raise OSError(f"The pipeline ended in the state {state}.")


def _build(beam, pipeline, tokenizer, job):
    once = pipeline | "Begin" >> beam.Create([None])
    tokenised = (
        once
        | "Read parts" >> beam.FlatMap(_read_parts, job)
        | "Spread parts" >> beam.Reshuffle()
        | "Tokenise" >> beam.Map(shard_parts.tokenise, job, tokenizer)
    )
    shards = (
        once
        | "Plan" >> beam.FlatMap(_plan, beam.pvalue.AsList(tokenised), job)
        | "Spread shards" >> beam.Reshuffle()
        | "Assemble" >> beam.Map(shard_parts.assemble, job)
    )
    _ = once | "End" >> beam.Map(_end, beam.pvalue.AsList(shards), job)


def _read_parts(_, job):
    for line in _load(job, _PARTS).splitlines():
        number, spans = json.loads(line)
        yield text_parts.Part(number, [text_parts.Span(*x) for x in spans])


def _plan(_, tokenised, job):
    """Yields the plans of shards; none if a part is wrong."""
    errors = [part.error for part in sorted(tokenised) if part.error]
    totals = [] if errors else shard_parts.totals(tokenised, job)
    planned = {"error": errors[0] if errors else "", "totals": totals}
    _save(job, _PLANNED, json.dumps(planned))
    return [] if errors else shard_parts.plan(tokenised, job)


def _end(_, shards, job):
    shards = sorted(shards, key=lambda shard: (len(shard.name), shard.name))
    _save(job, _ASSEMBLED, json.dumps([*map(dataclasses.asdict, shards)]))


def _save(job, name, contents):
    """Writes a file in the scratch folder, all of it or nothing."""
    path = os.path.join(job.scratch, name)
    partial = f"{path}-{secrets.token_hex(4)}"
    with tf.io.gfile.GFile(partial, "w") as file:
        file.write(contents)
    tf.io.gfile.rename(partial, path, overwrite=True)


def _load(job, name):
    with tf.io.gfile.GFile(os.path.join(job.scratch, name), "rb") as file:
        return file.read().decode("utf-8")
