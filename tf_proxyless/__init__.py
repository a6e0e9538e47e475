"""Hardware-aware neural architecture search for TensorFlow, from a dataset and a device to a network.

Rooms: `space` (search spaces as data), `cost` (MACs, parameters, latency), `nn` (Keras layers), `search` (ProxylessNAS),
`data` (datasets). docs/architecture.md says who may import whom.
"""

__version__ = '0.1.0'
