"""Seeded choice of examples, a given number of each class, by the hash of their ids.

The order in which a dataset is read plays no part: of each class, the examples with the smallest hash of (salt, id) are chosen.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

TEST_SALT = 'test'  # no seed: a search's seed must not move the test set


def apportion(total: int, weights: Sequence[int]) -> np.ndarray:
  """Distributes a total in proportion to weights by the method of the largest remainder.

  Args:
    total: Number to distribute, at least 0.
    weights: Integers of at least 0, not all 0.

  Returns:
    int64 [len(weights)] that sum to `total`; equal remainders favour the smaller index.
  """
  weights = np.asarray(weights, np.int64)
  shares, remainders = np.divmod(total * weights, weights.sum())
  largest = np.argsort(-remainders, kind='stable')[:total - shares.sum()]
  shares[largest] += 1
  return shares


def fingerprints(texts: tf.Tensor) -> tf.Tensor:
  """FarmHash Fingerprint64 of strings, which TensorFlow promises never to change: int64 of the same shape, at least 0."""
  return tf.strings.to_hash_bucket_fast(texts, 2**63 - 1)


def choose(ids: np.ndarray, labels: np.ndarray, counts: np.ndarray, salt: str) -> np.ndarray:
  """Chooses `counts[c]` examples of each class c.

  Args:
    ids: Bytes [examples], all different.
    labels: int64 [examples] in [0, len(counts)).
    counts: int64 [classes].
    salt: Another salt gives another, independent choice.

  Returns:
    bool [examples]: whether each example is chosen.
  """
  order = np.lexsort((ids, fingerprints(tf.strings.join([salt, '/', ids])).numpy(), labels))
  first_of_class = np.searchsorted(labels[order], np.arange(len(counts)))
  rank = np.arange(len(order)) - first_of_class[labels[order]]
  chosen = np.zeros(len(ids), bool)
  chosen[order] = rank < counts[labels[order]]
  return chosen


def held_out_fifth(ids: np.ndarray, labels: np.ndarray) -> np.ndarray:
  """bool [examples]: the stratified fifth (rounded up) that is the test set of a dataset without one."""
  return choose(ids, labels, apportion(fifth(len(ids)), np.bincount(labels)), TEST_SALT)


def fifth(examples: int) -> int:
  """A fifth of a number of examples, rounded up."""
  return -(-examples // 5)
