#!/usr/bin/env bash
# Make one virtual environment a peer, with pinned versions. Safe to run twice.
#   benchmarks/peers/environments.sh [FOLDER [NAME ...]]
# FOLDER defaults to .peers in the repository, the names to those of benchmarks/data_curation.py; benchmarks/compress_chain.py
# makes nncf and llmcompressor by itself.
# Their pins clash with ours and with each other's, so nothing of them is installed beside burnish.
set -euo pipefail
cd "$(dirname "$0")/../.."
. scripts/environment
folder=${1:-.peers}
[ $# -gt 1 ] || set -- "$folder" datatrove data_juicer

# datatrove's `processing` and `multilingual` extras pull TensorFlow and Stanza for languages that the corpus lacks; these
# are what the job imports. spaCy segments Chinese with jieba.
datatrove=(datatrove==0.10.1 spacy==3.8.18 jieba==0.42.1 ftfy==6.3.1 regex==2026.11.15 xxhash==3.8.2 orjson==3.13.0 tokenizers==0.23.3 numpy==2.4.6)

# aiohttp is not declared and the plain install fails without it. ftfy, scipy, ray and torch are not declared either:
# data-juicer installs them by itself in the middle of its first run, which would count as its work.
data_juicer=(py-data-juicer==1.6.1 aiohttp==3.14.5 ftfy==6.3.1 scipy==1.17.1 ray==2.60.0 torch==2.13.0 datasets==5.2.0 numpy==2.4.6)

# NNCF reads with torch's help; llm-compressor 0.14 wants transformers up to 5.17. torchao rows run in the latter's.
nncf=(nncf==3.4.0 openvino==2026.4.1 torch==2.13.0 numpy==2.4.6)
llmcompressor=(llmcompressor==0.14.0.1 compressed-tensors==0.19.0 torchao==0.18.0 transformers==5.17.0 torch==2.13.0 datasets==5.2.0 numpy==2.4.6)

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

for name in "${@:2}"; do
  case $name in datatrove | data_juicer | nncf | llmcompressor) ;; *) fail "peer $name is not known" ;; esac
  declare -n packages=$name
  make_peer "$name" "${packages[@]}"
done
