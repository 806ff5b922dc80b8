#!/usr/bin/env bash
# A Hugging Face folder and a GGUF file of the same model, side by side in one mount: whatever a user
# does with one he can do with the other.
source "$(dirname "$0")/../lib/mount.sh"

readonly question="The capital of France is"

# both NAME LINE: the line succeeds for either model, which it finds in $m.
both() {
    local model
    for model in folder file; do check "$1: $model" typed "m=\$M/$model; $2"; done
}

same_in_both() { check_same "$1" "$(typed "m=\$M/file; $2")" "$(typed "m=\$M/folder; $2")"; }

make_folder() {
    [ -r "${INFERFS_SMOLLM2:-}" ] || skip "INFERFS_SMOLLM2 does not name the model file"
    python3 -c 'import gguf, numpy' 2>/dev/null || skip "python3 has no gguf and numpy"
    python3 "$project/tests/golden/make_smollm2_folder.py" "$INFERFS_SMOLLM2" --folder "$MODELS/folder"
}

looks() {
    check_same "both are listed" "file folder" \
        "$(find "$M" -mindepth 1 -maxdepth 1 -type d -printf '%f\n' | sort | paste -sd' ')"
    same_in_both "with the same files" 'ls -R $m | tail -n +2 | sed "s,$m,,"'
    same_in_both "info has the same members" 'jq -c keys $m/info'
    same_in_both "and says the same of the model" \
        'jq -c "[.architecture, .context, .parameters, .vocabulary, .layers, .chat, .embeds]" $m/info'
    check_same "a folder's numbers are BF16" BF16 "$(jq -r .quantisation "$M/folder/info")"
    both "looking loaded neither" 'grep -qx cold $m/state'
    check_same "a folder's weights" "$MODELS/folder" "$(readlink "$M/folder/weights")"
    check_same "a file's weights" "$MODELS/file.gguf" "$(readlink "$M/file/weights")"
    check_same "the bytes in status are the file's" "$(stat -c %s "$MODELS/file.gguf")" \
        "$(jq .file_bytes "$M/file/status")"
    check "those of a folder are all its files'" jq -e --argjson tensors \
        "$(stat -c %s "$MODELS/folder/model.safetensors")" '.file_bytes >= $tensors' "$M/folder/status"
}

answers() {
    both "set to answer plainly" 'echo 1 > $m/config/raw && echo 1 > $m/config/max_tokens'
    same_in_both "the next word" "printf '%s' '$question' > \$m/prompt; cat \$m/output"
    check_same "which is right" " Paris" "$(cat "$M/folder/output")"
    same_in_both "tokens are counted the same" 'jq -c "[.last_job.prompt_tokens, .last_job.finish]" $m/status'
    both "set to chat" 'echo 0 > $m/config/raw && echo 8 > $m/config/max_tokens'
    same_in_both "the template takes as many tokens" \
        'echo "Say hello." > $m/prompt; cat $m/output > /dev/null; jq .last_job.prompt_tokens $m/status'
    both "a stream" 'echo "Say hello." > $m/prompt; cat $m/stream | cmp - $m/output'
    check_same "a chat is rendered the same" \
        "$("$INFERFS_ENGINE" render "$MODELS/file.gguf" <<<'[{"role":"user","content":"Hi"}]')" \
        "$("$INFERFS_ENGINE" render "$MODELS/folder" <<<'[{"role":"user","content":"Hi"}]')"
}

orders() {
    both "it is ready" 'grep -qx ready $m/state'
    both "unload" 'echo unload > $m/ctl; cat $m/wait > /dev/null'
    for model in folder file; do check "$model is cold" wait_for 10 state_is $model cold; done
    check "no process is left" wait_for 5 no_workers
    both "load" 'echo load > $m/ctl'
    for model in folder file; do check "$model is ready" wait_for 20 state_is $model ready; done
    both "a bad value is refused" '! echo much > $m/config/temperature 2> /dev/null && grep -q temperature $m/error'
    both "a running answer is cancelled" 'echo 0 > $m/config/max_tokens
        echo "Count to 1000." > $m/prompt; head -c 1 $m/stream > /dev/null; echo cancel > $m/ctl
        cat $m/stream 2>&1 | grep -q canceled'
}

# In its charge, and each leaves for the other under a budget that holds only the larger.
memory() {
    local model charge resident
    for model in folder file; do
        charge=$(jq .resident_bytes "$M/$model/status")
        resident=$(awk '/VmRSS/ { print $2 * 1024 }' "/proc/$(jq .pid "$M/$model/status")/status")
        say "$model is charged $charge and holds $resident"
        check "$model holds no more than it is charged" test "$resident" -le "$charge"
    done
    charge=$(jq .resident_bytes "$M/folder/status")
    echo unload all >"$M/ctl"
    wait_for 10 no_workers || fail "workers after unload all"
    echo $((charge * 11 / 10)) >"$M/budget"
    both "it has its turn" 'echo 4 > $m/config/max_tokens; echo hi > $m/prompt; cat $m/output > /dev/null'
    check_same "the folder left for the file" '["folder"]' "$(jq -c .last_swap.evicted "$M/file/status")"
    both "and again" 'echo hi > $m/prompt; cat $m/output > /dev/null'
    check_same "the file for the folder" '["file"]' "$(jq -c .last_swap.evicted "$M/folder/status")"
}

make_folder
model_real file
mount_start budget=1G
deterministic
looks
answers
orders
memory
