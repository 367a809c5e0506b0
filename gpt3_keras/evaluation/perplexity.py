"""Perplexity of a corpus, and of the simplest model that could be."""

import warnings

import numpy as np


def corpus_perplexity(model, dataset, callbacks=None):
    """exp(nats per token), over a whole corpus.

    Args:
        model: a compiled `GPT3CausalLM`.
        dataset: batches of KerasHub's triple.
        callbacks: Keras callbacks, for progress.

    Returns:
        A dict: `"perplexity"`, `"num_tokens"`, the targets that counted, and
        the model's other metrics.

    Raises:
        ValueError: if `dataset` has no target.
    """
    with warnings.catch_warnings():
        # Keras warns at the end of a dataset whose length nobody knew.
        warnings.filterwarnings("ignore", "Your input ran out of data")
        metrics = model.evaluate(
            dataset, callbacks=callbacks, verbose=0, return_dict=True
        )
    (perplexity,) = [m for m in model.metrics if m.name == "perplexity"]
    num_tokens = int(perplexity.count)
    if not num_tokens:
        raise ValueError(
            "There is no token to predict. Received: num_tokens=0."
        )
    return {
        "perplexity": float(metrics.pop("perplexity")),
        "num_tokens": num_tokens,
        **{name: float(value) for name, value in metrics.items()},
    }


def target_counts(dataset, vocabulary_size):
    """How often each token is a target, int64 (V,).

    Args:
        dataset: batches of KerasHub's triple.
        vocabulary_size: int, V.
    """
    counts = np.zeros(vocabulary_size, "int64")
    for _, y, sample_weight in dataset:
        targets = np.asarray(y)[np.asarray(sample_weight) > 0]
        counts += np.bincount(targets, minlength=vocabulary_size)
    return counts


def unigram_perplexity(training_counts, counts):
    """Perplexity of tokens under their frequencies in the training text.

    p(v) = (n_v + 1) / (sum_w n_w + V)

    Args:
        training_counts: int (V,), n, see `target_counts`.
        counts: int (V,), of the text to be judged.

    Returns:
        float.
    """
    n = np.asarray(training_counts, "float64")
    counts = np.asarray(counts, "float64")
    log_probs = np.log(n + 1) - np.log(n.sum() + n.size)
    return float(np.exp(-np.dot(counts, log_probs) / counts.sum()))
