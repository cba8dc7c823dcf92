"""lm-eval on our model: its own prompts, tasks and metrics, steered."""
