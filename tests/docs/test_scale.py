"""The recipes of docs/scale.md for clusters, as far as they can be tried without one: their syntax, and what each worker would be told."""

import os
import subprocess

import pytest

from tests.docs import examples
from tf_proxyless.infra import cluster as cluster_lib


def told(script, folder, **environment):
  """What the command of a worker would find in TF_CONFIG, and its flags; the programs of the cluster are stand-ins."""
  for name, text in {
      'tf-proxyless': 'echo "$TF_CONFIG"; echo "$@"', 'scontrol': 'printf "node7\\nnode9\\n"', 'srun': 'shift; exec "$@"'}.items():
    (folder / name).write_text(f'#!/bin/bash\n{text}\n')
    (folder / name).chmod(0o755)
  result = subprocess.run(['bash', '-c', script], env={'PATH': f'{folder}:{os.environ["PATH"]}', **environment}, capture_output=True,
                          text=True, check=True)
  return result.stdout.splitlines()


def check(lines, addresses, index, monkeypatch):
  monkeypatch.setenv('TF_CONFIG', lines[0])
  assert cluster_lib.read_tf_config() == cluster_lib.Cluster(tuple((f'worker {i}', each) for i, each in enumerate(addresses)), index)
  assert lines[1].startswith('search --flagfile=mobile.flags --batch_size=512 ')


@pytest.mark.parametrize('index', [0, 1])
def test_slurm(tmp_path, monkeypatch, index):
  text = (examples.FOLDER / 'search.sbatch').read_text(encoding='utf-8')
  subprocess.run(['bash', '-n', '-c', text], check=True)
  check(told(text, tmp_path, SLURM_JOB_NODELIST='node[7,9]', SLURM_PROCID=str(index)), ['node7:2222', 'node9:2222'], index, monkeypatch)


@pytest.mark.parametrize('index', [0, 1])
def test_kubernetes(tmp_path, monkeypatch, index):
  yaml = pytest.importorskip('yaml')  # of the documentation's tools
  service, job = yaml.safe_load_all((examples.FOLDER / 'search.yaml').read_text(encoding='utf-8'))
  pod = job['spec']['template']['spec']
  container, = pod['containers']
  assert (service['kind'], job['kind'], job['spec']['completionMode']) == ('Service', 'Job', 'Indexed')
  assert service['metadata']['name'] == pod['subdomain'] and service['spec']['selector'] == {'job-name': job['metadata']['name']}
  workers, = container['env']
  assert int(workers['value']) == job['spec']['completions'] == job['spec']['parallelism']
  assert {mount['name'] for mount in container['volumeMounts']} == {volume['name'] for volume in pod['volumes']}
  *shell, script = container['command']
  assert shell == ['bash', '-c']
  lines = told(script, tmp_path, WORKERS=workers['value'], JOB_COMPLETION_INDEX=str(index))
  check(lines, ['search-0.search:2222', 'search-1.search:2222'], index, monkeypatch)
