"""The flags of a search, defined once for the mains that start a search or come back to one. Loads no TensorFlow."""

from __future__ import annotations

from absl import flags

from tf_proxyless.app import flag_headings
from tf_proxyless.app import run_flags

# Names that flags accept, known before TensorFlow is loaded; `plan.add_search_space` and `methods.add_*` add to them.
SEARCH_SPACES = ['proxyless']
ARCHITECTURE_OPTIMIZERS = ['reinforce', 'gradient']
OBJECTIVES: dict[str, tuple[str, ...]] = {  # which optimizers each serves
    'constrained': ('reinforce', 'gradient'),
    'reward_power': ('reinforce',),
    'reward_absolute': ('reinforce',),
    'penalty_log': ('gradient',),
    'penalty_linear': ('gradient',),
}
TARGETS = ('target_latency_ms', 'target_latency_fraction', 'target_macs')  # exactly one is given


class _IntegerList(flags.ListParser):
  """Integers with commas between them."""

  def __init__(self) -> None:
    super().__init__()
    self.syntactic_help = 'integers with commas between them'

  def parse(self, argument: str | list[int]) -> list[int]:
    try:
      return [int(item) for item in super().parse(argument)]
    except ValueError:
      raise ValueError(f'expected {self.syntactic_help}, got {argument!r}') from None

  def flag_type(self) -> str:
    return 'comma separated integers'


def define_space(values: flags.FlagValues) -> None:
  """Defines the flags that say which space, for mains that need no others of a search."""
  with flag_headings.under('Search space', values):
    _define_space(values)


def _define_space(values: flags.FlagValues) -> None:
  integers = lambda name, default, text: flags.DEFINE(
      _IntegerList(), name, default, text, values, flags.CsvListSerializer(','))
  flags.DEFINE_enum('search_space', 'proxyless', SEARCH_SPACES, 'Family of networks that is searched.', flag_values=values)
  integers('stage_filters', [24, 40, 80, 96, 192, 320], 'Output channels of each stage.')
  integers('stage_blocks', [4, 4, 4, 4, 4, 1], 'Searched blocks in each stage.')
  integers('stage_strides', [2, 2, 2, 1, 2, 1], 'Stride of the first block of each stage, pixels.')
  flags.DEFINE_integer('stem_filters', 32, 'Channels of the first convolution.', lower_bound=1, flag_values=values)
  flags.DEFINE_integer('stem_strides', 2, 'Stride of the first convolution, pixels.', lower_bound=1, flag_values=values)
  flags.DEFINE_integer('first_block_filters', 16, 'Channels after the first, fixed block.', lower_bound=1, flag_values=values)
  flags.DEFINE_integer('head_filters', 1280, 'Channels of the 1x1 convolution before pooling.', lower_bound=1, flag_values=values)
  flags.DEFINE_float('width_multiplier', 1.0, 'Factor of all widths, which are rounded to multiples of 8.', lower_bound=0.0,
                     flag_values=values)
  flags.DEFINE_integer('resolution', 224, 'Height and width of the input, pixels; a multiple of the total stride.',
                       lower_bound=1, flag_values=values)


def _define_run(values: flags.FlagValues) -> None:
  flags.DEFINE_string('run_dir', None, 'Directory of the run; a search that was interrupted there continues. Required.', flag_values=values)
  flags.DEFINE_integer('checkpoint_every_steps', 1000, 'Weight steps between checkpoints; one is also made after each epoch.',
                       lower_bound=1, flag_values=values)
  flags.DEFINE_integer('seed', 0, 'Seed of weights, samples, split and data order.', lower_bound=0, upper_bound=2**31 - 1,
                       flag_values=values)


def _define_data(values: flags.FlagValues) -> None:
  flags.DEFINE_string('dataset', None, "'digits', 'cluttered_digits', a name of tensorflow-datasets, or 'folder:PATH'. Required.",
                      flag_values=values)
  flags.DEFINE_string('data_dir', None, 'Where tensorflow-datasets keeps datasets; by default ~/tensorflow_datasets.',
                      flag_values=values)
  flags.DEFINE_bool('download', False, 'Whether a dataset that is not there may be downloaded.', flag_values=values)
  flags.DEFINE_float('validation_images', 0.1, 'Images taken out of the training set to learn the architecture: a count from 1, '
                     'or a fraction below 1.', flag_values=values)
  flags.DEFINE_enum('augmentation', None, ['imagenet', 'cifar', 'digits', 'none'], 'Augmentation of training images; by default the one '
                    'that suits the dataset.', flag_values=values)
  flags.DEFINE_integer('batch_size', 256, 'Images in a weight step.', lower_bound=1, flag_values=values)
  flags.DEFINE_integer('validation_batch_size', None, 'Images in an architecture update; by default --batch_size. REINFORCE and '
                       'derivation by evidence want about 1000.', lower_bound=1, flag_values=values)


def _define_cost(values: flags.FlagValues) -> None:
  flags.DEFINE_string('latency_table', None, "File or shipped name of a latency table; 'host' measures this machine on first use. Required "
                      'unless the target is in MACs.', flag_values=values)
  flags.DEFINE_bool('allow_estimates', False, 'Whether latencies may be used that were estimated, not measured.', flag_values=values)
  flags.DEFINE_string('cache_dir', None, 'Where tables of this machine are kept; by default ~/.cache/tf_proxyless.', flag_values=values)
  flags.DEFINE_string('expected_device', None, 'Device that the latency table must be of; a table of another is refused. By default any.',
                      flag_values=values)
  flags.DEFINE_enum('expected_precision', None, ['float32', 'float16', 'int8'], 'Precision that the latency table must be of. By default '
                    'any.', flag_values=values)
  flags.DEFINE_enum('expected_kernels', None, ['xnnpack', 'builtin'], 'Kernels that the latency table must be of. By default any.',
                    flag_values=values)
  flags.DEFINE_float('target_latency_ms', None, 'Latency to search for, ms. One of three ways to set the target, and one is required.',
                     flag_values=values)
  flags.DEFINE_float('target_latency_fraction', None, "The target as a share of the space's range: 0 is its fastest network, 1 its "
                     'slowest. Another of the three.', flag_values=values)
  flags.DEFINE_float('target_macs', None, 'The target in multiply-adds. Another of the three.', flag_values=values)


def _define_objective(values: flags.FlagValues) -> None:
  flags.DEFINE_enum('objective', 'constrained', list(OBJECTIVES), 'How accuracy and cost are weighed: constrained serves both optimizers, '
                    'reward_* reinforce, penalty_* gradient.', flag_values=values)
  flags.DEFINE_float('constraint_gain', 1.0, 'Proportional gain of the constrained objective, a factor.', lower_bound=0.0,
                     flag_values=values)
  flags.DEFINE_float('constraint_rate', None, 'Step of the multiplier of the constrained objective, a factor, at each update; by default '
                     '0.03 for 3,000 updates and fewer, 0.01 for 10,000 and more.', lower_bound=0.0, flag_values=values)
  flags.DEFINE_float('constraint_scale', None, 'Weight of the constraint against the loss; by default 1 for reinforce (accuracy), 3 for '
                     'gradient (cross-entropy).', lower_bound=0.0, flag_values=values)
  flags.DEFINE_float('reward_exponent', 0.1, 'Exponent w of reward_power: accuracy * (T / cost) ** w.', lower_bound=0.0, flag_values=values)
  flags.DEFINE_float('reward_weight', 0.1, 'Weight b of reward_absolute: accuracy - b * |cost / T - 1|.', lower_bound=0.0,
                     flag_values=values)
  flags.DEFINE_float('penalty_weight', None, 'Weight of penalty_log (0.2 by default) or penalty_linear (0.1).', lower_bound=0.0,
                     flag_values=values)
  flags.DEFINE_float('penalty_exponent', 0.3, 'Exponent of penalty_log.', lower_bound=0.0, flag_values=values)


def _define_weights(values: flags.FlagValues) -> None:
  flags.DEFINE_integer('warmup_epochs', 40, 'Epochs in which only weights learn.', lower_bound=0, flag_values=values)
  flags.DEFINE_integer('search_epochs', 120, 'Epochs in which weights and architecture learn in turn.', lower_bound=1,
                       flag_values=values)
  flags.DEFINE_float('warmup_learning_rate', 0.05, 'Learning rate of SGD at the start of the warm-up; a cosine to 0.', lower_bound=0.0,
                     flag_values=values)
  flags.DEFINE_float('search_learning_rate', 0.025, 'Learning rate of SGD at the start of the joint phase; a cosine to 0.', lower_bound=0.0,
                     flag_values=values)
  flags.DEFINE_float('momentum', 0.9, 'Nesterov momentum of SGD, a share.', lower_bound=0.0, upper_bound=1.0, flag_values=values)
  flags.DEFINE_float('weight_decay', 4e-5, 'Decay of all weights, a factor.', lower_bound=0.0, flag_values=values)
  flags.DEFINE_float('label_smoothing', 0.1, 'Share of each label that is spread over all classes, in weight steps.', lower_bound=0.0,
                     upper_bound=1.0, flag_values=values)


def _define_architecture(values: flags.FlagValues) -> None:
  flags.DEFINE_enum('architecture_optimizer', 'reinforce', ARCHITECTURE_OPTIMIZERS, 'REINFORCE, or the gradient rule on two paths.',
                    flag_values=values)
  flags.DEFINE_float('architecture_learning_rate', None, 'Learning rate of Adam for the architecture; by default chosen by the number of '
                     'updates.', lower_bound=0.0, flag_values=values)
  flags.DEFINE_integer('weight_steps_per_update', 5, 'Weight steps between architecture updates.', lower_bound=1, flag_values=values)
  flags.DEFINE_integer('frozen_epochs', 1, 'First epochs after the warm-up without architecture updates.', lower_bound=0,
                       flag_values=values)
  flags.DEFINE_integer('reinforce_networks', 10, 'Networks sampled for an update of reinforce.', lower_bound=1, flag_values=values)
  flags.DEFINE_float('baseline_momentum', 0.95, 'Momentum of the moving baseline of reinforce, a share.', lower_bound=0.0, upper_bound=1.0,
                     flag_values=values)
  flags.DEFINE_float('exploration', 0.1, 'Share of each decision sampled evenly; 0 as published.', lower_bound=0.0, upper_bound=1.0,
                     flag_values=values)
  flags.DEFINE_integer('scored_networks', 3000, 'Networks that gradient scores after the search for derivation by evidence, 10 on a '
                       'batch; 0 derives by probability.', lower_bound=0, flag_values=values)


RUN = run_flags.RunFlags(
    {'Run': _define_run, 'Data': _define_data, 'Target and latency table': _define_cost, 'Objective': _define_objective,
     'Architecture optimizer': _define_architecture, 'Weights': _define_weights, 'Search space': _define_space},
    may_change=('run_dir', 'data_dir', 'cache_dir', 'download', 'checkpoint_every_steps'))
