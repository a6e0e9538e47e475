"""Random networks of a space."""

from __future__ import annotations

import random

from tf_proxyless.space import schema


def spread(space: object, count: int, seed: int, excluded: frozenset[schema.Genotype] = frozenset()) -> tuple[schema.Genotype, ...]:
  """Distinct networks from all over a space's range of costs.

  Networks of independent evenly drawn choices are all much alike: of 21 decisions, their costs keep to the middle. So each network
  first draws how much it likes each choice (exponential weights by index), and then its choices by these weights.

  Args:
    space: A search space.
    count: How many.
    seed: The same seed gives the same networks.
    excluded: None of these.

  Returns:
    Genotypes, in the order drawn.

  Raises:
    ValueError: The space has not as many networks.
  """
  decisions = list(schema.walk(space))
  if schema.cardinality(space) < count + len(excluded):
    raise ValueError(f'the space has {schema.cardinality(space)} networks, fewer than the {count + len(excluded)} asked for')
  generator = random.Random(seed)
  most = max(len(one_of.choices) for _, one_of in decisions)
  found: dict[schema.Genotype, None] = {}
  while len(found) < count:
    weights = [generator.expovariate(1.0) for _ in range(most)]
    path = [generator.choices(range(len(one_of.choices)), weights[:len(one_of.choices)])[0] for _, one_of in decisions]
    genotype = schema.genotype(space, path)
    if genotype not in excluded:
      found[genotype] = None
  return tuple(found)
