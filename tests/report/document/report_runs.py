"""Run directories as a search leaves them, without running one: real files of a small space, made up numbers."""

import json

import numpy as np

from tf_proxyless.cost import counting
from tf_proxyless.cost import model as model_lib
from tf_proxyless.cost import table as table_lib
from tf_proxyless.derive import candidates as candidates_lib
from tf_proxyless.derive import effects as effects_lib
from tf_proxyless.derive import evaluations as evaluations_lib
from tf_proxyless.infra import files
from tf_proxyless.measure import validation as validation_lib
from tf_proxyless.report.document import document as document_lib
from tf_proxyless.search import run_directory
from tf_proxyless.space import io
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import proxyless
from tf_proxyless.space import schema

SPACE = proxyless.proxyless(stage_filters=(8, 16), stage_blocks=(2, 2), stage_strides=(1, 2), resolution=8, stem_filters=8, stem_strides=1,
                            first_block_filters=8, head_filters=16, classes=10)
FLAGS = ('--dataset=digits', '--resolution=8', '--stem_filters=8', '--stem_strides=1', '--first_block_filters=8', '--stage_filters=8,16',
         '--stage_blocks=2,2', '--stage_strides=1,2', '--head_filters=16', '--warmup_epochs=2', '--search_epochs=6')
TARGET_MS, TARGET_MACS = 1.0, 4e5
RUNTIME = table_lib.Runtime('Pixel 9', 'int8', 'builtin', threads=1, date='2026-01-02')


def make_table(space=SPACE):
  """A calibrated table of a space, every fifth entry estimated."""
  entries = []
  for i, signature in enumerate(network_lib.op_signatures(space)):
    latency_ms = 0.05 + 1e-6 * counting.count(signature).macs
    stats = table_lib.LatencyStats('estimated' if i % 5 == 4 else 'measured', median_ms=latency_ms)
    entries.append(table_lib.Entry(signature, stats))
  return table_lib.LatencyTable('planted', RUNTIME, tuple(entries), 'made up', table_lib.Calibration(1.25, 0.125, 3),
                                    table_lib.Validation(0.1, 2.5, 90.0, 100.0, 0.75, 12), 30.0)


def make_proof(table, path):
  """The proof of a table, of three networks whose latencies are off by one percent."""
  rows = []
  for i, (purpose, sum_ms) in enumerate([('calibration', 1.0), ('validation', 1.5), ('published', 2.0)]):
    predicted_ms = table.calibration.offset_ms + table.calibration.scale * sum_ms
    rows.append(validation_lib.Row(f'random_{i}', purpose, sum_ms, predicted_ms, 1.01 * predicted_ms))
  validation_lib.save(validation_lib.Proof(table, tuple(rows), {}), path)


def probabilities(epochs, counts, seed=0):
  """By epoch and decision, from even to clear."""
  rng = np.random.default_rng(seed)
  logits = [rng.normal(size=count) for count in counts]
  found = []
  for epoch in range(epochs):
    weights = [np.exp(epoch * row) for row in logits]
    found.append([weight / weight.sum() for weight in weights])
  return found


def entry(epoch, rows, model, updates):
  """A line of history.jsonl, as `loop` makes it."""
  most_likely = [int(row.argmax()) for row in rows]
  expected = model.fixed + sum(float(row @ np.array(costs)) for row, costs in zip(rows, model.choice_costs))
  return {'epoch': epoch, 'phase': 'warmup' if epoch < 2 else 'joint', 'loss': 2.0 / (epoch + 1), 'accuracy': 1 - 0.5 / (epoch + 1),
          'most_likely_accuracy': 1 - 0.6 / (epoch + 1), 'entropy': 1.0, 'expected_cost': expected, 'multiplier': 0.0,
          'most_likely_cost': model.cost(most_likely), 'updates': updates,
          'probabilities': {path: row.tolist() for path, row in zip(model.paths, rows)}, 'seconds': 10.0 + epoch}


def make_evaluations(model, batches, seed=0, noise=0.01, slope=0.1, first_batch=0):
  """Ten networks a batch, whose accuracies rise with cost and are off by `noise`."""
  rng = np.random.default_rng(seed)
  counts = tuple(map(len, model.choice_costs))
  paths = np.stack([rng.integers(0, count, 10 * batches) for count in counts], axis=1)
  costs = model.fixed + model.padded_costs()[np.arange(len(counts)), paths].sum(axis=1)
  share = (costs - model.smallest) / (model.largest - model.smallest)
  accuracy = 0.5 + slope * share + noise * rng.normal(size=len(costs))
  return evaluations_lib.Evaluations(counts, paths, accuracy, costs, first_batch + np.arange(10 * batches) // 10)


def write(path, epochs=8, state='finished', in_macs=False, batches=30, space=SPACE, flags=FLAGS):
  """A run directory in some state; a finished one has all files."""
  run = run_directory.RunDirectory(path)
  run.create()
  table = None if in_macs else make_table(space)
  model = model_lib.from_macs(space) if in_macs else model_lib.from_latency_table(space, table)
  target = [f'--target_macs={TARGET_MACS}']
  if not in_macs:
    target = [f'--target_latency_ms={TARGET_MS}', '--latency_table=/home/me/tables/phone.json', '--allow_estimates']
  lines = [*flags, *target, '--architecture_optimizer=reinforce', '--objective=constrained',
           f'--run_dir={path}', '--data_dir=/home/me/data']
  run.flags.write_text('\n'.join(lines) + '\n')
  io.save_search_space(space, run.search_space)
  if table is not None:
    table_lib.save(table, run.latency_table)
    make_proof(table, run.latency_table_proof)
  rows = probabilities(epochs, list(map(len, model.choice_costs)))
  run.write_history(entry(epoch, row, model, 5 * epoch) for epoch, row in enumerate(rows))
  samples = make_evaluations(model, batches)
  file = evaluations_lib.EvaluationLog(str(run.samples), model.paths, samples.choice_counts)
  file.create()
  file.append(samples)
  run.write_status(state)
  if state == 'finished':
    _finish(run, space, table, model, rows[-1], samples, TARGET_MACS if in_macs else TARGET_MS)
  return run


def _finish(run, space, table, model, rows, samples, target):
  budget = candidates_lib.Budget(target, model)
  derivation = candidates_lib.derive([np.log(row) for row in rows], effects_lib.fit(samples), budget,
                             validation=lambda paths: np.linspace(0.7, 0.6, len(paths)), macs=model_lib.from_macs(space))
  files.write_json(run.derivation, 'derivation', derivation.to_json())
  genotype = schema.genotype(space, derivation.chosen.choices)
  network = schema.resolve(space, genotype)
  count = counting.count_network(network)
  cost = io.Cost(count.macs, count.parameters, None if table is None else model.cost(genotype))
  io.save_architecture(io.Architecture(network, genotype, cost=cost, versions={'numpy': '2.0'}), run.architecture)


def damage_history(run, number, line):
  """Puts another line in place of the line `number`, from 1."""
  lines = run.history.read_bytes().split(b'\n')
  lines[number - 1] = line
  run.history.write_bytes(b'\n'.join(lines))


def read_history(run):
  """The lines as they are."""
  return [json.loads(line) for line in run.history.read_text().splitlines()]


def read(run, **arguments):
  """The first run of a document, which must be JSON."""
  document = document_lib.document(run.path, **arguments)
  assert json.loads(json.dumps(document, allow_nan=False)) == document
  return document['runs'][0]


def cost_model():
  """Of SPACE by its table."""
  return model_lib.from_latency_table(SPACE, make_table())
