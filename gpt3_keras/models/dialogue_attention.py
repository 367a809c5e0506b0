"""How the slots and intents of a schema read an utterance."""

import keras
from keras import ops

from gpt3_keras import functional


class UtteranceAttention(keras.layers.Layer):
    """What each element of a schema reads in each utterance.

    softmax_w(q_e . k_w / sqrt(K) + m [w says a value of slot e]) v_w

    in several heads, over the tokens w of one utterance; and beside it, how
    much of that softmax lies on values of the slot. So a slot sees that a
    value of its own is said, whichever it is.

    Args:
        hidden_dim: int, D.
        num_heads: int, H. Divides `hidden_dim`.

    Call arguments:
        states: float (B, T, D), the encoder's.
        elements: float (B, E, D), vectors of the elements: the intent, then
            the slots, then others.
        x: dict, the batch, of which the utterances and mentions are used.

    Returns:
        float (B, N, E, 2 (D + H)), from the system's words and the user's.

    Raises:
        ValueError: `num_heads` does not divide `hidden_dim`.
    """

    def __init__(self, hidden_dim, num_heads, **kwargs):
        super().__init__(**kwargs)
        if hidden_dim % num_heads:
            raise ValueError(
                "num_heads must divide hidden_dim. Received: "
                f"num_heads={num_heads}, hidden_dim={hidden_dim}."
            )
        self.hidden_dim = hidden_dim
        self.num_heads = num_heads
        # No bias for the keys: all scores of a query would move alike.
        self.query_dense, self.key_dense, self.value_dense = (
            keras.layers.Dense(
                hidden_dim,
                use_bias=name != "key",
                dtype=self.dtype_policy,
                name=name,
            )
            for name in ("query", "key", "value")
        )

    def build(self, states_shape, *_):
        for dense in (self.query_dense, self.key_dense, self.value_dense):
            dense.build(states_shape)
        self.mention_bias = self.add_weight(
            shape=(self.num_heads,), initializer="ones", name="mention_bias"
        )
        self.built = True

    def call(self, states, elements, x):
        places_BUW = x["utterances"]
        shape = ops.shape(places_BUW)
        batch, num_utterances, width = shape
        num_elements = ops.shape(elements)[1]
        heads = (self.num_heads, self.hidden_dim // self.num_heads)
        places = ops.reshape(
            ops.maximum(places_BUW, 0), (batch, num_utterances * width, 1)
        )
        keys_BUWHK, values_BUWHK = (
            ops.reshape(
                ops.take_along_axis(dense(states), places, axis=1),
                (*shape, *heads),
            )
            for dense in (self.key_dense, self.value_dense)
        )
        queries_BEHK = ops.reshape(
            self.query_dense(elements), (batch, num_elements, *heads)
        )
        scores_BUEHW = ops.einsum(
            "behk,buwhk->buehw", queries_BEHK, keys_BUWHK
        ) / ops.cast(heads[1] ** 0.5, states.dtype)
        marks_BTE = _marks(x, num_elements)
        marks_BUWE = ops.reshape(
            ops.take_along_axis(marks_BTE, places, axis=1),
            (*shape, num_elements),
        )
        marks_BUEW = ops.cast(
            ops.transpose(marks_BUWE, (0, 1, 3, 2)), states.dtype
        )
        bias_H1 = ops.cast(self.mention_bias, states.dtype)[:, None]
        scores_BUEHW = scores_BUEHW + bias_H1 * marks_BUEW[:, :, :, None]
        real_BUW = ops.greater_equal(places_BUW, 0)
        probs_BUEHW = ops.cast(
            functional.softmax(
                functional.mask_logits(scores_BUEHW, real_BUW[:, :, None, None])
            ),
            states.dtype,
        )
        read_BUEHK = ops.einsum("buehw,buwhk->buehk", probs_BUEHW, values_BUWHK)
        marked_BUEH = ops.einsum("buehw,buew->bueh", probs_BUEHW, marks_BUEW)
        read_BUEF = ops.concatenate(
            [
                ops.reshape(
                    read_BUEHK,
                    (batch, num_utterances, num_elements, self.hidden_dim),
                ),
                marked_BUEH,
            ],
            axis=-1,
        )
        return _side_by_side(read_BUEF, self.hidden_dim + self.num_heads)


def _side_by_side(read_BUEF, size):
    """What is read of a turn's two utterances, (B, N, E, 2F)."""
    batch, num_utterances, num_elements = ops.shape(read_BUEF)[:3]
    turns = (batch, num_utterances // 2)
    read = ops.reshape(read_BUEF, (*turns, 2, num_elements, size))
    read = ops.transpose(read, (0, 1, 3, 2, 4))
    return ops.reshape(read, (*turns, num_elements, 2 * size))


def _marks(x, num_elements):
    """1 where a token belongs to a value of an element, (B, T, E)."""
    mentions = x["mentions"]
    slot_BM1, first_BM1, last_BM1 = (mentions[..., i, None] for i in (1, 3, 4))
    positions = ops.arange(ops.shape(x["token_ids"])[1])
    covers_BMT = ops.logical_and(positions >= first_BM1, positions <= last_BM1)
    # Element 0 is the intent. What fills up has slot -1, and is no element's.
    is_slot_BME = ops.logical_and(
        ops.equal(slot_BM1 + 1, ops.arange(num_elements)), slot_BM1 >= 0
    )
    marks_BTE = ops.einsum(
        "bmt,bme->bte",
        ops.cast(covers_BMT, "float32"),
        ops.cast(is_slot_BME, "float32"),
    )
    return ops.minimum(marks_BTE, 1.0)
