"""The same as `tf-proxyless audit-table`."""

from tf_proxyless.app import commands

if __name__ == '__main__':
  commands.run('audit-table')
