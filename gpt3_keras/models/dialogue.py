"""The dialogue model: what the user wants, after each turn."""

import keras
import keras_hub
from keras import ops

from gpt3_keras import functional_dialogue
from gpt3_keras import functional_random
from gpt3_keras.models import compilation
from gpt3_keras.models import dialogue_objective
from gpt3_keras.models.backbone import GPT3Backbone
from gpt3_keras.models.dialogue_heads import DialogueHeads
from gpt3_keras.models.exact_training import ExactTraining
from gpt3_keras.models.preprocessor import GPT3CausalLMPreprocessor

# The parts of x that it reads; data/dialogue_batches.py describes them.
INPUTS = (
    "token_ids",
    "padding_mask",
    "segment_ids",
    "utterances",
    "intent_ids",
    "slot_ids",
    "text_ids",
    "candidates",
    "is_open",
    "mentions",
)


@keras.saving.register_keras_serializable(package="gpt3_keras")
class GPT3DialogueModel(ExactTraining, keras_hub.models.Task):
    """Intent, slot values and requested slots after each turn of a dialogue.

    p(s_n = v | s_{n-1}) = keep_n [v = s_{n-1}] + u_n(v)

    for each slot, and for the intent. The dialogue is encoded once, as one row
    of tokens; u_n and keep_n are read at the last token of turn n, see
    `DialogueHeads`, and no later word has a part in them. Training maximises
    the probability of each state given the one before.

    Args:
        backbone: a `GPT3Backbone`. Its generator has no part in the states.
        preprocessor: a `GPT3CausalLMPreprocessor`, whose tokenizer is kept
            with the model; batches are of tokens. Defaults to None.
        num_heads: int, of the attention to the utterances.
        head_dropout: float in [0, 1), of the heads.
        word_dropout: float in [0, 1), share of the words that training hides.

    Call arguments:
        A dict of the parts x that `data/dialogue_batches.py` describes.

    Returns:
        A dict, see `DialogueHeads`.

    Reference: Rastogi et al. 2020 (arXiv:1909.05855), section 5, on schemas
    read as text; Vinyals et al. 2015 (arXiv:1506.03134) on pointing. The
    departures are listed in `DESIGN.md`.
    """

    backbone_cls = GPT3Backbone
    preprocessor_cls = GPT3CausalLMPreprocessor

    def __init__(
        self,
        backbone,
        preprocessor=None,
        num_heads=4,
        head_dropout=0.1,
        word_dropout=0.0,
        compile=True,
        **kwargs,
    ):
        super().__init__(compile=False, **kwargs)
        self.backbone = backbone
        self.preprocessor = preprocessor
        self.num_heads = num_heads
        self.head_dropout = head_dropout
        self.word_dropout = word_dropout
        policy = self.dtype_policy = backbone.dtype_policy
        self.heads = DialogueHeads(
            backbone.hidden_dim,
            num_heads,
            head_dropout,
            dtype=policy,
            name="heads",
        )
        self.similarity_dense = keras.layers.Dense(
            backbone.hidden_dim, dtype=policy, name="similarity"
        )
        states_shape = (None, None, backbone.hidden_dim)
        self.heads.build(states_shape)
        self.similarity_dense.build(states_shape)
        self.built = True
        self._sums = dialogue_objective.DialogueMetrics()
        if compile:
            self.compile()

    def call(self, inputs, training=None):
        key = None
        if training:
            seed = self.backbone.seed_generator.next()
            key = functional_random.fold_in(seed[0], seed[1])
        return dialogue_objective.read(self, inputs, key)[0]

    def compile(
        self,
        optimizer="auto",
        loss="auto",
        *,
        weighted_metrics="auto",
        loss_weights=None,
        label_smoothing=0.0,
        similarity_form="log_sum_exp",
        similarity_temperature=0.1,
        micro_batches=1,
        seed=None,
        jit_compile=False,
        **kwargs,
    ):
        """Configures training.

        Args:
            optimizer, micro_batches, seed, jit_compile: as for
                `GPT3CausalLM`.
            loss, weighted_metrics: only `"auto"`; the model brings its own.
            loss_weights: dict from `"intent"`, `"requested"`, `"slot"`,
                `"span"`, `"constraint"`, `"similarity"`, and the language
                model's `"language_model"`, `"generator"`, `"pointer"`,
                `"gate"`, to a float, over `LOSS_WEIGHTS`. Each is a sum over
                the batch, divided by the turns that count.
            label_smoothing: float in [0, 1), of intents and slots.
            similarity_form: `"log_sum_exp"` or `"least_squares"`.
            similarity_temperature: positive float.
            **kwargs: as in `keras.Model.compile`.

        Raises:
            ValueError: an argument breaks its rule.
        """
        compilation.check(
            loss,
            weighted_metrics,
            micro_batches,
            similarity_temperature=similarity_temperature,
        )
        _check(label_smoothing, similarity_form)
        self.loss_weights = compilation.term_weights(
            loss_weights, dialogue_objective.LOSS_WEIGHTS
        )
        self.label_smoothing = label_smoothing
        self.similarity_form = similarity_form
        self.similarity_temperature = similarity_temperature
        self.compile_step(optimizer, micro_batches, seed, jit_compile, **kwargs)

    def get_compile_config(self):
        names = (
            "loss_weights",
            "label_smoothing",
            "similarity_form",
            "similarity_temperature",
        )
        return compilation.config(self, super().get_compile_config(), names)

    def save_task_weights(self, filepath):
        """Writes the weights beside the backbone's, and no optimizer's."""
        keras.saving.save_weights(
            self, filepath, objects_to_skip=self._kept_elsewhere()
        )

    def load_task_weights(self, filepath):
        """Reads what `save_task_weights` wrote."""
        keras.saving.load_weights(
            self, filepath, objects_to_skip=self._kept_elsewhere()
        )

    def _kept_elsewhere(self):
        return [*self.backbone._flatten_layers(), self.optimizer]

    @property
    def layers(self):
        """The parts that have weights.

        Named here, as Keras makes a functional model's class of every KerasHub
        task once one of them is one, and would look for a graph.
        """
        return [self.backbone, self.heads, self.similarity_dense]

    def preprocess_samples(self, x, y=None, sample_weight=None):
        """The batch as it is: it holds tokens already."""
        return keras.utils.pack_x_y_sample_weight(x, y, sample_weight)

    @staticmethod
    def unpack(data):
        """x, y and sample_weight of a batch of labelled dialogues."""
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        if y is None or sample_weight is None:
            raise ValueError(
                "A batch must be (x, y, sample_weight), as "
                "data/dialogue_batches.py describes it. Received: "
                f"y is None={y is None}, sample_weight is None="
                f"{sample_weight is None}."
            )
        return x, y, sample_weight

    def zero_losses(self):
        """What `compute_losses` gives for no row at all."""
        return dialogue_objective.zero_sums()

    def compute_losses(
        self,
        x,
        y,
        sample_weight,
        training,
        dropout_key=None,
        kernel_gradient=None,
    ):
        """Sums of every loss; see `dialogue_objective.loss_sums`."""
        return dialogue_objective.loss_sums(
            self,
            x,
            y,
            sample_weight,
            dropout_key if training else None,
            kernel_gradient,
        )

    def understand(self, x, max_span_tokens=12):
        """What is read in each turn of a batch of dialogues.

        `evaluation.dialogue` makes states of it.

        Args:
            x: dict, the batch.
            max_span_tokens: int, the longest value of an open slot.

        Returns:
            A dict of arrays: `"intent_updates"` (B, N, 1 + I) and
            `"slot_updates"` (B, N, S, 1 + C), probabilities of keeping and of
            taking each candidate; `"requested"` (B, N, S), probabilities;
            `"spans"` int32 (B, N, S, 2), first and last token of the span
            that an open slot would take.
        """
        inputs = {name: ops.convert_to_tensor(x[name]) for name in INPUTS}
        understand = self.graph("understand", type(self)._read_states)
        read = understand(inputs, max_span_tokens)
        return {k: ops.convert_to_numpy(v) for k, v in read.items()}

    def _read_states(self, x, max_span_tokens):
        outputs = dialogue_objective.read(self, x)[0]
        return {
            "intent_updates": ops.exp(outputs["intent_updates"]),
            "slot_updates": ops.exp(outputs["slot_updates"]),
            "requested": ops.sigmoid(outputs["requested_logits"]),
            "spans": functional_dialogue.best_spans(
                outputs["start_log_probs"],
                outputs["end_log_probs"],
                x["segment_ids"],
                max_span_tokens,
            ),
        }

    def get_config(self):
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "head_dropout": self.head_dropout,
            "word_dropout": self.word_dropout,
        }


def _check(label_smoothing, similarity_form):
    """Raises for what `compile` cannot take."""
    if not 0 <= label_smoothing < 1:
        raise ValueError(
            "label_smoothing must be in [0, 1). Received: "
            f"label_smoothing={label_smoothing}."
        )
    if similarity_form not in ("log_sum_exp", "least_squares"):
        raise ValueError(
            'similarity_form must be "log_sum_exp" or "least_squares". '
            f"Received: similarity_form={similarity_form!r}."
        )
