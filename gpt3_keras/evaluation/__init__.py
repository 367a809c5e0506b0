"""Evaluation: figures and pictures of a trained model."""
