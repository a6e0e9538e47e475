"""The same as `tf-proxyless export`."""

from tf_proxyless.app import commands

if __name__ == '__main__':
  commands.run('export')
