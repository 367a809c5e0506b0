"""The model's layers, one class a file."""
