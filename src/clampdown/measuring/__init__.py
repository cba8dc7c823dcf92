"""Measures what steering does: sets of prompts, judges of answers, capability, and statistics."""
