"""Gates: what scores a prompt, and so decides whether its row is steered."""
