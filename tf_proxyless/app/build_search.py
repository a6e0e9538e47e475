"""Builds a search from its configuration."""

from __future__ import annotations

from collections.abc import Sequence
import dataclasses
import os

import numpy as np
import tensorflow as tf

from tf_proxyless.app import architectures
from tf_proxyless.app import augmentation as augmentation_lib
from tf_proxyless.app import config as config_lib
from tf_proxyless.app import dataset
from tf_proxyless.app import flags
from tf_proxyless.app import problem as problem_lib
from tf_proxyless.app import tables
from tf_proxyless.cost import model as model_lib
from tf_proxyless.cost import table as table_lib
from tf_proxyless.data import pipelines
from tf_proxyless.data import preprocessing
from tf_proxyless.data import sources
from tf_proxyless.data import splits
from tf_proxyless.derive import candidates as candidates_lib
from tf_proxyless.derive import diagnostics
from tf_proxyless.derive import evaluations as evaluations_lib
from tf_proxyless.derive import result as result_lib
from tf_proxyless.derive import solver
from tf_proxyless.infra import distribution
from tf_proxyless.infra import files
from tf_proxyless.infra import progress as progress_lib
from tf_proxyless.infra import versions
from tf_proxyless.nn import supernet as supernet_lib
from tf_proxyless.search import checkpoint as checkpoint_lib
from tf_proxyless.search import loop
from tf_proxyless.search import objectives
from tf_proxyless.search import plan as plan_lib
from tf_proxyless.search import policy as policy_lib
from tf_proxyless.search import run_directory
from tf_proxyless.search import schedule as schedule_lib
from tf_proxyless.search import scoring
from tf_proxyless.search import steps as steps_lib
from tf_proxyless.search import weight_optimizer
from tf_proxyless.search.optimizers import base
from tf_proxyless.search.optimizers import gumbel
from tf_proxyless.search.optimizers import reinforce
from tf_proxyless.search.optimizers import two_path
from tf_proxyless.space import io
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import schema


@dataclasses.dataclass(frozen=True)
class SearchComponents:
  """A search with all its parts.

  Attributes:
    config: Its configuration.
    problem: Space, costs and target.
    run: Its directory.
    schedule: Epochs and updates.
    data: Its batches.
    steps: Compiled steps of the supernet.
    architecture: The architecture optimizer.
    progress: Where it stands.
    checkpoint: Checkpoint of everything.
    sample_file: Scored networks.
    search: The loop.
    observer: Callbacks of the search.
    methods: How the architecture is searched for.
    validation_images: How many there are.
  """

  config: config_lib.SearchConfig
  problem: problem_lib.SearchProblem
  run: run_directory.RunDirectory
  schedule: schedule_lib.Schedule
  data: loop.Data
  steps: steps_lib.SupernetSteps
  architecture: base.ArchitectureOptimizer
  progress: checkpoint_lib.Progress
  checkpoint: checkpoint_lib.Checkpoint
  sample_file: evaluations_lib.EvaluationLog
  search: loop.Search
  observer: loop.Observer
  methods: Methods
  validation_images: int

  def plan(self) -> list[plan_lib.Part]:
    """What the whole search costs, by the time of a few steps, which change nothing."""
    data, paths = self.config.data, [self.architecture.next_path(tf.constant(step, tf.int64)).numpy() for step in range(3)]
    dearest = self.architecture.warmup_path(tf.constant(0, tf.int64), tf.constant(1.0)).numpy()
    seconds = plan_lib.measure(self.steps, np.array(paths), dearest, data.batch_size, data.validation_batch)
    passes = self.methods.optimizer.passes(self.problem.space)
    return plan_lib.make(self.schedule, data.batch_size, data.validation_batch, passes, self.scores_afterwards, self.validation_images,
                         seconds)

  def images_per_second(self) -> float:
    """How fast training images can be read, by all workers."""
    return plan_lib.images_per_second(self.data.training(0, 0)) * self.steps.devices.workers

  @property
  def scores_afterwards(self) -> int:
    """Networks to score once the weights stand still: for the gradient rule; REINFORCE has its samples for nothing."""
    return 0 if self.architecture.scores_networks else self.config.optimizer.scored_networks

  def score_fine_tuned(self, paths: np.ndarray) -> np.ndarray:
    """Accuracies on the validation set for derivation."""
    return scoring.score_fine_tuned(self.steps, self.schedule, self.data, self.observer, paths)

  def score(self, paths: np.ndarray) -> np.ndarray:
    """Accuracies on the validation set with the shared weights as they are."""
    return self.steps.accuracies_over(paths, progress_lib.over_batches(self.data.validation_pass(), f'scoring {len(paths)} networks'))


def objective_config(objective: config_lib.ObjectiveConfig) -> objectives.Config:
  """The settings of the objective that a configuration names."""
  weight = {} if objective.penalty_weight is None else {'weight': objective.penalty_weight}
  return {
      'constrained': lambda: objectives.ConstrainedConfig(objective.constraint_gain, objective.constraint_rate, objective.constraint_scale),
      'reward_power': lambda: objectives.RewardPowerConfig(objective.reward_exponent),
      'reward_absolute': lambda: objectives.RewardAbsoluteConfig(objective.reward_weight),
      'penalty_log': lambda: objectives.PenaltyLogConfig(exponent=objective.penalty_exponent, **weight),
      'penalty_linear': lambda: objectives.PenaltyLinearConfig(**weight),
  }[objective.objective]()


def optimizer_config(optimizer: config_lib.OptimizerConfig) -> base.OptimizerConfig:
  """The settings of the architecture optimizer that a configuration names."""
  rate = optimizer.architecture_learning_rate
  return {
      'reinforce': lambda: reinforce.ReinforceConfig(rate, optimizer.reinforce_networks, optimizer.baseline_momentum),
      'gradient': lambda: two_path.TwoPathConfig(rate),
      'gumbel': lambda: gumbel.GumbelConfig(rate),
      'straight_through': lambda: gumbel.GumbelConfig(rate, straight_through=True),
  }[optimizer.architecture_optimizer]()


@dataclasses.dataclass(frozen=True)
class Methods:
  """How an architecture is searched for.

  Attributes:
    optimizer: Settings of the architecture optimizer.
    objective: Settings of the objective.
  """

  optimizer: base.OptimizerConfig
  objective: objectives.Config

  def __post_init__(self) -> None:
    if not isinstance(self.optimizer, base.OptimizerConfig):
      raise TypeError(f'optimizer must be the settings of one, like optimizers.Reinforce(), got {self.optimizer!r}')
    if not isinstance(self.objective, objectives.Config):
      raise TypeError(f'objective must be the settings of one, like objectives.ConstrainedConfig(), got {self.objective!r}')
    if self.optimizer.LEARNS_FROM not in self.objective.SERVES:
      raise ValueError(f'{type(self.optimizer).__qualname__} learns from a {self.optimizer.LEARNS_FROM}, '
                       f'{type(self.objective).__qualname__} is for a {" or ".join(self.objective.SERVES)}')

  @property
  def scores_networks(self) -> bool:
    """Whether updates score networks, and do not differentiate on batches."""
    return self.optimizer.LEARNS_FROM == 'reward'

  def check_devices(self, data: config_lib.DataConfig, devices: distribution.Devices) -> None:
    """Refuses batches that cannot be divided among the devices.

    Raises:
      ValueError: In one line, which and what to do.
    """
    devices.check_batch('batch_size', data.batch_size)
    if not self.scores_networks:
      devices.check_batch('validation_batch_size', data.validation_batch)

  @classmethod
  def from_config(cls, config: config_lib.SearchConfig, optimizer: base.OptimizerConfig | None = None,
                  objective: objectives.Config | None = None) -> Methods:
    """Those that are handed over, or else that the configuration names."""
    return cls(optimizer or optimizer_config(config.optimizer), objective or objective_config(config.objective))

  def build(self, config: config_lib.SearchConfig, problem: problem_lib.SearchProblem, steps: steps_lib.SupernetSteps | None,
            updates: int) -> base.ArchitectureOptimizer:
    """The architecture optimizer; where the target constrains nothing it learns by accuracy alone.

    Args:
      config: Configuration of the search.
      problem: Space, costs and target.
      steps: None gives an optimizer that can be restored, but not updated.
      updates: Updates of the whole search.
    """
    objective = self.objective if problem.constrained else objectives.Config()
    policy = policy_lib.Policy(
        problem.cost_model.choice_counts, exploration=config.optimizer.exploration, seed=config.seed,
        parents=schema.parent_indices(problem.cost_model.decisions), even=network_lib.resolution_decisions(problem.space))
    made = objective.build(problem.target, problem.cost_model.smallest, self.optimizer.SCALE, updates)
    return self.optimizer.build(policy, problem.cost_model, made, steps, updates)


def make_schedule(config: config_lib.SearchConfig, optimizer: base.OptimizerConfig, space: network_lib.Network,
                  training_images: int) -> schedule_lib.Schedule:
  """The schedule of a search.

  Args:
    config: Configuration of the search.
    optimizer: That of the architecture.
    space: The search space.
    training_images: Number of them.

  Raises:
    ValueError: The images fill no batch, or the schedule holds no update.
  """
  weights = config.weights
  steps_per_epoch = pipelines.full_batches(training_images, config.data.batch_size, 'training')
  weight_steps = config.optimizer.weight_steps_per_update or plan_lib.weight_steps_per_update(
      optimizer.passes(space), config.data.validation_batch, config.data.batch_size, steps_per_epoch)
  return schedule_lib.Schedule(steps_per_epoch, weights.warmup_epochs, weights.search_epochs, weights.warmup_learning_rate,
                               weights.search_learning_rate, weight_steps, config.optimizer.frozen_epochs)


def _check_validation_batch(images: int, batch_size: int) -> None:
  try:
    pipelines.full_batches(images, batch_size, 'validation')
  except ValueError as error:
    raise ValueError(f'{error}; set `validation_batch_size`, or enlarge `validation_images`') from error


def check_images(config: config_lib.SearchConfig, methods: Methods, space: network_lib.Network, source: sources.Source) -> None:
  """Refuses what would be refused when the search is built, but before the operations of a space are measured for it.

  Raises:
    ValueError: The images fill no batch, or the schedule holds no update.
  """
  training, validation = splits.sizes(source, config.data.validation_images, config.data.held_out_images)
  _check_validation_batch(validation, config.data.validation_batch)
  make_schedule(config, methods.optimizer, space, training)


def write_inputs(config: config_lib.SearchConfig, problem: problem_lib.SearchProblem, source: sources.Source,
                 run: run_directory.RunDirectory, given: problem_lib.Given = problem_lib.NOTHING_GIVEN) -> bool:
  """Claims the run directory and puts flags, space and table into it.

  Args:
    config: Configuration of the search.
    problem: Space, costs and target.
    source: The dataset.
    run: The directory.
    given: What was given as objects.

  Returns:
    Whether the run was there already.

  Raises:
    ValueError: Another run lies there.
  """
  identity = problem_lib.identity(config, problem.tables, given)
  known = run.check(identity)
  if not (known or run.writes):
    raise ValueError(f'{run.path} is not there as the chief wrote it: all workers need the same command, and one `run_dir` on a disk that '
                     'they share')
  if not known:
    proof = None if given.problem else tables.find_proof(config, problem.space)
    if given.problem:
      files.write_json(run.problem, 'search_problem', problem.to_json())
    for file in (run.split, *run.tables.values(), run.latency_table_proof):  # of a run that came to nothing
      if file != proof:
        file.unlink(missing_ok=True)
    files.write_atomically(run.flags, flags.to_flagfile(config, problem_lib.silent(config, given)))
    io.save_search_space(problem.space, run.search_space)
    for name, table in problem.tables.items():
      table_lib.save(table, run.tables[name])
    if proof is not None and proof != run.latency_table_proof:
      files.write_atomically(run.latency_table_proof, proof.read_bytes())
    run.claim(identity, class_names='\n'.join(source.class_names),
              **{augmentation_lib.NAME: augmentation_lib.choose(config.data.augmentation, source, run, known)})
  return known


def _make_split(config: config_lib.SearchConfig, source: sources.Source, run: run_directory.RunDirectory,
                validation: np.ndarray | None) -> splits.Split:
  if run.split.exists():
    differing = architectures.other_classes(run.class_names, source.name, source.class_names)
    if differing:
      raise ValueError(f'{run.path} searched on other classes: {differing}')
    return splits.load(str(run.split), source, over=run.is_finished())
  if validation is not None:
    if config.data.held_out_images:
      raise ValueError('`held_out_images` is for a search without validation images of its own; leave them out of the arrays')
    split = splits.Split(source.name, config.seed, source.load('train'), np.flatnonzero(~validation), np.flatnonzero(validation))
    splits.save(split, str(run.split))
    return split
  with progress_lib.working(f'reading {source.name}'):
    split = splits.make(source, config.data.validation_images, config.seed, config.data.held_out_images)
  splits.save(split, str(run.split))
  return split


def _make_data(config: config_lib.SearchConfig, problem: problem_lib.SearchProblem, source: sources.Source, split: splits.Split,
               run: run_directory.RunDirectory, part: pipelines.Part, stream_part: pipelines.Part) -> loop.Data:
  """The batches of a search, of which this worker gets a part."""
  augmentation = augmentation_lib.choose(config.data.augmentation, source, run, known=True)
  transform = preprocessing.for_source(source, problem.space.resolution, augmentation, channels=problem.space.input_shape[2])
  batch_size = config.data.validation_batch
  _check_validation_batch(len(split.validation), batch_size)
  return loop.Data(
      training=lambda epoch, step: pipelines.training_batches(split, transform, config.data.batch_size, config.seed, epoch, step,
                                                                 part=part),
      validation_stream=lambda first: pipelines.validation_stream(split, transform, batch_size, config.seed, first, stream_part),
      validation_pass=lambda: pipelines.validation_pass(split, transform, batch_size, part))


def build_search(config: config_lib.SearchConfig, problem: problem_lib.SearchProblem, source: sources.Source,
                 run: run_directory.RunDirectory, observer: loop.Observer, methods: Methods | None = None,
                 validation: np.ndarray | None = None, devices: distribution.Devices | None = None) -> SearchComponents:
  """Builds all parts; nothing is restored or run yet.

  Args:
    config: Configuration of the search.
    problem: Space, costs and target.
    source: The dataset.
    run: Where files are kept.
    observer: Is shown what happens.
    methods: By default those that the configuration names.
    validation: Which training examples (bool) architectures are scored on; by default drawn by the configuration.
    devices: What shares the steps, by default one device.

  Raises:
    ValueError: Batches do not fit the dataset or the devices, the schedule holds no update, or workers differ.
  """
  weights, devices = config.weights, devices or distribution.Devices()
  with devices.chief_first():
    split = _make_split(config, source, run, validation)
  dataset.check_workers(devices, run, split, [problem_lib.identity(config, problem.tables), problem.to_json()])
  methods = methods or Methods.from_config(config)
  part = (devices.worker, devices.workers)
  data = _make_data(config, problem, source, split, run, part, pipelines.WHOLE)  # a network is scored by one device on a whole batch
  updates = data if methods.scores_networks else _make_data(config, problem, source, split, run, part, part)
  schedule = make_schedule(config, methods.optimizer, problem.space, len(split.training))
  with devices.strategy.scope():
    supernet = supernet_lib.Supernet(problem.space, config.seed, weights.nested, weights.precision, weights.recompute_activations)
    optimizer = weight_optimizer.SupernetSGD(supernet, weights.momentum, weights.weight_decay)
  steps = steps_lib.SupernetSteps(supernet, optimizer, weights.label_smoothing, devices)
  architecture = methods.build(config, problem, steps, schedule.updates)
  progress = checkpoint_lib.Progress()
  checkpoint = checkpoint_lib.Checkpoint(run, supernet, optimizer, architecture, progress)
  sample_file = evaluations_lib.EvaluationLog(
      os.fspath(run.samples), problem.cost_model.paths, problem.cost_model.choice_counts, run.writes)
  search = loop.Search(steps, architecture, schedule, updates, run, progress, checkpoint, sample_file, config.checkpoint_every_steps,
                       observer, problem.target if problem.constrained else None)
  return SearchComponents(config, problem, run, schedule, data, steps, architecture, progress, checkpoint, sample_file, search, observer,
                          methods, len(split.validation))


def score_afterwards(components: SearchComponents) -> bool:
  """Scores networks of a finished search by gradients, or continues to; False if asked to stop."""
  _, samples = evaluations_lib.load(components.run.samples)
  scored = len(samples) // scoring.NETWORKS_PER_BATCH * scoring.NETWORKS_PER_BATCH
  components.sample_file.truncate(scored)
  return scoring.score_policy(components.steps, components.architecture, components.data.validation_stream, components.sample_file, scored,
                              components.scores_afterwards, components.config.seed, components.observer)


def restore(config: config_lib.SearchConfig, problem: problem_lib.SearchProblem, run: run_directory.RunDirectory, with_data: bool,
            methods: Methods | None = None) -> tuple[base.ArchitectureOptimizer, candidates_lib.Score | None]:
  """What a finished search learned, to derive from.

  Args:
    config: Configuration of the run.
    problem: Problem of the search.
    run: Its directory.
    with_data: Whether networks are to be scored, which takes the dataset and the supernet.
    methods: By default those that the configuration names.

  Returns:
    The architecture optimizer, and (with data) what scores networks on the validation split.

  Raises:
    ValueError: There is no checkpoint, or it is damaged, or the dataset is not there.
  """
  if with_data:
    components = restore_components(config, problem, run, methods)
    return components.architecture, components.score_fine_tuned
  architecture = (methods or Methods.from_config(config)).build(config, problem, None, updates=1)  # rates play no part
  checkpoint_lib.restore_architecture(run, architecture)
  return architecture, None


def restore_components(config: config_lib.SearchConfig, problem: problem_lib.SearchProblem, run: run_directory.RunDirectory,
                       methods: Methods | None = None) -> SearchComponents:
  """A finished search with all its parts: see `restore`."""
  components = build_search(config, problem, dataset.open_source(config.data.dataset, config.data), run, loop.Observer(), methods)
  if not components.checkpoint.restore():
    raise ValueError(f'{run.checkpoints} holds no checkpoint; run the search first')
  return components


def derive_architecture(components: SearchComponents, by: str = 'validation') -> tuple[candidates_lib.Derivation, io.Architecture]:
  """Derives the network of a finished search under its target."""
  problem = components.problem
  return derive_from_run(components.config, problem, problem, components.run, components.architecture, by, components.score_fine_tuned)


def derive_from_run(config: config_lib.SearchConfig, searched: problem_lib.SearchProblem, problem: problem_lib.SearchProblem,
                    run: run_directory.RunDirectory, architecture: base.ArchitectureOptimizer, by: str,
                    validation: candidates_lib.Score | None, others: tuple[solver.Constraint, ...] = ()) -> tuple[
                        candidates_lib.Derivation, io.Architecture]:
  """Derives a network under a problem's target from what a run learned: `front_from_run` for one limit."""
  return front_from_run(config, searched, problem, [problem.target], run, architecture, by, validation, others)[0]


def front_from_run(config: config_lib.SearchConfig, searched: problem_lib.SearchProblem, problem: problem_lib.SearchProblem,
                   limits: Sequence[float], run: run_directory.RunDirectory, architecture: base.ArchitectureOptimizer, by: str,
                   validation: candidates_lib.Score | None, others: tuple[solver.Constraint, ...] = ()) -> list[tuple[
                       candidates_lib.Derivation, io.Architecture]]:
  """Derives a network under each of some limits from what a run learned.

  Args:
    config: Configuration of the run.
    searched: Problem of the search.
    problem: The same space; costs may be others than the search had.
    limits: Greatest costs.
    run: Holds the scored networks.
    architecture: Restored.
    by: 'probability', 'evidence' or 'validation'.
    validation: For 'validation', see `candidates_lib.front`.
    others: Further constraints, besides the problem's.
  """
  _, samples = evaluations_lib.load(run.samples)
  state = architecture.state()
  multiplier = float(state['multiplier']) if isinstance(architecture.objective, objectives.Constrained) else None
  end = diagnostics.SearchEnd(searched.target if searched.constrained else None, float(state['expected_cost']), multiplier,
                            config.data.validation_batch)
  with progress_lib.working('deriving'):
    macs = None if validation is None else model_lib.from_macs(problem.space)
    derivations = result_lib.derive_networks(architecture.log_probabilities(), samples, not architecture.scores_networks,
                                             problem.cost_model, limits, end, by, validation, config.seed,
                                             (*problem.others, *others), macs)
  return [(found, result_lib.make_architecture(problem.space, found, problem.tables, versions.installed(), config.seed))
          for found in derivations]
