"""The real tokenizer, made once."""

import pytest


@pytest.fixture(scope="session")
def gpt3_tokenizer():
    from gpt3_keras.models.tokenizer import GPT3Tokenizer

    return GPT3Tokenizer()
