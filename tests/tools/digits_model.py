"""A small network, trained on digits for some seconds in this process."""

from __future__ import annotations

import pathlib

import tf_keras as keras

from tf_proxyless.app import models
from tf_proxyless.data import pipelines
from tf_proxyless.data import preprocessing
from tf_proxyless.data import sources
from tf_proxyless.data import splits
from tf_proxyless.infra import files
from tf_proxyless.nn import keras_network
from tf_proxyless.space import io
from tf_proxyless.space import proxyless
from tf_proxyless.space import schema


def architecture() -> io.Architecture:
  """k7e6, k3e3 with a shortcut, skipped, k5e3: 8 x 8 pixels, 10 classes."""
  space = proxyless.proxyless(stage_filters=(16, 24), stage_blocks=(2, 2), stage_strides=(1, 2), stem_filters=16, stem_strides=1,
                              first_block_filters=8, head_filters=48, resolution=8, classes=10, name='tiny')
  genotype = schema.Genotype({path: index for (path, _), index in zip(schema.walk(space), (5, 0, 2, 6), strict=True)})
  return io.Architecture(schema.resolve(space, genotype), genotype)


def train(directory: pathlib.Path, data_dir: str) -> pathlib.Path:
  """Writes model.keras, architecture.json and results.json as a training does; the directory."""
  source = sources.open_dataset('digits', data_dir)
  transform, split, found = preprocessing.for_source(source, 8), splits.whole(source, 0), architecture()
  model = keras_network.build(found.network)
  model.compile(keras.optimizers.SGD(0.1, 0.9, nesterov=True), keras.losses.SparseCategoricalCrossentropy(from_logits=True), ['accuracy'])
  for epoch in range(6):
    model.optimizer.learning_rate = 0.1 if epoch < 4 else 0.01
    model.fit(pipelines.training_batches(split, transform, 64, 0, epoch), verbose=0)
  _, accuracy = model.evaluate(pipelines.test_pass(source, transform, 64), verbose=0)
  directory.mkdir()
  models.save(model, directory / 'model.keras')
  io.save_architecture(found, directory / 'architecture.json')
  files.write_json(directory / 'results.json', models.RESULTS, {'dataset': 'digits', 'test_top1': accuracy,
                                                               'class_names': list(source.class_names)})
  return directory
