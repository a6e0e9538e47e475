"""Gates are values: what they hold decides which candidates of a supernet run, and there is no mode to set or to reset.

Two kinds serve ProxylessNAS (Cai et al. 2019): one sampled candidate for a weight step and for REINFORCE, and the pair of an active
and an inactive candidate of which only the active one acts on the output, for the gradient rule. The third is a mixture of all.
"""

from __future__ import annotations

from typing import NamedTuple, Union

import tensorflow as tf


class Sampled(NamedTuple):
  """One candidate of a mixed operation.

  Attributes:
    row: int32 [facts], what the graph of its choice must know of it, see `choice.Choice`.
    weights: Its weights, read when the gates were made; gradients with respect to them are what an optimizer applies.
      For Zero they are some other candidate's, and unused.
  """

  row: tf.Tensor
  weights: tuple[tf.Tensor, ...]


class Pair(NamedTuple):
  """Two candidates of a mixed operation: m(x) = gates[0] * active(x) + gates[1] * inactive(x) at gates = (1, 0).

  Attributes:
    active: The candidate that acts on the output.
    inactive: The candidate that runs for its gate gradient alone.
    gates: float32 [2], to be differentiated: dL/dg_j = <dL/dm, o_j(x)>, summed over the whole batch. A Zero candidate's is 0.
  """

  active: Sampled
  inactive: Sampled
  gates: tf.Tensor


class Mixture(NamedTuple):
  """All candidates of a mixed operation: m(x) = sum_i weights[i] * o_i(x) (FBNet, arXiv 1812.03443).

  Attributes:
    members: One for each.
    weights: float32 [candidates], to be differentiated.
  """

  members: tuple[Sampled, ...]
  weights: tf.Tensor


Gates = Union[Sampled, Pair, Mixture]


def make_pair(active: Sampled, inactive: Sampled) -> Pair:
  """A pair at gates (1, 0)."""
  return Pair(active, inactive, tf.constant([1.0, 0.0]))


@tf.custom_gradient
def combine(active_output: tf.Tensor, inactive_output: tf.Tensor, gates: tf.Tensor) -> tf.Tensor:
  """The output of a mixed operation at gates (1, 0), with the gradients of m = g_0 * o_0 + g_1 * stop_gradient(o_1).

  Args:
    active_output: float [batch, height, width, channels].
    inactive_output: float, same shape; acts on nothing but its gate's gradient.
    gates: float32 [2].

  Returns:
    `active_output`.
  """
  def gradient(dy):
    products = [tf.reduce_sum(tf.cast(dy, tf.float32) * tf.cast(output, tf.float32)) for output in (active_output, inactive_output)]
    return dy, None, tf.stack(products)

  return tf.identity(active_output), gradient
