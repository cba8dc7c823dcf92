"""Models behind an OpenAI-compatible HTTP endpoint, as attackers, judges or targets."""
