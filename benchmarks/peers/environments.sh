#!/usr/bin/env bash
# Make one virtual environment a peer, with pinned versions, for benchmarks/data_curation.py. Safe to run twice.
#   benchmarks/peers/environments.sh [FOLDER]     FOLDER defaults to .peers in the repository
# Their pins clash with ours and with each other's, so nothing of them is installed beside burnish.
set -euo pipefail
cd "$(dirname "$0")/../.."
. scripts/environment
folder=${1:-.peers}

# datatrove's `processing` and `multilingual` extras pull TensorFlow and Stanza for languages that the corpus lacks; these
# are what the job imports. spaCy segments Chinese with jieba.
datatrove=(datatrove==0.10.1 spacy==3.8.18 jieba==0.42.1 ftfy==6.3.1 regex==2026.11.15 xxhash==3.8.2 orjson==3.13.0 tokenizers==0.23.3 numpy==2.4.6)

# aiohttp is not declared and the plain install fails without it. ftfy, scipy, ray and torch are not declared either:
# data-juicer installs them by itself in the middle of its first run, which would count as its work.
data_juicer=(py-data-juicer==1.6.1 aiohttp==3.14.5 ftfy==6.3.1 scipy==1.17.1 ray==2.60.0 torch==2.13.0 datasets==5.2.0 numpy==2.4.6)

make_peer() {
  local name=$1 environment=$folder/$1 python stamp
  shift
  stamp=$environment/.installed-$(printf '%s\n' "$@" | cksum | cut -d' ' -f1)
  if [ -e "$stamp" ]; then
    say "$environment is ready"
    return
  fi
  python=$(find_python)
  say "making $environment with $("$python" --version): $*"
  rm -rf "$environment"
  "$python" -m venv "$environment"
  "$environment/bin/python" -m pip install --quiet --disable-pip-version-check "$@" ||
    fail "$name could not be installed; check the network and pip's index, then run $0 again"
  touch "$stamp"
}

make_peer datatrove "${datatrove[@]}"
make_peer data_juicer "${data_juicer[@]}"
