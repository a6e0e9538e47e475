"""The same as `tf-proxyless tune`."""

from tf_proxyless.app import commands

if __name__ == '__main__':
  commands.run('tune')
