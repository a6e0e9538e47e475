"""TF_CONFIG as it is read before TensorFlow is loaded, and what is said of a lost worker. Steps: tests/reliability/two_devices.py."""

import json
import socket

import pytest
import tensorflow as tf

from tf_proxyless.infra import cluster as cluster_lib
from tf_proxyless.infra import distribution
from tf_proxyless.infra import errors

CLUSTER = {'chief': ['a:1'], 'worker': ['b:2', '[::1]:3']}


@pytest.fixture(name='configure')
def _configure(monkeypatch):
  def configure(cluster, task):
    monkeypatch.setenv('TF_CONFIG', json.dumps({'cluster': cluster, 'task': task}))
  return configure


def test_the_chief_comes_first(configure):
  for task, index in ((('chief', 0), 0), (('worker', 0), 1), (('worker', '1'), 2)):
    configure(CLUSTER, dict(zip(('type', 'index'), task)))
    assert cluster_lib.read_tf_config() == cluster_lib.Cluster((('chief 0', 'a:1'), ('worker 0', 'b:2'), ('worker 1', '[::1]:3')), index)


def test_one_worker_is_this_process(configure, monkeypatch):
  configure({'worker': ['a:1']}, {'type': 'worker', 'index': 0})
  assert cluster_lib.find_workers(None) == cluster_lib.Cluster()
  monkeypatch.delenv('TF_CONFIG')
  assert cluster_lib.find_workers(None) == cluster_lib.Cluster()


@pytest.mark.parametrize('cluster, task, message', [
    ({'worker': ['a:1', 'b:2']}, {'type': 'worker'}, 'does not name a cluster'),
    ('worker', {'type': 'worker', 'index': 0}, 'does not name a cluster'),
    ({'worker': 3}, {'type': 'worker', 'index': 0}, 'does not name a cluster'),
    ({'worker': ['a:1', 'b:2']}, {'type': 'ps', 'index': 0}, "makes this task a 'ps'"),
    ({'worker': ['a:1', 'b:2']}, {'type': 'worker', 'index': 2}, 'this task worker 2, but its cluster has 2 of the kind, counted from 0'),
    ({'worker': ['a:1', 'b:2']}, {'type': 'chief', 'index': 0}, 'this task chief 0, but its cluster has 0'),
    ({'worker': ['a:1', 'b']}, {'type': 'worker', 'index': 0}, "must be like host:2222, got 'b'"),
    ({'worker': ['a:1', 2]}, {'type': 'worker', 'index': 0}, 'must be like host:2222, got 2'),
    ({'worker': ['a:1', 'a:1']}, {'type': 'worker', 'index': 0}, 'an address of its own'),
    ({'chief': ['a:1', 'b:1'], 'worker': []}, {'type': 'chief', 'index': 0}, 'one chief at most'),
    ({'worker': ['a:99999', 'b:1']}, {'type': 'worker', 'index': 0}, 'port 99999 of this task, worker 0 .a:99999., cannot be opened'),
])
def test_a_wrong_tf_config(configure, cluster, task, message):
  configure(cluster, task)
  with pytest.raises(ValueError, match=message) as error:
    cluster_lib.find_workers('multi_worker')
  assert '\n' not in str(error.value)


def test_what_is_no_json(monkeypatch):
  monkeypatch.setenv('TF_CONFIG', '{')
  with pytest.raises(ValueError, match='TF_CONFIG does not name a cluster'):
    cluster_lib.find_workers(None)
  assert cluster_lib.find_workers('one') == cluster_lib.find_workers('mirrored') == cluster_lib.Cluster()


def test_a_port_in_use(configure):
  with socket.create_server(('', 0)) as taken:
    port = taken.getsockname()[1]
    configure({'worker': [f'localhost:{port}', 'b:2']}, {'type': 'worker', 'index': 0})
    with pytest.raises(ValueError, match=f'port {port} of this task, worker 0 .localhost:{port}., cannot be opened: .*in use'):
      cluster_lib.find_workers(None)


def test_devices_that_are_not_there(monkeypatch):
  monkeypatch.delenv('TF_CONFIG', raising=False)
  with pytest.raises(ValueError, match='`distribution=multi_worker` needs a TF_CONFIG'):
    distribution.choose('multi_worker')
  if len(tf.config.list_logical_devices('GPU')) < 2:
    with pytest.raises(ValueError, match='`distribution=mirrored` needs several devices'):
      distribution.choose('mirrored')
  assert distribution.Devices(distribution.choose('one')).describe() == 'this machine'


def aborted(message):
  return tf.errors.AbortedError(None, None, f'{{{{function_node x_device_/job:worker/replica:0/task:0/device:CPU:0}}}} {message}')


@pytest.mark.parametrize('message, lost', [
    ('Collective ops is aborted by: Error reported from /job:worker/task:1: The following tasks are unhealthy (stopped sending '
     'heartbeats):\n/job:worker/replica:0/task:1\nThe tasks have crashed.', 'worker 1 (b:2)'),
    ('Collective ops is aborted by: Connection reset by peer', 'worker 1 (b:2) and worker 2 (localhost:1)'),  # nobody answers there
])
def test_a_lost_worker_is_named(message, lost):
  cluster = cluster_lib.Cluster((('worker 0', 'a:1'), ('worker 1', 'b:2'), ('worker 2', 'localhost:1')), 0)
  with pytest.raises(errors.UserError) as error:
    with cluster_lib.losing_workers(cluster):
      try:
        raise aborted(message)
      except tf.errors.AbortedError as cause:
        raise OSError(5, 'the checkpoint cannot be written') from cause
  assert str(error.value).startswith(f'{lost} has ended or cannot be reached') and '\n' not in str(error.value)


def test_other_mistakes_stay_what_they_are():
  cluster = cluster_lib.Cluster((('worker 0', 'a:1'), ('worker 1', 'b:2')), 0)
  for mistake in (ValueError('no'), tf.errors.NotFoundError(None, None, 'no such file')):
    with pytest.raises(type(mistake), match='no'), cluster_lib.losing_workers(cluster):
      raise mistake
