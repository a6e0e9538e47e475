r"""Values that a change of structure must not change; `golden.json` holds them as they were before the second edition.

  python -m tests.golden.values > tests/golden/golden.json

Floating-point kernels differ between processors, so bits (CRC-32) are compared on a processor like the one that recorded them, and
rounded sums everywhere.
"""

from __future__ import annotations

import hashlib
import json
import pathlib
import platform
import random
import sys
import tempfile
import zlib

import numpy as np

from tests.search import runs
from tf_proxyless.cost import counting
from tf_proxyless.cost import model as model_lib
from tf_proxyless.cost import table as table_lib
from tf_proxyless.space import network as network_lib
from tf_proxyless.space import proxyless
from tf_proxyless.space import schema

SPACES = {
    'imagenet': dict(),
    'wide_symmetric': dict(width_multiplier=1.35, padding='symmetric', resolution=160, classes=100),
    'quickstart': dict(stage_filters=(16, 32), stage_blocks=(4, 2), stage_strides=(1, 2), stem_filters=16, stem_strides=4,
                       first_block_filters=16, head_filters=128, resolution=32, classes=10),
}
SMALL = dict(stage_filters=(8, 16), stage_blocks=(2, 2), stage_strides=(1, 2), stem_filters=8, stem_strides=2, first_block_filters=8,
             head_filters=16, resolution=16, classes=10)
NETWORKS = 50
SEARCHES = {'reinforce': (), 'two_path': ('--architecture_optimizer=gradient',)}
FLAGS = ('--dataset=digits', '--validation_images=0.2', '--resolution=32', '--stem_filters=16', '--stem_strides=4',
         '--first_block_filters=16', '--stage_filters=16,32', '--stage_blocks=4,2', '--stage_strides=1,2', '--head_filters=128',
         '--target_latency_fraction=0.25', '--weight_sharing=separate', '--batch_size=32', '--validation_batch_size=287',
         '--warmup_epochs=4', '--search_epochs=5', '--warmup_learning_rate=0.2', '--search_learning_rate=0.1',
         '--weight_steps_per_update=2', '--scored_networks=200')


def processor() -> str:
  """What the bits of floating-point kernels depend on."""
  lines = pathlib.Path('/proc/cpuinfo').read_text(encoding='utf-8').splitlines()
  flags = next((line for line in lines if line.startswith('flags')), platform.machine())
  return hashlib.sha256(' '.join(sorted(flags.split())).encode()).hexdigest()[:16]


def make_table(space) -> table_lib.LatencyTable:
  """Made-up latencies: 2 us an operation, and 1 ms for 100 M multiply-adds."""
  entries = tuple(
      table_lib.Entry(signature, table_lib.LatencyStats('measured', median_ms=0.002 + 1e-8 * counting.count(signature).macs))
      for signature in network_lib.op_signatures(space))
  return table_lib.LatencyTable('made up', table_lib.Runtime('nothing', 'int8', 'builtin'), entries,
                                    calibration=table_lib.Calibration(1.01, 0.003, 10))


def signatures_hash(network) -> str:
  return hashlib.sha256('\n'.join(map(str, network_lib.op_signatures(network))).encode()).hexdigest()[:16]


def costs(arguments: dict) -> list:
  """MACs, parameters, signatures (hashed) and bits of the predicted latency of random networks; the first row is of the space."""
  space = proxyless.proxyless(**arguments)
  model = model_lib.from_latency_table(space, make_table(space))
  generator = random.Random(0)
  decisions = list(schema.walk(space))
  rows = [[schema.cardinality(space), model.smallest.hex(), model.largest.hex(), signatures_hash(space)]]
  for _ in range(NETWORKS):
    genotype = schema.Genotype({path: generator.randrange(len(one_of.choices)) for path, one_of in decisions})
    network = schema.resolve(space, genotype)
    count = counting.count_network(network)
    rows.append([count.macs, count.parameters, signatures_hash(network), model.cost(genotype).hex()])
  return rows


def digest(arrays) -> dict:
  """CRC-32 of the bytes, and sums for other processors."""
  crc = 0
  for array in arrays:
    crc = zlib.crc32(np.ascontiguousarray(array).tobytes(), crc)
  flat = np.concatenate([np.ravel(array).astype(np.float64) for array in arrays])
  return {'crc32': crc, 'sum': float(flat.sum()), 'squares': float((flat**2).sum())}


def steps() -> dict:
  """Start values, weight steps, gate gradients and scores of small supernets, and their plain networks."""
  import tensorflow as tf
  from tf_proxyless.nn import keras_network
  from tf_proxyless.nn import supernet as supernet_lib
  from tf_proxyless.search import steps as steps_lib
  from tf_proxyless.search import weight_optimizer
  tf.config.threading.set_intra_op_parallelism_threads(1)
  tf.config.threading.set_inter_op_parallelism_threads(1)
  found = {}
  for name, arguments in (('small', SMALL), ('symmetric', {**SMALL, 'padding': 'symmetric', 'resolution': 24})):
    space = proxyless.proxyless(**arguments)
    supernet = supernet_lib.Supernet(space, seed=7)
    weights = sorted(supernet.weights, key=lambda weight: (weight.shape.as_list(), float(tf.reduce_sum(weight))))  # whatever their names
    found[f'{name}/start'] = digest([weight.numpy() for weight in weights])
    compiled = steps_lib.SupernetSteps(supernet, weight_optimizer.SupernetSGD(supernet))
    batch = (tf.random.stateless_uniform([8, *space.input_shape], [1, 2]), tf.constant(np.arange(8) % 10, tf.int32))
    counts = [len(one_of.choices) for _, one_of in schema.walk(space)]
    paths = np.random.default_rng(3).integers(0, counts, (4, len(counts)), np.int32)
    paths[1] = [count - 1 for count in counts]  # Zero wherever it is a choice
    losses = [float(compiled.train(*batch, path, tf.constant(0.1))[0]) for path in paths]
    found[f'{name}/losses'] = digest([np.array(losses, np.float32)])
    found[f'{name}/trained'] = digest([weight.numpy() for weight in weights])
    inactive = np.array([(choice + 1) % count for choice, count in zip(paths[1], counts)], np.int32)
    loss, gradients = compiled.gate_gradients(paths[1], inactive, batch)
    found[f'{name}/gates'] = digest([np.array(float(loss), np.float32), gradients.numpy()])
    found[f'{name}/scores'] = digest([np.asarray(compiled.accuracies(paths, batch), np.float32)])
    network = schema.resolve(space, {path: int(choice) for (path, _), choice in zip(schema.walk(space), paths[0])})
    model = keras_network.build(network, seed=7)
    found[f'{name}/plain'] = digest(model.get_weights())
    found[f'{name}/outputs'] = digest([model(batch[0], training=False).numpy()])
    found[f'{name}/layers'] = [f'{layer.name} {type(layer).__name__}' for layer in model.layers]
  return found


def search(name: str) -> dict:
  """A short search with made-up latencies, by the command."""
  with tempfile.TemporaryDirectory() as path:
    folder = pathlib.Path(path)
    table_lib.save(make_table(proxyless.proxyless(**SPACES['quickstart'])), folder / 'table.json')
    runs.run(*FLAGS, *SEARCHES[name], f'--run_dir={folder / "run"}', f'--data_dir={folder / "data"}',
             f'--latency_table={folder / "table.json"}', cwd=folder, limit_s=900).check_returncode()
    architecture = json.loads((folder / 'run' / 'architecture.json').read_text(encoding='utf-8'))
    history = [json.loads(line) for line in (folder / 'run' / 'history.jsonl').read_text(encoding='utf-8').splitlines()]
    header, records = (folder / 'run' / 'samples.bin').read_bytes().split(b'\n', 1)
  decisions = len(json.loads(header)['decisions'])
  evaluations = np.frombuffer(records, [('path', 'u1', (decisions,)), ('accuracy', '<f4'), ('cost', '<f8'), ('batch', '<i8')])
  del architecture['versions']
  for name in ('estimate', 'standard_error'):  # of linear algebra, whose last bit depends on where its arrays begin in memory
    architecture['derivation'][name] = float(f'{architecture["derivation"][name]:.12g}')
  for entry in history:
    del entry['seconds']
  return {
      'architecture': architecture,
      'history_sha256': hashlib.sha256(json.dumps(history, sort_keys=True).encode()).hexdigest(),
      'last_epoch': history[-1],
      'evaluations_sha256': hashlib.sha256(b''.join(evaluations[name].tobytes() for name in ('path', 'accuracy', 'batch'))).hexdigest(),
      'evaluations_cost': float(f'{evaluations["cost"].sum():.12g}'),
  }


def main() -> None:
  if sys.argv[1:] == ['steps']:  # by themselves, since thread counts are set before TensorFlow's first use
    print(json.dumps(steps()))
    return
  found = {'processor': processor(), 'costs': {name: costs(arguments) for name, arguments in SPACES.items()}, 'steps': steps(),
           'searches': {name: search(name) for name in SEARCHES}}
  print(json.dumps(found, indent=1, sort_keys=True))


if __name__ == '__main__':
  main()
