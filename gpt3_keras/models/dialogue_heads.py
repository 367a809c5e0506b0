"""What is read from the encoder's states: intent, slots and spans."""

import keras
from keras import ops

from gpt3_keras import functional
from gpt3_keras import functional_dialogue
from gpt3_keras import functional_random
from gpt3_keras.models.dialogue_attention import UtteranceAttention

# The candidate of an open slot that is a span of the dialogue so far. Before
# it stand "none" and "dontcare", after it the span that was taken earlier.
NEW_SPAN = 2
# Layers to D features, and to one.
_DENSE = (
    *("text_hidden", "text", "element_hidden", "element"),
    *("context", "state", "described", "hidden"),
    *("candidate", "intent_candidate", "start", "end"),
)
_OUTPUTS = ("keep", "new_span", "requested", "intent")


class DialogueHeads(keras.layers.Layer):
    """Intent, slots and spans of each turn, from a schema that is text.

    Every element e of a schema, a slot or an intent, is its text's vector q_e.
    With h the encoder's states, n a turn and t its last token:

    c_ne = [Attention(q_e, system's words); Attention(q_e, user's words)]
    z_ne = MLP([h_t; c_ne; q_e])

    A slot's update is a softmax over keeping its value, w.z, and taking
    candidate v, (W z).q_v + the pointer's scores of v's mentions in the turn:
    start(z).k_i + end(z).k_j for a mention from token i to j, with the
    pointer's keys k. An open slot's candidate is a span: a logit for taking
    one, and softmaxes of the same scores over all tokens so far. The intent's
    update is alike. No weight belongs to a slot, an intent or a value: a new
    schema needs none.

    Args:
        hidden_dim: int, D.
        num_heads: int, of the attention. Divides `hidden_dim`.
        dropout: float in [0, 1).

    Call arguments:
        states: float (B, T, D), the encoder's.
        keys: float (B, T, D), the pointer's.
        texts: dict of `"slots"`, float (B, S, D), `"intents"`, (B, I, D), and
            `"values"`, (B, X, D): mean embeddings.
        x: dict, the batch, see `GPT3DialogueModel`.
        dropout_keys: int32 (B,), or None for no dropout.

    Returns:
        A dict of float32 tensors: `"intent_updates"` (B, N, 1 + I) and
        `"slot_updates"` (B, N, S, 1 + C), log-probabilities of keeping and of
        each candidate; `"requested_logits"` (B, N, S);
        `"start_log_probs"` and `"end_log_probs"` (B, N, S, T).
    """

    def __init__(self, hidden_dim, num_heads=4, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        self.hidden_dim = hidden_dim
        self.num_heads = num_heads
        self.dropout = dropout
        self.attention = UtteranceAttention(
            hidden_dim, num_heads, dtype=self.dtype_policy, name="attention"
        )
        for name in _DENSE:
            setattr(self, f"{name}_dense", self._dense(name, hidden_dim))
        for name in _OUTPUTS:
            setattr(self, f"{name}_output", self._dense(f"{name}_output", 1))

    def _dense(self, name, units):
        return keras.layers.Dense(units, dtype=self.dtype_policy, name=name)

    def build(self, states_shape, *_):
        size = self.hidden_dim
        self.attention.build(states_shape)
        for name in _DENSE:
            is_context = name == "context"
            width = 2 * (size + self.num_heads) if is_context else size
            getattr(self, f"{name}_dense").build((None, width))
        for name in _OUTPUTS:
            getattr(self, f"{name}_output").build((None, size))
        self.intent_query = self.add_weight(
            shape=(size,), initializer="glorot_uniform", name="intent_query"
        )
        # What a mention is worth that the system made, and the user.
        self.speaker_bias = self.add_weight(
            shape=(2,), initializer="zeros", name="speaker_bias"
        )
        self.built = True

    def call(self, states, keys, texts, x, dropout_keys=None):
        num_slots = ops.shape(texts["slots"])[1]
        slots_BSD = self._element(texts["slots"])
        intent_B1D = ops.zeros_like(slots_BSD[:, :1]) + ops.cast(
            self.intent_query, slots_BSD.dtype
        )
        elements_BED = ops.concatenate(
            [intent_B1D, slots_BSD, self._element(texts["intents"])], axis=1
        )
        z_BNED = self._read(states, elements_BED, x, dropout_keys)
        z_BN1D = z_BNED[:, :, :1]
        z_BNSD = z_BNED[:, :, 1 : 1 + num_slots]
        z_BNID = z_BNED[:, :, 1 + num_slots :]
        starts_BNST = self._point(self.start_dense(z_BNSD), keys)
        ends_BNST = self._point(self.end_dense(z_BNSD), keys)
        readable_BN1T = _readable(x)[:, :, None]
        requested_BNS1 = self.requested_output(z_BNSD)
        return {
            "intent_updates": self._intent_updates(
                z_BN1D, z_BNID, self._text(texts["intents"]), x
            ),
            "slot_updates": self._slot_updates(
                z_BNSD, self._text(texts["values"]), starts_BNST, ends_BNST, x
            ),
            "requested_logits": ops.cast(requested_BNS1[..., 0], "float32"),
            "start_log_probs": functional_dialogue.masked_log_softmax(
                starts_BNST, readable_BN1T
            ),
            "end_log_probs": functional_dialogue.masked_log_softmax(
                ends_BNST, readable_BN1T
            ),
        }

    def _text(self, texts):
        """Vectors of texts as candidates."""
        return texts + self.text_dense(ops.gelu(self.text_hidden_dense(texts)))

    def _element(self, texts):
        """Vectors of texts as slots and intents, that ask."""
        hidden = ops.gelu(self.element_hidden_dense(texts))
        return texts + self.element_dense(hidden)

    def _read(self, states, elements_BED, x, dropout_keys):
        """z, what each element reads in each turn, (B, N, E, D)."""
        context_BNEF = self.attention(states, elements_BED, x)
        ends_BN1 = _turn_ends(x)[..., None]
        states_BND = ops.take_along_axis(states, ends_BN1, axis=1)
        z = (
            self.context_dense(context_BNEF)
            + self.described_dense(elements_BED)[:, None]
            + self.state_dense(states_BND)[:, :, None]
        )
        z = self._dropped(ops.gelu(z), dropout_keys, 0)
        z = z + ops.gelu(self.hidden_dense(z))
        return self._dropped(z, dropout_keys, 1)

    def _dropped(self, z, keys, number):
        if keys is None or not self.dropout:
            return z
        shape = ops.shape(z)
        flat = ops.reshape(z, (shape[0], shape[1] * shape[2], self.hidden_dim))
        flat = functional_random.dropout(
            flat, self.dropout, functional_random.fold_in(keys, number)
        )
        return ops.reshape(flat, shape)

    def _point(self, queries_BNSD, keys_BTD):
        scores_BNST = ops.einsum("bnsd,btd->bnst", queries_BNSD, keys_BTD)
        return ops.cast(scores_BNST, "float32") / self.hidden_dim**0.5

    def _match(self, equation, queries, texts):
        scores = ops.cast(ops.einsum(equation, queries, texts), "float32")
        return scores / self.hidden_dim**0.5

    def _intent_updates(self, z_BN1D, z_BNID, intents_BID, x):
        asked_BND = self.intent_candidate_dense(z_BN1D)[:, :, 0]
        taken_BNI = self._match("bnd,bid->bni", asked_BND, intents_BID)
        taken_BNI = taken_BNI + ops.cast(
            self.intent_output(z_BNID)[..., 0], "float32"
        )
        has_text_BI = ops.any(x["intent_ids"] >= 0, axis=-1)
        keep_BN1 = self.keep_output(z_BN1D)[..., 0]
        return _updates(keep_BN1, taken_BNI, has_text_BI[:, None])

    def _slot_updates(self, z_BNSD, texts_BXD, starts_BNST, ends_BNST, x):
        candidates_BSC = x["candidates"]
        scores_BNSX = self._match(
            "bnsd,bxd->bnsx", self.candidate_dense(z_BNSD), texts_BXD
        )
        taken_BNSC = ops.take_along_axis(
            scores_BNSX, ops.maximum(candidates_BSC, 0)[:, None], axis=-1
        )
        taken_BNSC = taken_BNSC + self._mentions(
            starts_BNST, ends_BNST, x, ops.shape(taken_BNSC)
        )
        is_new_C = ops.equal(ops.arange(ops.shape(candidates_BSC)[2]), NEW_SPAN)
        takes_span_BSC = ops.logical_and(x["is_open"][:, :, None], is_new_C)
        taken_BNSC = ops.where(
            takes_span_BSC[:, None],
            ops.cast(self.new_span_output(z_BNSD), "float32"),
            taken_BNSC,
        )
        valid_BSC = ops.logical_or(candidates_BSC >= 0, takes_span_BSC)
        return _updates(
            self.keep_output(z_BNSD), taken_BNSC, valid_BSC[:, None]
        )

    def _mentions(self, starts_BNST, ends_BNST, x, shape):
        """Each candidate's score from where its text stands, (B, N, S, C)."""
        mentions = x["mentions"]
        turn, slot, candidate, first, last = (
            ops.maximum(mentions[..., i], 0) for i in range(5)
        )
        batch, num_turns, num_slots, length = ops.shape(starts_BNST)
        rows_BM = turn * num_slots + slot
        flat = (batch, num_turns * num_slots * length)
        scores_BM = sum(
            ops.take_along_axis(
                ops.reshape(logits, flat), rows_BM * length + place, axis=1
            )
            for logits, place in ((starts_BNST, first), (ends_BNST, last))
        )
        speaker_BM = ops.take_along_axis(x["segment_ids"], first, axis=1) % 2
        scores_BM = scores_BM + ops.take(
            ops.cast(self.speaker_bias, "float32"), speaker_BM
        )
        scores_BM = ops.where(mentions[..., 0] >= 0, scores_BM, 0.0)
        num_cells = num_turns * num_slots * shape[-1]
        cells_BM = rows_BM * shape[-1] + candidate
        cells_BM = cells_BM + num_cells * ops.arange(batch)[:, None]
        total = ops.scatter(
            ops.reshape(cells_BM, (-1, 1)),
            ops.reshape(scores_BM, (-1,)),
            (batch * num_cells,),
        )
        return ops.reshape(total, shape)


def _updates(keep, taken, valid):
    """Log-probabilities of keeping and of each candidate, float32."""
    taken = functional.mask_logits(taken, valid)
    logits = ops.concatenate([ops.cast(keep, "float32"), taken], axis=-1)
    return ops.log_softmax(logits, axis=-1)


def _turn_ends(x):
    """The last token of each turn, (B, N); 0 where there is no turn."""
    batch, num_utterances, width = ops.shape(x["utterances"])
    places = ops.reshape(
        x["utterances"], (batch, num_utterances // 2, 2 * width)
    )
    return ops.maximum(ops.max(places, axis=-1), 0)


def _readable(x):
    """Which tokens each turn's pointer may choose, bool (B, N, T)."""
    positions = ops.arange(ops.shape(x["token_ids"])[1])
    return ops.logical_and(
        ops.greater_equal(x["segment_ids"], 0)[:, None],
        positions[None, None] <= _turn_ends(x)[..., None],
    )
