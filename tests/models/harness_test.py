"""KerasHub's own tests of a backbone and a task, on ours."""

import pathlib

import keras
import keras_hub
import pytest
from keras_hub.src.tests import test_case

from gpt3_keras.models.backbone import GPT3Backbone
from gpt3_keras.models.causal_lm import GPT3CausalLM
from gpt3_keras.samplers import SeededSampler
from tests.models import small

# Keras' own, and the harness's.
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't"),
    pytest.mark.filterwarnings("ignore:The `check_types` argument"),
    pytest.mark.filterwarnings("ignore:`shuffle=True` was passed"),
]

CHOICES = ({}, small.OTHER_CHOICES)


class GPT3BackboneTest(test_case.TestCase):
    # Deprecated in TensorFlow's test case, and not a test.
    test_session = None

    def setUp(self):
        super().setUp()
        token_ids = keras.ops.convert_to_tensor(
            [[1, 2, 3, 2, 9], [4, 5, 4, 0, 0]]
        )
        self.input_data = {
            "token_ids": token_ids,
            "padding_mask": keras.ops.convert_to_tensor(
                [[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]
            ),
        }

    def check_backbone(self, choices):
        self.run_backbone_test(
            cls=GPT3Backbone,
            init_kwargs=small.backbone_arguments(**choices),
            input_data=self.input_data,
            expected_output_shape={
                "encoder_states": (2, 5, 8),
                "pointer_logits": (2, 5, 5),
                "gate_logits": (2, 5),
                "generator_states": (2, 5, 8),
            },
        )

    def test_backbone_basics(self):
        self.check_backbone({})

    def test_backbone_basics_with_other_choices(self):
        self.check_backbone(small.OTHER_CHOICES)

    def test_saved_model(self):
        for choices in CHOICES:
            self.run_model_saving_test(
                cls=GPT3Backbone,
                init_kwargs=small.backbone_arguments(**choices),
                input_data=self.input_data,
            )


class GPT3CausalLMTest(test_case.TestCase):
    test_session = None

    def setUp(self):
        super().setUp()
        self.preprocessor = small.preprocessor(sequence_length=8)
        self.vocabulary_size = self.preprocessor.tokenizer.vocabulary_size()
        self.init_kwargs = {
            "backbone": small.backbone(vocabulary_size=self.vocabulary_size),
            "preprocessor": self.preprocessor,
        }
        self.train_data = ([" airplane at airport", " airplane airport"],)
        self.input_data = self.preprocessor(*self.train_data)[0]

    def test_causal_lm_basics(self):
        self.run_task_test(
            cls=GPT3CausalLM,
            init_kwargs=self.init_kwargs,
            train_data=self.train_data,
            expected_output_shape=(2, 8, self.vocabulary_size),
        )

    def test_saved_model(self):
        self.run_model_saving_test(
            cls=GPT3CausalLM,
            init_kwargs=self.init_kwargs,
            input_data=self.input_data,
        )

    def test_a_saved_model_goes_on_training(self):
        """compile's arguments and the optimizer's state come back too."""
        model = GPT3CausalLM(**self.init_kwargs)
        model.compile(
            keras.optimizers.Adam(1e-2),
            loss_weights={"pointer": 0.5},
            pointer_temperature=0.7,
            sampler=SeededSampler(0.8, top_k=5, seed=3),
            run_eagerly=True,
        )
        model.train_on_batch(*self.train_data)
        path = pathlib.Path(self.get_temp_dir()) / "model.keras"
        model.save(path)
        again = keras.models.load_model(path)
        assert again.get_compile_config() == model.get_compile_config()
        assert again.sampler.get_config() == model.sampler.get_config()
        for _ in range(2):
            self.assertAllClose(
                again.train_on_batch(*self.train_data, return_dict=True),
                model.train_on_batch(*self.train_data, return_dict=True),
            )

    def test_it_is_found_from_the_base_class(self):
        assert GPT3CausalLM in keras_hub.models.CausalLM.__subclasses__()
        assert GPT3Backbone in keras_hub.models.Backbone.__subclasses__()
