"""The flags of images that a network is trained on, of trainings and fine-tunings alike. Loads no TensorFlow."""

from __future__ import annotations

from absl import flags


def define(values: flags.FlagValues, otherwise: str, batch_size: int) -> None:
  """Defines them.

  Args:
    values: Where.
    otherwise: What holds where no dataset is given, the end of a sentence.
    batch_size: The default.
  """
  flags.DEFINE_string('dataset', None, f"'digits', 'cluttered_digits', a name of tensorflow-datasets, or 'folder:PATH'{otherwise}",
                      flag_values=values)
  flags.DEFINE_string('data_dir', None, 'Where tensorflow-datasets keeps datasets; by default ~/tensorflow_datasets.', flag_values=values)
  flags.DEFINE_bool('download', False, 'Whether a dataset that is not there may be downloaded.', flag_values=values)
  flags.DEFINE_float('validation_images', 0.0, 'Images taken out of the training set to evaluate on: a count above 1, a fraction below 1, '
                     'or 0 to train on all.', lower_bound=0.0, flag_values=values)
  flags.DEFINE_enum('augmentation', None, ['imagenet', 'cifar', 'digits', 'none'], 'Augmentation of training images; by default the one '
                    'that suits the dataset.', flag_values=values)
  flags.DEFINE_enum('color_jitter', 'strong', ['none', 'normal', 'strong'], "How much colours change in the augmentation 'imagenet'.",
                    flag_values=values)
  flags.DEFINE_integer('batch_size', batch_size, 'Images in a step, on all devices together.', lower_bound=1, flag_values=values)
  flags.DEFINE_integer('evaluation_batch_size', None, 'Images at once in an evaluation; by default --batch_size.', lower_bound=1,
                       flag_values=values)
  flags.DEFINE_integer('evaluate_every_epochs', 0, 'Epochs between evaluations on the validation images, or on the test images if none '
                       'are held out; 0 is never. Whatever they say, the last weights are kept.', lower_bound=0, flag_values=values)
