"""What steering costs: questions by likelihood and in letters, plain text, and lm-eval's tasks."""
