"""Serves a steered model by an OpenAI-compatible API, with a receipt for each answer."""
