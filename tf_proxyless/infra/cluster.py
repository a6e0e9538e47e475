"""The processes that work together as TF_CONFIG names them. Loads no TensorFlow before one is lost."""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import dataclasses
import os
import re
import socket
import sys

from tf_proxyless.infra import errors
from tf_proxyless.infra import files

_LOST = re.compile('unhealthy|heartbeat|Collective ops is aborted|Connection (?:reset|refused)|Socket closed|failed to connect|'
                   'Coordination|coordination|Barrier failed')
_TASK = re.compile(r'Error reported from /job:(\w+)/(?:replica:\d+/)?task:(\d+)|\n/job:(\w+)/replica:\d+/task:(\d+)')
_REACHABLE_S = 2.0


@dataclasses.dataclass(frozen=True)
class Cluster:
  """The processes that work together.

  Attributes:
    tasks: Name and 'host:port' of each, the chief first, which writes the files; this process alone has neither.
    index: Which of them this is.
  """

  tasks: tuple[tuple[str, str], ...] = (('', ''),)
  index: int = 0

  def name(self, index: int) -> str:
    """What people call a task."""
    return '{} ({})'.format(*self.tasks[index])


def find_workers(distribution: str | None) -> Cluster:
  """The workers that share the steps. Loads no TensorFlow.

  Args:
    distribution: See `distribution.choose`.

  Raises:
    ValueError: TF_CONFIG is not what TensorFlow's documentation says, names no other worker although it has to, or gives this one a port
      that is in use.
  """
  if distribution not in (None, 'multi_worker'):
    return Cluster()
  cluster = read_tf_config()
  if len(cluster.tasks) > 1:
    _check_port(cluster)
  elif distribution is not None:
    raise ValueError('`distribution=multi_worker` needs a TF_CONFIG that names two workers at least, and this one among them')
  return cluster


def announce(cluster: Cluster) -> None:
  """Says on stderr of the chief for whom it waits; TensorFlow does so until all workers have come."""
  if len(cluster.tasks) > 1 and cluster.index == 0:
    print(f'waiting for {", ".join(map(cluster.name, range(1, len(cluster.tasks))))}', file=sys.stderr)


def read_tf_config() -> Cluster:
  """The workers that TF_CONFIG names; this process alone where it names fewer than two.

  Raises:
    ValueError: It is not what TensorFlow's documentation says.
  """
  text = os.environ.get('TF_CONFIG')
  if not text:
    return Cluster()
  try:
    config = files.parse_json(text)
    jobs = {job: list(config['cluster'].get(job, ())) for job in ('chief', 'worker')}
    job, number = str(config['task']['type']), int(config['task']['index'])
  except (ValueError, KeyError, TypeError, AttributeError) as error:
    raise ValueError(f'TF_CONFIG does not name a cluster of workers and this task in it: {files.shorten(error, 200)}') from error
  if job not in jobs:
    raise ValueError(f'TF_CONFIG makes this task a {files.shorten(job)}; there are a chief and workers')
  tasks = [(f'{each} {i}', address) for each, addresses in jobs.items() for i, address in enumerate(addresses)]
  if (name := f'{job} {number}') not in dict(tasks):
    raise ValueError(f'TF_CONFIG makes this task {name}, but its cluster has {len(jobs[job])} of the kind, counted from 0')
  for _, address in tasks:
    if not isinstance(address, str) or not re.fullmatch(r'[^\s:/]+:\d{1,5}|\[[\da-fA-F:]+\]:\d{1,5}', address):
      raise ValueError(f'TF_CONFIG: the address of a worker must be like host:2222, got {files.shorten(address)}')
  if len({address for _, address in tasks}) < len(tasks) or len(jobs['chief']) > 1:
    raise ValueError('TF_CONFIG must give each worker an address of its own, and name one chief at most')
  return Cluster(tuple(tasks), [known for known, _ in tasks].index(name)) if len(tasks) > 1 else Cluster()


def _check_port(cluster: Cluster) -> None:
  port = int(cluster.tasks[cluster.index][1].rpartition(':')[2])
  try:
    socket.create_server(('', port)).close()
  except (OSError, OverflowError) as error:
    reason = getattr(error, 'strerror', None) or error
    raise ValueError(f'TF_CONFIG: port {port} of this task, {cluster.name(cluster.index)}, cannot be opened: {reason}; end what uses it, '
                     'or name another on all workers') from error


@contextlib.contextmanager
def losing_workers(cluster: Cluster) -> Iterator[None]:
  """Turns what operations say when another worker has ended, or cannot be reached, into one line.

  Raises:
    UserError: It names the worker.
  """
  try:
    yield
  except Exception as error:
    lost = _lost(cluster, error)
    if lost is None:
      raise
    raise errors.UserError(lost) from error


def _lost(cluster: Cluster, error: BaseException) -> str | None:
  """The line, if an exception, or what it came of, says that a worker is lost."""
  if len(cluster.tasks) < 2:
    return None
  import tensorflow as tf

  chain: list[BaseException] = []
  current: BaseException | None = error
  while current is not None and current not in chain:
    chain.append(current)
    current = current.__cause__ or current.__context__
  messages = [str(each) for each in chain if isinstance(each, tf.errors.OpError) and _LOST.search(str(each))]
  if not messages:
    return None
  named = [f'{match[1] or match[3]} {match[2] or match[4]}' for message in messages for match in _TASK.finditer(message)]
  others = [index for index in range(len(cluster.tasks)) if index != cluster.index]
  lost = [index for index in others if cluster.tasks[index][0] in named] or [index for index in others if not _reachable(cluster, index)]
  who = ' and '.join(cluster.name(index) for index in lost) or f'another worker (TensorFlow: {files.one_line(messages[0], 300)})'
  return (f'{who} has ended or cannot be reached; see what it says itself. The same command on all workers continues from the last '
          'checkpoint')


def _reachable(cluster: Cluster, index: int) -> bool:
  host, _, port = cluster.tasks[index][1].rpartition(':')
  try:
    socket.create_connection((host.strip('[]'), int(port)), _REACHABLE_S).close()
  except OSError:
    return False
  return True
