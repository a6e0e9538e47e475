"""The flags of a training; defaults are those of the official code (imagenet_run_exp.py). Loads no TensorFlow."""

from __future__ import annotations

from absl import flags

from tf_proxyless.app import command_line
from tf_proxyless.app import run_flags
from tf_proxyless.app import training_data_flags
from tf_proxyless.data import names as dataset_names

SUPERNET = 'supernet'  # value of --init

_OFFICIAL_RATE, _OFFICIAL_BATCH_SIZE = 0.05, 256


def _define_run(values: flags.FlagValues) -> None:
  flags.DEFINE_string('run_dir', None, 'Directory of the run; a training that was interrupted there continues. Required, except with '
                      '--evaluate_only and --init.', flag_values=values)
  flags.DEFINE_integer('checkpoint_every_steps', 1000, 'Steps between checkpoints; one is also made after each epoch.', lower_bound=1,
                       flag_values=values)
  flags.DEFINE_bool('evaluate_only', False, 'Whether only to say how good the model of --init, or else of --run_dir, is on test images.',
                    flag_values=values)
  flags.DEFINE_bool('deterministic', False, 'Whether only operations are used that always give the same result; a GPU has others, and is '
                    'slower then. A CPU always gives the same with as many threads.', flag_values=values)
  flags.DEFINE_integer('seed', 0, 'Seed of weights, dropout, split and data order.', lower_bound=0, upper_bound=2**31 - 1,
                       flag_values=values)


def _define_network(values: flags.FlagValues) -> None:
  flags.DEFINE_string('architecture', None, "An architecture.json, a published network's name, or mobilenet_v2; by default that of --init. "
                      'One of the two is required.', flag_values=values)
  flags.DEFINE_integer('resolution', None, 'Height and width of the input, pixels; by default as in the file, or 224.', lower_bound=1,
                       flag_values=values)
  flags.DEFINE_float('width_multiplier', 1.0, 'Factor of all widths of proxyless_mobile or mobilenet_v2, rounded to multiples of 8.',
                     lower_bound=0.0, flag_values=values)
  flags.DEFINE_float('dropout_rate', None, "Share of inputs of the classifier that is dropped; by default the network's own.",
                     lower_bound=0.0, upper_bound=1.0, flag_values=values)
  flags.DEFINE_string('init', None, "Where start values come from: 'supernet' (of --search_dir), a .keras file or the directory of a "
                      'training; by default they are random.', flag_values=values)
  flags.DEFINE_string('search_dir', None, 'Directory of the search that found the architecture. Required for --init=supernet.',
                      flag_values=values)


def _define_data(values: flags.FlagValues) -> None:
  training_data_flags.define(values, '. Required.', _OFFICIAL_BATCH_SIZE)


def _define_recipe(values: flags.FlagValues) -> None:
  flags.DEFINE_integer('epochs', 300, 'Passes over the training images.', lower_bound=1, flag_values=values)
  flags.DEFINE_float('learning_rate', None, f'Learning rate after the warm-up; by default {_OFFICIAL_RATE} for a batch of '
                     f'{_OFFICIAL_BATCH_SIZE}, and in proportion for others.', lower_bound=0.0, flag_values=values)
  flags.DEFINE_float('warmup_epochs', 0.0, 'Epochs in which the learning rate rises from 0.', lower_bound=0.0, flag_values=values)
  flags.DEFINE_enum('schedule', 'cosine', ['cosine', 'exponential'], 'How the learning rate falls: a cosine to 0, or steps of '
                    '--decay_rate.', flag_values=values)
  flags.DEFINE_float('decay_rate', 0.97, 'Factor of the exponential schedule every --decay_epochs.', lower_bound=0.0, upper_bound=1.0,
                     flag_values=values)
  flags.DEFINE_float('decay_epochs', 2.4, 'Epochs between steps of the exponential schedule.', lower_bound=0.0, flag_values=values)
  flags.DEFINE_float('weight_decay', 4e-5, 'Decay of kernels, as a part of the gradient; a factor.', lower_bound=0.0, flag_values=values)
  flags.DEFINE_bool('decoupled_weight_decay', False, 'Whether decay is apart from the momentum; at equal effect --weight_decay is then '
                    'larger by 1 / (1 - momentum).', flag_values=values)
  flags.DEFINE_float('label_smoothing', 0.1, 'Share of each label that is spread over all classes.', lower_bound=0.0, upper_bound=1.0,
                     flag_values=values)
  flags.DEFINE_float('average_momentum', None, 'Momentum, a share, of a moving average of the weights, which is then the result; none by '
                     'default.', lower_bound=0.0, upper_bound=1.0, flag_values=values)


def _define_optimizer(values: flags.FlagValues) -> None:
  flags.DEFINE_enum('optimizer', 'sgd', ['sgd', 'rmsprop'], 'SGD with Nesterov momentum, or RMSProp.', flag_values=values)
  flags.DEFINE_float('momentum', 0.9, 'Momentum of the optimizer, a share.', lower_bound=0.0, upper_bound=1.0, flag_values=values)
  flags.DEFINE_float('rho', 0.9, "Momentum of RMSProp's average of squared gradients, a share.", lower_bound=0.0, upper_bound=1.0,
                     flag_values=values)
  flags.DEFINE_float('epsilon', 1e-3, 'Constant in the denominator of RMSProp.', lower_bound=0.0, flag_values=values)
  flags.DEFINE_enum('precision', 'float32', ['float32', 'mixed_float16', 'mixed_bfloat16'], 'Precision of the computation; weights are '
                    'float32.', flag_values=values)


RUN = run_flags.RunFlags(
    {'Run': _define_run, 'Network': _define_network, 'Data': _define_data, 'Recipe': _define_recipe, 'Optimizer': _define_optimizer},
    may_change=('run_dir', 'data_dir', 'download', 'checkpoint_every_steps', 'evaluate_only', 'evaluation_batch_size'))


def learning_rate(values: flags.FlagValues) -> float:
  """The learning rate after the warm-up."""
  if values.learning_rate is not None:
    return values.learning_rate
  return _OFFICIAL_RATE * values.batch_size / _OFFICIAL_BATCH_SIZE


def check(values: flags.FlagValues) -> None:
  """Refuses flags that do not fit each other.

  Raises:
    ValueError: In one line, which and what to do.
  """
  command_line.require(values, 'dataset')
  dataset_names.check(values.dataset, values.data_dir)
  if values.evaluate_only:
    if not (values.init or values.run_dir):
      raise ValueError('--evaluate_only needs --init or --run_dir, to say which model')
    if values.init == SUPERNET:
      raise ValueError('--evaluate_only is for a model; one with the weights of a supernet is written by --init=supernet with a --run_dir')
    return
  command_line.require(values, 'run_dir')
  if not (values.architecture or values.init):
    raise ValueError('--architecture is required, or --init')
  if (values.init == SUPERNET) != bool(values.search_dir):
    raise ValueError('--init=supernet and --search_dir go together')
  if values.init == SUPERNET and (values.resolution is not None or values.width_multiplier != 1):
    raise ValueError('--init=supernet leaves resolution and widths as they were searched')
  run_flags.check_validation_images(values.validation_images, may_be_none=True)
  run_flags.check_below_one(values, 'momentum', 'label_smoothing', 'dropout_rate', 'rho', 'average_momentum', 'weight_decay')
  for name in ('learning_rate', 'decay_epochs', 'decay_rate', 'epsilon', 'width_multiplier'):
    if values[name].value is not None and values[name].value <= 0.0:
      raise ValueError(f'--{name} must be above 0, got {values[name].value:g}')
  if values.warmup_epochs > values.epochs:
    raise ValueError(f'--warmup_epochs={values.warmup_epochs:g} is more than --epochs={values.epochs}')
