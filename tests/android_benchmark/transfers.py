"""Files that go to a phone and back."""

FOLDER = '/data/local/tmp/tf_proxyless'
CONTENT = bytes(range(256)) * 1200  # several packets


def files(phone) -> list[str]:
  """Paths of the files in a phone's folder."""
  folder = phone.android.map_path(FOLDER)
  return sorted(str(path.relative_to(folder)) for path in folder.rglob('*') if path.is_file())
