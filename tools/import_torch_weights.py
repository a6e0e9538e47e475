"""The same as `tf-proxyless import-torch-weights`."""

from tf_proxyless.app import commands

if __name__ == '__main__':
  commands.run('import-torch-weights')
