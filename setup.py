"""Installs tf_proxyless with its configs; `pip install -e '.[test]'` adds all that the tests need."""

import pathlib
import re

import setuptools

_ROOT = pathlib.Path(__file__).parent
# Read, not imported: an import would need the package's dependencies before they are installed.
_VERSION = re.search(r"^__version__ = '(.+)'$", (_ROOT / 'tf_proxyless' / '__init__.py').read_text(encoding='utf-8'), re.MULTILINE)[1]

_CONFIGS = {  # beside the package in a clone
    'tf_proxyless.configs': 'configs',
    'tf_proxyless.configs.base': 'configs/base',
    'tf_proxyless.configs.latency': 'configs/latency',
    'tf_proxyless.configs.latency.published': 'configs/latency/published',
    'tf_proxyless.configs.quantize': 'configs/quantize',
    'tf_proxyless.configs.spaces': 'configs/spaces',
    'tf_proxyless.configs.train': 'configs/train',
}

_TEST = [
    'hypothesis>=6.120,<7',
    'ipykernel>=6.29,<8',  # the notebook is run
    'mypy==2.4.1',
    'nbclient>=0.10,<0.12',
    'pytest>=8.3,<10',
    'pytest-timeout>=2.3,<3',
    'pytest-xdist>=3.6,<4',
    'ruff==0.17.5',
    'selenium>=4.30,<5',
    'setuptools>=65',  # tests install the package
    'wheel>=0.43',
]
_DOCS = [
    'mkdocs>=1.6,<2',
    'mkdocstrings>=1,<2',
    'mkdocstrings-python>=2,<3',
]
_TORCH = ['torch>=2.6,<3']  # brings gigabytes of CUDA packages, so it is never part of another extra

setuptools.setup(
    name='tf_proxyless',
    version=_VERSION,
    description='Hardware-aware neural architecture search for TensorFlow, from a dataset and a device to a network.',
    long_description=(_ROOT / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    python_requires='>=3.10,<3.13',  # as tf_keras 2.21
    packages=[*setuptools.find_packages(include=['tf_proxyless', 'tf_proxyless.*', 'android_benchmark']), *_CONFIGS],
    package_dir=_CONFIGS,
    entry_points={'console_scripts': ['tf-proxyless=tf_proxyless.app.commands:main']},
    package_data={'tf_proxyless.configs': ['*.flags'], 'tf_proxyless.configs.base': ['*.flags'],
                  'tf_proxyless.configs.latency': ['*.json'],
                  'tf_proxyless.configs.latency.published': ['*.json'],
                  'tf_proxyless.configs.quantize': ['*.flags'],
                  'tf_proxyless.configs.spaces': ['*.json'],
                  'tf_proxyless.configs.train': ['*.flags'],
                  'tf_proxyless.report.drawing': ['*.css'],
                  'tf_proxyless.report.page': ['*.css', '*.js']},
    install_requires=[
        'absl-py>=1.2,<2',  # tensorflow-model-optimization 0.8 takes no 2
        'ai-edge-litert>=2.3,<2.4',  # runs models; another version has other kernels, so other latencies
        'flatbuffers>=24.3,<26',
        'grpcio>=1.60,<2',
        'importlib_resources>=6,<8',  # tensorflow-datasets 4.9.10 imports it without asking for it, and Pillow too
        'keras-tuner>=1.4.8,<1.5',
        'matplotlib>=3.8,<4',
        'numpy>=1.26,<3',
        'Pillow>=10,<14',
        'scikit-learn>=1.4,<2',
        'scipy>=1.11,<2',
        'tensorboard>=2.21,<2.22',
        'tensorflow>=2.21,<2.22',
        'tensorflow-datasets>=4.9.10,<4.10',
        'tensorflow-model-optimization>=0.8.1,<0.9',
        'tf_keras>=2.21,<2.22',
        'threadpoolctl>=3.1,<4',
        'tqdm>=4.66,<5',
    ],
    extras_require={
        'test': _TEST,
        'dev': [*_TEST, 'build>=1.2,<2'],
        'docs': _DOCS,
        'torch': _TORCH,
    },
)
