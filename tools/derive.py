"""The same as `tf-proxyless derive`."""

from tf_proxyless.app import commands

if __name__ == '__main__':
  commands.run('derive')
