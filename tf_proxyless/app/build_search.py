"""Puts a search together from its flags. For mains only, which may import every room; no room imports this."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import os

from absl import flags
import numpy as np

from tf_proxyless.app import methods
from tf_proxyless.app import problem as problem_lib
from tf_proxyless.app import progress as progress_lib
from tf_proxyless.app import search_flags
from tf_proxyless.app import tables
from tf_proxyless.cost import table as table_lib
from tf_proxyless.data import pipelines
from tf_proxyless.data import preprocessing
from tf_proxyless.data import sources
from tf_proxyless.data import splits
from tf_proxyless.derive import candidates as candidates_lib
from tf_proxyless.derive import diagnostics
from tf_proxyless.derive import evaluations as evaluations_lib
from tf_proxyless.derive import result as result_lib
from tf_proxyless.infra import files
from tf_proxyless.infra import versions
from tf_proxyless.nn import supernet as supernet_lib
from tf_proxyless.search import checkpoint as checkpoint_lib
from tf_proxyless.search import loop
from tf_proxyless.search import objectives
from tf_proxyless.search import run_directory
from tf_proxyless.search import schedule as schedule_lib
from tf_proxyless.search import scoring
from tf_proxyless.search import steps as steps_lib
from tf_proxyless.search import weight_optimizer
from tf_proxyless.search.optimizers import base
from tf_proxyless.space import io


@dataclasses.dataclass(frozen=True)
class Assembled:
  """A search with all its parts.

  Attributes:
    values: Its flags.
    plan: Space, costs and target.
    run: Its directory.
    schedule: Epochs and updates.
    data: Its batches.
    steps: Compiled steps of the supernet.
    architecture: The architecture optimizer.
    progress: Where it stands.
    checkpoint: Of everything.
    sample_file: Scored networks.
    search: The loop.
    observer: What the main wants to see.
  """

  values: flags.FlagValues
  plan: problem_lib.Plan
  run: run_directory.RunDirectory
  schedule: schedule_lib.Schedule
  data: loop.Data
  steps: steps_lib.SupernetSteps
  architecture: base.ArchitectureOptimizer
  progress: checkpoint_lib.Progress
  checkpoint: checkpoint_lib.Checkpoint
  sample_file: evaluations_lib.SampleFile
  search: loop.Search
  observer: loop.Observer

  @property
  def scores_afterwards(self) -> int:
    """Networks to score once the weights stand still: for the gradient rule; REINFORCE has its samples for nothing."""
    return 0 if self.architecture.scores_networks else self.values.scored_networks

  def score(self, paths: np.ndarray) -> np.ndarray:
    """Accuracy on the whole validation split of each network of int32 [networks, decisions]."""
    return self.steps.accuracies_over(paths, progress_lib.over_batches(self.data.validation_pass(), f'scoring {len(paths)} networks'))


def open_source(values: flags.FlagValues) -> sources.Source:
  """The dataset that the flags name."""
  with progress_lib.working(f'opening {values.dataset}'):
    return sources.open_dataset(values.dataset, values.data_dir, values.download)


def write_inputs(values: flags.FlagValues, plan: problem_lib.Plan, run: run_directory.RunDirectory) -> bool:
  """Claims the run directory and puts flags, space and table into it; whether the run was there already.

  Raises:
    ValueError: Another run lies there.
  """
  identity = problem_lib.identity(values, plan.table)
  known = run.check(identity)
  if not known:
    proof = tables.find_proof(values, plan.space)
    for file in (run.split, run.latency_table, run.latency_table_proof):  # of a run that came to nothing
      if file != proof:
        file.unlink(missing_ok=True)
    files.write_atomically(run.flags, search_flags.RUN.to_flagfile(values))
    io.save_search_space(plan.space, run.search_space)
    if plan.table is not None:
      table_lib.save(plan.table, run.latency_table)
    if proof is not None and proof != run.latency_table_proof:
      files.write_atomically(run.latency_table_proof, proof.read_bytes())
    run.claim(identity)
  return known


def _make_split(values: flags.FlagValues, source: sources.Source, run: run_directory.RunDirectory) -> splits.Split:
  if run.split.exists():
    return splits.load(str(run.split), source)
  with progress_lib.working(f'reading {source.name}'):
    split = splits.make(source, values.validation_images, values.seed)
  splits.save(split, str(run.split))
  return split


def _make_data(values: flags.FlagValues, source: sources.Source, split: splits.Split) -> loop.Data:
  transform = preprocessing.for_source(source, values.resolution, values.augmentation)
  batch_size = values.validation_batch_size or values.batch_size
  try:
    pipelines.validation_pass(split, transform, batch_size)  # refuses a batch that the split cannot fill, before anything runs
  except ValueError as error:
    raise ValueError(f'{error}; set --validation_batch_size, or enlarge --validation_images') from error
  return loop.Data(
      training=lambda epoch, step: pipelines.training_batches(split, transform, values.batch_size, values.seed, epoch, step),
      validation_stream=lambda first: pipelines.validation_stream(split, transform, batch_size, values.seed, first),
      validation_pass=lambda: pipelines.validation_pass(split, transform, batch_size))


def assemble(values: flags.FlagValues, plan: problem_lib.Plan, source: sources.Source, run: run_directory.RunDirectory,
             observer: loop.Observer) -> Assembled:
  """Builds all parts; nothing is restored or run yet.

  Raises:
    ValueError: Batches do not fit the dataset, or the schedule holds no update.
  """
  split = _make_split(values, source, run)
  data = _make_data(values, source, split)
  schedule = schedule_lib.Schedule(
      pipelines.steps_per_epoch(split, values.batch_size), values.warmup_epochs, values.search_epochs, values.warmup_learning_rate,
      values.search_learning_rate, values.weight_steps_per_update, values.frozen_epochs)
  supernet = supernet_lib.Supernet(plan.space, values.seed)
  optimizer = weight_optimizer.SupernetSGD(supernet, values.momentum, values.weight_decay)
  steps = steps_lib.SupernetSteps(supernet, optimizer, values.label_smoothing)
  architecture = methods.make_architecture(values, plan, steps, schedule.updates)
  progress = checkpoint_lib.Progress()
  checkpoint = checkpoint_lib.Checkpoint(run, supernet, optimizer, architecture, progress)
  sample_file = evaluations_lib.SampleFile(
      os.fspath(run.samples), plan.cost_model.paths, plan.cost_model.choice_counts)
  search = loop.Search(steps, architecture, schedule, data, run, progress, checkpoint, sample_file, values.checkpoint_every_steps,
                       observer, plan.target if plan.constrained else None)
  return Assembled(values, plan, run, schedule, data, steps, architecture, progress, checkpoint, sample_file, search, observer)


def score_afterwards(assembled: Assembled) -> bool:
  """Scores networks of a finished search by gradients, or continues to; False if asked to stop."""
  _, samples = evaluations_lib.load(assembled.run.samples)
  scored = len(samples) // scoring.NETWORKS_PER_BATCH * scoring.NETWORKS_PER_BATCH
  assembled.sample_file.truncate(scored)
  return scoring.score_policy(assembled.steps, assembled.architecture, assembled.data.validation_stream, assembled.sample_file, scored,
                              assembled.scores_afterwards, assembled.values.seed, assembled.observer)


def restore(values: flags.FlagValues, plan: problem_lib.Plan, run: run_directory.RunDirectory, with_data: bool) -> tuple[
    base.ArchitectureOptimizer, Callable[[np.ndarray], np.ndarray] | None]:
  """What a finished search learned, to derive from.

  Args:
    values: Flags of the run.
    plan: Of the search.
    run: Its directory.
    with_data: Whether networks are to be scored, which takes the dataset and the supernet.

  Returns:
    The architecture optimizer, and (with data) what scores networks int32 [networks, decisions] on the validation split.

  Raises:
    ValueError: There is no checkpoint, or it is damaged, or the dataset is not there.
  """
  if with_data:
    assembled = assemble(values, plan, open_source(values), run, loop.Observer())
    if not assembled.checkpoint.restore():
      raise ValueError(f'{run.checkpoints} holds no checkpoint; run the search first')
    return assembled.architecture, assembled.score
  architecture = methods.make_architecture(values, plan, None, updates=1)  # rates play no part
  checkpoint_lib.restore_architecture(run, architecture)
  return architecture, None


def derive_architecture(assembled: Assembled, by: str = 'validation') -> tuple[candidates_lib.Derivation, io.Architecture]:
  """Derives the network of a finished search under its target."""
  return derive_from_run(assembled.values, assembled.plan, assembled.plan, assembled.run, assembled.architecture, by, assembled.score)


def derive_from_run(values: flags.FlagValues, searched: problem_lib.Plan, plan: problem_lib.Plan, run: run_directory.RunDirectory,
                    architecture: base.ArchitectureOptimizer, by: str,
                    score: Callable[[np.ndarray], np.ndarray] | None) -> tuple[
                        candidates_lib.Derivation, io.Architecture]:
  """Derives a network under the plan's target from what a run learned.

  Args:
    values: Flags of the run.
    searched: Plan of the search.
    plan: The same space; costs and target may be others than the search had.
    run: Holds the scored networks.
    architecture: Restored.
    by: 'probability', 'evidence' or 'validation'.
    score: For 'validation', see `candidates_lib.derive`.
  """
  _, samples = evaluations_lib.load(run.samples)
  state = architecture.state()
  multiplier = float(state['multiplier']) if isinstance(architecture.objective, objectives.Constrained) else None
  end = diagnostics.SearchEnd(searched.target if searched.constrained else None, float(state['expected_cost']), multiplier,
                            values.validation_batch_size or values.batch_size)
  with progress_lib.working('deriving'):
    derivation = result_lib.derive_network(result_lib.log_probabilities(architecture), samples, not architecture.scores_networks,
                                         plan.cost_model, plan.target, end, by, score, values.seed)
  return derivation, result_lib.make_architecture(plan.space, derivation, plan.table, versions.installed(),
                                                values.seed)
