#!/usr/bin/env bash
# Makes Pythons with old runtimes of TensorFlow Lite in a folder, for test_old_runtimes.py, and prints what OLD_RUNTIMES has to be:
#   export OLD_RUNTIMES=$(tests/deploy/old_runtimes.sh FOLDER 2.5 2.8 2.14)
# 2.14 needs python3.11 and pip only. 2.5 and 2.8 need a Python 3.9: that of Debian 11, unpacked into the folder, from the server that this
# Debian's packages come from.
set -euo pipefail
folder=$(mkdir -p "$1" && cd "$1" && pwd); shift

debian_python() {  # python3.9 with what it needs, in $folder/debian
  [[ -x $folder/python3.9 ]] && return
  mkdir -p "$folder"/apt/{lists/partial,cache/archives/partial} "$folder/debian"
  touch "$folder/apt/status"
  local server; server=$(apt-get indextargets --format '$(REPO_URI)' 'Origin: Debian' 'Codename: bookworm' | head -n 1)
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $server bullseye main" > "$folder/apt/sources.list"
  local options=(-q -o "Dir::Etc::sourcelist=$folder/apt/sources.list" -o Dir::Etc::sourceparts=- -o "Dir::State::lists=$folder/apt/lists"
                 -o "Dir::Cache=$folder/apt/cache" -o "Dir::State::status=$folder/apt/status")
  apt-get "${options[@]}" update >&2
  (cd "$folder/apt" && apt-get "${options[@]}" download python3.9-minimal libpython3.9-minimal libpython3.9-stdlib python3-distutils \
                                                          python3-lib2to3 libffi7 libssl1.1 libmpdec3 >&2)
  for package in "$folder"/apt/*.deb; do dpkg -x "$package" "$folder/debian"; done
  program python3.9 ''
}

program() {  # a start of python3.9 under a name, with a folder of packages
  cat > "$folder/$1" <<EOF
#!/bin/sh
export LD_LIBRARY_PATH=$folder/debian/usr/lib/x86_64-linux-gnu PYTHONHOME=$folder/debian/usr PYTHONPATH=$2 TF_CPP_MIN_LOG_LEVEL=3
exec $folder/debian/usr/bin/python3.9 "\$@"
EOF
  chmod +x "$folder/$1"
}

packages() {  # packages for python3.9 into a folder
  local target=$1; shift
  pip install -q --no-deps --target "$target" --python-version 3.9 --implementation cp --abi cp39 --abi abi3 --abi none \
    --platform manylinux2014_x86_64 --platform manylinux2010_x86_64 --platform manylinux1_x86_64 --platform any --only-binary=:all: "$@"
}

found=()
for version in "$@"; do
  python=$folder/python_$version
  case $version in
    2.14)
      [[ -x $folder/$version/bin/python ]] || python3.11 -m venv "$folder/$version"
      "$folder/$version/bin/pip" install -q 'tflite-runtime==2.14.0' 'numpy<2'
      python=$folder/$version/bin/python ;;
    2.8)
      debian_python
      packages "$folder/$version" 'tflite-runtime==2.8.0' 'numpy==1.23.5'
      program "python_$version" "$folder/$version" ;;
    2.5)  # of which no tflite-runtime for this Python is left
      debian_python
      packages "$folder/$version" 'tensorflow-cpu==2.5.3' 'numpy==1.19.5' 'h5py==3.1.0' 'protobuf<3.20' 'absl-py<1' 'astunparse<1.7' \
        'flatbuffers<2' 'gast==0.4.0' 'google_pasta<1' 'keras_preprocessing<1.2' 'opt_einsum<3.4' 'six<1.16' 'termcolor<2.3' \
        'typing_extensions<4' 'wheel' 'grpcio<1.49' 'wrapt<1.15' 'tensorflow-estimator==2.5.0'
      program "python_$version" "$folder/$version" ;;
    *) echo "not one of 2.5, 2.8, 2.14: $version" >&2; exit 2 ;;
  esac
  found+=("$python")
done
(IFS=:; echo "${found[*]}")
