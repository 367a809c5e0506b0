"""Writes a trained model as one SavedModel for TF Serving."""

import json
import uuid

import keras
import tensorflow as tf

from gpt3_keras.samplers import SeededSampler
from gpt3_keras.serving import by_tensorflow
from gpt3_keras.serving.signatures import servable

# TensorFlow Serving leaves this folder alone.
_ABOUT = "assets.extra/gpt3_keras.json"


def export_saved_model(
    model,
    path,
    *,
    max_new_tokens=None,
    temperature=1.0,
    top_k=0,
    top_p=1.0,
    seed=0,
):
    """Writes a model as a SavedModel, strings in and strings out.

    The tokenizer is in the graph; optimizer and metrics are not in the
    export. Serving it takes TensorFlow's own operations and no Python. Its
    signatures:

    | signature | inputs | outputs |
    |---|---|---|
    | `serving_default` | `text`; options | `generated_text`, `completion` |
    | `generate` | `text` | the same, with the options' defaults |
    | `generate_ids` | `token_ids`, `padding_mask`; options | the same two |
    | `score` | `text` | `log_prob`, `num_tokens`, `perplexity` |

    `text` is string (B,), UTF-8. `token_ids` is int32 (B, T), with the start
    token if there is to be one, and `padding_mask` bool (B, T).
    `generated_text` is prompt and continuation, `completion` the continuation
    alone. The options are scalars, `max_new_tokens` and the arguments of
    `SeededSampler`, each with a default. An export writes what
    `model.generate` writes when compiled with that sampler; what is drawn for
    a text depends on its row in the batch.

    Who honours the defaults:

    * gRPC's `PredictRequest`, and a session: leave any option out;
    * REST: TF Serving asks for every input of a signature, and scalars need
      the column format: `{"inputs": {"text": ["It was late"],
      "max_new_tokens": 20, "temperature": 0.0, "top_k": 0, "top_p": 1.0,
      "seed": 0}}`; text alone is `{"signature_name": "generate",
      "instances": ["It was late"]}`;
    * Python: the loaded object's functions `generate` and `generate_ids` have
      the defaults; what is under `.signatures` takes all of its inputs, as
      tensors, by name.

    On JAX and PyTorch a process of its own, on TensorFlow, writes the export.

    A request that breaks a rule is answered with an `InvalidArgumentError`.

    Args:
        model: a `GPT3CausalLM` with a preprocessor.
        path: string, a folder that is new or empty, local or remote. TF
            Serving wants its name to be a number, as in `models/novels/1`.
        max_new_tokens: int, the default of the input of that name. Defaults
            to 64, for a short model to half of its `max_sequence_length`.
        temperature, top_k, top_p, seed: as in `SeededSampler`, likewise.

    Raises:
        ValueError: the model has no preprocessor, `path` is not free, or a
            default breaks its rule.
        OSError: the export cannot be written; then nothing stays at `path`.

    Example, in a process without this package:

    ```python
    import tensorflow as tf

    served = tf.saved_model.load("models/novels/1")
    outputs = served.generate(["It was late"], max_new_tokens=20)
    print(outputs["generated_text"].numpy()[0].decode())
    ```
    """
    _check_model(model)
    path = str(path).rstrip("/")
    _check_free(path)
    if keras.backend.backend() != "tensorflow":
        options = {
            "max_new_tokens": max_new_tokens,
            "temperature": temperature,
            "top_k": top_k,
            "top_p": top_p,
            "seed": seed,
        }
        by_tensorflow.export(model, path, options)
        return
    max_length = model.backbone.max_sequence_length
    if max_new_tokens is None:
        max_new_tokens = min(64, max(max_length // 2, 1))
    if not 1 <= max_new_tokens < max_length:
        raise ValueError(
            "max_new_tokens must be positive and leave room for a prompt. "
            f"Received: max_new_tokens={max_new_tokens}, "
            f"max_sequence_length={max_length}."
        )
    sampler = SeededSampler(temperature, top_k, top_p, seed)
    options = {"max_new_tokens": max_new_tokens, **sampler.get_config()}
    module, signatures = servable(model, options)
    # A rename is atomic only in one file system, so: beside the target.
    scratch = f"{path}.partial-{uuid.uuid4().hex[:8]}"
    try:
        tf.saved_model.save(
            module,
            scratch,
            signatures=signatures,
            # Gradients do not serve, and each would be one more graph.
            options=tf.saved_model.SaveOptions(
                experimental_custom_gradients=False
            ),
        )
        _write_about(scratch, model, options)
        tf.io.gfile.rename(scratch, path, overwrite=True)
    except tf.errors.OpError as error:
        message = error.message.splitlines()[0]
        raise OSError(f"The export was not written: {message}") from error
    finally:
        if tf.io.gfile.exists(scratch):
            tf.io.gfile.rmtree(scratch)


def _check_model(model):
    if model.preprocessor is None:
        raise ValueError(
            "model must have a preprocessor: its tokenizer goes into the "
            "export. Received: preprocessor=None."
        )
    sequence_length = model.preprocessor.tokenizer.sequence_length
    if sequence_length is not None:
        raise ValueError(
            "The tokenizer must not pad or truncate. Received: a tokenizer "
            f"with sequence_length={sequence_length}."
        )


def _check_free(path):
    """Raises unless `path` is absent or an empty folder."""
    if not tf.io.gfile.exists(path):
        return
    if not tf.io.gfile.isdir(path):
        raise ValueError(f"{path} is a file; name a folder that is new.")
    names = {name.rstrip("/") for name in tf.io.gfile.listdir(path)}
    if "saved_model.pb" in names:
        raise ValueError(
            f"{path} already holds an export, which stays as it is; name "
            "another folder."
        )
    if names & {"variables", "assets", "assets.extra"}:
        raise ValueError(
            f"{path} holds a half-written export; delete it or name another "
            "folder."
        )
    if names:
        raise ValueError(
            f"{path} is not empty and stays as it is; name another folder."
        )


def _write_about(folder, model, options):
    """What the export was made from, for whoever finds it."""
    about = {
        "backbone": model.backbone.get_config(),
        "options": options,
        "tokenizer_sha256": model.preprocessor.tokenizer.fingerprint(),
    }
    tf.io.gfile.makedirs(f"{folder}/{_ABOUT.rpartition('/')[0]}")
    with tf.io.gfile.GFile(f"{folder}/{_ABOUT}", "w") as file:
        file.write(json.dumps(about, indent=2) + "\n")
