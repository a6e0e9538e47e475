"""Trains and evaluates one network, any Keras model from images to logits.

    recipe = training.Recipe(epochs=60, steps_per_epoch=100)
    history = training.fit(model, lambda epoch: batches_of(epoch), recipe, seed=0)
    accuracy = training.accuracy(model, test_batches)
"""
