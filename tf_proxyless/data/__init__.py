"""Datasets by name, splits that never touch the test set, and input pipelines whose order is a pure function.

    source = sources.open_dataset('digits')
    split = splits.make(source, validation_images=0.2, seed=0)
    transform = preprocessing.for_source(source, image_size=32)
    for images, labels in pipelines.training_batches(split, transform, batch_size=64, seed=0, epoch=3, start_step=7):
      ...
    architecture_batches = iter(pipelines.validation_stream(split, transform, batch_size=64, seed=0, start_step=41))
    for images, labels in pipelines.validation_pass(split, transform, batch_size=64):
      ...

`digits` and `cluttered_digits` are builders of tensorflow-datasets, `idx` makes some that read files, `image_folder` and `tfds_records`
find the records of a dataset, `verification` reads all images of a folder once, `records` reads them in any order, `selection` chooses
examples by the hash of their ids, `crops` and `color` are the parts of `preprocessing`.
"""
