"""The tokenizer, the backbone and the language model."""
