"""Datasets by name, splits that never touch the test set, and input pipelines whose order is a pure function.

    source = sources.open_dataset('digits')
    split = splits.make(source, validation_images=0.1, seed=0)
    transform = preprocessing.for_source(source, image_size=32)
    for epoch in range(epochs):
      for images, labels in pipelines.training_batches(split, transform, batch_size=64, seed=0, epoch=epoch):
        ...
"""
