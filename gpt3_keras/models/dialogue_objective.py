"""From a batch of dialogues to what is read in them, and to its losses."""

from keras import ops

from gpt3_keras import functional
from gpt3_keras import functional_dialogue
from gpt3_keras import functional_random
from gpt3_keras import losses
from gpt3_keras import losses_dialogue
from gpt3_keras.functional_random import fold_in
from gpt3_keras.metrics import CorpusMean
from gpt3_keras.metrics import TokensPerSecond
from gpt3_keras.models import objective

# Each term's weight in the objective; how they were tuned is in DESIGN.md.
LOSS_WEIGHTS = {
    "intent": 1.0,
    "requested": 1.0,
    "slot": 1.0,
    "span": 1.0,
    "constraint": 0.1,
    "similarity": 0.0,
    **dict.fromkeys(losses.TERMS, 0.0),
}
TERMS = tuple(LOSS_WEIGHTS)
_ACCURACIES = ("intent_accuracy", "slot_accuracy", "joint_accuracy")


def read(model, x, dropout_key=None):
    """What the heads read in a batch, and the encoder's states.

    The generator and the vocabulary head play no part, and cost nothing.

    Args:
        model: a `GPT3DialogueModel`.
        x: dict, the batch.
        dropout_key: int32 scalar, or None for no dropout.

    Returns:
        (dict as of `DialogueHeads`, float (B, T, D)).
    """
    backbone, keys = model.backbone, None
    token_ids = x["token_ids"]
    if dropout_key is not None:
        keys = functional_random.row_keys(
            token_ids, x["padding_mask"], dropout_key
        )
        token_ids = _drop_words(token_ids, x, model.word_dropout, keys)
    # The numbers of the keys are those of the backbone.
    embedded = functional_random.dropout(
        backbone.embed(token_ids), backbone.dropout, fold_in(keys, 0)
    )
    states = backbone.encoder(
        embedded, x["padding_mask"], dropout_keys=fold_in(keys, 1)
    )
    outputs = model.heads(
        states,
        backbone.pointer.key_dense(states),
        embed_texts(backbone, x),
        x,
        dropout_keys=fold_in(keys, 3),
    )
    return outputs, states


def _drop_words(token_ids, x, rate, keys):
    """Some words of the utterances become the start token.

    What is known of a value is then that it is one, and where it stands.
    """
    if not rate:
        return token_ids
    places = ops.arange(ops.shape(token_ids)[1], dtype="int32")
    dropped = (
        functional_random.uniform(fold_in(keys, 4)[:, None], places) < rate
    )
    dropped = ops.logical_and(dropped, x["segment_ids"] >= 0)
    return ops.where(dropped, token_ids[:, :1], token_ids)


def embed_texts(backbone, x):
    """Mean embeddings of the schema's texts; see `DialogueHeads`."""

    def pooled(ids):
        embedded = backbone.token_embedding(ops.maximum(ids, 0))
        return functional_dialogue.pool_texts(
            embedded * backbone.hidden_dim**0.5, ids
        )

    return {
        "slots": pooled(x["slot_ids"]),
        "intents": pooled(x["intent_ids"]),
        "values": pooled(x["text_ids"]),
    }


def loss_sums(model, x, y, sample_weight, dropout_key, kernel_gradient):
    """Sums of every loss over a batch.

    Args:
        model: a compiled `GPT3DialogueModel`.
        x, y, sample_weight: the batch.
        dropout_key: int32 scalar; None for no dropout, in evaluation.
        kernel_gradient: float32 (V, D), or None; see `objective.loss_sums`.

    Returns:
        A dict: `"objective"`, the weighted sum of all terms, float32;
        `"num_targets"`, the turns that count; (sum, count) pairs for each of
        `TERMS` and three accuracies; and `"kernel_gradient"`, if one was
        given.
    """
    outputs, states = read(model, x, dropout_key)
    sums = _turn_sums(model, outputs, states, x, y, sample_weight)
    weights = model.loss_weights
    total = ops.zeros((), "float32")
    for term in losses_dialogue.TERMS:
        if weights[term]:
            total = total + weights[term] * sums[term][0]
    text_weights = {term: weights[term] for term in losses.TERMS}
    if any(text_weights.values()):
        text = _text_sums(model, x, text_weights, dropout_key, kernel_gradient)
        total = total + text["objective"]
        kernel_gradient = text.get("kernel_gradient")
        sums.update({term: text[term] for term in losses.TERMS})
    else:
        zero = ops.zeros((), "float32")
        sums.update(dict.fromkeys(losses.TERMS, (zero, zero)))
    if kernel_gradient is not None:
        sums["kernel_gradient"] = kernel_gradient
    num_turns = ops.sum(sample_weight)
    return {**sums, "objective": total, "num_targets": num_turns}


def _text_sums(model, x, weights, dropout_key, kernel_gradient):
    """The language model's losses on the dialogues' own words."""
    following = ops.roll(x["token_ids"], -1, axis=1)
    real = ops.cast(x["padding_mask"], "float32")
    counts = ops.concatenate([real[:, 1:], ops.zeros_like(real[:, :1])], axis=1)
    return objective.loss_sums(
        model.backbone,
        {name: x[name] for name in ("token_ids", "padding_mask")},
        following,
        counts,
        weights,
        1.0,
        dropout_key is not None,
        dropout_key=dropout_key,
        kernel_gradient=kernel_gradient,
    )


def _turn_sums(model, outputs, states, x, y, weights_BN):
    """The sums of the dialogue's own terms, and of the accuracies."""
    intents_BNI = functional_dialogue.belief_log_probs(
        outputs["intent_updates"], weights_BN > 0
    )
    before_BNS, now_BNS = y["slots"][..., 0], y["slots"][..., 1]
    slots_BNSC = functional_dialogue.state_log_probs(
        outputs["slot_updates"], before_BNS
    )
    weights_BNS = weights_BN[..., None] * ops.cast(now_BNS >= 0, "float32")
    takes_new = ops.logical_and(x["is_open"][:, None], now_BNS == 2)
    real_BS = ops.cast(ops.any(x["slot_ids"] >= 0, axis=-1), "float32")
    assignments = ops.where(
        y["complete"][..., None, None, None, None],
        y["assignments"][:, None, 1],
        y["assignments"][:, None, 0],
    )
    smoothing = model.label_smoothing
    return {
        "intent": losses_dialogue.slot_loss(
            intents_BNI,
            y["intents"],
            _valid(intents_BNI),
            weights_BN,
            smoothing,
        ),
        "requested": losses_dialogue.requested_loss(
            outputs["requested_logits"],
            y["requested"],
            weights_BN[..., None] * real_BS[:, None],
        ),
        "slot": losses_dialogue.slot_loss(
            slots_BNSC, now_BNS, _valid(slots_BNSC), weights_BNS, smoothing
        ),
        "span": losses_dialogue.span_loss(
            outputs["start_log_probs"],
            outputs["end_log_probs"],
            y["spans"],
            weights_BNS * ops.cast(takes_new, "float32"),
        ),
        "constraint": losses_dialogue.constraint_loss(
            functional_dialogue.allowed_log_mass(
                intents_BNI,
                slots_BNSC,
                y["class_slots"],
                y["classes"],
                assignments,
            ),
            weights_BN,
        ),
        "similarity": _similarity(model, states, x, weights_BN),
        **_accuracies(intents_BNI, slots_BNSC, y, weights_BN, weights_BNS),
    }


def _valid(log_probs):
    """The candidates that there are, or that can be kept."""
    return log_probs > 0.5 * functional.MASKED_LOGIT


def _similarity(model, states, x, weights_BN):
    """The similarity of each dialogue so far and of what is said next."""
    segments = x["segment_ids"]
    num_turns = ops.shape(weights_BN)[1]
    turns = ops.arange(num_turns)[None, :, None]
    said = segments[:, None] >= 0
    so_far = ops.logical_and(said, segments[:, None] // 2 <= turns)
    reply = segments[:, None] == 2 * (turns + 1)
    contexts, replies = (
        _mean(model.similarity_dense(states), mask) for mask in (so_far, reply)
    )
    has_reply = ops.cast(ops.any(reply, axis=-1), "float32")
    has_turn = ops.cast(ops.any(segments[:, None] // 2 == turns, -1), "float32")
    # A row of zeros, that fills up a micro-batch, has no reply that counts.
    counts = ops.cast(ops.any(weights_BN > 0, axis=1), "float32")[:, None]
    return losses_dialogue.similarity_loss(
        contexts,
        replies,
        counts * has_reply * has_turn,
        model.similarity_temperature,
        model.similarity_form,
    )


def _mean(states, mask):
    """Mean state over the positions of each mask, (B, N, D)."""
    mask = ops.cast(mask, states.dtype)
    total = ops.einsum("bnt,btd->bnd", mask, states)
    return total / ops.maximum(ops.sum(mask, axis=-1, keepdims=True), 1.0)


def _accuracies(intents_BNI, slots_BNSC, y, weights_BN, weights_BNS):
    """How often the likeliest state is right; of slots given the one before."""
    intent_BN = ops.argmax(intents_BNI, axis=-1) == y["intents"]
    slot_BNS = ops.argmax(slots_BNSC, axis=-1) == y["slots"][..., 1]
    joint_BN = ops.all(ops.logical_or(slot_BNS, weights_BNS == 0), axis=-1)
    return {
        name: (ops.sum(w * ops.cast(hit, "float32")), ops.sum(w))
        for name, hit, w in (
            ("intent_accuracy", intent_BN, weights_BN),
            ("slot_accuracy", slot_BNS, weights_BNS),
            ("joint_accuracy", joint_BN, weights_BN),
        )
    }


def zero_sums():
    """What `loss_sums` gives for no row at all."""
    zero = ops.zeros((), "float32")
    return {
        **dict.fromkeys((*TERMS, *_ACCURACIES), (zero, zero)),
        "objective": zero,
        "num_targets": zero,
    }


class DialogueMetrics:
    """What `fit` and `evaluate` tell of `loss_sums`."""

    def __init__(self):
        self.loss = CorpusMean(name="loss")
        self.means = {
            **{term: CorpusMean(name=f"{term}_loss") for term in TERMS},
            **{name: CorpusMean(name=name) for name in _ACCURACIES},
        }
        self.metrics = [self.loss, *self.means.values()]

    def update(self, sums):
        """Adds one batch, a dict from `loss_sums`."""
        self.loss.update_state(sums["objective"], sums["num_targets"])
        for name, metric in self.means.items():
            metric.update_state(*sums[name])

    def and_speed(self, callbacks):
        """A list of callbacks, the first of which tells turns a second."""
        return [TokensPerSecond(self.loss), *(callbacks or [])]
