"""Search spaces as pure data; imports nothing of ours and no TensorFlow."""
