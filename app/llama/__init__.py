"""Serving Llama 4 with vLLM: which flags on which GPUs and why, whether it fits, and what it then carries."""
