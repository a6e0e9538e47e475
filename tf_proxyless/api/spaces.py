"""Search spaces: those of ProxylessNAS, FBNet, FBNetV2, ChamNet and TuNAS, published networks, and what own spaces are made of."""

from tf_proxyless.space.chamnet import chamnet
from tf_proxyless.space.cifar_tree import cifar_tree
from tf_proxyless.space.fbnet import fbnet
from tf_proxyless.space.fbnet_v2 import fbnet_v2
from tf_proxyless.space.io import load_search_space as load
from tf_proxyless.space.io import save_search_space as save
from tf_proxyless.space.layers import Activation, BatchNorm, ChannelShuffle, Conv, Dense, DepthwiseConv, Dropout, GlobalPool, SqueezeExcite
from tf_proxyless.space.network import Block, Network
from tf_proxyless.space.ops import Classifier, ConvBn, Identity, MBConv, Pool, SeparableConv, Sequence, Zero
from tf_proxyless.space.proxyless import proxyless
from tf_proxyless.space.published import NAMES as PUBLISHED
from tf_proxyless.space.published import network as published
from tf_proxyless.space.registry import register
from tf_proxyless.space.schema import canonical, cardinality, decisions, Decision, Genotype, OneOf, resolve
from tf_proxyless.space.tunas import indices as tunas_indices
from tf_proxyless.space.tunas import tunas

__all__ = [
    'Activation', 'BatchNorm', 'Block', 'ChannelShuffle', 'Classifier', 'Conv', 'ConvBn', 'Decision', 'Dense', 'DepthwiseConv',
    'Dropout', 'Genotype', 'GlobalPool', 'Identity', 'MBConv', 'Network', 'OneOf', 'PUBLISHED', 'Pool', 'SeparableConv', 'Sequence',
    'SqueezeExcite', 'Zero', 'canonical', 'cardinality', 'chamnet', 'cifar_tree', 'decisions', 'fbnet', 'fbnet_v2', 'load', 'proxyless',
    'published', 'register', 'resolve', 'save', 'tunas', 'tunas_indices',
]
