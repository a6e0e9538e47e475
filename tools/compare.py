"""The same as `tf-proxyless compare`."""

from tf_proxyless.app import commands

if __name__ == '__main__':
  commands.run('compare')
