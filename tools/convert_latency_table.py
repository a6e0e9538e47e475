"""The same as `tf-proxyless convert-table`."""

from tf_proxyless.app import commands

if __name__ == '__main__':
  commands.run('convert-table')
