"""The configurations of a search, a training, a quantization and a measurement. Loads no TensorFlow."""

from __future__ import annotations

import dataclasses
import os

from tf_proxyless.app import options
from tf_proxyless.cost import table as table_lib
from tf_proxyless.data import names as dataset_names
from tf_proxyless.infra import distribution as distribution_lib
from tf_proxyless.infra import files
from tf_proxyless.infra import suggest
from tf_proxyless.space import published

SUPERNET = 'supernet'  # value of `init`
PROXYLESS = 'proxyless'  # value of `search_space`
DATA_DIR = 'Where tensorflow-datasets keeps datasets, or IDX files lie; by default ~/tensorflow_datasets.'
MAX_SIZE = 'Greatest .tflite file of the network in int8: bytes, or with kB, MB, KiB or MiB.'
MAX_MEMORY = "Greatest memory for the network's activations in int8, as TFLite plans its arena; likewise."
VERIFY_IMAGES = 'Whether all images of a folder are read before anything is made of them; once, until they change.'
SKIP_UNREADABLE = 'Whether to go on without images of a folder that cannot be read; the run keeps which.'
TARGETS = ('target_latency_ms', 'target_energy_mj', 'target_latency_fraction', 'target_macs')  # exactly one is given
TABLES = {'latency_table': 'ms', 'energy_table': 'mJ'}  # and the unit of each
TARGET_OF = {'latency_table': 'target_latency_ms', 'energy_table': 'target_energy_mj'}
LIMITS = {'latency_table': 'max_latency_ms', 'energy_table': 'max_energy_mj'}  # of the network by a table that is not the target's
_A_TABLE = {'latency_table': 'a `latency_table`', 'energy_table': 'an `energy_table`'}  # in messages
_QUANTITIES = {'latency_table': 'a latency', 'energy_table': 'an energy'}
OPTIMIZERS = ('reinforce', 'gradient', 'gumbel', 'straight_through')
DESIGNERS = ('bayesian', 'genetic', 'evolution', 'local_search', 'random')
TRAIN = 'train'  # value of `evaluator`
OBJECTIVES = {  # the optimizers that each serves
    'constrained': OPTIMIZERS,
    'reward_power': ('reinforce',),
    'reward_absolute': ('reinforce',),
    'penalty_log': OPTIMIZERS[1:],
    'penalty_linear': OPTIMIZERS[1:],
}

_AUGMENTATIONS = ('imagenet', 'cifar', 'cifar_cutout', 'digits', 'none')
_DATASET = "'digits', 'cluttered_digits', a name of tensorflow-datasets such as 'fashion_mnist', or 'folder:PATH'"
PRECISIONS = ('float32', 'mixed_bfloat16', 'mixed_float16')  # as Keras calls them
_BY_IMAGES = "'digits' for characters, 'cifar' for images of at most 64 pixels, else 'imagenet'"
_DETERMINISTIC = ('Whether only operations are used that always give the same result; a GPU has others, and is slower then. A CPU always '
                  'gives the same with as many threads.')
_DISTRIBUTION = ("Devices that share each step: 'one'; all of this machine, 'mirrored'; or those of the workers that TF_CONFIG names, "
                 "'multi_worker'. By default the workers if there are several, else all GPUs.")
_LARGEST_SEED = 2**31 - 1
_OFFICIAL_RATE, _QUANTIZE_RATE, _RATE_BATCH_SIZE = 0.05, 0.005, 256  # learning rates are for that batch size

option, group = options.option, options.group


def _resolve_table(table: str) -> str:
  return files.resolve(table) if table.endswith('.json') and os.path.isfile(table) else table


def check_validation_images(images: float, may_be_none: bool = False, name: str = 'validation_images') -> None:
  """Refuses a value of `validation_images` that is neither a count nor a fraction.

  Args:
    images: The value.
    may_be_none: Whether 0 will do.
    name: Name of the option, for the message.

  Raises:
    ValueError: In one line, why.
  """
  fraction = 0 <= images < 1 if may_be_none else 0 < images < 1
  if not fraction and not (images > 1 and images == int(images)):
    raise ValueError(f'`{name}` must be a count above 1, or a fraction {"below 1" if may_be_none else "between 0 and 1"}, '
                     f'got {images:g}')


@dataclasses.dataclass(frozen=True)
class DataConfig(options.Config):
  """The images of a search."""

  dataset: str | None = option(None, f'{_DATASET}.', required=True, resolve=dataset_names.resolve)
  data_dir: str | None = option(None, DATA_DIR, may_change=True, resolve=files.resolve)
  download: bool = option(False, 'Whether a dataset that is not there may be downloaded.', may_change=True)
  verify_images: bool = option(True, VERIFY_IMAGES, may_change=True)
  skip_unreadable: bool = option(False, SKIP_UNREADABLE, may_change=True)
  validation_images: float = option(
      0.1, 'Images taken out of the training set to learn the architecture: a count from 1, or a fraction below 1.')
  held_out_images: float = option(
      0.0, 'Images of the training set that the search does not use at all: those that a training with as many `validation_images`, and '
      'the same seed, is judged by. A count, a fraction, or 0.', low=0.0, earlier=0.0)
  augmentation: str | None = option(None, f'Augmentation of training images; by default {_BY_IMAGES}.', choices=_AUGMENTATIONS)
  batch_size: int = option(256, 'Images in a weight step.', low=1)
  validation_batch_size: int | None = option(
      None, 'Images in an architecture update; by default `batch_size`. REINFORCE and derivation by evidence want about 1000.', low=1)

  @property
  def validation_batch(self) -> int:
    """Images in an architecture update."""
    return self.validation_batch_size or self.batch_size


@dataclasses.dataclass(frozen=True)
class TargetConfig(options.Config):
  """What the network may cost, and by which table."""

  latency_table: str | None = option(
      None, "File or shipped name of a latency table; 'host' measures this machine on first use. Required for a latency.",
      resolve=_resolve_table)
  energy_table: str | None = option(
      None, 'File of a table of energy, made with build-table --unit=mJ: for a target in mJ, or for a limit besides another target.',
      resolve=_resolve_table)
  allow_estimates: bool = option(False, 'Whether entries of tables may be used that were estimated, not measured.')
  cache_dir: str | None = option(None, 'Where tables of this machine are kept; by default ~/.cache/tf_proxyless.', may_change=True)
  expected_device: str | None = option(
      None, 'Device that the tables must be of; a table of another is refused. By default any.')
  expected_precision: str | None = option(None, 'Precision that the tables must be of. By default any.',
                                          choices=('float32', 'float16', 'int8'))
  expected_kernels: str | None = option(None, 'Kernels that the tables must be of. By default any.', choices=('xnnpack', 'builtin'))
  target_latency_ms: float | None = option(
      None, 'Latency to search for. One of four ways to set the target, and one is required.', unit='ms')
  target_energy_mj: float | None = option(None, 'Energy of a run to search for. Another of the four.', unit='mJ')
  target_latency_fraction: float | None = option(
      None, "The target as a share of the space's range: 0 is its cheapest network by the table, 1 its dearest. Another of the four.")
  target_macs: float | None = option(None, 'The target in multiply-adds. Another of the four.')
  max_latency_ms: float | None = option(None, 'Greatest latency by `latency_table`, where the target is something else.', unit='ms')
  max_energy_mj: float | None = option(None, 'Greatest energy of a run by `energy_table`, where the target is something else.', unit='mJ')
  max_size: str | None = option(None, f'{MAX_SIZE} By default any.')
  max_memory: str | None = option(None, f'{MAX_MEMORY} By default any.')

  @property
  def given(self) -> str:
    """The option that sets the target."""
    return next(name for name in TARGETS if getattr(self, name) is not None)

  @property
  def table(self) -> str | None:
    """The option that names the table of the target: the one without a limit; None where costs are multiply-adds."""
    return next((name for name, limit in LIMITS.items() if getattr(self, name) and getattr(self, limit) is None), None)

  def check(self, several: tuple[str, ...] = ()) -> None:
    """Refuses targets and tables that do not fit each other.

    Args:
      several: Targets that are given otherwise.

    Raises:
      ValueError: In one line, which and what to do.
    """
    given = [name for name in TARGETS if getattr(self, name) is not None]
    if several:
      if given:
        raise ValueError(f'give `targets` or `{given[0]}`, not both')
      self._check_tables('targets')
      return
    if len(given) != 1:
      raise ValueError(f'give exactly one of {", ".join(f"`{name}`" for name in TARGETS)}, got {len(given)}')
    self._check_tables(given[0])
    fraction = self.target_latency_fraction
    if fraction is not None and not 0 < fraction <= 1:
      raise ValueError(f'`target_latency_fraction` must be above 0 and at most 1, got {fraction:g}')

  def check_limits(self) -> None:
    """Refuses limits without their tables.

    Raises:
      ValueError: In one line, which.
    """
    for name, limit in LIMITS.items():
      if getattr(self, limit) is not None and not getattr(self, name):
        raise ValueError(f'`{limit}` needs {_A_TABLE[name]}')

  def _check_tables(self, target: str) -> None:
    """Each table has a target or a limit, and each of these a table."""
    self.check_limits()
    needed = next((name for name in TABLES if TARGET_OF[name] == target), self.table)
    if target == 'target_macs':
      needed = None
    elif not (needed and getattr(self, needed)) and target != 'targets':
      raise ValueError(f'`{target}` needs {_A_TABLE[needed or "latency_table"]}')
    if needed and getattr(self, LIMITS[needed]) is not None:
      raise ValueError(f'give `{target}` or `{LIMITS[needed]}`, not both')
    for name, limit in LIMITS.items():
      if name != needed and getattr(self, name) and getattr(self, limit) is None:
        raise ValueError(f'`{name}` is for {_QUANTITIES[name]}, not for `{target}`; for a limit besides that, add `{limit}`')


@dataclasses.dataclass(frozen=True)
class ObjectiveConfig(options.Config):
  """How accuracy and cost are weighed; None is the default of the objective in `search.objectives`."""

  objective: str = option('constrained', 'How accuracy and cost are weighed: constrained serves all optimizers, reward_* reinforce, '
                          'penalty_* the others.', choices=tuple(OBJECTIVES))
  constraint_gain: float = option(
      1.0, 'Share of the way to the target that an update of the constrained objective goes; all of it at 1 and above.', low=0.0)
  constraint_rate: float | None = option(
      None, 'Share of a new estimate in the multiplier of the constrained objective; by default 0.003.', low=0.0)
  constraint_scale: float | None = option(
      None, 'The most that one update may say about that multiplier; by default 1 for reinforce (accuracy), 3 for the '
      'others (cross-entropy).', low=0.0)
  reward_exponent: float = option(0.1, 'Exponent w of reward_power: accuracy * (T / cost) ** w.', low=0.0)
  reward_weight: float = option(0.1, 'Weight b of reward_absolute: accuracy - b * |cost / T - 1|.', low=0.0)
  penalty_weight: float | None = option(None, 'Weight of penalty_log (0.2 by default) or penalty_linear (0.1).', low=0.0)
  penalty_exponent: float = option(0.3, 'Exponent of penalty_log.', low=0.0)


@dataclasses.dataclass(frozen=True)
class OptimizerConfig(options.Config):
  """The architecture optimizer, and when it acts."""

  architecture_optimizer: str = option('reinforce', 'REINFORCE, the gradient rule on two paths, a Gumbel-softmax over all candidates, '
                                       'or its straight-through form, which runs one.', choices=OPTIMIZERS)
  architecture_learning_rate: float | None = option(
      None, 'Learning rate of Adam for the architecture; by default chosen by the number of updates.', low=0.0)
  weight_steps_per_update: int | None = option(
      None, 'Weight steps between architecture updates; by default 5, or as many as keep updates under half of the time.', low=1)
  frozen_epochs: int = option(1, 'First epochs after the warm-up without architecture updates.', low=0)
  reinforce_networks: int = option(10, 'Networks sampled for an update of reinforce.', low=1)
  baseline_momentum: float = option(0.95, 'Momentum of the moving baseline of reinforce, a share.', low=0.0, below=1.0)
  exploration: float = option(0.1, 'Share of each decision sampled evenly; 0 as published.', low=0.0, below=1.0)
  scored_networks: int = option(3000, 'Networks that all but reinforce score after the search for derivation by evidence, 10 on a batch; 0 '
                                'derives by probability.', low=0)


@dataclasses.dataclass(frozen=True)
class WeightsConfig(options.Config):
  """How the weights of the supernet learn."""

  weight_sharing: str = option(
      'nested', 'What the candidates of a decision share: nested lets those that differ in sizes only work with parts of one set of '
      'weights; separate gives each its own, as published, which needs many times the steps.', choices=('nested', 'separate'),
      earlier='separate')
  warmup_epochs: int = option(40, 'Epochs in which only weights learn.', low=0)
  search_epochs: int = option(120, 'Epochs in which weights and architecture learn in turn.', low=1)
  warmup_learning_rate: float = option(0.05, 'Learning rate of SGD at the start of the warm-up; a cosine to 0.', low=0.0)
  search_learning_rate: float = option(0.025, 'Learning rate of SGD at the start of the joint phase; a cosine to 0.', low=0.0)
  momentum: float = option(0.9, 'Nesterov momentum of SGD, a share.', low=0.0, below=1.0)
  weight_decay: float = option(4e-5, 'Decay of all weights, a factor.', low=0.0)
  label_smoothing: float = option(0.1, 'Share of each label that is spread over all classes, in weight steps.', low=0.0, below=1.0)
  precision: str = option('float32', 'Precision of the computation; weights, statistics and the architecture are float32. For GPUs: '
                          'mixed_bfloat16, or mixed_float16, which scales the loss.', choices=PRECISIONS, earlier='float32')
  recompute_activations: bool = option(
      False, 'Whether gradients compute activations again, block by block, instead of keeping them: less memory, longer steps.',
      may_change=True)

  @property
  def nested(self) -> bool:
    return self.weight_sharing == 'nested'


@dataclasses.dataclass(frozen=True)
class SpaceConfig(options.Config):
  """The search space."""

  search_space: str = option(PROXYLESS, f"'{PROXYLESS}', which the other options here describe; one of "
                             f"{', '.join(name for name in published.SPACES if name != PROXYLESS)}, which take some of them; or a "
                             'search_space.json: a file, or a shipped name.')
  stage_filters: tuple[int, ...] = option((24, 40, 80, 96, 192, 320), 'Output channels of each stage.')
  stage_blocks: tuple[int, ...] = option((4, 4, 4, 4, 4, 1), 'Searched blocks in each stage.')
  stage_strides: tuple[int, ...] = option((2, 2, 2, 1, 2, 1), 'Stride of the first block of each stage, pixels.')
  stem_filters: int = option(32, 'Channels of the first convolution.', low=1)
  stem_strides: int = option(2, 'Stride of the first convolution, pixels.', low=1)
  first_block_filters: int = option(16, 'Channels after the first, fixed block.', low=1)
  head_filters: int = option(1280, 'Channels of the 1x1 convolution before pooling.', low=1)
  width_multiplier: float = option(1.0, 'Factor of all widths, which are rounded to multiples of 8.', low=0.0)
  resolution: int = option(224, 'Height and width of the input, pixels; a multiple of the total stride.', low=1)
  channels: int | None = option(None, 'Channels of the input, 1 for grey; by default those of the images, or 3.', choices=(1, 3))

  @property
  def in_file(self) -> bool:
    """Whether a file has the space, and not a function."""
    return self.search_space not in published.SPACES

  @property
  def given(self) -> dict[str, object]:
    """The options besides `search_space` that are not at their defaults."""
    return {name: value for name, value in options.flat(self).items()
            if name != 'search_space' and value != options.options(type(self))[name].default}


@dataclasses.dataclass(frozen=True)
class DesignerConfig(options.Config):
  """A search without a supernet."""

  designer: str | None = option(
      None, 'What suggests networks to an evaluator; a predictor is fitted to what that says, and searched. By default none, and a '
      'supernet is trained.', choices=DESIGNERS)
  evaluator: str | None = option(
      None, f"How accurate networks are: '{TRAIN}' trains each by `train_flagfile`; the directory of a search is asked, its shared weights "
      'or, if it had a designer, its predictor. Required with a designer.',
      resolve=lambda evaluator: evaluator if evaluator == TRAIN else files.resolve(evaluator))
  evaluations: int = option(120, 'Networks that are evaluated. May be raised later.', low=10, may_change=True)
  targets: tuple[str, ...] = option(
      (), 'What networks may cost, with commas between them, each a number in the unit of the table, or multiply-adds, or a share of the '
      'range such as 25%: one network is found for each. In place of one target.', earlier=())
  train_flagfile: str | None = option(None, f"Flagfile of the trainings of `evaluator={TRAIN}`, on the same dataset.")
  processes: int = option(1, 'Trainings at the same time, which share the cores.', low=1, may_change=True)

  def check(self) -> None:
    """Refuses options that do not fit each other.

    Raises:
      ValueError: In one line, which and what to do.
    """
    if self.designer is None:
      given = next((name for name in ('evaluator', 'targets', 'train_flagfile') if getattr(self, name)), None)
      if given:
        raise ValueError(f'`{given}` is for a search with a `designer`: {suggest.either(DESIGNERS)}')
      return
    if self.evaluator is None:
      raise ValueError(f"`designer` needs an `evaluator`: '{TRAIN}', or the directory of a search")
    if (self.evaluator == TRAIN) != bool(self.train_flagfile):
      raise ValueError(f'`evaluator={TRAIN}` and `train_flagfile` go together')
    if len(set(self.targets)) < len(self.targets):
      raise ValueError(f'`targets={",".join(self.targets)}`: the same stands there twice')


@dataclasses.dataclass(frozen=True)
class SearchConfig(options.Config):
  """A search."""

  HEADING = 'Run'

  run_dir: str | None = option(None, 'Directory of the run; a search that was interrupted there continues.', required=True,
                               may_change=True)
  checkpoint_every_steps: int = option(1000, 'Weight steps between checkpoints; one is also made after each epoch.', low=1,
                                       may_change=True)
  distribution: str | None = option(None, _DISTRIBUTION, choices=distribution_lib.CHOICES, may_change=True)
  seed: int = option(0, 'Seed of weights, samples, split and data order.', low=0, high=_LARGEST_SEED)
  data: DataConfig = group('Data', DataConfig)
  target: TargetConfig = group('Target and latency table', TargetConfig)
  objective: ObjectiveConfig = group('Objective', ObjectiveConfig)
  optimizer: OptimizerConfig = group('Architecture optimizer', OptimizerConfig)
  weights: WeightsConfig = group('Weights', WeightsConfig)
  space: SpaceConfig = group('Search space', SpaceConfig)
  designer: DesignerConfig = group('Search without a supernet', DesignerConfig)

  @property
  def epochs(self) -> int:
    """Epochs of both phases."""
    return self.weights.warmup_epochs + self.weights.search_epochs

  def check(self) -> None:
    """Refuses options that do not fit each other.

    Raises:
      ValueError: In one line, which and what to do.
    """
    self.require()
    dataset_names.check(self.data.dataset or '', self.data.data_dir)
    self.target.check(self.designer.targets)
    self.designer.check()
    chosen, optimizer = self.objective.objective, self.optimizer.architecture_optimizer
    serves = OBJECTIVES[chosen]
    if optimizer not in serves:
      others = [name for name, optimizers in OBJECTIVES.items() if optimizer in optimizers]
      raise ValueError(f'`objective={chosen}` serves `architecture_optimizer={suggest.either(serves)}`, not {optimizer}, which goes with '
                       f'{suggest.either(others)}')
    check_validation_images(self.data.validation_images)
    check_validation_images(self.data.held_out_images, may_be_none=True, name='held_out_images')
    if self.data.held_out_images and self.designer.designer is not None:
      raise ValueError('`held_out_images` is for a search with a supernet; with a `designer`, `train_flagfile` says what is held out')


@dataclasses.dataclass(frozen=True)
class TrainingDataConfig(options.Config):
  """The images that a network is trained on."""

  dataset: str | None = option(None, f'{_DATASET}.', required=True, resolve=dataset_names.resolve)
  data_dir: str | None = option(None, DATA_DIR, may_change=True, resolve=files.resolve)
  download: bool = option(False, 'Whether a dataset that is not there may be downloaded.', may_change=True)
  verify_images: bool = option(True, VERIFY_IMAGES, may_change=True)
  skip_unreadable: bool = option(False, SKIP_UNREADABLE, may_change=True)
  validation_images: float = option(0.0, 'Images taken out of the training set to evaluate on: a count above 1, a fraction below 1, or 0 '
                                    'to train on all.', low=0.0)
  augmentation: str | None = option(None, 'Augmentation of training images; by default that of the search (on the same images) or training '
                                    f'before, else {_BY_IMAGES}.', choices=_AUGMENTATIONS)
  color_jitter: str = option('strong', "How much colours change in the augmentation 'imagenet'.", choices=('none', 'normal', 'strong'))
  batch_size: int = option(256, 'Images in a step, on all devices together.', low=1)
  evaluation_batch_size: int | None = option(None, 'Images at once in an evaluation; by default `batch_size`.', low=1, may_change=True)
  evaluate_every_epochs: int = option(0, 'Epochs between evaluations on the validation images, or on the test images if none are held '
                                      'out; 0 is never. Whatever they say, the last weights are kept.', low=0)

  @property
  def evaluation_batch(self) -> int:
    """Images at once in an evaluation."""
    return self.evaluation_batch_size or self.batch_size


@dataclasses.dataclass(frozen=True)
class NetworkConfig(options.Config):
  """The network to train, and where its weights start."""

  architecture: str | None = option(None, "An architecture.json, an official net.config, a published network's name, or mobilenet_v2; by "
                                    'default that of `init`. One of the two is required.')
  resolution: int | None = option(None, 'Height and width of the input, pixels; by default as in the file, or 224.', low=1)
  width_multiplier: float = option(1.0, 'Factor of all widths of proxyless_mobile or mobilenet_v2, rounded to multiples of 8.', above=0.0)
  dropout_rate: float | None = option(None, "Share of inputs of the classifier that is dropped; by default the network's own.", low=0.0,
                                      below=1.0)
  init: str | None = option(None, "Where start values come from: 'supernet' (of `search_dir`), a .keras file or the directory of a "
                            'training; by default they are random.', resolve=lambda init: init if init == SUPERNET else files.resolve(init))
  search_dir: str | None = option(None, 'Directory of the search that found the architecture. Required for `init=supernet`.',
                                  resolve=files.resolve)

  def check(self) -> None:
    """Refuses options that do not fit each other.

    Raises:
      ValueError: In one line, which and what to do.
    """
    if not (self.architecture or self.init):
      raise ValueError('`architecture` is required, or `init`')
    if (self.init == SUPERNET) != bool(self.search_dir):
      raise ValueError('`init=supernet` and `search_dir` go together')
    if self.init == SUPERNET and (self.resolution is not None or self.width_multiplier != 1):
      raise ValueError('`init=supernet` leaves resolution and widths as they were searched')


@dataclasses.dataclass(frozen=True)
class RecipeConfig(options.Config):
  """A recipe of training; the defaults are those of the official code (imagenet_run_exp.py)."""

  epochs: int = option(300, 'Passes over the training images.', low=1)
  learning_rate: float | None = option(None, f'Learning rate after the warm-up; by default {_OFFICIAL_RATE} for a batch of '
                                       f'{_RATE_BATCH_SIZE}, and in proportion for others.', above=0.0)
  warmup_epochs: float = option(0.0, 'Epochs in which the learning rate rises from 0.', low=0.0)
  schedule: str = option('cosine', 'How the learning rate falls: a cosine to 0, or steps of `decay_rate`.',
                         choices=('cosine', 'exponential'))
  decay_rate: float = option(0.97, 'Factor of the exponential schedule every `decay_epochs`.', above=0.0, high=1.0)
  decay_epochs: float = option(2.4, 'Epochs between steps of the exponential schedule.', above=0.0)
  weight_decay: float = option(4e-5, 'Decay of kernels, as a part of the gradient; a factor.', low=0.0, below=1.0)
  decoupled_weight_decay: bool = option(False, 'Whether decay is apart from the momentum; at equal effect `weight_decay` is then larger by '
                                        '1 / (1 - momentum).')
  label_smoothing: float = option(0.1, 'Share of each label that is spread over all classes.', low=0.0, below=1.0)
  path_drop_rate: float = option(0.0, 'Share of images for which a branch of a tree is dropped.', low=0.0, below=1.0)
  cell_drop_rate: float = option(0.0, 'Share of images for which what stands beside a shortcut is dropped (stochastic depth): a mean over '
                                 'blocks, from the first of which it grows linearly.', low=0.0, high=0.5)
  average_momentum: float | None = option(None, 'Momentum, a share, of a moving average of the weights, which is then the result; none by '
                                          'default.', low=0.0, below=1.0)


@dataclasses.dataclass(frozen=True)
class TrainOptimizerConfig(options.Config):
  """The optimizer of a training."""

  optimizer: str = option('sgd', 'SGD with Nesterov momentum, or RMSProp.', choices=('sgd', 'rmsprop'))
  momentum: float = option(0.9, 'Momentum of the optimizer, a share.', low=0.0, below=1.0)
  rho: float = option(0.9, "Momentum of RMSProp's average of squared gradients, a share.", low=0.0, below=1.0)
  epsilon: float = option(1e-3, 'Constant in the denominator of RMSProp.', above=0.0)
  precision: str = option('float32', 'Precision of the computation; weights are float32.', choices=PRECISIONS)


@dataclasses.dataclass(frozen=True)
class TrainConfig(options.Config):
  """A training."""

  HEADING = 'Run'

  run_dir: str | None = option(None, 'Directory of the run; a training that was interrupted there continues. Required, except with '
                               '`evaluate_only` and `init`.', may_change=True)
  checkpoint_every_steps: int = option(1000, 'Steps between checkpoints; one is also made after each epoch.', low=1, may_change=True)
  evaluate_only: bool = option(False, 'Whether only to say how good the model of `init`, or else of `run_dir`, is on test images.',
                               may_change=True)
  distribution: str | None = option(None, _DISTRIBUTION, choices=distribution_lib.CHOICES, may_change=True)
  deterministic: bool = option(False, _DETERMINISTIC)
  seed: int = option(0, 'Seed of weights, dropout, split and data order.', low=0, high=_LARGEST_SEED)
  network: NetworkConfig = group('Network', NetworkConfig)
  data: TrainingDataConfig = group('Data', TrainingDataConfig)
  recipe: RecipeConfig = group('Recipe', RecipeConfig)
  optimizer: TrainOptimizerConfig = group('Optimizer', TrainOptimizerConfig)

  @property
  def learning_rate(self) -> float:
    """The learning rate after the warm-up."""
    given = self.recipe.learning_rate
    return _OFFICIAL_RATE * self.data.batch_size / _RATE_BATCH_SIZE if given is None else given

  def check(self) -> None:
    """Refuses options that do not fit each other.

    Raises:
      ValueError: In one line, which and what to do.
    """
    self.require('dataset')
    dataset_names.check(self.data.dataset or '', self.data.data_dir)
    if self.evaluate_only:
      if not (self.network.init or self.run_dir):
        raise ValueError('`evaluate_only` needs `init` or `run_dir`, to say which model')
      if self.network.init == SUPERNET:
        raise ValueError('`evaluate_only` is for a model; one with the weights of a supernet is written by `init=supernet` with a '
                         '`run_dir`')
      return
    self.require('run_dir')
    self.network.check()
    check_validation_images(self.data.validation_images, may_be_none=True)
    if self.recipe.warmup_epochs > self.recipe.epochs:
      raise ValueError(f'`warmup_epochs={self.recipe.warmup_epochs:g}` is more than `epochs={self.recipe.epochs}`')


@dataclasses.dataclass(frozen=True)
class QuantizeDataConfig(TrainingDataConfig):
  """The images of a fine-tuning."""

  dataset: str | None = option(None, f'{_DATASET}; by default the one that the model was trained on.', resolve=dataset_names.resolve)


@dataclasses.dataclass(frozen=True)
class QuantizeRecipeConfig(options.Config):
  """The recipe of a fine-tuning."""

  epochs: int = option(10, 'Passes over the training images.', low=1)
  learning_rate: float | None = option(
      None, f'Learning rate of SGD at the start; a cosine to 0. By default {_QUANTIZE_RATE} for a batch of {_RATE_BATCH_SIZE}, and in '
      'proportion for others.', above=0.0)
  momentum: float = option(0.9, 'Nesterov momentum of SGD, a share.', low=0.0, below=1.0)
  weight_decay: float = option(4e-5, 'Decay of kernels, as a part of the gradient; a factor.', low=0.0, below=1.0)
  label_smoothing: float = option(0.1, 'Share of each label that is spread over all classes.', low=0.0, below=1.0)


@dataclasses.dataclass(frozen=True)
class RangesConfig(options.Config):
  """How a network is quantized."""

  calibration_batches: int = option(10, 'Batches of training images that give activations their first ranges.', low=1)
  range_momentum: float = option(0.99, 'Momentum of the moving averages that these ranges are then, a share of a step.', low=0.0, below=1.0)
  batch_norm_share: float = option(0.3, 'Share of the steps after which the statistics of batch normalisation stand still.', low=0.0,
                                   high=1.0)


@dataclasses.dataclass(frozen=True)
class QuantizeConfig(options.Config):
  """Quantization-aware fine-tuning."""

  HEADING = 'Run'

  model: str | None = option(None, 'A .keras file with its architecture beside it, or the directory of a training.', required=True,
                             may_change=True, resolve=files.resolve)
  run_dir: str | None = option(None, 'Directory of the run; one that was interrupted there continues.', required=True, may_change=True)
  checkpoint_every_steps: int = option(1000, 'Steps between checkpoints; one is also made after each epoch.', low=1, may_change=True)
  deterministic: bool = option(False, _DETERMINISTIC)
  seed: int = option(0, 'Seed of dropout, split and data order.', low=0, high=_LARGEST_SEED)
  data: QuantizeDataConfig = group('Data', QuantizeDataConfig)
  recipe: QuantizeRecipeConfig = group('Recipe', QuantizeRecipeConfig)
  ranges: RangesConfig = group('Quantization', RangesConfig)

  @property
  def learning_rate(self) -> float:
    """The learning rate at the start."""
    given = self.recipe.learning_rate
    return _QUANTIZE_RATE * self.data.batch_size / _RATE_BATCH_SIZE if given is None else given

  def check(self) -> None:
    """Refuses options that do not fit each other.

    Raises:
      ValueError: In one line, which and what to do.
    """
    self.require()
    check_validation_images(self.data.validation_images, may_be_none=True)


@dataclasses.dataclass(frozen=True)
class DeviceConfig(options.Config):
  """Where and how latencies are measured."""

  device: str = option('host', "'host', 'adb', 'adb:SERIAL', or 'adb:ONE,OTHER' for phones of one model: where latencies are measured.")
  benchmark_binary: str | None = option(
      None, "TFLite's benchmark_model for the device. Needed for adb; on the host, by default ai-edge-litert is used.")
  kernels: str = option('builtin', 'Kernels of the interpreter; XNNPACK has none for int8 7x7 depthwise convolutions.',
                        choices=('builtin', 'xnnpack'))
  threads: int = option(1, 'Threads of the interpreter.', low=1)
  force_threads: bool = option(False, 'Whether threads may be as many as the cores of this machine.')
  core_mask: str | None = option(None, "Cores to run on, hexadecimal as for taskset: '10' is one big core of a Pixel 2.")
  rounds: int = option(5, 'Separate measurements of each model.', low=1)
  min_secs: float | None = option(None, 'Least time of a measurement, seconds; by default 0.3, for energy 2, or 10 by a fuel gauge.',
                                  low=0.0)
  max_drift_percent: float = option(3.0, 'Measurements are repeated if the reference model drifts by more, percent.', low=0.0)
  max_temperature_c: float | None = option(None, 'A phone that is warmer cools down first, degrees Celsius.')
  lock_clocks: bool = option(False, 'Whether to fix the clocks of a rooted phone while measuring.')


@dataclasses.dataclass(frozen=True)
class TableDeviceConfig(DeviceConfig):
  """The same for tables, which can be of a GPU too."""

  device: str = option(
      'host', "'host', 'adb', 'adb:SERIAL', 'adb:ONE,OTHER' for phones of one model, 'gpu', or a CSV file: where is measured. The file has "
      'a model and what it took in each line, of your own measurements; what it lacks is named.')
  unit: str = option('ms', 'What the table is of: ms, or mJ, the energy of a run above that of the idle device, by its power rails, '
                     'RAPL, or the fuel gauge of its battery.', choices=table_lib.UNITS)
  power_log: str | None = option(None, 'For mJ, a CSV file that an external meter writes meanwhile: a time and watts in each line.')


@dataclasses.dataclass(frozen=True)
class MeasureConfig(options.Config):
  """Measurement of a .tflite file."""

  model: str | None = option(None, 'The .tflite file, with its card beside it.', required=True)
  latency_table: str | None = option(None, 'Whose prediction is compared; by default that of the card, if it has one.')
  accuracy: bool = option(True, 'Whether to compute the accuracy too, where the dataset is known.')
  dataset: str | None = option(None, "Whose test images are run. By default the card's.", resolve=dataset_names.resolve)
  data_dir: str | None = option(None, DATA_DIR)
  download: bool = option(False, 'Whether tensorflow-datasets may download what is not there.')
  verify_images: bool = option(True, VERIFY_IMAGES)
  skip_unreadable: bool = option(False, SKIP_UNREADABLE)
  workers: int | None = option(None, 'Interpreters that run images at the same time; by default one for each core.', low=1)
  device: DeviceConfig = group('Measuring', DeviceConfig)
