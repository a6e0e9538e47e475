"""Report documents that look like those of real searches; spaces, MACs and latencies are real, the course of the search is made up."""

import collections
from collections.abc import Callable
import copy
import dataclasses
import functools
import math
import random

from tests.space import spaces
from tf_proxyless.cost import counting
from tf_proxyless.cost import named_tables
from tf_proxyless.cost import model as model_lib
from tf_proxyless.report.document import networks as networks_lib
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import proxyless
from tf_proxyless.space import published
from tf_proxyless.space import schema

TABLE = 'pixel1_tflite_float'
ALL = ('imagenet', 'tiny', 'macs', 'running', 'interrupted', 'empty', 'comparison', 'hostile', *spaces.COUPLED)  # for `make`


@dataclasses.dataclass(frozen=True)
class Prices(networks_lib.Prices):
  """Costs by a function of signatures, all measured."""

  function: Callable = None

  def of(self, signature):
    return 0.0 if signature is None else self.function(signature)

  def total(self, network):
    return math.fsum(self.of(row.signature) for row in counting.count_blocks(network))

  @property
  def provenance(self):
    return collections.defaultdict(lambda: 'measured', {None: None})


def _softmax(logits):
  largest = max(logits)
  weights = [math.exp(value - largest) for value in logits]
  return [weight / sum(weights) for weight in weights]


def _probabilities(decisions, goal, epochs, warmup, generator):
  """[epoch][decision][choice]: even until `warmup`, then towards the goal, some decisions later than others, with detours."""
  logits = [[0.0] * len(decision['choices']) for decision in decisions]
  speeds = [generator.uniform(0.4, 1.6) for _ in decisions]
  history = []
  for epoch in range(epochs):
    if epoch >= warmup:
      for row, aim, speed in zip(logits, goal, speeds):
        for index in range(len(row)):
          row[index] += generator.gauss(0.0, 0.35)
        row[aim] += speed * 5.0 / max(1, epochs - warmup) * (1.0 + generator.random())
    history.append([[round(p, 4) for p in _softmax(row)] for row in logits])
  return history


def _history(decisions, model, epochs, warmup, goal, generator):
  probabilities = _probabilities(decisions, goal, epochs, warmup, generator)
  progress = [epoch / max(1, epochs - 1) for epoch in range(epochs)]
  wobble = [generator.gauss(0.0, 0.006) for _ in range(epochs)]
  accuracy = [max(0.01, 0.62 * (1.0 - math.exp(-4.0 * share)) + noise) for share, noise in zip(progress, wobble)]
  most_likely = [[row.index(max(row)) for row in rows] for rows in probabilities]
  return {
      'epoch': list(range(epochs)),
      'phase': ['warmup' if epoch < warmup else 'joint' for epoch in range(epochs)],
      'loss': [6.9 - 5.0 * value / 0.62 + 0.2 * noise for value, noise in zip(accuracy, wobble)],
      'accuracy': accuracy,
      'most_likely_accuracy': [max(0.0, value - 0.02) for value in accuracy],
      'entropy': [sum(-p * math.log(p) for row in rows for p in row if p) / len(rows) for rows in probabilities],
      'expected_cost': [model.fixed + sum(p * c for row, cost in zip(rows, model.choice_costs) for p, c in zip(row, cost))
                        for rows in probabilities],
      'most_likely_cost': model.costs(most_likely).tolist(),
      'multiplier': [0.0 if epoch < warmup else 0.08 * math.tanh((epoch - warmup) / 20.0) for epoch in range(epochs)],
      'updates': [0 if epoch < warmup else 40 for epoch in range(epochs)],
      'seconds': [310.0 + 4.0 * generator.random() for _ in range(epochs)],
      'probabilities': probabilities,
  }, most_likely


def _front(points):
  """Means over ten groups of similar cost, those that no cheaper group beats."""
  points = sorted(points)
  size = max(1, len(points) // 10)
  front = {'of': 'means of networks of similar cost', 'cost': [], 'accuracy': [], 'error': []}
  for start in range(0, len(points) - size + 1, size):
    group = points[start:start + size]
    accuracy = sum(value for _, value in group) / size
    if not front['accuracy'] or accuracy > front['accuracy'][-1]:
      front['cost'].append(sum(cost for cost, _ in group) / size)
      front['accuracy'].append(accuracy)
      front['error'].append(0.06 / math.sqrt(size))
  return front


def _samples(smallest, largest, count, generator):
  cost = [generator.uniform(smallest * 1.05, largest * 0.9) for _ in range(count)]
  accuracy = [0.35 + 0.25 * (value - smallest) / (largest - smallest) + generator.gauss(0.0, 0.06) for value in cost]
  return {'count': 3 * count, 'cost': cost, 'accuracy': accuracy, 'front': _front(list(zip(cost, accuracy)))}


def _proof(generator, low, high):
  rows = []
  for index in range(24):
    predicted = low + (high - low) * generator.random()
    purpose = 'calibration' if index < 8 else 'validation' if index < 20 else 'published'
    rows.append({'name': f'{purpose} {index}', 'purpose': purpose, 'predicted_ms': predicted,
                 'measured_ms': predicted * (1.0 + generator.gauss(0.0, 0.03))})
  return rows


def _table(space, cost, generator, low, high):
  entries = []
  for index, signature in enumerate(network_lib.op_signatures(space)):
    ms = cost(signature)
    entries.append({'label': str(signature), 'ms': ms, 'p5': 0.95 * ms, 'p95': 1.2 * ms,
                    'provenance': 'estimated' if index % 9 == 4 else 'measured', 'macs': counting.count(signature).macs})
  counts = {name: sum(entry['provenance'] == name for entry in entries) for name in ('measured', 'estimated', 'published')}
  return {'name': TABLE, 'runtime': {'device': 'Pixel 1', 'precision': 'float32', 'kernels': 'builtin', 'threads': 1},
          'provenance': counts, 'calibration': {'scale': 1.021, 'offset_ms': 0.4, 'networks': 8},
          'validation': {'networks': 12, 'rmse_ms': 1.9, 'mape_percent': 2.4, 'within_5_percent': 91.7, 'within_10_percent': 100.0,
                         'spearman': 0.98}, 'estimate_error_percent': 7.5,
          'unit': 'ms', 'entries': entries, 'proof': _proof(generator, low, high), 'source': 'measured with benchmark_model'}


def _deployments(predicted):
  return [{'name': 'found_float.tflite', 'quantization': 'float32', 'how': 'converted', 'float_accuracy': 0.746,
           'int8_accuracy': 0.746, 'dataset': 'imagenet2012', 'test_images': 50000,
           'macs': 320_430_000, 'parameters': 4_080_512, 'predicted_ms': predicted, 'measured_ms': predicted * 1.02,
           'measured_p5_ms': predicted * 0.99, 'measured_p95_ms': predicted * 1.09, 'device': 'Pixel 1', 'size_bytes': 16_344_120,
           'sha256': '3b' * 32, 'same_network': True},
          {'name': 'found_int8.tflite', 'quantization': 'int8', 'how': 'quantization-aware training', 'float_accuracy': 0.746,
           'int8_accuracy': 0.739, 'dataset': 'imagenet2012', 'test_images': 50000,
           'macs': 320_430_000, 'parameters': 4_080_512, 'predicted_ms': None, 'measured_ms': None, 'measured_p5_ms': None,
           'measured_p95_ms': None, 'device': None, 'size_bytes': 4_401_232, 'sha256': 'a7' * 32, 'same_network': True}]


def _published():
  """Costs from MACs alone: the table does not cover these networks."""
  return [{'name': name, 'cost': counting.count_network(published.network(name)).macs / 4.0e6, 'top1_imagenet': top1,
           'note': 'ImageNet top-1 of the paper'}
          for name, top1 in (('proxyless_mobile', 0.746), ('proxyless_gpu', 0.751), ('proxyless_cpu', 0.753))]


def _margin(decision, index, generator):
  alternative = (index + 1) % len(decision['choices'])
  return {'decision': decision['label'], 'choice': decision['choices'][index]['label'],
          'alternative': decision['choices'][alternative]['label'], 'difference': 0.03 * generator.random(), 'standard_error': 0.008}


def _run(space, cost, goal, target, epochs, warmup, seed, name):
  generator = random.Random(seed)
  prices = Prices('ms', None, cost)
  model = model_lib.build(space, prices.of, 'ms')
  decisions = networks_lib.decisions(space, model)
  genotype = schema.genotype(space, goal)
  network = {**networks_lib.network(schema.resolve(space, genotype), prices), 'name': 'derived'}
  smallest, largest = model.smallest, model.largest
  history, most_likely = _history(decisions, model, epochs, warmup, goal, generator)
  candidates = [{'source': source, 'cost': network['cost'] * factor, 'macs': 3.2e8 * factor, 'validation_accuracy': accuracy,
                 'estimate': 0.6 * factor, 'standard_error': 0.004, 'chosen': not index}
                for index, (source, factor, accuracy) in enumerate([('evidence', 1.0, 0.601),
                                                                    ('probability', 0.97, 0.592), ('probability', 1.04, None)])]
  return {
      'name': name, 'state': 'finished', 'reason': None, 'refreshing': False, 'problems': [],
      'settings': [['search space', 'search_space', 'proxyless'], ['search space', 'resolution', str(space.input_shape[0])],
                   ['search', 'architecture_optimizer', 'reinforce'], ['search', 'objective', 'constrained'],
                   ['search', 'target_latency_ms', f'{target:.2f}'], ['search', 'seed', str(seed)],
                   ['data', 'dataset', 'imagenet2012'], ['data', 'batch_size', '256']],
      'versions': {'tf_proxyless': '0.1.0', 'tensorflow': '2.21.0', 'tf_keras': '2.21.0', 'python': '3.11.2'},
      'seconds': {'epochs': sum(history['seconds']), 'left': None},
      'cost': {'unit': 'ms', 'target': target, 'smallest': smallest, 'largest': largest, 'objective': 'constrained',
               'optimizer': 'reinforce', 'provenance': 'measured', 'of': 'Pixel 1, float32, builtin kernels'},
      'decisions': decisions, 'history': history, 'network': network,
      'most_likely': networks_lib.sequence(space, most_likely, prices),
      'samples': _samples(smallest, largest, 2000 if epochs > 20 else 60, generator),
      'candidates': candidates, 'published': [],
      'predictor': None,
      'front': {'by': 'validation', 'unit': 'ms', 'warnings': [], 'points': [
          {'limit': target * factor, 'cost': target * factor * 0.99, 'architecture': f'{factor}_ms.json', 'estimate': 0.6 * factor,
           'standard_error': 0.004, 'validation_accuracy': accuracy} for factor, accuracy in ((0.8, 0.55), (0.9, 0.58), (1.1, None))]},
      'derivation': {'by': 'evidence', 'budget': target, 'warnings': [],
                     'margins': [_margin(decision, index, generator) for decision, index in zip(decisions, goal)]},
      'table': _table(space, cost, generator, smallest, largest), 'deployments': [],
  }


def coupled(name):
  """A search of one of the spaces with decisions of every kind."""
  space = spaces.COUPLED[name]()
  goal = [len(decision.choices) - 1 for decision in schema.decisions(space)]
  return copy.deepcopy(_document(_run(space, lambda signature: counting.count(signature).macs / 1e6, goal, 0.5, 6, 2, 3, name)))


def make(name):
  """A document by the name of its function, or of a coupled space."""
  return coupled(name) if name in spaces.COUPLED else globals()[name]()


def _document(*runs):
  return {'schema': 'tf_proxyless/report', 'version': 2, 'generated': '2026-11-21T04:00:00+00:00', 'runs': list(runs)}


@functools.cache
def _imagenet(epochs, seed, name):
  space = proxyless.proxyless()
  table = named_tables.find(TABLE)
  choices = published.published('proxyless_mobile')[1]
  goal = [choices[path] for path, _ in schema.walk(space)]
  run = _run(space, table.latency_ms, goal, 84.0, epochs,
             epochs // 3, seed, name)
  run['published'] = _published()
  run['deployments'] = _deployments(run['network']['cost'])
  return run


def imagenet(epochs=120, seed=0):
  """A finished search of the ImageNet space: 21 decisions of 6 or 7 choices, everything there is to show."""
  return copy.deepcopy(_document(_imagenet(epochs, seed, 'imagenet_pixel1')))


@functools.cache
def _tiny():
  space = proxyless.proxyless(stage_filters=(16, 24), stage_blocks=(2, 1), stage_strides=(2, 2), stem_filters=8, first_block_filters=8,
                              head_filters=64, candidates=((3, 3), (5, 6)), resolution=32, classes=10)
  return _run(space, lambda signature: counting.count(signature).macs / 1e7, [0, 2, 1], 0.05, 6, 2, 3, 'tiny')


def tiny():
  """A finished search of 6 epochs and 3 decisions, without published networks and deployments."""
  return copy.deepcopy(_document(_tiny()))


def _blocks(run):
  """All blocks of a run's networks."""
  return [*run['network']['blocks'], *(block for variants in run['most_likely']['blocks'] for block in variants)]


def macs():
  """`tiny` with costs in MACs, and so without a table and samples."""
  document = tiny()
  run = document['runs'][0]
  scale = 1e7
  run['cost'].update(unit='MACs', target=run['cost']['target'] * scale, smallest=run['cost']['smallest'] * scale,
                     largest=run['cost']['largest'] * scale, provenance=None, of='multiply-adds')
  run['network']['cost'] *= scale
  for block in _blocks(run):
    block.update(cost=block['cost'] * scale, provenance=None)
  for decision in run['decisions']:
    for choice in decision['choices']:
      choice['cost'] *= scale
  for name in ('expected_cost', 'most_likely_cost'):
    run['history'][name] = [value * scale for value in run['history'][name]]
  for candidate in run['candidates']:
    candidate['cost'] *= scale
  run['derivation']['budget'] *= scale
  run.update(table=None, samples=None, front=None, name='macs')
  return document


def running():
  """`tiny` after 4 of its epochs: nothing derived, the page reloads itself."""
  document = tiny()
  run = document['runs'][0]
  run.update(state='running', refreshing=True, network=None, samples=None, candidates=[], front=None, derivation=None)
  run['history'] = {name: values[:4] for name, values in run['history'].items()}
  run['most_likely'].update(choices=run['most_likely']['choices'][:4], variants=run['most_likely']['variants'][:4])
  run['seconds'] = {'epochs': sum(run['history']['seconds']), 'left': 620.0}
  return document


def interrupted():
  """`running`, but stopped, with a line of its history that could not be read."""
  document = running()
  document['runs'][0].update(state='interrupted', reason='SIGTERM', refreshing=False, problems=['history.jsonl:3: not JSON; passed over'])
  document['runs'][0]['seconds']['left'] = None
  return document


def empty():
  """A run directory in which nothing has happened yet."""
  run = {'name': 'empty', 'state': 'empty', 'reason': None, 'refreshing': False, 'problems': ['identity.json: not found'], 'settings': [],
         'versions': {}, 'seconds': {'epochs': 0.0, 'left': None},
         'cost': {'unit': 'ms', 'target': None, 'smallest': None, 'largest': None, 'objective': '', 'optimizer': '', 'provenance': None,
                  'of': ''},
         'decisions': [], 'history': {'epoch': [], 'phase': [], 'loss': [], 'accuracy': [], 'most_likely_accuracy': [], 'entropy': [],
                                      'expected_cost': [], 'most_likely_cost': [], 'seconds': [], 'probabilities': []},
         'network': None, 'most_likely': None, 'samples': None, 'candidates': [], 'front': None, 'predictor': None, 'published': [],
         'derivation': None, 'table': None, 'deployments': []}
  return _document(run)


def comparison():
  """Two searches of the ImageNet space, and the small one, whose decisions are others."""
  second = copy.deepcopy(_imagenet(60, 1, 'imagenet_seed1'))
  return copy.deepcopy(_document(_imagenet(60, 0, 'imagenet_pixel1'), second, _tiny()))


def hostile():
  """`tiny` with names that would be markup or script if anybody forgot to escape them."""
  attack = '</script><script>window.attacked=1</script><img src=x onerror="window.attacked=1">\'"&\u2028<!--'
  document = tiny()
  run = document['runs'][0]
  run.update(name=attack, state='interrupted', reason=attack, problems=[attack], versions={attack: attack})
  run['settings'] = [[attack, attack, attack]]
  run['cost'].update(objective=attack, optimizer=attack, of=attack, provenance=attack)
  run['derivation'].update(by=attack, warnings=[attack])
  run['table'].update(name=attack, source=attack, runtime={attack: attack})
  run['published'] = [{'name': attack, 'cost': 0.1, 'top1_imagenet': 0.7, 'note': attack}]
  run['candidates'][0]['source'] = attack
  for decision in run['decisions']:
    decision.update(path=attack, label=attack, tag=attack)
    for choice in decision['choices']:
      choice['label'] = attack
  run['network']['name'] = attack
  for block in _blocks(run):
    block.update(name=attack, label=attack, provenance=attack)
  for entry in [*run['table']['entries'], *run['table']['proof']]:
    entry.update({key: attack for key in ('label', 'name') if key in entry})
  run['history']['phase'] = [attack] * len(run['history']['epoch'])
  run['deployments'] = [dict(item, name=attack, how=attack, device=attack, quantization=attack) for item in _deployments(1.0)]
  return document
