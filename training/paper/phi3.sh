#!/usr/bin/env bash
# The paper's study of Phi-3 Mini, from text to table; see battery.sh for what can be set, docs/paper.md for what it costs.
# There is no published SAE of Phi-3 in SAELens' directory (`clampdown sae search phi`), so the SAE is trained.
set -euo pipefail
export NAME=phi3
export MODEL="${MODEL:-microsoft/Phi-3-mini-4k-instruct}"
export VALUE="${VALUE:-12}"
export TASK_ARMS="${TASK_ARMS:-refusal/none refusal/system-prompt refusal/clamp-1 refusal/clamp-at-10 refusal/sae-pass
  second/clamp-1 both/clamp-1 both/clamp-at-4 both/clamp-at-5 both/clamp-at-6 unrelated/clamp-1 refusal/unrelated-latent gated/clamp-1-gated}"
export CRESCENDO_ARMS="${CRESCENDO_ARMS:-refusal/system-prompt refusal/clamp-1 refusal/clamp-at-10 gated/clamp-1-gated}"
export PAIR_ARMS="${PAIR_ARMS-refusal/clamp-at-8 refusal/clamp-at-10 refusal/clamp-1 gated/clamp-1-gated}"
export GCG_ARMS="${GCG_ARMS-both/clamp-at-4 both/clamp-at-5 both/clamp-at-6}"
exec "$(dirname "$0")/battery.sh"
