"""Google's benchmark_model for this machine: its flags and its output, on ai-edge-litert, and many models in one process."""
