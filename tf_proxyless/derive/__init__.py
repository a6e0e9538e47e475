"""From evaluated networks and a policy to one architecture within its budget; no TensorFlow."""
