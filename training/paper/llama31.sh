#!/usr/bin/env bash
# The paper's study of Llama-3.1-8B-Instruct, from text to table; see battery.sh for what can be set, docs/paper.md for
# what it costs. The model is gated: accept its licence, then `hf auth login`. Published SAEs that can stand in for a
# trained one (`clampdown sae search llama-3.1`; untried, for want of a network), with VALUE in their own units:
#   SAE=llama_scope_lxr_8x/l6r_8x     layer 6, 8x, as the paper's, but of the base model
#   SAE=llama_scope_lxr_32x/l6r_32x   layer 6, 32x, of the base model
#   SAE=llama-3.1-8b-instruct-andyrdt/resid_post_layer_7_trainer_1   layer 7, of the Instruct model
#   SAE=goodfire-llama-3.1-8b-instruct/layer_19                      layer 19, of the Instruct model
set -euo pipefail
export NAME=llama31
export MODEL="${MODEL:-meta-llama/Llama-3.1-8B-Instruct}"
export VALUE="${VALUE:-2.5}"
export TASK_ARMS="${TASK_ARMS:-refusal/none refusal/system-prompt refusal/clamp-1 refusal/clamp-at-1 refusal/clamp-at-1.5
  refusal/clamp-at-2 refusal/clamp-at-3 refusal/clamp-at-4 refusal/sae-pass second/clamp-at-2 second/clamp-at-3
  second/clamp-at-4 unrelated/clamp-1 refusal/unrelated-latent gated/clamp-1-gated}"
export CRESCENDO_ARMS="${CRESCENDO_ARMS:-refusal/system-prompt refusal/clamp-1 gated/clamp-1-gated}"
exec "$(dirname "$0")/battery.sh"
