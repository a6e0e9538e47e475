"""The same as `tf-proxyless calibrate-table`."""

from tf_proxyless.app import commands

if __name__ == '__main__':
  commands.run('calibrate-table')
