"""The flags of quantization-aware fine-tuning. Loads no TensorFlow."""

from __future__ import annotations

from absl import flags

from tf_proxyless.app import command_line
from tf_proxyless.app import run_flags
from tf_proxyless.app import training_data_flags

_RATE, _RATE_BATCH_SIZE = 0.005, 256


def _define_run(values: flags.FlagValues) -> None:
  flags.DEFINE_string('model', None, 'A .keras file with its architecture beside it, or the directory of a training. Required.',
                      flag_values=values)
  flags.DEFINE_string('run_dir', None, 'Directory of the run; one that was interrupted there continues. Required.', flag_values=values)
  flags.DEFINE_integer('checkpoint_every_steps', 1000, 'Steps between checkpoints; one is also made after each epoch.', lower_bound=1,
                       flag_values=values)
  flags.DEFINE_bool('deterministic', False, 'Whether only operations are used that always give the same result; a GPU has others, and is '
                    'slower then. A CPU always gives the same with as many threads.', flag_values=values)
  flags.DEFINE_integer('seed', 0, 'Seed of dropout, split and data order.', lower_bound=0, upper_bound=2**31 - 1, flag_values=values)


def _define_data(values: flags.FlagValues) -> None:
  training_data_flags.define(values, '; by default the one that the model was trained on.', 256)


def _define_recipe(values: flags.FlagValues) -> None:
  flags.DEFINE_integer('epochs', 10, 'Passes over the training images.', lower_bound=1, flag_values=values)
  flags.DEFINE_float('learning_rate', None, f'Learning rate of SGD at the start; a cosine to 0. By default {_RATE} for a batch of '
                     f'{_RATE_BATCH_SIZE}, and in proportion for others.', lower_bound=0.0, flag_values=values)
  flags.DEFINE_float('momentum', 0.9, 'Nesterov momentum of SGD, a share.', lower_bound=0.0, upper_bound=1.0, flag_values=values)
  flags.DEFINE_float('weight_decay', 4e-5, 'Decay of kernels, as a part of the gradient; a factor.', lower_bound=0.0, upper_bound=1.0,
                     flag_values=values)
  flags.DEFINE_float('label_smoothing', 0.1, 'Share of each label that is spread over all classes.', lower_bound=0.0, upper_bound=1.0,
                     flag_values=values)


def _define_quantization(values: flags.FlagValues) -> None:
  flags.DEFINE_integer('calibration_batches', 10, 'Batches of training images that give activations their first ranges.', lower_bound=1,
                       flag_values=values)
  flags.DEFINE_float('range_momentum', 0.99, 'Momentum of the moving averages that these ranges are then, a share of a step.',
                     lower_bound=0.0, upper_bound=1.0, flag_values=values)
  flags.DEFINE_float('batch_norm_share', 0.3, 'Share of the steps after which the statistics of batch normalisation stand still.',
                     lower_bound=0.0, upper_bound=1.0, flag_values=values)


RUN = run_flags.RunFlags(
    {'Run': _define_run, 'Data': _define_data, 'Recipe': _define_recipe, 'Quantization': _define_quantization},
    may_change=('model', 'run_dir', 'data_dir', 'download', 'checkpoint_every_steps', 'evaluation_batch_size'))


def learning_rate(values: flags.FlagValues) -> float:
  """The learning rate at the start."""
  return _RATE * values.batch_size / _RATE_BATCH_SIZE if values.learning_rate is None else values.learning_rate


def check(values: flags.FlagValues) -> None:
  """Refuses flags that do not fit each other.

  Raises:
    ValueError: In one line, which and what to do.
  """
  command_line.require(values, 'model', 'run_dir')
  run_flags.check_validation_images(values.validation_images, may_be_none=True)
  run_flags.check_below_one(values, 'momentum', 'label_smoothing', 'range_momentum', 'weight_decay')
  if values.learning_rate is not None and values.learning_rate <= 0.0:
    raise ValueError(f'--learning_rate must be above 0, got {values.learning_rate:g}')
