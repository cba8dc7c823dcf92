"""Serves a steered model: an OpenAI-compatible API, a playground page and the engines under both."""
