"""The same as `tf-proxyless build-table`."""

from tf_proxyless.app import commands

if __name__ == '__main__':
  commands.run('build-table')
