"""Training and evaluating one network: a Keras model in, the same model with trained weights out."""
