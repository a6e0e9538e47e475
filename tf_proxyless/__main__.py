"""`python -m tf_proxyless` is the command tf-proxyless."""

from tf_proxyless.app import commands

if __name__ == '__main__':
  commands.main()
