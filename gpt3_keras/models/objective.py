"""From a batch to the sums of its losses, without a (B, T, V) tensor."""

import keras
from keras import ops

from gpt3_keras import backend
from gpt3_keras import functional
from gpt3_keras import losses
from gpt3_keras.metrics import CorpusMean
from gpt3_keras.metrics import Perplexity
from gpt3_keras.metrics import TokensPerSecond

# Each term's weight in the objective; how they were tuned is in DESIGN.md.
LOSS_WEIGHTS = {
    "language_model": 1.0,
    "generator": 0.0,
    "pointer": 0.1,
    "gate": 0.1,
}


def token_log_probs(model, x, y):
    """log p(y) of the mixture at every position.

    Args:
        model: a `GPT3CausalLM`.
        x: dict of `"token_ids"` and `"padding_mask"`, (B, T).
        y: int (B, T), the next token ids.

    Returns:
        float32 (B, T).
    """
    backbone = model.backbone
    outputs = backbone(x, training=False)
    _, _, log_generate, log_copy = _copying(outputs, x, y)
    states, targets = _head_inputs(outputs, y)
    generation = backend.target_log_probs(
        states, backbone.output_kernel(), targets
    )
    generation = ops.reshape(generation, ops.shape(y))
    return ops.logaddexp(log_generate + generation, log_copy)


def loss_sums(
    backbone,
    x,
    y,
    sample_weight,
    loss_weights,
    pointer_temperature,
    training,
    dropout_key=None,
    kernel_gradient=None,
    sparse_targets=False,
):
    """Sums of every loss over a batch.

    Args:
        backbone: a `GPT3Backbone`.
        x, y, sample_weight: the batch, (B, T) each.
        loss_weights: dict from each of `losses.TERMS` to a float.
        pointer_temperature: positive float.
        training: bool. If True, dropout is on and the vocabulary head makes
            its gradients along with its value. A term of weight 0 is then no
            part of the objective and costs no gradient.
        dropout_key: int32 scalar, see `GPT3Backbone`.
        kernel_gradient: float32 (V, D), see `backend.mixture_loss`.
        sparse_targets: bool. The vocabulary head reads the positions that
            count alone.

    Returns:
        A dict: `"objective"`, the weighted sum of all terms, float32;
        `"num_targets"`, float32; and (sum, count) pairs for each of
        `losses.TERMS`, `"pointer_mrr"` and `"copied_share"`; and
        `"kernel_gradient"`, if one was given.
    """
    outputs = backbone(x, training=training, dropout_key=dropout_key)
    mask, match, log_generate, log_copy = _copying(outputs, x, y)
    pointer = (outputs["pointer_logits"], match, mask, sample_weight)
    per_token = [*_head_inputs(outputs, y)]
    per_token += map(_flatten, (log_generate, log_copy, sample_weight))
    if sparse_targets:
        per_token = backend.rows_where(per_token[-1] > 0, per_token)
    objective, generation, kernel_gradient = _through_the_head(
        backbone, per_token, loss_weights, training, kernel_gradient
    )
    log_generate, log_copy, weights = per_token[2:]
    log_probs = ops.logaddexp(log_generate + generation, log_copy)
    sums = {
        "language_model": losses.language_model_loss(log_probs, weights),
        "generator": losses.language_model_loss(generation, weights),
        "pointer": losses.pointer_loss(*pointer, pointer_temperature),
        "gate": losses.gate_loss(outputs["gate_logits"], match, sample_weight),
    }
    for term in _other_terms(loss_weights, training):
        if loss_weights[term]:
            objective = objective + loss_weights[term] * sums[term][0]
    if kernel_gradient is not None:
        sums["kernel_gradient"] = kernel_gradient
    num_targets = ops.sum(weights)
    copied = ops.sum(weights * ops.exp(log_copy - log_probs))
    return {
        **sums,
        "objective": objective,
        "num_targets": num_targets,
        "pointer_mrr": losses.pointer_reciprocal_rank(*pointer),
        "copied_share": (copied, num_targets),
    }


def zero_sums():
    """What `loss_sums` gives for no row at all."""
    zero = ops.zeros((), "float32")
    pairs = (*losses.TERMS, "pointer_mrr", "copied_share")
    return {
        **dict.fromkeys(pairs, (zero, zero)),
        "objective": zero,
        "num_targets": zero,
    }


def attend(backbone, token_ids, padding_mask):
    """What `GPT3CausalLM.attend` does; see there."""
    token_ids = ops.convert_to_tensor(token_ids, "int32")
    if padding_mask is None:
        padding_mask = ops.ones_like(token_ids)
    padding_mask = ops.cast(padding_mask, "int32")
    outputs = backbone({"token_ids": token_ids, "padding_mask": padding_mask})
    probs = functional.softmax(outputs["pointer_logits"])
    gate = ops.sigmoid(ops.cast(outputs["gate_logits"], "float32"))
    return {
        "pointer_probs": ops.convert_to_numpy(probs),
        "gate": ops.convert_to_numpy(gate),
    }


def _copying(outputs, x, y):
    """Mask and match, (B, T, T); log g and log (1 - g) P_copy(y), (B, T)."""
    mask = functional.causal_mask(x["padding_mask"])
    match = functional.match_targets(x["token_ids"], y, mask)
    log_generate, log_copy = functional.log_gate(outputs["gate_logits"])
    log_copy = log_copy + functional.copy_log_probs_of_targets(
        outputs["pointer_logits"], match
    )
    return mask, match, log_generate, log_copy


def _head_inputs(outputs, y):
    """Generator states (N, D) and targets (N,)."""
    states = outputs["generator_states"]
    return ops.reshape(states, (-1, states.shape[-1])), _flatten(y)


def _through_the_head(
    backbone, per_token, loss_weights, training, kernel_gradient
):
    """The vocabulary head's part of the objective, and log P_gen (N,).

    Also gives `kernel_gradient` with what was added to it.
    """
    states, targets, *rest = per_token
    kernel = backbone.output_kernel()
    if _head_makes_gradients(loss_weights, training):
        return backend.mixture_loss(
            states,
            kernel,
            targets,
            *rest,
            (loss_weights["language_model"], loss_weights["generator"]),
            backbone.head_learns(),
            kernel_gradient,
        )
    generation = backend.target_log_probs(states, kernel, targets)
    return ops.zeros((), "float32"), generation, kernel_gradient


def _head_makes_gradients(loss_weights, training):
    head_terms = ("language_model", "generator")
    return training and any(loss_weights[term] for term in head_terms)


def _other_terms(loss_weights, training):
    """The terms that the vocabulary head does not add up itself."""
    if _head_makes_gradients(loss_weights, training):
        return ("pointer", "gate")
    return losses.TERMS


def _flatten(x):
    return ops.reshape(x, (-1,))


def unpack_batch(data):
    """x, y and float32 weights; without weights every real position counts."""
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    if y is None:
        raise ValueError(
            "A batch must have targets: (x, y) or (x, y, sample_weight). "
            "Received: y=None."
        )
    if sample_weight is None:
        sample_weight = x["padding_mask"]
    return x, ops.cast(y, "int32"), ops.cast(sample_weight, "float32")


class ObjectiveMetrics:
    """What `fit` and `evaluate` tell of `loss_sums`.

    `metrics` are its Keras metrics: the loss, the perplexity, each loss term,
    the pointer's mean reciprocal rank and the share of tokens copied.
    """

    def __init__(self):
        self.loss = CorpusMean(name="loss")
        self.perplexity = Perplexity()
        self.means = {
            **{term: CorpusMean(name=f"{term}_loss") for term in losses.TERMS},
            "pointer_mrr": CorpusMean(name="pointer_mrr"),
            "copied_share": CorpusMean(name="copied_share"),
        }
        self.metrics = [self.loss, self.perplexity, *self.means.values()]

    def update(self, sums):
        """Adds one batch, a dict from `loss_sums`."""
        self.loss.update_state(sums["objective"], sums["num_targets"])
        self.perplexity.update_state(*sums["language_model"])
        for name, metric in self.means.items():
            metric.update_state(*sums[name])

    def and_speed(self, callbacks):
        """A list of callbacks, the first of which tells tokens a second."""
        if isinstance(callbacks, keras.callbacks.CallbackList):
            return callbacks  # That `fit` made for its own `evaluate`.
        return [TokensPerSecond(self.loss), *(callbacks or [])]
