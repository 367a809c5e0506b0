"""The language model: trains, scores and writes through the mixture."""

import keras
import keras_hub

from gpt3_keras import backend
from gpt3_keras.layers.mixture import Mixture
from gpt3_keras.models import compilation
from gpt3_keras.models import generation
from gpt3_keras.models import objective
from gpt3_keras.models import prompts
from gpt3_keras.models.backbone import GPT3Backbone
from gpt3_keras.models.exact_training import ExactTraining
from gpt3_keras.models.preprocessor import GPT3CausalLMPreprocessor


@keras.saving.register_keras_serializable(package="gpt3_keras")
class GPT3CausalLM(ExactTraining, keras_hub.models.CausalLM):
    """A pointer-generator language model.

    log p(x_{t+1} = v) = logaddexp(log g_t + log P_gen(v),
                                   log(1 - g_t) + log sum_{j<=t, x_j=v} a_tj)

    Calling the model gives these log-probabilities for every v. `fit` and
    `evaluate` never build them: they need the target's alone.

    Args:
        backbone: a `GPT3Backbone`.
        preprocessor: a `GPT3CausalLMPreprocessor`, or None to work on token
            ids.

    Call arguments:
        A dict of `"token_ids"`, int (B, T), and `"padding_mask"`, (B, T).

    Returns:
        float32 (B, T, V), log-probabilities of the token at t + 1.

    Example:

    ```python
    >>> backbone = GPT3Backbone(vocabulary_size=100, hidden_dim=16, num_heads=2,
    ...                         max_sequence_length=32)
    >>> model = GPT3CausalLM(backbone)
    >>> model.generate([[1, 2, 3]], max_new_tokens=2,
    ...                stop_token_ids=None)["token_ids"].shape
    (1, 5)

    ```

    Reference: See et al. 2017 (arXiv:1704.04368). Departures are listed in
    `DESIGN.md`.
    """

    backbone_cls = GPT3Backbone
    preprocessor_cls = GPT3CausalLMPreprocessor
    unpack = staticmethod(objective.unpack_batch)

    def __init__(self, backbone, preprocessor=None, compile=True, **kwargs):
        self.backbone = backbone
        self.preprocessor = preprocessor
        self.mixture = Mixture(dtype="float32", name="mixture")
        inputs = backbone.input
        outputs = self.mix(backbone(inputs), inputs["token_ids"])
        super().__init__(
            inputs=inputs, outputs=outputs, compile=False, **kwargs
        )
        self._sums = objective.ObjectiveMetrics()
        if compile:
            self.compile()

    def compile(
        self,
        optimizer="auto",
        loss="auto",
        *,
        weighted_metrics="auto",
        loss_weights=None,
        pointer_temperature=1.0,
        micro_batches=1,
        seed=None,
        sampler="top_k",
        sparse_targets=False,
        jit_compile=False,
        **kwargs,
    ):
        """Configures training and generation.

        Args:
            optimizer: a Keras optimizer or its name. `"auto"`: AdamW(1e-3).
                Its clipping works on the gradient of the whole batch.
            loss, weighted_metrics: only `"auto"`; the model brings its own.
            loss_weights: dict from `"language_model"`, `"generator"`,
                `"pointer"`, `"gate"` to a float, over `LOSS_WEIGHTS`.
            pointer_temperature: positive float, of the pointer loss's soft
                rank.
            micro_batches: int, into how many parts a replica's rows are cut,
                one after the other. Memory is that of one part, the update
                that of the whole batch.
            seed: int in [0, 2³²), of the dropout. Defaults to one that
                follows from `keras.utils.set_random_seed`.
            sampler: a KerasHub sampler or its name, for `generate`.
            sparse_targets: bool, most positions of a batch have the weight
                0: the vocabulary head leaves them out. The sums are the same,
                the number of positions varies: not under XLA.
            jit_compile: bool, compile losses and gradients with XLA. Slower
                on a CPU.
            **kwargs: as in `keras.Model.compile`.

        Raises:
            ValueError: an argument breaks its rule.
        """
        compilation.check(
            loss,
            weighted_metrics,
            micro_batches,
            pointer_temperature=pointer_temperature,
        )
        compilation.check_sparse(sparse_targets, jit_compile)
        self.loss_weights = compilation.term_weights(
            loss_weights, objective.LOSS_WEIGHTS
        )
        self.pointer_temperature = pointer_temperature
        self.sparse_targets = sparse_targets
        self.compile_step(
            optimizer,
            micro_batches,
            seed,
            jit_compile,
            sampler=sampler,
            **kwargs,
        )

    def get_compile_config(self):
        names = "loss_weights", "pointer_temperature", "sparse_targets"
        config = compilation.config(self, super().get_compile_config(), names)
        if config:
            config["sampler"] = keras_hub.samplers.serialize(self.sampler)
        return config

    def quantize(self, *args, **kwargs):
        super().quantize(*args, **kwargs)
        self.generate_function = None  # KerasHub keeps this one.

    def zero_losses(self):
        """What `compute_losses` gives for no row at all."""
        return objective.zero_sums()

    def compute_losses(self, x, y, sample_weight, training, **options):
        """Sums of every loss over a batch; see `objective.loss_sums`."""
        return objective.loss_sums(
            self.backbone,
            x,
            y,
            sample_weight,
            self.loss_weights,
            self.pointer_temperature,
            training,
            sparse_targets=self.sparse_targets,
            **options,
        )

    def mix(self, outputs, token_ids):
        """The log-probabilities (B, T, V) of the backbone's outputs."""
        return self.mixture(
            self.backbone.token_embedding(
                outputs["generator_states"], reverse=True
            ),
            outputs["pointer_logits"],
            outputs["gate_logits"],
            token_ids,
        )

    def attend(self, token_ids, padding_mask=None):
        """Where the pointer points, for pictures and for attribution.

        Args:
            token_ids: int (B, T).
            padding_mask: (B, T), 1 at real tokens. Defaults to all real.

        Returns:
            A dict of float32 arrays: `"pointer_probs"` (B, T, T), a;
            `"gate"` (B, T), the probability that the next token is generated.
        """
        return objective.attend(self.backbone, token_ids, padding_mask)

    def score(self, inputs, start_token_id="auto"):
        """Log-probabilities of whole sequences.

        Args:
            inputs: strings, or rows of token ids of any lengths, or a dict of
                `"token_ids"` and `"padding_mask"`.
            start_token_id: what the first token is predicted from. A row
                that begins with it already is not given another, and that
                token is not scored. `"auto"` is the tokenizer's start token;
                None scores from the second token on. Defaults to `"auto"`,
                which without a preprocessor is None.

        Returns:
            A dict of float32 and int32 arrays: `"token_log_probs"` (B, T),
            0 at padding and at tokens that are not scored; `"log_prob"`
            (B,), their sum; `"num_tokens"` (B,), how many were scored.

        Raises:
            ValueError: a row is longer than the model.
        """
        log_probs = self.graph("log_probs", objective.token_log_probs)
        return prompts.score(log_probs, self, inputs, start_token_id)

    def generate(
        self,
        inputs,
        max_length=None,
        stop_token_ids="auto",
        strip_prompt=False,
        *,
        max_new_tokens=None,
    ):
        """Writes on from prompts, with the sampler given to `compile`.

        Args:
            inputs: strings, or rows of token ids of any lengths, or a dict of
                `"token_ids"` and `"padding_mask"`; or a `tf.data.Dataset` of
                batches of what the preprocessor or the model takes.
            max_length: int, the longest result, prompt and start token
                included. Defaults to the preprocessor's sequence length; for
                ids without a preprocessor, to the dict's width or the
                model's `max_sequence_length`.
            stop_token_ids: ids that end a row, None for no such ids, or
                `"auto"` for the tokenizer's end token.
            strip_prompt: bool, return the new tokens only.
            max_new_tokens: int, the most tokens to add to each row, however
                long its prompt. Instead of `max_length`.

        Returns:
            Strings for strings (one for one), else a dict of arrays
            `"token_ids"` and `"padding_mask"`.

        Raises:
            ValueError: both lengths given; a prompt that leaves no room, or
                a length beyond the model's.
        """
        if hasattr(inputs, "as_numpy_iterator"):
            prompts.check_dataset(max_new_tokens)
            return super().generate(
                inputs, max_length, stop_token_ids, strip_prompt
            )
        return generation.write(
            self,
            inputs,
            max_length,
            max_new_tokens,
            stop_token_ids,
            strip_prompt,
        )

    def make_generate_function(self):
        """As KerasHub's; on TensorFlow one graph serves rows of all sizes."""
        if self.generate_function is None and not self.run_eagerly:
            self.generate_function = backend.generate_function(self)
        return super().make_generate_function()

    def generate_step(self, inputs, stop_token_ids=None, sampler=None):
        """Writes on a batch of padded prompts; compiled by `generate`.

        The prompts are read in one pass that fills the cache; from the
        shortest prompt's end on, each step reads one position.

        `inputs` is a dict of `"token_ids"`, int (B, T), and `"padding_mask"`,
        bool (B, T), True at the prompts; so is the result, True at what was
        written, too. `sampler` defaults to the compiled one.
        """
        return generation.generate_step(
            self, inputs, stop_token_ids, sampler or self.sampler
        )
