"""Attacks of several turns, wrappers, and attackers that talk back."""
