"""Sparse autoencoders: their weights, formats, directory and training."""
